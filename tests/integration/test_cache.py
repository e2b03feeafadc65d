"""A tenant's cache from tenantctl and Python to the worker: what is kept, for how long, for whom, and what is remembered."""

import base64
import json
import pathlib
import re
import time
import unittest

from harness import SAMPLE_ROUTES, DaemonTest, wait_until
from test_client_python import package

NOT_FOUND = 3


class Cache(DaemonTest):
    def tenants(self, *names, **options):
        daemon = self.daemon()
        for name in names:
            daemon.write_tenant(name, **options)
        daemon.start()
        for name in names:
            daemon.wait_state(name, "running")
        return daemon

    def get(self, daemon, tenant, key):
        """The value, or None where the cache has no such key."""
        shown = daemon.ctl("cache", "get", tenant, key, check=False)
        self.assertIn(shown.returncode, (0, NOT_FOUND), shown.stderr)
        return shown.stdout if shown.returncode == 0 else None

    def test_two_tenants_use_the_same_key(self):
        daemon = self.tenants("acme", "globex")
        self.assertEqual(daemon.ctl("cache", "set", "acme", "routes", "of acme", as_json=True),
                         {"removed": 0, "entries": 1})
        self.assertIsNone(self.get(daemon, "globex", "routes"))
        daemon.ctl("cache", "set", "globex", "routes", "of globex")
        self.assertEqual(self.get(daemon, "acme", "routes"), "of acme")
        self.assertEqual(self.get(daemon, "globex", "routes"), "of globex")
        # Nobody reaches another's by the name under which it is kept.
        for name in ("acme:routes", "globex:routes"):
            self.assertIsNone(self.get(daemon, "globex", name))
        self.assertEqual(daemon.ctl("cache", "delete", "globex", "routes", as_json=True)["removed"], 1)
        self.assertEqual(daemon.ctl("cache", "delete", "globex", "routes", as_json=True)["removed"], 0)
        self.assertEqual(self.get(daemon, "acme", "routes"), "of acme")
        daemon.ctl("cache", "clear", "globex")
        self.assertEqual(daemon.ctl("cache", "clear", "acme", as_json=True)["removed"], 1)
        stats = daemon.ctl("cache", "stats", "acme", as_json=True)
        self.assertEqual((stats["values"]["entries"], stats["values"]["hits"]), (0, 2))
        self.assertEqual(stats["values"]["bytes"], 0)
        self.assertIn("values", daemon.ctl("cache", "stats", "acme").stdout)

    def test_values_of_every_kind_and_what_is_refused(self):
        daemon = self.tenants("acme")
        daemon.ctl("cache", "set", "acme", "j", "[1]", "--kind", "json", "--ttl", "1h")
        shown = daemon.ctl("cache", "get", "acme", "j", as_json=True)
        self.assertEqual((shown["kind"], shown["value"]), ("json", "[1]"))
        self.assertTrue(0 < shown["ttl_left_ms"] <= 3_600_000)
        tenantd = package()
        tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        with tenantd.TenantContext("acme"):
            tenantd.TenantCache().set("b", b"\xff\x00\xfe")
        shown = daemon.ctl("cache", "get", "acme", "b", as_json=True)
        self.assertEqual(base64.b64decode(shown["value_base64"]), b"\xff\x00\xfe")
        for arguments in (("", "v"), ("k" * 257, "v"), ("a\nb", "v")):
            refused = daemon.ctl("--json", "cache", "set", "acme", *arguments, check=False)
            self.assertEqual(json.loads(refused.stderr)["field"], "key", refused.stderr)
        daemon.ctl("cache", "set", "acme", "large", "--file", "-", stdin="v" * 65536)
        self.assertEqual(len(self.get(daemon, "acme", "large")), 65536)
        self.assertEqual(daemon.ctl("cache", "set", "acme", "large", "--file", "-", stdin="v" * 65537,
                                    check=False).returncode, 1)

    def test_a_value_goes_at_its_time_and_with_its_worker(self):
        daemon = self.tenants("acme")
        daemon.ctl("cache", "set", "acme", "brief", "v", "--ttl", "50ms")
        daemon.ctl("cache", "set", "acme", "stays", "v")
        wait_until(lambda: self.get(daemon, "acme", "brief") is None, "the value's end")
        self.assertEqual(self.get(daemon, "acme", "stays"), "v")
        self.assertEqual(daemon.ctl("cache", "stats", "acme", as_json=True)["values"]["expirations"], 1)
        before = daemon.tenant("acme")["generation"]
        daemon.ctl("tenant", "restart", "acme")
        wait_until(lambda: daemon.tenant("acme").get("generation", 0) > before
                   and daemon.tenant("acme").get("state") == "running", "a new generation")
        self.assertIsNone(self.get(daemon, "acme", "stays"))

    def test_pressure_evicts_only_a_tenants_own_values_and_bounds_change_live(self):
        limits = '[limits]\nmax_cache_bytes = "{}"\nmax_cache_entries = {}\n'
        daemon = self.tenants("acme", "globex", extra=limits.format("256K", 50))
        for number in range(20):
            daemon.ctl("cache", "set", "globex", f"k{number}", "of globex")
        tenantd = package()
        tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        with tenantd.TenantContext("acme"):
            cache = tenantd.TenantCache()
            for number in range(200):
                cache.set(f"k{number}", "v" * 20_000)
            stats = cache.stats()
            self.assertTrue(180 < stats.evictions < 200, stats)
            self.assertLessEqual(stats.bytes, 256 << 10)
            self.assertEqual(cache.get("k199"), "v" * 20_000)
            self.assertIsNone(cache.get("k0"))
        globex = daemon.ctl("cache", "stats", "globex", as_json=True)["values"]
        self.assertEqual((globex["entries"], globex["evictions"]), (20, 0))
        generation = daemon.tenant("acme")["generation"]
        daemon.write_tenant("acme", extra=limits.format("64K", 2))
        wait_until(lambda: daemon.ctl("cache", "stats", "acme", as_json=True)["values"]["max_entries"] == 2,
                   "the new bounds")
        values = daemon.ctl("cache", "stats", "acme", as_json=True)["values"]
        self.assertLessEqual(values["entries"], 2)
        self.assertLessEqual(values["bytes"], 64 << 10)
        self.assertEqual(daemon.tenant("acme")["generation"], generation)
        self.assertEqual(self.get(daemon, "globex", "k0"), "of globex")

    def test_a_full_cache_is_within_the_workers_memory(self):
        daemon = self.tenants("acme", memory_max="64M", extra='[limits]\nmax_cache_bytes = "32M"\n')
        generation = daemon.tenant("acme")["generation"]
        tenantd = package()
        tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        with tenantd.TenantContext("acme"):
            cache = tenantd.TenantCache()
            for number in range(1500):  # three times what there is room for, of changing sizes
                cache.set(f"k{number}", b"v" * (64 * 1024 - number))
            stats = cache.stats()
            self.assertLessEqual(stats.bytes, 32 << 20)
            self.assertGreater(stats.bytes, 31 << 20)
            self.assertEqual(stats.evictions, 1500 - stats.entries)
        info = daemon.tenant("acme")
        self.assertEqual((info["generation"], info["state"]), (generation, "running"))
        status = pathlib.Path(f"/proc/{info['pid']}/status").read_text(encoding="ascii")
        resident_kib = int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE).group(1))
        self.assertLess(resident_kib, 48 << 10)

    def test_answers_are_remembered_until_something_changes(self):
        daemon = self.tenants("acme", "globex", router="cache_enabled = true\n")
        for tenant in ("acme", "globex"):
            daemon.add_routes(tenant, SAMPLE_ROUTES)

        def ask(tenant="acme", *more):
            return daemon.ctl("query", tenant, "where is my invoice", *more, as_json=True)

        def without_source(reply):
            return {key: value for key, value in reply.items()
                    if key not in ("source", "source_similarity", "latency_us")}

        first = ask()
        again = ask()
        self.assertEqual((first["source"], again["source"]), (0, 1))
        self.assertEqual(without_source(first), without_source(again))
        self.assertIn("remembered", daemon.ctl("query", "acme", "where is my invoice").stdout)
        self.assertEqual(ask("globex")["source"], 0)  # another tenant's answers are not this one's
        self.assertEqual(ask("acme", "--explain")["source"], 0)
        # An edit that was acknowledged is in the next answer.
        daemon.ctl("routes", "add", "acme", "invoices", "--utterance", "where is my invoice")
        edited = ask()
        self.assertEqual(edited["source"], 0)
        self.assertGreater(edited["snapshot_version"], first["snapshot_version"])
        self.assertEqual(ask("globex")["source"], 1)
        # So is a setting, also one that no edit follows.
        daemon.write_tenant("acme", router="cache_enabled = true\nmargin = 1\n")
        wait_until(lambda: ask()["reason"] == 4, "the margin")
        daemon.write_tenant("acme", router="cache_enabled = false\nmargin = 1\n")
        wait_until(lambda: not daemon.ctl("cache", "stats", "acme", as_json=True)["routing_enabled"],
                   "the cache's end")
        self.assertEqual((ask()["source"], ask()["source"]), (0, 0))
        self.assertEqual(daemon.ctl("cache", "stats", "acme", as_json=True)["routing"]["entries"], 0)

    def test_similar_queries_where_the_file_asks_for_it(self):
        daemon = self.tenants("acme", router="cache_enabled = true\ncache_similarity = 0.95\n")
        daemon.add_routes("acme", SAMPLE_ROUTES)
        first = daemon.ctl("query", "acme", "where is my invoice", as_json=True)
        similar = daemon.ctl("query", "acme", "Where is my invoice?", as_json=True)
        self.assertEqual((first["source"], similar["source"]), (0, 2))
        self.assertGreaterEqual(similar["source_similarity"], 0.95)
        self.assertEqual(similar["best"], first["best"])
        self.assertEqual(daemon.ctl("cache", "stats", "acme", as_json=True)["similar_hits"], 1)

    def test_the_python_cache_is_the_contexts_tenants(self):
        daemon = self.tenants("acme", "globex")
        tenantd = package()
        tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        cache = tenantd.TenantCache()
        for call in (lambda: cache.get("k"), lambda: cache.set("k", "v"), lambda: cache.delete("k"),
                     cache.clear, cache.stats):
            with self.assertRaises(tenantd.NoTenantError):
                call()
        with tenantd.TenantContext("acme"):
            for value in (b"", b"\xff\x00", "", "text", {"a": [1, None]}, [], 5, None, False):
                cache.set("k", value)
                self.assertEqual((cache.get("k", "absent"), type(cache.get("k", "absent"))), (value, type(value)))
            cache.set("brief", "v", ttl_s=0.03)
            end = time.monotonic() + 20
            while cache.get("brief") is not None:
                self.assertLess(time.monotonic(), end)
            self.assertIsNone(cache.get("absent"))
            self.assertEqual(cache.get("absent", 7), 7)
            with self.assertRaises(tenantd.TenantError) as refused:
                cache.get("a\nb")
            self.assertEqual((refused.exception.code, refused.exception.field), ("invalid_argument", "key"))
            with self.assertRaises(TypeError):
                cache.set("k", object())
            with self.assertRaises(ValueError):
                cache.set("k", "v", ttl_s=0)
            with tenantd.TenantContext("globex"):
                self.assertIsNone(cache.get("k"))
                cache.set("k", "of globex")
            self.assertIs(cache.get("k"), False)
            self.assertTrue(cache.delete("k"))
            self.assertFalse(cache.delete("k"))
            self.assertEqual(cache.clear(), 0)
            self.assertEqual(cache.stats().entries, 0)


if __name__ == "__main__":
    unittest.main()
