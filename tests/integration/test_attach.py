"""Hellos: who gets in, and what hostile ones cost."""

import contextlib
import hashlib
import os
import secrets
import socket
import struct
import subprocess
import unittest

from harness import (DaemonTest, IS_ROOT, RawClient, error_code, hello, programs_directory, wait_until)

PERMISSION_DENIED, PROTOCOL_ERROR, NOT_FOUND, UNSUPPORTED = 5, 10, 3, 16
WELCOME, ERROR = 2, 1
STRANGER = "65533"


class Attach(DaemonTest):
    def outcome(self, daemon, data):
        with RawClient(daemon.socket_path) as client:
            client.send(data)
            return client.receive_frame()

    def counters(self, daemon):
        return daemon.ctl("status", as_json=True)["daemon"]

    def test_a_valid_hello_is_welcomed_and_malformed_ones_get_an_error_frame(self):
        daemon = self.running_tenant()
        kind, _, _ = self.outcome(daemon, hello())
        self.assertEqual(kind, WELCOME)
        bad = {
            "magic": hello(magic=1), "size": hello(size=255), "target": hello(target=9),
            "no tenant": hello(tenant=b""), "bad id": hello(tenant=b"../acme"),
            "unterminated id": hello(tenant=b"a" * 64), "credential kind": hello(credential=7),
            "not zero": hello(tail=b"\x01"), "versions swapped": hello(versions=(2, 1)),
            "token too short": hello(token=b"short"),
        }
        before = self.counters(daemon)["hellos_malformed"]
        for name, data in bad.items():
            with self.subTest(name=name):
                with RawClient(daemon.socket_path) as client:
                    client.send(data)
                    frame = client.receive_frame()
                    self.assertIsNotNone(frame)
                    self.assertEqual(frame[0], ERROR)
                    self.assertIn(error_code(frame[2]), (PROTOCOL_ERROR, 2, PERMISSION_DENIED))
                    self.assertTrue(client.at_eof())
        self.assertGreater(self.counters(daemon)["hellos_malformed"], before)

    def test_only_future_versions_are_answered_with_unsupported(self):
        daemon = self.running_tenant()
        kind, _, payload = self.outcome(daemon, hello(versions=(200, 201)))
        self.assertEqual((kind, error_code(payload)), (ERROR, UNSUPPORTED))

    def test_an_unknown_tenant_is_not_found_for_an_operator(self):
        daemon = self.running_tenant()
        kind, _, payload = self.outcome(daemon, hello(tenant=b"nobody"))
        self.assertEqual((kind, error_code(payload)), (ERROR, NOT_FOUND))
        self.assertGreaterEqual(self.counters(daemon)["hellos_unknown_tenant"], 1)

    def test_late_and_half_hellos_are_closed_and_counted(self):
        daemon = self.daemon(config='hello_timeout = "200ms"\n')
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        with RawClient(daemon.socket_path) as client:
            client.send(hello()[:100])
            frame = client.receive_frame()
            self.assertTrue(frame is None or frame[0] == ERROR)
            self.assertTrue(client.at_eof())
        wait_until(lambda: self.counters(daemon)["hellos_late"] >= 1, "the late hello's count")

    def test_descriptors_sent_with_a_hello_never_enter_the_supervisor(self):
        daemon = self.running_tenant()
        def descriptors():
            return len(list(os.scandir(f"/proc/{daemon.process.pid}/fd")))
        before = descriptors()
        clients = []
        for _ in range(20):
            client = RawClient(daemon.socket_path)
            with open("/dev/null", "rb") as null:
                socket.send_fds(client.socket, [hello()[:128]], [null.fileno()] * 50)
            clients.append(client)
        self.counters(daemon)
        during = descriptors()
        for client in clients:
            client.close()
        self.assertLessEqual(during - before, 20 + 2, "only the connections themselves")
        wait_until(lambda: descriptors() <= before + 1, "the connections to go")

    @unittest.skipUnless(IS_ROOT, "needs root to act as another user")
    def test_a_flood_of_half_open_hellos_does_not_keep_others_out(self):
        daemon = self.running_tenant()
        flood = ("import socket, sys\nheld = []\nfor _ in range(400):\n"
                 "    s = socket.socket(socket.AF_UNIX)\n    s.connect(sys.argv[1])\n"
                 "    held.append(s)\nprint('held', flush=True)\nsys.stdin.read()\n")
        with subprocess.Popen(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}",
                               "--clear-groups", "/usr/bin/python3", "-c", flood, daemon.socket_path],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attacker:
            self.assertEqual(attacker.stdout.readline().strip(), "held")
            daemon.ctl("query", "acme", "where is my invoice")
            self.assertGreater(self.counters(daemon)["hellos_overload"], 0)
            attacker.communicate("")

    def test_garbage_after_the_hello_costs_only_its_attachment(self):
        daemon = self.running_tenant()
        with RawClient(daemon.socket_path) as good:
            good.send(hello())
            self.assertEqual(good.receive_frame()[0], WELCOME)
            for garbage in (secrets.token_bytes(4096), struct.pack("<IHHQQ", 1 << 31, 16, 0, 1, 0),
                            struct.pack("<IHHQQ", 0, 999, 0, 1, 0), b"\0" * 24):
                with RawClient(daemon.socket_path) as bad:
                    bad.send(hello())
                    self.assertEqual(bad.receive_frame()[0], WELCOME)
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        bad.send(garbage)
                    while bad.receive_frame() is not None:
                        pass
            good.send_frame(3, b"\0")  # choose the stream
            self.assertEqual(good.receive_frame()[0], 4)
            good.send_frame(6, request_id=42)
            self.assertEqual(good.receive_frame()[:2], (7, 42))
        self.assertGreaterEqual(daemon.tenant("acme")["peer_faults"], 3)


