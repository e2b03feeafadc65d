#!/usr/bin/env python3
"""Runs test_*.py files one after the other, each in its own process, and writes one record a test.

usage: run_python_tests.py --results FILE [--timeout SECONDS] PATH...

PATH is a test file or a folder of them. A record is one JSON line: name, outcome (passed, failed,
skipped) and reason. A file that crashes or outlasts the timeout is one failed record. Exit status:
0 when nothing failed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
import unittest


class Recorder(unittest.TestResult):
    """One record a test method; a test with failing subtests failed once."""

    def __init__(self, write, module):
        super().__init__()
        self.write = write
        self.module = module
        self.outcome = ("passed", "")
        self.started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.outcome = ("passed", "")
        self.started = time.monotonic()
        print(f"{self.module}: {test.id().partition('.')[2]} ... ", end="", flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        outcome, reason = self.outcome
        print(f"{outcome} ({time.monotonic() - self.started:.1f} s)", flush=True)
        if outcome != "passed":
            print("    " + reason.strip().replace("\n", "\n    "), flush=True)
        self.record(test.id().partition(".")[2], outcome, reason)

    def record(self, name, outcome, reason):
        self.write({"name": f"{self.module}: {name}", "outcome": outcome, "reason": reason})

    def fail_with(self, test, error):
        reason = self._exc_info_to_string(error, test)
        if isinstance(test, unittest.TestCase):
            self.outcome = ("failed", reason)
            return
        print(f"{self.module}: {test}: failed\n{reason}")  # setUpClass or setUpModule
        self.record(str(test), "failed", reason)

    def addError(self, test, err):
        super().addError(test, err)
        self.fail_with(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail_with(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.fail_with(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            self.outcome = ("skipped", reason)
            return
        self.record(str(test), "skipped", reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.outcome = ("failed", "succeeded although it is marked as an expected failure")


def run_file(path, results):
    sys.path.insert(0, str(path.parent))
    suite = unittest.defaultTestLoader.loadTestsFromName(path.stem)
    with open(results, "a", encoding="utf-8") as out:
        recorder = Recorder(lambda record: print(json.dumps(record), file=out, flush=True), path.stem)
        if suite.countTestCases() == 0:
            recorder.record("(no tests)", "failed", "the file holds no test")
            return 1
        suite.run(recorder)
    return 0 if recorder.wasSuccessful() else 1


def test_files(paths):
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("test_*.py"))
        else:
            yield path


def failed_records(results):
    if not results.exists():
        return 0
    lines = results.read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["outcome"] == "failed" for line in lines)


def run_all(options):
    results = options.results
    results.unlink(missing_ok=True)
    for path in test_files(options.paths):
        before = failed_records(results)
        command = [sys.executable, __file__, "--one", "--results", str(results), str(path)]
        crash = ""
        try:
            status = subprocess.run(command, timeout=options.timeout, check=False).returncode
        except subprocess.TimeoutExpired:
            status, crash = 1, f"no end after {options.timeout} s"
        if status != 0 and failed_records(results) == before:
            with open(results, "a", encoding="utf-8") as out:
                record = {"name": path.stem, "outcome": "failed",
                          "reason": crash or f"the process ended with {status}"}
                print(json.dumps(record), file=out)
            print(f"{path.stem}: failed: {record['reason']}")
    return 1 if failed_records(results) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    if options.one:
        return run_file(options.paths[0].resolve(), options.results)
    return run_all(options)


if __name__ == "__main__":
    sys.exit(main())
