"""Each structure check fails on what it is there to find."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_docs  # noqa: E402
import check_includes  # noqa: E402
import check_sources  # noqa: E402
import check_spec_map  # noqa: E402


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")


class Includes(Tree):
    def findings(self, path, text):
        self.write(path, text)
        return check_includes.check(self.root)

    def test_forbidden_edges(self):
        forbidden = {
            "worker/router/x.cpp": '#include "shared/channel/link_channel.h"\n',
            "supervisor/jail/x.cpp": '#include "supervisor/config/tenant_config.h"\n',
            "control/x.cpp": '#include "worker/store/tenant_store.h"\n',
            "client/x.cpp": "#include <uv.h>\n",
            "shared/base/x.h": '  # include "shared/os/fd.h"\n',
            "supervisor/new_part/x.h": '#include "supervisor/launch/launcher.h"\n',
            "gateway/x.h": "\n",
        }
        for path, text in forbidden.items():
            edges = check_includes.read_edges()
            self.write(path, text)
            self.assertEqual(len(check_includes.check_file(self.root, pathlib.Path(path), edges)), 1, path)

    def test_allowed_edges(self):
        self.assertEqual(self.findings("worker/main.cpp", '#include "worker/store/tenant_store.h"\n'), [])
        self.assertEqual(self.findings("client/c.cpp", '#include "shared/ring/ring.h"\n#include <vector>\n'), [])

    def test_a_tenant_is_bound_in_few_places(self):
        self.assertEqual(len(self.findings("worker/store/x.cpp", "TenantBinding binding(id);\n")), 1)

    def test_calls_into_a_tenants_memory_take_a_context_first(self):
        path = pathlib.PurePosixPath("worker/cache/tenant_cache.h")
        head = "class TenantCache {\n public:\n  explicit TenantCache(TenantId tenant);\n"
        good = "  [[nodiscard]] Result<std::optional<Value>> get(const ExecutionContext& context,\n" \
               "                                               std::string_view key);\n"
        tail = " private:\n  void hold(int number);\n};\n"
        self.assertEqual(check_includes.check_contexts(path, head + good + tail), [])
        for bad in ("  [[nodiscard]] Result<bool> remove(std::string_view key);\n", "  void clear() noexcept;\n",
                    "  std::uint64_t entries() const;\n", "  [[nodiscard]] Result<Stats> stats() const;\n",
                    "  [[nodiscard]] Status set(std::string_view key, const ExecutionContext& context);\n"):
            self.assertEqual(len(check_includes.check_contexts(path, head + good + bad + tail)), 1, bad)
        self.assertEqual(len(check_includes.check_contexts(path, head + tail)), 1)


class Sources(Tree):
    def count(self, path, text):
        self.write(path, text)
        return len(check_sources.check_file(self.root, pathlib.Path(path)))

    def test_each_rule(self):
        self.assertEqual(self.count("shared/base/a.h", "// A head.\n#pragma once\n"), 0)
        self.assertEqual(self.count("shared/base/a.h", "#pragma once\n"), 1)
        self.assertEqual(self.count("shared/base/a.h", "// A head.\n"), 1)
        self.assertEqual(self.count("shared/base/b.cpp", "int b;\n"), 1)
        self.assertEqual(self.count("shared/base/c.cpp", "// A head.\n" * 401), 1)
        self.assertEqual(self.count("docs/a.md", "TO" + "DO: later\n"), 1)
        self.assertEqual(self.count("docs/a.md", "see /wo" + "rk/main/x\n"), 1)

    def test_top_level_entries(self):
        self.write("surprise/file", "")
        self.assertIn("surprise: not in tests/tidy/top_level.txt", check_sources.check_top_level(self.root))

    def test_a_config_that_no_test_loads(self):
        self.write("configs/other.toml", "")
        self.write("tests/x.py", "")
        self.write("scripts/quickstart", "")
        self.assertEqual(len(check_sources.check_shipped_configs(self.root)), 1)


class Docs(Tree):
    def test_broken_links_and_a_folder_that_the_readme_forgot(self):
        self.write("docs/a.md", "# One heading\n[x](b.md) [y](#one-heading) [z](#two) [w](https://example.org)\n")
        self.write("README.md", "docs/ is explained\n")
        self.assertEqual(len(check_docs.check(self.root)), 2)
        self.write("forgotten/x.md", "\n")
        self.assertEqual(len(check_docs.check(self.root)), 3)


class SpecMap(Tree):
    ITEMS = "creation.id\ncreation.plan\n"

    def findings(self, rows):
        self.write("tests/golden/spec-items.txt", self.ITEMS)
        self.write("docs/config-reference.md", "| `id` | text |\n")
        self.write("docs/man/tenantctl.1", ".B tenant list\n")
        self.write("client/include/tenantd/client.h", "Result<RouteReply> route(...);\n")
        self.write("tests/x_test.py", "")
        head = "| item | TOML key | CLI | client call | test | state |\n|---|---|---|---|---|---|\n"
        self.write("docs/spec-map.md", head + "".join(rows))
        return check_spec_map.check(self.root)

    def test_rows_that_are_right(self):
        self.assertEqual(self.findings(["| `creation.id` | `id` | `tenant list` | `route` | tests/x_test.py | done |\n",
                                        "| `creation.plan` | – | – | – | – | open: issue 6 |\n"]), [])

    def test_rows_that_are_wrong(self):
        good = "| `creation.id` | `id` | – | – | tests/x_test.py | done |\n"
        wrong = {
            "a missing item": "",
            "an unknown key": "| `creation.plan` | `nonsense` | – | – | tests/x_test.py | done |\n",
            "a missing test file": "| `creation.plan` | `id` | – | – | tests/gone.py | done |\n",
            "an unknown verb": "| `creation.plan` | – | `tenant dance` | – | tests/x_test.py | done |\n",
            "an unknown call": "| `creation.plan` | – | – | `fly` | tests/x_test.py | done |\n",
            "done without a test": "| `creation.plan` | `id` | – | – | – | done |\n",
            "open without who does it": "| `creation.plan` | – | – | – | – | open |\n",
        }
        for what, row in wrong.items():
            self.assertEqual(len(self.findings([good, row])), 1, what)


if __name__ == "__main__":
    unittest.main()
