"""What the attacks on a whole tenantd have in common.

After each, the supervisor and the other tenants answer, and nobody is left spinning.
"""

import contextlib
import ctypes
import fcntl
import mmap
import os
import pathlib
import socket
import struct
import subprocess
import time

from harness import (FRAME, DaemonTest, RawClient, SAMPLE_ROUTES, build_directory, hello,
                     wait_until)

STRANGER = 65533
RING_BYTES = 256 << 10
SEALS = 0x2 | 0x4 | 0x10 | 0x1  # shrink, grow, future write, seal
LINK_FD, LOG_FD = 3, 2
LINK = struct.Struct("<HHIQ")
WELCOME, ERROR, CHOOSE, READY, PING, PONG, ROUTE, ROUTE_REPLY = 2, 1, 3, 4, 6, 7, 16, 17


def cpu_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def route_payload(query, labels=0, alternatives=3):
    head = text(query) + struct.pack("<I", 0)
    return (head + b"\0" * (-len(head) % 4) + text("") + struct.pack("<IB", alternatives, 0)
            + text("") + text("") + struct.pack("<I", labels) + (text("k") + text("v")) * labels
            + struct.pack("<3I", 1, 0, 0))


def link_message(kind, generation, body=b"", version=1, size=None):
    return LINK.pack(kind, version, LINK.size + len(body) if size is None else size, generation) + body


def worker_hello(tenant, generation):
    return link_message(2, generation, tenant.encode().ljust(64, b"\0") + bytes(8))


def stolen_descriptor(pid, number):
    """A copy of another process's descriptor, as whoever took that process over has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        fd = libc.syscall(438, pidfd, number, 0)  # pidfd_getfd(2)
    finally:
        os.close(pidfd)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return fd


def as_user(uid):
    def change():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    return change


def storm(path, mode, uid, seconds, per_second, tenant="acme"):
    """Connections to the supervisor as another user: see tests/isolation/hostile/hello_storm.cpp."""
    program = build_directory() / "tests/isolation/hostile/hello_storm"
    return subprocess.Popen([str(program), path, mode, str(uid), tenant, str(seconds), str(per_second)],
                            stdout=subprocess.PIPE, text=True)


def storm_result(process):
    """(latencies in microseconds, {"connected": …, "refused": …, "welcomed": …, "failed": …})"""
    lines = process.communicate()[0].splitlines()
    words = lines[-1].split()
    return [int(line) for line in lines[:-1]], dict(zip(words[::2], map(int, words[1::2])))


class RingClient(RawClient):
    """The client's side of a ring, written by hand so that it can lie."""

    def __init__(self, path, tenant=b"acme"):
        super().__init__(path)
        self.send(hello(tenant=tenant))
        kind = self.receive_frame()[0]
        assert kind == WELCOME, kind

    def memory(self, size=4096 + RING_BYTES, seals=SEALS):
        fd = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        self.own = mmap.mmap(fd, size) if size else None
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return fd

    def choose(self, *descriptors, payload=b"\x01"):
        frame = FRAME.pack(len(payload), CHOOSE, 0, 0, 0) + payload
        socket.send_fds(self.socket, [frame], list(descriptors))

    def open_ring(self):
        fd = self.memory()
        self.choose(fd)
        os.close(fd)
        data, fds, _, _ = socket.recv_fds(self.socket, 25, 4)
        assert FRAME.unpack(data[:24])[1] == READY and len(fds) == 2, (data, fds)
        self.peer = mmap.mmap(fds[0], 4096 + RING_BYTES, prot=mmap.PROT_READ)
        os.close(fds[0])
        self.doorbell = fds[1]
        self.tail = 0
        return self

    def set64(self, offset, value):
        struct.pack_into("<Q", self.own, offset, value & (1 << 64) - 1)

    def push(self, kind, payload=b"", request_id=1, deadline=0):
        record = FRAME.pack(len(payload), kind, 0, request_id, deadline) + payload
        record += b"\0" * (-len(record) % 8)
        at = 4096 + self.tail % RING_BYTES
        assert at + len(record) <= len(self.own)
        self.own[at:at + len(record)] = record
        self.tail += len(record)
        self.set64(0, self.tail)
        self.ring()

    def fill_with_pings(self, count=RING_BYTES // 24 * 2):
        """As many as the worker takes, until it takes no more."""
        for i in range(count):
            head = struct.unpack_from("<Q", self.peer, 64)[0]
            if self.tail + 24 > head + RING_BYTES:
                break
            for word in range(0, 24, 8):  # may wrap
                at = 4096 + (self.tail + word) % RING_BYTES
                self.own[at:at + 8] = FRAME.pack(0, PING, 0, i + 1, 0)[word:word + 8]
            self.tail += 24
            self.set64(0, self.tail)
            self.ring()

    def ring(self):
        with contextlib.suppress(BlockingIOError):
            os.write(self.doorbell, bytes(8))

    def published(self):
        return struct.unpack_from("<Q", self.peer, 0)[0]

    def close(self):
        super().close()
        if hasattr(self, "doorbell"):
            os.close(self.doorbell)


class Hostile(DaemonTest):
    def two_tenants(self, config="", **options):
        daemon = self.daemon(config=config)
        daemon.write_tenant("acme", **options)
        daemon.write_tenant("globex")
        daemon.start()
        for tenant in ("acme", "globex"):
            daemon.wait_state(tenant, "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        return daemon

    def assert_unharmed(self, daemon, tenant="globex", restarts=0):
        """The other tenant answers from the same worker, and nobody spins."""
        reply = daemon.ctl("query", tenant, "where is my invoice", as_json=True, timeout_s=10)
        self.assertEqual(reply["best"]["route"], "billing")
        info = daemon.tenant(tenant)
        self.assertEqual((info["state"], info["restarts"]), ("running", restarts))
        self.assert_idle(daemon.process.pid)
        self.assert_idle(info["pid"])

    def assert_idle(self, pid, window_s=0.1):
        def idle():
            before, start = cpu_ns(pid), time.monotonic_ns()
            time.sleep(window_s)  # the observation itself
            return (cpu_ns(pid) - before) < (time.monotonic_ns() - start) / 5
        wait_until(idle, f"process {pid} to be idle", timeout_s=5)
