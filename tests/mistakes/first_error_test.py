#!/usr/bin/env python3
"""Shows which answers of a compiler first_error.py takes for right."""
import unittest

from first_error import expectation, verdict

OURS = "a.cpp:3:5: error: static assertion failed: name the method\n"
RAW = "a.cpp:3:5: error: no matching function\n"


class FirstError(unittest.TestCase):
    def test_the_expected_sentence_may_take_several_lines(self):
        self.assertEqual(expectation("// First error: one\n//   two\nint x;\n"), "one two")

    def test_a_file_must_say_what_it_expects(self):
        self.assertIsNone(expectation("// Compiles.\n"))
        with self.assertRaises(ValueError):
            expectation("// just a file\n")

    def test_our_sentence_comes_first(self):
        self.assertEqual(verdict("name the method", 1, "a note\n" + OURS + RAW), "")

    def test_our_sentence_second_is_too_late(self):
        self.assertIn("but it is", verdict("name the method", 1, RAW + OURS))

    def test_a_mistake_that_compiles_is_reported(self):
        self.assertIn("must not compile", verdict("name the method", 0, ""))

    def test_the_right_program_must_compile(self):
        self.assertEqual(verdict(None, 0, "a.cpp:1: note: x\n"), "")
        self.assertIn("must compile", verdict(None, 1, RAW))


if __name__ == "__main__":
    unittest.main()
