"""Hooks of platinum tenants: run once for each start and end of a worker, bounded, and never in the way."""

import os
import signal
import unittest

from harness import IS_ROOT, process_alive, wait_until
from platinum import PlatinumTest, offer_hooks, platinum_toml

HOOKS = 'program = "example"\non_start = "begin"\non_stop = "end"'
# One line in one write: hooks of several tenants run at once.
TELL = 'line="$(env -u PWD -u _ -u SHLVL | sort | tr "\\n" " ")$*"\necho "$line" >>{told}\n'


@unittest.skipUnless(IS_ROOT, "programs of the host's owner are root's")
class Hooks(PlatinumTest):
    def hooked(self, begin, end, tenants=("acme",)):
        daemon = self.offering()
        told = daemon.base / "told"
        offer_hooks(daemon, begin=begin.format(told=told), end=end.format(told=told))
        for tenant in tenants:
            daemon.write_tenant(tenant, platinum_toml(tenant, HOOKS))
        daemon.start()
        for tenant in tenants:
            daemon.wait_state(tenant, "running")
        daemon.told = lambda: told.read_text().splitlines() if told.exists() else []
        return daemon

    def test_they_are_told_the_tenant_the_event_and_the_generation(self):
        daemon = self.hooked(TELL, TELL)
        generation = daemon.tenant("acme")["generation"]
        wait_until(lambda: "on_start was run" in daemon.log(), "the first hook")
        self.assertEqual(len(daemon.told()), 1)
        self.assertTrue(daemon.told()[0].endswith(" acme"))
        variables = dict(v.split("=", 1) for v in daemon.told()[0].split()[:-1])
        self.assertEqual(set(variables), {"PATH", "TENANTD_TENANT", "TENANTD_EVENT", "TENANTD_GENERATION"})
        self.assertEqual(variables["TENANTD_TENANT"], "acme")
        self.assertEqual(variables["TENANTD_EVENT"], "on_start")
        self.assertEqual(variables["TENANTD_GENERATION"], str(generation))
        os.kill(daemon.tenant("acme")["pid"], signal.SIGKILL)
        wait_until(lambda: len(daemon.told()) == 3, "the end of one worker and the start of the next")
        self.assertIn(f"TENANTD_EVENT=on_stop TENANTD_GENERATION={generation} ", daemon.told()[1])
        self.assertIn(f"TENANTD_EVENT=on_start TENANTD_GENERATION={generation + 1} ", daemon.told()[2])
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(len(daemon.told()), 4)
        self.assertIn(f"TENANTD_EVENT=on_stop TENANTD_GENERATION={generation + 1} ", daemon.told()[3])

    def test_an_adopted_worker_has_not_started_and_one_that_died_unseen_has_stopped(self):
        daemon = self.hooked(TELL, TELL, tenants=("acme", "globex"))
        wait_until(lambda: daemon.log().count("on_start was run") == 2, "the first hooks")
        dead = daemon.tenant("acme")["pid"]
        daemon.tenant("globex")
        daemon.kill()
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: not process_alive(dead), "its end")
        daemon.start()
        daemon.wait_state("globex", "running")
        daemon.wait_state("acme", "running")
        wait_until(lambda: daemon.log().count("on_start was run") == 3, "the hook of the next worker")
        self.assertEqual(sum("on_stop" in line for line in daemon.told()), 1)
        self.assertEqual(sum(line.endswith(" globex") for line in daemon.told()), 1)

    def test_one_that_hangs_delays_nobody_and_ends_with_the_daemon(self):
        hang = "echo $$ >{told}.new\nmv {told}.new {told}\nexec sleep 1000\n"
        daemon = self.hooked(hang, "exit 0\n")
        daemon.ctl("query", "acme", "where is my invoice")
        wait_until(daemon.told, "the hook at work")
        hook = int(daemon.told()[0])
        daemon.kill()
        wait_until(lambda: not process_alive(hook), "the end of the hook")
        daemon.start()
        daemon.wait_state("acme", "running")
        self.assertEqual(daemon.log().count("worker ready"), 1)  # adopted

    def test_one_that_fails_is_in_the_log_and_in_the_ledger(self):
        daemon = self.hooked("echo of no use\nexit 3\n", "exit 0\n")
        wait_until(lambda: "on_start: exit code 3" in daemon.log(), "its exit code")
        self.assertIn("on_start says: of no use", daemon.log())
        wait_until(lambda: "hook_failed" in daemon.ctl("tenant", "events", "acme").stdout, "the event")
        self.assertEqual(daemon.tenant("acme")["state"], "running")

    def test_one_that_others_could_write_is_not_run(self):
        daemon = self.hooked(TELL, TELL)
        wait_until(lambda: "on_start was run" in daemon.log(), "the first hook")
        os.chmod(daemon.config_dir / "begin", 0o777)
        daemon.ctl("tenant", "restart", "acme")
        wait_until(lambda: "on_start was not run" in daemon.log(), "the refusal")
        self.assertEqual(sum("on_start" in line for line in daemon.told()), 1)
        daemon.wait_state("acme", "running")


if __name__ == "__main__":
    unittest.main()
