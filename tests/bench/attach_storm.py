#!/usr/bin/env python3
"""How long an innocent user waits to be attached while others storm the supervisor with hellos.

usage: attach_storm.py [--rounds N] [--seconds N] [--json FILE]     (as root; TENANTD_BUILD must name the build)
Each round measures, shuffled, no storm and every storm: one hostile user with 10,000 connections a second of each
kind (tests/isolation/hostile/hello_storm.cpp), and twelve users with 1,000 each. The innocent is another user who
attaches to another tenant 100 times a second. Latency is from connect(2) to the worker's first frame.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import Daemon  # noqa: E402
from hostile import cpu_ns, storm, storm_result  # noqa: E402

HOSTILE_UID, INNOCENT_UID = 61001, 62001
KINDS = ("hello", "half", "slow", "close", "garbage", "fds")


def start_storm(path, name, seconds):
    if name == "none":
        return []
    if name == "12 users":
        return [storm(path, "hello", HOSTILE_UID + 1 + i, seconds, 1000) for i in range(12)]
    return [storm(path, name, HOSTILE_UID, seconds, 10_000)]


def measure(daemon, name, seconds):
    storms = start_storm(daemon.socket_path, name, seconds + 1)
    before = cpu_ns(daemon.process.pid)
    latencies, counts = storm_result(storm(daemon.socket_path, "innocent", INNOCENT_UID, seconds, 100, "globex"))
    used = (cpu_ns(daemon.process.pid) - before) / 1e9 / seconds
    sent = [storm_result(process)[1] for process in storms]
    latencies.sort()
    return {"p50_us": latencies[len(latencies) // 2], "p99_us": latencies[len(latencies) * 99 // 100],
            "max_us": latencies[-1], "lost": counts["connected"] - counts["welcomed"] + counts["failed"],
            "connected_per_s": sum(s["connected"] for s in sent) / (seconds + 1), "supervisor_cpu": used}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("attach storms: skipped: needs root to act as several users")
        return
    names = ["none", *KINDS, "12 users"]
    found = {name: [] for name in names}
    daemon = Daemon()
    try:
        daemon.write_tenant("acme", access=f"users = [{HOSTILE_UID}]")
        daemon.write_tenant("globex", access=f"users = [{INNOCENT_UID}]")
        daemon.start()
        for tenant in ("acme", "globex"):
            daemon.wait_state(tenant, "running")
        for _ in range(options.rounds):
            for name in random.sample(names, len(names)):
                found[name].append(measure(daemon, name, options.seconds))
    finally:
        daemon.close()
    middle = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
              for name, runs in found.items()}
    print(f"an innocent user's attach during a storm, medians of {options.rounds} runs")
    print(f"{'storm':10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'p99 / quiet':>12} {'lost':>5} "
          f"{'connections/s':>14} {'supervisor CPU':>15}")
    for name, figures in middle.items():
        print(f"{name:10} {figures['p50_us'] / 1000:8.2f} {figures['p99_us'] / 1000:8.2f} "
              f"{figures['max_us'] / 1000:8.2f} {figures['p99_us'] / middle['none']['p99_us']:12.1f} "
              f"{figures['lost']:5.0f} {figures['connected_per_s']:14.0f} {figures['supervisor_cpu']:14.1%}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"attach_storm": found}, indent=1))


if __name__ == "__main__":
    main()
