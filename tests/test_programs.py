#!/usr/bin/env python3
"""The compiled test programs of a meson build, for builds that need no more than those.

usage: test_programs.py targets|names BUILD [PATTERN]

`targets`: what ninja must build for them; `names`: what meson test calls them. PATTERN: a regular expression that a
name must match. Tests that a script drives (structure checks, installations) are left out.
"""

import json
import os
import re
import subprocess
import sys


def introspect(build, what):
    done = subprocess.run(["meson", "introspect", f"--{what}", build], capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def main(arguments):
    if len(arguments) not in (2, 3) or arguments[0] not in ("targets", "names"):
        print(__doc__, file=sys.stderr)
        return 2
    what, build, pattern = arguments[0], arguments[1], (arguments[2:] or [""])[0]
    root = os.path.realpath(build)
    files = {t["id"]: t["filename"] for t in introspect(build, "targets")}
    found = set()
    for test in introspect(build, "tests"):
        program = os.path.realpath(os.path.join(root, test["cmd"][0]))
        if not program.startswith(root + os.sep) or not re.search(pattern, test["name"]):
            continue
        if what == "names":
            found.add(test["name"])
            continue
        for target in test["depends"]:
            found.update(os.path.relpath(os.path.realpath(f), root) for f in files.get(target, []))
    if not found:
        print(f"no test program matches {pattern!r}", file=sys.stderr)
        return 1
    print("\n".join(sorted(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
