"""The Debian packages with their maintainer scripts: apt installs, installs again, removes and purges them."""

import os
import pathlib
import shutil
import unittest

from machine import DEBS, processes_of_ours, run, status, wait_until, workers

# The headers' package needs one that the machine has not: there is nothing in it that a script touches.
NAMES = ("libtenantd0", "python3-tenantd", "tenantd")
PLACES = (pathlib.Path("/etc/tenantd"), pathlib.Path("/var/lib/tenantd"))
ASK = """
from tenantd import Router, TenantContext
with TenantContext("acme"):
    print(Router().route("the printer is jammed").route)
"""


def setUpModule():
    if not DEBS.is_dir():
        raise unittest.SkipTest("no packages were made: the host has no dpkg-dev")


def tearDownModule():
    if pathlib.Path("/usr/sbin/tenantd").exists():
        apt("purge", *NAMES, check=False)
    for place in PLACES:
        shutil.rmtree(place, ignore_errors=True)


def apt(action, *words, check=True):
    # The machine is thrown away: nothing need be on its disk when a step ends.
    return run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", action, "-y", "--no-install-recommends",
               "-o", "Dpkg::Options::=--force-unsafe-io", *words, check=check, timeout_s=180)


def debs(*names):
    return [next(DEBS.glob(f"{name}_*.deb")) for name in names]


def main_pid():
    return run("systemctl", "show", "-P", "MainPID", "tenantd.service").stdout.strip()


def answers():
    return "printer" in run("tenantctl", "query", "acme", "the printer is jammed", check=False).stdout


class Packages(unittest.TestCase):
    def start(self):
        run("systemctl", "start", "tenantd.service")
        wait_until(lambda: "acme" in workers(), "the tenant runs")

    def test_a_life(self):
        apt("install", *debs(*NAMES))
        # Nothing is started or enabled: the administrator judges the host first.
        self.assertEqual(run("systemctl", "is-active", "tenantd.service", check=False).stdout.strip(), "inactive")
        pathlib.Path("/etc/tenantd/tenants/acme.toml").write_text(
            'plan = "premium"\n[router]\nthreshold = 0.1\nfallback_route = "desk"\n')
        self.start()
        self.assertEqual(status()["daemon"]["missing_confinement"], [])
        run("tenantctl", "routes", "add", "acme", "printer", "--utterance", "the printer is jammed")
        self.assertEqual(run("python3", "-c", ASK).stdout.strip(), "printer")

        # An upgrade replaces the supervisor and loses no worker.
        before, supervisor = workers(), main_pid()
        apt("install", "--reinstall", *debs("tenantd"))
        wait_until(lambda: main_pid() not in (supervisor, "0"), "another supervisor")
        wait_until(lambda: workers() == before, "the same worker")
        self.assertTrue(answers())

        # What is removed is stopped, and what is the tenants' stays.
        apt("remove", "tenantd")
        wait_until(lambda: not processes_of_ours(), "no process is left")
        self.assertTrue((PLACES[0] / "tenants/acme.toml").exists())
        self.assertTrue((PLACES[0] / "tenantd.toml").exists())
        self.assertNotIn("tenantd", run("systemctl", "--failed", "--plain", "--no-legend").stdout)

        apt("purge", *NAMES)
        self.assertFalse((PLACES[0] / "tenantd.toml").exists())
        self.assertTrue((PLACES[0] / "tenants/acme.toml").exists())
        self.assertTrue(any(PLACES[1].rglob("*.db")), os.listdir(PLACES[1]))
        self.assertFalse(pathlib.Path("/usr/sbin/tenantd").exists())


if __name__ == "__main__":
    unittest.main()
