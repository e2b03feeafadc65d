"""Encoders that the host's owner puts there: tokens and vectors as the reference's, and through a real tenantd."""

import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import tempfile
import unicodedata
import unittest

from harness import DaemonTest, IS_ROOT, build_directory, wait_until
from model2vec import DATA, NAME, Potion, Words

BANKING = "banking77_dev_potion"
SENTENCES = [
    "why can't I print?", "My card was DECLINED at the café — twice!!", "Où est l'hôtel \"Zürich\"?",
    "ΟΔΟΣ ΣΑΣ Σ ΑΣ. ΑΣ'Α", "你好，世界 abc漢字def", "naïve coöperation; façade, piñata",
    "x" * 101 + " after", "y" * 100, "ﬁne ① ２ Ⅳ ½ Å Å ﷺ", "한국어 테스트 각", "İstanbul DİYARBAKIR ıI",
    "a\tb\nc\rd\x0be\x0cf\x00g\x7fh\x85i\xa0j\u2028k\u3000l\u200bm\ufeffn", "\ufffdbad\ufffd", "",
    "   ", "🙂🙃 emoji 👩‍👩‍👧", "unaffable tokenization antidisestablishmentarianism",
    "[CLS] [UNK] [SEP] ##ing #ing", "ẞ ß ǅ ŉ Ω K", "e\u0301\u0323 q\u0307\u0323", "ऐ कि ि हिन्दी", "𝒳𝔘 𐐀𐐨 𞤀", "Ａｂｃ！？",
]


def random_texts(count, seed):
    chance = random.Random(seed)
    pools = [lambda: chr(chance.randrange(32, 127)), lambda: chr(chance.randrange(0x80, 0x250)),
             lambda: chr(chance.randrange(0x250, 0x2E80)), lambda: chr(chance.randrange(0x2E80, 0xD800)),
             lambda: chr(chance.randrange(0xE000, 0x10000)), lambda: chr(chance.randrange(0x10000, 0x20000)),
             lambda: chance.choice("eaiou cnt'.-ΣσςΑα")]
    for _ in range(count):
        weights = [chance.choice([0, 1, 5]) for _ in pools]
        if not any(weights):
            weights[0] = 1
        yield "".join(chance.choices(pools, weights)[0]() for _ in range(chance.randrange(1, 60)))


