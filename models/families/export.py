"""Export small random models of many transformer families to ONNX, by both exporters of PyTorch, with onnxruntime's outputs.

    python export.py OUT                       all families, exporters and opsets
    python export.py OUT --only 'llama|bert'   those whose name matches
    python export.py --list                    what there is

Every model is spelled as its family's modelling code of the library `transformers` spells it, two layers deep and a few dozen wide. OUT gets
a folder per model, which `zkllmc conformance` tries, and exports.json, which says what could not be exported.
"""

import argparse
import inspect
import json
import pathlib
import re
import traceback
import warnings

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
import transformers as hf

WIDTH, LAYERS, HEADS, VOCAB, LENGTH = 32, 2, 4, 64, 8


class Wrapped(torch.nn.Module):
    """A model as a function of named tensors alone, and of what of its output is proved."""

    def __init__(self, model, names, take, fixed):
        super().__init__()
        self.model, self.names, self.take, self.fixed = model, names, take, fixed

    def forward(self, *inputs):
        out = self.model(**dict(zip(self.names, inputs)), **self.fixed)
        return self.take(out) if callable(self.take) else out[self.take]


def ids(length=LENGTH):
    return torch.arange(3, 3 + 5 * length, 5).remainder(VOCAB - 4).add(4).unsqueeze(0)


def mask(length=LENGTH):
    return torch.ones(1, length, dtype=torch.long)


COMMON = dict(
    vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=2 * WIDTH,
    max_position_embeddings=64, attn_implementation="eager", experts_implementation="batched_mm", pad_token_id=1, bos_token_id=2, eos_token_id=3,
)
GROUPED = dict(COMMON, num_key_value_heads=2)
# The families whose configurations have names of their own.
OLDER = {
    "gpt2": dict(n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=64),
    "gptj": dict(n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=64, rotary_dim=4),
    "gptneo": dict(num_layers=LAYERS, num_heads=HEADS, attention_types=[[["global", "local"], 1]], window_size=4),
    "bloom": dict(n_layer=LAYERS, n_head=HEADS),
    "mpt": dict(d_model=WIDTH, n_layers=LAYERS, n_heads=HEADS, max_seq_len=64),
    "opt": dict(ffn_dim=2 * WIDTH, word_embed_proj_dim=WIDTH),
}

# Name: configuration class, model class, what is set beyond COMMON.
DECODERS = {
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", OLDER["gpt2"]),
    "gptj": ("GPTJConfig", "GPTJForCausalLM", OLDER["gptj"]),
    "gptneo": ("GPTNeoConfig", "GPTNeoForCausalLM", OLDER["gptneo"]),
    "gptneox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", {"rotary_pct": 0.5}),
    "opt": ("OPTConfig", "OPTForCausalLM", OLDER["opt"]),
    "bloom": ("BloomConfig", "BloomForCausalLM", OLDER["bloom"]),
    "mpt": ("MptConfig", "MptForCausalLM", OLDER["mpt"]),
    "falcon": ("FalconConfig", "FalconForCausalLM", {"multi_query": True, "new_decoder_architecture": False}),
    "falcon-alibi": ("FalconConfig", "FalconForCausalLM", {"alibi": True, "new_decoder_architecture": False}),
    "llama": ("LlamaConfig", "LlamaForCausalLM", GROUPED),
    "mistral": ("MistralConfig", "MistralForCausalLM", dict(GROUPED, sliding_window=4)),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", GROUPED),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", dict(GROUPED, head_dim=8)),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", dict(GROUPED, head_dim=8)),
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", dict(GROUPED, head_dim=8, sliding_window=4)),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", dict(GROUPED, head_dim=8, sliding_window=4)),
    "phi": ("PhiConfig", "PhiForCausalLM", {"partial_rotary_factor": 0.5}),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", GROUPED),
    "stablelm": ("StableLmConfig", "StableLmForCausalLM", dict(GROUPED, partial_rotary_factor=0.25)),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", GROUPED),
    "granite": ("GraniteConfig", "GraniteForCausalLM", dict(GROUPED, logits_scaling=2.0, residual_multiplier=0.5)),
    "starcoder2": ("Starcoder2Config", "Starcoder2ForCausalLM", GROUPED),
    "smollm3": ("SmolLM3Config", "SmolLM3ForCausalLM", GROUPED),
    "cohere": ("CohereConfig", "CohereForCausalLM", GROUPED),
    "glm": ("GlmConfig", "GlmForCausalLM", dict(GROUPED, head_dim=8)),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", dict(GROUPED, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2moe": ("Qwen2MoeConfig", "Qwen2MoeForCausalLM", dict(GROUPED, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=16)),
    "deepseekv3": ("DeepseekV3Config", "DeepseekV3ForCausalLM", dict(
        COMMON, num_key_value_heads=HEADS, n_routed_experts=4, num_experts_per_tok=2, n_group=2, topk_group=1, moe_intermediate_size=16, first_k_dense_replace=1, q_lora_rank=16, kv_lora_rank=16,
        qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8)),
    "gptoss": ("GptOssConfig", "GptOssForCausalLM", dict(GROUPED, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=4)),
    "qwen3next": ("Qwen3NextConfig", "Qwen3NextForCausalLM", dict(
        GROUPED, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=16, linear_num_value_heads=2, linear_num_key_heads=1,
        linear_key_head_dim=8, linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"])),
    "mamba": ("MambaConfig", "MambaForCausalLM", {"state_size": 4, "use_mambapy": False}),
}
ENCODERS = {
    "bert": ("BertConfig", "BertForMaskedLM", {}),
    "bert-class": ("BertConfig", "BertForSequenceClassification", {}),
    "roberta": ("RobertaConfig", "RobertaForMaskedLM", {}),
    "distilbert": ("DistilBertConfig", "DistilBertForSequenceClassification", {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 2 * WIDTH}),
    "albert": ("AlbertConfig", "AlbertForMaskedLM", {"embedding_size": 16}),
    "electra": ("ElectraConfig", "ElectraForMaskedLM", {"embedding_size": 16}),
    "mpnet": ("MPNetConfig", "MPNetForMaskedLM", {}),
    "debertav2": ("DebertaV2Config", "DebertaV2ForMaskedLM", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}),
    "modernbert": ("ModernBertConfig", "ModernBertForMaskedLM", {"local_attention": 4, "cls_token_id": 2, "sep_token_id": 3}),
}
PICTURE = dict(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=2 * WIDTH, image_size=16, patch_size=8, attn_implementation="eager")
VISION = {
    "vit": ("ViTConfig", "ViTForImageClassification", PICTURE),
    "deit": ("DeiTConfig", "DeiTForImageClassification", PICTURE),
    "dinov2": ("Dinov2Config", "Dinov2Model", PICTURE),
    "clip-vision": ("CLIPVisionConfig", "CLIPVisionModel", PICTURE),
}


