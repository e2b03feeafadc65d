"""Encoders that the host's owner puts there: tokens and vectors as the reference's, and through a real tenantd."""

import pathlib
import random
import subprocess
import tempfile
import unicodedata
import unittest

from harness import build_directory
from model2vec import DATA, NAME, Potion

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


if __name__ == "__main__":
    unittest.main()
