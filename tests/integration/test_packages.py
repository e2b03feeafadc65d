"""The Debian packages: what is in them, and that what they install runs from there against a real tenantd."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import ROOT, SAMPLE_ROUTES, DaemonTest, build_directory

NAMES = {"tenantd", "libtenantd0", "libtenantd-dev", "python3-tenantd"}
ASK = """
import sys, tenantd
from tenantd import Router, TenantContext
tenantd.configure(socket_path=sys.argv[1])
with TenantContext("acme"):
    print(Router().route("where is my invoice").route)
print(tenantd.__file__)
print(next(line.split()[-1] for line in open("/proc/self/maps") if "libtenantd.so" in line))
"""


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, stdout=subprocess.PIPE,
                          **options).stdout


@unittest.skipUnless(shutil.which("dpkg-deb") and shutil.which("dpkg-shlibdeps"), "needs dpkg-dev")
class Packages(DaemonTest):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix="tnd-packages-"))
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        run(ROOT / "scripts/package", "--no-build", "--build-dir", build_directory(), "--out", cls.base / "debs")
        cls.debs = {path.name.split("_")[0]: path for path in (cls.base / "debs").glob("*.deb")}
        cls.root = cls.base / "root"
        for deb in cls.debs.values():
            run("dpkg-deb", "-x", deb, cls.root)

    def field(self, name, field):
        return run("dpkg-deb", "-f", self.debs[name], field).strip()

    def test_four_packages_that_depend_on_each_other_and_share_no_file(self):
        self.assertEqual(set(self.debs), NAMES)
        seen = {}
        for name, deb in self.debs.items():
            self.assertRegex(self.field(name, "Version"), r"^\d+\.\d+\.\d+$")
            for line in run("dpkg-deb", "-c", deb).splitlines():
                mode, owner, _, _, _, path, *_ = line.split()
                self.assertEqual(owner, "root/root", line)
                if mode[0] != "l":
                    self.assertNotIn("w", mode[5:6] + mode[8:9], line)  # nobody else writes what root runs
                if mode[0] != "d":
                    self.assertNotIn(path, seen, (name, seen.get(path)))
                    seen[path] = name
        self.assertEqual(seen["./usr/sbin/tenantd"], "tenantd")
        self.assertIn("libtenantd0 (>=", self.field("python3-tenantd", "Depends"))
        self.assertEqual(self.field("python3-tenantd", "Architecture"), "all")
        self.assertIn("libuv1", self.field("tenantd", "Depends"))
        control = self.base / "control"
        run("dpkg-deb", "-e", self.debs["tenantd"], control)
        self.assertEqual((control / "conffiles").read_text(), "/etc/tenantd/tenantd.toml\n")
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", control / script)

    def test_the_same_installation_gives_the_same_bytes(self):
        run(ROOT / "scripts/package", "--no-build", "--build-dir", build_directory(), "--out", self.base / "again")
        for deb in self.debs.values():
            self.assertEqual(deb.read_bytes(), (self.base / "again" / deb.name).read_bytes(), deb.name)

    def test_python_from_its_package_routes(self):
        library = next(self.root.glob("usr/lib/*/libtenantd.so.0")).parent
        environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(library),
                       "PYTHONPATH": str(self.root / "usr/lib/python3/dist-packages")}
        probe = subprocess.run([sys.executable, "-B", "-c", "import tenantd"], env=environment, cwd="/",
                               capture_output=True, text=True, check=False)
        if "Sanitizer" in probe.stderr:
            self.skipTest("a sanitizer's library cannot be loaded into an uninstrumented Python")
        self.assertEqual(probe.returncode, 0, probe.stderr)
        daemon = self.daemon()
        daemon.write_tenant("acme")
        daemon.start()
        daemon.wait_state("acme", "running")
        daemon.add_routes("acme", SAMPLE_ROUTES)
        route, module, mapped = run(sys.executable, "-B", "-c", ASK, daemon.socket_path, env=environment,
                                    cwd="/").split()
        self.assertEqual(route, "billing")
        self.assertTrue(module.startswith(str(self.root)), module)
        self.assertTrue(mapped.startswith(str(self.root)), mapped)

    def test_the_programs_of_the_package_check_the_shipped_configuration(self):
        checked = run(self.root / "usr/sbin/tenantd", "--check-config", "--config",
                      self.root / "etc/tenantd/tenantd.toml", "--tenants-dir", self.base,
                      stderr=subprocess.STDOUT)
        self.assertNotIn("error", checked.lower())
        self.assertIn("tenant", run(self.root / "usr/bin/tenantctl", "--help"))


if __name__ == "__main__":
    unittest.main()
