"""Every way into a tenant gives the same answers: ring, stream, batch, loops, C, and the standard library alone;
and what each does when the worker dies, is replaced, or the supervisor goes."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from harness import ROOT, DaemonTest, RawClient, build_directory, error_code, hello, wait_until
from test_client_python import package

EXAMPLES = ROOT / "client/examples"
QUERIES = ["where is my invoice?", "the parcel is late", "I forgot my password", "zebras graze quietly"]


def run(*command, stdin=None, **environment):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60,
                          input=stdin, check=False, env=dict(os.environ, **environment))


class SameAnswers(DaemonTest):
    """One daemon for all: nothing here disturbs it."""

    def test_each_example_and_transport_agrees_with_the_ring(self):
        daemon = self.running_tenant(threshold=0.5)
        wanted = [daemon.ctl("query", "acme", query, as_json=True) for query in QUERIES]
        routes = [answer["best"]["route"] for answer in wanted]
        with self.subTest("the standard library alone"):
            done = run(sys.executable, "-B", EXAMPLES / "stream_client.py", daemon.socket_path, "acme",
                       *QUERIES)
            self.assertEqual(done.returncode, 0, done.stderr)
            for line, answer in zip(done.stdout.splitlines(), wanted, strict=True):
                route, confidence, is_fallback = line.split()
                self.assertEqual((route, is_fallback),
                                 (answer["best"]["route"], str(answer["is_fallback"])))
                self.assertAlmostEqual(float(confidence), answer["best"]["confidence"], places=5)
            refused = run(sys.executable, "-B", EXAMPLES / "stream_client.py", daemon.socket_path,
                          "nobody", "x")
            self.assertIn("ServerError", refused.stderr)
        with self.subTest("libuv"):
            done = run(build_directory() / "client/example_libuv_route", daemon.socket_path, "acme",
                       *QUERIES)
            self.assertEqual(done.stdout.split(), routes, done.stderr)
        asio = build_directory() / "client/example_asio_route"
        if asio.exists():
            with self.subTest("asio"):
                done = run(asio, daemon.socket_path, "acme", *QUERIES)
                self.assertEqual(done.stdout.split(), routes, done.stderr)
        with self.subTest("ring and stream through the library"):
            tenantd = package()
            results = []
            for transport in ("ring", "stream"):
                tenantd.configure(socket_path=daemon.socket_path, transport=transport)
                with tenantd.TenantContext("acme"):
                    router = tenantd.Router()
                    results.append([router.route(query, explain=True) for query in QUERIES])
                    results.append(router.route_many(QUERIES))
            tenantd.configure(transport="ring")
            self.assertEqual(results[0], results[2])
            self.assertEqual(results[1], results[3])
            self.assertEqual([result.route for result in results[1]], routes)

    def test_a_c99_program_on_epoll(self):
        daemon = self.running_tenant(threshold=0.5)
        library = build_directory() / "client"
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "epoll_route"
            built = run("gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-o", program,
                        EXAMPLES / "epoll_route.c", f"-I{ROOT / 'client/include'}",
                        library / "libtenantd.so.0")
            if built.returncode != 0 and "san_" in built.stderr:
                self.skipTest("a sanitizer's library cannot be linked into an uninstrumented program")
            self.assertEqual(built.returncode, 0, built.stderr)
            lines = QUERIES * 600  # more than may be outstanding at once
            done = run(program, "acme", daemon.socket_path, stdin="\n".join(lines) + "\n",
                       LD_LIBRARY_PATH=str(library))
            self.assertEqual(done.returncode, 0, done.stderr)
            answers = [line.split("\t") for line in done.stdout.splitlines()]
            self.assertEqual(sorted(answer[0] for answer in answers), sorted(lines))
            for query in QUERIES:
                best = daemon.ctl("query", "acme", query, as_json=True)["best"]["route"]
                self.assertEqual({answer[1] for answer in answers if answer[0] == query}, {best})
            refused = run(program, "acme", "/nonexistent", stdin="x\n", LD_LIBRARY_PATH=str(library))
            self.assertIn("/nonexistent", refused.stdout + refused.stderr)
            self.assertEqual(refused.returncode, 1)

    def test_versions_are_negotiated(self):
        daemon = self.running_tenant()
        for versions, welcome in (((1, 1), True), ((1, 9), True), ((2, 9), False), ((0, 0), False)):
            with self.subTest(versions=versions), RawClient(daemon.socket_path) as client:
                client.send(hello(versions=versions))
                kind, _, payload = client.receive_frame()
                if welcome:
                    self.assertEqual((kind, int.from_bytes(payload[:2], "little")), (2, 1))
                else:
                    self.assertEqual((kind, error_code(payload)), (1, 16))


class Faults(DaemonTest):
    """Batches and a loop's requests under way while the other side goes."""

    def setUp(self):
        self.tenantd = package()

    def batches(self, daemon, transport, disturb):
        """Batches of 500 until `disturb` has run in the middle of them and one more is answered."""
        tenantd = self.tenantd
        tenantd.configure(socket_path=daemon.socket_path, transport=transport, timeout_s=20)
        self.addCleanup(tenantd.configure, transport="ring")
        disturbed = threading.Event()
        failures = []

        def disturb_once():
            disturb()
            disturbed.set()

        with tenantd.TenantContext("acme"):
            router = tenantd.Router()
            self.assertEqual(router.route("track my package").route, "shipping")
            thread = threading.Thread(target=disturb_once)
            thread.start()
            last = False
            while not last:
                last = disturbed.is_set()
                for result in router.route_many(["track my package"] * 500, alternatives=0):
                    if isinstance(result, tenantd.TenantError) or result.route != "shipping":
                        failures.append(result)
            thread.join()
        self.assertEqual(failures, [])

    def test_batches_outlive_workers_and_supervisors(self):
        daemon = self.running_tenant()

        def kill_worker():
            pid = daemon.tenant("acme")["pid"]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: daemon.tenant("acme").get("pid") not in (0, None, pid), "another worker")

        for transport in ("ring", "stream"):
            with self.subTest("kill -9 of the worker", transport=transport):
                self.batches(daemon, transport, kill_worker)
            with self.subTest("GOAWAY", transport=transport):
                self.batches(daemon, transport, lambda: daemon.ctl("tenant", "restart", "acme"))
                daemon.wait_state("acme", "running")
        with self.subTest("death of the supervisor"):
            self.batches(daemon, "ring", daemon.kill)
            daemon.start()
            daemon.wait_state("acme", "running")

    def test_a_batch_ends_at_its_deadline_while_the_worker_stands_still(self):
        daemon = self.running_tenant()
        tenantd = self.tenantd
        for transport in ("ring", "stream"):
            with self.subTest(transport=transport):
                tenantd.configure(socket_path=daemon.socket_path, transport=transport, timeout_s=0.5)
                self.addCleanup(tenantd.configure, transport="ring", timeout_s=5)
                with tenantd.TenantContext("acme"):
                    router = tenantd.Router()
                    tenantd.ping()
                    pid = daemon.tenant("acme")["pid"]
                    os.kill(pid, signal.SIGSTOP)
                    try:
                        results = router.route_many(["track my package" * 500] * 300)
                    finally:
                        os.kill(pid, signal.SIGCONT)
                    self.assertEqual({result.code for result in results}, {"deadline_exceeded"})
                    # What was sent is answered late, to nobody; the attachment, or the next, goes on.
                    self.assertEqual(router.route("track my package", timeout_s=20).route, "shipping")


if __name__ == "__main__":
    unittest.main()
