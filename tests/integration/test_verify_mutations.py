"""Each protection left out in turn: exactly the probes that are about it fail.

A real tenantd with the mutant jail of tests/isolation, which leaves out the steps that a tenant's id names
("mutant-<mask>") while it reports success; or with a launcher whose processes lack a namespace that it believes
they have.
"""

import contextlib
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import DaemonTest, IS_ROOT, ROOT, build_directory, programs_directory

MUTANT = "tests/isolation/mutant_jail"
MOUNTS = {"database.mounts"}
SURROUNDINGS = {"process.surroundings"}
LIMITS = {"resource.limits"}

EXPECTED = {
    "umask": SURROUNDINGS,
    "own_session": SURROUNDINGS,
    "cgroup_namespace": {"process.cgroup_namespace"},
    "tmpfs_nosuid": MOUNTS,
    "tmpfs_nodev": MOUNTS,
    "tmpfs_noexec": MOUNTS,
    "bind_noexec": MOUNTS,
    "bind_nosymfollow": MOUNTS,
    "bind_read_only": MOUNTS,
    "detach_host_root": MOUNTS,
    "read_only_root": MOUNTS,
    "close_descriptors": SURROUNDINGS,
    "limit_core": LIMITS,
    "limit_open_files": LIMITS | {"resource.descriptors"},
    "limit_file_size": LIMITS | {"resource.file_size"},
    "limit_processes": LIMITS,
    "limit_locked_memory": LIMITS,
    "limit_stack": LIMITS,
    "limit_message_queues": LIMITS,
    "limit_real_time": LIMITS,
    "limit_nice": LIMITS,
    "bounding_set": {"process.capabilities"},
    "landlock": {"resource.new_file"},
    "system_call_filter": {"process.system_call_filter", "process.fork", "process.new_namespace",
                           "process.system_call"},
}
# Of the launcher, by the flag of clone(2). Without the others the jail cannot go on, and no worker runs.
NAMESPACES = {
    0x40000000: {"network.namespace"},
    0x08000000: {"cache.ipc_namespace"},
    0x20000000: {"process.pid_namespace"},
}
# Another step does the same: with both left out a probe fails, with one of them none may.
NOT_ALONE = {
    "private_mounts": "a user namespace makes them private",
    "bind_nosuid": "the launcher's mounts are nosuid",
    "bind_nodev": "the launcher's mounts are nodev",
    "ambient_set": "a new user namespace empties it",
    "clear_capabilities": "an execution without privileges of root empties them",
    "clear_groups": "a user namespace forbids groups",
    "take_gid": "the launcher has taken it",
    "take_uid": "the launcher has taken it",
}
# Nobody but the program itself could tell, by calls that the filter forbids.
NOT_SEEN = {"host_name", "securebits"}
# Without it the filters cannot be installed: no worker runs.
NOT_STARTED = {"no_new_privileges"}


def jail_steps():
    """Names in the order of their bits."""
    text = (ROOT / "tests/isolation/mutant_jail/steps.h").read_text()
    body = re.search(r"enum class JailStep : std::uint32_t \{(.*?)\}", text, re.DOTALL).group(1)
    return [name.strip() for name in body.split(",") if name.strip() and name.strip() != "count"]


def offer_priorities():
    """What a worker would inherit without its own limits; more than nothing where the host lets us."""
    resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))
    with contextlib.suppress(ValueError):
        for limit in (resource.RLIMIT_RTPRIO, resource.RLIMIT_NICE):
            resource.setrlimit(limit, (10, 10))


def may_offer_priorities():
    code = "import resource; resource.setrlimit(resource.RLIMIT_RTPRIO, (10, 10))"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@unittest.skipUnless(IS_ROOT, "only root can give tenants uids of their own")
