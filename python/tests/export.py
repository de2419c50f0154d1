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

PROGRAM = str(pathlib.Path(sys.argv[1]).absolute())
SOURCE = str(pathlib.Path(__file__).parents[2])
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = dict(vocab_size=260, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64)


def tokenizer():
    """A byte-level tokenizer with the ends of chats' turns."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    model.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<|im_end|>", chat_template=TEMPLATE)


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def saved(self, model):
        model.save_pretrained(self.folder / "hf")
        tokenizer().save_pretrained(self.folder / "hf")
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
        self.assertEqual(written["template"].read_text(), TEMPLATE)
        self.compiled(written, "--tokenizer", str(written["tokenizer"]), "--chat", "chatml")
        with self.assertRaisesRegex(zkllmc.Error, "has files already"):
            zkllmc.export(hf, self.folder / "out")

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


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
