#!/usr/bin/env python3
"""What batch_sources.py makes of sources that are made up."""
import pathlib
import tempfile
import unittest

import batch_sources

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = """namespace troupe {
namespace {

struct Echo {};

}  // namespace
}  // namespace troupe
"""


class Joined(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name):
        path = pathlib.Path(self.folder.name) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXT, encoding="utf-8")
        return path

    def test_sources_stand_one_after_the_other_and_each_names_itself(self):
        paths = [self.file("a.cpp"), self.file("b.cpp")]
        text = batch_sources.joined(paths)
        self.assertEqual(text, "".join(f'#line 1 "{path.as_posix()}"\n{TEXT}\n' for path in paths))

    def test_lines_keep_their_numbers(self):
        path = self.file("a_test.cpp")
        text = batch_sources.joined([path])
        self.assertEqual(text.split("\n").index("struct Echo {};"),
                         1 + TEXT.split("\n").index("struct Echo {};"))

    def test_unnamed_namespaces_of_tests_are_kept_apart(self):
        first, second = self.file("x/a_test.cpp"), self.file("y/a_test.cpp")
        text = batch_sources.joined([first, second])
        self.assertIn("\nnamespace in_x_a_test { namespace {\n", text)
        self.assertIn("\nnamespace in_y_a_test { namespace {\n", text)
        self.assertEqual(text.count("\n}}\n"), 2)
        self.assertEqual(text.count("{"), text.count("}"))

    def test_what_stands_beside_a_source_is_still_found(self):
        path = self.file("x/a.cpp")
        path.write_text('#include "../b.hpp"\n#include <b.hpp>\n', encoding="utf-8")
        text = batch_sources.joined([path])
        self.assertIn(f'\n#include "{path.parent.as_posix()}/../b.hpp"\n', text)
        self.assertIn("\n#include <b.hpp>\n", text)

    def test_of_the_library_nothing_is_changed(self):
        self.assertIn(TEXT, batch_sources.joined([self.file("a.cpp")]))


class Alone(unittest.TestCase):
    def test_are_sources_there_are(self):
        alone = batch_sources.alone()
        self.assertTrue(alone)
        for name in sorted(alone):
            self.assertTrue((ROOT / name).is_file(), name)


if __name__ == "__main__":
    unittest.main()
