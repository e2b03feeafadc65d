"""The isolation verifier on standard tenants, which share pooled workers."""

import json
import os
import unittest

from harness import SAMPLE_ROUTES, DaemonTest, IS_ROOT, wait_until
from test_pool import standard
from test_verify import POSTURE, outcomes

INSIDE_AGO = " s ago: "
# Of two planted tenants that share a worker and a shard.
PLANTED = {"database.rows_listed", "database.rows_read", "database.rows_routed", "database.row_existence",
           "database.rows_removed", "database.error_texts", "cache.other_entry", "cache.other_statistics"}


@unittest.skipUnless(IS_ROOT, "only root can give tenants uids of their own")
class VerifyPoolTest(DaemonTest):
    def pool(self, workers=1, tenants=("acme",), start="eager", config=""):
        daemon = self.daemon(config=f"[verify]\non_start = false\n{config}\n[pool]\nworkers = {workers}\n")
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
        # Of a new process nothing is known.
        daemon.ctl("tenant", "restart", "tenantd-pool-0")
        wait_until(lambda: daemon.tenant("tenantd-pool-0")["generation"] > 1, "a new worker")
        daemon.wait_state("tenantd-pool-0", "running")
        again = self.verify(daemon, "globex", "--check", "process")
        self.assertFalse([p for p in again["probes"] if INSIDE_AGO in p["evidence"]])

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
