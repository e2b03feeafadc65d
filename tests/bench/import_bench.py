#!/usr/bin/env python3
"""An import of many vectors through tenantctl, and how soon a worker that holds them is ready again.

usage: import_bench.py [--vectors N] [--route-size N] [--restarts N]     (TENANTD_BUILD must name the build)
Prints seconds of the import, and of each restart how long the new worker took to be ready, with the load of the
machine before and after.
"""

import argparse
import json
import os
import pathlib
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import Daemon, wait_until  # noqa: E402

DIMENSION = 384


def write_routes(directory, vectors, route_size):
    dice = random.Random(1)
    words = [f"w{i}" for i in range(4000)]
    base = [struct.pack(f"<{DIMENSION}f", *(dice.gauss(0, 1) for _ in range(DIMENSION))) for _ in range(997)]
    with open(directory / "routes.jsonl", "w", encoding="utf-8") as lines, \
            open(directory / "vectors.f32", "wb") as floats:
        for first in range(0, vectors, route_size):
            size = min(route_size, vectors - first)
            texts = [" ".join(words[int(len(words) * dice.random() ** 4)] for _ in range(8)) for _ in range(size)]
            lines.write(json.dumps({"id": f"r{first:07d}", "utterances": texts}) + "\n")
            for i in range(first, first + size):
                row = base[i % len(base)]
                # All different: one float of its own.
                floats.write(struct.pack("<f", (i % 9973) / 997.0) + row[4:])


def cpu_seconds(pid):
    """Time on a CPU of all threads."""
    total_ns = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total_ns / 1e9


def wait_until_idle(pid):
    """Seconds until the worker had used no CPU for half a second."""
    start = time.monotonic()
    last, since = cpu_seconds(pid), start
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now = cpu_seconds(pid)
        if now - last > 0.001:
            last, since = now, time.monotonic()
    return since - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--route-size", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        write_routes(directory, options.vectors, options.route_size)
        print(f"load {os.getloadavg()[0]:.1f} before")
        daemon = Daemon(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\ncrash_loop_count = 1000\n')
        try:
            daemon.write_tenant("acme", dimension=DIMENSION, encoder="given",
                                memory_max="2G",
                                extra=f"[limits]\nmax_embeddings = {options.vectors}\n"
                                      f"max_routes = {options.vectors}\n")
            daemon.start()
            daemon.wait_state("acme", "running")
            pid = daemon.tenant("acme")["pid"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.monotonic()
            daemon.ctl("routes", "import", "acme", str(directory / "routes.jsonl"), "--embeddings",
                       str(directory / "vectors.f32"), "--dimension", str(DIMENSION), "--encoder", "given",
                       timeout_s=600)
            elapsed = time.monotonic() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"import of {options.vectors} vectors: {elapsed:.2f} s; on a CPU: worker {cpu_seconds(pid):.2f} s, "
                  f"tenantctl {own:.2f} s; {daemon.ctl('routes', 'status', 'acme').stdout}")
            settled_s = wait_until_idle(pid)
            print(f"then at work for another {settled_s:.1f} s, after which the next start is prepared")
            for _ in range(options.restarts):
                pid = daemon.tenant("acme")["pid"]
                os.kill(pid, signal.SIGKILL)
                start = time.monotonic()
                wait_until(lambda p=pid: daemon.tenant("acme").get("pid") not in (0, None, p), "a new worker", 120)
                daemon.wait_state("acme", "running", timeout_s=120)
                elapsed = time.monotonic() - start
                starts = re.findall(r"worker ready: after (\d+) ms", daemon.log())
                print(f"ready {starts[-1]} ms after its start, {elapsed * 1000:.0f} ms after kill -9 of the one before")
        finally:
            daemon.close()
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
