"""What the kernel says about a live worker, and what tenantd says where a layer is missing."""

import os
import pathlib
import re
import stat
import subprocess
import unittest

from harness import DaemonTest, IS_ROOT

UNPRIVILEGED = 65527


def status_fields(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@unittest.skipUnless(IS_ROOT, "reads other users' /proc")
class Posture(DaemonTest):
    def test_the_kernel_confirms_the_confinement(self):
        daemon = self.running_tenant()
        info = daemon.wait_state("acme", "running")
        pid = info["pid"]
        fields = status_fields(pid)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[kind], 16), 0, kind)
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"))
        self.assertGreaterEqual(int(fields["Seccomp_filters"]), 2)
        self.assertEqual(fields["NSpid"].split()[-1], "1")
        self.assertEqual(int(fields["Uid"].split()[0]), info["uid"])
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{kind}"), os.readlink(f"/proc/self/ns/{kind}"),
                                kind)
        entries = sorted(os.listdir(f"/proc/{pid}/root"))
        self.assertEqual(entries, ["data", "link", "tmp"])
        data = os.stat(daemon.state_dir / "tenants" / "acme")
        self.assertEqual((data.st_uid, stat.S_IMODE(data.st_mode)), (info["uid"], 0o700))
        # Made before the worker ran, and all that there can be.
        files = ["routes.db", "routes.db-journal", "routes.db-wal", "routes.db.lock",
                 "routes.image-0", "routes.image-1", "routes.index", "routes.vectors"]
        self.assertEqual(sorted(os.listdir(daemon.state_dir / "tenants" / "acme")), files)

    def test_posture_is_in_status_for_people_and_machines(self):
        daemon = self.running_tenant()
        report = daemon.ctl("status", "--posture", "acme", as_json=True)
        text = str(report)
        self.assertIn("seccomp", text)
        self.assertNotIn("'as_expected': False", text)
        self.assertIn("no_new_privs", daemon.ctl("status", "--posture", "acme").stdout)

    def test_quotas_are_in_the_kernel_and_gone_after_removal(self):
        daemon = self.running_tenant(resources='cpu = "30%"\npids_max = 21')
        info = daemon.wait_state("acme", "running")
        values = ""
        for line in pathlib.Path(f"/proc/{info['pid']}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for mount in (f"/sys/fs/cgroup/{controllers}", "/sys/fs/cgroup"):
                folder = pathlib.Path(mount + path)
                while folder.is_dir() and "tenants" in str(folder):
                    for name in ("cpu.cfs_quota_us", "cpu.max", "pids.max", "memory.max",
                                 "memory.limit_in_bytes"):
                        if (folder / name).exists():
                            values += f"{name}={(folder / name).read_text().strip()}\n"
                    folder = folder.parent
        self.assertRegex(values, r"cpu\.(cfs_quota_us|max)=(30000|30000 100000)\n")
        self.assertRegex(values, r"pids\.max=21\n")
        self.assertRegex(values, rf"memory\.(max|limit_in_bytes)={128 << 20}\n")


@unittest.skipUnless(IS_ROOT, "needs root to become somebody else and to take layers away")
class WeakHosts(DaemonTest):
    def start_unprivileged(self, flags=()):
        daemon = self.daemon(user=str(UNPRIVILEGED), flags=flags)
        for path in (daemon.base, daemon.config_dir, daemon.tenants_dir, daemon.config_file):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        path = daemon.write_tenant("acme")
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        return daemon

    def named_flag(self, daemon):
        daemon.start(wait=False)
        self.assertEqual(daemon.process.wait(20), 4, daemon.log())
        match = re.search(r"--tolerate-missing=[a-z_,]+", daemon.log())
        self.assertIsNotNone(match, daemon.log())
        return match.group(0)

    def test_an_unprivileged_start_names_each_missing_layer_and_the_flag_to_go_on(self):
        flag = self.named_flag(self.start_unprivileged())
        self.assertIn("own_uid", flag)
        daemon = self.start_unprivileged([flag])
        daemon.start()
        info = daemon.wait_state("acme", "running")
        self.assertTrue(info["shared_uid"])
        self.assertIn("own_uid", info["missing_confinement"])
        self.assertIn("seccomp", info["confinement"])
        daemon.add_routes("acme", {"r": ["hello there"]})
        daemon.ctl("query", "acme", "hello there")
        self.assertIn("own_uid", daemon.ctl("status").stdout)

    def test_a_host_without_cgroups_is_named_too(self):
        hidden = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                  'umount -R /sys/fs/cgroup 2>/dev/null; umount -R /sys/fs/cgroup 2>/dev/null; exec "$@"',
                  "sh"]
        daemon = self.daemon()
        daemon.write_tenant("acme")
        plain = daemon.command
        daemon.command = lambda: [*hidden, *plain()]
        flag = self.named_flag(daemon)
        for layer in ("cgroup_cpu", "cgroup_memory", "cgroup_pids"):
            self.assertIn(layer, flag)
        daemon.flags.append(flag)
        daemon.start()
        info = daemon.wait_state("acme", "running")
        self.assertIn("cgroup_memory", info["missing_confinement"])


class CheckConfig(DaemonTest):
    def test_check_config_validates_without_starting(self):
        daemon = self.daemon()
        daemon.write_tenant("acme")
        done = subprocess.run([*daemon.command(), "--check-config"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        daemon.write_tenant("bad", text='id = "bad"\nplan = "premium"\n[router]\ntreshold = 0.5\n')
        done = subprocess.run([*daemon.command(), "--check-config"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 6)
        self.assertRegex(done.stdout + done.stderr, r"bad\.toml:4:\d+: .*treshold")
        self.assertIn("threshold", done.stdout + done.stderr)
        self.assertFalse(daemon.run_dir.exists())


if __name__ == "__main__":
    unittest.main()
