"""Standard tenants: files, pooled workers, shards that move, and what is refused."""

import unittest

from harness import SAMPLE_ROUTES, DaemonTest, process_alive, wait_until
from test_survival import Load

STANDARD = """\
plan = "standard"
start = "{start}"
{extra}
[router]
dimension = 64
encoder = "hash"
threshold = 0.0
fallback_route = "fallback"
"""
TENANTS = [f"customer-{number}" for number in range(12)]


def standard(start="eager", extra=""):
    return STANDARD.format(start=start, extra=extra)


class PoolTest(DaemonTest):
    def pool(self, workers, tenants=(), config="", **options):
        daemon = self.daemon(config=f"{config}\n[pool]\nworkers = {workers}\n")
        for tenant in tenants:
            daemon.write_tenant(tenant, standard(**options))
        daemon.start()
        return daemon

    def set_workers(self, daemon, old, new):
        text = daemon.config_file.read_text()
        daemon.config_file.write_text(text.replace(f"workers = {old}\n", f"workers = {new}\n"))
        daemon.ctl("reload")
        names = {f"tenantd-pool-{number}" for number in range(new)}

        def settled():
            workers = {t: i for t, i in daemon.tenants().items() if t.startswith("tenantd-pool-")}
            return set(workers) == names and all(
                info["state"] == "running" for info in workers.values()) and not any(
                    (daemon.state_dir / "pool/parked").glob("*"))
        wait_until(settled, f"{new} pooled workers run", 60)

    def answer(self, daemon, tenant, text="where is my invoice"):
        return daemon.ctl("query", tenant, text, as_json=True)["best"]["route"]

    def test_standard_tenants_share_workers_and_are_shown_with_them(self):
        daemon = self.pool(2, TENANTS)
        for number in range(2):
            daemon.wait_state(f"tenantd-pool-{number}", "running")
        for tenant in TENANTS[:3]:
            daemon.add_routes(tenant, SAMPLE_ROUTES)
            self.assertEqual(self.answer(daemon, tenant), "billing")
        self.assertEqual(self.answer(daemon, TENANTS[3]), "fallback")  # nobody's routes but its own
        shown = daemon.tenants()
        self.assertEqual(sorted(shown), list(shown))
        counted = daemon.ctl("status", as_json=True)["daemon"]
        self.assertEqual((counted["tenants"], counted["running"]), (len(TENANTS), len(TENANTS)))
        workers = {shown[tenant]["worker_id"] for tenant in TENANTS}
        self.assertEqual(workers, {"tenantd-pool-0", "tenantd-pool-1"})
        for tenant in TENANTS:
            info = shown[tenant]
            self.assertEqual((info["plan"], info["isolation_level"]), ("standard", "logical"))
            self.assertEqual(info["pid"], shown[info["worker_id"]]["pid"])
            self.assertEqual(info["uid"], shown["tenantd-pool-0"]["uid"])

    def test_data_follows_its_shard_when_the_number_of_workers_changes(self):
        daemon = self.pool(1, TENANTS)
        daemon.wait_state("tenantd-pool-0", "running")
        for tenant in TENANTS:
            daemon.add_routes(tenant, {tenant: [f"a question for {tenant}"]})
        before = 1
        for now in (3, 2):
            self.set_workers(daemon, before, now)
            before = now
            for tenant in TENANTS:
                self.assertEqual(self.answer(daemon, tenant), tenant)
        self.assertNotIn("tenantd-pool-2", daemon.tenants())

    def test_a_worker_is_started_by_the_first_attachment_and_restarted_by_hand(self):
        daemon = self.pool(2, ["acme"], start="on_demand")
        self.assertEqual(daemon.tenant("acme")["state"], "sleeping")
        daemon.add_routes("acme", SAMPLE_ROUTES)
        info = daemon.tenant("acme")
        self.assertEqual(info["state"], "running")
        refused = daemon.ctl("tenant", "restart", "acme", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(info["worker_id"], refused.stderr)
        daemon.ctl("tenant", "restart", info["worker_id"])
        wait_until(lambda: not process_alive(info["pid"]), "the old worker ends")
        self.assertEqual(self.answer(daemon, "acme"), "billing")

    def test_workers_go_on_over_a_restart_of_the_supervisor(self):
        daemon = self.pool(2, TENANTS[:4])
        for tenant in TENANTS[:4]:
            daemon.add_routes(tenant, {tenant: [f"a question for {tenant}"]})
        before = daemon.tenants()
        daemon.kill()
        daemon.start()
        for tenant in TENANTS[:4]:
            self.assertEqual(self.answer(daemon, tenant), tenant)
        after = daemon.tenants()
        for number in range(2):
            worker = f"tenantd-pool-{number}"
            self.assertEqual(before[worker]["pid"], after[worker]["pid"])

    def test_what_is_refused_says_why(self):
        daemon = self.pool(2, ["acme"], config='region = "eu-west-1"')
        daemon.write_tenant("abroad", standard(extra='data_residency = "us-east-1"'))
        daemon.write_tenant("tenantd-pool-0", standard())
        daemon.write_tenant("home", standard(extra='data_residency = "eu-west-1"'))
        abroad = daemon.wait_state("abroad", "refused")
        self.assertIn("eu-west-1", abroad["config_error"])
        daemon.wait_state("home", "running")
        wait_until(lambda: "tenantd's own" in daemon.log(), "the reserved name is refused")
        self.assertEqual(daemon.tenant("tenantd-pool-0")["config_error"], "")
        denied = daemon.ctl("query", "tenantd-pool-0", "hello", check=False)
        self.assertIn("no such tenant", denied.stderr)
        daemon.write_tenant("acme", standard().replace('"standard"', '"premium"'))
        wait_until(lambda: "plan" in daemon.tenant("acme")["config_error"], "the plan is refused")
        self.assertEqual(self.answer(daemon, "acme"), "fallback")
        daemon.write_tenant("acme", 'plan = "standard"\nnonsense = 1\n')
        wait_until(lambda: "nonsense" in daemon.tenant("acme")["config_error"], "it is broken")
        self.assertEqual(self.answer(daemon, "acme"), "fallback")

    def test_a_premium_tenants_data_is_not_left_behind_over_a_restart(self):
        daemon = self.pool(1)
        daemon.write_tenant("acme", standard().replace('"standard"', '"premium"'))
        daemon.wait_state("acme", "running")
        for restart in (False, True):
            if restart:
                daemon.stop()
            daemon.write_tenant("acme", standard())
            if restart:
                daemon.start()
            wait_until(lambda: "plan" in daemon.tenant("acme").get("config_error", ""),
                       "the plan is refused")
        self.assertEqual(daemon.tenant("acme")["state"], "refused")

    def test_a_standard_tenants_data_is_not_left_behind_over_a_restart(self):
        daemon = self.pool(1, ["acme", "never-used"])
        daemon.add_routes("acme", SAMPLE_ROUTES)
        daemon.stop()
        for tenant in ("acme", "never-used"):
            daemon.write_tenant(tenant, standard().replace('"standard"', '"premium"'))
        daemon.start()
        wait_until(lambda: "its data is in the pool" in daemon.tenant("acme").get("config_error", ""),
                   "the plan is refused")
        daemon.wait_state("never-used", "running")
        self.assertFalse((daemon.state_dir / "tenants/acme").exists())
        daemon.write_tenant("acme", standard())
        wait_until(lambda: daemon.tenant("acme").get("state") == "running", "it is what it was")
        self.assertEqual(self.answer(daemon, "acme"), "billing")

    def test_who_is_removed_while_no_supervisor_runs_is_let_go_of_by_the_next_one(self):
        daemon = self.pool(1, ["acme", "globex"])
        for tenant in ("acme", "globex"):
            daemon.add_routes(tenant, SAMPLE_ROUTES)
        clients = {tenant: Load(daemon, tenant, "ring") for tenant in ("acme", "globex")}
        worker = daemon.tenant("tenantd-pool-0")["pid"]
        daemon.kill()
        (daemon.tenants_dir / "acme.toml").unlink()
        daemon.start()
        wait_until(lambda: "while no supervisor ran" in daemon.log(), "the removal is told")
        # It has had no answer for a while, and gets none; the other never notices.
        wait_until(lambda: daemon.tenant("tenantd-pool-0")["attachments"] == 1, "one attachment is left")
        self.assertEqual(daemon.tenant("tenantd-pool-0")["pid"], worker)
        self.assertGreater(clients["acme"].finish()["errors"], 0)
        self.assertEqual(clients["globex"].finish()["errors"], 0)
        daemon.write_tenant("acme", standard())
        wait_until(lambda: daemon.tenant("acme").get("state") == "running", "it is back")
        self.assertEqual(self.answer(daemon, "acme"), "billing")

    def test_without_workers_no_standard_tenant_runs(self):
        daemon = self.pool(0, ["acme"])
        info = daemon.wait_state("acme", "refused")
        self.assertIn("[pool]", info["config_error"])
        self.assertFalse((daemon.state_dir / "pool").exists())

    def test_another_number_of_shards_is_refused_once_there_is_data(self):
        daemon = self.pool(1, ["acme"])
        daemon.add_routes("acme", SAMPLE_ROUTES)
        daemon.stop()
        text = daemon.config_file.read_text()
        daemon.config_file.write_text(text.replace("[pool]\n", "[pool]\nshards = 32\n"))
        daemon.start()
        info = daemon.wait_state("acme", "refused")
        self.assertIn("64 shards", info["config_error"])
        daemon.stop()
        daemon.config_file.write_text(text)
        daemon.start()
        self.assertEqual(self.answer(daemon, "acme"), "billing")


if __name__ == "__main__":
    unittest.main()
