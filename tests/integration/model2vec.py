"""Model2Vec directories for tests: from the reference data where it is, or from a handful of words.

The reference (potion.py beside the data) cuts texts into tokens by itself; its arithmetic, which would need
numpy, is repeated here.
"""

import hashlib
import json
import math
import pathlib
import struct
import sys
import types

from harness import ROOT

DATA = ROOT.parent / "shared" / "data" / "encoder"
NAME = "potion-base-2M.bin"
FLAGS = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
         "lowercase": True}


def tokenizer_json(tokens, unknown="[UNK]", **changes):
    document = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": tokens.index(unknown), "content": unknown, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}],
        "normalizer": FLAGS,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {token: i for i, token in enumerate(tokens)}},
    }
    document.update(changes)
    return json.dumps(document, ensure_ascii=False, indent=2)


def safetensors(tensors):
    """tensors: name -> (dtype, shape, bytes)."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values())


def write_directory(path, tokenizer, tensors, config=None):
    path.mkdir(parents=True)
    config = config or {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True,
                        "hidden_dim": 64}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    (path / "model.safetensors").write_bytes(safetensors(tensors))
    path.chmod(0o755)
    for file in path.iterdir():
        file.chmod(0o644)
    return path


class Words:
    """A model of a few words with made-up vectors: the same every time."""

    def __init__(self, words, dimension=8, seed="words"):
        self.tokens = ["[PAD]", "[UNK]"] + words
        self.dimension = dimension
        self.rows = [[hashlib.sha256(f"{seed} {token} {i}".encode()).digest()[0] / 128.0 - 1.0
                      for i in range(dimension)] for token in self.tokens]

    def write(self, path, **changes):
        data = b"".join(struct.pack(f"<{self.dimension}f", *row) for row in self.rows)
        tensors = {"embeddings": ("F32", (len(self.tokens), self.dimension), data)}
        return write_directory(path, tokenizer_json(self.tokens, **changes), tensors)

    def vector(self, *words):
        """The unit vector of these tokens."""
        return unit([self.rows[self.tokens.index(word)] for word in words])


def unit(rows):
    sums = [math.fsum(column) for column in zip(*rows)]
    length = math.sqrt(math.fsum(x * x for x in sums)) or 1.0
    return [x / length for x in sums]


class Potion:
    """The reference: potion-base-2M, int8 rows with a scale each."""

    def __init__(self):
        blob = (DATA / NAME).read_bytes()
        assert blob[:4] == b"GGE1"
        self.count, self.dimension = struct.unpack_from("<II", blob, 4)
        offset = 12
        self.scales = struct.unpack_from(f"<{self.count}f", blob, offset)
        offset += 4 * self.count
        self.quantized = blob[offset:offset + self.count * self.dimension]
        offset += self.count * self.dimension
        self.tokens = []
        for _ in range(self.count):
            (length,) = struct.unpack_from("<H", blob, offset)
            self.tokens.append(blob[offset + 2:offset + 2 + length].decode())
            offset += 2 + length
        # The reference's own code, without its numpy.
        stand_in = types.ModuleType("numpy")
        stand_in.float32 = float
        kept = sys.modules.get("numpy")
        sys.modules["numpy"] = stand_in
        try:
            module = {}
            exec(compile((DATA / "potion.py").read_text(encoding="utf-8"), "potion.py", "exec"), module)  # pylint: disable=exec-used
        finally:
            if kept is None:
                del sys.modules["numpy"]
            else:
                sys.modules["numpy"] = kept
        self.reference = module["Potion"].__new__(module["Potion"])
        self.reference.tok = self.tokens
        self.reference.id = {token: i for i, token in enumerate(self.tokens)}
        self.reference.unk = self.reference.id["[UNK]"]

    def ids(self, text):
        return self.reference.ids(text)

    def row(self, token):
        first = token * self.dimension
        scale = self.scales[token]
        return [(byte - 256 if byte > 127 else byte) * scale
                for byte in self.quantized[first:first + self.dimension]]

    def vector(self, text):
        tokens = [token for token in self.ids(text) if token != self.reference.unk]
        return unit([self.row(token) for token in tokens]) if tokens else [0.0] * self.dimension

    def tensors(self, kind):
        shape = (self.count, self.dimension)
        if kind == "int8":
            return {"embeddings": ("I8", shape, self.quantized),
                    "weights": ("F32", (self.count,), struct.pack(f"<{self.count}f", *self.scales))}
        dtype, letter = {"f32": ("F32", "f"), "f16": ("F16", "e")}[kind]
        data = b"".join(struct.pack(f"<{self.dimension}{letter}", *self.row(token)) for token in range(self.count))
        return {"embeddings": (dtype, shape, data)}

    def write(self, path: pathlib.Path, kind):
        return write_directory(path, tokenizer_json(self.tokens), self.tensors(kind))
