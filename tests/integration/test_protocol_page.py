"""docs/protocol.md is enough to write a client: the one it shows routes."""

import re
import subprocess
import sys
import unittest

from harness import DaemonTest, ROOT


def example():
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    return re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL).group(1)


class ProtocolPage(DaemonTest):
    def route(self, daemon, tenant, query):
        return subprocess.run([sys.executable, "-c", example(), daemon.socket_path, tenant, query],
                              capture_output=True, text=True, timeout=30, check=False)

    def test_the_pages_client_routes_over_a_stream(self):
        daemon = self.running_tenant(threshold=0.5)
        for query in ("where is my invoice?", "where is my invoice", "zebras graze quietly"):
            ours = daemon.ctl("query", "acme", query, as_json=True)
            theirs = self.route(daemon, "acme", query)
            self.assertEqual(theirs.returncode, 0, theirs.stderr)
            name, confidence, is_fallback = theirs.stdout.split()
            self.assertEqual((name, is_fallback), (ours["best"]["route"], str(ours["is_fallback"])))
            self.assertAlmostEqual(float(confidence), ours["best"]["confidence"], places=4)

    def test_an_error_frame_speaks_to_people(self):
        daemon = self.running_tenant()
        refused = self.route(daemon, "nobody", "hello")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("RuntimeError: ", refused.stderr)


if __name__ == "__main__":
    unittest.main()
