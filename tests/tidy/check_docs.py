#!/usr/bin/env python3
"""Every relative link of the documentation resolves, and the README maps every top-level folder.

usage: check_docs.py [ROOT]
"""

import re
import sys

from tree import finish, root_argument, text_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def slug(heading):
    """The anchor that a heading gets where Markdown is rendered."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def anchors(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {slug(line.lstrip("#")) for line in text.splitlines() if line.startswith("#")}


def check_links(root, path):
    findings = []
    text = CODE.sub("", (root / path).read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        full = (root / path).parent / target if target else root / path
        if not full.exists():
            findings.append(f"{path}: a link to {link}, which is not there")
        elif anchor and full.suffix == ".md" and anchor not in anchors(full):
            findings.append(f"{path}: a link to {link}: no such heading")
    return findings


def check_map(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    folders = [p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith((".git", "build", ".cache"))]
    return [f"README.md: its folder map does not explain {name}/" for name in sorted(folders)
            if f"{name}/" not in readme]


def check(root):
    findings = check_map(root)
    for path in text_files(root):
        if path.suffix == ".md":
            findings += check_links(root, path)
    return findings


if __name__ == "__main__":
    sys.exit(finish(check(root_argument()), "docs"))
