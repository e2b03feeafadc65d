"""client/examples: the built program against a running daemon."""

import subprocess
import unittest

from harness import DaemonTest, build_directory


class Example(DaemonTest):
    def route(self, *arguments):
        return subprocess.run([str(build_directory() / "client/example_route"), *arguments],
                              capture_output=True, text=True, timeout=30, check=False)

    def test_it_routes_one_sentence(self):
        daemon = self.running_tenant(threshold=0.5)
        for query in ("where is my invoice", "track my package", "zebras graze quietly"):
            with self.subTest(query=query):
                ours = daemon.ctl("query", "acme", query, as_json=True)
                theirs = self.route("acme", query, daemon.socket_path)
                self.assertEqual((theirs.returncode, theirs.stderr), (0, ""))
                first, *others = theirs.stdout.splitlines()
                fallback = " (fallback)" if ours["is_fallback"] else ""
                best = ours["best"]
                self.assertEqual(first, f"{best['route']} {best['confidence']:.3f}{fallback}")
                self.assertEqual([line.split()[0] for line in others],
                                 [other["route"] for other in ours["alternatives"]])

    def test_its_errors_are_exit_codes(self):
        daemon = self.running_tenant()
        self.assertEqual(self.route("acme").returncode, 2)
        unknown = self.route("nobody", "hello", daemon.socket_path)
        self.assertEqual(unknown.returncode, 3)
        self.assertIn("nobody", unknown.stderr)


if __name__ == "__main__":
    unittest.main()
