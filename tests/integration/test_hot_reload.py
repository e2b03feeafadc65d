"""Files in, files out: what the supervisor makes of its drop-in directory."""

import os
import pathlib
import shutil
import signal
import unittest

from harness import DaemonTest, tenant_toml, wait_until


class HotReload(DaemonTest):
    def threshold_effect(self, daemon):
        """True while everything falls back (threshold 1.0)."""
        return daemon.ctl("query", "acme", "where is my parcel, it should be here", as_json=True)[
            "is_fallback"]

    def test_dropping_replacing_and_removing_take_effect(self):
        daemon = self.running_tenant()
        pid = daemon.tenant("acme")["pid"]
        self.assertFalse(self.threshold_effect(daemon))
        daemon.write_tenant("acme", threshold=1.0)
        wait_until(lambda: self.threshold_effect(daemon), "the new threshold")
        path = daemon.tenants_dir / "acme.toml"
        path.write_text(tenant_toml("acme", threshold=0.0))  # in place
        wait_until(lambda: not self.threshold_effect(daemon), "the old threshold")
        self.assertEqual(daemon.tenant("acme")["pid"], pid, "a live change needs no new worker")
        daemon.write_tenant("late")
        daemon.wait_state("late", "running")
        os.unlink(daemon.tenants_dir / "late.toml")
        wait_until(lambda: "late" not in daemon.tenants(), "late to be gone")
        self.assertTrue((daemon.state_dir / "tenants" / "late").is_dir(), "its data stays")

    def test_quotas_change_live(self):
        daemon = self.running_tenant(resources='cpu = "50%"')
        pid = daemon.tenant("acme")["pid"]
        daemon.write_tenant("acme", resources='cpu = "20%"\npids_max = 24')
        wait_until(lambda: daemon.tenant("acme")["cpu_quota_millicores"] == 200, "the new quota")
        info = daemon.tenant("acme")
        self.assertEqual((info["pid"], info["pids_max"]), (pid, 24))

    def test_a_half_written_file_is_not_applied(self):
        daemon = self.running_tenant()
        path = daemon.tenants_dir / "slow.toml"
        with open(path, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write('id = "slow"\nplan = "premium"\n')  # valid TOML, but not all of it
            file.flush()
            daemon.write_tenant("marker")
            daemon.wait_state("marker", "running")  # the watcher has been past this moment
            self.assertNotIn("slow", daemon.tenants())
            file.write('[router]\ndimension = 64\n[resources]\npids_max = 17\n')
        daemon.wait_state("slow", "running")
        self.assertEqual(daemon.tenant("slow")["pids_max"], 17)

    def test_editors_temporary_files_are_ignored(self):
        daemon = self.running_tenant()
        for name in (".acme.toml.swp", "acme.toml~", "4913", "#acme.toml#", ".#acme.toml",
                     "acme.toml.tmp", "new.toml.dpkg-dist"):
            (daemon.tenants_dir / name).write_text("garbage = [")
        daemon.write_tenant("marker")
        daemon.wait_state("marker", "running")
        self.assertEqual(set(daemon.tenants()), {"acme", "marker"})
        self.assertEqual(daemon.tenant("acme")["config_error"], "")

    def test_a_broken_file_keeps_the_last_good_configuration(self):
        daemon = self.running_tenant()
        daemon.write_tenant("other")
        daemon.wait_state("other", "running")
        before = daemon.tenants()
        daemon.write_tenant("acme", text=tenant_toml("acme").replace("threshold", "treshold"))
        wait_until(lambda: daemon.tenant("acme")["config_error"], "the error in status")
        after = daemon.tenants()
        self.assertIn("threshold", after["acme"]["config_error"])
        self.assertIn("acme.toml:", after["acme"]["config_error"])
        for tenant in ("acme", "other"):
            self.assertEqual(after[tenant]["pid"], before[tenant]["pid"])
        self.assertEqual(after["other"]["config_error"], "")
        daemon.ctl("query", "acme", "where is my invoice")
        daemon.write_tenant("acme")
        wait_until(lambda: not daemon.tenant("acme")["config_error"], "the error to go")

    def test_a_file_that_was_never_valid_is_refused_with_its_reason(self):
        daemon = self.daemon()
        daemon.write_tenant("bad", text='id = "bad"\nplan = "premium"\n[router]\ndimension = "many"\n')
        daemon.write_tenant("good")
        daemon.start()
        daemon.wait_state("good", "running")
        info = daemon.wait_state("bad", "refused")
        self.assertIn("dimension", info["config_error"] + info["reason"])

    def test_an_unreadable_or_vanished_directory_removes_nobody(self):
        daemon = self.running_tenant()
        aside = daemon.config_dir / "aside"
        os.rename(daemon.tenants_dir, aside)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.ctl("status", as_json=True)["daemon"]["warning"], "a warning")
        self.assertEqual(daemon.tenant("acme")["state"], "running")
        os.rename(aside, daemon.tenants_dir)
        wait_until(lambda: not daemon.ctl("status", as_json=True)["daemon"]["warning"],
                   "the warning to go")
        daemon.write_tenant("back")
        daemon.wait_state("back", "running")

    def test_a_mass_removal_waits_for_confirmation(self):
        daemon = self.daemon()
        names = [f"t{i:02d}" for i in range(24)]
        for name in names:
            daemon.write_tenant(name, extra="", text='start = "on_demand"\n' + tenant_toml(name))
        daemon.start()
        wait_until(lambda: len(daemon.tenants()) == len(names), "all tenants")
        for name in names:
            os.unlink(daemon.tenants_dir / f"{name}.toml")
        wait_until(lambda: daemon.ctl("status", as_json=True)["daemon"]["pending_removals"],
                   "the removal to be held")
        self.assertGreater(len(daemon.tenants()), 0)
        daemon.ctl("reload", "--confirm-removal")
        wait_until(lambda: not daemon.tenants(), "the removal")

    def test_sighup_and_reload_rescan(self):
        daemon = self.running_tenant()
        pids = {daemon.tenant("acme")["pid"]}
        daemon.process.send_signal(signal.SIGHUP)
        daemon.ctl("reload")
        daemon.write_tenant("marker")
        daemon.wait_state("marker", "running")
        self.assertEqual({daemon.tenant("acme")["pid"]}, pids, "nothing changed, nothing restarts")

    def test_forty_thousand_files_at_once_lose_nothing(self):
        daemon = self.daemon(config="max_workers = 4\n")
        daemon.start()
        text = 'start = "on_demand"\nplan = "premium"\n'
        for i in range(40_000):
            path = daemon.tenants_dir / f"m{i:05d}.toml"
            with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o644)) as file:
                file.write(text)
        wait_until(lambda: daemon.ctl("status", as_json=True)["daemon"]["tenants"] == 40_000,
                   "40,000 tenants", timeout_s=60, interval_s=0.2)
        reply = daemon.ctl("routes", "list", "m39999", as_json=True)
        self.assertEqual(reply["routes"], [])

    def test_files_others_may_write_and_symlinks_are_refused(self):
        daemon = self.running_tenant()
        path = daemon.write_tenant("loose")
        daemon.wait_state("loose", "running")
        os.chmod(path, 0o666)
        daemon.ctl("reload")
        wait_until(lambda: daemon.tenant("loose")["config_error"], "the refusal")
        # A symlink is never closed after writing: its creation must be noticed.
        outside = pathlib.Path(shutil.copy(daemon.tenants_dir / "acme.toml", daemon.base / "x.toml"))
        os.symlink(outside, daemon.tenants_dir / "linked.toml")
        info = daemon.wait_state("linked", "refused")
        self.assertIn("symlink", (info["config_error"] + info["reason"]).replace("symbolic link", "symlink"))


if __name__ == "__main__":
    unittest.main()
