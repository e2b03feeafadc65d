#!/usr/bin/env python3
"""The whole system's figures: the path of a request, open loop, kill -9, file → first answer, reload, memory, cold
start of 100 tenants, idle CPU.

usage: system_bench.py [--rounds N] [--calls N] [--tenants N] [--idle-seconds N] [--json FILE]
       (TENANTD_BUILD must name the build)
Prints a table; every figure carries its unit and its number of runs. Ratios are to a direct socketpair stream of the
same round.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
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


def cpu_group_of(pid):
    """The directory of the control group that schedules the process; None without one."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in (["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"] if "cpu" in controllers.split(",")
                      else ["/sys/fs/cgroup"] if not controllers else []):
            directory = pathlib.Path(mount + path)
            if path != "/" and (directory / "cgroup.procs").exists() and (
                    (directory / "cpu.shares").exists() or (directory / "cpu.stat").exists()):
                return str(directory)
    return None


def pin(pid, cpus):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cpus)


@contextlib.contextmanager
def running_tenants(count):
    """Tenants without routes: their answers need no computing."""
    daemon = Daemon()
    try:
        names = [f"bench-{i}" for i in range(count)]
        for name in names:
            daemon.write_tenant(name, dimension=384, encoder="given")
        daemon.start()
        for name in names:
            daemon.wait_state(name, "running")
        yield daemon, names, [daemon.tenant(name)["pid"] for name in names]
    finally:
        daemon.close()


def bench_path(rounds, calls):
    """S: one CPU for all; X: a CPU for each side; F: four tenants at once, nobody pinned."""
    results = {}
    cpus = sorted(os.sched_getaffinity(0))
    with running_tenants(4) as (daemon, names, pids):
        for place in ("S", "X", "F"):
            if place == "X" and len(cpus) < 2:
                continue
            for pid in pids:
                pin(pid, {"S": {0}, "X": {1}, "F": set(cpus)}[place])
            group = cpu_group_of(pids[0])
            command = [str(build_directory() / "tests/bench/path_bench"), daemon.socket_path, ",".join(names),
                       place, str(rounds), str(calls), *([group] if group and place != "F" else [])]
            results[place] = json.loads(subprocess.run(command, capture_output=True, text=True,
                                                       check=True).stdout)
    return results


def bench_open_loop(rates, seconds):
    """Requests at an even rate: latency from when each was due, CPU time of client and worker a request."""
    results = {}
    with running_tenants(1) as (daemon, names, pids):
        for rate in rates:
            before = cpu_ms(pids[0])
            report = daemon.ctl("bench", names[0], "--rate", str(rate), "--duration", f"{seconds}s",
                                "--warm-up", "0ms", as_json=True, check=False)
            report = report if isinstance(report, dict) else json.loads(report.stdout)
            report["worker_cpu_us_per_request"] = (cpu_ms(pids[0]) - before) * 1e3 / max(report["answered"], 1)
            results[rate] = report
    return results


def bench_kill(runs):
    """kill -9 of a worker to the first good answer of its successor, the client's process included."""
    helper = str(build_directory() / "tests/bench/first_answer")
    samples = []
    with running_tenants(runs) as (daemon, names, pids):
        for name, pid in zip(names, pids):
            started = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            subprocess.run([helper, daemon.socket_path, name], check=True)
            samples.append((time.monotonic() - started) * 1e3)
    return samples


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


# Two seconds after its start a worker looks once for records that are past their retention.
SETTLE_S = 5


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
        supervisor_pss = smaps_kib(daemon.process.pid, "Pss")
        time.sleep(SETTLE_S)
        before = {pid: cpu_ms(pid) for pid in everybody}
        time.sleep(idle_seconds)
        idle = sum(cpu_ms(pid) - before[pid] for pid in everybody)
        return {"cold_to_ready_s": cold_s, "worker_pss_kib": statistics.median(pss),
                "worker_pss_max_kib": max(pss), "supervisor_rss_kib": rss_kib(daemon.process.pid),
                "supervisor_pss_kib": supervisor_pss,
                "worker_cgroup_memory_kib": statistics.median(t["memory_bytes"] for t in infos) / 1024,
                "idle_cpu_ms": idle, "idle_seconds": idle_seconds, "tenants": tenants}
    finally:
        daemon.close()


PLACES = {"S": "S: client and worker on one CPU", "X": "X: a CPU for each side",
          "F": "F: four tenants at once, nobody pinned"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    results = {"path": bench_path(options.rounds, options.calls)}
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    print("1,600 B there, 64 B back, beside a socketpair of the same round, plain and (in group) with its server in the "
          f"worker's control group\n(medians of {options.rounds} shuffled rounds; load {load})")
    for place, figures in results["path"].items():
        print(f"{PLACES[place]}\n  {'subject/in flight/at once':<30}{'p50 µs':>9}{'p99 µs':>9}{'req/s':>10}"
              f"{'p50 ratio':>11}{'in group':>10}{'p99 ratio':>11}{'rate ratio':>12}")
        for name, figure in figures.items():
            print(f"  {name:<30}{figure['p50_us']:>9.2f}{figure['p99_us']:>9.1f}{figure['per_second']:>10.0f}"
                  f"{figure['p50_ratio']:>11.3f}{figure['p50_group_ratio'] or float('nan'):>10.3f}"
                  f"{figure['p99_ratio']:>11.2f}{figure['rate_ratio']:>12.2f}")
    results["open_loop"] = bench_open_loop((100, 1000), 5)
    for rate, report in results["open_loop"].items():
        latency = report["latency_us"]
        print(f"open loop, {rate}/s: p50 {latency['p50']:.1f} µs, p99 {latency['p99']:.1f} µs from when each was due; "
              f"CPU a request: client {report['cpu_us_per_request']:.1f} µs, "
              f"worker {report['worker_cpu_us_per_request']:.1f} µs")
    samples = bench_kill(11)
    results["kill_ms"] = {"p50": statistics.median(samples), "max": max(samples), "runs": len(samples)}
    print(f"kill -9 → first good answer: p50 {statistics.median(samples):.1f} ms, max {max(samples):.1f} ms "
          f"({len(samples)} runs, client process included)")
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
    print(f"idle worker PSS: median {many['worker_pss_kib'] / 1024:.2f} MiB, its group's memory.current median "
          f"{many['worker_cgroup_memory_kib'] / 1024:.2f} MiB; supervisor RSS "
          f"{many['supervisor_rss_kib'] / 1024:.1f} MiB, PSS {many['supervisor_pss_kib'] / 1024:.1f} MiB")
    print(f"idle CPU of all processes over {many['idle_seconds']} s: {many['idle_cpu_ms']:.2f} ms")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    if not os.environ.get("TENANTD_BUILD"):
        sys.exit("TENANTD_BUILD must name a build directory; scripts/bench sets it")
    sys.exit(main())
