"""The shipped units on a real systemd with cgroup v2: two tenants, and everything that is done to a service."""

import unittest

from machine import CGROUPS, LoadClient, SOURCE, install, limits, processes_of_ours, run, status, wait_until, workers

ROOT = CGROUPS / "system.slice/tenantd-workers.service"
TENANTS = ("acme-corp", "globex")
ROUTES = '{"id": "greeting", "utterances": ["hello there", "good morning"]}\n'


def both_running():
    found = workers()
    return found if len(found) == len(TENANTS) else None


def main_pid():
    return run("systemctl", "show", "-P", "MainPID", "tenantd.service").stdout.strip()


def setUpModule():
    install()
    run("install", "-m", "644", SOURCE / "configs/tenantd.toml", "/etc/tenantd/tenantd.toml")
    for tenant in TENANTS:
        run("install", "-m", "644", SOURCE / f"configs/tenants/{tenant}.toml", "/etc/tenantd/tenants/")
    run("systemctl", "start", "tenantd.service")
    wait_until(both_running, "both tenants run")
    for tenant in TENANTS:
        run("tenantctl", "routes", "import", tenant, "-", stdin=ROUTES)


def tearDownModule():
    run("systemctl", "stop", "tenantd.service", check=False)


class ShippedUnits(unittest.TestCase):
    def undisturbed(self, action, new_supervisor):
        """The action costs no worker, no limit and no call of clients on either transport."""
        before = wait_until(both_running, "both tenants run")
        limits_before = {tenant: limits(ROOT, tenant) for tenant in TENANTS}
        pid_before = main_pid()
        clients = [LoadClient("acme-corp", "ring"), LoadClient("globex", "stream")]
        action()
        if new_supervisor:
            wait_until(lambda: main_pid() not in (pid_before, "0"), "another supervisor")
        else:
            self.assertEqual(main_pid(), pid_before)
        self.assertEqual(wait_until(both_running, "both tenants run again"), before)
        self.assertEqual({tenant: limits(ROOT, tenant) for tenant in TENANTS}, limits_before)
        for client in clients:
            result = client.finish()
            self.assertEqual(result["errors"], 0, result)
            self.assertGreater(result["answered"], 0)
        # A client that comes now is answered as well.
        self.assertIn("greeting", run("tenantctl", "query", "globex", "hello there").stdout)

    def test_the_daemon_says_what_holds_it(self):
        daemon = status()["daemon"]
        self.assertEqual(daemon["cgroup_mode"], "v2")
        self.assertEqual(daemon["cgroup_writer"], "libcgroup")
        self.assertEqual(daemon["missing_confinement"], [])
        self.assertTrue(daemon["privileged"])

    def test_limits_are_in_the_kernels_files(self):
        for tenant in status()["tenants"]:
            found = limits(ROOT, tenant["id"])
            quota, period = found["cpu.max"].split()
            self.assertEqual(int(quota) * 1000 // int(period), tenant["cpu_quota_millicores"])
            self.assertEqual(int(found["memory.max"]), tenant["memory_max_bytes"])
            self.assertLess(int(found["memory.high"]), tenant["memory_max_bytes"])
            self.assertEqual(int(found["pids.max"]), tenant["pids_max"])
            self.assertEqual(found["memory.oom.group"], "1")
            members = (ROOT / "tenants" / tenant["id"] / f"g{tenant['generation']}" / "cgroup.procs").read_text()
            self.assertEqual(members.split(), [str(tenant["pid"])])
            self.assertEqual(tenant["missing_confinement"], [])

    def test_the_posture_is_as_expected(self):
        text = run("tenantctl", "status", "--posture").stdout
        self.assertEqual(text.count(": as expected"), len(TENANTS), text)

    def test_killed(self):
        self.undisturbed(lambda: run("systemctl", "kill", "--kill-who=main", "-s", "KILL", "tenantd.service"), True)

    def test_killed_often(self):
        def kill_three_times():
            for _ in range(3):
                pid = wait_until(lambda: main_pid() != "0" and main_pid(), "a supervisor")
                run("kill", "-9", pid)
                wait_until(lambda pid=pid: main_pid() not in (pid, "0"), "the next supervisor")
        self.undisturbed(kill_three_times, True)

    def test_restarted(self):
        self.undisturbed(lambda: run("systemctl", "restart", "tenantd.service"), True)

    def test_reloaded(self):
        self.undisturbed(lambda: run("systemctl", "reload", "tenantd.service"), False)

    def test_systemd_reloaded(self):
        self.undisturbed(lambda: run("systemctl", "daemon-reload"), False)

    def test_systemd_reexecuted(self):
        self.undisturbed(lambda: run("systemctl", "daemon-reexec"), False)

    def test_properties_changed(self):
        def change():
            for unit, value in (("tenantd-workers.service", "MemoryMax=700M"), ("tenantd.service", "CPUWeight=80"),
                                ("dbus.service", "CPUQuota=90%")):
                run("systemctl", "set-property", "--runtime", unit, value)
        self.undisturbed(change, False)

    def test_stopped_and_started_again(self):
        before = wait_until(both_running, "both tenants run")
        run("systemctl", "stop", "tenantd.service")
        wait_until(lambda: not ROOT.exists(), "the workers' groups are gone")
        self.assertEqual(processes_of_ours(), [])
        self.assertEqual(run("systemctl", "is-failed", "tenantd-workers.service", "tenantd.service",
                             check=False).stdout.split(), ["inactive", "inactive"])
        run("systemctl", "start", "tenantd.service")
        after = wait_until(both_running, "both tenants run again")
        self.assertTrue({pid for pid, _ in before.values()}.isdisjoint({pid for pid, _ in after.values()}))
        self.assertIn("greeting", run("tenantctl", "query", "acme-corp", "hello there").stdout)
