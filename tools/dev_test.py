#!/usr/bin/env python3
"""Runs ./dev on a machine that is made up: its dpkg, apt-get, sudo and id are little scripts."""
import os
import pathlib
import subprocess
import tempfile
import unittest

DEV = pathlib.Path(__file__).resolve().parent.parent / "dev"
INSTALLED = "printf 'install ok installed'"


class Machine:
    """A folder in front of PATH. apt-get writes down what it is asked and installs it."""

    def __init__(self, folder, missing=(), uid=0, sudo="exit 1"):
        self.folder = pathlib.Path(folder)
        self.asked = self.folder / "asked"
        self.missing = self.folder / "missing"
        self.missing.write_text(" ".join(missing), encoding="utf-8")
        self.command("id", f"echo {uid}")
        self.command("sudo", sudo)
        self.command(
            "dpkg-query",
            f'for last; do :; done; case " $(cat {self.missing}) " in '
            f'*" $last "*) exit 1 ;; esac; {INSTALLED}',
        )
        self.command("apt-get", f'echo "$*" >>{self.asked}; [ "$1" != install ] || >{self.missing}')

    def command(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def dev(self, *arguments):
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            [str(DEV), *arguments],
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def asked_for(self):
        return self.asked.read_text(encoding="utf-8").splitlines() if self.asked.exists() else []


class Dev(unittest.TestCase):
    def machine(self, **settings):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Machine(folder.name, **settings)

    def test_nothing_is_installed_when_nothing_is_missing(self):
        machine = self.machine()
        run = machine.dev("setup")
        self.assertEqual((run.returncode, machine.asked_for()), (0, []), run.stderr)

    def test_root_installs_only_what_is_missing_and_no_extras(self):
        machine = self.machine(missing=["libcli11-dev", "libgmock-dev"])
        run = machine.dev("setup")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(
            machine.asked_for(),
            ["update -q", "install -q -y --no-install-recommends libcli11-dev libgmock-dev"],
        )

    def test_sudo_is_used_when_it_asks_nothing(self):
        machine = self.machine(missing=["libcli11-dev"], uid=1000)
        machine.command("sudo", f'echo sudo >>{machine.asked}; [ "$1" != -n ] || shift; exec "$@"')
        run = machine.dev("setup")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("sudo", machine.asked_for())

    def test_without_root_the_exact_line_is_printed(self):
        machine = self.machine(missing=["libcli11-dev"], uid=1000)
        for command in ("setup", "test", "run", "check"):
            run = machine.dev(command)
            self.assertEqual((run.returncode, machine.asked_for()), (1, []))
            line = "sudo apt-get install --no-install-recommends libcli11-dev"
            self.assertIn(line, run.stderr)

    def test_a_failed_installation_says_what_to_run(self):
        machine = self.machine(missing=["libcli11-dev"])
        machine.command("apt-get", "exit 100")
        run = machine.dev("setup")
        self.assertEqual(run.returncode, 1)
        self.assertIn("sudo apt-get", run.stderr)

    def test_node_is_never_asked_of_apt(self):
        self.assertNotIn("nodejs", DEV.read_text(encoding="utf-8").split("packages=(")[1][:800])

    def test_every_command_explains_itself_and_an_unknown_one_is_refused(self):
        machine = self.machine()
        for command in "setup build run test check format bench fuzz soak".split():
            run = machine.dev(command, "--help")
            self.assertEqual(run.returncode, 0)
            self.assertIn(f"Usage: ./dev {command}", run.stdout)
        self.assertEqual(machine.dev("brew").returncode, 1)
        self.assertIn("no preset 'fast'", machine.dev("build", "fast").stderr)


if __name__ == "__main__":
    unittest.main()