def named(name, settings):
    """The settings that a configuration class knows."""
    known = set(inspect.signature(getattr(hf, name).__init__).parameters) | {"attn_implementation", "experts_implementation", "num_labels", "vocab_size", "hidden_size", "pad_token_id", "bos_token_id", "eos_token_id"}
    known |= {k for base in getattr(hf, name).__mro__ for k in getattr(base, "__annotations__", {})}
    return {k: v for k, v in settings.items() if k in known}


def build(config, model, settings, base=COMMON):
    torch.manual_seed(7)
    made = getattr(hf, model)(getattr(hf, config)(**named(config, {**base, **settings}))).eval().float()
    with torch.no_grad():
        for p in made.parameters():
            if p.dim() >= 2:
                p.normal_(0, p.shape[-1] ** -0.5)
    return made


def families():
    """Name → (model, inputs by name, which output, fixed arguments), made when asked for."""
    out = {}
    for name, (config, model, settings) in DECODERS.items():
        fixed = {} if name == "mamba" else {"use_cache": False, "attention_mask": mask()}  # without a mask the tracing exporter meets what it cannot export
        out[name] = lambda c=config, m=model, s=settings, f=fixed: (build(c, m, s), {"input_ids": ids()}, "logits", f)
    for name, (config, model, settings) in ENCODERS.items():
        out[name] = lambda c=config, m=model, s=settings: (build(c, m, s), {"input_ids": ids(), "attention_mask": mask()}, "logits", {})
    for name, (config, model, settings) in VISION.items():
        take = "logits" if "Classification" in model else "last_hidden_state"
        out[name] = lambda c=config, m=model, s=settings, t=take: (build(c, m, s, {}), {"pixel_values": torch.linspace(-1, 1, 768).sin().reshape(1, 3, 16, 16)}, t, {})
    out["embedding"] = lambda: (build("BertConfig", "BertModel", {}), {"input_ids": ids(), "attention_mask": mask()}, pooled, {})
    out["embedding-cls"] = lambda: (build("BertConfig", "BertModel", {}), {"input_ids": ids(), "attention_mask": mask()}, first, {})
    out["clip-text"] = lambda: (build("CLIPTextConfig", "CLIPTextModel", {}), {"input_ids": ids()}, "last_hidden_state", {})
    out["whisper-encoder"] = lambda: (whisper(), {"input_features": torch.linspace(-2, 2, 8 * 16).cos().reshape(1, 8, 16)}, "last_hidden_state", {})
    out["t5-encoder"] = lambda: (t5("T5EncoderModel"), {"input_ids": ids()}, "last_hidden_state", {})
    out["t5"] = lambda: (t5("T5ForConditionalGeneration"), {"input_ids": ids(), "decoder_input_ids": ids(6)}, "logits", {"use_cache": False})
    hidden = torch.linspace(-3, 3, LENGTH * WIDTH).sin().reshape(1, 1, LENGTH, WIDTH)  # one state of an encoder
    out["t5-decoder"] = lambda: (t5("T5ForConditionalGeneration"), {"encoder_outputs": hidden, "decoder_input_ids": ids(6)}, "logits", {"use_cache": False})
    out["bart"] = lambda: (bart(), {"input_ids": ids(), "attention_mask": mask(), "decoder_input_ids": ids(6)}, "logits", {"use_cache": False})
    return out


