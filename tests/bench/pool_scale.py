"""What many standard tenants cost the supervisor: start to serving, memory, the reload of one file.

usage: pool_scale.py [--tenants N ...] [--rounds R] [--active A]    (TENANTD_BUILD names the build)

Makes N files of standard tenants, starts tenantd and prints, for each N: from exec to READY, the
supervisor's resident memory then, a list of all tenants, and from the rename of one changed file to
its first effect, which is the line in the log that says it is in force.
With --active then A of the tenants, spread evenly over all, get 50 routes and stay attached; ten rounds in
which each of them asks once, one after another, and what supervisor and workers hold.
Medians over R changes; the load of the machine is printed, because it decides what they are worth.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import Daemon, build_directory  # noqa: E402
from pool_bench import ROOT, route_lines  # noqa: E402

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


def with_active(daemon, count, active):
    """Attaches and uses some of the tenants, as one application with a pool of clients does."""
    os.environ["TENANTD_LIBRARY"] = str(build_directory() / "client/libtenantd.so.0")
    sys.path.insert(0, str(ROOT / "client/python"))
    import tenantd  # pylint: disable=import-outside-toplevel
    tenantd.configure(socket_path=str(daemon.socket_path))
    names = [tenant_name(number * (count // active)) for number in range(active)]
    for name in names:
        daemon.ctl("routes", "import", name, "-", stdin=route_lines(50))
    with contextlib.ExitStack() as attached:
        started = time.perf_counter()
        routers = []
        for name in names:
            attached.enter_context(tenantd.TenantContext(name))
            routers.append(tenantd.Router())
        attached_s = time.perf_counter() - started
        times = []
        for _ in range(10):
            for router in routers:
                start = time.perf_counter()
                router.route("where is the invoice number 8")
                times.append((time.perf_counter() - start) * 1e6)
        times.sort()
        everybody = daemon.ctl("tenant", "list", as_json=True, timeout_s=600)["tenants"]
        workers = sorted({one["pid"] for one in everybody if one["id"].startswith("tenantd-")})
        print(f"{active:>7} of them active: attached in {attached_s:.2f} s; a request p50 "
              f"{times[len(times) // 2]:.0f} µs, p99 {times[len(times) * 99 // 100]:.0f} µs, longest {times[-1]:.0f} µs; "
              f"supervisor {resident_mib(daemon.process.pid):.0f} MiB; workers "
              f"{', '.join(f'{resident_mib(pid):.0f}' for pid in workers)} MiB; load {os.getloadavg()[0]:.2f}", flush=True)


def measure(count, rounds, active):
    # A worker takes as many attachments as fit a quarter of its memory: rings of a thousand take 2 GiB.
    daemon = Daemon(config="[log]\nlevel = \"info\"\n[pool]\nworkers = 2\nmemory_max = \"4G\"\n"
                           "[hello]\nmax_per_second = 100000\nmax_per_second_per_uid = 100000\n")
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
        if active:
            with_active(daemon, count, min(active, count))
    finally:
        daemon.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, nargs="+", default=[10, 100_000])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--active", type=int, default=0)
    options = parser.parse_args()
    for count in options.tenants:
        measure(count, options.rounds, options.active)


if __name__ == "__main__":
    main()
