"""Storms of hellos: bounds for each user and for all, and others are served.

Counts only; how long the others wait is tests/bench/attach_storm.py's to say.
"""

import unittest

from harness import IS_ROOT, SAMPLE_ROUTES
from hostile import Hostile, storm, storm_result

HOSTILE_UID, INNOCENT_UID = 61001, 62001
STORMS = ("hello", "half", "slow", "close", "garbage", "fds", "surplus", "mute")
SECONDS = 1


@unittest.skipUnless(IS_ROOT, "needs root to act as several users")
class Storms(Hostile):
    def start(self):
        daemon = self.daemon()
        daemon.write_tenant("acme", access=f"users = [{HOSTILE_UID}]")
        daemon.write_tenant("globex", access=f"users = [{INNOCENT_UID}]")
        daemon.start()
        for tenant in ("acme", "globex"):
            daemon.wait_state(tenant, "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        return daemon

    def assert_served(self, daemon, storms):
        innocent = storm(daemon.socket_path, "innocent", INNOCENT_UID, SECONDS, 50, "globex")
        _, served = storm_result(innocent)
        results = [storm_result(process)[1] for process in storms]
        self.assertGreater(served["connected"], 0)
        self.assertEqual(served["welcomed"], served["connected"], served)
        return results

    def test_ten_thousand_a_second_of_one_user(self):
        daemon = self.start()
        before = {name: daemon.tenant(name)["pid"] for name in ("acme", "globex")}
        for mode in STORMS:
            with self.subTest(mode=mode):
                hellos = self.hellos(daemon)
                [result] = self.assert_served(daemon, [
                    storm(daemon.socket_path, mode, HOSTILE_UID, SECONDS, 10_000)])
                self.assertGreater(result["connected"], 500, result)
                # Its rate and one burst, over the time that the storm took at most.
                taken = self.hellos(daemon)["taken"] - hellos["taken"]
                self.assertLessEqual(taken, 500 * (4 * SECONDS + 1) + 2000, (mode, taken))
                self.assertGreater(self.hellos(daemon)["refused"], hellos["refused"])
        self.assertEqual({name: daemon.tenant(name)["pid"] for name in before}, before)
        self.assert_unharmed(daemon)

    def test_twelve_users_together(self):
        daemon = self.start()
        for mode in ("hello", "half"):
            with self.subTest(mode=mode):
                self.assert_served(daemon, [storm(daemon.socket_path, mode, HOSTILE_UID + 1 + i, SECONDS, 1000)
                                            for i in range(12)])
        self.assert_unharmed(daemon)

    def hellos(self, daemon):
        status = daemon.ctl("status", as_json=True)["daemon"]
        refused = status["hellos_overload"]
        return {"taken": status["hellos"] - refused, "refused": refused}


if __name__ == "__main__":
    unittest.main()
