#!/usr/bin/env python3
"""Runs in the virtual machine: the test files beside this one, each followed by its records after "@result "."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = pathlib.Path("/run/vm-results.jsonl")
# The packages first: they install what the others copy. The longest last: where the machine is slow, the others are
# known by then.
FILES = ("test_debs", "test_units", "test_platinum", "test_daemons", "test_unprivileged", "test_programs",
         "test_isolation")
# Of one file; the machine has a time of its own.
TIMEOUT_S = "400"


def main():
    failed = False
    for name in FILES:
        done = subprocess.run([sys.executable, "-B", HERE.parents[1] / "run_python_tests.py", "--results", RESULTS,
                               "--timeout", TIMEOUT_S, HERE / f"{name}.py"], check=False)
        failed = failed or done.returncode != 0
        for line in RESULTS.read_text(encoding="utf-8").splitlines():
            print(f"@result {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
