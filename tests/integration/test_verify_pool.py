"""The isolation verifier on standard tenants, which share pooled workers."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import unittest

from harness import SAMPLE_ROUTES, DaemonTest, IS_ROOT, programs_directory, wait_until
from test_pool import standard
from test_verify import POSTURE, outcomes

INSIDE_AGO = " s ago: "
# Of two planted tenants that share a worker and a shard.
PLANTED = {"database.rows_listed", "database.rows_read", "database.rows_routed", "database.row_existence",
           "database.rows_removed", "database.error_texts", "cache.other_entry", "cache.other_statistics"}


def planted_rows(daemon):
    """What tenantd's own tenants have in the shards; only while no worker holds them."""
    found = dict.fromkeys(("tenants", "routes", "utterances", "staged_vectors", "route_images", "executions",
                           "deletions"), 0)
    for path in (daemon.state_dir / "pool").glob("*/*/routes.db"):
        if path.stat().st_size == 0:
            continue
        with contextlib.closing(sqlite3.connect(path)) as database:
            for table in found:
                query = f"SELECT count(*) FROM {table} WHERE tenant_id LIKE 'tenantd-%'"
                found[table] += database.execute(query).fetchone()[0]
    return found


@unittest.skipUnless(IS_ROOT, "only root can give tenants uids of their own")
class VerifyPoolTest(DaemonTest):
    def pool(self, workers=1, tenants=("acme",), start="eager", verify="on_start = false"):
        daemon = self.daemon(config=f"[verify]\n{verify}\n[pool]\nworkers = {workers}\n")
        for tenant in tenants:
            daemon.write_tenant(tenant, standard(start=start))
        daemon.start()
        if start == "eager":
            for number in range(workers):
                daemon.wait_state(f"tenantd-pool-{number}", "running")
        return daemon

    def verify(self, daemon, *arguments, expected_exit=0):
        done = daemon.ctl("verify", *arguments, check=False, as_json=True)
        self.assertEqual(done.returncode, expected_exit, done.stdout + done.stderr + daemon.log()[-2000:])
        return json.loads(done.stdout)

    def failures(self, daemon, *arguments):
        return set(self.verify(daemon, *arguments, expected_exit=1)["failures"])

    def test_a_standard_tenant_passes_by_the_worker_that_it_shares(self):
        daemon = self.pool(2)
        daemon.add_routes("acme", SAMPLE_ROUTES)
        before = daemon.tenant("acme")
        report = self.verify(daemon, "acme")
        self.assertEqual(report["plan"], "standard (logical)")
        found = outcomes(report)
        self.assertIn(found.pop("resource.cpu"), ("passed", "not applicable"))
        # It writes a database of its own once another of its tenants has been there.
        self.assertIn(found.pop("database.other_shard"), ("passed", "not applicable"))
        self.assertEqual(set(found.values()), {"passed"}, found)
        self.assertLessEqual(POSTURE, set(found))
        for probe in report["probes"]:
            if probe["inside"]:
                self.assertIn(before["worker_id"], probe["evidence"])
            if probe["name"] in PLANTED:
                self.assertTrue(probe["evidence"].startswith("shard "), probe)
        self.assertLessEqual(PLANTED, set(found))
        self.assertEqual(daemon.tenant("acme")["pid"], before["pid"])
        self.assertEqual(daemon.ctl("query", "acme", "where is my invoice", as_json=True)["best"]["route"], "billing")
        self.assertEqual(os.listdir(daemon.state_dir / "probes"), [])
        worker = self.verify(daemon, before["worker_id"])
        self.assertEqual(worker["plan"], "standard (logical)")

    def test_another_workers_shard_is_tried_once_it_is_there(self):
        daemon = self.pool(2, ("acme", "customer-0", "customer-1", "customer-2", "customer-3"))
        workers = {t: i["worker_id"] for t, i in daemon.tenants().items() if not t.startswith("tenantd-")}
        other = next(t for t, worker in workers.items() if worker != workers["acme"])
        daemon.add_routes(other, SAMPLE_ROUTES)
        found = outcomes(self.verify(daemon, "acme", "--check", "database"))
        self.assertEqual(found["database.other_shard"], "passed")
        self.assertEqual(found["database.other_tenant"], "passed")

    def test_one_run_from_inside_speaks_for_all_tenants_of_the_worker(self):
        daemon = self.pool(1, ("acme", "globex", "initech"))
        daemon.write_tenant("umbrella")
        daemon.wait_state("umbrella", "running")
        reports = self.verify(daemon, "--all")["verifications"]
        by_tenant = {report["tenant"]: report for report in reports}
        self.assertEqual(set(by_tenant), {"acme", "globex", "initech", "umbrella", "tenantd-pool-0"})
        self.assertTrue(all(report["all_passed"] for report in reports))
        tries = [(tenant, probe["evidence"]) for tenant, report in by_tenant.items()
                 for probe in report["probes"] if probe["name"] == "process.fork"]
        fresh = [tenant for tenant, evidence in tries if INSIDE_AGO not in evidence]
        self.assertEqual(set(fresh), {"acme", "umbrella"})
        said = [evidence for tenant, evidence in tries if tenant in ("globex", "initech")]
        for evidence in said:
            self.assertTrue(evidence.startswith("tenantd-pool-0, "), evidence)
        # Who asks again is told nothing of before.
        again = self.verify(daemon, "globex", "--check", "process")
        self.assertFalse([p for p in again["probes"] if INSIDE_AGO in p["evidence"]])
        # Of a new process nothing is known.
        daemon.ctl("tenant", "restart", "tenantd-pool-0")
        wait_until(lambda: daemon.tenant("tenantd-pool-0")["generation"] > 1, "a new worker")
        daemon.wait_state("tenantd-pool-0", "running")
        again = self.verify(daemon, "globex", "--check", "process")
        self.assertFalse([p for p in again["probes"] if INSIDE_AGO in p["evidence"]])

    def test_the_timer_goes_through_standard_and_premium_tenants_and_a_new_worker_is_verified(self):
        daemon = self.pool(1, ("acme", "zebra"), verify='interval = "1s"')
        daemon.write_tenant("middle")
        told = lambda tenant, why: len(re.findall(rf"tenant={tenant}[ :].*isolation verified: {why}: ", daemon.log()))
        everybody = ("acme", "middle", "tenantd-pool-0", "zebra")
        wait_until(lambda: min(told(tenant, "timer") for tenant in everybody) >= 2, "two rounds", 60)
        wait_until(lambda: told("tenantd-pool-0", "onboarding") == 1, "the new pooled worker", 60)
        self.assertNotIn("isolation violated", daemon.log())

    def test_a_new_standard_tenant_is_verified_and_one_that_was_there_is_not(self):
        daemon = self.pool(1, ("acme", "zebra"), verify="")
        told = lambda tenant: len(re.findall(rf"tenant={tenant}[ :].*isolation verified: onboarding: ", daemon.log()))
        wait_until(lambda: told("tenantd-pool-0") == 1, "the new pooled worker", 60)
        for tenant in ("globex", "initech"):
            daemon.write_tenant(tenant, standard())
        wait_until(lambda: told("globex") == 1 and told("initech") == 1, "both new tenants", 60)
        self.assertEqual((told("acme"), told("zebra")), (0, 0))
        self.assertEqual(daemon.ctl("status", as_json=True)["daemon"]["verifications"], 3)

    def test_a_flood_of_new_tenants_is_a_bounded_number_of_verifications_and_waits_for_the_worker(self):
        daemon = self.pool(1, ("acme",), start="on_demand", verify="")
        for number in range(200):
            daemon.write_tenant(f"flood-{number:03}", standard(start="on_demand"))
        left_out = lambda: sum(int(n) for n in re.findall(r"(\d+) are not verified as they come", daemon.log()))
        wait_until(lambda: left_out() >= 136, "the others are counted", 30)
        self.assertEqual(left_out(), 136)
        self.assertNotIn("isolation verified", daemon.log())
        daemon.add_routes("acme", SAMPLE_ROUTES)  # the worker wakes
        told = lambda: re.findall(r"tenant=flood-\d+[ :].*isolation verified: onboarding: ", daemon.log())
        wait_until(lambda: len(told()) >= 2, "those that waited", 60)

    def test_what_was_planted_is_removed_and_the_tenants_own_stays(self):
        daemon = self.pool()
        daemon.add_routes("acme", SAMPLE_ROUTES)
        before = daemon.ctl("routes", "export", "acme").stdout
        self.verify(daemon, "acme")
        self.assertEqual(daemon.ctl("routes", "export", "acme").stdout, before)
        counted = daemon.ctl("status", as_json=True)["daemon"]
        self.assertEqual((counted["verifications"], counted["verifications_failed"],
                          counted["isolation_violations"]), (1, 0, 0))
        self.assertGreater(counted["last_verification_ms"], 0)
        self.assertIn("isolation: 1 verifications, 0 failed", daemon.ctl("status").stdout)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(set(planted_rows(daemon).values()), {0})

    def test_what_an_interrupted_run_left_is_removed_by_the_next_one(self):
        daemon = self.pool()
        daemon.add_routes("acme", SAMPLE_ROUTES)
        asked = subprocess.Popen([str(programs_directory() / "tenantctl"), "--socket", daemon.socket_path, "verify",
                                  "acme", "--check", "cache"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(asked.wait)
        self.addCleanup(asked.kill)
        logs = lambda: (daemon.state_dir / "pool").glob("*/*/routes.db-wal")
        wait_until(lambda: any(b"the matter of text" in log.read_bytes() for log in logs()),
                   "planted routes on disk", interval_s=0.001)
        daemon.kill()
        asked.kill()
        daemon.start()
        daemon.wait_state("tenantd-pool-0", "running")
        self.verify(daemon, "acme")
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(set(planted_rows(daemon).values()), {0})

    def test_files_that_others_could_reach_are_found(self):
        daemon = self.pool()
        daemon.add_routes("acme", SAMPLE_ROUTES)
        worker = daemon.state_dir / "pool" / "tenantd-pool-0"
        shard = next(path.parent for path in worker.glob("*/routes.db") if path.stat().st_size > 0)
        intruder = worker / "900"
        cases = {
            "database.data_directory": (lambda: os.chmod(worker, 0o755), lambda: os.chmod(worker, 0o700)),
            "database.data_files": (lambda: os.chmod(worker / "running", 0o644),
                                    lambda: os.chmod(worker / "running", 0o600)),
            "database.shards": (lambda: os.chmod(shard / "routes.db", 0o644),
                                lambda: os.chmod(shard / "routes.db", 0o600)),
            "process.run_record": (
                lambda: os.chmod(daemon.run_dir / "workers/tenantd-pool-0.record", 0o644),
                lambda: os.chmod(daemon.run_dir / "workers/tenantd-pool-0.record", 0o600)),
        }
        for probe, (weaken, mend) in cases.items():
            weaken()
            self.assertEqual(self.failures(daemon, "acme"), {probe})
            mend()
        os.mkdir(intruder, 0o700)
        os.chown(intruder, worker.stat().st_uid, worker.stat().st_gid)
        self.assertEqual(self.failures(daemon, "acme"), {"database.shards"})
        os.rmdir(intruder)
        os.symlink("/etc/passwd", shard / "link")
        self.assertEqual(self.failures(daemon, "acme"), {"database.shards"})
        os.unlink(shard / "link")
        self.verify(daemon, "acme")
        self.assertIn("isolation violated", daemon.log())

    def test_a_sleeping_pooled_worker_is_not_woken(self):
        daemon = self.pool(1, start="on_demand")
        report = self.verify(daemon, "acme")
        self.assertEqual(daemon.tenant("acme")["state"], "sleeping")
        by_name = {probe["name"]: probe for probe in report["probes"]}
        for name in POSTURE:
            self.assertEqual(by_name[name]["outcome"], "not applicable", by_name[name])
            self.assertIn("no worker runs: tenantd-pool-0 is sleeping", by_name[name]["evidence"])
        for name in PLANTED:
            self.assertEqual(by_name[name]["outcome"], "not applicable", by_name[name])
        self.assertEqual(by_name["database.data_directory"]["evidence"], "there is no data yet")
        self.assertEqual(by_name["process.fork"]["outcome"], "passed")
        self.assertFalse((daemon.state_dir / "pool").exists())


if __name__ == "__main__":
    unittest.main()
