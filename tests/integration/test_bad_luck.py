"""Unlucky administrators: odd files, a full disk, second instances, stopped and killed processes."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import unittest

from harness import IS_ROOT, RawClient, SAMPLE_ROUTES, hello, programs_directory, wait_until
from hostile import text, Hostile, WELCOME, CHOOSE, READY, PING, PONG


class Administrators(Hostile):
    """Bad luck."""

    def test_a_second_instance_is_refused_and_disturbs_nothing(self):
        first = self.two_tenants()
        before = {name: info["pid"] for name, info in first.tenants().items()}
        config = first.config_file.read_text()
        for name in ("run directory", "state directory", "control group"):
            with self.subTest(name=name):
                if name == "control group" and not IS_ROOT:
                    continue
                second = self.daemon()
                if name == "run directory":
                    second.run_dir = first.run_dir
                elif name == "state directory":
                    second.state_dir = first.state_dir
                else:
                    second.config_file.write_text(config)
                with self.assertRaisesRegex(AssertionError, "another tenantd uses"):
                    second.start()
                self.assertEqual(second.process.returncode, 4)
                second.run_dir, second.state_dir = second.base / "run", second.base / "state"
        self.assertEqual({name: info["pid"] for name, info in first.tenants().items()}, before)
        self.assert_unharmed(first)
        pid = first.process.pid
        first.kill()
        first.start()  # the dead hold no lock
        self.assertNotEqual(first.process.pid, pid)
        self.assert_unharmed(first)

    def test_a_tenant_file_becomes_something_else(self):
        daemon = self.two_tenants()
        path = daemon.tenants_dir / "acme.toml"
        pid = daemon.tenant("acme")["pid"]
        content = path.read_text()

        def directory(place):
            place.mkdir()

        def fifo(place):
            os.mkfifo(place, 0o644)

        def device(place):
            os.mknod(place, 0o644 | 0o020000, os.makedev(1, 5))  # endless zeros

        def large(place):
            with open(place, "wb") as file:
                file.truncate(300 << 20)
            place.chmod(0o644)

        def dotted(place):
            place.write_text("plan = 'premium'\n" + ".".join(["a"] * 60000) + " = 1\n")

        def keys(place):
            place.write_text("plan = 'premium'\n" + "".join(f"a{i:x}=1\n" for i in range(25000)))

        def bytes_(place):
            place.write_bytes(b'plan = "premium"\nname = "\xff\xfe\x00"\n')

        def broken(place):
            place.symlink_to("/nonexistent")
        for make in (directory, fifo, device, large, dotted, keys, bytes_, broken):
            if make is device and not IS_ROOT:
                continue
            with self.subTest(name=make.__name__):
                fresh = daemon.tenants_dir / ".fresh"
                make(fresh)
                if make is directory:
                    path.unlink()
                os.rename(fresh, path)
                info = wait_until(lambda: (i := daemon.tenant("acme")).get("config_error") and i,
                                  "the error in the status")
                self.assertEqual((info["state"], info["pid"]), ("running", pid))
                self.assert_unharmed(daemon)
                if make is directory:
                    path.rmdir()
                daemon.write_tenant("acme", content)
                wait_until(lambda: not daemon.tenant("acme").get("config_error"), "the error to go")
        daemon.ctl("query", "acme", "x")

    def test_a_directory_in_a_files_place_is_removed_like_a_file(self):
        daemon = self.two_tenants()
        path = daemon.tenants_dir / "acme.toml"
        path.unlink()
        path.mkdir()
        wait_until(lambda: daemon.tenant("acme").get("config_error"), "the error in the status")
        path.rmdir()
        wait_until(lambda: "acme" not in daemon.tenants(), "the tenant's end")
        self.assert_unharmed(daemon)

    def test_control_killed_while_asked(self):
        daemon = self.two_tenants(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "50ms"\n')
        outcomes = set()
        for _ in range(5):
            asking = [subprocess.Popen([str(programs_directory() / "tenantctl"), "--socket",
                                        daemon.socket_path, "--timeout", "10s", "status"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                      for _ in range(4)]
            for pid in self.controls(daemon):
                os.kill(pid, signal.SIGKILL)
            for one in asking:
                _, errors = one.communicate(timeout=20)
                outcomes.add(one.returncode)
                self.assertIn(one.returncode, (0, 5), errors)
            wait_until(daemon.tenants, "administration's return")
        self.assertIn(0, outcomes)
        self.assert_unharmed(daemon)

    def controls(self, daemon):
        path = pathlib.Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()
                if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("tenantd-control"[:15])]

    def test_stopped_and_continued_supervisor(self):
        daemon = self.two_tenants()
        with RawClient(daemon.socket_path) as client:
            client.send(hello(tenant=b"globex"))
            self.assertEqual(client.receive_frame()[0], WELCOME)
            client.send_frame(CHOOSE, b"\0")
            self.assertEqual(client.receive_frame()[0], READY)
            os.kill(daemon.process.pid, signal.SIGSTOP)
            client.send_frame(PING, request_id=1)
            self.assertEqual(client.receive_frame()[:2], (PONG, 1))
            late = RawClient(daemon.socket_path)
            late.send(hello())
            daemon.write_tenant("acme", threshold=0.9)
            os.kill(daemon.process.pid, signal.SIGCONT)
            self.assertEqual(late.receive_frame()[0], WELCOME)
            late.close()
        self.assert_unharmed(daemon)

    @unittest.skipUnless(IS_ROOT, "needs root to mount")
    def test_a_full_state_directory(self):
        daemon = self.daemon(config='[restart]\nbackoff_min = "10ms"\nbackoff_max = "20ms"\n')
        daemon.state_dir.mkdir()
        state = str(daemon.state_dir).encode()
        libc = ctypes.CDLL(None, use_errno=True)

        def private_tmpfs():
            ok = libc.unshare(0x20000) == 0 and libc.mount(None, b"/", None, 0x44000, None) == 0
            if not ok or libc.mount(b"tmpfs", state, b"tmpfs", 0, b"size=8m,mode=711") != 0:
                os._exit(99)
        daemon.preexec = private_tmpfs
        for tenant in ("acme", "globex"):
            daemon.write_tenant(tenant)
        daemon.start()
        for tenant in ("acme", "globex"):
            daemon.wait_state(tenant, "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        filler = pathlib.Path(f"/proc/{daemon.process.pid}/root{daemon.state_dir}/filler")
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        edit = ("routes", "add", "globex", "more", *["--utterance", "x" * 16000] * 4)
        refused = daemon.ctl(*edit, check=False)
        self.assertEqual(refused.returncode, 5, refused.stderr)
        daemon.write_tenant("late")
        wait_until(lambda: daemon.tenant("late").get("state") in ("backoff", "quarantined", "refused", "running"),
                   "the late tenant")
        self.assert_unharmed(daemon)
        daemon.ctl("status")
        filler.unlink()
        daemon.ctl("tenant", "restart", "late")
        daemon.wait_state("late", "running")
        wait_until(lambda: daemon.ctl(*edit, check=False).returncode == 0, "edits to be taken again")
        self.assert_unharmed(daemon)

    def test_few_descriptors(self):
        import resource
        limit = 80
        daemon = self.daemon(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        daemon.write_tenant("globex")
        daemon.start()
        daemon.wait_state("globex", "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        pid = daemon.tenant("globex")["pid"]
        held = []
        try:
            for _ in range(200):
                client = RawClient(daemon.socket_path)
                held.append(client)
            self.assert_idle(daemon.process.pid)
            daemon.write_tenant("acme")
        finally:
            for client in held:
                client.close()
        wait_until(lambda: daemon.tenant("acme").get("state") in ("running", "backoff", "quarantined"),
                   "the new tenant")
        daemon.ctl("tenant", "restart", "acme")
        daemon.wait_state("acme", "running")
        self.assertEqual(daemon.tenant("globex")["pid"], pid)
        self.assert_unharmed(daemon)


if __name__ == "__main__":
    unittest.main()
