#!/usr/bin/env python3
"""Adds up the outcomes of a whole run of scripts/test and prints failures, skips and one last line.

usage: report.py LOG_DIR

Reads from LOG_DIR: `*.meson.json` (meson's testlog.json, one JSON object a line; doctest programs are
counted by test case), `*.results.jsonl` (tests/run_python_tests.py) and `*.step` (one line: the exit
status of a step that is a test itself, then what it is; 77: skipped, the next line says why). Exit status: 0 when something passed and
nothing failed.
"""

import collections
import json
import pathlib
import re
import sys

DOCTEST_SUMMARY = re.compile(
    r"\[doctest\] test cases: +(\d+) \| +(\d+) passed \| +(\d+) failed \| +(\d+) skipped")
# A case that finds that the machine lacks what it needs prints this with its reason.
SKIPPED_CASE = re.compile(r"\bskipped: (.+)")
SKIP_EXIT = 77


class Tally:
    def __init__(self):
        self.counts = collections.Counter()
        self.failures = []
        self.skips = []

    def add(self, outcome, name, reason="", count=1):
        self.counts[outcome] += count
        if outcome == "failed":
            self.failures.append((name, reason))
        if outcome == "skipped":
            self.skips.append((name, reason))


def add_meson(tally, path):
    step = path.name.removesuffix(".meson.json")
    for line in path.read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        name = f"{step}: {test['name']}"
        text = test.get("stdout", "")
        if test["result"] == "SKIP" or test["returncode"] == SKIP_EXIT:
            tally.add("skipped", name, text.strip().splitlines()[-1] if text.strip() else "no reason given")
            continue
        ran_well = test["result"] == "OK"
        summary = DOCTEST_SUMMARY.search(text)
        if summary is None:
            tally.add("passed" if ran_well else "failed", name, test["result"])
            continue
        _, passed, failed, _ = map(int, summary.groups())
        reasons = SKIPPED_CASE.findall(text)
        for reason in reasons:
            tally.add("skipped", name, reason)
        tally.counts["passed"] += max(0, passed - len(reasons))
        if failed or not ran_well:
            tally.add("failed", name, test["result"], max(1, failed))


def add_results(tally, path):
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        tally.add(record["outcome"], record["name"], record["reason"])


def add_step(tally, path):
    first, _, reason = path.read_text(encoding="utf-8").strip().partition("\n")
    status, _, what = first.partition(" ")
    if status == str(SKIP_EXIT):
        tally.add("skipped", what, reason.removeprefix("skipped: ") or "no reason given")
        return
    tally.add("passed" if status == "0" else "failed", what, f"exit status {status}")


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    logs = pathlib.Path(arguments[0])
    tally = Tally()
    for path in sorted(logs.glob("*.meson.json")):
        add_meson(tally, path)
    for path in sorted(logs.glob("*.results.jsonl")):
        add_results(tally, path)
    for path in sorted(logs.glob("*.step")):
        add_step(tally, path)
    for title, items in (("Skipped", tally.skips), ("Failed", tally.failures)):
        if items:
            print(f"\n{title}:")
        for name, reason in items:
            print(f"  {name}: {last_line(reason)}")
    counts = tally.counts
    print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
