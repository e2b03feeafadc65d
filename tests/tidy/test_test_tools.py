"""The tools that count tests must themselves be able to fail."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]


def run(tool, *arguments):
    return subprocess.run([sys.executable, str(TESTS / tool), *arguments], capture_output=True,
                          text=True, check=False, timeout=60)


class Contained(unittest.TestCase):
    def test_a_clean_command_passes_its_status_on(self):
        self.assertEqual(run("contained.py", "true").returncode, 0)
        self.assertEqual(run("contained.py", "sh", "-c", "exit 7").returncode, 7)

    def test_a_process_that_outlives_its_parents_is_found_and_killed(self):
        done = run("contained.py", "--grace", "0.2", "setsid", "--fork", "sleep", "3600")
        self.assertEqual(done.returncode, 1)
        self.assertIn("left behind: process sleep 3600", done.stderr)
        pid = int(done.stderr.split("(pid ")[1].split(")")[0])
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def test_a_dead_orphan_is_no_survivor(self):
        done = run("contained.py", "sh", "-c", "setsid --fork true; sleep 0.1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class PythonTests(unittest.TestCase):
    FILE = """import unittest
class Some(unittest.TestCase):
    def test_good(self): pass
    def test_bad(self): self.fail("as it must")
    @unittest.skip("no such machine")
    def test_skipped(self): pass
    def test_sub(self):
        with self.subTest(part=1): self.fail("a part")
"""

    def run_file(self, text, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "test_it.py"
            path.write_text(text)
            results = pathlib.Path(folder) / "results"
            done = run("run_python_tests.py", "--results", str(results), *arguments, folder)
            records = [json.loads(line) for line in results.read_text().splitlines()]
            return done.returncode, {r["name"].rpartition(".")[2]: r["outcome"] for r in records}

    def test_every_outcome_is_recorded_once(self):
        status, outcomes = self.run_file(self.FILE)
        self.assertEqual(status, 1)
        self.assertEqual(outcomes, {"test_good": "passed", "test_bad": "failed",
                                    "test_skipped": "skipped", "test_sub": "failed"})

    def test_a_crash_a_hang_and_an_empty_file_are_failures(self):
        for text, options in (("import os; os._exit(0 + 3)", ()), ("x = 1", ()),
                              ("import time; time.sleep(60)", ("--timeout", "0.5"))):
            status, outcomes = self.run_file(text, *options)
            self.assertEqual((status, list(outcomes.values())), (1, ["failed"]), text)


class Report(unittest.TestCase):
    def report(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (pathlib.Path(folder) / name).write_text(text)
            done = run("report.py", folder)
            return done.returncode, done.stdout

    def doctest(self, passed, failed, extra=""):
        total = passed + failed
        line = f"[doctest] test cases: {total} | {passed} passed | {failed} failed | 0 skipped\n"
        return json.dumps({"name": "t", "result": "OK" if failed == 0 else "FAIL",
                           "returncode": int(failed > 0), "stdout": extra + line}) + "\n"

    def test_cases_are_added_up_and_the_last_line_says_so(self):
        status, out = self.report({
            "a.meson.json": self.doctest(5, 0) + self.doctest(2, 0, "skipped: needs root\n"),
            "b.results.jsonl": '{"name": "x", "outcome": "passed", "reason": ""}\n',
            "c.step": "0 a step\n",
            "d.step": "77 a machine\nskipped: there is none\n"})
        self.assertEqual(status, 0)
        self.assertEqual(out.splitlines()[-1], "8 passed, 0 failed, 2 skipped")
        self.assertIn("needs root", out)
        self.assertIn("a machine: there is none", out)

    def test_a_failure_anywhere_fails(self):
        for files in ({"a.meson.json": self.doctest(5, 2)},
                      {"c.step": "0 fine\n", "d.step": "1 broken\n"},
                      {"b.results.jsonl": '{"name": "x", "outcome": "failed", "reason": "r"}\n'},
                      {"a.meson.json": json.dumps({"name": "t", "result": "TIMEOUT", "returncode": -9})},
                      {}):
            self.assertEqual(self.report(files)[0], 1, files)


if __name__ == "__main__":
    unittest.main()
