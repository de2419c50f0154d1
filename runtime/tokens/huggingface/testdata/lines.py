"""The texts that tokenizers are compared on: 10,000 lines in many scripts, the same in every run."""

import pathlib
import random
import subprocess

BLOCKS = [  # where the lines of one script come from: first and last code points
    (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2AF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x58F), (0x590, 0x5FF),
    (0x600, 0x6FF), (0x700, 0x74F), (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xA7F), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD00, 0xD7F),
    (0xE00, 0xE7F), (0xE80, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF),
    (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF),
    (0x2100, 0x214F), (0x2150, 0x218F), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x2460, 0x24FF), (0x2500, 0x257F), (0x2600, 0x27BF),
    (0x2E80, 0x2EFF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3130, 0x318F), (0x3200, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xA000, 0xA48F), (0xA720, 0xA7FF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE2F),
    (0xFE70, 0xFEFF), (0xFF00, 0xFFEF), (0xFFF0, 0xFFFD), (0x10000, 0x100FF), (0x10300, 0x1034F), (0x10400, 0x1044F), (0x11000, 0x1107F),
    (0x12000, 0x123FF), (0x13000, 0x1342F), (0x16A40, 0x16AFF), (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1F000, 0x1F0FF),
    (0x1F100, 0x1F1FF), (0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1F), (0xE0000, 0xE007F), (0xE0100, 0xE01EF),
]
WORDS = (
    "the of and I'm don't we'll they've it's YOU'RE 'twas o'clock end. Wait, really?! naïve café Straße ÀÉÎ ﬁne ①② ½ x² Ǆ İstanbul ıI ẞ ŉ "
    "Привет мир не знаю что الحياة جميلة مرحبا עברית שלום हिन्दी में नमस्ते বাংলা தமிழ் తెలుగు ಕನ್ನಡ ภาษาไทย สวัสดี ลาว မြန်မာ ខ្មែរ ქართული "
    "日本語 テスト ﾊﾝｶｸ 中文 測試 한국어 테스트 ἀρχή Ελληνικά σίγμας Ωmega Việt Nam tiếng e\u0301 a\u0308\u0323 \u0301x क्ष ষ্ট ffi ﷺ ㎏ ℃ ™ … — “quote” ‘s’ "
    "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷 ❤️ 1️⃣ \u200b\u200d \ufeff \u00ad \u202e 3.14159 1,234,567 0x7f 2024-01-31 ١٢٣ १२३ Ⅻ 12345678901234567890 a_b camelCase "
    "HTTPServer foo.bar() </s> <s> <unk> <pad> [CLS] [SEP] [MASK] [UNK] <|endoftext|> <|im_start|> <|im_end|> <|begin_of_text|> <0x41> ▁ ▁▁a ## "
    "##s Ġa Ċ"
).split(" ")
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n ", "\u00a0", "\u3000", "\u2009", "\x0b", "\x0c", "\x85", "\u2028", "    ", " " * 16]


def script(r):
    low, high = r.choice(BLOCKS)
    return "".join(" " if r.random() < 0.15 else chr(r.randint(low, high)) for _ in range(r.randint(1, 24)))


def anywhere(r):
    out = ""
    while len(out) < r.randint(1, 16):
        c = r.randrange(1, 0x30000)
        if not 0xD800 <= c < 0xE000:
            out += chr(c)
    return out


def words(r):
    return "".join(r.choice(WORDS) + (r.choice(SPACES) if r.random() < 0.4 else " " if r.random() < 0.8 else "") for _ in range(r.randint(1, 9)))


def blank(r):
    return "".join(r.choice(SPACES) if r.random() < 0.7 else r.choice("a1.'é中") for _ in range(r.randint(1, 8)))


def number(r):
    return "".join(r.choice("0123456789.,-+ ") for _ in range(r.randint(1, 24)))


def sources(r):
    root = pathlib.Path(subprocess.check_output(["go", "env", "GOROOT"], text=True).strip()) / "src"
    files = sorted(root.glob("*/*.go"))[::7]
    text = "\n".join(f.read_text(encoding="utf-8", errors="ignore") for f in files)
    lines = sorted({line for line in text.split("\n") if 0 < len(line) < 120})
    r.shuffle(lines)
    return lines


def make(n=10000, seed=8):
    r = random.Random(seed)
    code = sources(r)
    out = ["", " ", "\n", "a", "'", " 's", "\u0301"]
    kinds = [script, script, anywhere, words, words, blank, number]
    while len(out) < n:
        if r.random() < 0.3:
            out.append(code.pop() + ("\n" if r.random() < 0.2 else ""))
        else:
            out.append(r.choice(kinds)(r))
    return out
