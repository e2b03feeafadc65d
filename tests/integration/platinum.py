"""A daemon that offers storage roots, programs and hooks, for tests of platinum tenants."""

import contextlib
import os
import subprocess

from harness import DaemonTest, build_directory, programs_directory, tenant_toml

HOSTILE = "tests/isolation/hostile/hostile_worker"


def platinum_toml(tenant, physical="", **options):
    """Of a tenant that asks for no CPUs, memory or network of its own."""
    text = tenant_toml(tenant, extra=f'[physical]\ncpus = 0\nguaranteed_memory = "0M"\n{physical}', **options)
    return text.replace('plan = "premium"', 'plan = "platinum"')


class PlatinumTest(DaemonTest):
    def offering(self, physical="", config=""):
        """A daemon, not started, with the roots `fast` (another file system) and `slow`."""
        daemon = self.daemon(config=config)
        daemon.roots = {name: daemon.base / name for name in ("fast", "slow")}
        for root in daemon.roots.values():
            root.mkdir(mode=0o711)
            os.chmod(root, 0o711)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0711,size=16m", "tnd-test",
                                  str(daemon.roots["fast"])], check=False, capture_output=True)
        daemon.fast_is_a_disk = mounted.returncode == 0
        self.addCleanup(self.unmount, daemon)
        programs = {"example": programs_directory() / "tenantd-worker-example"}
        if (build_directory() / HOSTILE).exists():
            # By a name that the harness knows as a worker's.
            programs["hostile"] = daemon.base / "tenantd-worker-hostile"
            programs["hostile"].write_bytes((build_directory() / HOSTILE).read_bytes())
            programs["hostile"].chmod(0o755)
        daemon.programs = programs
        daemon.config_file.write_text(
            daemon.config_file.read_text() + "\n[physical]\n" + physical
            + "\n[physical.storage_roots]\n" + named(daemon.roots)
            + "\n[physical.programs]\n" + named(programs))
        return daemon

    @staticmethod
    def unmount(daemon):
        """Cleanups run last first: before the daemon is closed, so its workers end here."""
        with contextlib.suppress(AssertionError):
            daemon.stop()
        subprocess.run(["umount", "--lazy", str(daemon.roots["fast"])], check=False, capture_output=True)


def named(paths):
    return "".join(f'{name} = "{path}"\n' for name, path in paths.items())


def add_hook(daemon, name, script):
    """A program of the host's owner, and its line for [physical.hooks]."""
    path = daemon.config_dir / name
    path.write_text(f"#!/bin/sh\n{script}")
    os.chmod(path, 0o755)
    return f'{name} = "{path}"\n'


def offer_hooks(daemon, **scripts):
    lines = "".join(add_hook(daemon, name, script) for name, script in scripts.items())
    daemon.config_file.write_text(daemon.config_file.read_text() + "\n[physical.hooks]\n" + lines)
