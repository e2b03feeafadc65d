"""Compiled doctest programs as root in a delegated group of cgroup v2: one test for each of their cases."""

import os
import pathlib
import re
import subprocess

from machine import BUILD, SOURCE

HERE = pathlib.Path(__file__).resolve().parent
LAUNCH = BUILD / "tests/unit/supervisor/launch"
ISOLATION = BUILD / "tests/isolation"
ENVIRONMENT = {
    "TENANTD_PROBE": str(LAUNCH / "confinement_probe"),
    "TENANTD_LOAD": str(LAUNCH / "load_program"),
    "TENANTD_JAIL": str(BUILD / "supervisor/jail/tenantd-jail"),
    "TENANTD_PROBES": str(ISOLATION),
    "TENANTD_MUTANT_JAIL": str(ISOLATION / "mutant_jail"),
    "TENANTD_ISOLATION_GOLDEN": str(SOURCE / "tests/golden/isolation"),
    "TENANTD_ISOLATION_QUICK": "1",  # no layer alone: emulated, the whole matrix takes five minutes
}


def delegated(program, *arguments, timeout_s=400):
    settings = [f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()]
    return subprocess.run(["systemd-run", "--quiet", "--pipe", "--wait", "-p", "Delegate=yes", "-p", "TasksMax=infinity",
                           *settings, str(HERE / "delegated"), str(program), *arguments],
                          capture_output=True, text=True, timeout=timeout_s, check=False)


def cases_of(program):
    listed = subprocess.run([program, "--list-test-cases", "--no-version"], capture_output=True, text=True,
                            env={**os.environ, **ENVIRONMENT}, check=True)
    return [line for line in listed.stdout.splitlines() if line and not line.startswith(("[doctest]", "==="))]


def add_cases(cls, program):
    for number, case in enumerate(cases_of(program)):
        def test(self, case=case):
            # A comma would separate two filters.
            done = delegated(program, "--test-case=" + case.replace(",", "?"), "--no-version")
            skipped = re.search(r"\bskipped: (.+)", done.stdout)
            if skipped:
                self.skipTest(skipped.group(1))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(" 1 passed ", done.stdout.replace("  ", " "), done.stdout)
        test.__name__ = f"test_{number:02d}_{re.sub('[^a-z0-9]+', '_', case.lower()).strip('_')}"
        setattr(cls, test.__name__, test)
    return cls
