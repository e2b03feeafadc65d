#!/usr/bin/env python3
"""Every header compiles alone.

A header that its own source file includes before anything else does so in every build; the others are compiled here.

usage: check_headers.py [--jobs N] [ROOT]
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

from tree import ROOT, cpp_files, finish

COMMAND = ["g++", "-std=c++20", "-fsyntax-only", "-x", "c++", "-w",
           '-DTENANTD_VERSION="0"']


def is_first_in_its_source(root, header):
    source = (root / header).with_suffix(".cpp")
    if not source.exists():
        return False
    includes = re.findall(r'^#include [<"]([^>"]+)[>"]', source.read_text(encoding="utf-8"), re.MULTILINE)
    return bool(includes) and includes[0] == header.as_posix()


def compile_alone(root, header):
    done = subprocess.run([*COMMAND, "-I", str(root), "-I", str(root / "client/include"), str(root / header)],
                          capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    first = next((line for line in done.stderr.splitlines() if "error" in line), "failed")
    return f"{header}: does not compile alone: {first}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=ROOT)
    options = parser.parse_args()
    headers = [p for p in cpp_files(options.root) if p.suffix == ".h"]
    alone = [header for header in headers if not is_first_in_its_source(options.root, header)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda header: compile_alone(options.root, header), alone)
        findings = [finding for finding in results if finding]
    if not headers:
        findings.append("no header found: the check looked in the wrong place")
    return finish(findings, f"{len(headers)} headers, {len(alone)} of them compiled here")


if __name__ == "__main__":
    sys.exit(main())
