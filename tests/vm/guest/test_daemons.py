"""Integration tests with daemons of their own, as root in a delegated group of cgroup v2: those whose matter is the kernel's.

They are the same tests that run on the host, on another kernel and the other version of control groups.
"""

import re
import subprocess
import unittest

from machine import BUILD, SOURCE

CHOSEN = {
    "test_platinum_network.PlatinumNetwork": ("test_only_the_list_is_reached_and_only_by_tcp_and_udp",
                                              "test_nobody_comes_in_and_tenants_do_not_meet",
                                              "test_the_verifier_looks_at_it"),
    "test_storage_roots.StorageRoots": ("test_the_data_is_on_another_disk_and_stays_there",),
    "test_verify.VerifyTest": ("test_a_changed_limit_is_found",),
    "test_verify_pool.VerifyPoolTest": ("test_a_standard_tenant_passes_by_the_worker_that_it_shares",),
}


def delegated(test):
    return subprocess.run(
        ["systemd-run", "--quiet", "--pipe", "--wait", "-p", "Delegate=yes", "-p", "TasksMax=infinity",
         "-p", f"WorkingDirectory={SOURCE}/tests/integration", f"--setenv=TENANTD_BUILD={BUILD}",
         f"{SOURCE}/tests/vm/guest/delegated", "python3", "-B", "-m", "unittest", "-v", test],
        capture_output=True, text=True, timeout=180, check=False)


class Daemons(unittest.TestCase):
    pass


def add(place, name):
    def test(self):
        done = delegated(f"{place}.{name}")
        skipped = re.search(r"skipped '(.+)'", done.stderr)
        if skipped:
            self.skipTest(skipped.group(1))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 1 test", done.stderr)
    setattr(Daemons, f"test_{place.partition('.')[0].removeprefix('test_')}_{name.removeprefix('test_')}", test)


for where, names in CHOSEN.items():
    for each in names:
        add(where, each)

if __name__ == "__main__":
    unittest.main()
