"""Rules, filters, several answers and the margin, from tenantctl to the worker and over a restart."""

import json
import unittest

from harness import DaemonTest, wait_until

ROUTES = [
    {"id": "billing", "utterances": ["where is my invoice", "I was charged twice", "refund my payment"],
     "keywords": ["money back"], "patterns": [r"\bINV-[0-9]+\b"], "tags": ["money"]},
    {"id": "human", "always": ["talk to a human", {"pattern": "^/human"}], "priority": 5,
     "utterances": []},
    {"id": "robot", "always": ["talk to a human"], "utterances": ["ask the robot"], "tags": ["self"]},
    {"id": "shipping", "aggregation": "max", "never": ["invoice"], "tags": ["goods"],
     "utterances": ["where is my parcel", "the delivery is late", "where is my invoice"]},
]


class Rules(DaemonTest):
    def tenant(self, **options):
        daemon = self.running_tenant(**options)
        for route in ("billing", "shipping", "account"):
            daemon.ctl("routes", "remove", "acme", route)
        lines = "".join(json.dumps(route) + "\n" for route in ROUTES)
        lines = "".join(json.dumps(route) + "\n" for route in ROUTES)
        daemon.ctl("routes", "import", "acme", "-", stdin=lines)
        return daemon

    @staticmethod
    def ask(daemon, text, *more):
        return daemon.ctl("query", "acme", text, "--explain", *more, as_json=True)

    def check_answers(self, daemon):
        hard = self.ask(daemon, "please let me talk to a HUMAN!")
        self.assertEqual((hard["best"]["route"], hard["best"]["confidence"]), ("human", 1))
        self.assertEqual(hard["rules"][0]["rule"], {"kind": 0, "mode": 1, "text": "talk to a human"})
        self.assertEqual(self.ask(daemon, "/human now")["best"]["route"], "human")
        self.assertNotEqual(self.ask(daemon, "not /human now")["best"]["route"], "human")
        never = self.ask(daemon, "where is my invoice", "--alternatives", "9")
        self.assertEqual(never["best"]["route"], "billing")
        self.assertNotIn("shipping", [other["route"] for other in never["alternatives"]])
        self.assertIn({"route": "shipping", "rule": {"kind": 0, "mode": 2, "text": "invoice"}},
                      never["rules"])
        signal = self.ask(daemon, "INV-2041 and my money back")
        self.assertEqual(signal["best"]["route"], "billing")
        self.assertEqual(signal["best"]["rule_score"], 0.75)
        self.assertEqual({rule["rule"]["text"] for rule in signal["rules"]},
                         {"money back", r"\bINV-[0-9]+\b"})

    def test_rules_decide_before_and_after_a_restart(self):
        daemon = self.tenant()
        self.check_answers(daemon)
        before = daemon.tenant("acme")["generation"]
        daemon.ctl("tenant", "restart", "acme")
        wait_until(lambda: daemon.tenant("acme").get("generation", 0) > before
                   and daemon.tenant("acme").get("state") == "running", "a new generation")
        self.check_answers(daemon)
        shown = daemon.ctl("routes", "show", "acme", "human").stdout
        self.assertIn('always pattern "^/human"', shown)
        self.assertIn("priority        5", shown)

    def test_what_is_exported_imports_to_the_same(self):
        daemon = self.tenant()
        exported = daemon.ctl("routes", "export", "acme").stdout
        routes = {route["id"]: route for route in map(json.loads, exported.splitlines())}
        self.assertEqual(routes, {route["id"]: route for route in ROUTES})
        for route in ROUTES:
            daemon.ctl("routes", "remove", "acme", route["id"])
        daemon.ctl("routes", "import", "acme", "-", stdin=exported)
        self.assertEqual(daemon.ctl("routes", "export", "acme").stdout, exported)
        self.check_answers(daemon)

    def test_several_answers_and_filters(self):
        daemon = self.tenant()
        several = self.ask(daemon, "where is my parcel", "--limit", "3", "--alternatives", "9")
        self.assertEqual(len(several["also"]), 2)
        names = [r["route"] for r in [several["best"], *several["also"], *several["alternatives"]]]
        self.assertEqual(len(set(names)), len(names))
        money = self.ask(daemon, "where is my parcel", "--tag", "money", "--limit", "9")
        self.assertEqual((money["best"]["route"], money["also"]), ("billing", []))
        either = self.ask(daemon, "where is my parcel", "--tag", "money", "--route", "shipping",
                          "--route", "gone")
        self.assertEqual(either["best"]["route"], "shipping")
        nothing = self.ask(daemon, "where is my parcel", "--route", "gone")
        self.assertEqual((nothing["is_fallback"], nothing["reason"]), (True, 5))

    def test_the_margin_makes_the_fallback_answer_and_changes_live(self):
        daemon = self.tenant()
        self.assertFalse(self.ask(daemon, "where is it")["is_fallback"])
        daemon.write_tenant("acme", router="margin = 1.0")
        answer = wait_until(lambda: (lambda reply: reply if reply["is_fallback"] else None)(
            self.ask(daemon, "where is it")), "the margin")
        self.assertEqual(answer["reason"], 4)
        self.assertEqual(self.ask(daemon, "where is it", "--limit", "4")["reason"], 4)
        self.assertEqual(self.ask(daemon, "talk to a human")["best"]["route"], "human")

    def test_what_is_no_rule_is_refused_with_the_reason(self):
        daemon = self.tenant()
        for pattern, reason in (("(", "missing"), ("(x{1000}){1000}", "repetition"),
                                (".*", "matches every text"), (r"\pL{400}", "too large")):
            done = daemon.ctl("routes", "add", "acme", "bad", "--pattern", pattern, check=False,
                              as_json=True)
            self.assertEqual(done.returncode, 1, done)
            error = json.loads(done.stderr)
            self.assertEqual(error["code"], "invalid_argument")
            self.assertEqual(error["field"], "route bad: pattern")
            self.assertIn(reason, error["message"])
        daemon.ctl("routes", "add", "acme", "good", "--always-pattern", "^/good$", "--priority", "1")
        daemon.ctl("routes", "add", "acme", "hostile", "--pattern", "(a*)*b")
        reply = daemon.ctl("query", "acme", "a" * 60_000, as_json=True)
        self.assertNotEqual(reply["best"]["route"], "hostile")
        self.assertEqual(self.ask(daemon, "/good")["best"]["route"], "good")


if __name__ == "__main__":
    unittest.main()
