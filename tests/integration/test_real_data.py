"""Real questions: 77 routes of Banking77 and 1,000 queries, through tenantctl and the client library."""

import collections
import json
import os
import struct
import subprocess
import tempfile
import unittest

from harness import DaemonTest, ROOT, build_directory, wait_until

DATA = ROOT.parent / "shared" / "data"
NAME = "banking77_dev_potion"
DIMENSION = 384


def rows():
    with open(DATA / f"{NAME}.tsv", encoding="utf-8") as file:
        next(file)
        return [line.rstrip("\n").split("\t") for line in file]


@unittest.skipUnless((DATA / f"{NAME}.tsv").exists(), f"the data set {NAME} is not on this machine")
class Banking77(DaemonTest):
    # From the data set's README; queries without text, dense signal only.
    EXPECTED = {"centroid": 71.9, "max": 77.4, "top_k_mean": 76.9}

    def import_routes(self, daemon, tenant, table, vectors):
        routes = collections.OrderedDict()
        for row, part, label, text in table:
            if part == "route":
                embedding = struct.unpack_from(f"<{DIMENSION}f", vectors, int(row) * DIMENSION * 4)
                routes.setdefault(label, []).append({"text": text, "embedding": embedding})
        lines = "".join(json.dumps({"id": label, "utterances": utterances}) + "\n"
                        for label, utterances in routes.items())
        daemon.ctl("routes", "import", tenant, "-", stdin=lines, timeout_s=120)
        return len(routes)

    def accuracy(self, daemon, tenant, table, extra=()):
        queries = [(int(row), label) for row, part, label, _ in table if part == "query"]
        first, last = queries[0][0], queries[-1][0]
        self.assertEqual(len(queries), last - first + 1)
        done = subprocess.run(
            [str(build_directory() / "tests/integration/route_rows"), daemon.socket_path, tenant,
             str(DATA / f"{NAME}.d384.f32"), str(DIMENSION), str(first), str(len(queries)), *extra],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = done.stdout.split("\n")[:-1]
        right = sum(answer == label for answer, (_, label) in zip(answers, queries, strict=True))
        return 100.0 * right / len(queries)

    def reaches(self, daemon, table, expected):
        """Settings change while queries run: the accuracy becomes the expected one and stays so."""
        wait_until(lambda: abs(self.accuracy(daemon, "bank", table) - expected) <= 0.1,
                   f"{expected} % after the change of aggregation")
        self.assertAlmostEqual(self.accuracy(daemon, "bank", table), expected, delta=0.1)

    def test_the_data_sets_own_accuracies_are_reproduced(self):
        table = rows()
        vectors = (DATA / f"{NAME}.d384.f32").read_bytes()
        daemon = self.daemon()
        settings = 'aggregation = "{}"\ntop_k = 3\ndense_weight = 1.0\nlexical_weight = 0.0'
        options = dict(dimension=DIMENSION, encoder="potion-base-2M", threshold=0.0)
        daemon.write_tenant("bank", router=settings.format("max"), **options)
        daemon.start()
        daemon.wait_state("bank", "running")
        self.assertEqual(self.import_routes(daemon, "bank", table, vectors), 77)
        for aggregation, expected in self.EXPECTED.items():
            with self.subTest(aggregation=aggregation):
                daemon.write_tenant("bank", router=settings.format(aggregation), **options)
                self.reaches(daemon, table, expected)
        daemon.write_tenant("bank", **options)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as texts:
            texts.writelines(text + "\n" for _, _, _, text in table)
            texts.flush()
            os.chmod(texts.name, 0o644)
            wait_until(lambda: self.accuracy(daemon, "bank", table, (texts.name,)) > 80,
                       "the fused default to beat every single aggregation")
            fused = self.accuracy(daemon, "bank", table, (texts.name,))
        print(f"fused, default settings: {fused:.1f} %")


if __name__ == "__main__":
    unittest.main()
