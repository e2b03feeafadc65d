"""`routes evaluate` and `routes lint` against a real worker."""

import unittest

from harness import ROOT, DaemonTest

SAMPLES = ROOT / "configs" / "samples"


class Analysis(DaemonTest):
    def sample_tenant(self):
        daemon = self.daemon()
        daemon.write_tenant("acme-corp", dimension=384, threshold=0.3,
                            text=(ROOT / "configs" / "tenants" / "acme-corp.toml").read_text())
        daemon.start()
        daemon.wait_state("acme-corp", "running")
        daemon.ctl("routes", "import", "acme-corp", str(SAMPLES / "acme-corp.routes.jsonl"))
        return daemon

    def test_the_shipped_samples_are_evaluated(self):
        daemon = self.sample_tenant()
        queries = str(SAMPLES / "acme-corp.queries.tsv")
        report = daemon.ctl("routes", "evaluate", "acme-corp", queries, as_json=True)
        self.assertEqual((report["in_scope"], report["out_of_scope"]), (10, 2))
        self.assertGreaterEqual(report["accuracy"], 0.83)
        self.assertGreaterEqual(report["auroc"], 0.9)
        self.assertEqual(sum(route["expected"] for route in report["routes"]), 10)
        text = daemon.ctl("routes", "evaluate", "acme-corp", queries).stdout
        self.assertIn("PRECISION", text)
        self.assertIn("calibration", text)

    def test_labels_come_from_standard_input_and_wrong_ones_are_refused(self):
        daemon = self.sample_tenant()
        wrong = daemon.ctl("routes", "evaluate", "acme-corp", "-", stdin="no tab here\n", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("(standard input):1", wrong.stderr)
        missing = daemon.ctl("routes", "evaluate", "acme-corp", "/nowhere.tsv", check=False)
        self.assertEqual(missing.returncode, 3)

    def test_lint_names_what_is_wrong(self):
        daemon = self.sample_tenant()
        daemon.add_routes("acme-corp", {"twin": ["Why was I charged twice?", "Why was I charged twice?"]})
        done = daemon.ctl("routes", "lint", "acme-corp", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('"twin" has too few examples', done.stdout)
        self.assertIn("duplicate", done.stdout)


if __name__ == "__main__":
    unittest.main()
