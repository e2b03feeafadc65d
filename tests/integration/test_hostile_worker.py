"""Every attack of tests/isolation/hostile, by workers that a real supervisor has launched and confined.

The hostile ones run beside an honest tenant. The supervisor's own time is measured from inside
(turn_meter.cpp): CPU of one turn of its loop and time blocked in a call, never wall time, so that a busy machine
makes no difference.
"""

import os
import pathlib
import struct
import subprocess
import threading
import time
import unittest

from harness import (IS_ROOT, RawClient, SAMPLE_ROUTES, build_directory, error_code, hello, process_alive,
                     programs_directory, wait_until)
from hostile import ERROR, Hostile

HOSTILE = "tests/isolation/hostile"
KILLED = ("garbage", "truncated", "other-generation", "oversized", "old-version", "flood-ready", "flood-drained",
          "flood-status", "command", "attach", "tenant-record", "report", "closes")
DIE = ("silent", "exits", "aborts")  # by themselves, or for never being ready
# These hurt nobody, so nobody kills them.
LEFT_ALONE = ("descriptors", "twice-ready", "drained-unasked", "deaf", "spins", "log-without-end",
              "log-short-lines", "log-no-text", "reconnects")
ON_CLIENTS = ("silent", "closes", "garbage", "huge-frame", "half-frame", "odd-ring-size", "unasked",
              "other-request", "answers-twice", "wrong-answer", "welcomes-for-ever", "ring-unsealed",
              "ring-growable", "ring-small", "ring-large", "ring-empty", "ring-blocking-doorbell",
              "ring-pipe-doorbell", "ring-full-doorbell", "ring-many", "ring-silent", "ring-tail-ahead", "ring-tail-odd",
              "ring-head-ahead", "ring-frame-outside", "ring-frame-garbage")
LIMITS = """\
plan = "premium"
[resources]
cpu = "20%"
memory_max = "32M"
"""
CONFIG = """\
start_timeout = "1s"
drain_timeout = "200ms"
[restart]
backoff_min = "200ms"
backoff_max = "1s"
crash_loop_count = 1000
crash_loop_window = "60s"
[hello]
max_per_second = 100000
max_per_second_per_uid = 100000
"""


