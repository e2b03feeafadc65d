"""The sample routes and sentences are what configs/samples/README.md says."""

import json
import pathlib
import tomllib
import unittest

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"


class Samples(unittest.TestCase):
    def test_every_shipped_tenant_has_routes_and_twelve_sentences(self):
        tenants = sorted((CONFIGS / "tenants").glob("*.toml"))
        self.assertEqual([t.stem for t in tenants], ["acme-corp", "globex"])
        for tenant in tenants:
            with self.subTest(tenant=tenant.stem):
                self.check_tenant(tenant.stem, tomllib.loads(tenant.read_text(encoding="utf-8")))

    def check_tenant(self, name, config):
        samples = CONFIGS / "samples"
        lines = (samples / f"{name}.routes.jsonl").read_text(encoding="utf-8").splitlines()
        routes = {route["id"]: route["utterances"] for route in map(json.loads, lines)}
        self.assertEqual(len(routes), len(lines), "an id twice")
        self.assertGreaterEqual(len(routes), 8)
        for route, utterances in routes.items():
            self.assertGreaterEqual(len(set(utterances)), 12, route)
        rows = [line.split("\t") for line in
                (samples / f"{name}.queries.tsv").read_text(encoding="utf-8").splitlines()
                if not line.startswith("#")]
        self.assertEqual(len(rows), 12)
        fallback = config["router"]["fallback_route"]
        self.assertNotIn(fallback, routes)
        self.assertEqual([route for _, route in rows[-2:]], [fallback, fallback])
        known = {u.casefold() for utterances in routes.values() for u in utterances}
        for sentence, route in rows[:-2]:
            self.assertIn(route, routes)
            self.assertNotIn(sentence.casefold(), known)


if __name__ == "__main__":
    unittest.main()
