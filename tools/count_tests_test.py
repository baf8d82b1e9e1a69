import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).with_name("count_tests.py")


class CountTests(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        (self.folder / "results").mkdir()

    def entries(self, **entries):
        cases = "".join(f'<testcase name="{name}" status="{status}"/>'
                        for name, status in entries.items())
        (self.folder / "tests.xml").write_text(f"<testsuite>{cases}</testsuite>", "utf-8")

    def program(self, entry, *cases):
        (self.folder / "results" / f"{entry}.xml").write_text(
            f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>", "utf-8")

    def count(self):
        run = subprocess.run([sys.executable, "-B", TOOL, self.folder], capture_output=True,
                             text=True, check=False)
        return run.stdout.split() if run.returncode == 0 else run.stderr

    def test_an_entry_without_a_program_s_own_word_is_one_test(self):
        self.entries(a="run", b="fail", c="disabled", d="run")
        self.assertEqual(self.count(), ["2", "1", "1"])

    def test_the_tests_of_a_program_are_counted(self):
        self.entries(a="fail", lint="run")
        self.program("a", '<testcase status="run" result="completed"/>' * 3,
                     '<testcase status="run"><failure/></testcase>',
                     '<testcase status="notrun" result="suppressed"/>',
                     '<testcase status="run" result="skipped"><skipped/></testcase>')
        self.assertEqual(self.count(), ["4", "1", "2"])

    def test_an_entry_that_failed_at_its_end_is_a_failure(self):
        self.entries(a="fail", crashed="fail")
        self.program("a", '<testcase status="run" result="completed"/>')
        self.assertEqual(self.count(), ["1", "2", "0"])

    def test_no_results_are_an_error(self):
        self.assertIn("tests.xml", self.count())


if __name__ == "__main__":
    unittest.main()
