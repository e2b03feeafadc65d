#!/usr/bin/env python3
"""A client of tenantd in the Python standard library alone: frames on a socket (docs/protocol.md).

usage: stream_client.py SOCKET TENANT TEXT...

Sends all texts at once and prints "route confidence fallback" for each, in their order. A start for any
language without shared memory; Python programs have the package `tenantd`, which is faster.
"""

import socket
import struct
import sys
import time

HELLO = struct.Struct("<IHHHHHH64s64s112s")
FRAME = struct.Struct("<IHHQQ")
ERROR, WELCOME, CHOOSE_TRANSPORT, RING_READY, GOAWAY, ROUTE, ROUTE_REPLY = 1, 2, 3, 4, 5, 16, 17


class ServerError(Exception):
    def __init__(self, payload):
        self.code = struct.unpack_from("<H", payload)[0]
        super().__init__(Reader(payload, 2).text())


class Reader:
    """Takes fields off a payload, in order."""

    def __init__(self, payload, position=0):
        self.payload, self.position = payload, position

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.payload, self.position)
        self.position += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    def text(self):
        size = self.take("I")
        self.position += size
        return self.payload[self.position - size:self.position].decode()


def packed(text):
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def route_payload(text, embedding=(), alternatives=0):
    head = packed(text) + struct.pack("<I", len(embedding))
    head += b"\0" * (-len(head) % 4)  # floats start at a multiple of four
    return (head + struct.pack(f"<{len(embedding)}f", *embedding) + packed("") +
            struct.pack("<IB", alternatives, 0) + packed("") + packed("")
            + struct.pack("<4I", 0, 1, 0, 0))


class StreamClient:
    def __init__(self, path, tenant, token=b"", timeout_s=5.0):
        self.timeout_s, self.last_id, self.buffer = timeout_s, 0, b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path)
        self.socket.sendall(HELLO.pack(0x68444E54, 256, 1, 1, 1, 1 if token else 0, len(token),
                                       tenant.encode(), token, b""))
        welcome = Reader(self.expect(WELCOME))
        self.version, self.generation, self.dimension, _, self.max_batch_size = welcome.take("HQIII")
        self.send([(CHOOSE_TRANSPORT, 0, b"\0")])  # stream
        self.expect(RING_READY)

    def send(self, frames):
        deadline = time.monotonic_ns() + int(self.timeout_s * 1e9)
        self.socket.sendall(b"".join(FRAME.pack(len(payload), kind, 0, request_id, deadline) + payload
                                     for kind, request_id, payload in frames))

    def frame(self):
        """(type, request id, payload) of the next frame."""
        def fill(size):
            while len(self.buffer) < size:
                chunk = self.socket.recv(65536)
                if not chunk:
                    raise ConnectionError("the server closed the connection: say hello again")
                self.buffer += chunk
        fill(FRAME.size)
        size, kind, _, request_id, _ = FRAME.unpack_from(self.buffer)
        fill(FRAME.size + size)
        payload = self.buffer[FRAME.size:FRAME.size + size]
        self.buffer = self.buffer[FRAME.size + size:]
        return kind, request_id, payload

    def expect(self, wanted):
        kind, _, payload = self.frame()
        if kind == ERROR:
            raise ServerError(payload)
        if kind != wanted:
            raise ConnectionError(f"message {kind} instead of {wanted}")
        return payload

    def route(self, texts):
        """(route, confidence, is_fallback) or a ServerError for each text; answers may come in any order."""
        ids = range(self.last_id + 1, self.last_id + 1 + len(texts))
        self.last_id += len(texts)
        answers = {}
        self.send([(ROUTE, i, route_payload(text)) for i, text in zip(ids, texts)])
        while len(answers) < len(texts):
            kind, request_id, payload = self.frame()
            if kind == ROUTE_REPLY:
                reply = Reader(payload)
                route, (confidence, _, _, _, is_fallback) = reply.text(), reply.take("ffff?")
                answers[request_id] = (route, confidence, is_fallback)
            elif kind == ERROR:
                answers[request_id] = ServerError(payload)
            elif kind != GOAWAY:  # after it outstanding answers still come, then the end
                raise ConnectionError(f"message {kind} is no answer")
        return [answers[i] for i in ids]


if __name__ == "__main__":
    for answer in StreamClient(sys.argv[1], sys.argv[2]).route(sys.argv[3:]):
        print(answer if isinstance(answer, ServerError) else "%s %.6f %s" % answer)
