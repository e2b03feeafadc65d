"""tenantctl routes fit against a real worker: proposes, applies on request only, keeps the file's comments."""

import json

from harness import DaemonTest, wait_until

WORDS = {
    "billing": ["invoice", "payment", "charge", "refund"],
    "shipping": ["parcel", "delivery", "courier", "tracking"],
    "account": ["password", "login", "email", "profile"],
}
FRAMES = ["I have a question about my {}", "there is a problem with the {}", "please help me with my {}",
          "what about the {} of last month", "the {} is wrong", "can somebody look at my {}"]
STRANGE = ["zebras graze quietly", "who painted the ceiling", "a recipe for soup", "the tallest mountain",
           "rain in the afternoon", "a poem on autumn", "how far is the moon", "football on sunday"]


def routes():
    return {route: [frame.format(word) for word in words for frame in FRAMES[:4]]
            for route, words in WORDS.items()}


def questions():
    lines = [f"{frame.format(word)} today\t{route}" for route, words in WORDS.items()
             for word in words for frame in FRAMES]
    lines += [f"{text} {number}\t-" for text in STRANGE for number in ("one", "two", "three")]
    return "\n".join(lines) + "\n"


class Fit(DaemonTest):
    def tenant(self, threshold):
        daemon = self.running_tenant(threshold=threshold, routes=routes())
        file = daemon.base / "questions.tsv"
        file.write_text(questions(), encoding="utf-8")
        return daemon, str(file)

    def test_a_threshold_that_refuses_everything_is_found_out_and_put_right_on_request(self):
        daemon, data = self.tenant(threshold=1.0)
        fit = ("routes", "fit", "acme", "--data", data)
        shown = daemon.ctl(*fit).stdout
        self.assertIn("threshold = ", shown)
        self.assertIn("nothing was changed", shown)
        proposed = daemon.ctl(*fit, as_json=True)
        self.assertTrue(proposed["is_better"])
        self.assertFalse(proposed["applied"])
        self.assertGreater(proposed["after"]["accuracy"], proposed["before"]["accuracy"] + 0.3)
        self.assertGreater(proposed["gain"]["low"], 0)
        self.assertEqual(proposed, daemon.ctl(*fit, as_json=True), "the same seed, another proposal")
        config = daemon.tenants_dir / "acme.toml"
        before = config.read_text(encoding="utf-8")
        self.assertIn("threshold = 1.0", before)
        config.write_text(before.replace("threshold = 1.0", "threshold = 1.0  # mine"), encoding="utf-8")
        applied = daemon.ctl(*fit, "--apply", "--config", str(config), as_json=True)
        self.assertTrue(applied["applied"])
        after = config.read_text(encoding="utf-8")
        self.assertIn(f"threshold = {applied['router']['threshold']}  # mine", after)
        wait_until(lambda: not daemon.ctl("query", "acme", "there is a problem with the parcel today",
                                          as_json=True)["is_fallback"], "the new threshold applies")
        again = daemon.ctl(*fit, as_json=True)
        self.assertAlmostEqual(again["before"]["accuracy"], again["after"]["accuracy"], delta=0.05)

    def test_own_utterances_are_enough_and_a_wanted_recall_is_reached(self):
        daemon, _ = self.tenant(threshold=0.0)
        proposed = daemon.ctl("routes", "fit", "acme", "--out-of-scope-recall", "0.9", as_json=True)
        self.assertEqual(proposed["before"]["out_of_scope_recall"], 0)
        self.assertTrue(proposed["is_better"])
        self.assertGreater(proposed["after"]["out_of_scope_recall"], 0.75)

    def test_thresholds_of_routes_are_applied_and_nothing_else_of_them_changes(self):
        daemon, data = self.tenant(threshold=0.5)
        # Nothing reaches this route: its own threshold is what is wrong.
        line = json.dumps({"id": "billing", "description": "money", "tags": ["a"], "threshold": 1.0,
                           "utterances": routes()["billing"]})
        daemon.ctl("routes", "import", "acme", "-", stdin=line + "\n")

        def exported():
            lines = daemon.ctl("routes", "export", "acme", "--embeddings").stdout.splitlines()
            return {route["id"]: route for route in map(json.loads, lines)}
        before = exported()
        applied = daemon.ctl("routes", "fit", "acme", "--data", data, "--apply", as_json=True)
        self.assertTrue(applied["applied"])
        self.assertEqual([r["route"] for r in applied["routes"] if r["before"] == 1.0], ["billing"])
        after = exported()
        self.assertLess(after["billing"].get("threshold", 0.5), 0.99)
        for route in (*before.values(), *after.values()):
            route.pop("threshold", None)
            for utterance in route["utterances"]:
                utterance["embedding"] = [round(value, 4) for value in utterance["embedding"]]
        self.assertEqual(after, before)
        self.assertFalse(daemon.ctl("query", "acme", "there is a problem with the invoice today",
                                    as_json=True)["is_fallback"])

    def test_bad_questions_and_files_are_named(self):
        daemon, data = self.tenant(threshold=1.0)
        bad = daemon.base / "bad.tsv"
        bad.write_text("where is it\tnowhere\n", encoding="utf-8")
        refused = daemon.ctl("routes", "fit", "acme", "--data", str(bad), check=False, as_json=True)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("nowhere", json.loads(refused.stderr)["message"])
        odd = daemon.base / "odd.toml"
        odd.write_text("router.threshold = 1.0\n", encoding="utf-8")
        refused = daemon.ctl("routes", "fit", "acme", "--data", data, "--apply", "--config", str(odd),
                             check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(odd.read_text(encoding="utf-8"), "router.threshold = 1.0\n")
        self.assertEqual(daemon.ctl("routes", "fit", "acme", "--config", "x", check=False).returncode, 2)
