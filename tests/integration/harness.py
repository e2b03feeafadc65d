"""A real tenantd on private directories, for integration tests.

Every Daemon has its own short-named directory under the system's temporary directory, so several run side by
side. Binaries come from TENANTD_BUILD (a meson build directory), copied into one folder as an
installation would have them. Waiting is always for a condition with a deadline, never for a time.
"""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {
    "tenantd": "supervisor/tenantd",
    "tenantd-jail": "supervisor/jail/tenantd-jail",
    "tenantd-worker": "worker/tenantd-worker",
    "tenantd-worker-example": "worker/example/tenantd-worker-example",
    "tenantd-control": "control/tenantd-control",
    "tenantd-encoder": "worker/encoder/compile/tenantd-encoder",
    "tenantd-probe": "supervisor/probe/tenantd-probe",
    "tenantd-network": "supervisor/network/tenantd-network",
    "tenantctl": "client/tenantctl/tenantctl",
}
HELLO_MAGIC = 0x68444E54
FRAME = struct.Struct("<IHHQQ")
IS_ROOT = os.geteuid() == 0
INSTANCES = itertools.count()
CGROUPS = pathlib.Path("/sys/fs/cgroup")
# Below it the tests may make groups, where systemd hands groups out (cgroup v2); empty: anywhere.
CGROUP_PARENT = os.environ.get("TENANTD_CGROUP_PARENT", "")


def build_directory():
    path = os.environ.get("TENANTD_BUILD")
    if not path:
        raise unittest.SkipTest("TENANTD_BUILD does not name a build directory")
    return pathlib.Path(path)


@functools.lru_cache(maxsize=None)
def programs_directory():
    """All programs in one world-readable folder; removed when the test process ends."""
    folder = tempfile.TemporaryDirectory(prefix="tnd-bin-")
    programs_directory.keep = folder
    os.chmod(folder.name, 0o755)
    for name, place in PROGRAMS.items():
        shutil.copy2(build_directory() / place, pathlib.Path(folder.name) / name)
    return pathlib.Path(folder.name)


def wait_until(condition, what, timeout_s=20.0, interval_s=0.01):
    """The first true value of condition(); fails the test with `what` at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(interval_s)


def process_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


TENANT_TEMPLATE = """\
id = "{id}"
name = "{id}"
plan = "premium"

[router]
dimension = {dimension}
encoder = "{encoder}"
threshold = {threshold}
fallback_route = "fallback"
{router}

[resources]
memory_max = "{memory_max}"
{resources}

