"""A worker outlives its supervisor: kill -9, adoption, orphans, and never two writers."""

import json
import os
import pathlib
import signal
import subprocess
import unittest

from harness import (DaemonTest, build_directory, process_alive, wait_until)

ROUNDS = int(os.environ.get("TENANTD_SURVIVAL_ROUNDS", "50"))


class Load:
    """A client that routes without pause on one transport."""

    def __init__(self, daemon, tenant, transport):
        self.process = subprocess.Popen(
            [str(build_directory() / "tests/integration/load_client"), daemon.socket_path, tenant,
             transport, "where is my invoice"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "started":
            raise AssertionError(f"no first answer: {self.process.stderr.read()}")

    def finish(self):
        out, err = self.process.communicate(input="", timeout=30)
        if self.process.returncode != 0:
            raise AssertionError(err)
        return json.loads(out)


def limits_of(info):
    return {key: info[key] for key in ("cpu_quota_millicores", "pids_max", "memory_max_bytes")}


def cgroups_of(pid):
    return pathlib.Path(f"/proc/{pid}/cgroup").read_text()


class Survival(DaemonTest):
    def test_workers_and_clients_survive_fifty_kills_of_the_supervisor(self):
        daemon = self.running_tenant(resources='cpu = "150%"\npids_max = 40')
        before = daemon.wait_state("acme", "running")
        groups = cgroups_of(before["pid"])
        loads = [Load(daemon, "acme", transport) for transport in ("ring", "stream")]
        for round_number in range(ROUNDS):
            daemon.kill()
            self.assertTrue(process_alive(before["pid"]), f"round {round_number}")
            daemon.start()
            info = daemon.wait_state("acme", "running")
            self.assertEqual(info["pid"], before["pid"], f"round {round_number}: not adopted")
            self.assertEqual(info["generation"], before["generation"])
            self.assertEqual(limits_of(info), limits_of(before))
        self.assertEqual(cgroups_of(before["pid"]), groups)
        for load in loads:
            result = load.finish()
            self.assertEqual(result["errors"], 0, result)
            self.assertGreater(result["answered"], 100)
        # Adopted workers still obey: live settings, restart, removal.
        daemon.ctl("tenant", "restart", "acme")
        after = wait_until(lambda: (i := daemon.tenant("acme")).get("state") == "running"
                           and i["pid"] != before["pid"] and i, "the restart")
        wait_until(lambda: not process_alive(before["pid"]), "the old worker's end")
        self.assertGreater(after["generation"], before["generation"])

    def test_clients_are_answered_while_no_supervisor_runs(self):
        daemon = self.running_tenant()
        load = Load(daemon, "acme", "ring")
        daemon.kill()
        result = load.finish()
        self.assertEqual(result["errors"], 0, result)
        daemon.start()
        daemon.wait_state("acme", "running")

    def test_a_worker_that_dies_while_no_supervisor_runs_is_replaced(self):
        daemon = self.running_tenant()
        before = daemon.tenant("acme")
        daemon.kill()
        os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda: not process_alive(before["pid"]), "the worker's end")
        daemon.start()
        info = daemon.wait_state("acme", "running")
        self.assertGreater(info["generation"], before["generation"])
        daemon.ctl("query", "acme", "track my package")

    def test_a_survivor_that_cannot_answer_is_replaced_after_its_death(self):
        daemon = self.running_tenant()
        before = daemon.tenant("acme")
        daemon.kill()
        os.kill(before["pid"], signal.SIGSTOP)
        daemon.start()
        info = daemon.wait_state("acme", "running", timeout_s=40)
        self.assertNotEqual(info["pid"], before["pid"])
        self.assertFalse(process_alive(before["pid"]), "two writers")

    def test_a_survivor_whose_file_is_gone_is_drained(self):
        daemon = self.running_tenant()
        pid = daemon.tenant("acme")["pid"]
        daemon.kill()
        os.unlink(daemon.tenants_dir / "acme.toml")
        daemon.start()
        wait_until(lambda: not process_alive(pid), "the drained survivor")

    def test_orphans_that_nobody_adopts_drain_and_exit(self):
        daemon = self.daemon(config='orphan_grace = "1s"\n')
        daemon.write_tenant("acme")
        daemon.start()
        pid = daemon.wait_state("acme", "running")["pid"]
        daemon.kill()
        wait_until(lambda: not process_alive(pid), "the orphan's end")

    def test_a_stop_leaves_nothing(self):
        daemon = self.running_tenant()
        pid = daemon.tenant("acme")["pid"]
        groups = [line.split(":", 2) for line in cgroups_of(pid).splitlines()]
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(process_alive(pid))
        for _, controllers, path in groups:
            if "acme" in path:
                for mount in ("/sys/fs/cgroup/" + controllers, "/sys/fs/cgroup",
                              "/sys/fs/cgroup/unified"):
                    self.assertFalse(os.path.exists(mount + path), mount + path)
        self.assertEqual(list(daemon.run_dir.glob("workers/*.record")), [])

    def test_a_crash_pauses_clients_and_a_crash_loop_is_quarantined(self):
        daemon = self.daemon(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "50ms"\n'
                                    'crash_loop_count = 4\ncrash_loop_window = "60s"\n')
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        load = Load(daemon, "acme", "ring")
        pid = daemon.tenant("acme")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: (i := daemon.tenant("acme")).get("state") == "running" and i["pid"] != pid,
                   "the restart")
        result = load.finish()
        self.assertEqual(result["errors"], 0, result)
        for _ in range(3):
            info = daemon.wait_state("acme", "running", "quarantined")
            if info["state"] == "running":
                os.kill(info["pid"], signal.SIGKILL)
                wait_until(lambda p=info["pid"]: not process_alive(p), "the kill")
        info = daemon.wait_state("acme", "quarantined")
        self.assertTrue(info["reason"])
        refused = daemon.ctl("--timeout", "1s", "query", "acme", "x", check=False)
        self.assertEqual(refused.returncode, 5)
        daemon.ctl("tenant", "restart", "acme")
        daemon.wait_state("acme", "running")


if __name__ == "__main__":
    unittest.main()
