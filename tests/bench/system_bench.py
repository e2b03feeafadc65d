#!/usr/bin/env python3
"""The whole system's figures: call latency, file → first answer, reload, memory, cold start of 100 tenants, idle CPU.

usage: system_bench.py [--rounds N] [--tenants N] [--idle-seconds N] [--json FILE]     (TENANTD_BUILD must name the build)
Prints a table; every figure carries its unit and its number of runs. Ratios are to a direct socketpair stream of the
same round.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import Daemon, SAMPLE_ROUTES, build_directory, wait_until  # noqa: E402


def smaps_kib(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def cpu_ms(pid):
    """Time on a CPU in milliseconds, to the nanosecond from the scheduler, of all threads."""
    total_ns = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e6


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def bench_calls(rounds):
    daemon = Daemon()
    try:
        daemon.write_tenant("bench", dimension=384, encoder="given")
        daemon.start()
        daemon.wait_state("bench", "running")
        routes = "".join(json.dumps({"id": f"r{i}", "utterances": [
            {"text": f"route {i}", "embedding": [float((i * 37 + j * 11) % 97 - 48) for j in range(384)]}]})
            + "\n" for i in range(8))
        daemon.ctl("routes", "import", "bench", "-", stdin=routes)
        done = subprocess.run([str(build_directory() / "tests/bench/call_bench"), daemon.socket_path,
                               "bench", "384", str(rounds), "4000"], capture_output=True, text=True,
                              check=True)
        return json.loads(done.stdout)
    finally:
        daemon.close()


def bench_first_answer(runs):
    daemon = Daemon()
    helper = str(build_directory() / "tests/bench/first_answer")
    try:
        daemon.start()
        samples = []
        for i in range(runs):
            tenant = f"fresh-{i}"
            started = time.monotonic()
            daemon.write_tenant(tenant)
            subprocess.run([helper, daemon.socket_path, tenant], check=True)
            samples.append((time.monotonic() - started) * 1e3)
        return samples
    finally:
        daemon.close()


def bench_reload(runs):
    """A changed threshold, from the file's rename to the first answer that obeys it."""
    daemon = Daemon()
    helper = str(build_directory() / "tests/bench/first_answer")
    text = "where is my parcel, it should be here"
    try:
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        daemon.add_routes("acme", SAMPLE_ROUTES)
        samples = []
        for i in range(runs):
            started = time.monotonic()
            daemon.write_tenant("acme", threshold=1.0 if i % 2 == 0 else 0.0)
            subprocess.run([helper, daemon.socket_path, "acme", text, "fallback" if i % 2 == 0 else "match"],
                           check=True)
            samples.append((time.monotonic() - started) * 1e3)
        return samples
    finally:
        daemon.close()


def bench_many(tenants, idle_seconds):
    daemon = Daemon(config=f"start_concurrency = 8\nmax_workers = {tenants + 10}\n")
    try:
        for i in range(tenants):
            daemon.write_tenant(f"t{i:04d}")
        started = time.monotonic()
        daemon.start(timeout_s=120)
        wait_until(lambda: daemon.ctl("status", as_json=True)["daemon"]["running"] == tenants,
                   f"{tenants} running tenants", timeout_s=120, interval_s=0.02)
        cold_s = time.monotonic() - started
        infos = [t for t in daemon.tenants().values() if t["state"] == "running"]
        workers = [info["pid"] for info in infos]
        everybody = [daemon.process.pid, *workers, *(set(children_of(daemon.process.pid)) - set(workers))]
        pss = [smaps_kib(pid, "Pss") for pid in workers]
        before = {pid: cpu_ms(pid) for pid in everybody}
        time.sleep(idle_seconds)
        idle = sum(cpu_ms(pid) - before[pid] for pid in everybody)
        return {"cold_to_ready_s": cold_s, "worker_pss_kib": statistics.median(pss),
                "worker_pss_max_kib": max(pss), "supervisor_rss_kib": rss_kib(daemon.process.pid),
                "worker_cgroup_memory_kib": statistics.median(t["memory_bytes"] for t in infos) / 1024,
                "idle_cpu_ms": idle, "idle_seconds": idle_seconds, "tenants": tenants}
    finally:
        daemon.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    results = {"calls": bench_calls(options.rounds)}
    print(f"one call at a time, 1,600 B there, 64 B back (medians of {options.rounds} shuffled rounds)")
    print(f"  {'path':<14}{'p50 µs':>9}{'p99 µs':>9}{'calls/s':>10}{'p50 ratio':>11}")
    for name, figure in results["calls"].items():
        print(f"  {name:<14}{figure['p50_us']:>9.1f}{figure['p99_us']:>9.1f}{figure['per_second']:>10.0f}"
              f"{figure['p50_ratio']:>11.2f}")
    samples = bench_first_answer(21)
    results["first_answer_ms"] = {"p50": statistics.median(samples), "max": max(samples), "runs": len(samples)}
    print(f"file dropped → first answer: p50 {statistics.median(samples):.1f} ms, max {max(samples):.1f} ms "
          f"({len(samples)} runs, client process included)")
    samples = bench_reload(20)
    results["reload_ms"] = {"p50": statistics.median(samples), "max": max(samples), "runs": len(samples)}
    print(f"threshold changed in the file → first answer that obeys it: p50 {statistics.median(samples):.1f} ms, "
          f"max {max(samples):.1f} ms ({len(samples)} runs, client process included)")
    many = results["many"] = bench_many(options.tenants, options.idle_seconds)
    print(f"{many['tenants']} tenants from cold to ready: {many['cold_to_ready_s']:.2f} s (1 run)")
    print(f"idle worker PSS: median {many['worker_pss_kib'] / 1024:.2f} MiB, cgroup memory median "
          f"{many['worker_cgroup_memory_kib'] / 1024:.2f} MiB; supervisor RSS "
          f"{many['supervisor_rss_kib'] / 1024:.1f} MiB")
    print(f"idle CPU of all processes over {many['idle_seconds']} s: {many['idle_cpu_ms']:.2f} ms")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    if not os.environ.get("TENANTD_BUILD"):
        sys.exit("TENANTD_BUILD must name a build directory; scripts/bench sets it")
    sys.exit(main())