@unittest.skipUnless(IS_ROOT, "needs root to act as other users")
class Credentials(DaemonTest):
    def query_as(self, daemon, *arguments, uid=STRANGER, gid=STRANGER, groups=None):
        who = ["setpriv", f"--reuid={uid}", f"--regid={gid}",
               f"--groups={groups}" if groups else "--clear-groups"]
        return subprocess.run([*who, str(programs_directory() / "tenantctl"), "--socket",
                               daemon.socket_path, "--timeout", "3s", *arguments],
                              capture_output=True, text=True, check=False)

    def test_strangers_are_refused_and_learn_nothing_about_tenants(self):
        daemon = self.running_tenant()
        known = self.query_as(daemon, "query", "acme", "x")
        unknown = self.query_as(daemon, "query", "nobody", "x")
        self.assertEqual((known.returncode, unknown.returncode), (4, 4))
        self.assertEqual(known.stderr.replace("acme", "T"), unknown.stderr.replace("nobody", "T"))
        self.assertEqual(self.query_as(daemon, "tenant", "list").returncode, 4)
        self.assertGreaterEqual(daemon.ctl("status", as_json=True)["daemon"]["hellos_denied"], 2)

    def test_users_groups_and_tokens_open_the_door_and_close_it_live(self):
        token = secrets.token_bytes(32)
        digest = hashlib.sha256(token).hexdigest()
        daemon = self.daemon()
        token_file = daemon.base / "token"
        token_file.write_bytes(token)
        token_file.chmod(0o644)
        daemon.write_tenant("acme", access=f"users = [65530]\ngroups = [65531]\n"
                                           f'token_sha256 = ["{digest}"]')
        daemon.start()
        daemon.wait_state("acme", "running")
        daemon.add_routes("acme", {"r": ["hello there"]})
        query = ("query", "acme", "hello there")
        self.assertEqual(self.query_as(daemon, *query, uid="65530").returncode, 0)
        self.assertEqual(self.query_as(daemon, *query, gid="65531").returncode, 0)
        self.assertEqual(self.query_as(daemon, *query, groups="65529,65531").returncode, 0)
        self.assertEqual(self.query_as(daemon, *query).returncode, 4)
        with_token = ("--token-file", str(token_file), *query)
        self.assertEqual(self.query_as(daemon, *with_token).returncode, 0)
        token_file.write_bytes(secrets.token_bytes(32))
        self.assertEqual(self.query_as(daemon, *with_token).returncode, 4)
        daemon.write_tenant("acme", access="users = [65528]")
        daemon.ctl("reload")
        self.assertEqual(self.query_as(daemon, *query, uid="65530").returncode, 4)
        self.assertEqual(self.query_as(daemon, *query, uid="65528").returncode, 0)


if __name__ == "__main__":
    unittest.main()
