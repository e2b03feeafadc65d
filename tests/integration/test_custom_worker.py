"""A platinum tenant with a worker program of its own: confined, served, replaced, adopted, and nobody's harm."""

import json
import os
import pathlib
import unittest

from harness import (IS_ROOT, RawClient, SAMPLE_ROUTES, build_directory, hello, process_alive, wait_until)
from hostile import CHOOSE, ERROR, PING, PONG, READY, ROUTE, ROUTE_REPLY, WELCOME, route_payload
from platinum import HOSTILE, PlatinumTest, platinum_toml

GOAWAY = 5
EDIT = 18


@unittest.skipUnless(IS_ROOT, "only root can give a worker its confinement whole")
class CustomWorker(PlatinumTest):
    def running_example(self, **options):
        daemon = self.offering(**options)
        daemon.write_tenant("acme", platinum_toml("acme", 'program = "example"'))
        daemon.start()
        daemon.wait_state("acme", "running")
        return daemon

    def attached(self, daemon):
        client = RawClient(daemon.socket_path)
        self.addCleanup(client.close)
        client.send(hello())
        self.assertEqual(client.receive_frame()[0], WELCOME)
        client.send_frame(CHOOSE, b"\0")
        self.assertEqual(client.receive_frame()[0], READY)
        return client

    def ask(self, daemon, text):
        return json.loads(daemon.ctl("--json", "query", "acme", text).stdout)

    def test_it_answers_the_ordinary_client(self):
        daemon = self.running_example()
        answer = self.ask(daemon, "my parcel is late")
        self.assertEqual(answer["best"]["route"], "shipping")
        self.assertAlmostEqual(answer["best"]["confidence"], 0.75)
        self.assertFalse(answer["is_fallback"])
        self.assertTrue(self.ask(daemon, "hello there")["is_fallback"])
        program = os.readlink(f"/proc/{daemon.tenant('acme')['pid']}/exe")
        self.assertEqual(pathlib.Path(program).name, "tenantd-worker-example")
        # What it does not do it says; the connection goes on.
        client = self.attached(daemon)
        client.send_frame(EDIT, b"", request_id=7)
        kind, request, _ = client.receive_frame()
        self.assertEqual((kind, request), (ERROR, 7))
        client.send_frame(PING, request_id=8)
        self.assertEqual(client.receive_frame()[:2], (PONG, 8))
        wait_until(lambda: daemon.tenant("acme").get("requests", 0) >= 4, "its own word of its requests")

    def test_it_is_confined_as_every_worker(self):
        daemon = self.running_example()
        posture = daemon.ctl("status", "--posture", "acme", as_json=True)
        self.assertIn("seccomp", str(posture))
        self.assertNotIn("'as_expected': False", str(posture))
        report = json.loads(daemon.ctl("--json", "verify", "acme", check=False).stdout)
        self.assertEqual(report["failures"], [])
        self.assertGreater(len(report["probes"]), 30)

    def test_what_only_a_program_can_do_is_not_promised_of_ones_own(self):
        careless = build_directory() / "tests/integration/network_worker"  # locks down nothing of itself
        if not careless.exists():
            self.skipTest("network_worker is static: not in a sanitizer's build")
        daemon = self.offering(config="[verify]\non_start = false\n")
        copy = daemon.base / "tenantd-worker-careless"
        copy.write_bytes(careless.read_bytes())
        copy.chmod(0o755)
        daemon.config_file.write_text(daemon.config_file.read_text() + f'careless = "{copy}"\n')
        daemon.write_tenant("acme", platinum_toml("acme", 'program = "careless"'))
        daemon.start()
        daemon.wait_state("acme", "running")
        report = json.loads(daemon.ctl("--json", "verify", "acme").stdout)
        self.assertEqual(report["failures"], [])
        found = {p["name"]: p for p in report["probes"]}
        for name in ("process.system_call_filter", "process.surroundings"):
            self.assertEqual(found[name]["outcome"], "not promised", found[name])
            self.assertIn("own program", found[name]["evidence"])
        for name in ("process.no_new_privs", "process.capabilities", "process.own_uid", "process.fork"):
            self.assertEqual(found[name]["outcome"], "passed", found[name])

    def test_a_peer_that_breaks_the_protocol_loses_its_connection_only(self):
        daemon = self.running_example()
        honest = self.attached(daemon)
        for kind, payload in ((999, b""), (ROUTE, b"\xff" * 9), (WELCOME, b""), (CHOOSE, b"\0")):
            client = self.attached(daemon)
            client.send_frame(kind, payload, request_id=1)
            self.assertEqual(client.receive_frame()[0], ERROR)
            self.assertTrue(client.at_eof())
        honest.send_frame(ROUTE, route_payload("where is my invoice"), request_id=3)
        self.assertEqual(honest.receive_frame()[:2], (ROUTE_REPLY, 3))
        self.assertEqual(daemon.tenant("acme")["restarts"], 0)

    def test_it_drains_when_a_reload_replaces_it_and_keeps_its_data(self):
        daemon = self.running_example()
        before = daemon.tenant("acme")
        client = self.attached(daemon)
        client.send_frame(ROUTE, route_payload("refund my payment"), request_id=41)
        self.assertEqual(client.receive_frame()[:2], (ROUTE_REPLY, 41))
        # The same name stands for another path now.
        copy = daemon.base / "tenantd-worker-copy"
        copy.write_bytes(daemon.programs["example"].read_bytes())
        copy.chmod(0o755)
        daemon.config_file.write_text(
            daemon.config_file.read_text().replace(str(daemon.programs["example"]), str(copy)))
        daemon.ctl("reload")
        kind, _, payload = client.receive_frame()
        self.assertEqual(kind, GOAWAY)
        self.assertEqual(int.from_bytes(payload[1:9], "little"), 41)
        self.assertTrue(client.at_eof())
        after = wait_until(lambda: (lambda t: t if t.get("generation", 0) > before["generation"]
                                    and t.get("state") == "running" else None)(daemon.tenant("acme")),
                           "the next worker")
        self.assertEqual(os.readlink(f"/proc/{after['pid']}/exe").rpartition("/")[2], copy.name)
        self.assertEqual(after["restarts"], 0)
        self.assertEqual((daemon.state_dir / "tenants/acme/runs").read_text(), "2\n")
        self.assertIn("run 2 of acme", daemon.log())

    def test_it_outlives_its_supervisor_and_is_adopted(self):
        daemon = self.running_example()
        before = daemon.tenant("acme")
        client = self.attached(daemon)
        daemon.kill()
        client.send_frame(ROUTE, route_payload("where is my invoice"), request_id=1)
        self.assertEqual(client.receive_frame()[:2], (ROUTE_REPLY, 1))
        daemon.start()
        after = daemon.wait_state("acme", "running")
        self.assertEqual((after["pid"], after["generation"]), (before["pid"], before["generation"]))
        client.send_frame(PING, request_id=2)
        self.assertEqual(client.receive_frame()[:2], (PONG, 2))
        self.assertEqual(self.ask(daemon, "track my package")["best"]["route"], "shipping")

    def test_an_orphan_goes_by_itself(self):
        daemon = self.running_example(config='orphan_grace = "1s"\n')
        pid = daemon.tenant("acme")["pid"]
        daemon.kill()
        wait_until(lambda: not process_alive(pid), "the end of the orphan")

    def test_a_program_that_misbehaves_harms_nobody_else(self):
        if not (build_directory() / HOSTILE).exists():
            self.skipTest("hostile_worker is static: not in a sanitizer's build")
        daemon = self.offering(config='[restart]\ncrash_loop_count = 3\nbackoff_min = "50ms"\n')
        daemon.write_tenant("globex")
        daemon.write_tenant("acme", platinum_toml("acme", 'program = "example"'))
        daemon.start()
        daemon.wait_state("globex", "running")
        daemon.wait_state("acme", "running")
        daemon.add_routes("globex", SAMPLE_ROUTES)
        before = {name: daemon.tenant(name)["pid"] for name in ("acme", "globex")}
        for attack in ("garbage", "exits", "flood-ready"):
            daemon.write_tenant(attack, platinum_toml(attack, 'program = "hostile"'))
            daemon.wait_state(attack, "quarantined", timeout_s=60)
        self.assertEqual({name: daemon.tenant(name)["pid"] for name in before}, before)
        daemon.ctl("query", "globex", "where is my invoice")
        self.assertEqual(self.ask(daemon, "my password")["best"]["route"], "account")

    def test_a_program_that_others_could_write_is_refused(self):
        daemon = self.offering()
        copy = daemon.base / "open"
        copy.write_bytes(daemon.programs["example"].read_bytes())
        copy.chmod(0o777)
        link = daemon.base / "link"
        link.symlink_to(daemon.programs["example"])
        daemon.config_file.write_text(daemon.config_file.read_text() + f'open = "{copy}"\nlink = "{link}"\n')
        for name, why in (("open", "others may write it"), ("link", "is a symbolic link")):
            daemon.write_tenant(name, platinum_toml(name, f'program = "{name}"'))
        daemon.start()
        for name, why in (("open", "others may write it"), ("link", "is a symbolic link")):
            self.assertIn(why, daemon.wait_state(name, "refused")["reason"])
        copy.chmod(0o755)
        daemon.ctl("tenant", "restart", "open")
        daemon.wait_state("open", "running")


if __name__ == "__main__":
    unittest.main()
