#!/usr/bin/env python3
"""Runs in the virtual machine: every test file beside this one, then its records, each after "@result "."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = pathlib.Path("/run/vm-results.jsonl")


def main():
    runner = HERE.parents[1] / "run_python_tests.py"
    done = subprocess.run([sys.executable, "-B", runner, "--results", RESULTS, "--timeout", "200", HERE],
                          check=False)
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        print(f"@result {line}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
