"""What tests of platinum tenants' networks look with: from the host, and as root inside a worker's namespace."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading

# libnftables from Python, in the namespace of a worker: sees and takes away its rules.
NFT = """\
import ctypes, sys
library = ctypes.CDLL("libnftables.so.1")
library.nft_ctx_new.restype = ctypes.c_void_p
library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
context = ctypes.c_void_p(library.nft_ctx_new(0))
library.nft_ctx_buffer_output(context)
library.nft_ctx_buffer_error(context)
failed = library.nft_run_cmd_from_buffer(context, sys.argv[1].encode())
print(library.nft_ctx_get_output_buffer(context).decode(), end="")
sys.exit(1 if failed else 0)
"""
CONNECT = """\
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM) as one:
    one.settimeout(1.0)
    if len(sys.argv) > 3:
        one.bind((sys.argv[3], 0))
    try:
        one.connect((sys.argv[1], int(sys.argv[2])))
        print("ok")
    except OSError as error:
        print("timeout" if isinstance(error, TimeoutError) else error.errno)
"""


def links():
    return {name for name in os.listdir("/sys/class/net") if re.fullmatch(r"tnd[0-9a-f]{12}", name)}


def inside(pid, *command):
    return subprocess.run(["nsenter", "-t", str(pid), "-n", *command], capture_output=True, text=True, check=False,
                          timeout=20)


def connect_from(pid, address, port, source=None):
    """Root's attempt in the worker's namespace: no filter of system calls, no Landlock, only the rules."""
    extra = [source] if source else []
    return inside(pid, sys.executable, "-c", CONNECT, address, str(port), *extra).stdout.strip()


class Host:
    """Listeners of the host that answer whoever reaches them, and count who has."""

    def __init__(self):
        self.sockets, self.threads, self.seen = [], [], []

    def listen(self, kind, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = socket.socket(family, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The host's end of a pair is there before the worker is.
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen()
        self.sockets.append(one)
        thread = threading.Thread(target=self.answer, args=(one, kind, (address, port)), daemon=True)
        thread.start()
        self.threads.append(thread)

    def answer(self, one, kind, name):
        with contextlib.suppress(OSError):
            while True:
                if kind == socket.SOCK_DGRAM:
                    _, peer = one.recvfrom(64)
                    if peer is None:
                        return
                    self.seen.append((name, peer[0]))
                    one.sendto(b"answer\n", peer)
                    continue
                connection, peer = one.accept()
                self.seen.append((name, peer[0]))
                with connection:
                    connection.sendall(b"answer\n")
                    connection.settimeout(2)
                    connection.recv(64)

    def close(self):
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