def pooled(out):
    """The mean of hidden states, of length one."""
    return torch.nn.functional.normalize(out.last_hidden_state.mean(1), dim=-1)


def first(out):
    """The hidden state of the first token, of length one."""
    return torch.nn.functional.normalize(out.last_hidden_state[:, 0], dim=-1)


def bart():
    sizes = {f"{side}_{k}": v for side in ("encoder", "decoder") for k, v in (("layers", LAYERS), ("attention_heads", HEADS), ("ffn_dim", 2 * WIDTH))}
    return build("BartConfig", "BartForConditionalGeneration", dict(sizes, d_model=WIDTH, decoder_start_token_id=3))


def whisper():
    settings = dict(num_mel_bins=8, d_model=WIDTH, encoder_layers=LAYERS, encoder_attention_heads=HEADS, encoder_ffn_dim=2 * WIDTH, decoder_layers=1, decoder_attention_heads=HEADS, max_source_positions=8, vocab_size=VOCAB)
    return build("WhisperConfig", "WhisperModel", settings, {"attn_implementation": "eager", "pad_token_id": 1}).encoder


def t5(model):
    return build("T5Config", model, dict(d_model=WIDTH, d_kv=8, d_ff=2 * WIDTH, num_layers=LAYERS, num_heads=HEADS, decoder_start_token_id=1), dict(vocab_size=VOCAB, pad_token_id=1))


EXPORTERS = {"ts17": (False, 17), "dyn18": (True, 18), "dyn23": (True, 23), "dyn25": (True, 25)}


def export(make, exporter, folder):
    """Writes model.onnx and a test set."""
    model, inputs, take, fixed = make()
    dynamo, opset = EXPORTERS[exporter]
    wrapped, given = Wrapped(model, list(inputs), take, fixed).eval(), tuple(inputs.values())
    folder.mkdir(parents=True, exist_ok=True)
    file = str(folder / "model.onnx")
    with torch.no_grad():
        torch.onnx.export(wrapped, given, file, dynamo=dynamo, opset_version=opset, input_names=list(inputs), output_names=["output"], **({"external_data": False} if dynamo else {}))
        want = wrapped(*given).numpy()
    session = onnxruntime.InferenceSession(file)
    got = session.run(None, {i.name: inputs[i.name].numpy() for i in session.get_inputs()})[0]
    if np.abs(got - want).max() > 1e-3 * np.abs(want).max():
        raise ValueError(f"onnxruntime computes something else than PyTorch, by {np.abs(got - want).max():.3g}")
    data = folder / "test_data_set_0"
    data.mkdir(exist_ok=True)
    for k, i in enumerate(session.get_inputs()):
        onnx.save_tensor(onnx.numpy_helper.from_array(inputs[i.name].numpy(), i.name), str(data / f"input_{k}.pb"))
    onnx.save_tensor(onnx.numpy_helper.from_array(got, "output"), str(data / "output_0.pb"))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out", type=pathlib.Path, nargs="?", help="folder to write to")
    p.add_argument("--only", default="", help="names of models, as a regular expression")
    p.add_argument("--list", action="store_true", help="list the models")
    args = p.parse_args()
    warnings.filterwarnings("ignore")
    failed = {}
    for family, make in families().items():
        for exporter in EXPORTERS:
            name = f"{family}-{exporter}"
            if not re.search(args.only, name):
                continue
            if args.list:
                print(name)
                continue
            try:
                export(make, exporter, args.out / name)
                print(f"{name}: exported", flush=True)
            except Exception as e:  # what an exporter cannot do is told, and the others go on
                failed[name] = (str(e).strip() or traceback.format_exc()).splitlines()[0][:200]
                print(f"{name}: {failed[name]}", flush=True)
                (args.out / name / "model.onnx").unlink(missing_ok=True)
    if not args.list:
        (args.out / "exports.json").write_text(json.dumps(failed, indent=1) + "\n")


if __name__ == "__main__":
    main()
