"""The isolation verifier from the outside: tenantctl verify against a real daemon."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import (DaemonTest, IS_ROOT, build_directory, process_alive, programs_directory, tenant_toml,
                     wait_until)
from test_hostile_worker import TurnMeter

CHECKS = ("database", "cache", "network", "process", "resource")
# What a worker of its own must be there for.
POSTURE = {"database.mount_namespace", "database.mounts", "cache.ipc_namespace", "network.namespace",
           "process.user_namespace", "process.pid_namespace", "process.uts_namespace",
           "process.cgroup_namespace", "process.own_uid", "process.capabilities", "process.no_new_privs",
           "process.system_call_filter", "process.surroundings", "resource.limits", "resource.cpu_group",
           "resource.memory_group", "resource.pids_group", "resource.io_group"}


def outcomes(report):
    return {probe["name"]: probe["outcome"] for probe in report["probes"]}


@unittest.skipUnless(IS_ROOT, "only root can give tenants uids of their own")
class VerifyTest(DaemonTest):
    def verify(self, daemon, *arguments, expected_exit=0):
        done = daemon.ctl("verify", *arguments, check=False, as_json=True)
        self.assertEqual(done.returncode, expected_exit, done.stdout + done.stderr + daemon.log()[-2000:])
        return json.loads(done.stdout)

    def failures(self, daemon, *arguments):
        """Names of the probes that fail, which must be some."""
        report = self.verify(daemon, *arguments, expected_exit=1)
        self.assertFalse(report["all_passed"])
        return set(report["failures"])

    def test_all_pass_on_a_healthy_host(self):
        daemon = self.running_tenant()
        before = daemon.tenant("acme")
        report = self.verify(daemon, "acme")
        self.assertTrue(report["all_passed"])
        self.assertEqual(report["plan"], "premium (process)")
        found = outcomes(report)
        found.pop("resource.cpu")  # not applicable where others keep it from its quota
        self.assertEqual(set(found.values()), {"passed"})
        self.assertEqual({probe["check"] for probe in report["probes"]}, set(CHECKS))
        self.assertTrue(all(probe["evidence"] for probe in report["probes"]))
        by_name = {probe["name"]: probe for probe in report["probes"]}
        self.assertIn("SIGSYS", by_name["process.fork"]["evidence"])
        self.assertIn("memory", by_name["resource.memory"]["evidence"])
        self.assertIn(by_name["resource.cpu"]["outcome"], ("passed", "not applicable"))
        # Its own lack of memory and its deaths are nobody's.
        after = daemon.tenant("acme")
        for fact in ("pid", "generation", "restarts", "oom_deaths"):
            self.assertEqual(after[fact], before[fact], fact)
        daemon.ctl("query", "acme", "where is my invoice")
        self.assertEqual(os.listdir(daemon.state_dir / "probes"), [])

    def test_one_check_at_a_time_covers_all_probes(self):
        daemon = self.running_tenant()
        everything = outcomes(self.verify(daemon, "acme"))
        parts = {}
        for check in CHECKS:
            part = self.verify(daemon, "acme", "--check", check)
            self.assertEqual({probe["check"] for probe in part["probes"]}, {check})
            parts.update(outcomes(part))
        for found in (parts, everything):
            found.pop("resource.cpu")
        self.assertEqual(parts, everything)
        two = self.verify(daemon, "acme", "--check", "cache", "--check", "network")
        self.assertEqual({probe["check"] for probe in two["probes"]}, {"cache", "network"})

    def test_files_that_others_could_reach_are_found(self):
        daemon = self.running_tenant()
        daemon.write_tenant("globex")
        daemon.wait_state("globex", "running")
        data = daemon.state_dir / "tenants" / "acme"
        cases = {
            "database.data_directory": (lambda: os.chmod(data, 0o755), lambda: os.chmod(data, 0o700)),
            "database.data_files": (lambda: os.chmod(data / "routes.db", 0o644),
                                    lambda: os.chmod(data / "routes.db", 0o600)),
            "database.unique_uid": (
                lambda: os.mkdir(data.parent / "copy") or os.chown(data.parent / "copy",
                                                                   data.stat().st_uid, 0),
                lambda: os.rmdir(data.parent / "copy")),
            "process.run_record": (lambda: os.chmod(daemon.run_dir / "workers/acme.record", 0o644),
                                   lambda: os.chmod(daemon.run_dir / "workers/acme.record", 0o600)),
        }
        for probe, (weaken, mend) in cases.items():
            weaken()
            self.assertEqual(self.failures(daemon, "acme"), {probe})
            mend()
        os.symlink("/etc/passwd", data / "link")
        self.assertEqual(self.failures(daemon, "acme"), {"database.data_files"})
        os.unlink(data / "link")
        self.verify(daemon, "acme")
        self.assertIn("isolation violated", daemon.log())

    def test_a_changed_limit_is_found(self):
        daemon = self.running_tenant()
        groups = [group for group in daemon.control_groups() if group.name == "acme" and (group / "pids.max").exists()]
        if not groups:
            self.skipTest("no pids controller")
        limit = groups[0] / "pids.max"
        before = limit.read_text()
        limit.write_text("max")
        self.assertEqual(self.failures(daemon, "acme"), {"resource.pids_group"})
        limit.write_text(before)
        self.verify(daemon, "acme")

    def test_a_sleeping_tenant_is_not_woken(self):
        daemon = self.daemon()
        daemon.write_tenant("acme", tenant_toml("acme").replace("[router]", 'start = "on_demand"\n[router]'))
        daemon.start()
        daemon.wait_state("acme", "sleeping")
        report = self.verify(daemon, "acme")
        self.assertEqual(daemon.tenant("acme")["state"], "sleeping")
        found = outcomes(report)
        self.assertEqual({name for name, how in found.items() if how == "not applicable"} - POSTURE - {"resource.cpu"},
                         {"process.run_record", "database.data_directory", "database.data_files",
                          "database.unique_uid"})
        self.assertEqual({found[name] for name in POSTURE}, {"not applicable"})
        self.assertTrue(all(p["outcome"] == "passed" for p in report["probes"]
                            if p["inside"] and p["name"] != "resource.cpu"))

    def test_unknown_tenants_and_wrong_lines_are_errors(self):
        daemon = self.running_tenant()
        self.assertEqual(daemon.ctl("verify", "nobody", check=False).returncode, 3)
        self.assertEqual(daemon.ctl("verify", check=False).returncode, 2)
        self.assertEqual(daemon.ctl("verify", "acme", "--check", "magic", check=False).returncode, 2)
        self.assertEqual(daemon.ctl("verify", "acme", "--all", check=False).returncode, 2)

    def test_history_and_all(self):
        daemon = self.running_tenant()
        daemon.write_tenant("globex")
        daemon.wait_state("globex", "running")
        self.assertEqual(daemon.ctl("verify", "acme", "--history", as_json=True)["verifications"], [])
        done = daemon.ctl("verify", "--all", "--check", "database", as_json=True)
        self.assertEqual([v["tenant"] for v in done["verifications"]], ["acme", "globex"])
        os.chmod(daemon.state_dir / "tenants/acme", 0o755)
        done = daemon.ctl("verify", "--all", "--check", "database", check=False, as_json=True)
        self.assertEqual(done.returncode, 1)
        os.chmod(daemon.state_dir / "tenants/acme", 0o700)
        past = wait_until(lambda: (lambda v: v if len(v) == 2 else None)(
            daemon.ctl("verify", "acme", "--history", as_json=True)["verifications"]), "two entries")
        self.assertEqual([v["all_passed"] for v in past], [True, False])
        self.assertIn("database.data_directory", past[1]["detail"])
        only = daemon.ctl("verify", "acme", "--history", "--lines", "1", as_json=True)["verifications"]
        self.assertEqual(only, past[1:])
        events = daemon.ctl("tenant", "events", "acme", as_json=True)["events"]
        self.assertIn("isolation_violated", [e["event"] for e in events])

    def test_a_new_tenant_is_verified_once(self):
        daemon = self.daemon(config="[verify]\non_start = true\n")
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        wait_until(lambda: "onboarding: " in daemon.log(), "the verification of a new tenant")
        daemon.ctl("tenant", "restart", "acme")
        wait_until(lambda: daemon.tenant("acme").get("generation") == 2, "the second worker")
        self.verify(daemon, "acme")  # comes after all that waits
        past = daemon.ctl("verify", "acme", "--history", as_json=True)["verifications"]
        self.assertEqual([v["detail"].split(":")[0] for v in past], ["onboarding", "on request"])

    def test_the_timer_verifies_everybody(self):
        daemon = self.daemon(config='[verify]\non_start = false\ninterval = "1s"\n')
        daemon.write_tenant("acme")
        daemon.write_tenant("globex")
        daemon.start()
        rounds = lambda tenant: sum(f"tenant={tenant} " in line and "timer: " in line
                                    for line in daemon.log().splitlines())
        wait_until(lambda: min(rounds("acme"), rounds("globex")) >= 2, "two rounds over two tenants", 60)

    def test_a_stop_in_the_middle_leaves_nothing(self):
        daemon = self.running_tenant()
        self.start_ctl(daemon, "verify", "acme")
        wait_until((daemon.state_dir / "probes/acme").exists, "a verification that tries", interval_s=0.001)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(daemon.control_groups(), [])
        self.assertEqual(os.listdir(daemon.state_dir / "probes"), [])

    def test_many_tenants_are_looked_at_in_slices(self):
        library = build_directory() / "tests/isolation/hostile/turn_meter.so"
        if not library.exists():
            self.skipTest("nothing can be preloaded into a sanitizer's program")
        daemon = self.daemon()
        meter = TurnMeter(daemon.base)
        meter.watch(daemon)
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        slices = 40
        for number in range(slices * 512):
            path = daemon.state_dir / "tenants" / f"t{number}"
            path.mkdir(mode=0o700)
            os.chown(path, 1_900_001_000 + number, 0)
        meter.reset()
        self.verify(daemon, "acme", "--check", "database")
        self.assertGreater(meter.read()["turns"], slices, meter.read())

    def test_a_probe_program_that_is_none_shows_nothing(self):
        folder = tempfile.TemporaryDirectory(prefix="tnd-no-probe-")
        self.addCleanup(folder.cleanup)
        shutil.copytree(programs_directory(), folder.name, dirs_exist_ok=True)
        shutil.copymode(programs_directory(), folder.name)
        program = pathlib.Path(folder.name) / "tenantd-probe"
        shutil.copy2(pathlib.Path(folder.name) / "tenantd-control", program)
        daemon = self.daemon(flags=["--libexec-dir", folder.name])
        daemon.write_tenant("acme")
        daemon.start()
        before = daemon.wait_state("acme", "running")
        report = self.verify(daemon, "acme", expected_exit=1)
        self.assertEqual(set(report["failures"]), {p["name"] for p in report["probes"] if p["inside"]})
        self.assertTrue(all("never began" in p["evidence"] for p in report["probes"] if p["inside"]))
        program.unlink()
        report = self.verify(daemon, "acme", expected_exit=1)
        self.assertEqual(set(report["failures"]), {p["name"] for p in report["probes"] if p["inside"]})
        self.assertTrue(all("could not be tried" in p["evidence"] for p in report["probes"] if p["inside"]))
        self.assertEqual(daemon.tenant("acme")["pid"], before["pid"])

    def test_several_ask_at_once(self):
        daemon = self.running_tenant()
        asked = [self.start_ctl(daemon, "verify", "acme", "--check", "network") for _ in range(6)]
        self.assertEqual([process.wait(60) for process in asked], [0] * 6)

    def test_a_worker_that_comes_and_goes_is_no_violation(self):
        daemon = self.running_tenant()
        for _ in range(6):
            restart = self.start_ctl(daemon, "tenant", "restart", "acme")
            self.assertEqual(self.verify(daemon, "acme")["failures"], [])
            restart.wait(30)

    def hooked_daemon(self, script, mode=0o755):
        daemon = self.daemon()
        hook = daemon.config_dir / "hook"
        hook.write_text(script.format(out=daemon.base / "told"))
        os.chmod(hook, mode)
        text = daemon.config_file.read_text()
        daemon.config_file.write_text(
            text.replace("[verify]", f'[verify]\non_violation = "{hook}"'))
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        os.chmod(daemon.state_dir / "tenants/acme", 0o755)
        self.assertEqual(self.failures(daemon, "acme", "--check", "database"), {"database.data_directory"})
        return daemon

    def test_a_violation_runs_the_hook_once_with_the_facts_and_nothing_else(self):
        daemon = self.hooked_daemon('#!/bin/sh\necho "$0|$*|$(env -u PWD -u _ -u SHLVL | sort | tr "\\n" " ")"'
                                    ' >>{out}.new\nls /proc/self/fd >&2\nmv {out}.new {out}\n')
        told = daemon.base / "told"
        wait_until(lambda: "on_violation was run" in daemon.log(), "the end of the hook")
        lines = told.read_text().splitlines()
        self.assertEqual(len(lines), 1)
        program, arguments, environment = lines[0].split("|")
        self.assertEqual(program, str(daemon.config_dir / "hook"))
        self.assertEqual(arguments, "acme database.data_directory")
        self.assertEqual({v.split("=")[0] for v in environment.split()}, {"PATH", "TENANTD_TENANT"})
        self.assertIn("TENANTD_TENANT=acme", environment)
        os.chmod(daemon.state_dir / "tenants/acme", 0o700)
        self.verify(daemon, "acme", "--check", "database")
        self.assertEqual(len(told.read_text().splitlines()), 1)

    def test_a_hook_that_others_can_write_is_not_run(self):
        daemon = self.hooked_daemon("#!/bin/sh\necho >{out}\n", mode=0o777)
        wait_until(lambda: "on_violation was not run" in daemon.log(), "the refusal")
        self.assertFalse((daemon.base / "told").exists())

    def test_a_hook_that_fails_is_told_and_one_that_hangs_ends_with_the_daemon(self):
        daemon = self.hooked_daemon("#!/bin/sh\nexit 3\n")
        wait_until(lambda: "on_violation: exit code 3" in daemon.log(), "its exit code in the log")
        daemon = self.hooked_daemon("#!/bin/sh\necho $$ >{out}.new\nmv {out}.new {out}\nexec sleep 1000\n")
        wait_until((daemon.base / "told").exists, "the hook at work")
        pid = int((daemon.base / "told").read_text())
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(process_alive(pid))

    def test_what_a_weak_host_lacks_is_not_promised_and_never_passes(self):
        daemon = self.daemon(user=65534)
        os.chown(daemon.base, 65534, 65534)
        daemon.write_tenant("acme")
        daemon.start(wait=False)
        daemon.process.wait(30)
        flag = re.search(r"--tolerate-missing=[a-z_,]+", daemon.log())
        self.assertIsNotNone(flag, daemon.log())
        daemon.flags.append(flag.group(0))
        daemon.start()
        daemon.wait_state("acme", "running")
        report = self.verify(daemon, "acme")
        missing = set(flag.group(0).split("=")[1].split(","))
        self.assertIn("own_uid", missing)
        by_name = {probe["name"]: probe for probe in report["probes"]}
        lifted = {"own_uid": ["process.own_uid", "database.unique_uid"],
                  "cgroup_memory": ["resource.memory_group", "resource.memory"],
                  "cgroup_cpu": ["resource.cpu_group", "resource.cpu"],
                  "cgroup_pids": ["resource.pids_group"]}
        for layer, probes in lifted.items():
            for name in probes if layer in missing else []:
                self.assertEqual(by_name[name]["outcome"], "not promised", by_name[name])
                self.assertIn(f"{layer} is tolerated as missing", by_name[name]["evidence"])
        self.assertEqual(by_name["process.fork"]["outcome"], "passed")
        self.assertEqual(by_name["resource.new_file"]["outcome"], "passed")

    def test_a_killed_supervisor_leaves_what_the_next_one_removes(self):
        daemon = self.running_tenant()
        asked = self.start_ctl(daemon, "verify", "acme")
        wait_until((daemon.state_dir / "probes/acme").exists, "a verification that tries", interval_s=0.001)
        daemon.kill()
        (daemon.state_dir / "probes/gone").mkdir()  # of a tenant that nobody will verify again
        daemon.start()
        daemon.wait_state("acme", "running")
        self.assertEqual(asked.wait(60), 0)  # asked again: a verification may run twice
        self.assertEqual(os.listdir(daemon.state_dir / "probes"), [])
        left = lambda: [g for g in daemon.control_groups() if "/probes/" in str(g)]
        wait_until(lambda: not left(), "the end of the probe's control group")
        self.verify(daemon, "acme")

    def start_ctl(self, daemon, *arguments):
        process = subprocess.Popen([str(programs_directory() / "tenantctl"), "--socket",
                                    daemon.socket_path, *arguments], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        return process


if __name__ == "__main__":
    unittest.main()
