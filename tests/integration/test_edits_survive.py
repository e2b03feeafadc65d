"""kill -9 of the worker in the middle of edits loses nothing acknowledged."""

import json
import os
import random
import signal
import subprocess
import threading
import unittest

from harness import DaemonTest, programs_directory, wait_until

ROUNDS = int(os.environ.get("TENANTD_EDIT_ROUNDS", "200"))


class EditsSurvive(DaemonTest):
    def test_acknowledged_edits_are_there_after_every_kill(self):
        seed = int(os.environ.get("TENANTD_SEED", "20260101"))
        print(f"seed {seed}")
        dice = random.Random(seed)
        daemon = self.daemon(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\n'
                                    'crash_loop_count = 1000\n')
        daemon.write_tenant("acme", extra="[limits]\nmax_routes = 100000\n")  # quick machines add thousands
        daemon.start()
        daemon.wait_state("acme", "running")
        acknowledged = []
        stop = threading.Event()

        def edit():
            number = 0
            while not stop.is_set():
                route = f"r{number:05d}"
                number += 1
                done = subprocess.run(
                    [str(programs_directory() / "tenantctl"), "--socket", daemon.socket_path,
                     "routes", "add", "acme", route, "--utterance", f"words of {route}"],
                    capture_output=True, text=True, check=False)
                if done.returncode == 0:
                    acknowledged.append(route)

        editor = threading.Thread(target=edit)
        editor.start()
        try:
            for _ in range(ROUNDS):
                info = daemon.wait_state("acme", "running")
                goal = len(acknowledged) + dice.randint(1, 6)
                wait_until(lambda g=goal: len(acknowledged) >= g, "some edits")
                os.kill(info["pid"], signal.SIGKILL)
                wait_until(lambda p=info["pid"]: daemon.tenant("acme").get("pid") not in (0, None, p),
                           "the next generation")
        finally:
            stop.set()
            editor.join()
        daemon.wait_state("acme", "running")
        exported = daemon.ctl("routes", "export", "acme").stdout
        present = {json.loads(line)["id"] for line in exported.splitlines()}
        self.assertEqual([route for route in acknowledged if route not in present], [])
        self.assertGreaterEqual(len(acknowledged), ROUNDS)

    def test_a_corrupt_database_degrades_its_tenant_alone(self):
        daemon = self.running_tenant()
        daemon.write_tenant("other")
        daemon.wait_state("other", "running")
        os.unlink(daemon.tenants_dir / "acme.toml")
        wait_until(lambda: "acme" not in daemon.tenants(), "acme to stop")
        data = daemon.state_dir / "tenants" / "acme"
        databases = [p for p in data.iterdir() if p.suffix == ".db"]
        self.assertEqual(len(databases), 1, list(data.iterdir()))
        garbage = b"this is not a database" * 1000
        with open(databases[0], "r+b") as file:
            file.write(garbage)
        daemon.write_tenant("acme")
        daemon.wait_state("acme", "running")
        wait_until(lambda: daemon.tenant("acme")["store_degraded"], "the degradation in status")
        self.assertTrue(daemon.tenant("acme")["store_reason"])
        self.assertEqual(daemon.ctl("routes", "add", "acme", "x", "--utterance", "y",
                                    check=False).returncode, 5)
        self.assertFalse(daemon.tenant("other")["store_degraded"])
        daemon.add_routes("other", {"r": ["hello there"]})
        self.assertTrue(databases[0].read_bytes().startswith(b"this is not a database"),
                        "the evidence stays")


if __name__ == "__main__":
    unittest.main()
