#!/usr/bin/env python3
"""Runs a command and fails when it leaves a process, a control group or a mount of tenantd behind.

usage: contained.py [--grace SECONDS] COMMAND [ARGUMENT...]

This process becomes the subreaper (prctl(2)) of all that the command starts, so that whatever
outlives its parents is found here, however it daemonised. Exit status: the command's, or 1 when it
succeeded but left something.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def reap():
    """Takes the status of every dead child that is ours alone; never of the command itself."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def children():
    tasks = pathlib.Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def name_of(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode(errors="replace").strip() or f"pid {pid}"
    except FileNotFoundError:
        return f"pid {pid}"


def empty_cgroups():
    """Control groups of tenantd without a process in them or below them."""
    found = set()
    for folder, _, files in os.walk("/sys/fs/cgroup"):
        if ("tenantd" in folder or "/tnd-" in folder) and "cgroup.procs" in files:
            found.add(folder)
    busy = set()
    for folder in found:
        try:
            if (pathlib.Path(folder) / "cgroup.procs").read_text().strip():
                busy.add(folder)
        except OSError:
            busy.add(folder)
    return {f for f in found if not any(b == f or b.startswith(f + "/") for b in busy)}


def mounts():
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines}


def run(command):
    """The command's exit status. Orphans are reaped all along: a zombie is nobody's survivor."""
    process = subprocess.Popen(command)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode


def leftovers(grace_s):
    deadline = time.monotonic() + grace_s
    while True:
        reap()
        alive = children()
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.05)


def main(arguments):
    grace_s = 5.0
    if arguments[:1] == ["--grace"]:
        grace_s = float(arguments[1])
        arguments = arguments[2:]
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        print("contained.py: cannot become a subreaper", file=sys.stderr)
        return 2
    cgroups_before, mounts_before = empty_cgroups(), mounts()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command gets it too; we stay to clean up
    status = run(arguments)
    left = [f"process {name_of(pid)} (pid {pid})" for pid in leftovers(grace_s)]
    for pid in children():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    left += [f"control group {path}" for path in sorted(empty_cgroups() - cgroups_before)]
    left += [f"mount {path}" for path in sorted(mounts() - mounts_before)]
    for line in left:
        print(f"left behind: {line}", file=sys.stderr)
    return status if status != 0 else int(bool(left))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
