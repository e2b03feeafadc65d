"""A request that kills a pooled worker: who notices, who is blamed, who is spared."""

import ctypes
import json
import os
import pathlib
import random
import signal
import threading
import unittest

from harness import SAMPLE_ROUTES, DaemonTest, wait_until
from test_pool import standard
from test_verify_pool import planted_rows

PTRACE_POKEUSER, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 6, 17, 0x4206, 0x4207
ORIG_RAX, RIP = 15 * 8, 16 * 8  # in struct user of <sys/user.h>


def crash(pid):
    """Makes the process jump to address 0, as a defect of its own would."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(request, address=0, data=0):
        if libc.ptrace(request, pid, address, data) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(pid, 0x40000000)  # __WALL
    ptrace(PTRACE_POKEUSER, ORIG_RAX, ctypes.c_void_p(-1))
    ptrace(PTRACE_POKEUSER, RIP, 0)
    ptrace(PTRACE_DETACH)


# Some hundred automata that each meet every letter of a long text: a request of a second or so.
SLOW_PATTERNS = [f"(?:a|b)*a(?:a|b){{9}}c{n}" for n in range(60)]
LONG_TEXT = "".join(random.Random(1).choices("ab", k=60_000))


@unittest.skipUnless(os.geteuid() == 0, "ptrace(2) of a confined worker needs root")
class CrashTest(DaemonTest):
    def setUp(self):
        super().setUp()
        # One shard: whoever shares it is beside the poison wherever that is.
        self.pool = self.daemon(config="[pool]\nworkers = 1\nshards = 1\n")
        for tenant in ("poison", "bystander"):
            self.pool.write_tenant(tenant, standard())
        self.pool.start()
        self.pool.add_routes("bystander", SAMPLE_ROUTES)
        self.pool.add_routes("poison", SAMPLE_ROUTES)
        for first in range(0, len(SLOW_PATTERNS), 20):
            flags = [flag for pattern in SLOW_PATTERNS[first:first + 20]
                     for flag in ("--pattern", pattern)]
            self.pool.ctl("routes", "add", "poison", f"slow-{first}", *flags)

    def running(self, worker):
        path = self.pool.state_dir / "pool" / worker / "running"
        return path.read_bytes()[:64].rstrip(b"\0").decode()

    def crash_while_poison_runs(self, worker):
        """The answers to the request that was running and to one that waited behind it."""
        answers = {}

        def ask(name, *arguments):
            answers[name] = self.pool.ctl("query", *arguments, check=False)
        threads = [threading.Thread(target=ask, args=("poison", "poison", LONG_TEXT))]
        threads[0].start()
        wait_until(lambda: self.running(worker) == "poison", "the request runs")
        threads.append(threading.Thread(target=ask,
                                        args=("bystander", "bystander", "where is my invoice")))
        threads[1].start()
        crash(self.pool.tenant(worker)["pid"])
        for thread in threads:
            thread.join(60)
        return answers

    def shards_of(self, worker):
        place = self.pool.state_dir / "pool" / worker
        return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.exists() else []

    def answers_from_its_routes(self, tenant):
        answer = self.pool.ctl("query", tenant, "where is my invoice", as_json=True)
        self.assertEqual(answer["best"]["route"], "billing")

    def test_the_first_death_costs_one_request_and_moves_its_tenant_the_second_quarantines_it(self):
        answers = self.crash_while_poison_runs("tenantd-pool-0")
        self.assertEqual(answers["bystander"].returncode, 0, answers["bystander"].stderr)
        self.assertIn("billing", answers["bystander"].stdout)
        self.assertEqual(answers["poison"].returncode, 1)
        self.assertIn("is not run again", answers["poison"].stderr)
        info = self.pool.tenant("poison")
        self.assertEqual(info["worker_id"], "tenantd-pool-probation")
        self.assertIn("tenantd-pool-0 died while it ran a request of this tenant", info["reason"])
        self.assertIn("in shard 001 of its own", info["reason"])
        self.assertEqual(self.pool.tenant("bystander")["worker_id"], "tenantd-pool-0")
        # What is asked anew is answered, apart from the others.
        answer = self.pool.ctl("query", "poison", "where is my invoice", as_json=True)
        self.assertEqual(answer["best"]["route"], "billing")
        self.assertNotEqual(self.pool.tenant("poison")["pid"], self.pool.tenant("bystander")["pid"])

        self.assertEqual(self.shards_of("tenantd-pool-probation"), ["001"])
        self.assertEqual(self.shards_of("tenantd-pool-0"), ["000"])
        self.answers_from_its_routes("bystander")
        routes = self.pool.ctl("routes", "list", "poison").stdout
        self.assertIn("slow-40", routes)

        # The verifier plants its rows in that shard and meets nobody's.
        for tenant in ("poison", "bystander"):
            report = self.pool.ctl("verify", tenant, "--check", "database", as_json=True)
            self.assertEqual(report["failures"], [])
            rows = {p["name"]: p["outcome"] for p in report["probes"]
                    if p["name"].startswith("database.row")}
            self.assertEqual(set(rows.values()), {"passed"}, rows)

        bystanders_worker = self.pool.tenant("bystander")["pid"]
        answers = self.crash_while_poison_runs("tenantd-pool-probation")
        self.assertNotEqual(answers["poison"].returncode, 0)
        self.assertEqual(answers["bystander"].returncode, 0)
        self.assertEqual(self.pool.tenant("bystander")["pid"], bystanders_worker)
        self.pool.wait_state("poison", "quarantined")
        refused = self.pool.ctl("query", "poison", "hello", check=False)
        self.assertIn("tenant restart", refused.stderr)

        self.pool.ctl("tenant", "restart", "poison")
        answer = self.pool.ctl("query", "poison", "where is my invoice", as_json=True)
        self.assertEqual(answer["best"]["route"], "billing")
        wait_until(lambda: "tenantd-pool-probation" not in self.pool.tenants(), "no probation left")
        self.assertEqual(self.pool.tenant("poison")["worker_id"], "tenantd-pool-0")
        self.pool.stop()
        self.assertEqual(set(planted_rows(self.pool).values()), {0})

    def test_the_next_supervisor_knows_who_is_on_probation_and_who_is_quarantined(self):
        def next_supervisor():
            self.pool.kill()
            self.pool.start()
        self.crash_while_poison_runs("tenantd-pool-0")
        self.answers_from_its_routes("poison")
        next_supervisor()
        info = self.pool.tenant("poison")
        self.assertEqual(info["worker_id"], "tenantd-pool-probation")
        self.assertIn("on probation since", info["reason"])
        self.assertEqual(self.pool.tenant("bystander")["worker_id"], "tenantd-pool-0")
        self.answers_from_its_routes("poison")
        self.answers_from_its_routes("bystander")

        self.crash_while_poison_runs("tenantd-pool-probation")
        self.pool.wait_state("poison", "quarantined")
        next_supervisor()
        self.pool.wait_state("poison", "quarantined")
        refused = self.pool.ctl("query", "poison", "hello", check=False)
        self.assertIn("tenant restart", refused.stderr)
        self.answers_from_its_routes("bystander")

        self.pool.ctl("tenant", "restart", "poison")
        self.answers_from_its_routes("poison")
        next_supervisor()
        self.answers_from_its_routes("poison")
        self.assertEqual(self.pool.tenant("poison")["worker_id"], "tenantd-pool-0")
        self.assertEqual(self.shards_of("tenantd-pool-0"), ["000", "001"])
        # What it wrote is in no other place, and a record that is lost does not hide it.
        (self.pool.state_dir / "own-shards" / "001.poison").unlink()
        next_supervisor()
        answer = self.pool.ctl("query", "poison", "where is my invoice", check=False)
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn("have left for shard 1", answer.stderr)
        self.answers_from_its_routes("bystander")

    def test_out_of_memory_is_blamed_on_who_holds_the_most(self):
        worker = self.pool.tenant("tenantd-pool-0")["pid"]
        for line in pathlib.Path(f"/proc/{worker}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                limit = pathlib.Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")
            elif not controllers:
                limit = pathlib.Path(f"/sys/fs/cgroup{path}/memory.max")
            else:
                continue
            if limit.exists() and "tenantd-pool-0" in path:
                break
        else:
            self.skipTest("no memory quota on this machine")
        usage = limit.with_name("memory.usage_in_bytes" if limit.name.endswith("bytes") else "memory.current")
        # Less than the worker believes it has: else it refuses what would take too much.
        limit.write_text(str(int(usage.read_text()) + (1 << 20)))

        def grown():
            words = random.Random(2)
            lines = "".join(json.dumps({"id": f"grown-{i}", "utterances": [
                " ".join(f"{words.getrandbits(40):x}" for _ in range(40)) for _ in range(50)]}) + "\n"
                for i in range(20))
            self.pool.ctl("routes", "import", "poison", "-", stdin=lines, check=False)
            return "out of memory" in self.pool.tenant("poison").get("reason", "")
        wait_until(grown, "the worker is out of memory", 60)
        self.assertEqual(self.pool.tenant("poison")["worker_id"], "tenantd-pool-probation")
        self.assertEqual(self.pool.tenant("bystander")["worker_id"], "tenantd-pool-0")
        self.answers_from_its_routes("poison")
        self.answers_from_its_routes("bystander")

    def test_a_worker_that_somebody_kills_blames_nobody(self):
        done = threading.Event()

        def ask():
            self.answer = self.pool.ctl("query", "poison", LONG_TEXT, check=False)
            done.set()
        threading.Thread(target=ask).start()
        wait_until(lambda: self.running("tenantd-pool-0") == "poison", "the request runs")
        os.kill(self.pool.tenant("tenantd-pool-0")["pid"], signal.SIGKILL)
        self.assertTrue(done.wait(60))
        self.assertEqual(self.answer.returncode, 0, self.answer.stderr)  # sent again, and run
        info = self.pool.tenant("poison")
        self.assertEqual((info["worker_id"], info["reason"]), ("tenantd-pool-0", ""))


if __name__ == "__main__":
    unittest.main()
