"""`tenantctl bench` against a real worker."""

import os
import signal
import threading
import unittest

from harness import DaemonTest, wait_until


class Load(DaemonTest):
    def bench(self, daemon, *arguments, **options):
        return daemon.ctl("bench", "acme", "--warm-up", "0ms", *arguments, as_json=True, **options)

    def test_a_closed_loop_answers_exactly_what_was_counted(self):
        daemon = self.running_tenant()
        for transport in ("ring", "stream"):
            with self.subTest(transport=transport):
                report = self.bench(daemon, "--count", "1001", "--connections", "3", "--depth", "8",
                                    "--transport", transport)
                self.assertEqual(report["answered"], 1001)
                self.assertEqual((report["failed"], report["unsent"], report["errors"]), (0, 0, {}))
                self.assertEqual((report["transport"], report["loop"]), (transport, "closed"))
                latency = report["latency_us"]
                self.assertGreater(latency["min"], 0)
                order = ["min", "p50", "p90", "p99", "p99.9", "p99.99", "max"]
                self.assertEqual([latency[name] for name in order],
                                 sorted(latency[name] for name in order))

    def test_queries_pings_and_text_output(self):
        daemon = self.running_tenant(routes={"refund": ["my money back"]})
        report = self.bench(daemon, "--count", "100", "--queries", "-", stdin="my money back\n\nwhat else\n")
        self.assertEqual(report["answered"], 100)
        self.assertEqual(self.bench(daemon, "--count", "100", "--ping")["answered"], 100)
        text = daemon.ctl("bench", "acme", "--count", "10", "--warm-up", "0ms").stdout
        self.assertIn("closed loop, 1 in flight", text)
        self.assertIn("p99.9", text)

    def test_wrong_calls_are_refused(self):
        daemon = self.running_tenant()
        for arguments, code in ((("acme", "--rate", "0"), 2), (("acme", "--depth", "0"), 2),
                                (("acme", "--duration", "0s"), 2), (("acme", "--ping", "--queries", "x"), 2),
                                (("acme", "--queries", "/nowhere"), 3), (("nobody",), 3)):
            with self.subTest(arguments=arguments):
                done = daemon.ctl("bench", *arguments, "--count", "1", check=False)
                self.assertEqual(done.returncode, code, done.stderr)

    def test_a_stall_is_charged_to_every_request_that_was_due(self):
        daemon = self.running_tenant()
        worker = daemon.tenant("acme")["pid"]
        reports = []
        runner = threading.Thread(target=lambda: reports.append(
            self.bench(daemon, "--rate", "1000", "--count", "5000", "--timeout", "30s")))
        runner.start()
        try:
            wait_until(lambda: daemon.tenant("acme")["attachments"] > 0, "the load's attachment")
            os.kill(worker, signal.SIGSTOP)
            # Not for synchronisation: the stall that is measured.
            threading.Event().wait(1.0)
        finally:
            os.kill(worker, signal.SIGCONT)
            runner.join()
        report = reports[0]
        self.assertEqual((report["answered"], report["failed"]), (5000, 0))
        # A generator that waits for answers before it sends would see one slow request in 5,000.
        self.assertGreater(report["latency_us"]["max"], 300_000)
        self.assertGreater(report["latency_us"]["p90"], 100_000)


if __name__ == "__main__":
    unittest.main()
