"""A tenant that runs out of memory: alone, and told with its peak wherever people look."""

import shutil
import unittest

from harness import Daemon, build_directory, process_alive, programs_directory, tenant_toml, wait_until

LOAD = "tests/unit/supervisor/launch/load_program"
LIMIT = 48 << 20


class OutOfMemory(unittest.TestCase):
    """The workers' program does what its tenant is called: `hog` takes all memory, `idle` nothing."""

    def setUp(self):
        source = build_directory() / LOAD
        if not source.exists():
            self.skipTest("this build has no static programs")
        program = programs_directory() / "load_program"
        shutil.copy2(source, program)
        self.daemon = Daemon(config=f'start_timeout = "60s"\n[worker]\nprogram = "{program}"\n'
                                    '[restart]\nbackoff_min = "50ms"\ncrash_loop_count = 3\n')
        self.addCleanup(self.daemon.close)
        self.daemon.start()
        missing = self.daemon.ctl("status", as_json=True)["daemon"]["missing_confinement"]
        if "cgroup_memory" in missing:
            self.skipTest("no memory quota on this machine")

    def test_it_dies_alone_and_says_so(self):
        self.daemon.write_tenant("idle", tenant_toml("idle"))
        # The load program never says that it is ready: its process is all there is to wait for.
        idle = wait_until(lambda: self.daemon.tenant("idle").get("pid") and self.daemon.tenant("idle"),
                          "the sibling's process")
        self.daemon.write_tenant("hog", tenant_toml("hog", memory_max=str(LIMIT)))
        hog = self.daemon.wait_state("hog", "quarantined")
        self.assertEqual(hog["oom_deaths"], 3)
        self.assertIn("out of memory, peak 48M", hog["reason"])
        self.assertLessEqual(hog["oom_peak_bytes"], LIMIT)
        self.assertGreater(hog["oom_peak_bytes"], LIMIT * 9 // 10)
        text = self.daemon.ctl("tenant", "status", "hog").stdout
        self.assertIn("out of memory 3, peak 48M", text)
        def died_events():
            events = self.daemon.ctl("tenant", "events", "hog", as_json=True)["events"]
            return [e for e in events if e["event"] == "worker_died"]
        died = wait_until(lambda: len(died_events()) == 3 and died_events(), "three deaths in the ledger")
        for event in died:
            self.assertIn("out of memory, peak 48M", event["detail"])
        self.assertEqual(self.daemon.log().count("worker died: out of memory, peak 48M"), 3)
        # The sibling has not noticed.
        after = self.daemon.tenant("idle")
        self.assertEqual((after["pid"], after["generation"], after["oom_deaths"]), (idle["pid"], 1, 0))
        self.assertTrue(process_alive(idle["pid"]))
