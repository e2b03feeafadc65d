"""The network of a platinum tenant: what its worker can reach, and that nobody else is reached.

In the host's own network namespace, with documentation addresses that nothing else uses. A wall is shown twice: it
stops the worker, and where it is taken away the same attempt succeeds.
"""

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import unittest

from harness import IS_ROOT, DaemonTest, build_directory, programs_directory, wait_until
from networks import CONNECT, NFT, Host, connect_from, inside, links

ACME, GLOBEX, SIX = "198.51.100.2", "198.51.100.6", "2001:db8:77::2"
ELSEWHERE = "203.0.113.77"  # another address of the host
CONFIG = """\
drain_timeout = "500ms"
[restart]
backoff_min = "50ms"
backoff_max = "100ms"
crash_loop_count = 4
crash_loop_window = "60s"
[worker]
program = "{program}"
[physical]
cpus = ""
programs = {{ own = "{program}" }}
interfaces = ["tndtest0"]
networks = ["198.51.100.0/24", "2001:db8:77::/48"]
"""


@unittest.skipUnless(IS_ROOT, "needs root: a tenant gets an interface")
class PlatinumNetwork(DaemonTest):
    def setUp(self):
        # Connections that a killed worker had open hold its namespace until TCP has given them up.
        wait_until(lambda: not links(), "no link of another test", 150)
        worker = build_directory() / "tests/integration/network_worker"
        if not worker.exists():
            self.skipTest("network_worker is static: not in a sanitizer's build")
        self.program = programs_directory() / "tenantd-worker-network"
        if not self.program.exists():
            shutil.copy2(worker, self.program)
        self.host = Host()
        self.addCleanup(self.host.close)

    def start(self, flags=(), **tenants):
        daemon = self.daemon(config=CONFIG.format(program=self.program), flags=flags)
        for tenant, text in tenants.items():
            self.write(daemon, tenant, text)
        daemon.start()
        return daemon

    @staticmethod
    def write(daemon, tenant, text):
        daemon.write_tenant(tenant, "plan = \"platinum\"\n[resources]\nmemory_max = \"32M\"\n"
                            "[physical]\ncpus = 0\nguaranteed_memory = \"0M\"\nprogram = \"own\"\n" + text)

    @staticmethod
    def veth(address, gateway, *egress, prefix=30):
        rules = ", ".join(f'"{rule}"' for rule in egress)
        return (f'network = "veth"\naddress = "{address}/{prefix}"\ngateway = "{gateway}"\n'
                f"egress = [{rules}]\n")

    def running(self, daemon, tenant):
        """The worker, with pipes to ask it through."""
        info = daemon.wait_state(tenant, "running")
        folder = daemon.state_dir / "tenants" / tenant
        for name in ("ask", "answer"):
            if not (folder / name).exists():
                os.mkfifo(folder / name)
                os.chown(folder / name, folder.stat().st_uid, -1)
        if not getattr(self, f"asked_{tenant}", False):
            setattr(self, f"asked_{tenant}", True)
            daemon.ctl("tenant", "restart", tenant)  # it opens them at its start
            wait_until(lambda: daemon.tenant(tenant).get("pid") not in (0, info["pid"]), "a new worker")
            info = daemon.wait_state(tenant, "running")
        return info["pid"]

    @staticmethod
    def ask(daemon, tenant, line):
        """"ok", the name of an errno, or "died"."""
        folder = daemon.state_dir / "tenants" / tenant
        pid = daemon.tenant(tenant)["pid"]
        ask = os.open(folder / "ask", os.O_RDWR)
        answer = os.open(folder / "answer", os.O_RDWR | os.O_NONBLOCK)
        try:
            with contextlib.suppress(BlockingIOError):
                os.read(answer, 4096)
            os.write(ask, line.encode() + b"\n")

            def outcome():
                with contextlib.suppress(BlockingIOError):
                    word = os.read(answer, 64).decode().strip()
                    return word if word == "ok" else errno.errorcode[int(word)]
                return None if pathlib.Path(f"/proc/{pid}/ns").exists() else "died"
            return wait_until(outcome, f"an answer to {line}", 10)
        finally:
            os.close(ask)
            os.close(answer)

    def add_address(self, address):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
        self.addCleanup(subprocess.run, ["ip", "address", "del", f"{address}/32", "dev", "lo"], check=False)

    def test_only_the_list_is_reached_and_only_by_tcp_and_udp(self):
        daemon = self.start(acme=self.veth(ACME, "198.51.100.1", "tcp 198.51.100.1:4430", "udp 198.51.100.1:5300",
                                           "tcp 198.51.100.1:4435"))
        pid = self.running(daemon, "acme")
        self.add_address(ELSEWHERE)
        for port in (4430, 4431, 5300):
            self.host.listen(socket.SOCK_STREAM, "198.51.100.1", port)
        for port in (5300, 5301, 4430):
            self.host.listen(socket.SOCK_DGRAM, "198.51.100.1", port)
        self.host.listen(socket.SOCK_STREAM, ELSEWHERE, 4430)
        self.host.listen(socket.SOCK_DGRAM, ELSEWHERE, 5300)
        self.host.listen(socket.SOCK_STREAM, "127.0.0.1", 4430)
        self.host.listen(socket.SOCK_DGRAM, "127.0.0.1", 5300)

        self.assertEqual(self.ask(daemon, "acme", "tcp 198.51.100.1 4430"), "ok")
        self.assertEqual(self.ask(daemon, "acme", "udp 198.51.100.1 5300"), "ok")
        # Nobody listens there: the answer that says so comes back too.
        self.assertEqual(self.ask(daemon, "acme", "tcp 198.51.100.1 4435"), "ECONNREFUSED")
        reached = list(self.host.seen)
        self.assertEqual(reached, [(("198.51.100.1", 4430), ACME), (("198.51.100.1", 5300), ACME)])

        # Another port: Landlock says it first where the kernel has its fourth version; the rules in any case.
        self.assertIn(self.ask(daemon, "acme", "tcp 198.51.100.1 4431"), ("EACCES", "ETIMEDOUT"))
        self.assertEqual(connect_from(pid, "198.51.100.1", 4431), "timeout")
        self.assertIn(self.ask(daemon, "acme", f"tcp {ELSEWHERE} 4430"), ("ETIMEDOUT",))
        self.assertIn(self.ask(daemon, "acme", "tcp 198.51.100.1 5300"), ("EACCES", "ETIMEDOUT"))
        for place in ("198.51.100.1 5301", "198.51.100.1 4430", f"{ELSEWHERE} 5300", "203.0.113.9 5300"):
            self.assertEqual(self.ask(daemon, "acme", f"udp {place}"), "EPERM", place)
        for place in ("127.0.0.1 5300", f"{ACME} 5300"):  # no loopback device is up
            self.assertIn(self.ask(daemon, "acme", f"udp {place}"), ("EPERM", "ENETUNREACH"), place)
        self.assertEqual(self.host.seen, reached)

        # Without the rules all that the host has is reached: it was they who stopped it.
        self.assertEqual(inside(pid, sys.executable, "-c", NFT, "delete table inet tenantd").returncode, 0)
        self.assertEqual(self.ask(daemon, "acme", f"tcp {ELSEWHERE} 4430"), "ok")
        self.assertEqual(self.ask(daemon, "acme", "udp 198.51.100.1 5301"), "ok")
        # And then Landlock still knows the ports, and the filter of system calls what a socket is.
        if self.landlock_abi(daemon) >= 4:
            self.assertEqual(self.ask(daemon, "acme", "tcp 198.51.100.1 4431"), "EACCES")
        self.assertEqual(connect_from(pid, "198.51.100.1", 4431), "ok")
        for attempt in ("socket 2 3 1", "socket 17 3 768", "socket 16 3 0", "socket 2 2 1", "socket 10 3 58",
                        "socket 2 1 132", f"bind {ACME} 8080"):
            self.assertEqual(self.ask(daemon, "acme", attempt), "died", attempt)
            daemon.ctl("tenant", "restart", "acme")
            daemon.wait_state("acme", "running")
        self.assertIn("signal 31", daemon.log())

    @staticmethod
    def landlock_abi(daemon):
        found = re.search(r"[Ll]andlock (?:ABI )?(\d+)", daemon.ctl("status").stdout)
        return int(found[1]) if found else 0

    def test_nobody_comes_in_and_tenants_do_not_meet(self):
        daemon = self.start(acme=self.veth(ACME, "198.51.100.1", f"tcp {GLOBEX}:4430"),
                            globex=self.veth(GLOBEX, "198.51.100.5"))
        acme = self.running(daemon, "acme")
        globex = self.running(daemon, "globex")
        pairs = links()
        self.assertEqual(len(pairs), 2)
        for name in pairs:  # the host's owner forwards between them
            pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("1")
        self.assertEqual(self.ask(daemon, "acme", f"tcp {GLOBEX} 4430"), "ETIMEDOUT")
        host = subprocess.run([sys.executable, "-c", CONNECT, ACME, "4430"], capture_output=True, text=True,
                              check=True).stdout.strip()
        self.assertEqual(host, "timeout")
        # Not by itself: with globex' wall gone, the same connection is answered (by nobody who listens).
        self.assertEqual(inside(globex, sys.executable, "-c", NFT, "delete table inet tenantd").returncode, 0)
        self.assertEqual(self.ask(daemon, "acme", f"tcp {GLOBEX} 4430"), "ECONNREFUSED")
        # Another's address as the source does not leave, not even by root's hand.
        self.assertEqual(connect_from(acme, GLOBEX, 4430), str(errno.ECONNREFUSED))
        inside(acme, "ip", "address", "add", "198.51.100.9/32", "dev", "net0")
        self.assertEqual(connect_from(acme, GLOBEX, 4430, source="198.51.100.9"), "timeout")

    def test_rules_are_out_of_the_workers_reach(self):
        daemon = self.start(acme=self.veth(ACME, "198.51.100.1", "tcp 198.51.100.1:4430"))
        pid = self.running(daemon, "acme")
        info = daemon.tenant("acme")
        rules = inside(pid, sys.executable, "-c", NFT, "list ruleset").stdout
        for line in ("type filter hook output priority filter; policy drop;",
                     "type filter hook input priority filter; policy drop;",
                     "type filter hook forward priority filter; policy drop;",
                     f"ip saddr != {ACME} drop", "ip daddr 198.51.100.1 tcp dport 4430 accept"):
            self.assertIn(line, rules)
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        for line in ("CapEff", "CapPrm", "CapBnd"):
            self.assertRegex(status, rf"{line}:\s+0000000000000000")
        uid = re.search(r"Uid:\s+(\d+)", status)[1]
        # The worker's uid in the worker's namespace, without the filter of system calls.
        tried = inside(pid, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable, "-c", NFT,
                       "delete table inet tenantd")
        self.assertNotEqual(tried.returncode, 0)
        self.assertEqual(inside(pid, sys.executable, "-c", NFT, "list ruleset").stdout, rules)
        self.assertEqual(self.ask(daemon, "acme", "socket 16 3 12"), "died")  # NETLINK_NETFILTER
        wait_until(lambda: daemon.tenant("acme").get("pid") not in (0, info["pid"]), "a new worker")
        # What is there is what was promised, and nothing that came by itself.
        inner = inside(daemon.wait_state("acme", "running")["pid"], "ip", "-o", "address").stdout
        self.assertEqual(re.findall(r"inet6? (\S+)", inner), [f"{ACME}/30"])

    def test_ipv6(self):
        daemon = self.start(six=self.veth(SIX, "2001:db8:77::1", "tcp [2001:db8:77::1]:4430",
                                          "udp [2001:db8:77::/64]:5300", prefix=64))
        pid = self.running(daemon, "six")
        for port in (4430, 4431):
            self.host.listen(socket.SOCK_STREAM, "2001:db8:77::1", port)
        for port in (5300, 5301):
            self.host.listen(socket.SOCK_DGRAM, "2001:db8:77::1", port)
        self.assertEqual(self.ask(daemon, "six", "tcp 2001:db8:77::1 4430"), "ok")
        self.assertEqual(self.ask(daemon, "six", "udp 2001:db8:77::1 5300"), "ok")
        self.assertIn(self.ask(daemon, "six", "tcp 2001:db8:77::1 4431"), ("EACCES", "ETIMEDOUT"))
        self.assertEqual(connect_from(pid, "2001:db8:77::1", 4431), "timeout")
        self.assertEqual(self.ask(daemon, "six", "udp 2001:db8:77::1 5301"), "EPERM")
        inner = inside(pid, "ip", "-o", "address").stdout
        self.assertEqual(re.findall(r"inet6? (\S+)", inner), [f"{SIX}/64"])

    def test_it_outlives_the_supervisor_and_goes_with_the_tenant(self):
        daemon = self.start(acme=self.veth(ACME, "198.51.100.1", "tcp 198.51.100.1:4430"))
        pid = self.running(daemon, "acme")
        self.host.listen(socket.SOCK_STREAM, "198.51.100.1", 4430)
        before = links()
        self.assertEqual(len(before), 1)
        self.assertEqual(self.ask(daemon, "acme", "tcp 198.51.100.1 4430"), "ok")
        daemon.kill()
        daemon.start()
        self.assertEqual(daemon.wait_state("acme", "running")["pid"], pid)
        self.assertEqual(links(), before)
        self.assertEqual(self.ask(daemon, "acme", "tcp 198.51.100.1 4430"), "ok")
        # What the survivor has is nobody else's, although the new supervisor did not give it.
        self.write(daemon, "globex", self.veth(ACME, "198.51.100.1"))
        reason = daemon.wait_state("globex", "refused")["reason"]
        self.assertIn(f"address {ACME} is tenant acme's", reason)
        # A new worker gets the same again.
        os.kill(pid, 9)
        wait_until(lambda: daemon.tenant("acme").get("pid") not in (0, pid), "a new worker")
        daemon.wait_state("acme", "running")
        self.assertEqual(self.ask(daemon, "acme", "tcp 198.51.100.1 4430"), "ok")
        (daemon.tenants_dir / "acme.toml").unlink()
        wait_until(lambda: not daemon.tenant("acme"), "acme is gone")
        wait_until(lambda: not links(), "its link is gone")
        daemon.ctl("tenant", "restart", "globex")
        daemon.wait_state("globex", "running")
        self.assertEqual(links() & before, set())  # a name of its own
        daemon.stop()
        wait_until(lambda: not links(), "no link outlives an orderly stop")

    def test_what_cannot_be_made_is_said(self):
        own = 'network = "interface"\ninterface = "tndtest0"\naddress = "198.51.100.10/30"\ngateway = "198.51.100.9"\n'
        daemon = self.start(acme=self.veth(ACME, "198.51.100.1"), globex=self.veth("198.51.100.3", "198.51.100.1", prefix=29),
                            initech=own)
        reason = daemon.wait_state("initech", "quarantined")["reason"]
        self.assertIn("network: interface tndtest0: No such device", reason)
        states = wait_until(lambda: sorted([daemon.tenant("acme"), daemon.tenant("globex")],
                                           key=lambda one: one.get("state", ""))
                            if {daemon.tenant("acme").get("state"), daemon.tenant("globex").get("state")} ==
                            {"running", "refused"} else None, "one runs, one is refused")
        self.assertRegex(states[0]["reason"] + states[1]["reason"], r"overlaps 198\.51\.100\.\d/\d+, which is tenant")
        subprocess.run(["ip", "link", "add", "tndtest0", "type", "veth", "peer", "name", "tndtest1"], check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", "tndtest0"], check=False)
        daemon.ctl("tenant", "restart", "initech")
        wait_until(lambda: "virtual one (veth)" in daemon.tenant("initech").get("reason", ""), "the reason")
        self.assertTrue(os.path.exists("/sys/class/net/tndtest0"))
        daemon.stop()
        wait_until(lambda: not links(), "no link outlives an orderly stop")

    def test_the_verifier_looks_at_it(self):
        daemon = self.start(acme=self.veth(ACME, "198.51.100.1", "udp 198.51.100.1:5300"),
                            six=self.veth(SIX, "2001:db8:77::1", prefix=64), initech="")
        for tenant in ("acme", "six", "initech"):
            daemon.wait_state(tenant, "running")
        before = links()

        def probes(tenant):
            done = daemon.ctl("verify", tenant, "--check", "network", check=False, as_json=True)
            return {one["name"]: one for one in json.loads(done.stdout)["probes"]}

        for tenant in ("acme", "six"):
            found = probes(tenant)
            self.assertEqual(found["network.egress"]["outcome"], "passed", found)
            self.assertEqual(found["network.egress"]["evidence"], "EPERM")
            self.assertEqual(found["network.interface"]["evidence"], "interfaces=net0")
            self.assertEqual({one["outcome"] for one in found.values()}, {"passed"})
        found = probes("initech")
        self.assertEqual(found["network.egress"]["outcome"], "not promised")
        self.assertEqual(found["network.interface"]["evidence"], "interfaces=none")
        wait_until(lambda: links() == before, "the probes' links are gone")
        # One interface more than was promised is a failure.
        inside(daemon.tenant("acme")["pid"], "ip", "link", "add", "more0", "type", "veth", "peer", "name", "more1")
        found = probes("acme")["network.interface"]
        self.assertEqual(found["outcome"], "failed")
        self.assertIn("more0", found["evidence"])

    def test_a_killed_helper_leaves_nothing(self):
        daemon = self.daemon(config=CONFIG.format(program=self.program))
        # A program in its place that never ends by itself.
        folder = pathlib.Path(daemon.base) / "bin"
        shutil.copytree(programs_directory(), folder)
        (folder / "tenantd-network").unlink()
        (folder / "tenantd-network").write_text(textwrap.dedent("""\
            #!/bin/sh
            echo held >&2
            kill -9 $$
            """))
        (folder / "tenantd-network").chmod(0o755)
        command = daemon.command
        daemon.command = lambda: [str(folder / "tenantd"), *command()[1:]]
        self.write(daemon, "acme", self.veth(ACME, "198.51.100.1"))
        daemon.start()
        reason = daemon.wait_state("acme", "quarantined")["reason"]
        self.assertIn("it was not released", reason)
        self.assertEqual(links(), set())


if __name__ == "__main__":
    unittest.main()
