"""Platinum tenants: CPUs of their own, guaranteed memory, and what the host cannot give.

Partitions and guarantees need systemd and cgroup v2: tests/vm/guest/test_platinum.py.
"""

import json
import os
import pathlib
import unittest

from harness import IS_ROOT, DaemonTest, process_alive, tenant_toml, wait_until

CPUSET_V1 = pathlib.Path("/sys/fs/cgroup/cpuset")
IS_V2 = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
ALLOWED = sorted(os.sched_getaffinity(0))
OWN = ALLOWED[-1]  # the CPU that these tests set aside
ASIDE = f'[physical]\ncpus = "{OWN}"\n'
NO_MEMORY = 'guaranteed_memory = "0M"'


def platinum(name, physical=NO_MEMORY, start="eager"):
    text = tenant_toml(name, extra=f"[physical]\n{physical}\n")
    return f'start = "{start}"\n' + text.replace('plan = "premium"', 'plan = "platinum"')


def allowed_of(pid):
    """The CPUs of every thread of a process, as a set of frozensets."""
    return {frozenset(os.sched_getaffinity(int(task)))
            for task in os.listdir(f"/proc/{pid}/task")}


def find_probes(value):
    """Every probe of a report, however deep."""
    if isinstance(value, list):
        return [one for part in value for one in find_probes(part)]
    if not isinstance(value, dict):
        return []
    own = [value] if "outcome" in value and "name" in value else []
    return own + [one for part in value.values() for one in find_probes(part)]


