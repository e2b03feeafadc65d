"""The Python package against a real tenantd: the specification's snippets, contexts, asyncio, buffers, faults."""

import array
import asyncio
import contextvars
import logging
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from harness import ROOT, SAMPLE_ROUTES, DaemonTest, build_directory, wait_until

PACKAGE = ROOT / "client/python"
SPECIFIED = "from stratarouter.enterprise.tenancy import"


def snippets():
    text = (ROOT / "tests/golden/spec-client-snippets.txt").read_text(encoding="utf-8")
    parts = re.split(r"^\[(\w+)\]\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def library():
    return str(build_directory() / "client/libtenantd.so.0")


def package():
    """The package on this build's library; skips where that cannot be loaded (a sanitizer's)."""
    os.environ["TENANTD_LIBRARY"] = library()
    probe = subprocess.run([sys.executable, "-B", "-c", "import tenantd"], cwd=PACKAGE, capture_output=True,
                           text=True, check=False)
    if "Sanitizer" in probe.stderr or "__asan" in probe.stderr or "__tsan" in probe.stderr:
        raise unittest.SkipTest("a sanitizer's library cannot be loaded into an uninstrumented Python")
    if probe.returncode != 0:
        raise AssertionError(probe.stderr)
    sys.dont_write_bytecode = True
    if str(PACKAGE) not in sys.path:
        sys.path.insert(0, str(PACKAGE))
    import tenantd  # pylint: disable=import-outside-toplevel
    return tenantd


class PythonClient(DaemonTest):
    def setUp(self):
        self.tenantd = package()

    def tenant(self, *names, **options):
        daemon = self.daemon()
        for name in names or ("acme-corp",):
            daemon.write_tenant(name, **options)
        daemon.start()
        for name in names or ("acme-corp",):
            daemon.wait_state(name, "running")
            daemon.add_routes(name, SAMPLE_ROUTES)
        self.tenantd.configure(socket_path=daemon.socket_path, timeout_s=20)
        return daemon

    def names(self, **more):
        return {"Router": self.tenantd.Router, "Route": self.tenantd.Route,
                "get_metrics": self.tenantd.get_metrics, **more}

    def test_the_specifications_snippets_run(self):
        daemon = self.tenant(dimension=4)
        found = snippets()
        self.assertEqual(set(found), {"tenant_context", "tenant_middleware", "isolation_verifier",
                                      "tenant_cache"})
        for text in found.values():
            self.assertIn(SPECIFIED, text)
        ours = {name: text.replace(SPECIFIED, "from tenantd import") for name, text in found.items()}

        alarms = []
        names = {"alert_security_team": alarms.append, "logger": logging.getLogger("tenantd-test")}
        exec(ours["isolation_verifier"], names)  # pylint: disable=exec-used
        report = names["report"]
        self.assertEqual((report.tenant_id, report.all_passed, report.failures), ("acme-corp", True, ()))
        self.assertEqual(alarms, [])
        os.chmod(daemon.state_dir / "tenants/acme-corp", 0o755)
        with self.assertLogs("tenantd-test", "CRITICAL") as log:
            exec(ours["isolation_verifier"], names)  # pylint: disable=exec-used
        os.chmod(daemon.state_dir / "tenants/acme-corp", 0o700)
        self.assertIn("database.data_directory", log.output[0])
        self.assertEqual([p.name for p in alarms[0].failures], ["database.data_directory"])
        with self.assertRaises(self.tenantd.TenantError) as caught:
            self.tenantd.IsolationVerifier().verify("nobody")
        self.assertEqual(caught.exception.code, "not_found")

        names = self.names(query="where is my invoice", embedding=[0.5, 0.5, 0.5, 0.5])
        exec(ours["tenant_context"], names)  # pylint: disable=exec-used
        self.assertIn(names["result"].route, SAMPLE_ROUTES)
        self.assertEqual(names["metrics"].routes, 3)

        async def execute(route):
            return route.utterances

        names = self.names(execute=execute)
        exec(ours["tenant_middleware"], names)  # pylint: disable=exec-used
        with self.tenantd.TenantContext("acme-corp"):
            self.assertEqual(asyncio.run(names["execute_route"]("billing")), SAMPLE_ROUTES["billing"])
        with self.assertRaises(self.tenantd.NoTenantError):
            asyncio.run(names["execute_route"]("billing"))

        names = self.names(routes=sorted(SAMPLE_ROUTES))
        with self.tenantd.TenantContext("acme-corp"):
            exec(ours["tenant_cache"], names)  # pylint: disable=exec-used
            self.assertEqual(names["cache"].get("routes"), sorted(SAMPLE_ROUTES))

    def test_the_pages_example_runs(self):
        daemon = self.tenant()
        page = (ROOT / "docs/client.md").read_text(encoding="utf-8")
        example = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL).group(1)
        names = {"print": lambda *_: None}
        exec(example.replace("/run/tenantd/tenantd.sock", daemon.socket_path), names)  # pylint: disable=exec-used
        self.assertEqual(names["result"].route, "billing")
        with self.tenantd.TenantContext("acme-corp"):
            self.assertEqual(asyncio.run(names["utterances"]("billing")), SAMPLE_ROUTES["billing"])

    def test_nothing_works_outside_a_context_and_nothing_leaks_between_two(self):
        self.tenant("acme", "globex")
        tenantd = self.tenantd
        for call in (tenantd.Router, tenantd.get_metrics, tenantd.Route.list, tenantd.ping,
                     tenantd.enforce(lambda: self.fail("ran"))):
            with self.assertRaises(tenantd.NoTenantError):
                call()
        with tenantd.TenantContext("acme"):
            tenantd.Route("only-acme", ["zebras graze quietly"], tags=["a"], threshold=0.25).put()
            ours = tenantd.Router()
            with tenantd.TenantContext("globex"):
                self.assertEqual(tenantd.current_context().tenant_id, "globex")
                with self.assertRaises(tenantd.TenantError) as missing:
                    tenantd.Route.get("only-acme")
                self.assertEqual(missing.exception.code, "not_found")
                self.assertNotEqual(tenantd.Router().route("zebras graze quietly").route, "only-acme")
                # A router stays its own context's, wherever it is used.
                self.assertEqual(ours.route("zebras graze quietly").route, "only-acme")
            again = tenantd.Route.get("only-acme")
            self.assertEqual((again.tags, again.threshold), (["a"], 0.25))
            tenantd.Route.remove("only-acme")
            self.assertEqual([route.id for route in tenantd.Route.list()], sorted(SAMPLE_ROUTES))
        with self.assertRaises(tenantd.NoTenantError):
            ours.route("zebras graze quietly")

    def test_rules_filters_and_several_answers(self):
        self.tenant()
        tenantd = self.tenantd
        with tenantd.TenantContext("acme-corp"):
            route = tenantd.Route("human", rules=[
                tenantd.Rule("talk to a human", mode="always"), tenantd.Rule("^/human", "pattern", "always"),
                tenantd.Rule("operator")], tags=["people"], priority=3, aggregation="max",
                margin=0.25)
            route.put()
            again = tenantd.Route.get("human")
            self.assertEqual((again.rules, again.priority, again.aggregation, again.margin),
                             (route.rules, 3, "max", 0.25))
            router = tenantd.Router()
            hard = router.route("/human", explain=True)
            self.assertEqual((hard.route, hard.confidence), ("human", 1.0))
            self.assertEqual(hard.rules, (tenantd.MatchedRule("human", route.rules[1]),))
            several = router.route("where is my invoice or parcel", limit=4, alternatives=0)
            self.assertEqual(len(several.also), 2)  # nothing speaks for "human"
            one = router.route("where is my invoice", routes=["shipping"], alternatives=9)
            self.assertEqual((one.route, one.alternatives), ("shipping", ()))
            self.assertEqual(router.route("an operator", tags=["people"]).route, "human")
            self.assertEqual(router.route("hello", tags=["nobody"]).reason, "excluded")
            # What one request filtered the next one does not.
            self.assertEqual(len(router.route("where is my invoice", alternatives=9).alternatives), 2)
            with self.assertRaises(tenantd.TenantError) as broken:
                tenantd.Route("broken", rules=[tenantd.Rule("(", "pattern")]).put()
            self.assertEqual(broken.exception.code, "invalid_argument")

    def test_embeddings_of_every_kind_are_the_same_to_the_router(self):
        daemon = self.tenant(dimension=4)
        tenantd = self.tenantd
        values = [0.25, -0.5, 0.75, 1.0]
        row = array.array("f", values)
        kinds = [values, tuple(values), row, memoryview(row), memoryview(row).toreadonly(),
                 array.array("d", values)]
        try:
            import numpy  # pylint: disable=import-outside-toplevel
            kinds += [numpy.array(values, dtype=numpy.float32), numpy.array(values)]
        except ImportError:
            print("numpy is not installed: its arrays are not tried")
        with tenantd.TenantContext("acme-corp"):
            router = tenantd.Router()
            answers = {router.route(embedding=kind)[:2] for kind in kinds}
            self.assertEqual(len(answers), 1)
            with self.assertRaises(tenantd.TenantError) as wrong:
                router.route(embedding=[1.0])
            self.assertEqual(wrong.exception.code, "wrong_dimension")
            with self.assertRaises(TypeError):
                router.route(embedding=b"four")
            kinds.clear()
            row.append(0.0)  # which fails while anything of it is lent
            texts = ["where is my invoice", "x" * 70_000, "track my package"]
            first, second, third = router.route_many(texts)
            self.assertEqual([first, third], [router.route(texts[0]), router.route(texts[2])])
            self.assertEqual((second.code, second.tenant), ("invalid_argument", "acme-corp"))
            rows = [array.array("f", [float(i == j) for j in range(4)]) for i in range(2)]
            self.assertEqual(router.route_many(embeddings=rows, limit=2),
                             [router.route(embedding=one, limit=2) for one in rows])
            self.assertEqual(router.route_many(texts[::2], rows, routes=["billing"], explain=True),
                             [router.route(text, one, routes=["billing"], explain=True)
                              for text, one in zip(texts[::2], rows)])
            for wrong_call in (lambda: router.route_many(texts, rows), router.route_many):
                self.assertRaises(ValueError, wrong_call)
            ours = router.route("where is my invoice?", explain=True)
        theirs = daemon.ctl("query", "acme-corp", "where is my invoice?", as_json=True)
        self.assertEqual(ours.route, theirs["best"]["route"])
        self.assertAlmostEqual(ours.confidence, theirs["best"]["confidence"], places=5)
        self.assertEqual([a.route for a in ours.alternatives],
                         [a["route"] for a in theirs["alternatives"]])
        self.assertTrue(ours.words and ours.utterance)

    def test_tasks_share_one_descriptor_and_a_killed_worker_is_a_pause(self):
        daemon = self.tenant()
        tenantd = self.tenantd

        async def main():
            async with tenantd.TenantContext("acme-corp"), tenantd.AsyncRouter() as router:
                answers = await asyncio.gather(*[router.route("track my package") for _ in range(200)])
                self.assertEqual({a.route for a in answers}, {"shipping"})
                cancelled = asyncio.ensure_future(router.route("cancelled"))
                await asyncio.sleep(0)
                cancelled.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await cancelled
                os.kill(daemon.tenant("acme-corp")["pid"], signal.SIGKILL)
                answers = await asyncio.gather(*[router.route("track my package") for _ in range(50)])
                self.assertEqual({a.route for a in answers}, {"shipping"})
                with self.assertRaises(tenantd.TenantError) as late:
                    os.kill(daemon.tenant("acme-corp")["pid"], signal.SIGSTOP)
                    await router.route("too late", timeout_s=0.05)
                self.assertEqual(late.exception.code, "deadline_exceeded")
                os.kill(daemon.tenant("acme-corp")["pid"], signal.SIGCONT)
                self.assertEqual((await router.route("track my package")).route, "shipping")

        asyncio.run(main())

    def test_threads_and_forked_children(self):
        self.tenant()
        tenantd = self.tenantd
        wrong = []

        def ask(text, wanted):
            for _ in range(100):
                found = tenantd.Router().route(text).route
                if found != wanted:
                    wrong.append(found)

        with tenantd.TenantContext("acme-corp"):
            threads = [threading.Thread(target=contextvars.copy_context().run, args=(ask, text, wanted))
                       for text, wanted in (("where is my invoice", "billing"),
                                            ("track my package", "shipping"))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    try:
                        tenantd.Router().route("the parent's attachment")
                    except tenantd.TenantError as error:
                        with tenantd.TenantContext("acme-corp"):
                            fresh = tenantd.Router().route("track my package").route
                        code = 0 if (error.code, fresh) == ("unsupported", "shipping") else 2
                finally:
                    os._exit(code)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
            self.assertEqual(tenantd.Router().route("track my package").route, "shipping")

    def test_refusals_name_themselves(self):
        daemon = self.tenant()
        for tenant, code in (("nobody", "not_found"), ("../etc", "invalid_argument")):
            with self.assertRaises(self.tenantd.TenantError) as refused:
                self.tenantd.TenantContext(tenant).__enter__()
            self.assertIn(refused.exception.code, (code, "permission_denied"))
        context = self.tenantd.TenantContext("acme-corp")
        with context:
            self.tenantd.ping()
        daemon.kill()
        daemon.start()
        wait_until(lambda: daemon.tenant("acme-corp").get("state") == "running", "adopted")
        with context:  # entered again, on the attachment that outlived the supervisor
            self.tenantd.ping()


class Installing(unittest.TestCase):
    def test_the_annotations_are_complete(self):
        marker = PACKAGE / "tenantd/py.typed"
        self.assertTrue(marker.exists())
        for path in (PACKAGE / "tenantd").glob("*.py"):
            source = path.read_text(encoding="utf-8")
            for line in re.findall(r"^\s*(?:async )?def [^\n]*(?:\n[^\n]*?)*?:$", source, re.MULTILINE):
                self.assertIn("->", line, f"{path.name}: {line}")

    def test_the_build_ships_every_file(self):
        build = (ROOT / "client/meson.build").read_text(encoding="utf-8")
        for path in sorted((PACKAGE / "tenantd").iterdir()):
            if path.is_file():
                self.assertIn(f"'python/tenantd/{path.name}'", build)

    def test_it_installs_from_the_source_tree_without_a_network(self):
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
            self.skipTest("pip is not installed")
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder) / "source", pathlib.Path(folder) / "target"
            shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
            done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index",
                                   "--no-compile", "--target", str(target), str(source)],
                                  capture_output=True, text=True, check=False, cwd=folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            names = {path.name for path in (PACKAGE / "tenantd").iterdir() if path.is_file()}
            self.assertEqual({path.name for path in (target / "tenantd").iterdir()}, names)

    def test_mypy_finds_nothing(self):
        mypy = shutil.which("mypy")
        if mypy is None:
            self.skipTest("mypy is not installed")
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run([mypy, "--strict", "--cache-dir", cache, "tenantd"], cwd=PACKAGE,
                                  capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