@unittest.skipUnless((DATA / NAME).exists(), f"the encoder data {NAME} is not on this machine")
class Reference(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.potion = Potion()

    def encode(self, model, texts):
        lines = "".join(text.encode("utf-8", "surrogatepass").hex() + "\n" for text in texts)
        done = subprocess.run([str(build_directory() / "tests/integration/encode_lines"), str(model)], input=lines,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in done.stdout.splitlines():
            tokens, _, numbers = line.partition("|")
            yield [int(token) for token in tokens.split()], [float(number) for number in numbers.split()]

    def compile(self, directory, kind):
        source = self.potion.write(directory / kind, kind)
        output = directory / f"{kind}.model"
        subprocess.run([str(build_directory() / "worker/encoder/compile/tenantd-encoder"), str(source), str(output)],
                       check=True)
        return output

    # The reference keeps characters of a newer or older Unicode than ours apart: unassigned ones are left out.
    @staticmethod
    def comparable(text):
        return all(unicodedata.category(c) != "Cn" for c in text)

    def test_tokens_and_vectors_equal_the_references(self):
        texts = SENTENCES + list(random_texts(4000, 20240607))
        texts = [text for text in texts if self.comparable(text)]
        self.assertGreater(len(texts), 1000)
        with tempfile.TemporaryDirectory(prefix="tnd-m2v-") as folder:
            # float16 keeps 11 bits of each number.
            for kind, delta in {"f32": 2e-6, "f16": 2e-3, "int8": 2e-6}.items():
                with self.subTest(kind=kind):
                    model = self.compile(pathlib.Path(folder), kind)
                    some = texts if kind == "f32" else texts[:len(SENTENCES) + 200]
                    for text, (tokens, vector) in zip(some, self.encode(model, some), strict=True):
                        self.assertEqual(tokens, self.potion.ids(text), ascii(text))
                        expected = self.potion.vector(text)
                        if not vector:
                            self.assertLess(max(map(abs, expected)), 1e-30, ascii(text))
                            continue
                        worst = max(abs(a - b) for a, b in zip(vector, expected, strict=True))
                        self.assertLessEqual(worst, delta, ascii(text))

    @unittest.skipUnless((DATA.parent / f"{BANKING}.d64.f32").exists(), f"the data set {BANKING} is not on this machine")
    def test_real_sentences_have_the_vectors_that_were_published_with_them(self):
        with open(DATA.parent / f"{BANKING}.tsv", encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file][1:]
        published = (DATA.parent / f"{BANKING}.d64.f32").read_bytes()
        with tempfile.TemporaryDirectory(prefix="tnd-m2v-") as folder:
            model = self.compile(pathlib.Path(folder), "int8")
            worst = 0.0
            for row, (_, vector) in zip(rows, self.encode(model, [row[3] for row in rows]), strict=True):
                expected = struct.unpack_from("<64f", published, int(row[0]) * 64 * 4)
                worst = max(worst, *(abs(a - b) for a, b in zip(vector, expected, strict=True)))
        self.assertLess(worst, 1e-6)


def routes_file(routes):
    """The import format: id -> texts."""
    return "".join(json.dumps({"id": name, "utterances": texts}) + "\n" for name, texts in routes.items())


class EncoderTest(DaemonTest):
    """A daemon with encoders of directories next to it."""

    def directory(self):
        folder = tempfile.TemporaryDirectory(prefix="tnd-models-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        return pathlib.Path(folder.name)

    def daemon_with(self, **encoders):
        return self.daemon(config="".join(f'[encoders.{name}]\npath = "{path}"\n'
                                          for name, path in encoders.items()))

    @staticmethod
    def routes_status(daemon, tenant):
        done = daemon.ctl("routes", "status", tenant, check=False, as_json=True)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def wait_encoder(self, daemon, tenant, begins):
        return wait_until(lambda: self.routes_status(daemon, tenant).get("encoder", "").startswith(begins),
                          f"{tenant} to have vectors of {begins}")

    @staticmethod
    def exported(daemon, tenant):
        lines = daemon.ctl("routes", "export", tenant, "--embeddings").stdout.splitlines()
        return [utterance for line in lines for utterance in json.loads(line)["utterances"]]

    def check_vectors(self, utterances, vector, begins):
        for utterance in utterances:
            self.assertTrue(utterance["encoder"].startswith(begins), utterance["encoder"])
            worst = max(abs(a - b) for a, b in zip(utterance["embedding"], vector(utterance["text"]), strict=True))
            self.assertLess(worst, 1e-5, utterance["text"])


class TextInRouteOut(EncoderTest):
    ROUTES = {"printing": ["print", "printer jam", "jam"], "greeting": ["hello", "hello there"]}

    def setUp(self):
        super().setUp()
        self.words = Words(["print", "##er", "jam", "hello", "there"])
        self.models = self.directory()

    def vector(self, text):
        return self.words.vector(*text.replace("printer", "print ##er").split())

    def test_text_in_route_out_and_vectors_as_computed(self):
        daemon = self.daemon_with(words=self.words.write(self.models / "words"))
        daemon.write_tenant("acme", dimension=8, encoder="words")
        daemon.write_tenant("globex", dimension=8, encoder="words")
        daemon.write_tenant("plain", dimension=64)
        daemon.start()
        for tenant in ("acme", "globex", "plain"):
            daemon.wait_state(tenant, "running")
        daemon.ctl("routes", "import", "acme", "-", stdin=routes_file(self.ROUTES))
        answer = daemon.ctl("query", "acme", "Printer JAM!", as_json=True)
        self.assertEqual(answer["best"]["route"], "printing")
        utterances = self.exported(daemon, "acme")
        self.assertEqual(len(utterances), 5)
        self.check_vectors(utterances, self.vector, "words@")
        self.assertIn("encoder: words@", daemon.ctl("routes", "status", "acme").stdout)
        # The name alone means the version that the tenant has.
        named = json.dumps({"id": "named", "utterances": [
            {"text": "jam", "embedding": self.vector("jam"), "encoder": "words"}]})
        daemon.ctl("routes", "import", "acme", "-", stdin=named + "\n")
        self.check_vectors(self.exported(daemon, "acme"), self.vector, "words@")
        if not IS_ROOT:
            return
        mapped = {tenant: self.mapped_models(daemon.tenant(tenant)["pid"]) for tenant in ("acme", "globex", "plain")}
        self.assertEqual(len(mapped["acme"]), 1)
        self.assertEqual(mapped["acme"], mapped["globex"])
        self.assertEqual(mapped["plain"], set())
        for tenant in mapped:
            posture = daemon.ctl("status", "--posture", tenant).stdout
            self.assertIn("as expected", posture)
            self.assertEqual("/encoders" in posture, tenant != "plain")

    @staticmethod
    def mapped_models(pid):
        """(rights, device, inode) of the models in a process."""
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            fields = [line.split() for line in maps if ".model" in line]
        return {(rights, device, inode) for _, rights, _, device, inode, _ in fields}

    def test_what_cannot_be_used_refuses_its_tenants_with_the_reason(self):
        good = self.words.write(self.models / "good")
        broken = self.words.write(self.models / "broken")
        (broken / "model.safetensors").write_bytes(b"nothing")
        writable = self.words.write(self.models / "writable")
        (writable / "tokenizer.json").chmod(0o666)
        linked = self.words.write(self.models / "linked")
        (linked / "config.json").rename(linked / "elsewhere")
        (linked / "config.json").symlink_to(linked / "elsewhere")
        daemon = self.daemon_with(good=good, broken=broken, writable=writable, linked=linked,
                                  missing=self.models / "missing")
        reasons = {"good": "64 is not what the encoder \"good\" makes: 8 (set dimension = 8)",
                   "broken": "model.safetensors: is too short", "writable": "others may write it",
                   "linked": "is a symbolic link", "missing": "no such file or directory"}
        for name in reasons:
            daemon.write_tenant(name, encoder=name, dimension=64 if name == "good" else 8)
        daemon.write_tenant("fits", encoder="good", dimension=8)
        daemon.start()
        daemon.wait_state("fits", "running")
        for name, reason in reasons.items():
            info = daemon.wait_state(name, "refused")
            self.assertIn(reason, json.dumps(info, ensure_ascii=False).replace('\\"', '"'), name)
        # Mended, and the daemon started again: that is all it takes.
        self.assertEqual(daemon.stop(), 0)
        self.words.write(self.models / "again")
        (self.models / "again" / "model.safetensors").replace(broken / "model.safetensors")
        daemon.start()
        daemon.wait_state("broken", "running")


class ChangeOfEncoder(EncoderTest):
    COUNT = 3000

    def setUp(self):
        super().setUp()
        self.words = Words([f"word{chr(97 + i)}{chr(97 + j)}" for i in range(8) for j in range(8)])
        self.models = self.directory()
        chance = random.Random(5)
        self.texts = [" ".join(chance.sample(self.words.tokens[2:], 4)) for _ in range(self.COUNT)]

    def imported(self, daemon, tenant):
        routes = {f"route-{i // 100:03}": self.texts[i:i + 100] for i in range(0, self.COUNT, 100)}
        daemon.ctl("routes", "import", tenant, "-", stdin=routes_file(routes))

    def test_old_vectors_answer_until_the_new_ones_take_over_even_over_kill_9(self):
        daemon = self.daemon_with(words=self.words.write(self.models / "words"))
        daemon.write_tenant("acme", dimension=64)
        daemon.start()
        daemon.wait_state("acme", "running")
        self.imported(daemon, "acme")
        before = daemon.tenant("acme")["pid"]
        daemon.write_tenant("acme", dimension=8, encoder="words")
        wait_until(lambda: daemon.tenant("acme").get("state") == "running" and
                   daemon.tenant("acme")["pid"] not in (0, before), "another worker")
        killed = False

        def switched():
            nonlocal killed
            answer = daemon.ctl("query", "acme", self.texts[0], as_json=True)
            self.assertEqual(answer["best"]["route"], "route-000")
            status = self.routes_status(daemon, "acme")
            if not killed and status.get("reencoded", 0) > 0:
                killed = True
                os.kill(daemon.tenant("acme")["pid"], signal.SIGKILL)
            return status.get("encoder", "").startswith("words@")
        wait_until(switched, "the new encoder's vectors", timeout_s=60)
        status = self.routes_status(daemon, "acme")
        self.assertEqual((status["reencoding_total"], status["utterances"]), (0, self.COUNT))
        utterances = self.exported(daemon, "acme")
        self.assertEqual([u["text"] for u in utterances], self.texts)
        self.check_vectors(utterances, lambda text: self.words.vector(*text.split()), "words@")
        # And back: the built-in encoder is one like the others.
        daemon.write_tenant("acme", dimension=64)
        self.wait_encoder(daemon, "acme", "hash-v1")
        self.assertEqual(daemon.ctl("query", "acme", self.texts[0], as_json=True)["best"]["route"], "route-000")

    def test_another_version_of_a_model_is_another_encoder(self):
        directory = self.words.write(self.models / "words")
        daemon = self.daemon_with(words=directory)
        daemon.write_tenant("acme", dimension=8, encoder="words")
        daemon.start()
        daemon.wait_state("acme", "running")
        self.imported(daemon, "acme")
        first = self.routes_status(daemon, "acme")["encoder"]
        daemon.stop()
        newer = Words(self.words.tokens[2:], seed="newer")
        newer.write(self.models / "newer")
        (self.models / "newer" / "model.safetensors").replace(directory / "model.safetensors")
        daemon.start()
        wait_until(lambda: self.routes_status(daemon, "acme").get("encoder") not in (None, "", first),
                   "the vectors of the newer model", timeout_s=60)
        self.check_vectors(self.exported(daemon, "acme"), lambda text: newer.vector(*text.split()), "words@")
        kept = sorted(path.name for path in (daemon.state_dir / "encoders" / "words").glob("*.model"))
        self.assertEqual(len(kept), 2)
        # An unchanged model is not compiled again.
        daemon.stop()
        daemon.start()
        self.assertEqual(daemon.log().count("floats, compiled"), 2)
        self.assertEqual(sorted(path.name for path in (daemon.state_dir / "encoders" / "words").glob("*.model")), kept)


@unittest.skipUnless((DATA / NAME).exists(), f"the encoder data {NAME} is not on this machine")
class PublishedModel(EncoderTest):
    def test_a_published_directory_routes_by_meaning(self):
        potion = Potion()
        for kind in ("f32", "int8"):
            with self.subTest(kind=kind):
                daemon = self.daemon_with(potion=potion.write(self.directory() / kind, kind))
                daemon.write_tenant("acme", dimension=64, encoder="potion")
                daemon.start()
                daemon.wait_state("acme", "running")
                daemon.ctl("routes", "import", "acme", "-", stdin=routes_file(
                    {"cars": ["my automobile needs new tires", "the engine does not start"],
                     "food": ["I would like a pizza", "what is for dinner"]}))
                answer = daemon.ctl("query", "acme", "vehicle motor repair", as_json=True)  # no word in common
                self.assertEqual(answer["best"]["route"], "cars")
                self.check_vectors(self.exported(daemon, "acme"), potion.vector, "potion@")
                daemon.stop()


if __name__ == "__main__":
    unittest.main()
