#!/usr/bin/env python3
"""House rules that a machine can check: sizes, head comments, leftovers, top-level entries, shipped configs.

usage: check_sources.py [ROOT]
"""

import pathlib
import re
import sys

from tree import CODE_FOLDERS, cpp_files, finish, root_argument, text_files

MAX_LINES = 400
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
# Paths that exist on a builder's machine only.
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(work|root|Users|builds?)/[\w.-]+")
GENERATED = ("docs/config-reference.md",)
IGNORED_TOP_LEVEL = {".git", ".cache", "compile_commands.json"}


def check_file(root, path):
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    findings = []
    if path.suffix in (".cpp", ".h", ".py") and len(lines) > MAX_LINES:
        findings.append(f"{path}: {len(lines)} lines, {MAX_LINES} allowed: one concept a file")
    if path.suffix in (".cpp", ".h"):
        # The header's comment speaks for the file of the same name beside it.
        beside = [(root / path).with_suffix(".h"), root / f"client/include/tenantd/{path.stem}.h"]
        needs_comment = path.suffix == ".h" or not any(header.exists() for header in beside)
        if path.parts[0] != "tests" and needs_comment and not text.startswith("// "):
            findings.append(f"{path}: no comment at its head: what for, which process, what it trusts")
        if path.suffix == ".h" and "#pragma once" not in text:
            findings.append(f"{path}: no #pragma once")
    for number, line in enumerate(lines, 1):
        if LEFTOVER.search(line):
            findings.append(f"{path}:{number}: a leftover mark: do it or file an issue")
        for match in MACHINE_PATH.finditer(line):
            findings.append(f"{path}:{number}: a path of one machine: {match.group(0)}")
    return findings


def check_top_level(root):
    listed = (pathlib.Path(__file__).with_name("top_level.txt")).read_text(encoding="utf-8")
    allowed = {line for line in listed.splitlines() if line and not line.startswith("#")}
    present = {p.name for p in root.iterdir() if not p.name.startswith("build")} - IGNORED_TOP_LEVEL
    findings = [f"{name}: not in tests/tidy/top_level.txt" for name in sorted(present - allowed)]
    return findings + [f"{name}: in tests/tidy/top_level.txt, but not there"
                       for name in sorted(allowed - present)]


def check_shipped_configs(root):
    """Every shipped configuration is named, or its folder is globbed, by a test."""
    tests = "\n".join(p.read_text(encoding="utf-8", errors="replace")
                      for p in sorted((root / "tests").rglob("*")) if p.suffix in (".cpp", ".py", ".build"))
    tests += (root / "scripts/quickstart").read_text(encoding="utf-8")
    findings = []
    for config in sorted((root / "configs").rglob("*.toml")):
        name = str(config.relative_to(root))
        folder = str(config.relative_to(root).parent)
        if name not in tests and f"{folder}/*.toml" not in tests:
            findings.append(f"{name}: no test loads it")
    return findings


def check(root):
    findings = check_top_level(root) + check_shipped_configs(root)
    for path in text_files(root):
        if str(path) not in GENERATED:
            findings += check_file(root, path)
    if not cpp_files(root, CODE_FOLDERS):
        findings.append("no C++ file found: the check looked in the wrong place")
    return findings


if __name__ == "__main__":
    sys.exit(finish(check(root_argument()), "sources"))
