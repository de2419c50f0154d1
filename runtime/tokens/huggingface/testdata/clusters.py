"""Writes clusters.json.gz: a small charsmap, and what the library's Precompiled makes with it of 4,000 texts of characters that grapheme
clusters depend on. Where a short cluster begins with what the map replaces, all of it is replaced, which tells the cluster.
Needs tokenizers==0.23.3 and sentencepiece==0.2.3."""

import base64
import gzip
import json
import pathlib
import random
import tempfile

import sentencepiece
from tokenizers import Tokenizer, models

CHARACTERS = (
    [0x61, 0xE9, 0xA9, 0xAE, 0x0D, 0x0A, 0x09, 0x20, 0xAD, 0x300, 0x301, 0x483, 0x591, 0x600, 0x605, 0x6DD, 0x70F, 0x64B, 0x7EB, 0x903, 0x93C, 0x94D]
    + [0x915, 0x924, 0x937, 0x93E, 0x940, 0x9BC, 0x9CD, 0x995, 0xB95, 0xBCD, 0xD15, 0xD4D, 0xD4E, 0xE01, 0xE33, 0xE34, 0x1100, 0x1115, 0x1161, 0x1171]
    + [0x11A8, 0x11B0, 0xA960, 0xAC00, 0xAC01, 0xD7B0, 0xD7CB, 0x200B, 0x200C, 0x200D, 0x20D0, 0x20E3, 0x203C, 0x2122, 0x2194, 0x2764, 0x231A]
    + [0xFE0F, 0x3099, 0x1F1E6, 0x1F1FF, 0x1F469, 0x1F3FD, 0x1F680, 0xE0020, 0xE007F, 0x110BD, 0x1133E, 0x16D63, 0x31, 0x2028, 0xFEFF, 0x61C])


def field(data, want):
    """The fields of a protocol buffer with a number."""
    def varint(i):
        v = shift = 0
        while True:
            v |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if data[i - 1] < 128:
                return v, i
    i, out = 0, []
    while i < len(data):
        tag, i = varint(i)
        if tag & 7 == 0:
            value, i = varint(i)
        else:
            n, i = varint(i) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], i)
            value, i = data[i:i + n], i + n
        if tag >> 3 == want:
            out.append(value)
    return out


def charsmap():
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d)
        mapped = [c for c in CHARACTERS if c not in (0x300, 0x94D, 0x200D, 0x1161)]  # these stay
        rules = "".join(f"{c:X}\t{0x41 + i % 26:X} {0x41 + i // 26:X}\n" for i, c in enumerate(mapped))
        (folder / "rules.tsv").write_text(rules + "65 301\tE9\n915 94D\t51\n")
        (folder / "text").write_text("\n".join("abcdefghij" * 3 for _ in range(50)))
        sentencepiece.SentencePieceTrainer.train(
            input=str(folder / "text"), model_prefix=str(folder / "m"), vocab_size=14, minloglevel=2, normalization_rule_tsv=str(folder / "rules.tsv"))
        return field(field((folder / "m.model").read_bytes(), 3)[0], 2)[0]


encoded = base64.b64encode(charsmap()).decode()
normalizer = {"type": "Precompiled", "precompiled_charsmap": encoded}
file = json.loads(Tokenizer(models.BPE()).to_str()) | {"normalizer": normalizer}
library = Tokenizer.from_str(json.dumps(file)).normalizer
r = random.Random(8)
texts = ["".join(chr(r.choice(CHARACTERS)) for _ in range(r.randint(1, 7))) for _ in range(4000)]
with gzip.GzipFile("clusters.json.gz", "wb", mtime=0) as f:
    out = {"charsmap": encoded, "texts": [[t, library.normalize_str(t)] for t in texts]}
    f.write(json.dumps(out, separators=(",", ":")).encode())
print(len(encoded))
