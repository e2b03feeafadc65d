"""What many standard tenants cost the supervisor: start to serving, memory, the reload of one file.

usage: pool_scale.py [--tenants N ...] [--rounds R]    (TENANTD_BUILD names the build)

Makes N files of standard tenants, starts tenantd and prints, for each N: from exec to READY, the
supervisor's resident memory then, a list of all tenants, and from the rename of one changed file to
its first effect, which is the line in the log that says it is in force.
Medians over R changes; the load of the machine is printed, because it decides what they are worth.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import Daemon  # noqa: E402

FILE = """\
plan = "standard"
name = "{name}"

[router]
dimension = 384
encoder = "hash"
threshold = 0.4
fallback_route = "general"

[access]
token_sha256 = ["{token:064x}"]

[limits]
max_routes = 50
max_attachments = 8
"""


def tenant_name(number):
    return f"customer-{number:06d}"


def write_files(daemon, count):
    for number in range(count):
        path = daemon.tenants_dir / f"{tenant_name(number)}.toml"
        path.write_text(FILE.format(name=f"Customer {number}", token=number))
        os.chmod(path, 0o644)


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS")


def cpu_seconds(pid):
    """What its threads ran, to the nanosecond."""
    return sum(int(task.read_text().split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def reload_one(daemon, count, round_number):
    """From the rename of a changed file to the line that says it is in force, and the CPU for it."""
    tenant = tenant_name((round_number * 7919) % count)
    text = FILE.format(name=f"Renamed {round_number}", token=0)
    wanted = f"tenant={tenant}: configuration applied: live".encode()
    used = cpu_seconds(daemon.process.pid)
    with open(daemon.log_path, "rb") as log:
        log.seek(0, os.SEEK_END)
        seen = b""
        started = time.perf_counter()
        daemon.write_tenant(tenant, text)
        while wanted not in seen:
            seen += log.read()
            if time.perf_counter() > started + 60:
                raise SystemExit(f"the file of {tenant} was not taken over")
    return time.perf_counter() - started, cpu_seconds(daemon.process.pid) - used


def listed_tenants(daemon):
    done = daemon.ctl("tenant", "list", as_json=True, timeout_s=600)
    return sum(1 for one in done["tenants"] if not one["id"].startswith("tenantd-"))


def measure(count, rounds):
    daemon = Daemon(config="[log]\nlevel = \"info\"\n[pool]\nworkers = 2\n")
    try:
        write_files(daemon, count)
        started = time.perf_counter()
        daemon.start(timeout_s=300)
        ready_s = time.perf_counter() - started
        pid = daemon.process.pid
        resident = resident_mib(pid)
        ready_cpu_s = cpu_seconds(pid)
        started = time.perf_counter()
        tenants = listed_tenants(daemon)
        listed_s = time.perf_counter() - started
        if tenants != count:
            raise SystemExit(f"{tenants} tenants are listed, not {count}")
        reloads = [reload_one(daemon, count, number) for number in range(rounds)]
        print(f"{count:>7} tenants: ready after {ready_s:.2f} s ({ready_cpu_s:.2f} s CPU); supervisor {resident:.0f} MiB, "
              f"{resident_mib(pid):.0f} MiB after all; list {listed_s:.2f} s; "
              f"one file {statistics.median(r[0] for r in reloads) * 1000:.1f} ms "
              f"({statistics.median(r[1] for r in reloads) * 1000:.2f} ms CPU); "
              f"log {len(daemon.log().splitlines())} lines; "
              f"load {os.getloadavg()[0]:.2f}", flush=True)
    finally:
        daemon.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, nargs="+", default=[10, 100_000])
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    for count in options.tenants:
        measure(count, options.rounds)


if __name__ == "__main__":
    main()
