"""What the tests in the virtual machine share: places, commands, waiting."""

import contextlib
import json
import pathlib
import subprocess
import time

BUILD = pathlib.Path("/opt/tenantd/build")
SOURCE = pathlib.Path("/opt/tenantd/source")
DEBS = pathlib.Path("/opt/tenantd/debs")
STAGE = pathlib.Path("/opt/tenantd/stage")
CGROUPS = pathlib.Path("/sys/fs/cgroup")
LIMIT_FILES = ("cpu.max", "cpu.weight", "memory.max", "memory.high", "pids.max", "memory.oom.group")


def run(*command, check=True, stdin=None, timeout_s=60):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, input=stdin,
                          timeout=timeout_s, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def install():
    """The staged installation, at its places; once a boot."""
    if not pathlib.Path("/usr/sbin/tenantd").exists():
        run("cp", "-a", f"{STAGE}/.", "/")
        run("systemd-sysusers")
        run("systemd-tmpfiles", "--create")
        run("systemctl", "daemon-reload")


def wait_until(condition, what, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)


def status(*flags):
    """What tenantctl status says, or nothing while nobody answers."""
    done = run("tenantctl", *flags, "--json", "status", check=False)
    with contextlib.suppress(ValueError):
        return json.loads(done.stdout) if done.returncode == 0 else {}
    return {}


def workers(*flags):
    """tenant → (pid, generation) of the running ones."""
    return {t["id"]: (t["pid"], t["generation"]) for t in status(*flags).get("tenants", [])
            if t["state"] == "running"}


def processes_of_ours():
    names = []
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            name = comm.read_text().strip()
        except OSError:
            continue
        if name.startswith("tenantd"):
            names.append(name)
    return names


def limits(root, tenant):
    return {name: (root / "tenants" / tenant / name).read_text().strip() for name in LIMIT_FILES}


class LoadClient:
    """Routes one sentence over and over; what became of its calls is the result of finish()."""

    def __init__(self, tenant, transport):
        self.process = subprocess.Popen(
            [BUILD / "tests/integration/load_client", "/run/tenantd/tenantd.sock", tenant, transport, "hello there"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "started":
            raise AssertionError(f"the client did not start: {self.process.communicate()[1]}")

    def finish(self):
        output, errors = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            raise AssertionError(f"the client ended with {self.process.returncode}: {errors}")
        return json.loads(output)