[access]
{access}
{extra}
"""


def tenant_toml(tenant, dimension=64, encoder="hash", threshold=0.0, router="", resources="",
                access="", extra="", memory_max="128M"):
    return TENANT_TEMPLATE.format(id=tenant, dimension=dimension, encoder=encoder,
                                  threshold=threshold, router=router, resources=resources,
                                  access=access, extra=extra, memory_max=memory_max)


class Daemon:
    """One instance: directories, process, and its tenantctl."""

    def __init__(self, config="", flags=(), preexec=None, user=None):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="tnd-"))
        os.chmod(self.base, 0o755)
        self.config_dir = self.base / "etc"
        self.tenants_dir = self.config_dir / "tenants"
        self.state_dir = self.base / "state"
        self.run_dir = self.base / "run"
        self.tenants_dir.mkdir(parents=True)
        os.chmod(self.config_dir, 0o755)
        os.chmod(self.tenants_dir, 0o755)
        self.config_file = self.config_dir / "tenantd.toml"
        self.cgroup = f"tnd-{os.getpid()}-{next(INSTANCES)}"
        # Nobody shares a control group: another instance would take these workers for stale ones.
        # Nor does a verification of a new tenant run beside a test that is not about it.
        verify = "" if "[verify]" in config else "[verify]\non_start = false\n"
        self.config_file.write_text(f'{config}\n{verify}[cgroup]\nname = "{self.cgroup}"\n{self.delegated_root()}')
        os.chmod(self.config_file, 0o644)
        self.flags = list(flags)
        self.process = None
        self.log_path = self.base / "tenantd.log"
        self.user = user
        self.preexec = preexec
        self.known_workers = set()

    @property
    def socket_path(self):
        return str(self.run_dir / "tenantd.sock")

    def command(self):
        argv = [str(programs_directory() / "tenantd"), "--config", str(self.config_file),
                "--tenants-dir", str(self.tenants_dir), "--state-dir", str(self.state_dir),
                "--run-dir", str(self.run_dir), *self.flags]
        if self.user is not None:
            argv = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--",
                    *argv]
        return argv

    def start(self, wait=True, timeout_s=30.0):
        """Starts tenantd and waits for its READY=1 on a notify socket."""
        notify_path = str(self.base / "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify_path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(notify_path)
            os.chmod(notify_path, 0o666)
            environment = dict(os.environ, NOTIFY_SOCKET=notify_path)
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, env=environment,
                                                preexec_fn=self.preexec, start_new_session=True)
            if not wait:
                return self
            notify.settimeout(0.05)
            deadline = time.monotonic() + timeout_s
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in notify.recv(4096):
                        return self
                if self.process.poll() is not None:
                    raise AssertionError(
                        f"tenantd exited with {self.process.returncode}:\n{self.log()}")
        raise AssertionError(f"tenantd did not become ready:\n{self.log()}")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ctl(self, *arguments, check=True, stdin=None, timeout_s=60, as_json=False):
        argv = [str(programs_directory() / "tenantctl"), "--socket", self.socket_path]
        if as_json:
            argv.append("--json")
        done = subprocess.run([*argv, *arguments], capture_output=True, text=True, input=stdin,
                              timeout=timeout_s, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"tenantctl {' '.join(arguments)}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}\n--- log\n{self.log()[-4000:]}")
        return json.loads(done.stdout) if as_json and check else done

    def tenants(self):
        """id → TenantInfo, or {} while control cannot answer."""
        done = self.ctl("tenant", "list", check=False, as_json=True)
        if done.returncode != 0:
            return {}
        tenants = {t["id"]: t for t in json.loads(done.stdout)["tenants"]}
        self.known_workers.update(t["pid"] for t in tenants.values() if t["pid"])
        return tenants

    def tenant(self, name):
        return self.tenants().get(name, {})

    def wait_state(self, tenant, *states, timeout_s=20.0):
        def reached():
            info = self.tenant(tenant)
            return info if info.get("state") in states else None
        try:
            return wait_until(reached, f"{tenant} in {states}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; now {self.tenant(tenant)}\n{self.log()[-4000:]}") from None

    def write_tenant(self, tenant, text=None, **options):
        """Replaces the file by rename, as a careful administrator does."""
        path = self.tenants_dir / f"{tenant}.toml"
        fresh = self.tenants_dir / f".{tenant}.fresh"
        fresh.write_text(text if text is not None else tenant_toml(tenant, **options))
        os.chmod(fresh, 0o644)
        os.rename(fresh, path)
        return path

    def add_routes(self, tenant, routes):
        lines = "".join(json.dumps({"id": route, "utterances": utterances}) + "\n"
                        for route, utterances in routes.items())
        self.ctl("routes", "import", tenant, "-", stdin=lines)

    def kill(self):
        """kill -9 of the supervisor alone; its workers stay."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s=30.0):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"tenantd did not stop:\n{self.log()[-4000:]}") from None
        return self.process.returncode if self.process else None

    def worker_pids(self):
        """Every live process whose record this instance wrote."""
        pids = []
        for record in self.run_dir.glob("workers/*.record"):
            for word in record.read_text(errors="replace").replace("=", " ").split():
                if word.isdigit() and process_alive(int(word)) and is_worker(int(word)):
                    pids.append(int(word))
        return pids

    def close(self):
        """Stops everything and removes the directory; leftover workers fail the test."""
        try:
            self.stop()
        finally:
            leftovers = [pid for pid in {*self.worker_pids(), *self.known_workers}
                         if process_alive(pid) and is_worker(pid)]
            for pid in leftovers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.base, ignore_errors=True)
            groups = self.control_groups()
            for group in groups:
                with contextlib.suppress(OSError):
                    group.rmdir()
            self.give_back_root()
        if leftovers:
            raise AssertionError(f"left behind: {leftovers}")
        if groups and self.process is not None and self.process.returncode != -signal.SIGKILL:
            raise AssertionError(f"control groups left behind: {groups}")

    def delegated_root(self):
        """On a host of cgroup v2 alone: a group of its own below the one that was delegated to the tests."""
        if not CGROUP_PARENT:
            return ""
        root = CGROUPS / CGROUP_PARENT / self.cgroup
        root.mkdir()
        return f'root = "{root}"\n'

    def give_back_root(self):
        if CGROUP_PARENT:
            (CGROUPS / CGROUP_PARENT / self.cgroup).rmdir()

    def control_groups(self):
        """This instance's control groups, children first. Only a killed supervisor may leave any."""
        found = []
        for hierarchy in [CGROUPS / CGROUP_PARENT] if CGROUP_PARENT else CGROUPS.glob("*/"):
            for folder, _, _ in os.walk(hierarchy / self.cgroup, topdown=False):
                found.append(pathlib.Path(folder))
        return found[:-1] if CGROUP_PARENT else found  # the last is ours


