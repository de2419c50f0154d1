"""Exports models that are built from configurations, and compiles them. Argument: the program zkllmc."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import tokenizers
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import zkllmc  # noqa: E402
from zkllmc import chat  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1]).absolute())
SOURCE = str(pathlib.Path(__file__).parents[2])
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = dict(vocab_size=260, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64)


def named(name):
    """The template that the compiler has by a name."""
    return json.loads((pathlib.Path(SOURCE) / "internal/vocab/templates" / f"{name}.json").read_text())


def tokenizer(template=TEMPLATE):
    """A byte-level tokenizer with the ends of chats' turns."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    model.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<|im_end|>", chat_template=template)


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def saved(self, model, template=TEMPLATE):
        model.save_pretrained(self.folder / "hf")
        tokenizer(template).save_pretrained(self.folder / "hf")
        return self.folder / "hf"

    def compiled(self, written, *flags):
        done = subprocess.run(
            [PROGRAM, "compile", str(written["model"]), "-o", str(self.folder / "code"), "--runtime-path", SOURCE,
             "--preset", written["preset"], "--length", "32", *flags],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_chat(self):
        hf = self.saved(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, num_key_value_heads=2)))
        written = zkllmc.export(hf, self.folder / "out")
        self.assertEqual(json.loads(written["template"].read_text()), named("chatml"))
        self.assertEqual(written["missing"], {})
        self.compiled(written, "--tokenizer", str(written["tokenizer"]), "--chat", str(written["template"]))
        with self.assertRaisesRegex(zkllmc.Error, "has files already"):
            zkllmc.export(hf, self.folder / "out")

    def test_chat_of_marks(self):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, num_key_value_heads=2))
        written = zkllmc.export(self.saved(model, MARKS), self.folder / "out")
        self.compiled(written, "--tokenizer", str(written["tokenizer"]), "--chat", str(written["template"]))

    def test_chat_that_has_no_template_of_ours(self):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, num_key_value_heads=2))
        hf = self.saved(model, "{{ strftime_now('%Y') }}" + TEMPLATE)
        with self.assertRaisesRegex(zkllmc.Error, "day's date.*--no-chat"):
            zkllmc.export(hf, self.folder / "out")
        self.assertFalse((self.folder / "out").exists())
        self.assertNotIn("template", zkllmc.export(hf, self.folder / "out", chats=False))

    def test_embedding(self):
        hf = self.saved(transformers.BertModel(transformers.BertConfig(**SMALL)))
        self.compiled(zkllmc.export(hf, self.folder / "out"))

    def test_refuses(self):
        with self.assertRaisesRegex(zkllmc.Error, "no config.json"):
            zkllmc.export(self.folder, self.folder / "out")
        hf = self.folder / "foreign"
        hf.mkdir()
        (hf / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "code.Config"}}))
        with self.assertRaisesRegex(zkllmc.Error, "code of its own"):
            zkllmc.export(hf, self.folder / "out")
        (hf / "config.json").write_text(json.dumps({"model_type": "nothing"}))
        with self.assertRaises(zkllmc.Error):
            zkllmc.export(hf, self.folder / "out")
        for config in ("{", "[]"):
            (hf / "config.json").write_text(config)
            with self.assertRaisesRegex(zkllmc.Error, "config.json"):
                zkllmc.export(hf, self.folder / "out")
        with self.assertRaisesRegex(zkllmc.Error, "is no folder"):
            zkllmc.export(hf, hf / "config.json")
        self.assertFalse((self.folder / "out").exists())

    def test_what_disagrees_is_not_kept(self):
        hf = self.saved(transformers.BertModel(transformers.BertConfig(**SMALL)))
        with unittest.mock.patch("zkllmc.huggingface._graph", lambda *args: args[-1].write_bytes(b"graph")), \
             unittest.mock.patch("zkllmc.huggingface._same", side_effect=zkllmc.Error("disagree")), \
             self.assertRaisesRegex(zkllmc.Error, "disagree"):
            zkllmc.export(hf, self.folder / "out")
        self.assertEqual([f.name for f in self.folder.iterdir()], ["hf"])


