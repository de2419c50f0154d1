"""Writes unicode.json.gz: what the library takes every code point for. Needs tokenizers==0.23.3; `go test -run TestUnicode -update` then
writes ../tables.go from it."""

import gzip
import json

from tokenizers import Regex
from tokenizers import normalizers as n
from tokenizers import pre_tokenizers as p

POINTS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def ranges(holds):
    out = []
    for c in POINTS:
        if holds(chr(c)):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def removed(splitter):
    return ranges(lambda s: not splitter.pre_tokenize_str(s))


def bert(**on):
    flags = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return n.BertNormalizer(**{**flags, **on})


classes = {name: removed(p.Split(Regex(name), "removed")) for name in (
    [r"\s", r"\d", r"\w"] + [rf"\p{{{c}}}" for c in "L N P S M Lu Ll Lt Lm Lo Nd".split()])}
digits, punctuation, whitespace = p.Digits(individual_digits=True), p.Punctuation(), p.Whitespace()
classes["numeric"] = ranges(lambda s: len(digits.pre_tokenize_str("a" + s)) == 2)
classes["punctuation"] = ranges(lambda s: len(punctuation.pre_tokenize_str("a" + s)) == 2)
classes["white"] = removed(p.WhitespaceSplit())
classes["word"] = ranges(lambda s: [w for w, _ in whitespace.pre_tokenize_str("a" + s)] == ["a" + s])
classes["accent"] = ranges(lambda s: n.StripAccents().normalize_str(s) == "")
classes["cleaned"] = ranges(lambda s: bert(clean_text=True).normalize_str(s) == "")
classes["bert accent"] = ranges(lambda s: bert(strip_accents=True).normalize_str(s) == "")
for name, form in {"NFC": n.NFC(), "NFD": n.NFD(), "NFKC": n.NFKC(), "NFKD": n.NFKD()}.items():
    classes[name] = ranges(lambda s, form=form: form.normalize_str(s) != s)  # to what never changes once a character is assigned
lower = {c: s for c in POINTS if (s := n.Lowercase().normalize_str(chr(c))) != chr(c)}
with gzip.GzipFile("unicode.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps({"classes": classes, "lower": lower}, separators=(",", ":")).encode())
