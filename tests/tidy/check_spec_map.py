#!/usr/bin/env python3
"""docs/spec-map.md says the truth about every item of the specification.

usage: check_spec_map.py [ROOT]

Items: tests/golden/spec-items.txt. A row is `item | TOML keys | CLI verb | client call | tests | state`; a state is
"done", "partly: what is open" or "open: what will do it".
"""

import re
import sys

from tree import finish, root_argument

NONE = "–"
STATE = re.compile(r"^(done|partly: .+|open: .+)$")


def rows_of(text):
    """The cells of every row of the page's tables, without the code marks."""
    rows = []
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 6:
            rows.append([c.replace("`", "") for c in cells])
    return rows


def config_keys(text):
    """Every key of a tenant's file, with its section: "router.threshold"."""
    keys, section = set(), ""
    for line in text.split("\n## The instance")[0].splitlines():
        heading = re.match(r"^#+ (?:\[(\w+)\])?", line)
        if heading:
            section = heading.group(1) + "." if heading.group(1) else ""
        row = re.match(r"^\| `(\w+)` \|", line)
        if row:
            keys.add(section + row.group(1))
    return keys


def manual_text(root):
    """The words of the manual pages without roff's marks."""
    text = "".join(p.read_text(encoding="utf-8") for p in sorted((root / "docs/man").glob("tenantctl*")))
    text = re.sub(r"\\f[BIRP]|\\&", "", text.replace("\\-", "-"))
    return re.sub(r"[\s\"]+", " ", text)


def read_all(root, pattern):
    return "".join(p.read_text(encoding="utf-8") for p in sorted(root.glob(pattern)))


def check_row(root, row, keys, manual, calls):
    item, key, verb, call, tests, state = row
    findings = [f"{item}: no key {k} in docs/config-reference.md"
                for k in key.split() if k != NONE and k not in keys]
    if verb != NONE and not re.search(rf"\b{re.escape(verb)}\b", manual):
        findings.append(f"{item}: no `{verb}` in tenantctl's manual page")
    if call != NONE and not re.search(rf"\b{re.escape(call)}\(", calls):
        findings.append(f"{item}: the client library declares no {call}()")
    findings += [f"{item}: no test {t}" for t in tests.split() if t != NONE and not (root / t).is_file()]
    if not STATE.match(state):
        findings.append(f"{item}: state \"{state}\" is neither done, partly nor open with what will do it")
    elif state == "done" and tests == NONE:
        findings.append(f"{item}: done, but no test shows it")
    return findings


def check(root):
    lines = (root / "tests/golden/spec-items.txt").read_text(encoding="utf-8").splitlines()
    items = [line for line in lines if line and not line.startswith("#")]
    rows = rows_of((root / "docs/spec-map.md").read_text(encoding="utf-8"))
    mapped = [row[0] for row in rows]
    findings = [f"{item}: not in docs/spec-map.md" for item in items if item not in mapped]
    findings += [f"{item}: not an item of the specification" for item in mapped if item not in items]
    findings += [f"{item}: mapped twice" for item in sorted({i for i in mapped if mapped.count(i) > 1})]
    keys = config_keys((root / "docs/config-reference.md").read_text(encoding="utf-8"))
    manual = manual_text(root)
    calls = read_all(root, "client/include/tenantd/*.h")
    for row in rows:
        findings += check_row(root, row, keys, manual, calls)
    return findings


if __name__ == "__main__":
    sys.exit(finish(check(root_argument()), "specification map"))
