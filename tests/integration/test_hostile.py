"""Attacks by strangers without a credential, and by workers that somebody took over."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time
import unittest

from harness import (IS_ROOT, RawClient, SAMPLE_ROUTES, hello, process_alive, programs_directory,
                     wait_until)
from hostile import (text, link_message, worker_hello, stolen_descriptor, as_user, Hostile, STRANGER,
                     LINK_FD, LOG_FD)


@unittest.skipUnless(IS_ROOT, "needs root to act as other users and to take workers over")
class Strangers(Hostile):
    """A local user without any credential."""

    def test_strangers_cannot_keep_workers_from_registering(self):
        daemon = self.two_tenants()
        before = daemon.tenant("acme")
        daemon.kill()
        daemon.start()
        daemon.wait_state("acme", "running")
        path = str(daemon.run_dir / "link/supervisor.sock")
        flood = ("import socket, sys\n"
                 "def fresh():\n"
                 "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                 "    s.settimeout(5)\n    s.connect(sys.argv[1])\n    return s\n"
                 "held = [fresh() for _ in range(600)]\n"
                 "print('held', flush=True)\n"
                 "ended = 0\n"
                 "for s in held:\n"
                 "    try:\n        ended += s.recv(1) == b''\n"
                 "    except ConnectionError:\n        ended += 1\n"
                 "    except TimeoutError:\n        pass\n"
                 "print(ended, flush=True)\n")
        started = time.monotonic()
        with subprocess.Popen(["/usr/bin/python3", "-c", flood, path], stdout=subprocess.PIPE, text=True,
                              preexec_fn=as_user(STRANGER)) as attacker:
            self.assertEqual(attacker.stdout.readline().strip(), "held")
            self.assertEqual(int(attacker.stdout.readline()), 600)
        # At once, not when their time is over: no place was taken from a worker.
        self.assertLess(time.monotonic() - started, 1.5)
        self.assertEqual(daemon.tenant("acme")["pid"], before["pid"])
        self.assert_unharmed(daemon)

    def test_a_false_worker_hello_is_refused_whoever_sends_it(self):
        daemon = self.two_tenants()
        acme, globex = daemon.tenant("acme"), daemon.tenant("globex")
        daemon.kill()
        os.kill(acme["pid"], signal.SIGSTOP)  # so that it is still awaited
        daemon.start(wait=False)
        path = str(daemon.run_dir / "link/supervisor.sock")
        said = [worker_hello("acme", acme["generation"]), worker_hello("acme", acme["generation"] + 1),
                worker_hello("nobody", 1), worker_hello("../acme", 1), b"x", b"x" * 9000,
                worker_hello("acme", acme["generation"])[:-1]]
        script = ("import socket, sys\nfor said in sys.stdin.read().split():\n"
                  "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n    s.settimeout(10)\n"
                  "    s.connect(sys.argv[1])\n"
                  "    try:\n        s.send(bytes.fromhex(said))\n        assert s.recv(100) == b''\n"
                  "    except (ConnectionError, BrokenPipeError):\n        pass\nprint('refused')\n")

        def listening():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
                return probe.connect_ex(path) == 0
        wait_until(listening, "the second start")
        for uid in (STRANGER, acme["uid"], globex["uid"], 0):
            with self.subTest(uid=uid):
                done = subprocess.run(["/usr/bin/python3", "-c", script, path], text=True, check=False,
                                      input=" ".join(s.hex() for s in said), capture_output=True,
                                      preexec_fn=as_user(uid), timeout=30)
                self.assertEqual(done.stdout.strip(), "refused", done.stderr)
        os.kill(acme["pid"], signal.SIGCONT)
        info = daemon.wait_state("acme", "running")
        self.assertEqual(info["pid"], acme["pid"])
        self.assert_unharmed(daemon)

    def test_a_stranger_cannot_take_the_places_that_make_an_instance_the_only_one(self):
        daemon = self.two_tenants()
        groups = pathlib.Path(f"/proc/{daemon.tenant('acme')['pid']}/cgroup").read_text()
        name = next(part for part in groups.replace("\n", "/").split("/") if part.startswith("tnd-"))
        places = [daemon.run_dir, daemon.state_dir, *pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}")]
        daemon.kill()
        hold = ("import fcntl, os, sys\nheld = []\nfor place in sys.argv[1:]:\n"
                "    try:\n        held.append(os.open(place, os.O_RDONLY))\n"
                "        fcntl.flock(held[-1], fcntl.LOCK_SH)\n"
                "    except PermissionError:\n        pass\n"
                "print('held', flush=True)\nsys.stdin.read()\n")
        with subprocess.Popen(["/usr/bin/python3", "-c", hold, *map(str, places)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              preexec_fn=as_user(STRANGER)) as attacker:
            self.assertEqual(attacker.stdout.readline().strip(), "held")
            try:
                daemon.start()
                daemon.wait_state("acme", "running")
                self.assert_unharmed(daemon)
            finally:
                attacker.communicate("")


@unittest.skipUnless(IS_ROOT, "needs root to take workers over")
class Workers(Hostile):
    """A worker that somebody else runs: its link, its log pipe, its data."""

    def link_of(self, daemon, tenant="acme"):
        fd = stolen_descriptor(daemon.tenant(tenant)["pid"], LINK_FD)
        link = socket.socket(fileno=fd)
        self.addCleanup(link.close)
        return link

    def flood(self, daemon, packets, descriptors=()):
        """Sends without end on the link until its worker has been dealt with."""
        before = daemon.tenant("acme")
        link = self.link_of(daemon)
        link.settimeout(0.05)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process_alive(before["pid"]):
            for packet in packets:
                with contextlib.suppress(TimeoutError, BlockingIOError, ConnectionError):
                    socket.send_fds(link, [packet], list(descriptors)) if descriptors else link.send(packet)
        self.assertFalse(process_alive(before["pid"]), "the flood goes on")
        link.close()

    def test_a_flooded_link_ends_its_worker_only(self):
        daemon = self.two_tenants(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\n')
        generation = daemon.tenant("acme")["generation"]
        floods = {
            "another generation": [link_message(5, generation + 1000)],
            "oversized": [b"\xff" * 8000],
        }
        for name, packets in floods.items():
            with self.subTest(name=name):
                self.flood(daemon, packets)
                daemon.wait_state("acme", "running")
        self.assert_unharmed(daemon)

    def test_messages_that_only_others_may_send(self):
        daemon = self.two_tenants(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\n'
                                         'crash_loop_count = 100\n')
        for kind, body in ((6, bytes(96)), (32, bytes(96)), (39, bytes(2000)), (2, bytes(72)),
                           (4, b"\xff" * 208), (1, b"\xff" * 144), (999, b"")):
            with self.subTest(kind=kind):
                info = daemon.wait_state("acme", "running")
                with self.link_of(daemon) as link:
                    link.send(link_message(kind, info["generation"], body))
                wait_until(lambda: not process_alive(info["pid"]), "the worker's end")
        info = daemon.wait_state("acme", "running")
        with self.link_of(daemon) as link:  # a descriptor: goes nowhere
            before = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
            with open("/dev/null", "rb") as null:
                for _ in range(50):
                    socket.send_fds(link, [link_message(5, info["generation"])], [null.fileno()] * 20)
            self.assert_unharmed(daemon)
            self.assertLessEqual(len(os.listdir(f"/proc/{daemon.process.pid}/fd")), before + 2)

    def test_bytes_that_are_no_text_stay_bytes(self):
        """A worker's words reach logs, control and terminals: none of them trips over them."""
        daemon = self.daemon(flags=("--log-format", "json"))
        daemon.write_tenant("acme")
        daemon.write_tenant("globex")
        daemon.start()
        for tenant in ("acme", "globex"):
            daemon.wait_state(tenant, "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        info = daemon.tenant("acme")
        evil = b"\xff\xc3\x28\x1b[2J\x9b31m\xed\xa0\x80\r"
        status = struct.pack("<9QII", *[(1 << 64) - 1] * 9, 1, 0) + evil.ljust(128, b"\0")
        log = stolen_descriptor(info["pid"], LOG_FD)
        os.write(log, evil + b"\n" + b"\xff" * 600 + b"\n")
        os.close(log)
        with self.link_of(daemon) as link:
            link.send(link_message(4, info["generation"], status))
            wait_until(lambda: "\\x1b" in daemon.log() or "\\u001b" in daemon.log(), "the line in the log")
            for arguments in (("status",), ("tenant", "status", "acme"), ("tenant", "logs", "acme"),
                              ("tenant", "list"), ("tenant", "events", "acme")):
                for as_json in (False, True):
                    link.send(link_message(4, info["generation"], status))
                    done = subprocess.run([str(programs_directory() / "tenantctl"), "--socket",
                                           daemon.socket_path, *(["--json"] if as_json else []), *arguments],
                                          capture_output=True, timeout=10, check=False)
                    self.assertEqual(done.returncode, 0, (arguments, as_json, done.stderr))
                    done.stdout.decode()
                    for byte in (0x1b, 0x0d):
                        self.assertNotIn(byte, done.stdout, (arguments, as_json))
                    self.assertNotIn("\x9b".encode(), done.stdout)
        for line in daemon.log_path.read_bytes().splitlines():
            json.loads(line.decode())
        self.assert_unharmed(daemon)

    def test_the_jails_report_is_believed_once(self):
        daemon = self.two_tenants(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\n')
        info = daemon.tenant("acme")
        with self.link_of(daemon) as link:
            link.send(link_message(1, info["generation"], struct.pack("<IIii", 0, 0, 1, 0) + bytes(128)))
        wait_until(lambda: not process_alive(info["pid"]), "the worker's end")
        after = daemon.wait_state("acme", "running")
        self.assertEqual(after["confinement"], info["confinement"])
        self.assert_unharmed(daemon)

    def test_a_log_without_end_costs_the_supervisor_little(self):
        daemon = self.two_tenants()
        log = stolen_descriptor(daemon.tenant("acme")["pid"], LOG_FD)
        write = ("import contextlib, os, select\nwhile True:\n    select.select([], [1], [])\n"
                 "    with contextlib.suppress(BlockingIOError):\n        os.write(1, b'x\\n' * 32768)\n")
        writer = subprocess.Popen(["/usr/bin/python3", "-c", write], stdout=log)
        os.close(log)
        wait_until(lambda: daemon.log().count(": x\n") > 10, "the flood in the log")
        try:
            self.assert_unharmed(daemon)
        finally:
            writer.kill()
            writer.wait()
        self.assert_unharmed(daemon)

    def test_a_stopped_worker_holds_up_only_its_own_tenant(self):
        daemon = self.two_tenants()
        pid = daemon.tenant("acme")["pid"]
        os.kill(pid, signal.SIGSTOP)
        waiting = []
        try:
            for _ in range(400):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client = RawClient(daemon.socket_path)
                    waiting.append(client)
                    client.send(hello())
            started = time.monotonic()
            self.assertEqual(set(daemon.tenants()), {"acme", "globex"})
            self.assert_unharmed(daemon)
            self.assertLess(time.monotonic() - started, 5)
            refused = daemon.ctl("--timeout", "500ms", "query", "acme", "x", check=False)
            self.assertEqual(refused.returncode, 5)
        finally:
            os.kill(pid, signal.SIGCONT)
            for client in waiting:
                client.close()
        daemon.ctl("query", "acme", "x")
        self.assertEqual(daemon.tenant("acme")["pid"], pid)

    def test_data_given_to_another_uid_or_a_symlink_is_refused(self):
        daemon = self.two_tenants()
        acme, globex = daemon.tenant("acme"), daemon.tenant("globex")
        data = daemon.state_dir / "tenants/acme"
        file = daemon.tenants_dir / "acme.toml"
        content = file.read_text()

        def stopped():
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
            wait_until(lambda: daemon.ctl("reload", "--confirm-removal")
                       and "acme" not in daemon.tenants(), "the tenant's end")
        aside = data.with_name("aside")
        for name in ("symlink", "another tenant's uid", "root's", "open to all", "a file"):
            with self.subTest(name=name):
                stopped()
                if name == "symlink":
                    data.rename(aside)
                    data.symlink_to(daemon.state_dir / "tenants/globex")
                elif name == "a file":
                    data.rename(aside)
                    data.write_text("")
                elif name == "open to all":
                    data.chmod(0o755)
                else:
                    owner = globex["uid"] if name.startswith("another") else 0
                    os.chown(data, owner, owner)
                daemon.write_tenant("acme", content)
                info = daemon.wait_state("acme", "refused")
                self.assertIn(str(data), info["reason"])
                if aside.exists():
                    data.unlink()
                    aside.rename(data)
                os.chown(data, acme["uid"], acme["uid"])
                data.chmod(0o700)
        daemon.ctl("tenant", "restart", "acme")
        daemon.wait_state("acme", "running")
        self.assert_unharmed(daemon)


if __name__ == "__main__":
    unittest.main()