MARKS = (
    "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>[INST] {{ m.content | trim }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content | trim }} <|im_end|>{% else %}{{ raise_exception('no such role') }}{% endif %}{% endfor %}"
)


class Chat(unittest.TestCase):
    """Templates in Jinja, of the kinds that models come with, against ours."""

    def same(self, jinja, want, missing=()):
        got, without = chat.template(tokenizer(jinja))
        self.assertEqual(got, want)
        self.assertEqual(sorted(without), sorted(missing))
        return without

    def test_kinds(self):
        chatml = named("chatml")
        self.same(TEMPLATE, chatml)
        own = "<|im_start|>system\nBe kind.<|im_end|>\n"
        self.same(f"{{% if messages[0].role != 'system' %}}{own}{{% endif %}}" + TEMPLATE, {**chatml, "before": own + chatml["before"]})
        self.same(TEMPLATE.replace("m['content']", "m['content'] | trim"), {**chatml, "trim": True})
        self.same(MARKS, {
            "before": "<|im_start|>[INST] ", "after": " [/INST]", "end": "<|im_end|>", "trim": True, "marks": ["[/INST]", "[INST]"],
            "answer": {"before": " ", "after": " <|im_end|><|im_start|>[INST] "}}, ["system"])

    def test_members_that_our_format_lacks(self):
        chatml = named("chatml")
        questions = {k: v for k, v in chatml.items() if k != "answer"}
        for name, content in {
            "what an answer says is looked at": "m.content.split('</think>')[-1] if m.role == 'assistant' else m.content",
            "white space of answers alone is taken off": "m.content | trim if m.role == 'assistant' else m.content",
            "answers after the first are others": "'again ' + m.content if loop.index == 4 else m.content",
        }.items():
            with self.subTest(name):
                self.same(TEMPLATE.replace("m['content']", content), questions, ["answer"])
        without = self.same(
            "{% if messages[0].role == 'system' %}{{ raise_exception('nobody may') }}{% endif %}" + TEMPLATE,
            {k: v for k, v in chatml.items() if k != "system"}, ["system"])
        self.assertIn("nobody may", without["system"])
        inside = (  # a message of the system is the beginning of the user's
            "{% for m in messages %}{% if m.role == 'system' %}<|im_start|>user\n{{ m.content }}\n\n{% elif m.role == 'user' and loop.index0 and "
            "messages[loop.index0 - 1].role == 'system' %}{{ m.content }}<|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
        self.same(inside, {k: v for k, v in chatml.items() if k != "system"}, ["system"])
        self.same(TEMPLATE.replace("{% endif %}", "<think>\n{% endif %}"), {
            "before": chatml["before"], "after": chatml["after"] + "<think>\n", "end": chatml["end"], "marks": ["<think>"],
            "system": chatml["system"]}, ["answer"])

    def test_refused(self):
        for jinja, why in {
            "{{ strftime_now('%Y') }}" + TEMPLATE: "day's date",
            "{{ messages[-1].content }}": "nothing around a question",
            TEMPLATE.replace("m['content']", "m['content'] | upper"): "every message once",
            TEMPLATE.replace("m['content']", "m['content'] * 2"): "every message once",
            TEMPLATE.replace("m['content']", "m['content'] | replace('/no_think', '')"): "no_think",
            TEMPLATE.replace("m['content']", "m['content'].lstrip()"): "more than fixed texts",
            "### Q: {{ messages[-1].content }}\n### A:": "a user could write",
            "{{ messages[1].content }}": "takes no conversation of user",
            "{% for": "takes no conversation of user",
        }.items():
            with self.subTest(jinja), self.assertRaisesRegex(zkllmc.Error, f"(?s){why}.*--no-chat"):
                chat.template(tokenizer(jinja))
        self.assertEqual(chat.template(tokenizer(None)), (None, {}))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
