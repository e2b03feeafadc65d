#!/usr/bin/env python3
"""Fails on an #include that include_edges.txt does not allow, on a tenant binding in the wrong place, and on a call
into a tenant's router or caches that takes no execution context.

usage: check_includes.py [ROOT]
"""

import pathlib
import re
import sys

from tree import cpp_files, finish, root_argument

EDGES = pathlib.Path(__file__).with_name("include_edges.txt")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
PUBLIC_HEADERS = "tenantd/"  # as an application includes them
KEPT_LIBRARIES = {"uv.h"}
# The key to a tenant's data (worker/runtime/execution_context.h) may be turned only here.
BINDING = re.compile(r"\bTenantBinding\b")
BINDING_PLACES = ("worker/main", "worker/runtime/")
# What holds a tenant's data in memory: whatever these classes let anybody call takes a context, first.
CONTEXT_FIRST = ("worker/router/tenant_router.h", "worker/cache/tenant_cache.h", "worker/cache/routing_cache.h",
                 "worker/history/execution_recorder.h")
PUBLIC_PART = re.compile(r"^ public:\n(.*?)(?=^ private:|\Z)", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"^  (?:\[\[nodiscard\]\] )?[\w:<>, \n]*?[\w>]\s+([a-z_]\w*)\(\s*([^;]*?)\)\s*(?:const)?\s*(?:noexcept)?;",
                  re.MULTILINE)


def read_edges(path=EDGES):
    edges = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            folder, _, allowed = line.partition(":")
            edges[folder] = set(allowed.split())
    return edges


def owner(path, edges):
    """The longest folder of the table that holds the file, or None."""
    for folder in (str(p) for p in pathlib.PurePosixPath(path).parents):
        if folder in edges:
            return folder
    return None


def is_within(path, folder):
    return path == folder or path.startswith(folder + "/")


def check_file(root, path, edges):
    folder = owner(path, edges)
    if folder is None:
        return [f"{path}: its folder is not in include_edges.txt"]
    findings = []
    # A main and what is wired beside it may use every part of its own process.
    wires = "/" not in folder and str(path.parent) == folder
    text = (root / path).read_text(encoding="utf-8")
    for quoted, angled in INCLUDE.findall(text):
        if angled:
            if angled in KEPT_LIBRARIES and f"<{angled}>" not in edges[folder]:
                findings.append(f"{path}: {folder} may not include <{angled}>")
            continue
        if quoted.startswith(PUBLIC_HEADERS):
            quoted = "client/include/" + quoted
        places = [p for p in edges[folder] | {folder} if is_within(quoted, p)]
        # A folder with a line of its own is not part of the folder above it, except for what wires.
        line_of_its_own = owner(quoted, edges) or ""
        if not any(wires or len(line_of_its_own) <= len(place) for place in places):
            findings.append(f"{path}: {folder} may not include {quoted}")
    if BINDING.search(text) and not str(path).startswith(BINDING_PLACES):
        findings.append(f"{path}: only a process main and worker/runtime may bind a tenant")
    if str(path) in CONTEXT_FIRST:
        findings += check_contexts(path, text)
    return findings


def check_contexts(path, text):
    calls = [call for part in PUBLIC_PART.findall(text) for call in CALL.findall(part)]
    findings = [f"{path}: {name}() takes no execution context first"
                for name, arguments in calls if not arguments.startswith("const ExecutionContext& context")]
    if not calls:
        findings.append(f"{path}: no call found: the check looks for the wrong thing")
    return findings


def check(root):
    edges = read_edges()
    findings = []
    for path in cpp_files(root):
        findings += check_file(root, path, edges)
    return findings


if __name__ == "__main__":
    sys.exit(finish(check(root_argument()), "includes"))