class Mutations(DaemonTest):
    def mutant_daemon(self):
        if not (build_directory() / MUTANT).exists():
            self.skipTest("the mutant jail is not built: it cannot be linked with a sanitizer's runtime")
        folder = tempfile.TemporaryDirectory(prefix="tnd-mutant-")
        self.addCleanup(folder.cleanup)
        shutil.copytree(programs_directory(), folder.name, dirs_exist_ok=True)
        shutil.copymode(programs_directory(), folder.name)
        shutil.copy2(build_directory() / MUTANT, f"{folder.name}/tenantd-jail")
        return self.daemon(flags=["--libexec-dir", folder.name], preexec=offer_priorities)

    def failures(self, daemon, mask):
        tenant = f"mutant-{mask:x}"
        daemon.write_tenant(tenant)
        daemon.wait_state(tenant, "running")
        done = daemon.ctl("verify", tenant, check=False, as_json=True)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if report["failures"] else 0)
        evidence = {p["name"]: p["evidence"] for p in report["probes"] if p["outcome"] == "failed"}
        (daemon.tenants_dir / f"{tenant}.toml").unlink()
        return set(report["failures"]), evidence

    def test_every_step_is_in_a_table(self):
        tables = [set(EXPECTED), set(NOT_ALONE), NOT_SEEN, NOT_STARTED]
        self.assertEqual(set().union(*tables), set(jail_steps()))
        self.assertEqual(sum(map(len, tables)), len(jail_steps()))

    def test_exactly_the_right_probes_fail(self):
        daemon = self.mutant_daemon()
        daemon.start()
        self.assertEqual(self.failures(daemon, 0)[0], set())
        steps = jail_steps()
        inherited = set() if may_offer_priorities() else {"limit_real_time", "limit_nice"}
        for step, expected in EXPECTED.items():
            if step in inherited:  # nothing above the bound is there to be inherited
                expected = set()
            with self.subTest(step=step):
                found, evidence = self.failures(daemon, 1 << steps.index(step))
                self.assertEqual(found, expected, evidence)

    def test_what_another_step_does_too_fails_no_probe(self):
        daemon = self.mutant_daemon()
        daemon.start()
        steps = jail_steps()
        for step in [*NOT_ALONE, *NOT_SEEN]:
            with self.subTest(step=step):
                found, evidence = self.failures(daemon, 1 << steps.index(step))
                self.assertEqual(found, set(), evidence)

    def namespaceless_daemon(self, flag):
        library = build_directory() / "tests/isolation/mutant_launcher/mutant_launcher.so"
        if not library.exists():
            self.skipTest("nothing can be preloaded into a sanitizer's program")
        daemon = self.mutant_daemon()
        command = daemon.command
        daemon.command = lambda: ["env", f"LD_PRELOAD={library}", f"TENANTD_MUTANT_LAUNCHER={flag:x}", *command()]
        daemon.start()
        return daemon

    def test_a_namespace_that_the_launcher_left_out_fails_its_probe(self):
        for flag, expected in NAMESPACES.items():
            with self.subTest(flag=hex(flag)):
                found, evidence = self.failures(self.namespaceless_daemon(flag), 0)
                self.assertEqual(found, expected, evidence)

    def test_a_network_is_reached_once_nothing_is_before_it(self):
        daemon = self.namespaceless_daemon(0x40000000)
        steps = jail_steps()
        mask = sum(1 << steps.index(step) for step in ("landlock", "system_call_filter"))
        found, evidence = self.failures(daemon, mask)
        self.assertEqual({name for name in found if name.startswith("network.")},
                         {"network.namespace", "network.tcp", "network.udp", "network.abstract_socket"})
        self.assertEqual(found - {name for name in found if name.startswith("network.")},
                         EXPECTED["landlock"] | EXPECTED["system_call_filter"], evidence)

    def test_a_protection_that_others_stand_behind_is_missed_with_them_together(self):
        daemon = self.mutant_daemon()
        daemon.start()
        steps = jail_steps()
        mask = sum(1 << steps.index(step) for step in ("landlock", "system_call_filter"))
        self.assertEqual(self.failures(daemon, mask)[0],
                         EXPECTED["landlock"] | EXPECTED["system_call_filter"])


if __name__ == "__main__":
    unittest.main()
