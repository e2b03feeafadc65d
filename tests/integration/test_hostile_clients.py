"""Attacks by clients with valid credentials for one tenant, and by servers on tenantctl."""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from harness import FRAME, RawClient, SAMPLE_ROUTES, error_code, hello, programs_directory, wait_until
from hostile import (text, route_payload, RingClient, Hostile, RING_BYTES, SEALS, WELCOME, ERROR, CHOOSE,
                     READY, PING, PONG, ROUTE, ROUTE_REPLY)


class Clients(Hostile):
    """Valid credentials for one tenant, and every intention."""

    def test_wrong_ring_memory_costs_only_the_attachment(self):
        daemon = self.two_tenants()
        offers = {
            "unsealed": lambda c: c.memory(seals=0),
            "writable by others": lambda c: c.memory(seals=0x2 | 0x4),
            "too large": lambda c: c.memory(size=4096 + 2 * RING_BYTES),
            "huge and sparse": lambda c: c.memory(size=1 << 40),
            "too small": lambda c: c.memory(size=4096),
            "empty": lambda c: c.memory(size=0),
            "a file": lambda c: os.open("/dev/null", os.O_RDWR),
            "a pipe": lambda c: os.pipe()[0],
            "a directory": lambda c: os.open("/", os.O_RDONLY),
            "the socket itself": lambda c: os.dup(c.socket.fileno()),
        }
        for name, offer in offers.items():
            with self.subTest(name=name), RingClient(daemon.socket_path) as client:
                if name == "huge and sparse":
                    fd = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
                    os.ftruncate(fd, 1 << 40)
                    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
                else:
                    fd = offer(client)
                client.choose(fd)
                os.close(fd)
                frame = client.receive_frame()
                self.assertEqual(frame[0], ERROR)
                self.assertTrue(client.at_eof())
        with RingClient(daemon.socket_path) as client:
            null = os.open("/dev/null", os.O_RDONLY)
            client.choose(*[null] * 100)
            os.close(null)
            self.assertEqual(client.receive_frame()[0], ERROR)
        info = daemon.tenant("acme")
        self.assertEqual(info["restarts"], 0)
        self.assertGreaterEqual(info["peer_faults"], len(offers))
        self.assert_unharmed(daemon)

    def test_lies_in_every_ring_index_while_requests_run(self):
        daemon = self.two_tenants()
        worker = daemon.tenant("acme")["pid"]
        lies = [(0, v) for v in (1, 1 << 63, (1 << 64) - 1, RING_BYTES + 8, (1 << 64) - 8)]
        lies += [(64, v) for v in (1 << 40, 1 << 63, (1 << 64) - 1)]
        for offset, value in lies:
            with self.subTest(offset=offset, value=value), RingClient(daemon.socket_path) as client:
                client.open_ring()
                for i in range(20):
                    client.push(ROUTE, route_payload("where is my parcel"), request_id=i + 1)
                client.set64(offset, value)
                client.ring()
                if offset == 64:  # looked at when the worker wants room
                    client.fill_with_pings()
                self.assertTrue(client.at_eof(), "the liar keeps its attachment")
        with RingClient(daemon.socket_path) as client:  # hints: any value is harmless
            client.open_ring()
            for word in range(256):
                struct.pack_into("<I", client.own, 128, word * 0x01010101)
                struct.pack_into("<I", client.own, 192, 0xffffffff)
                struct.pack_into("<I", client.own, 256, word * 0x01010101)
                client.push(PING, request_id=word + 1)
            wait_until(lambda: client.published() >= 256 * 24, "256 answers")
        self.assertEqual(daemon.tenant("acme")["pid"], worker)
        self.assert_idle(worker)
        self.assert_unharmed(daemon)

    def test_a_full_blocking_doorbell_and_unread_answers_stop_nobody_else(self):
        daemon = self.two_tenants()
        worker = daemon.tenant("acme")["pid"]
        with RingClient(daemon.socket_path) as client, RingClient(daemon.socket_path) as other:
            client.open_ring()
            client.fill_with_pings()  # answers fill the worker's ring, none is consumed
            flags = fcntl.fcntl(client.doorbell, fcntl.F_GETFL)
            fcntl.fcntl(client.doorbell, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
            rung = struct.unpack("<Q", os.read(client.doorbell, 8))[0]
            self.assertGreater(rung, 0)
            os.write(client.doorbell, struct.pack("<Q", (1 << 64) - 2))
            other.open_ring()
            other.push(PING, request_id=7)
            wait_until(lambda: other.published() >= 24, "the other client's answer")
            self.assert_idle(worker)
        self.assertEqual(daemon.tenant("acme")["pid"], worker)
        self.assert_unharmed(daemon)

    def test_a_stopped_client_holds_up_nobody(self):
        daemon = self.two_tenants()
        daemon.add_routes("acme", SAMPLE_ROUTES)
        child = os.fork()
        if child == 0:
            client = RingClient(daemon.socket_path).open_ring()
            for i in range(64):
                client.push(ROUTE, route_payload("where is my parcel"), request_id=i + 1)
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        try:
            os.waitpid(child, os.WUNTRACED)
            reply = daemon.ctl("query", "acme", "where is my invoice", as_json=True, timeout_s=10)
            self.assertEqual(reply["best"]["route"], "billing")
            self.assert_idle(daemon.tenant("acme")["pid"])
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        wait_until(lambda: daemon.tenant("acme")["attachments"] == 0, "its attachment's end")
        self.assert_unharmed(daemon)

    def test_a_thousand_attachments_of_one_client(self):
        daemon = self.two_tenants(config="[hello]\nmax_per_second = 10000\n"
                                         "max_per_second_per_uid = 10000\n")
        clients, refused = [], 0
        try:
            for _ in range(1000):
                client = RawClient(daemon.socket_path)
                clients.append(client)
                client.send(hello())
            for client in clients:
                refused += client.receive_frame()[0] == ERROR
            self.assertGreater(refused, 0)
            self.assertLess(refused, 1000)
            self.assert_unharmed(daemon)
        finally:
            for client in clients:
                client.close()
        wait_until(lambda: daemon.tenant("acme").get("attachments") == 0, "the attachments' end")
        self.assertEqual(daemon.tenant("acme")["restarts"], 0)
        daemon.ctl("query", "acme", "x")

    def test_frames_that_no_library_sends(self):
        daemon = self.two_tenants()
        worker = daemon.tenant("acme")["pid"]

        def stream():
            client = RawClient(daemon.socket_path)
            client.send(hello())
            self.assertEqual(client.receive_frame()[0], WELCOME)
            client.send_frame(CHOOSE, b"\0")
            self.assertEqual(client.receive_frame()[0], READY)
            return client
        with stream() as client:  # the end of the stream inside a frame
            client.send(FRAME.pack(5000, ROUTE, 0, 1, 0) + b"x" * 100)
        with stream() as client:  # more labels than the bound: malformed, not memory
            client.send_frame(ROUTE, route_payload("x", labels=17), request_id=1)
            self.assertEqual(client.receive_frame()[0], ERROR)
            self.assertTrue(client.at_eof())
        with stream() as client:
            lie = route_payload("x")[:-4] + struct.pack("<I", 0xffffffff)
            client.send_frame(ROUTE, lie, request_id=1)
            self.assertEqual(client.receive_frame()[0], ERROR)
        with stream() as client:  # deadlines: past ones are not run, the far future is no overflow
            client.send_frame(ROUTE, route_payload("x"), request_id=1, deadline_ns=1)
            kind, number, payload = client.receive_frame()
            self.assertEqual((kind, number, error_code(payload)), (ERROR, 1, 7))
            client.send_frame(ROUTE, route_payload("x"), request_id=2, deadline_ns=(1 << 64) - 1)
            self.assertEqual(client.receive_frame()[:2], (ROUTE_REPLY, 2))
            null = os.open("/dev/null", os.O_RDONLY)
            before = len(os.listdir(f"/proc/{worker}/fd"))
            for i in range(50):  # descriptors in a flood of good requests
                frame = FRAME.pack(0, PING, 0, 100 + i, 0)
                socket.send_fds(client.socket, [frame], [null] * 200)
                self.assertEqual(client.receive_frame()[:2], (PONG, 100 + i))
            os.close(null)
            self.assertLessEqual(len(os.listdir(f"/proc/{worker}/fd")), before)
        with stream() as client:  # never reads: bounded, and only its own loss
            client.socket.setblocking(False)
            frame = FRAME.pack(len(route_payload("x")), ROUTE, 0, 1, 0) + route_payload("x")
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while sent < 64 << 20:
                    sent += client.socket.send(frame * 100)
            self.assertLess(sent, 64 << 20)
            self.assert_idle(worker)
        for name in ("a\x1b[2Jb", "a\nb", "\x07"):
            refused = daemon.ctl("routes", "add", "acme", name, "--utterance", "x", check=False)
            self.assertNotEqual(refused.returncode, 0, repr(name))
            self.assertNotIn("\x1b", refused.stderr)
        self.assertEqual(daemon.tenant("acme")["pid"], worker)
        self.assert_unharmed(daemon)


class Garbage(unittest.TestCase):
    """tenantctl with a server that lies."""

    ANSWERS = {
        "nothing": b"", "noise": bytes(range(256)) * 16, "half a frame": FRAME.pack(100, WELCOME, 0, 0, 0),
        "huge": FRAME.pack(0xffffffff, WELCOME, 0, 0, 0), "empty welcome": FRAME.pack(0, WELCOME, 0, 0, 0),
        "zeros": bytes(4096), "escapes": None,
    }

    def answer(self, name):
        if name != "escapes":
            return self.ANSWERS[name]
        payload = (struct.pack("<H", 5) + text("\x1b]0;owned\x07\x1b[2Jno") + text("\x1b[31m") * 3
                   + struct.pack("<II", 0, 0) + text("\x9b31m\r\n") + struct.pack("<I", 0))
        return FRAME.pack(len(payload), ERROR, 0, 0, 0) + payload

    def test_garbage_is_an_error_and_reaches_no_terminal(self):
        with tempfile.TemporaryDirectory(prefix="tnd-") as folder:
            path = f"{folder}/s"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen(16)
                for name in self.ANSWERS:
                    for command in (("status",), ("query", "acme", "x")):
                        with self.subTest(name=name, command=command):
                            self.ask(listener, path, self.answer(name), command)

    def ask(self, listener, path, answer, command):
        def serve():
            listener.settimeout(0.05)
            while not done.is_set():
                with contextlib.suppress(TimeoutError, OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.settimeout(2)
                        connection.recv(256, socket.MSG_WAITALL)
                        connection.sendall(answer)
        done = threading.Event()
        server = threading.Thread(target=serve)
        server.start()
        try:
            ran = subprocess.run([str(programs_directory() / "tenantctl"), "--socket", path, "--timeout",
                                  "300ms", *command], capture_output=True, timeout=10, check=False)
        finally:
            done.set()
            server.join()
        self.assertIn(ran.returncode, (1, 4, 5), ran.stderr)
        for byte in b"\x1b\x07\r":
            self.assertNotIn(byte, ran.stdout + ran.stderr)
        self.assertNotIn("\x9b".encode(), ran.stdout + ran.stderr)


if __name__ == "__main__":
    unittest.main()
