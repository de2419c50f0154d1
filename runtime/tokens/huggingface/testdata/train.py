"""Trains the small tokenizers of this folder, one of every kind, on the lines of lines.py, and writes what the library makes of these:
lines.json.gz, and for every NAME.json NAME.sum with 4 bytes of a SHA-256 for every 10 lines. `train.py NAME…` makes these alone. Needs
tokenizers==0.23.3 and Go."""

import gzip
import hashlib
import json
import sys

import expect
import lines
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models
from tokenizers import normalizers as n
from tokenizers import pre_tokenizers as p
from tokenizers import processors, trainers

TEXTS = lines.make()
CORPUS = TEXTS + lines.sources(lines.random.Random(1))[:30000]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace("{1,3}", "")
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
KINDS = {}


def kind(f):
    KINDS[f.__name__] = f
    return f


def bpe(t, size=700, **more):
    more.setdefault("special_tokens", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, show_progress=False, **more))
    return t


@kind
def smollm2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = p.Sequence([p.Digits(individual_digits=True), p.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    return bpe(t, initial_alphabet=p.ByteLevel.alphabet())


@kind
def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = p.ByteLevel(add_prefix_space=True)
    t.decoder, t.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    t = bpe(t, initial_alphabet=p.ByteLevel.alphabet())
    t.add_tokens([AddedToken("the", single_word=True, normalized=False), AddedToken("  ", normalized=True)])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("[MASK]", rstrip=True, lstrip=True, normalized=False)])
    return t


@kind
def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = p.Sequence([p.Split(Regex(LLAMA3), "isolated"), p.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t = bpe(t, initial_alphabet=p.ByteLevel.alphabet(), special_tokens=["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"])
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)])])
    return t


@kind
def qwen():
    t = Tokenizer(models.BPE())
    t.normalizer = n.NFC()
    t.pre_tokenizer = p.Sequence([p.Split(Regex(QWEN), "isolated"), p.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return bpe(t, initial_alphabet=p.ByteLevel.alphabet())


@kind
def llama2():
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    t.normalizer = n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")])
    t.pre_tokenizer = p.Metaspace(prepend_scheme="never")  # to train; the file has none
    bpe(t, 900, limit_alphabet=150, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    d = json.loads(t.to_str())
    d["pre_tokenizer"], d["added_tokens"] = None, [a for a in d["added_tokens"] if a["id"] < 3]
    d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
    return Tokenizer.from_str(json.dumps(d))


@kind
def gemma():
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    t.normalizer, t.pre_tokenizer = n.Replace(" ", "▁"), p.Split(" ", "merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    bpe(t, 900, limit_alphabet=150, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)])
    t.add_tokens([AddedToken("\n" * i, normalized=False) for i in range(1, 4)])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(d))


@kind
def bert():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = n.BertNormalizer(), p.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=1200, limit_alphabet=300, special_tokens=special, show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece(cleanup=True)
    t.enable_padding(pad_id=0, pad_token="[PAD]")
    return t


@kind
def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = n.Sequence([n.NFKC(), n.Replace(Regex(" {2,}"), " "), n.Strip(left=False, right=True)])
    t.pre_tokenizer = p.Metaspace(prepend_scheme="first")
    special = ["<pad>", "</s>", "<unk>"]
    ascii_lines = [line for line in CORPUS if line.isascii()]
    t.train_from_iterator(ascii_lines, trainers.UnigramTrainer(vocab_size=1000, special_tokens=special, unk_token="<unk>", show_progress=False,
                                                          initial_alphabet=[], shrinking_factor=0.5))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    return t


@kind
def bytes_unigram():
    d = json.loads(KINDS["unigram"]().to_str())
    vocab = d["model"]["vocab"]
    d["model"]["vocab"] = vocab[:3] + [[f"<0x{b:02X}>", -20.0] for b in range(256)] + vocab[3:]
    d["model"]["byte_fallback"] = True
    d["normalizer"], d["pre_tokenizer"]["prepend_scheme"], d["pre_tokenizer"]["split"] = None, "always", False
    d["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}
    return Tokenizer.from_str(json.dumps(d))


@kind
def words():
    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.normalizer = n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase(), n.NFKD()])
    t.pre_tokenizer = p.Sequence([p.Whitespace(), p.Punctuation("contiguous"), p.Digits()])
    t.train_from_iterator(CORPUS, trainers.WordLevelTrainer(vocab_size=1500, special_tokens=["[UNK]", "<s>", "</s>"], show_progress=False))
    t.add_tokens([AddedToken("Café", normalized=True), AddedToken("É", normalized=True, single_word=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return t


@kind
def clip():
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    t.normalizer = n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()])
    t.pre_tokenizer = p.Sequence([p.Split(Regex(CLIP), "removed", invert=True), p.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.Sequence([decoders.BPEDecoder("</w>"), decoders.ByteLevel()])
    t.post_processor = processors.BertProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0))
    return bpe(t, 900, initial_alphabet=p.ByteLevel.alphabet(), end_of_word_suffix="</w>", special_tokens=["<|startoftext|>", "<|endoftext|>"])


@kind
def prefixed():
    t = Tokenizer(models.BPE(continuing_subword_prefix="##", unk_token="[UNK]"))
    t.normalizer = n.Sequence([n.Strip(), n.BertNormalizer(strip_accents=False, lowercase=False)])
    t.pre_tokenizer = p.Sequence([p.WhitespaceSplit(), p.CharDelimiterSplit("_"), p.Split(".", "merged_with_previous"), p.Split(":", "merged_with_next")])
    t.decoder = decoders.WordPiece(cleanup=False)
    return bpe(t, 900, limit_alphabet=120, continuing_subword_prefix="##", special_tokens=["[UNK]"])


with gzip.GzipFile("lines.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps(TEXTS, ensure_ascii=False).encode())
for name, train in KINDS.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    t = train()
    with open(name + ".json", "w") as f:
        f.write(json.dumps(json.loads(t.to_str()), separators=(",", ":"), ensure_ascii=False))
    every = list(expect.expectations(Tokenizer.from_file(name + ".json"), TEXTS))
    with open(name + ".sum", "wb") as f:
        for i in range(0, len(every), 10):
            said = "".join(f"{e['ids']} {e['plain']} {e['decoded']}\n" for e in every[i:i + 10])
            f.write(hashlib.sha256(said.encode()).digest()[:4])
    print(name, t.get_vocab_size())
