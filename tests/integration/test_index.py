"""An index through a real tenantd: built beside queries, exact tenants' answers, there at once after kill -9."""

import json
import os
import pathlib
import random
import signal
import struct
import tempfile
import unittest

from harness import IS_ROOT, DaemonTest, wait_until
from test_client_python import package

DIMENSION = 32
ROUTES = 120
UTTERANCES = 100
SEED = 5


def directions(rng, count):
    return [[rng.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(count)]


def near(rng, topic):
    return [x + 0.6 * rng.gauss(0, 1) for x in topic]


class Index(DaemonTest):
    def start(self, **routers):
        """A daemon with one tenant a router section."""
        daemon = self.daemon(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\n')
        for name, router in routers.items():
            daemon.write_tenant(name, dimension=DIMENSION, encoder="mine", router=router)
        daemon.start()
        for name in routers:
            daemon.wait_state(name, "running")
        return daemon

    def import_rows(self, daemon, tenants, rows, letter="r"):
        """rows: a list a route; their ids are the letter and a number."""
        with tempfile.TemporaryDirectory() as folder:
            lines = pathlib.Path(folder) / "routes.jsonl"
            floats = pathlib.Path(folder) / "rows.f32"
            floats.write_bytes(b"".join(struct.pack(f"<{DIMENSION}f", *row) for route in rows for row in route))
            lines.write_text("".join(
                json.dumps({"id": f"{letter}{r:04}", "utterances": [f"{letter}{r} u{u}" for u in range(len(route))]}) + "\n"
                for r, route in enumerate(rows)))
            for tenant in tenants:
                daemon.ctl("routes", "import", tenant, str(lines), "--embeddings", str(floats),
                           "--dimension", str(DIMENSION), "--encoder", "mine")

    def wait_index(self, daemon, tenant, state):
        def reached():
            found = daemon.ctl("routes", "status", tenant, as_json=True)
            return found if found["index_state"] == state else None
        return wait_until(reached, f"the index of {tenant} is {state}", timeout_s=60)

    def answers(self, tenantd, tenant, queries):
        with tenantd.TenantContext(tenant):
            router = tenantd.Router()
            return [router.route(embedding=query) for query in queries]

    def compare(self, tenantd, queries):
        """The answers of the tenant with an index, after a look at those of the exact one."""
        found = self.answers(tenantd, "acme", queries)
        exact = self.answers(tenantd, "exact", queries)
        same = sum(a.route == b.route and abs(a.dense_score - b.dense_score) < 1e-6
                   for a, b in zip(found, exact))
        self.assertGreaterEqual(same, 0.99 * len(queries))
        return found

    def test_answers_of_an_exact_tenant_and_a_restart_without_a_build(self):
        tenantd = package()
        rng = random.Random(SEED)
        top_k = 'aggregation = "top_k_mean"'
        daemon = self.start(acme=f'{top_k}\nindex = "ivf"', exact=top_k)
        tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        self.assertEqual(self.wait_index(daemon, "acme", "unneeded")["index_version"], 0)
        topics = [directions(rng, 4) for _ in range(ROUTES)]
        self.import_rows(daemon, ("acme", "exact"),
                         [[near(rng, rng.choice(own)) for _ in range(UTTERANCES)] for own in topics])
        queries = [near(rng, rng.choice(rng.choice(topics))) for _ in range(300)]
        self.compare(tenantd, queries)  # while it is built or not yet
        ready = self.wait_index(daemon, "acme", "ready")
        self.assertGreaterEqual(ready["index_recall"], 0.99)
        self.assertGreaterEqual(ready["index_recall_at_least"], 0.99)
        self.assertEqual(ready["index_outside"], 0)
        # A query reads fewer rows than there are, so this is not the exact search under another name.
        self.assertLess(ready["index_rows_read"], ROUTES * UTTERANCES // 2)
        self.assertEqual(daemon.ctl("routes", "status", "exact", as_json=True)["index_state"], "off")
        self.compare(tenantd, queries)

        fresh = directions(rng, 1)[0]
        self.import_rows(daemon, ("acme", "exact"), [[fresh]], letter="s")
        for tenant in ("acme", "exact"):
            daemon.ctl("routes", "remove", tenant, "r0007")
        edited = self.compare(tenantd, [*queries, fresh])
        self.assertEqual(edited[-1].route, "s0000")
        self.assertNotIn("r0007", {answer.route for answer in edited})

        data = daemon.state_dir / "tenants" / "acme"
        # Its head is written last.
        wait_until(lambda: any(image.read_bytes()[:8].strip(b"\0") for image in data.glob("routes.image-?")),
                   "an image of the routes")
        # An edit waits for what the editor does: now the database knows of the image, too.
        self.import_rows(daemon, ("acme",), [[fresh]], letter="s")
        self.assertTrue((data / "routes.index").is_file())
        built = (data / "routes.index").stat().st_ino
        before = daemon.tenant("acme")
        os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda: daemon.tenant("acme").get("generation", 0) > before["generation"], "another worker")
        restarted = daemon.wait_state("acme", "running")
        if IS_ROOT:  # others may not look
            mapped = pathlib.Path(f"/proc/{restarted['pid']}/maps").read_text(encoding="utf-8")
            self.assertIn("/routes.image-", mapped, "it started from the database")
        again = daemon.ctl("routes", "status", "acme", as_json=True)
        # Of the snapshot before the edits: measured anew it would be of a later one.
        self.assertEqual({key: again[key] for key in ("index_state", "index_version", "index_recall", "index_sampled")},
                         {key: ready[key] for key in ("index_state", "index_version", "index_recall", "index_sampled")})
        self.assertGreater(edited[-1].snapshot_version, ready["index_version"])
        self.assertEqual((data / "routes.index").stat().st_ino, built)
        after = self.compare(tenantd, [*queries, fresh])
        self.assertEqual([answer.route for answer in after], [answer.route for answer in edited])
        daemon.write_tenant("acme", dimension=DIMENSION, encoder="mine", router=top_k)
        self.wait_index(daemon, "acme", "off")
        self.compare(tenantd, queries)

    def test_vectors_without_clusters_are_rejected_with_the_reason(self):
        tenantd = package()
        rng = random.Random(SEED)
        daemon = self.start(acme='aggregation = "max"\nindex = "ivf"', exact='aggregation = "max"')
        tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        self.import_rows(daemon, ("acme", "exact"), [directions(rng, UTTERANCES) for _ in range(ROUTES)])
        rejected = self.wait_index(daemon, "acme", "rejected")
        self.assertRegex(rejected["index_reason"], r"^recall@1 is 0\.\d+ .* 0\.990 is wanted$")
        self.assertEqual([a.route for a in self.answers(tenantd, "acme", directions(random.Random(6), 50))],
                         [b.route for b in self.answers(tenantd, "exact", directions(random.Random(6), 50))])


if __name__ == "__main__":
    unittest.main()
