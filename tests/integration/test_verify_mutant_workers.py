"""Each protection of rows and caches left out of a pooled worker in turn: exactly the probes about it fail.

A real tenantd whose worker program is one of tests/isolation/mutant_worker: the worker's own objects, one call
replaced.
"""

import json
import shutil
import tempfile
import unittest

from harness import SAMPLE_ROUTES, DaemonTest, IS_ROOT, build_directory, programs_directory
from test_pool import standard
from test_verify_pool import PLANTED

EXPECTED = {
    # Both planted tenants are one: only what errors say is still nobody's.
    "binding": PLANTED - {"database.error_texts"},
    "store": {"database.rows_removed"},
    # Told by how an id is refused.
    "existence": {"database.row_existence"},
    # The worker reads more rows than it counts for the tenant, and then takes nobody of the shard.
    "select": {"database.rows_listed"},
    "cache": {"cache.other_entry", "cache.other_statistics"},
    "router": {"database.rows_routed"},
}


@unittest.skipUnless(IS_ROOT, "only root can give tenants uids of their own")
class MutantWorkers(DaemonTest):
    def mutant_daemon(self, name):
        program = build_directory() / f"tests/isolation/mutant_worker/mutant_{name}"
        if not program.exists():
            self.skipTest("the mutant workers are not built: they cannot be linked with a sanitizer's runtime")
        folder = tempfile.TemporaryDirectory(prefix="tnd-mutant-")
        self.addCleanup(folder.cleanup)
        shutil.copytree(programs_directory(), folder.name, dirs_exist_ok=True)
        shutil.copymode(programs_directory(), folder.name)
        shutil.copy2(program, f"{folder.name}/tenantd-worker")
        daemon = self.daemon(config="[verify]\non_start = false\n[pool]\nworkers = 1\n",
                             flags=["--libexec-dir", folder.name])
        daemon.write_tenant("acme", standard())
        daemon.start()
        daemon.wait_state("tenantd-pool-0", "running")
        return daemon

    def test_exactly_the_right_probes_fail(self):
        for name, expected in EXPECTED.items():
            with self.subTest(mutant=name):
                daemon = self.mutant_daemon(name)
                daemon.add_routes("acme", SAMPLE_ROUTES)
                done = daemon.ctl("verify", "acme", check=False, as_json=True)
                report = json.loads(done.stdout)
                evidence = {p["name"]: p["evidence"] for p in report["probes"] if p["outcome"] == "failed"}
                self.assertEqual(set(report["failures"]), expected, evidence)
                self.assertEqual(done.returncode, 1)
                self.assertFalse([e for e in evidence.values() if "inconclusive" in e], evidence)


if __name__ == "__main__":
    unittest.main()
