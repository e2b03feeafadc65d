"""The main job: drop in a tenant file, and a confined router answers."""

import json
import unittest

from harness import DaemonTest, SAMPLE_ROUTES, wait_until


class MainJob(DaemonTest):
    def test_a_dropped_file_becomes_a_router_that_answers_on_both_transports(self):
        daemon = self.running_tenant()
        for transport in ("ring", "stream"):
            with self.subTest(transport=transport):
                reply = daemon.ctl("--transport", transport, "query", "acme", "where is my invoice?",
                                   as_json=True)
                self.assertEqual(reply["best"]["route"], "billing")
                self.assertFalse(reply["is_fallback"])
                self.assertGreater(reply["best"]["confidence"], 0.5)

    def test_the_status_shows_the_worker_its_quotas_and_its_confinement(self):
        daemon = self.running_tenant(resources='cpu = "50%"\npids_max = 32')
        info = daemon.wait_state("acme", "running")
        self.assertGreater(info["pid"], 1)
        self.assertEqual(info["cpu_quota_millicores"], 500)
        self.assertEqual(info["pids_max"], 32)
        self.assertEqual(info["memory_max_bytes"], 128 << 20)
        self.assertEqual(info["routes"], len(SAMPLE_ROUTES))
        self.assertIn("seccomp", info["confinement"])
        table = daemon.ctl("status").stdout
        self.assertIn("acme", table)
        self.assertIn(str(info["pid"]), table)

    def test_out_of_scope_text_falls_back(self):
        daemon = self.running_tenant(threshold=0.5)
        reply = daemon.ctl("query", "acme", "zebras graze quietly", as_json=True)
        self.assertTrue(reply["is_fallback"])
        self.assertEqual(reply["best"]["route"], "fallback")

    def test_tenants_do_not_see_each_other(self):
        daemon = self.daemon()
        daemon.write_tenant("acme")
        daemon.write_tenant("globex")
        daemon.start()
        for tenant in ("acme", "globex"):
            daemon.wait_state(tenant, "running")
        daemon.add_routes("acme", SAMPLE_ROUTES)
        listed = daemon.ctl("routes", "list", "globex", as_json=True)
        self.assertEqual(listed["routes"], [])
        first, second = (daemon.tenant(t) for t in ("acme", "globex"))
        self.assertNotEqual(first["pid"], second["pid"])
        if not first["shared_uid"]:
            self.assertNotEqual(first["uid"], second["uid"])

    def test_a_restart_keeps_routes_and_encodes_nothing_again(self):
        daemon = self.running_tenant()
        before = daemon.tenant("acme")
        daemon.ctl("tenant", "restart", "acme")
        wait_until(lambda: daemon.tenant("acme").get("generation", 0) > before["generation"]
                   and daemon.tenant("acme").get("state") == "running", "a new generation")
        reply = daemon.ctl("query", "acme", "track my package", as_json=True)
        self.assertEqual(reply["best"]["route"], "shipping")

    def test_exit_codes_and_json_errors(self):
        daemon = self.running_tenant()
        missing = daemon.ctl("tenant", "status", "nobody", check=False, as_json=True)
        self.assertEqual(missing.returncode, 3)
        self.assertEqual(json.loads(missing.stderr)["code"], "not_found")
        self.assertEqual(daemon.ctl("tenant", "dance", check=False).returncode, 2)
        twice = daemon.ctl("routes", "add", "acme", "billing", "--utterance", "x", check=False)
        self.assertEqual(twice.returncode, 4)
        daemon.stop()
        gone = daemon.ctl("--timeout", "200ms", "status", check=False)
        self.assertEqual(gone.returncode, 5)


if __name__ == "__main__":
    unittest.main()
