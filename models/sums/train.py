"""Train and export "sums": a four-layer language model that adds two numbers.

    python train.py                 train, measure, export (the committed files)
    python train.py --untrained     export the same graph with initial weights
    python train.py --from stage1.pt     skip the first training stage
    python train.py --from stage2.pt --export-only   only measure and export

The model reads `327+458=` one character at a time and continues `785;`.
README.md says what the pieces are for.
"""

import argparse
import collections
import json
import math
import os
import time

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

SEED = 20240
THREADS = 2  # Fixed: the number of threads changes the order of float sums.

SEQ = 16  # Exported length. The longest text, `999+999=1998;`, has 13 tokens.
VOCAB = 16
DIM = 64
LAYERS = 4
HEADS = 4
HEAD_DIM = 16
HIDDEN = 128
EPS = 1e-5
ROPE_BASE = 10000.0

NUMBERS = 1000  # Operands are 0..999.
HELD_OUT = 20_000  # Pairs out of the million that training never sees.
SHOWN = (327, 458)  # The pair in README and test data; always held out.

CHARS = "0123456789+=;"
ID = {c: i for i, c in enumerate(CHARS)}
PAD = len(CHARS)  # 13; ids 14 and 15 are spare, so that VOCAB is a power of two.

HERE = os.path.dirname(os.path.abspath(__file__))


# ---------------------------------------------------------------- text


def tokenise(text):
    return [ID[c] for c in text]


def all_texts():
    """Token rows for all NUMBERS**2 texts `a+b=c;`, row index a*NUMBERS+b.

    Returns (tokens [N, SEQ] padded on the right, prompt length [N], text
    length [N]). A table of a million 16-byte rows is small, and indexing it
    is much cheaper than writing out strings in the training loop.
    """
    top = 2 * NUMBERS
    digits = np.zeros((top, 4), np.uint8)
    width = np.zeros(top, np.int64)
    for n in range(top):
        s = str(n)
        width[n] = len(s)
        digits[n, : len(s)] = [int(c) for c in s]

    pair = np.arange(NUMBERS * NUMBERS)
    a, b = pair // NUMBERS, pair % NUMBERS
    rows = np.full((len(pair), SEQ), PAD, np.uint8)
    at = np.zeros(len(pair), np.int64)

    def put_number(n):
        for j in range(4):
            some = np.nonzero(width[n] > j)[0]
            rows[some, at[some] + j] = digits[n[some], j]
        at[:] += width[n]

    def put_char(c):
        rows[pair, at] = ID[c]
        at[:] += 1

    put_number(a)
    put_char("+")
    put_number(b)
    put_char("=")
    prompt = at.copy()
    put_number(a + b)
    put_char(";")
    return torch.from_numpy(rows), torch.from_numpy(prompt), torch.from_numpy(at)


def split():
    """The held-out pairs (sorted indices) and a mask over all pairs."""
    order = np.random.default_rng(SEED).permutation(NUMBERS * NUMBERS)
    shown = SHOWN[0] * NUMBERS + SHOWN[1]
    held = [shown] + [int(i) for i in order[:HELD_OUT] if i != shown]
    held = np.sort(np.array(held[:HELD_OUT]))
    mask = np.zeros(NUMBERS * NUMBERS, bool)
    mask[held] = True
    return held, mask


def sample_pairs(rng, count, held_mask):
    """Training pairs. Uniform pairs alone almost never show short numbers or
    long carry chains, so half of the draw is spent on those two."""
    count_short, count_carry = count // 4, count // 4
    more = count // 8  # Spares, as held-out pairs are thrown away below.

    # Every combination of digit counts is equally likely.
    low, high = np.array([0, 10, 100]), np.array([10, 100, 1000])
    wa, wb = rng.integers(0, 3, (2, count_short))
    short = rng.integers(low[wa], high[wa]) * NUMBERS + rng.integers(low[wb], high[wb])

    # Columns that often sum to exactly 9 pass a carry on from the right; this
    # is the only case in which a digit depends on far-away columns.
    a = rng.integers(0, 10, (count_carry, 3))
    b = np.where(rng.random((count_carry, 3)) < 0.6, 9 - a, rng.integers(0, 10, (count_carry, 3)))
    place = np.array([100, 10, 1])
    carry = (a @ place) * NUMBERS + b @ place

    uniform = rng.integers(0, NUMBERS * NUMBERS, count - count_short - count_carry + more)
    pairs = np.concatenate([short, carry, uniform])
    return pairs[~held_mask[pairs]][:count]


