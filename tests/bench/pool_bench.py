"""What sharing a worker costs its tenants: waking one that sleeps, and a neighbour at full blast.

usage: pool_bench.py [--cold N] [--rounds R] [--seconds S]    (TENANTD_BUILD names the build)

Activation: N tenants with 50 routes each in one pooled worker that has just started; the first call
of each, attachment included, beside a second one. Fairness: in R rounds, a quiet tenant's open loop
of 200 requests a second alone, then beside another tenant with four connections of 64 in flight in the
same worker, then (what the processors alone would do) beside that load on a worker of its own.
Medians; the load of the machine is printed, because it decides what they are worth.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from harness import Daemon, build_directory, programs_directory, tenant_toml  # noqa: E402

STANDARD = 'plan = "standard"\n[router]\ndimension = 384\nencoder = "hash"\nthreshold = 0.0\nfallback_route = "x"\n'


def route_lines(count):
    topics = ["invoice", "password", "parcel", "refund", "contract", "meeting", "printer", "holiday"]
    lines = []
    for number in range(count):
        topic = topics[number % len(topics)]
        texts = [f"{verb} the {topic} number {number}" for verb in ("where is", "cancel", "change")]
        lines.append(json.dumps({"id": f"route-{number}", "utterances": texts}))
    return "\n".join(lines) + "\n"


def measure_activation(daemon, tenants):
    os.environ["TENANTD_LIBRARY"] = str(build_directory() / "client/libtenantd.so.0")
    sys.path.insert(0, str(ROOT / "client/python"))
    import tenantd  # pylint: disable=import-outside-toplevel
    tenantd.configure(socket_path=str(daemon.socket_path))
    with tenantd.TenantContext(tenants[0]):
        tenantd.Router().route("warm up the library")
    first, second = [], []
    for tenant in tenants[1:]:
        with tenantd.TenantContext(tenant):
            router = tenantd.Router()
            for times in (first, second):
                start = time.perf_counter()
                router.route("where is the invoice number 8")
                times.append((time.perf_counter() - start) * 1e3)
    return first, second


def bench(daemon, tenant, *options):
    return [str(programs_directory() / "tenantctl"), "--socket", str(daemon.socket_path), "bench", tenant,
            "--json", *options]


def latency(daemon, seconds):
    done = subprocess.run(bench(daemon, "quiet", "--rate", "200", "--duration", f"{seconds}s"),
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def beside(daemon, tenant, seconds):
    loud = subprocess.Popen(bench(daemon, tenant, "--connections", "4", "--depth", "64", "--duration",
                                  f"{seconds + 3}s"), stdout=subprocess.DEVNULL)
    time.sleep(1)  # its warm-up; not synchronisation: what is measured begins after it in any case
    try:
        return latency(daemon, seconds)
    finally:
        loud.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cold", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f}")
    daemon = Daemon(config="[pool]\nworkers = 1\n")
    try:
        tenants = [f"cold-{number}" for number in range(options.cold + 1)]
        for tenant in [*tenants, "quiet", "loud"]:
            daemon.write_tenant(tenant, STANDARD)
        daemon.write_tenant("apart", tenant_toml("apart", dimension=384))
        daemon.start()
        lines = route_lines(50)
        for tenant in [*tenants, "quiet", "loud", "apart"]:
            daemon.ctl("routes", "import", tenant, "-", stdin=lines)
        daemon.ctl("tenant", "restart", "tenantd-pool-0")
        daemon.wait_state("tenantd-pool-0", "running")
        first, second = measure_activation(daemon, tenants)
        print(f"first call of {len(first)} sleeping tenants with 50 routes: p50 {statistics.median(first):.2f} ms, "
              f"p99 {sorted(first)[len(first) * 99 // 100]:.2f} ms; the next call: p50 {statistics.median(second):.3f} ms")
        rows = {"alone": [], "beside one in the same worker": [], "beside one in another worker": []}
        for _ in range(options.rounds):
            rows["alone"].append(latency(daemon, options.seconds))
            rows["beside one in the same worker"].append(beside(daemon, "loud", options.seconds))
            rows["beside one in another worker"].append(beside(daemon, "apart", options.seconds))
        base = None
        for name, reports in rows.items():
            p50, p99 = (statistics.median(report["latency_us"][key] for report in reports) for key in ("p50", "p99"))
            base = base or p99
            print(f"quiet tenant {name:32} p50 {p50:8.1f} us  p99 {p99:8.1f} us  p99 / alone {p99 / base:.2f}")
    finally:
        daemon.close()


if __name__ == "__main__":
    main()
