"""What a tenant's worker records of its requests, who may see it, and when it is deleted."""

import contextlib
import hashlib
import json
import pathlib
import sqlite3
import subprocess
import tempfile
import time
import unittest

from harness import IS_ROOT, SAMPLE_ROUTES, DaemonTest, programs_directory, wait_until

TOKEN = "0123456789abcdef0123456789abcdef"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
DAY_US = 86_400_000_000
SECRET = "where is my very private invoice"


def tenant(plan, sample=1.0, retention="", extra=""):
    return f"""\
plan = "{plan}"
start = "eager"
{retention}
[router]
dimension = 64
encoder = "hash"
threshold = 0.0
[executions]
sample = {sample}
[access]
token_sha256 = ["{DIGEST}"]
{extra}
"""


@contextlib.contextmanager
def database(path):
    """The database of a worker that is stopped, changed in a copy: its own files stay as they were made."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy.db"
        copy.write_bytes(path.read_bytes())
        connection = sqlite3.connect(copy, isolation_level=None)
        yield connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with open(path, "r+b") as file:
            file.write(copy.read_bytes())
            file.truncate()


@unittest.skipUnless(IS_ROOT, "needs root to be an operator with a uid of 0, and to change the database")
class Executions(DaemonTest):
    def start(self, tenants, config="[pool]\nworkers = 1\n"):
        daemon = self.daemon(config=config)
        for name, text in tenants.items():
            daemon.write_tenant(name, text)
        daemon.start()
        for name in tenants:
            daemon.wait_state(name, "running")
            daemon.add_routes(name, SAMPLE_ROUTES)
        return daemon

    def with_token(self, daemon, *arguments):
        file = daemon.base / "token"
        file.write_text(TOKEN)
        return daemon.ctl("--token-file", str(file), *arguments, check=False)

    def executions(self, daemon, name, *arguments):
        return daemon.ctl("executions", name, *arguments, as_json=True)["executions"]

    def databases(self, daemon):
        return [path for path in daemon.state_dir.rglob("routes.db") if path.stat().st_size]

    def restart_aged(self, daemon, name, days, rows):
        """All but the newest executions of the tenant get older while nothing runs."""
        daemon.stop()
        changed = 0
        for path in self.databases(daemon):
            with database(path) as connection:
                changed += connection.execute(
                    "UPDATE executions SET time_us = time_us - ? WHERE tenant_id = ? AND serial <= ?",
                    (days * DAY_US, name, rows)).rowcount
        self.assertEqual(changed, rows)
        daemon.start()

    def records_of_two_users(self, plan):
        daemon = self.start({"acme": tenant(plan), "globex": tenant(plan)})
        before_us = time.time_ns() // 1000
        answer = daemon.ctl("query", "acme", SECRET, as_json=True)["best"]
        self.assertEqual(self.with_token(daemon, "query", "acme", SECRET).returncode, 0)
        shown = self.executions(daemon, "acme")
        self.assertEqual([e["user"] for e in shown], [f"token:{DIGEST[:8]}", "uid:0"])
        for execution in shown:
            self.assertEqual((execution["route"], execution["outcome"]), (answer["route"], "matched"))
            self.assertAlmostEqual(execution["confidence"], answer["confidence"], places=5)
            self.assertTrue(before_us <= execution["time_us"] <= time.time_ns() // 1000)
            self.assertGreater(execution["request_id"], 0)
        self.assertEqual([e["serial"] for e in shown], [2, 1])
        # A tenant's own only, and by operators only.
        self.assertEqual(self.executions(daemon, "globex"), [])
        for command in (("executions", "acme"), ("tenant", "retention", "acme")):
            refused = self.with_token(daemon, "--json", *command)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("operators", json.loads(refused.stderr)["message"])
        self.assertIn(f"token:{DIGEST[:8]}", daemon.ctl("executions", "acme").stdout)
        # What is in the ring at the end is written by a worker that leaves in order; no text ever is.
        daemon.ctl("query", "globex", SECRET)
        daemon.stop()
        rows = {}
        for path in self.databases(daemon):
            self.assertNotIn(b"very private", path.read_bytes())
            self.assertNotIn(TOKEN.encode(), path.read_bytes())
            with database(path) as connection:
                rows.update(connection.execute(
                    "SELECT tenant_id, count(*) FROM executions GROUP BY tenant_id").fetchall())
        self.assertEqual(rows, {"acme": 2, "globex": 1})

    def test_a_premium_tenant_records_who_asked_what_came_of_it_and_no_text(self):
        self.records_of_two_users("premium")

    def test_a_standard_tenant_records_the_same_beside_others(self):
        self.records_of_two_users("standard")

    def test_pages_sampling_and_bounds_change_live(self):
        daemon = self.start({"acme": tenant("premium", 0)})
        daemon.ctl("query", "acme", SECRET)
        self.assertEqual(self.executions(daemon, "acme"), [])
        daemon.write_tenant("acme", tenant("premium").replace("sample = 1.0", "sample = 1.0\nmax_entries = 300"))

        def recorded():
            daemon.ctl("query", "acme", SECRET)
            return self.executions(daemon, "acme")
        wait_until(recorded, "sampling to begin")
        tenantctl = [str(programs_directory() / "tenantctl"), "--socket", daemon.socket_path]
        subprocess.run([*tenantctl, "bench", "acme", "--count", "1000"], check=False, capture_output=True, timeout=60)
        shown = self.executions(daemon, "acme", "--limit", "1000")
        self.assertEqual(len(shown), 300)
        places = [(e["time_us"], e["serial"]) for e in shown]
        self.assertEqual(places, sorted(set(places), reverse=True))
        self.assertEqual(self.executions(daemon, "acme", "--limit", "7"), shown[:7])
        self.assertEqual(self.executions(daemon, "acme", "--until", "1h"), [])
        self.assertEqual(len(self.executions(daemon, "acme", "--since", "1h", "--limit", "20")), 20)

    def deletes_what_is_too_old(self, plan, name):
        daemon = self.start({"acme": tenant(plan, retention="retention_days = 30"),
                             "globex": tenant(plan)})
        for tenant_name in ("acme", "globex"):
            for _ in range(5):
                daemon.ctl("query", tenant_name, SECRET)
            self.assertEqual(len(self.executions(daemon, tenant_name)), 5)
        self.restart_aged(daemon, name, 31, 3)
        return daemon

    def deletions(self, daemon, name):
        return daemon.ctl("tenant", "retention", name, as_json=True)["deletions"]

    def test_a_premium_tenant_is_swept_when_it_starts(self):
        daemon = self.deletes_what_is_too_old("premium", "acme")
        (run,) = wait_until(lambda: self.deletions(daemon, "acme"), "the first sweep")
        self.assertEqual((run["what"], run["count"]), ("executions", 3))
        report = daemon.ctl("tenant", "retention", "acme", as_json=True)
        self.assertEqual((report["retention_days"], report["executions"]), (30, 2))
        self.assertGreater(report["next_run_us"], time.time_ns() // 1000 + DAY_US // 2)
        self.assertLess(run["oldest_us"], report["oldest_us"])
        text = daemon.ctl("tenant", "retention", "acme").stdout
        self.assertIn("30 days", text)
        self.assertEqual(len(self.executions(daemon, "globex")), 5)

    def test_a_standard_tenant_that_sleeps_is_swept_all_the_same(self):
        # The worker's process is there for globex; nobody attaches to acme until it was swept.
        daemon = self.deletes_what_is_too_old("standard", "acme")
        daemon.ctl("query", "globex", SECRET)

        def swept():
            """As a copy of the live files has it: the worker has them alone."""
            found = {}
            for path in self.databases(daemon):
                with tempfile.TemporaryDirectory() as folder:
                    for name in ("routes.db-wal", "routes.db"):
                        (pathlib.Path(folder) / name).write_bytes(path.with_name(name).read_bytes())
                    with contextlib.suppress(sqlite3.DatabaseError), \
                            contextlib.closing(sqlite3.connect(pathlib.Path(folder) / "routes.db")) as copy:
                        found.update(copy.execute(
                            "SELECT tenant_id, sum(count) FROM deletions GROUP BY tenant_id").fetchall())
            return found
        self.assertEqual(wait_until(swept, "the sweep", 60), {"acme": 3})
        self.assertEqual(len(self.executions(daemon, "acme")), 2)

    def test_a_premium_tenant_that_sleeps_is_woken_for_it_and_sleeps_again(self):
        text = tenant("premium", retention="retention_days = 30")
        daemon = self.start({"acme": text})
        for _ in range(5):
            daemon.ctl("query", "acme", SECRET)
        self.assertEqual(len(self.executions(daemon, "acme")), 5)
        daemon.write_tenant("acme", text.replace('"eager"', '"on_demand"'))
        self.restart_aged(daemon, "acme", 31, 3)
        self.assertEqual(daemon.tenant("acme")["state"], "sleeping")
        daemon.wait_state("acme", "running", timeout_s=60)
        daemon.wait_state("acme", "sleeping", timeout_s=90)
        self.assertRegex((daemon.state_dir / "retention-sweeps").read_text(), r"\Aacme \d+\n\Z")
        # Nobody has attached, which would have it deleted as well.
        daemon.stop()
        (path,) = self.databases(daemon)
        with database(path) as connection:
            self.assertEqual(connection.execute("SELECT sum(count) FROM deletions").fetchone(), (3,))
        # That it had its turn is known to the next supervisor, which reports what was deleted.
        daemon.start()
        (run,) = self.deletions(daemon, "acme")
        self.assertEqual((run["what"], run["count"]), ("executions", 3))

    def test_a_run_on_request_deletes_now_and_never_without_a_retention(self):
        daemon = self.deletes_what_is_too_old("premium", "globex")
        report = daemon.ctl("tenant", "retention", "globex", "--run", as_json=True)
        self.assertEqual((report["retention_days"], report["executions"], report["deletions"]), (0, 5, []))
        daemon.write_tenant("globex", tenant("premium", retention="retention_days = 7"))
        wait_until(lambda: daemon.ctl("tenant", "retention", "globex", as_json=True)["retention_days"] == 7,
                   "the new retention")
        report = daemon.ctl("tenant", "retention", "globex", "--run", as_json=True)
        self.assertEqual((report["executions"], [run["count"] for run in report["deletions"]]), (2, [3]))


if __name__ == "__main__":
    unittest.main()