def children_of(pid):
    return [int(word) for word in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@unittest.skipIf(len(ALLOWED) < 2, "needs a CPU to set aside and one for everything else")
class DedicatedCpus(DaemonTest):
    def host(self, tenants=(), config=ASIDE, **options):
        daemon = self.daemon(config=config, **options)
        for name, text in tenants:
            daemon.write_tenant(name, text)
        return daemon.start()

    def check_everybody(self, daemon, owner):
        """The owner's worker has exactly its CPU, and no thread of anything else may use it."""
        everybody = {daemon.process.pid, *children_of(daemon.process.pid),
                     *(info["pid"] for info in daemon.tenants().values() if info["pid"])}
        self.assertGreaterEqual(len(everybody), 2)
        for pid in everybody:
            for cpus in allowed_of(pid):
                if pid == owner:
                    self.assertEqual(cpus, {OWN})
                else:
                    self.assertNotIn(OWN, cpus, f"process {pid}")

    def test_nobody_else_runs_where_a_platinum_tenant_does(self):
        standard = tenant_toml("many").replace('plan = "premium"', 'plan = "standard"')
        standard = 'start = "eager"\n' + standard[:standard.index("[resources]")]
        daemon = self.host([("acme", platinum("acme")), ("other", 'start = "eager"\n' +
                            tenant_toml("other")), ("many", standard)],
                           ASIDE + "[pool]\nworkers = 1\n")
        for tenant in ("acme", "other", "tenantd-pool-0"):
            daemon.wait_state(tenant, "running")
        pid = daemon.tenant("acme")["pid"]
        self.check_everybody(daemon, pid)
        self.assertEqual(daemon.tenant("acme")["cpu_quota_millicores"] % 1000, 0)
        if not IS_V2 and CPUSET_V1.is_dir() and IS_ROOT:
            groups = CPUSET_V1 / daemon.cgroup
            self.assertEqual((groups / "tenants/acme/cpuset.cpus").read_text().strip(), str(OWN))
            self.assertNotIn(str(OWN), (groups / "tenants/other/cpuset.cpus").read_text())
            self.assertNotIn(str(OWN), (groups / "control/cpuset.cpus").read_text())
            cgroup = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
            self.assertIn(f"cpuset:/{daemon.cgroup}/tenants/acme/g", cgroup)
        self.assertIn(f"CPUs {OWN} are set aside", daemon.log())
        shown = daemon.tenant("acme")
        self.assertEqual((shown["dedicated_cpus"], shown["cpu_exclusivity"]), (str(OWN), "tenantd"))
        whole = daemon.ctl("status", as_json=True)["daemon"]
        self.assertEqual((whole["set_aside_cpus"], whole["dedicated_cpus"]), (str(OWN), str(OWN)))
        self.assertIn(f"{OWN}, no other process of tenantd runs there",
                      daemon.ctl("tenant", "status", "acme").stdout)

    def test_the_verifier_looks_at_every_threads_cpus(self):
        daemon = self.host([("acme", platinum("acme")),
                            ("other", 'start = "eager"\n' + tenant_toml("other"))])
        daemon.wait_state("acme", "running")
        daemon.wait_state("other", "running")
        outcome = self.probe(daemon)
        self.assertEqual((outcome["outcome"], outcome["evidence"]),
                         ("passed", f"cpus_allowed={OWN}"))
        # Somebody else's worker may run there: out of its cpuset group, where there is one.
        other = daemon.tenant("other")["pid"]
        if CPUSET_V1.is_dir() and not IS_V2:
            (CPUSET_V1 / "cgroup.procs").write_text(str(other))
        try:
            os.sched_setaffinity(other, {OWN})
        except OSError:
            self.skipTest("a cpuset group of cgroup v2 keeps it away")
        outcome = self.probe(daemon)
        self.assertEqual(outcome["outcome"], "failed")
        self.assertIn(f"other may run on {OWN}", outcome["evidence"])

    def probe(self, daemon):
        done = daemon.ctl("--json", "verify", "acme", "--check", "resource", check=False)
        report = json.loads(done.stdout)
        found = [one for one in find_probes(report) if one["name"] == "resource.dedicated_cpus"]
        self.assertEqual(len(found), 1, done.stdout)
        return found[0]

    def test_the_second_is_refused_with_numbers_and_runs_when_the_first_has_gone(self):
        daemon = self.host([("acme", platinum("acme"))])
        daemon.wait_state("acme", "running")
        daemon.write_tenant("globex", platinum("globex"))
        refused = daemon.wait_state("globex", "refused")
        self.assertIn(f"wants 1 CPU of its own; 0 of the 1 set aside ({OWN}) are free: "
                      f"acme has {OWN}", refused["reason"])
        self.assertEqual(refused["pid"], 0)
        (daemon.tenants_dir / "acme.toml").unlink()
        running = daemon.wait_state("globex", "running")
        self.check_everybody(daemon, running["pid"])

    def test_a_supervisors_death_changes_no_allotment(self):
        daemon = self.host([("acme", platinum("acme"))])
        pid = daemon.wait_state("acme", "running")["pid"]
        daemon.kill()
        self.assertTrue(process_alive(pid))
        daemon.write_tenant("aaa", platinum("aaa"))  # read first
        daemon.start()
        wait_until(lambda: daemon.tenant("acme").get("state") == "running", "acme was adopted")
        self.assertEqual(daemon.tenant("acme")["pid"], pid)
        self.check_everybody(daemon, pid)
        self.assertIn(f"acme has {OWN}", daemon.wait_state("aaa", "refused")["reason"])
        daemon.ctl("tenant", "restart", "acme")
        again = wait_until(lambda: daemon.tenant("acme").get("pid") not in (0, None, pid)
                           and daemon.tenant("acme"), "acme has a new worker")
        daemon.wait_state("acme", "running")
        self.check_everybody(daemon, again["pid"])

    def test_an_affinity_that_the_host_forgot_is_put_back(self):
        daemon = self.host([("acme", platinum("acme"))])
        daemon.write_tenant("globex")
        for name in ("acme", "globex"):
            daemon.wait_state(name, "running")
        owner = daemon.tenant("acme")["pid"]
        everybody = {daemon.process.pid, *children_of(daemon.process.pid)}
        for pid in everybody:
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), ALLOWED)
        shared = frozenset(ALLOWED) - {OWN}
        wait_until(lambda: all(allowed_of(pid) == {frozenset({OWN}) if pid == owner else shared}
                               for pid in everybody), "everybody's affinity", timeout_s=30)
        wait_until(lambda: "another program has changed this host's cpusets" in daemon.log(), "the line in the log")

    def test_survivors_go_off_cpus_that_are_set_aside_later(self):
        daemon = self.host([("other", 'start = "eager"\n' + tenant_toml("other"))], config="")
        pid = daemon.wait_state("other", "running")["pid"]
        self.assertIn(frozenset(ALLOWED), allowed_of(pid))
        daemon.kill()
        daemon.config_file.write_text(ASIDE + daemon.config_file.read_text())
        daemon.start()
        wait_until(lambda: daemon.tenant("other").get("state") == "running", "it was adopted")
        self.assertEqual(daemon.tenant("other")["pid"], pid)
        self.check_everybody(daemon, None)

    def test_what_the_host_cannot_give_is_refused(self):
        cases = {
            "many": ("cpus = 9\n" + NO_MEMORY, f"wants 9 CPUs of its own; 1 of the 1 set aside ({OWN})"),
            "far": ("numa_node = 7\n" + NO_MEMORY, "wants NUMA node 7; this host has 0"),
        }
        if not IS_V2:
            cases["mem"] = ("", "cgroup v1) cannot guarantee memory")
        daemon = self.host([(name, platinum(name, physical))
                            for name, (physical, _) in cases.items()])
        for name, (_, reason) in cases.items():
            info = daemon.wait_state(name, "refused")
            self.assertEqual(info["pid"], 0)
            self.assertIn(reason, info["reason"])
            if name == "mem":
                self.assertIn('guaranteed_memory = "0M" runs without', info["reason"])
        self.assertFalse((daemon.state_dir / "tenants/many").exists())  # before anything started

    def test_what_cannot_be_set_aside_ends_the_start(self):
        everything = ",".join(str(cpu) for cpu in ALLOWED)
        for config, text in ((f'cpus = "{everything}"', "is left for everything else"),
                             ('cpus = "1000"', "1000 is not online"),
                             ('memory = "900T"', "is more than the")):
            daemon = self.daemon(config=f"[physical]\n{config}\n")
            daemon.start(wait=False)
            self.assertEqual(daemon.process.wait(30), 6)
            self.assertIn(text, daemon.log())
        if not IS_V2:
            daemon = self.daemon(config=f'[physical]\ncpus = "{OWN}"\npartition = true\n')
            daemon.start(wait=False)
            self.assertEqual(daemon.process.wait(30), 6)
            self.assertIn("cgroup v1) cannot take CPUs from the whole host", daemon.log())


if __name__ == "__main__":
    unittest.main()
