"""Platinum tenants' data on a disk of its own: where it is, and what happens when the disk or the file changes."""

import json
import os
import shutil
import unittest

from harness import IS_ROOT, SAMPLE_ROUTES
from platinum import PlatinumTest, platinum_toml

FAST = 'storage = "fast"'


@unittest.skipUnless(IS_ROOT, "only root can mount another disk")
class StorageRoots(PlatinumTest):
    def running_on_fast(self):
        daemon = self.offering()
        daemon.write_tenant("globex")
        daemon.write_tenant("acme", platinum_toml("acme", FAST))
        daemon.start()
        daemon.wait_state("globex", "running")
        daemon.wait_state("acme", "running")
        daemon.add_routes("acme", SAMPLE_ROUTES)
        return daemon

    def answers(self, daemon):
        reply = json.loads(daemon.ctl("--json", "query", "acme", "where is my invoice").stdout)
        self.assertEqual(reply["best"]["route"], "billing")

    def test_the_data_is_on_another_disk_and_stays_there(self):
        daemon = self.running_on_fast()
        if not daemon.fast_is_a_disk:
            self.skipTest("nothing can be mounted here")
        own = daemon.roots["fast"] / "acme"
        self.assertNotEqual(own.stat().st_dev, (daemon.state_dir / "tenants/globex").stat().st_dev)
        self.assertEqual((own / "routes.db").stat().st_dev, own.stat().st_dev)
        self.assertFalse((daemon.state_dir / "tenants/acme").exists())
        self.assertNotEqual(own.stat().st_uid, (daemon.state_dir / "tenants/globex").stat().st_uid)
        daemon.ctl("tenant", "restart", "acme")
        daemon.wait_state("acme", "running")
        self.answers(daemon)
        for tenant in ("acme", "globex"):
            report = json.loads(daemon.ctl("--json", "verify", tenant, check=False).stdout)
            self.assertEqual(report["failures"], [], report)
            by_name = {probe["name"]: probe for probe in report["probes"]}
            for probe in ("database.data_directory", "database.data_files", "database.unique_uid"):
                self.assertEqual(by_name[probe]["outcome"], "passed", by_name[probe])
        os.chmod(own, 0o755)
        report = json.loads(daemon.ctl("--json", "verify", "acme", "--check", "database", check=False).stdout)
        self.assertEqual(report["failures"], ["database.data_directory"])
        os.chmod(own, 0o700)
        os.mkdir(daemon.state_dir / "tenants/copy")
        os.chown(daemon.state_dir / "tenants/copy", own.stat().st_uid, 0)
        report = json.loads(daemon.ctl("--json", "verify", "acme", "--check", "database", check=False).stdout)
        self.assertEqual(report["failures"], ["database.unique_uid"])

    def test_a_file_that_names_another_root_does_not_begin_anew(self):
        daemon = self.running_on_fast()
        old, new = daemon.roots["fast"] / "acme", daemon.roots["slow"] / "acme"
        daemon.write_tenant("acme", platinum_toml("acme", 'storage = "slow"'))
        reason = daemon.wait_state("acme", "refused")["reason"]
        self.assertIn(str(old), reason)
        self.assertIn(str(new), reason)
        self.assertFalse(new.exists())
        daemon.wait_state("globex", "running")
        # As the reason says: cp -a, rm -r, restart.
        uid = old.stat().st_uid
        shutil.copytree(old, new)
        for path in (new, *new.rglob("*")):
            os.chown(path, uid, uid)
        shutil.rmtree(old)
        daemon.ctl("tenant", "restart", "acme")
        daemon.wait_state("acme", "running")
        self.answers(daemon)

    def test_a_missing_disk_refuses_the_tenant_and_keeps_its_uid(self):
        daemon = self.running_on_fast()
        uid = (daemon.roots["fast"] / "acme").stat().st_uid
        self.assertEqual(daemon.stop(), 0)
        hidden = daemon.base / "hidden"
        shutil.move(daemon.roots["fast"] / "acme", hidden)  # what an unmounted disk leaves: its directory
        daemon.start()
        self.assertIn("is not there any more", daemon.wait_state("acme", "refused")["reason"])
        daemon.write_tenant("initech")
        daemon.wait_state("initech", "running")
        self.assertNotEqual((daemon.state_dir / "tenants/initech").stat().st_uid, uid)
        shutil.move(hidden, daemon.roots["fast"] / "acme")
        for path in (daemon.roots["fast"] / "acme", *(daemon.roots["fast"] / "acme").rglob("*")):
            os.chown(path, uid, uid)
        daemon.ctl("tenant", "restart", "acme")
        daemon.wait_state("acme", "running")
        self.answers(daemon)

    def test_a_root_that_others_can_write_refuses_the_tenant(self):
        daemon = self.offering()
        os.chmod(daemon.roots["slow"], 0o777)
        daemon.write_tenant("acme", platinum_toml("acme", 'storage = "slow"'))
        daemon.start()
        reason = daemon.wait_state("acme", "refused")["reason"]
        self.assertIn(str(daemon.roots["slow"]), reason)
        self.assertIn("others may write it", reason)
        self.assertFalse((daemon.roots["slow"] / "acme").exists())
        self.assertFalse((daemon.state_dir / "tenants/acme").exists())

    def test_a_root_that_is_no_longer_offered_is_not_used_again(self):
        daemon = self.running_on_fast()
        pid = daemon.tenant("acme")["pid"]
        text = daemon.config_file.read_text()
        daemon.config_file.write_text(text.replace(f'fast = "{daemon.roots["fast"]}"\n', ""))
        daemon.ctl("reload")
        self.assertEqual(daemon.tenant("acme")["pid"], pid)  # a file that is not valid changes nothing
        daemon.ctl("tenant", "restart", "acme")
        self.assertIn("not listed", daemon.wait_state("acme", "refused")["reason"])


if __name__ == "__main__":
    unittest.main()