# ---------------------------------------------------------------- model


class RMSNorm(nn.Module):
    # Written out in plain operations, so that the export holds no fused
    # normalisation operator.
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))

    def forward(self, x):
        mean_square = x.pow(2).mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + EPS) * self.weight


def rotate(x, cos, sin):
    """RoPE on whole halves: feature i is paired with feature i + HEAD_DIM/2."""
    first, second = x[..., : HEAD_DIM // 2], x[..., HEAD_DIM // 2 :]
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(DIM, HEADS * HEAD_DIM, bias=False)
        self.k = nn.Linear(DIM, HEADS * HEAD_DIM, bias=False)
        self.v = nn.Linear(DIM, HEADS * HEAD_DIM, bias=False)
        self.o = nn.Linear(HEADS * HEAD_DIM, DIM, bias=False)
        self.softmax = nn.Softmax(dim=-1)  # A module, so that a hook sees its input.

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape

        def heads(y):
            return y.view(batch, length, HEADS, HEAD_DIM).transpose(1, 2)

        q = rotate(heads(self.q(x)), cos, sin)
        k = rotate(heads(self.k(x)), cos, sin)
        v = heads(self.v(x))
        # By hand rather than through scaled_dot_product_attention: the export
        # is then the same few operators with every exporter version.
        scores = q @ k.transpose(-2, -1) * HEAD_DIM**-0.5 + mask
        mixed = self.softmax(scores) @ v
        return self.o(mixed.transpose(1, 2).reshape(batch, length, HEADS * HEAD_DIM))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(DIM, HIDDEN, bias=False)
        self.up = nn.Linear(DIM, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, DIM, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn_norm = RMSNorm()
        self.attn = Attention()
        self.mlp_norm = RMSNorm()
        self.mlp = MLP()

    def forward(self, x, cos, sin, mask):
        x = x + self.attn(self.attn_norm(x), cos, sin, mask)
        return x + self.mlp(self.mlp_norm(x))


class Sums(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RMSNorm()
        self.head = nn.Linear(DIM, VOCAB, bias=False)

        inverse = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2).double() / HEAD_DIM)
        angle = torch.outer(torch.arange(SEQ).double(), inverse)
        angle = torch.cat((angle, angle), dim=-1)
        mask = torch.full((SEQ, SEQ), -math.inf).triu(1)
        # Not parameters and the same for any weights, so not in checkpoints.
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)
        self.register_buffer("mask", mask, persistent=False)

        for name, p in self.named_parameters():
            if p.dim() != 2:
                continue
            std = 1.0 if name == "embed.weight" else p.shape[1] ** -0.5
            if name.endswith(("attn.o.weight", "mlp.down.weight")):
                # Keeps the sum over all layers' outputs near unit size.
                std /= math.sqrt(2 * LAYERS)
            nn.init.normal_(p, std=std)

    def forward(self, tokens):
        x = self.embed(tokens)
        cos, sin, mask = self.cos, self.sin, self.mask
        length = tokens.shape[1]
        if length < SEQ:  # Shorter inputs while training; never in the export.
            cos, sin, mask = cos[:length], sin[:length], mask[:length, :length]
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.head(self.norm(x))


# ---------------------------------------------------------------- training


