"""python3 expect.py FOLDER: writes FOLDER/NAME.jsonl for every FOLDER/NAME.json: text, ids, ids without special tokens and decoded text
of every line. `TOKENIZERS=FOLDER go test -run TestLibrary -v` compares. Needs tokenizers==0.23.3 and Go, whose sources are among the lines."""

import json
import pathlib
import sys

import lines
from tokenizers import Tokenizer


def expectations(tokenizer, texts):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for text in texts:
        full, plain = (tokenizer.encode(text, add_special_tokens=on).ids for on in (True, False))
        yield {"text": text, "ids": full, "plain": plain, "decoded": tokenizer.decode(plain, skip_special_tokens=False)}


if __name__ == "__main__":
    texts = lines.make()
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        with open(path.with_suffix(".jsonl"), "w") as f:
            for e in expectations(Tokenizer.from_file(str(path)), texts):
                f.write(json.dumps(e) + "\n")
        print(path.name)
