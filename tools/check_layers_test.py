#!/usr/bin/env python3
"""Plants one violation at a time in a small tree and reads what check_layers.py says about it."""
import pathlib
import tempfile
import unittest

import check_layers

CLEAN = {
    "LAYERS": "# comment\nbase :\ntask : base  # why\nactor : base task\n",
    "base/result.hpp": "#pragma once\n#include <expected>\n",
    "base/internal/slab.hpp": "#pragma once\n",
    "base/slab.cpp": "#include <troupe/base/internal/slab.hpp>\n",
    "task/task.hpp": "#pragma once\n#include <troupe/base/result.hpp>\n",
    "actor/ref.hpp": "#pragma once\n#include <troupe/task/task.hpp>\n",
    "actor/ref_test.cpp": "#include <troupe/sim/sim.hpp>\n#include <troupe/actor/ref.hpp>\n",
}


class CheckLayers(unittest.TestCase):
    def errors_in(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            return check_layers.check(root)

    def planted(self, name, text):
        return self.errors_in({**CLEAN, name: text})

    def test_a_clean_tree_has_no_errors(self):
        self.assertEqual(self.errors_in(CLEAN), [])

    def test_an_upward_include_is_named_with_its_line(self):
        (error,) = self.planted("base/up.cpp", "\n#include <troupe/actor/ref.hpp>\n")
        self.assertTrue(error.startswith("base/up.cpp:2: base may not include actor"), error)

    def test_anothers_internal_header_is_refused(self):
        (error,) = self.planted("task/a.cpp", "#include <troupe/base/internal/slab.hpp>\n")
        self.assertIn("is private to base", error)

    def test_tests_share_the_helpers_of_tests(self):
        include = "#include <troupe/base/internal/test_slabs.hpp>\n"
        for sharing in ("task/a_test.cpp", "task/internal/test_tasks.hpp"):
            self.assertEqual(self.planted(sharing, include), [])
        (error,) = self.planted("task/a.cpp", include)
        self.assertIn("is private to base", error)

    def test_a_public_header_does_not_include_internal(self):
        (error,) = self.planted("base/a.hpp", "#include <troupe/base/internal/slab.hpp>\n")
        self.assertIn("PUBLIC_USES_INTERNAL", error)

    def test_a_relative_include_is_refused(self):
        (error,) = self.planted("base/a.cpp", "#include <troupe/base/../actor/ref.hpp>\n")
        self.assertIn("write the full path", error)

    def test_a_quoted_include_is_refused(self):
        (error,) = self.planted("base/a.cpp", '#include "result.hpp"\n')
        self.assertIn("write the full path", error)

    def test_a_folder_without_row_is_refused(self):
        (error,) = self.planted("stray/readme.txt", "")
        self.assertIn("folder 'stray' has no row", error)

    def test_a_row_may_not_name_a_later_row(self):
        (error,) = self.planted("LAYERS", "base : task\ntask : base\nactor : base task\n")
        self.assertIn("'base' uses 'task'", error)

    def test_an_include_in_a_comment_is_no_include(self):
        text = "/*\n#include <troupe/actor/ref.hpp>\n*/\n"
        self.assertEqual(self.planted("base/a.cpp", text), [])

    def test_the_simulator_is_for_tests_only(self):
        (error,) = self.planted("actor/a.cpp", "#include <troupe/sim/sim.hpp>\n")
        self.assertIn("actor may not include sim", error)
        include = "#include <troupe/sim/schedules.hpp>\n"
        self.assertEqual(self.planted("actor/internal/test_systems.hpp", include), [])


if __name__ == "__main__":
    unittest.main()
