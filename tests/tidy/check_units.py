#!/usr/bin/env python3
"""The unit files say what survival needs, and systemd finds nothing wrong in them.

usage: check_units.py DIRECTORY [SYSTEMD_ANALYZE]

Without systemd-analyze only the first half is checked, and the output says so.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from tree import finish

# Why each: docs/operations.md, "Upgrade and survival".
NEEDED = {
    "tenantd.service": ("Type=notify", "StartLimitIntervalSec=0", "Restart=always", "Delegate=yes",
                        "KillMode=mixed", "RuntimeDirectoryPreserve=yes", "OOMPolicy=continue",
                        "Requires=tenantd-workers.service", "After=tenantd-workers.service"),
    "tenantd-workers.service": ("Delegate=yes", "StopWhenUnneeded=yes", "Type=notify", "OOMPolicy=continue",
                                "KillMode=control-group"),
}


def verify(directory, analyze):
    """systemd-analyze's complaints about copies whose programs exist."""
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            lines = (directory / name).read_text(encoding="utf-8").splitlines()
            lines = [line.split("=", 1)[0] + "=/bin/true" if line.startswith(("ExecStart=", "ExecStopPost=")) else line
                     for line in lines]
            (pathlib.Path(folder) / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run([analyze, "verify", "--man=no", *(f"{folder}/{name}" for name in NEEDED)],
                              capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if folder in line or "tenantd" in line]
        return complaints or ([done.stderr.strip()] if done.returncode != 0 else [])


def main():
    directory = pathlib.Path(sys.argv[1])
    findings = []
    for name, needed in NEEDED.items():
        lines = (directory / name).read_text(encoding="utf-8").splitlines()
        findings += [f"{name}: lacks {line}" for line in needed if line not in lines]
        findings += [f"{name}: {line}: a path was not filled in" for line in lines if "@" in line]
    service = (directory / "tenantd.service").read_text(encoding="utf-8")
    if "--workers-outlive-stop" not in service:
        findings.append("tenantd.service: a stop of the supervisor would take the workers along")
    analyze = sys.argv[2] if len(sys.argv) > 2 else ""
    if analyze and shutil.which(analyze):
        findings += verify(directory, analyze)
    else:
        print("systemd-analyze is not here: its half of this check did not run")
    return finish(findings, "units")


if __name__ == "__main__":
    sys.exit(main())
