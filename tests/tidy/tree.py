"""What the structure checks share: the tree's sources and how a check reports."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("client", "control", "shared", "supervisor", "worker")
CPP = (".cpp", ".h")


def cpp_files(root, folders=CODE_FOLDERS):
    """Every C++ file below `folders`, relative to root, sorted."""
    found = []
    for folder in folders:
        found += [p.relative_to(root) for p in (root / folder).rglob("*") if p.suffix in CPP]
    return sorted(found)


def text_files(root):
    """Every file of the project that people wrote, relative to root, sorted."""
    kinds = {".cpp", ".h", ".py", ".sh", ".md", ".toml", ".build", ".service", ".in", ".txt", ".tsv",
             ".jsonl", ".conf", ".sql", ".1", ".5", ".8", ".bash", ".sysusers", ".tmpfiles", ""}
    skipped = {".git", "build", ".cache", "__pycache__"}
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if any(p in skipped or p.startswith("build-") for p in parts):
            continue
        if path.is_file() and path.suffix in kinds and "corpus" not in parts:
            found.append(path.relative_to(root))
    return sorted(found)


def finish(findings, what):
    """Prints findings; the exit status of the check."""
    for finding in findings:
        print(finding)
    print(f"{what}: {len(findings)} findings" if findings else f"{what}: fine")
    return 1 if findings else 0


def root_argument():
    return pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
