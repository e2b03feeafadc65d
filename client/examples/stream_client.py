#!/usr/bin/env python3
"""A client of tenantd in the Python standard library alone: frames on a socket (docs/protocol.md).

usage: stream_client.py SOCKET TENANT TEXT...

Prints "route confidence fallback" for each text, in their order. A start for any language without shared memory;
Python programs have the package `tenantd`, which is faster.
"""

import socket
import struct
import sys
import time

HELLO = struct.Struct("<IHHHHHH64s64s112s")
FRAME = struct.Struct("<IHHQQ")
ERROR, WELCOME, CHOOSE_TRANSPORT, RING_READY, GOAWAY, ROUTE, ROUTE_REPLY = 1, 2, 3, 4, 5, 16, 17
IN_FLIGHT = 32  # what is sent and not read yet must fit the sockets' buffers


class ServerError(Exception):
    def __init__(self, payload):
        self.code = struct.unpack_from("<H", payload)[0]
        super().__init__(take_text(payload, 2)[0])


def take_text(payload, position):
    """A string and where the next field begins."""
    end = position + 4 + struct.unpack_from("<I", payload, position)[0]
    return payload[position + 4:end].decode(), end


def packed(text):
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def route_payload(text, embedding=(), alternatives=0):
    head = packed(text) + struct.pack("<I", len(embedding))
    head += b"\0" * (-len(head) % 4)  # floats start at a multiple of four
    return (head + struct.pack(f"<{len(embedding)}f", *embedding) + packed("") +
            struct.pack("<IB", alternatives, 0) + packed("") * 2 + struct.pack("<4I", 0, 1, 0, 0))


class StreamClient:
    def __init__(self, path, tenant, token=b"", timeout_s=5.0):
        self.timeout_s, self.last_id = timeout_s, 0
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        connection.connect(path)
        self.socket, self.incoming = connection, connection.makefile("rb")
        connection.sendall(HELLO.pack(0x68444E54, 256, 1, 1, 1, 1 if token else 0, len(token),
                                      tenant.encode(), token, b""))
        self.generation, self.dimension = struct.unpack_from("<QI", self.expect(WELCOME), 2)
        self.send([(CHOOSE_TRANSPORT, 0, b"\0")])  # stream
        self.expect(RING_READY)

    def send(self, frames):
        deadline = time.monotonic_ns() + int(self.timeout_s * 1e9)
        self.socket.sendall(b"".join(FRAME.pack(len(payload), kind, 0, request_id, deadline) + payload
                                     for kind, request_id, payload in frames))

    def frame(self):
        """(type, request id, payload) of the next frame."""
        header = self.incoming.read(FRAME.size)
        size, kind, _, request_id, _ = FRAME.unpack(header) if len(header) == FRAME.size else (1, 0, 0, 0, 0)
        payload = self.incoming.read(size)
        if len(payload) < size:
            raise ConnectionError("the server closed the connection: say hello again")
        return kind, request_id, payload

    def expect(self, wanted):
        kind, _, payload = self.frame()
        if kind != wanted:
            raise ServerError(payload) if kind == ERROR else ConnectionError(f"message {kind}, not {wanted}")
        return payload

    def route(self, texts):
        """(route, confidence, is_fallback) or a ServerError for each text; answers may come in any order."""
        if len(texts) > IN_FLIGHT:
            return self.route(texts[:IN_FLIGHT]) + self.route(texts[IN_FLIGHT:])
        ids = range(self.last_id + 1, self.last_id + 1 + len(texts))
        self.last_id, answers = self.last_id + len(texts), {}
        self.send([(ROUTE, i, route_payload(text)) for i, text in zip(ids, texts)])
        while len(answers) < len(texts):
            kind, request_id, payload = self.frame()
            if kind == ROUTE_REPLY:
                route, end = take_text(payload, 0)
                confidence, _, _, _, _, is_fallback = struct.unpack_from("<fffff?", payload, end)
                answers[request_id] = (route, confidence, is_fallback)
            elif kind == ERROR:
                answers[request_id] = ServerError(payload)
            elif kind != GOAWAY:  # after it outstanding answers still come, then the end
                raise ConnectionError(f"message {kind} is no answer")
        return [answers[i] for i in ids]


if __name__ == "__main__":
    for answer in StreamClient(sys.argv[1], sys.argv[2]).route(sys.argv[3:]):
        print(answer if isinstance(answer, ServerError) else "%s %.6f %s" % answer)