def make_optimiser(model, peak, steps, warmup):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    gains = [p for p in model.parameters() if p.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}],
        lr=peak, betas=(0.9, 0.98), fused=True,
    )

    def rate(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def train(model, table, held_mask, *, steps, batch, peak, warmup, seed, limit, checkpoint):
    """One stage of training, from the model's present weights.

    With `limit` None the loss is cross-entropy only, which never stops
    rewarding larger logits and, behind them, larger activations. Whoever runs
    the model in fixed point pays for these in bits. With a limit, the loss
    also has terms against logits of any size and activations above the limit.
    """
    rows, prompt, length = table
    # No text is longer than 13 tokens and the model is causal, so 12 inputs
    # suffice to learn the answers. Only the terms about size need all of SEQ,
    # as they hold for the padding too.
    width = int(length.max()) - 1 if limit is None else SEQ
    wide = []
    hooks = []
    if limit is not None:
        for layer in model.layers:
            hooks.append(layer.register_forward_hook(lambda _, __, output: wide.append(output)))
            hooks.append(layer.mlp.down.register_forward_hook(
                lambda _, inputs, __: wide.append(inputs[0])))

    optimiser, schedule = make_optimiser(model, peak, steps, warmup)
    rng = np.random.default_rng(seed)
    # Steps are watched on training pairs: the held-out set decides nothing.
    watch = torch.from_numpy(sample_pairs(np.random.default_rng(SEED + 2), 4000, held_mask))
    position = torch.arange(width)
    start = time.time()
    for step in range(steps):
        pairs = torch.from_numpy(sample_pairs(rng, batch, held_mask))
        text = rows[pairs].long()
        inputs, targets = text[:, :width], F.pad(text[:, 1:], (0, 1), value=PAD)[:, :width]
        # Position i predicts token i+1: the answer and its `;`, nothing else.
        answer = (position >= prompt[pairs, None] - 1) & (position < length[pairs, None] - 1)
        wide.clear()
        logits = model(inputs)
        loss = F.cross_entropy(logits[answer], targets[answer])
        if limit is not None:
            loss = loss + 1e-3 * logits.square().mean()
            for value in wide:
                loss = loss + 0.1 * F.relu(value.abs() - limit).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 250 == 249 or step == steps - 1:
            right = exact(model, table, watch)
            print(f"step {step + 1} loss {loss.item():.5f} "
                  f"watched {right.float().mean():.4f} {time.time() - start:.0f}s", flush=True)
            torch.save(model.state_dict(), checkpoint)
    for hook in hooks:
        hook.remove()
    print(f"{steps} steps of {batch} pairs in {time.time() - start:.0f}s")


# ---------------------------------------------------------------- measuring


@torch.no_grad()
def exact(model, table, pairs):
    """For each pair: does greedy decoding give the whole answer and `;`?

    One pass over the finished text decides this. Greedy decoding can only
    leave the text at the first position whose best token is a wrong one, and
    up to there its input is the text itself.
    """
    rows, prompt, length = table
    width = int(length.max())  # What lies behind the longest text is padding.
    position = torch.arange(width - 1)
    result = []
    for part in pairs.split(4096):
        text = rows[part].long()
        best = model(text[:, : width - 1]).argmax(-1)
        matters = (position >= prompt[part, None] - 1) & (position < length[part, None] - 1)
        result.append(((best == text[:, 1:width]) | ~matters).all(-1))
    return torch.cat(result)


@torch.no_grad()
def smallest_lead(model, table, pairs):
    """How far, at least, the right token's logit is above all others: the
    error that a fixed-point run may make before an answer changes."""
    rows, prompt, length = table
    position = torch.arange(SEQ - 1)
    least = math.inf
    for part in pairs.split(4096):
        text = rows[part].long()
        matters = (position >= prompt[part, None] - 1) & (position < length[part, None] - 1)
        logits, right = model(text)[:, :-1][matters], text[:, 1:][matters][:, None]
        lead = logits.gather(1, right) - logits.scatter(1, right, -math.inf).amax(1, keepdim=True)
        least = min(least, lead.min().item())
    return least


@torch.no_grad()
def greedy(model, prompt_text):
    """What a user does: feed the padded prompt, append the best token, repeat."""
    ids = tokenise(prompt_text)
    answer = ""
    while len(ids) < SEQ:
        tokens = torch.tensor([ids + [PAD] * (SEQ - len(ids))])
        best = int(model(tokens)[0, len(ids) - 1].argmax())
        if best >= len(CHARS) or CHARS[best] == ";":
            break
        ids.append(best)
        answer += CHARS[best]
    return answer


@torch.no_grad()
def magnitudes(model, table, pairs):
    """Largest absolute activations, over padding positions too: a fixed-point
    run of the model computes those positions like all others."""
    top = collections.defaultdict(float)
    hooks = []

    def watch(module, name, reads_input=False):
        def hook(_, inputs, output):
            value = inputs[0] if reads_input else output
            value = value[value.isfinite()].abs()  # Masked scores are -inf.
            top[name] = max(top[name], value.max().item())
        hooks.append(module.register_forward_hook(hook))

    for layer in model.layers:
        watch(layer.attn_norm, "residual", True)
        watch(layer.mlp_norm, "residual", True)
        watch(layer.attn_norm, "normalised")
        watch(layer.mlp_norm, "normalised")
        watch(layer.attn.q, "q")
        watch(layer.attn.k, "k")
        watch(layer.attn.v, "v")
        watch(layer.attn.softmax, "score", True)
        watch(layer.attn.o, "attention output")
        watch(layer.mlp.gate, "gate")
        watch(layer.mlp.up, "up")
        watch(layer.mlp.down, "silu(gate)*up", True)
        watch(layer.mlp.down, "mlp output")
    watch(model.norm, "residual", True)
    watch(model.norm, "normalised")

    # A fixed-point 1/sqrt needs to know the range of its argument.
    squares = [math.inf, 0.0]

    def watch_square(_, inputs, __):
        square = inputs[0].square().mean(-1)
        squares[0] = min(squares[0], square.min().item())
        squares[1] = max(squares[1], square.max().item())

    for module in model.modules():
        if isinstance(module, RMSNorm):
            hooks.append(module.register_forward_hook(watch_square))
    watch(model.head, "logits")
    for part in pairs.split(4096):
        rows, prompt, _ = table
        text = rows[part].long()
        model(text)
        # Also as a user sends it: the prompt alone, padding after it.
        model(torch.where(torch.arange(SEQ) < prompt[part, None], text, PAD))
    for hook in hooks:
        hook.remove()
    return dict(top), squares


@torch.no_grad()
def rounded(model, bits):
    """A copy whose weights, and outputs of all linear and norm modules and
    whole layers, are rounded to `bits` fractional bits: a rough forecast of fixed point."""
    copy = Sums()
    copy.load_state_dict(model.state_dict())
    scale = 2.0**bits

    def nearest(x):
        return torch.round(x * scale) / scale

    for p in copy.parameters():
        p.copy_(nearest(p))
    for module in copy.modules():
        if isinstance(module, (nn.Linear, RMSNorm, Layer)):
            module.register_forward_hook(lambda _, __, output: nearest(output))
    return copy.eval()


def report(model, table, held):
    held = torch.from_numpy(held)
    right = exact(model, table, held)
    print(f"held-out exact match: {int(right.sum())}/{len(held)} = {right.float().mean():.5f}")
    everything = torch.arange(NUMBERS * NUMBERS)
    right = exact(model, table, everything)
    print(f"all pairs exact match: {int(right.sum())}/{len(everything)}")
    digits = torch.tensor([len(str(n)) for n in range(NUMBERS)])
    for wa in (1, 2, 3):
        for wb in (1, 2, 3):
            some = (digits[everything // NUMBERS] == wa) & (digits[everything % NUMBERS] == wb)
            print(f"  {wa}+{wb} digits: wrong {int((~right[some]).sum())} of {int(some.sum())}")
    for pair in everything[~right][:20].tolist():
        a, b = divmod(pair, NUMBERS)
        print(f"  wrong: {a}+{b}={greedy(model, f'{a}+{b}=')}")
    top, squares = magnitudes(model, table, held)
    for name, value in top.items():
        print(f"  largest |{name}|: {value:.2f}")
    print(f"  mean square in RMSNorm: {squares[0]:.4f} to {squares[1]:.2f}")
    print(f"  smallest lead of the right token's logit: {smallest_lead(model, table, held):.2f}")
    top = max(model.named_parameters(), key=lambda p: p[1].abs().max())
    print(f"  largest |weight|: {top[1].abs().max():.2f} in {top[0]}")
    for bits in (12, 10, 8, 7, 6):
        share = exact(rounded(model, bits), table, held).float().mean()
        print(f"  held-out exact match, values rounded to {bits} fractional bits: {share:.5f}")
    for a, b in (SHOWN, (7, 58), (2, 2), (0, 0), (999, 1), (999, 999), (505, 495)):
        print(f"  {a}+{b}={greedy(model, f'{a}+{b}=')}")


# ---------------------------------------------------------------- export


def export(model):
    path = os.path.join(HERE, "model.onnx")
    a, b = SHOWN
    # The finished text, so that one run shows every token of the answer: the
    # best token at position i is the token that follows it.
    ids = tokenise(f"{a}+{b}={a + b};")
    tokens = torch.tensor([ids + [PAD] * (SEQ - len(ids))])
    torch.onnx.export(
        model, (tokens,), path, dynamo=True, opset_version=18, external_data=False,
        input_names=["tokens"], output_names=["logits"], verbose=False,
    )
    # The graph stays as exported. Only the exporter's notes go: they quote
    # source lines with the paths of the machine that ran this.
    proto = onnx.load(path)
    graph = proto.graph
    for item in [proto, graph, *graph.node, *graph.value_info, *graph.input,
                 *graph.output, *graph.initializer]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)

    with torch.no_grad():
        expected = model(tokens).numpy()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rows, prompt, _ = all_texts()
    largest = 0.0
    for pair in [a * NUMBERS + b, *np.random.default_rng(SEED + 3).integers(0, NUMBERS**2, 500)]:
        text = rows[pair : pair + 1].long()
        for sent in (text, torch.where(torch.arange(SEQ) < prompt[pair], text, PAD)):
            (got,) = session.run(["logits"], {"tokens": sent.numpy()})
            with torch.no_grad():
                largest = max(largest, float(np.abs(got - model(sent).numpy()).max()))
    print(f"onnxruntime against PyTorch, largest difference of a logit: {largest:.2e}")
    assert largest < 1e-4

    folder = os.path.join(HERE, "test_data_set_0")
    os.makedirs(folder, exist_ok=True)
    for name, array, title in (("input_0.pb", tokens.numpy(), "tokens"),
                               ("output_0.pb", expected, "logits")):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(onnx.numpy_helper.from_array(array, title).SerializeToString())

    with open(os.path.join(HERE, "vocab.json"), "w") as f:
        json.dump({
            "tokeniser": "character",
            "vocab": ID,
            "pad_id": PAD,
            "end_token": ";",
            "unused_ids": list(range(PAD + 1, VOCAB)),
            "sequence_length": SEQ,
            "prompt": "Write a+b= with a and b from 0 to 999, no leading zeros and no "
                      "spaces. Each character is one token, in order, from position 0; "
                      "no start token. Fill up with pad_id on the right.",
            "decode": "With n tokens in place, the next token is the argmax of "
                      "logits[0, n-1]; write it at position n and repeat until ';'.",
        }, f, indent=2)
        f.write("\n")

    print(f"model.onnx: {os.path.getsize(path)} bytes, opset {proto.opset_import[0].version}")
    print("operators:", dict(sorted(collections.Counter(n.op_type for n in graph.node).items())))
    for t in graph.initializer:
        print("initializer", t.name, onnx.TensorProto.DataType.Name(t.data_type), list(t.dims))
    for node in graph.node:
        attributes = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
        print(node.op_type, list(node.input), "->", list(node.output),
              {k: v for k, v in attributes.items() if not isinstance(v, onnx.TensorProto)})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--from", dest="start", metavar="CHECKPOINT",
                        help="start from these weights, after the first stage")
    parser.add_argument("--export-only", action="store_true",
                        help="with --from: no second stage either")
    parser.add_argument("--work", default=".", metavar="FOLDER",
                        help="where the stages' weights are kept")
    args = parser.parse_args()

    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    if args.untrained:
        model = Sums().eval()
        # The exporter merges equal constants, and untrained gains are all 1.
        # Different gains give the graph that a trained model has.
        for module in model.modules():
            if isinstance(module, RMSNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
        export(model)
        return
    table = all_texts()
    held, held_mask = split()
    model = Sums()
    if args.start:
        model.load_state_dict(torch.load(args.start, weights_only=True))
    else:
        train(model, table, held_mask, steps=10_000, batch=512, peak=2e-3, warmup=200, seed=SEED + 1,
              limit=None, checkpoint=os.path.join(args.work, "stage1.pt"))
    if not args.export_only:
        train(model, table, held_mask, steps=1000, batch=512, peak=3e-4, warmup=50, seed=SEED + 4,
              limit=8.0, checkpoint=os.path.join(args.work, "stage2.pt"))
    model.eval()
    report(model, table, held)
    export(model)


if __name__ == "__main__":
    main()
