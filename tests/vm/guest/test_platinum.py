"""Platinum tenants under the shipped units: a CPU that is taken from the whole host, and guaranteed memory."""

import os
import pathlib
import unittest

from machine import CGROUPS, SOURCE, install, run, status, wait_until

OWN = max(os.sched_getaffinity(0))
GUARANTEED = 48 << 20
CONFIG = pathlib.Path("/etc/tenantd/tenantd.toml")
TENANT = pathlib.Path("/etc/tenantd/tenants/platinum.toml")
ASIDE = f'\n[physical]\ncpus = "{OWN}"\nmemory = "64M"\n'
FILE = """\
name = "platinum"
plan = "platinum"
start = "eager"
[router]
dimension = 64
encoder = "hash"
[resources]
memory_max = "64M"
[physical]
guaranteed_memory = "48M"
"""


def tenant():
    return {one["id"]: one for one in status().get("tenants", [])}.get("platinum", {})


def in_state(state):
    return wait_until(lambda: tenant().get("state") == state and tenant(), f"the tenant is {state}")


def effective():
    return (CGROUPS / "cpuset.cpus.effective").read_text().strip()


@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two CPUs")
class Platinum(unittest.TestCase):
    def setUp(self):
        install()
        self.before = effective()
        TENANT.write_text(FILE)
        os.chmod(TENANT, 0o644)
        self.addCleanup(self.clean_up)

    def clean_up(self):
        run("systemctl", "stop", "tenantd.service", check=False)
        TENANT.unlink(missing_ok=True)
        CONFIG.write_text((SOURCE / "configs/tenantd.toml").read_text())

    def start(self, physical):
        CONFIG.write_text((SOURCE / "configs/tenantd.toml").read_text() + physical)
        os.chmod(CONFIG, 0o644)
        run("systemctl", "start", "tenantd.service")

    def partitions(self):
        return list(CGROUPS.glob("tenantd-*-platinum"))

    def test_nobody_on_the_host_runs_where_the_tenant_does(self):
        self.start(ASIDE + "partition = true\n")
        info = in_state("running")
        self.assertEqual((info["dedicated_cpus"], info["cpu_exclusivity"]), (str(OWN), "host"))
        self.assertEqual(info["guaranteed_memory_bytes"], GUARANTEED)
        pid = info["pid"]
        self.assertEqual(os.sched_getaffinity(pid), {OWN})
        place = pathlib.Path(f"/proc/{pid}/cgroup").read_text().split("::", 1)[1].strip()
        [partition] = self.partitions()
        self.assertEqual(CGROUPS / place.split("/")[1], partition)
        self.assertEqual((partition / "cpuset.cpus.partition").read_text().strip(), "root")
        self.assertNotIn(str(OWN), effective())
        for group in (partition, partition / "tenants", partition / "tenants/platinum", CGROUPS / place[1:]):
            self.assertEqual(int((group / "memory.min").read_text()), GUARANTEED, group)
        limits = CGROUPS / "/".join(place.split("/")[1:-1])
        self.assertEqual(int((limits / "memory.max").read_text()), 64 << 20)
        # Nobody can be put there, whoever asks.
        with self.assertRaises(OSError):
            os.sched_setaffinity(0, {OWN})
        self.assertNotIn(OWN, os.sched_getaffinity(1))
        # What systemd does to a service, and a death of the supervisor, change nothing.
        run("systemctl", "daemon-reload")
        run("systemctl", "kill", "-s", "KILL", "tenantd.service")
        wait_until(lambda: tenant().get("state") == "running", "the worker was adopted")
        self.assertEqual(tenant()["pid"], pid)
        self.assertEqual((partition / "cpuset.cpus.partition").read_text().strip(), "root")
        probes = run("tenantctl", "verify", "platinum", "--check", "resource", check=False, timeout_s=120)
        self.assertRegex(probes.stdout, r"passed +resource\.dedicated_cpus")
        run("systemctl", "restart", "tenantd.service")
        wait_until(lambda: tenant().get("state") == "running", "the worker was adopted again")
        self.assertEqual(tenant()["pid"], pid)
        run("systemctl", "stop", "tenantd.service")
        wait_until(lambda: not self.partitions(), "the partition is gone with the service")
        self.assertEqual(effective(), self.before)
        run("systemctl", "start", "tenantd.service")
        in_state("running")
        TENANT.unlink()
        wait_until(lambda: not tenant() and not self.partitions(), "the tenant and its partition are gone")
        self.assertEqual(effective(), self.before)

    def test_memory_that_those_above_do_not_have_is_refused(self):
        self.start(ASIDE)
        reason = in_state("refused")["reason"]
        self.assertIn("system.slice, which is above tenantd's groups, has a memory.min of 0", reason)
        others = [int(one) for one in run("pgrep", "tenantd").stdout.split()]
        self.assertGreaterEqual(len(others), 2)  # the supervisor and control
        run("systemctl", "set-property", "--runtime", "system.slice", "MemoryMin=64M")
        self.addCleanup(run, "systemctl", "set-property", "--runtime", "system.slice", "MemoryMin=0")
        run("tenantctl", "tenant", "restart", "platinum")
        info = in_state("running")
        self.assertEqual((info["dedicated_cpus"], info["cpu_exclusivity"]), (str(OWN), "tenantd"))
        self.assertEqual(os.sched_getaffinity(info["pid"]), {OWN})
        group = CGROUPS / "system.slice/tenantd-workers.service/tenants/platinum"
        # systemd hands the cpuset controller on, or it does not: the log says what holds them then.
        cpuset = group / "cpuset.cpus.effective"
        if cpuset.exists():
            self.assertEqual(cpuset.read_text().strip(), str(OWN))
        else:
            self.assertIn("dedicated CPUs by affinity alone",
                          run("journalctl", "-u", "tenantd.service", "--no-pager").stdout)
        for one in (group.parents[1], group.parent, group, group / f"g{info['generation']}"):
            self.assertEqual(int((one / "memory.min").read_text()), GUARANTEED, one)
        # systemd may have changed cpusets meanwhile, which this kernel's processes do not survive as they were.
        wait_until(lambda: not any(OWN in os.sched_getaffinity(one) for one in others),
                   "nobody else of tenantd runs there")
        self.assertEqual(self.partitions(), [])
        self.assertEqual(effective(), self.before)  # only tenantd's own processes are off it


if __name__ == "__main__":
    unittest.main()
