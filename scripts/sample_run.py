#!/usr/bin/env python3
"""Imports the sample routes of running tenants, routes their sample sentences and prints a table.

usage: sample_run.py --tenantctl PROGRAM --socket PATH --samples DIR [--daemon-pid PID] TENANT...

Waits until every tenant runs. Exit status: 0 at least 10 of each tenant's sentences went where
they should, 1 fewer did, 2 something failed, 3 the daemon ended while it was waited for.
Everything goes through tenantctl, as a user would do it.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ENOUGH_RIGHT = 10
START_TIMEOUT_S = 60.0


class Tenantctl:
    def __init__(self, program, socket):
        self.command = [program, "--socket", socket, "--json"]

    def run(self, *arguments):
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True,
                              check=False)

    def answer(self, *arguments):
        """The JSON answer; ends the program with tenantctl's own words when it fails."""
        done = self.run(*arguments)
        if done.returncode != 0:
            print(f"tenantctl {' '.join(arguments)}: {done.stderr.strip()}", file=sys.stderr)
            sys.exit(2)
        return json.loads(done.stdout)


def has_ended(pid):
    if pid is None:
        return False
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_for_tenants(ctl, tenants, daemon_pid):
    deadline = time.monotonic() + START_TIMEOUT_S
    states = {}
    while time.monotonic() < deadline:
        if has_ended(daemon_pid):
            sys.exit(3)
        done = ctl.run("--timeout", "500ms", "tenant", "list")
        if done.returncode == 0:
            states = {t["id"]: t for t in json.loads(done.stdout)["tenants"]}
            if all(states.get(t, {}).get("state") == "running" for t in tenants):
                return
        time.sleep(0.05)
    print(f"not running after {START_TIMEOUT_S:.0f} s:", file=sys.stderr)
    for tenant in tenants:
        info = states.get(tenant, {})
        why = info.get("reason") or info.get("config_error") or "no word from tenantd"
        print(f"  {tenant}: {info.get('state', 'unknown')}: {why}", file=sys.stderr)
    sys.exit(2)


def read_queries(path):
    """(sentence, expected route) of each line that is neither empty nor a comment."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            sentence, _, route = line.partition("\t")
            rows.append((sentence, route))
    return rows


def shorten(text, width):
    return text if len(text) <= width else text[: width - 1] + "…"


def print_table(tenant, rows):
    print(f"\n{tenant}")
    print(f"    {'sentence':<50} {'route':<22} {'conf.':>5} {'dense':>6} {'lexic.':>6} "
          f"{'µs':>6}  alternatives")
    for right, sentence, expected, reply in rows:
        best = reply["best"]
        name = best["route"] + (" (fallback)" if reply["is_fallback"] else "")
        others = ", ".join(f"{a['route']} {a['confidence']:.2f}" for a in reply["alternatives"])
        latency = reply.get("latency_us")
        print(f"  {'✓' if right else '✗'} {shorten(sentence, 50):<50} {shorten(name, 22):<22} "
              f"{best['confidence']:>5.2f} {best['dense_score']:>6.2f} {best['lexical_score']:>6.2f} "
              f"{'-' if latency is None else format(latency, '.0f'):>6}  {others}")
        if not right:
            print(f"      expected: {expected}")


def route_samples(ctl, samples, tenant):
    """Imports and routes; the number of right answers and of sentences."""
    ctl.answer("routes", "import", tenant, str(samples / f"{tenant}.routes.jsonl"))
    rows = []
    for sentence, expected in read_queries(samples / f"{tenant}.queries.tsv"):
        reply = ctl.answer("query", tenant, sentence, "--alternatives", "2")
        rows.append((reply["best"]["route"] == expected, sentence, expected, reply))
    print_table(tenant, rows)
    return sum(row[0] for row in rows), len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenantctl", required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--samples", required=True, type=pathlib.Path)
    parser.add_argument("--daemon-pid", type=int)
    parser.add_argument("tenants", nargs="+")
    options = parser.parse_args()
    ctl = Tenantctl(options.tenantctl, options.socket)
    wait_for_tenants(ctl, options.tenants, options.daemon_pid)
    enough = True
    for tenant in options.tenants:
        right, total = route_samples(ctl, options.samples, tenant)
        print(f"  {right} of {total} as expected")
        enough = enough and right >= ENOUGH_RIGHT
    return 0 if enough else 1


if __name__ == "__main__":
    os.environ.pop("TENANTD_SOCKET", None)
    sys.exit(main())