class TurnMeter:
    """What turn_meter.cpp writes."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "turns"
        self.path.write_bytes(bytes(4096))
        self.library = build_directory() / HOSTILE / "turn_meter.so"

    def watch(self, daemon):
        command = daemon.command
        daemon.command = lambda: ["env", f"LD_PRELOAD={self.library}", f"TENANTD_TURN_METER={self.path}",
                                  *command()]

    def reset(self):
        with open(self.path, "r+b") as file:
            file.write(bytes(32))

    def read(self):
        names = ("busy_ns", "blocked_ns", "turns", "long_turns")
        return dict(zip(names, struct.unpack("<4Q", self.path.read_bytes()[:32])))


class Innocent(threading.Thread):
    """An operator that asks all the time: every question has an answer of the supervisor itself."""

    def __init__(self, path):
        super().__init__()
        self.path, self.ended, self.answers, self.wrong = path, threading.Event(), 0, []

    def run(self):
        while not self.ended.wait(0.004):
            try:
                with RawClient(self.path) as client:
                    client.send(hello(tenant=b"nobody"))
                    frame = client.receive_frame()
            except OSError as error:
                self.wrong.append(error)
                continue
            if frame is None or frame[0] != ERROR or error_code(frame[2]) == 0:
                self.wrong.append(frame)
            self.answers += 1

    def stop(self):
        self.ended.set()
        self.join()


@unittest.skipUnless(IS_ROOT, "needs root: a tenant's uid and cgroup hold the hostile worker")
class HostileWorkers(Hostile):
    def start_beside_honest(self):
        if not (build_directory() / HOSTILE / "hostile_worker").exists():
            self.skipTest("hostile_worker is static: not in a sanitizer's build")
        daemon = self.daemon(config=CONFIG)
        self.meter = TurnMeter(daemon.base)
        self.meter.watch(daemon)
        daemon.write_tenant("globex")
        daemon.start()
        daemon.wait_state("globex", "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        # From here on new workers are the hostile program; the honest one stays what it is.
        program = programs_directory() / "tenantd-worker-hostile"
        if not program.exists():
            program.write_bytes((build_directory() / HOSTILE / "hostile_worker").read_bytes())
            program.chmod(0o755)
        text = daemon.config_file.read_text()
        daemon.config_file.write_text(text + f'\n[worker]\nprogram = "{program}"\n')
        daemon.ctl("reload")
        return daemon

    def assert_nothing_happened_to_others(self, daemon, before, control):
        self.assert_unharmed(daemon)
        after = daemon.tenant("globex")
        for key in ("pid", "generation", "restarts", "state", "uid", "confinement", "routes", "peer_faults"):
            self.assertEqual(after.get(key), before.get(key), key)
        self.assertIsNone(daemon.process.poll())
        self.assertTrue(process_alive(control))
        events = daemon.ctl("tenant", "events", "globex").stdout
        for word in ("died", "killed", "quarantined"):
            self.assertNotIn(word, events)

    def control_pid(self, daemon):
        for process in pathlib.Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == daemon.process.pid and "control" in (process / "cmdline").read_text():
                    return int(process.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        raise AssertionError("no control process")

    def test_every_attack_on_the_link_at_once(self):
        daemon = self.start_beside_honest()
        before, control = daemon.tenant("globex"), self.control_pid(daemon)
        descriptors = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
        innocent = Innocent(daemon.socket_path)
        innocent.start()
        try:
            for attack in (*KILLED, *LEFT_ALONE, *DIE):
                daemon.write_tenant(attack, LIMITS)
            for attack in KILLED:
                info = wait_until(lambda a=attack: self.dealt_with(daemon, a), f"the end of {attack}", 60)
                self.assertGreater(info["restarts"], 0, attack)
                wait_until(lambda a=attack: "killed: it " in daemon.ctl("tenant", "events", a).stdout,
                           f"the reason why {attack} died")
            for attack in LEFT_ALONE:
                info = daemon.wait_state(attack, "running", timeout_s=60)
                self.assertEqual(info["restarts"], 0, (attack, info))
            for attack in DIE:
                wait_until(lambda a=attack: self.dealt_with(daemon, a), f"the end of {attack}", 60)
            # That all were started at once was the operator's doing. Now they attack, die and attack again.
            self.meter.reset()
            seen = innocent.answers
            wait_until(lambda: innocent.answers > seen + 400, "answers to the operator", 60)
            turns = self.meter.read()
        finally:
            innocent.stop()
        self.assertEqual(innocent.wrong, [])
        self.assertGreater(innocent.answers, 100)
        self.assert_nothing_happened_to_others(daemon, before, control)
        self.assertGreater(turns["turns"], 400)
        self.assert_no_stall(turns)
        for attack in LEFT_ALONE + KILLED:
            (daemon.tenants_dir / f"{attack}.toml").unlink()
        wait_until(lambda: daemon.ctl("reload", "--confirm-removal")
                   and not set(daemon.tenants()) & {*LEFT_ALONE, *KILLED}, "the end of the hostile")
        wait_until(lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) <= descriptors + 20,
                   "the supervisor's descriptors to come back")

    def dealt_with(self, daemon, attack):
        info = daemon.tenant(attack)
        return info if info.get("restarts", 0) > 0 else None

    def assert_no_stall(self, turns):
        """10 ms are the rule; that a slow machine takes longer once in a while to start a worker is no failure.

        Blocked time is not judged: another process may hold a lock of the kernel's. tests/bench/attach_storm.py
        shows what it does to others.
        """
        self.assertLessEqual(turns["long_turns"], turns["turns"] / 20, turns)
        self.assertLess(turns["busy_ns"], 100_000_000, turns)

    def test_clients_of_a_hostile_worker_get_an_error_in_time(self):
        daemon = self.start_beside_honest()
        before, control = daemon.tenant("globex"), self.control_pid(daemon)
        for name in ON_CLIENTS:
            daemon.write_tenant(f"c-{name}", LIMITS)
        for name in ON_CLIENTS:
            daemon.wait_state(f"c-{name}", "running", timeout_s=60)
        running = {}
        for name in ON_CLIENTS:
            running[name] = subprocess.Popen(
                [str(programs_directory() / "tenantctl"), "--socket", daemon.socket_path, "--timeout", "400ms",
                 "query", f"c-{name}", "where is my parcel"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            for name, client in running.items():
                with self.subTest(name=name):
                    out, err = client.communicate(timeout=30)
                    self.assertIn(client.returncode, (1, 4, 5), (out, err))
                    self.assertNotIn(b"\x1b", out + err)
        finally:
            for client in running.values():
                client.kill()
                client.communicate()
        self.assert_nothing_happened_to_others(daemon, before, control)


if __name__ == "__main__":
    unittest.main()
