"""tenantd as an ordinary user with a subtree that systemd delegated to it."""

import pathlib
import shutil
import unittest

from machine import CGROUPS, install, limits, run, status, wait_until, workers

USER = "tenant-keeper"
UNIT = "tenantd-by-a-user"
HOME = pathlib.Path("/home") / USER
SOCKET = f"--socket={HOME}/run/tenantd.sock"
TENANT = """plan = "premium"
[router]
dimension = 16
threshold = 0.0
[resources]
cpu = "20%"
memory_max = "64M"
pids_max = 24
"""


def start(*flags):
    return run("systemd-run", f"--unit={UNIT}", "-p", f"User={USER}", "-p", "Delegate=yes", "-p", "Type=notify", "-p",
               "RuntimeMaxSec=120", "--collect", "/usr/sbin/tenantd", f"--config={HOME}/tenantd.toml",
               f"--tenants-dir={HOME}/tenants", f"--state-dir={HOME}/state", f"--run-dir={HOME}/run", *flags,
               check=False)


def log():
    return run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT).stdout


def setUpModule():
    install()
    run("useradd", "--create-home", USER)
    (HOME / "tenants").mkdir()
    (HOME / "tenants/acme-corp.toml").write_text(TENANT)
    (HOME / "tenantd.toml").write_text("")
    for path in (HOME, *HOME.rglob("*")):
        shutil.chown(path, USER, USER)


class ByAUser(unittest.TestCase):
    def tearDown(self):
        run("systemctl", "stop", f"{UNIT}.service", check=False)
        run("systemctl", "reset-failed", f"{UNIT}.service", check=False)

    def test_it_names_what_it_lacks_and_does_not_start(self):
        self.assertNotEqual(start().returncode, 0)
        self.assertIn("lacks required confinement layers: own_uid;", log())
        self.assertIn("--tolerate-missing=own_uid", log())

    def test_its_quotas_are_written_directly_and_hold(self):
        self.assertEqual(start("--tolerate-missing=own_uid").returncode, 0, log())
        wait_until(lambda: workers(SOCKET), "the tenant runs")
        found = status(SOCKET)
        daemon, tenant = found["daemon"], found["tenants"][0]
        self.assertEqual(daemon["cgroup_writer"], "direct writes: unprivileged")
        self.assertFalse(daemon["privileged"])
        self.assertEqual(daemon["missing_confinement"], ["own_uid"])
        self.assertEqual(tenant["missing_confinement"], ["own_uid"])
        self.assertIn("cgroups: v2 (direct writes: unprivileged)", log())
        root = CGROUPS / "system.slice" / f"{UNIT}.service"
        self.assertEqual(limits(root, "acme-corp"), {
            "cpu.max": "20000 100000", "cpu.weight": "100", "memory.max": str(64 << 20),
            "memory.high": str(56 << 20), "pids.max": "24", "memory.oom.group": "1"})
        members = (root / "tenants/acme-corp/g1/cgroup.procs").read_text().split()
        self.assertEqual(members, [str(tenant["pid"])])
        file = HOME / "tenants/acme-corp.toml"
        file.write_text(TENANT.replace("20%", "30%"))
        wait_until(lambda: limits(root, "acme-corp")["cpu.max"] == "30000 100000", "the quota follows the file")
        run("systemctl", "stop", f"{UNIT}.service")
        wait_until(lambda: not root.exists(), "nothing is left")
