"""Turns a model in a folder of Hugging Face's format into files that `zkllmc compile` takes. Needs `pip install 'WHEEL[export]'`.

    zkllmc-export FOLDER OUT            or zkllmc.export(FOLDER, OUT)
    zkllmc compile OUT/model.onnx --preset decoder --length 64 --tokenizer OUT/tokenizer.json --chat OUT/template.json …

OUT gets model.onnx with its weights beside it, tokenizer.json, and template.json where the model has a template of chats. Nothing of the folder
is run but that template, in Jinja's sandbox: models whose code comes with them are refused.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

from . import chat
from .error import Error

LONGEST = 2048  # positions that a graph takes, at most


def export(folder, out, *, opset=18, force=False, chats=True):
    """Writes OUT/model.onnx and returns what was written, by kind: a dictionary of paths, the preset under "preset", and under "missing" why
    the template of chats takes no earlier answers or no messages of the system: reasons by the template's members "answer" and "system".

    A model that continues texts becomes a function of input_ids that gives logits; one that classifies texts or embeds them a function of
    input_ids and attention_mask that gives logits or last_hidden_state. Raises Error if the folder has another kind of model, OUT has files
    already and force is not set, or the model's template of chats does what zkllmc's cannot; with chats=False that template is left out.
    """
    folder, out = pathlib.Path(folder), pathlib.Path(out)
    if not (folder / "config.json").is_file():
        raise Error(f"{folder} is no folder of Hugging Face's format: it has no config.json")
    if out.exists() and not out.is_dir():
        raise Error(f"{out} is no folder")
    if out.exists() and any(out.iterdir()) and not force:
        raise Error(f"{out} has files already; --force writes over them")
    try:
        import torch
        import transformers
    except ImportError as e:
        raise Error(f"{e}: pip install 'WHEEL[export]', WHEEL being the file that make wheel built") from None
    config = _config(transformers, folder)
    model, names, take, preset = _model(transformers, config, folder)
    longest = min(LONGEST, _positions(config))
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{out.absolute().name}-", dir=out.absolute().parent)
    except OSError as e:
        raise Error(f"{out}: {e}") from None
    with beside as work:  # what turns out to be wrong never lies in OUT
        work = pathlib.Path(work)
        written = {"model": work / "model.onnx"}
        texts, missing = _texts(transformers, folder, work, chats and preset == "decoder")
        _graph(torch, model, names, take, longest, opset, written["model"])
        _same(torch, model, names, take, longest, written["model"])
        written.update(texts)
        out.mkdir(exist_ok=True)
        for file in sorted(work.iterdir(), key=lambda f: f == written["model"]):  # the graph after its weights
            os.replace(file, out / file.name)
    return {"preset": preset, "missing": missing, **{kind: out / file.name for kind, file in written.items()}}


def _config(transformers, folder):
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as e:
        raise Error(f"{folder / 'config.json'}: {e}") from None
    if not isinstance(config, dict):
        raise Error(f"{folder / 'config.json'} holds no object")
    if "auto_map" in config:
        raise Error(f"{folder}: the model comes with code of its own, which is not run")
    try:
        return transformers.AutoConfig.from_pretrained(folder)
    except (ValueError, OSError) as e:
        raise Error(f"{folder}: {e}") from None


def _positions(config):
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"):
        if isinstance(getattr(config, name, None), int):
            return getattr(config, name)
    return LONGEST


def _model(transformers, config, folder):
    """The model, its inputs' names, the output's name and the preset, by what the configuration says the model is for."""
    architecture = (config.architectures or [""])[0]
    causal = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    where = {"pretrained_model_name_or_path": folder, "attn_implementation": "eager", "trust_remote_code": False}
    if architecture in causal or architecture.endswith("ForCausalLM"):
        model, names, take, preset = transformers.AutoModelForCausalLM, ["input_ids"], "logits", "decoder"
    elif architecture.endswith("ForSequenceClassification"):
        model, names, take, preset = transformers.AutoModelForSequenceClassification, ["input_ids", "attention_mask"], "logits", "encoder"
    elif architecture.endswith("Model"):
        model, names, take, preset = transformers.AutoModel, ["input_ids", "attention_mask"], "last_hidden_state", "encoder"
    else:
        what = architecture or "the model"
        raise Error(f"{what} is neither for continuing texts, nor for classifying or embedding them: export it with torch.onnx.export")
    return model.from_pretrained(**where).float().eval(), names, take, preset


def _graph(torch, model, names, take, longest, opset, path):
    class Function(torch.nn.Module):
        """The model as a function of named tensors alone."""

        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            fixed = {"use_cache": False} if take == "logits" and len(inputs) == 1 else {}
            return self.model(**dict(zip(names, inputs)), **fixed)[take]

    example = min(16, longest)
    inputs = tuple(torch.full((1, example), k, dtype=torch.long) for k in range(len(names)))
    if longest > 2:
        positions = torch.export.Dim("positions", min=2, max=longest)
        shapes = (tuple({1: positions} for _ in names),)
    else:
        shapes = None
    program = torch.onnx.export(
        Function().eval(), inputs, dynamo=True, opset_version=opset, optimize=True, verbose=False,
        input_names=names, output_names=[take], dynamic_shapes=shapes,
    )
    program.save(str(path), external_data=True)


def _same(torch, model, names, take, longest, path):
    """Compares the graph with the model where the example was not: exporters have written down what one length happens to do."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for length in sorted({min(5, longest), min(33, longest)}):
        ids = torch.arange(3, 3 + 7 * length, 7).remainder(model.config.get_text_config().vocab_size).unsqueeze(0)
        inputs = dict(zip(names, (ids, torch.ones_like(ids))))
        with torch.no_grad():
            want = model(**inputs)[take]
        got = torch.from_numpy(session.run(None, {n: x.numpy() for n, x in inputs.items()})[0])
        if got.shape != want.shape or not torch.allclose(got, want, rtol=1e-3, atol=1e-3 * want.abs().max().item()):
            raise Error(f"onnxruntime and PyTorch disagree on {length} tokens: the exporter does not know this model")


def _texts(transformers, folder, out, chats):
    """Writes tokenizer.json, and the template of chats; returns what was written, and what the template lacks."""
    if not any((folder / n).exists() for n in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "tokenizer.model")):
        return {}, {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise Error(f"{folder}: its tokenizer cannot be written as tokenizer.json")
    written = {"tokenizer": out / "tokenizer.json"}
    tokenizer.backend_tokenizer.save(str(written["tokenizer"]))
    template, missing = chat.template(tokenizer) if chats else (None, {})
    if template is not None:
        written["template"] = out / "template.json"
        written["template"].write_text(json.dumps(template, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return written, missing


def main():
    p = argparse.ArgumentParser(prog="zkllmc-export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", help="a model: config.json, weights, tokenizer")
    p.add_argument("out", help="folder to write to")
    p.add_argument("--opset", type=int, default=18, help="of ONNX (18)")
    p.add_argument("--no-chat", action="store_true", help="leave out the template of chats")
    p.add_argument("--force", action="store_true", help="write over what OUT has")
    args = p.parse_args()
    try:
        written = export(args.folder, args.out, opset=args.opset, force=args.force, chats=not args.no_chat)
    except Error as e:
        print(f"zkllmc-export: {e}", file=sys.stderr)
        sys.exit(3)
    for member, why in written.pop("missing").items():
        print(f"zkllmc-export: template.json has no {member!r}: {why}", file=sys.stderr)
    for kind, what in written.items():
        print(f"{kind}: {what}")


if __name__ == "__main__":
    main()