def is_worker(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip().startswith("tenantd-worker"[:15])
    except (FileNotFoundError, ProcessLookupError):
        return False


class DaemonTest(unittest.TestCase):
    """A test case that owns daemons; closed even when the test fails."""

    def daemon(self, **options):
        daemon = Daemon(**options)
        self.addCleanup(daemon.close)
        return daemon

    def running_tenant(self, tenant="acme", routes=None, **options):
        """A daemon with one running tenant and a few routes."""
        daemon = self.daemon()
        daemon.write_tenant(tenant, **options)
        daemon.start()
        daemon.wait_state(tenant, "running")
        daemon.add_routes(tenant, routes or SAMPLE_ROUTES)
        return daemon


SAMPLE_ROUTES = {
    "billing": ["where is my invoice", "I was charged twice", "refund my payment"],
    "shipping": ["where is my parcel", "the delivery is late", "track my package"],
    "account": ["I forgot my password", "change my email address", "close my account"],
}


def hello(tenant=b"acme", target=1, token=b"", magic=HELLO_MAGIC, size=256, versions=(1, 1),
          credential=None, tail=b""):
    """The 256 bytes of a hello, valid unless told otherwise."""
    kind = (1 if token else 0) if credential is None else credential
    head = struct.pack("<IHHHHHH64s64s", magic, size, target, *versions, kind, len(token),
                       tenant, token)
    return (head + tail).ljust(256, b"\0")


class RawClient:
    """Bytes on the socket, for tests of what a well-behaved library would never send."""

    def __init__(self, path, timeout_s=10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path)

    def send(self, data):
        self.socket.sendall(data)

    def send_frame(self, message_type, payload=b"", request_id=0, deadline_ns=0, flags=0):
        self.send(FRAME.pack(len(payload), message_type, flags, request_id, deadline_ns) + payload)

    def receive_exactly(self, size):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                return None
            data += chunk
        return data

    def receive_frame(self):
        """(type, request_id, payload), or None at EOF."""
        try:
            head = self.receive_exactly(FRAME.size)
            if head is None:
                return None
            size, message_type, _flags, request_id, _deadline = FRAME.unpack(head)
            return message_type, request_id, self.receive_exactly(size)
        except ConnectionResetError:
            return None

    def at_eof(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def error_code(payload):
    return struct.unpack_from("<H", payload)[0]
