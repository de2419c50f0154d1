package circuit_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// The circuits of this file take 3 tokens of a vocabulary of 4 and are generations.
const (
	positions = 3
	words     = 4
)

// decoder is such a circuit: x is the rounded embedding, [3, 2].
type decoder struct {
	*circuit.Builder
	text witnesstest.Text
	x    circuit.ID
}

func newDecoder(private bool) decoder {
	text := witnesstest.Text{
		Name: "decoder", Length: positions, Vocab: words, Reveal: circuit.Argmax, PrivateInput: private, WeightBits: 4, WitnessBits: 4,
	}
	b := text.Builder()
	e := gadget.Embed(b, "embedding", text.Tokens(b), b.Weight("table", 8, words, 2))
	return decoder{b, text, gadget.Rescale(b, "x", e, 2, -32, 32)}
}

// encoding is the canonical encoding of what was built.
func (d decoder) encoding() []byte { return encoding(d.Unfinished()) }

func encoding(c *circuit.Circuit) []byte {
	var out bytes.Buffer
	c.Encode(&out)
	return out.Bytes()
}

// head makes logits of a [3, 2] tensor and reveals them.
func (d decoder) head(x circuit.ID) {
	d.text.Logits(d.Builder, d.Virtual("logits", []int{positions, words}, d.Times(1, "td,dv->tv t=3 d=2 v=4", x, d.Weight("head", 5, 2, words))))
}

// convolved is a convolution of x with the given windows of three cells: gathered and then weighed, or at once.
func (d decoder) convolved(where string, once bool) circuit.ID {
	window, w := d.Affine("window", where, positions, positions, 3), d.Weight("taps", 6, 2, 3, 2)
	shape := []int{positions, 2}
	if once {
		return d.round("convolved", d.virtual("windows", shape, "sd,stk,dke->te s=3 t=3 d=2 k=3 e=2", d.x, window, w))
	}
	u := d.virtual("windows", []int{positions, 3, 2}, "sd,stk->tkd s=3 t=3 d=2 k=3", d.x, window)
	return d.round("convolved", d.virtual("weighed", shape, "tkd,dke->te t=3 d=2 k=3 e=2", u, w))
}

// virtual is a sum of one term.
func (d decoder) virtual(name string, shape []int, spec string, in ...circuit.ID) circuit.ID {
	return d.Virtual(name, shape, d.Times(1, spec, in...))
}

func (d decoder) round(name string, v circuit.ID) circuit.ID {
	return gadget.Rescale(d.Builder, name, v, 4, -32, 32)
}

// argmax binds the claims about an output as gadget.Output does.
func argmax(d decoder, out int, logits, at circuit.ID) {
	b, shape := d.Builder, []int{positions, words}
	best := d.virtual("best", shape[:1], "tv,tv->t t=3 v=4", at, logits)
	gap := b.VirtualBound("gap", shape, 0, 1<<16-1, "looked up in this range", circuit.Spread(b, 1, best, shape, 0),
		b.Times(-1, "t,tv->tv t=3 v=4", b.View("selected", circuit.Selected, out), logits), circuit.Scaled(b, -1, b.View("below", circuit.ArgmaxBelow, out)))
	gadget.Limbs(b, "gap", gap, 16)
}

var params = attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}

// attend is attention of x to itself: scores s, mask cells row by row (none: no mask), and how weights and values meet.
func (d decoder) attend(s circuit.ID, mask []int64, meet string) circuit.ID {
	m := gadget.None
	if mask != nil {
		m = attention.Mask(d.Builder, "mask", mask, positions, positions)
	}
	e, inv := attention.ZkAttn(d.Builder, "attn", s, m, params)
	lo, hi, err := params.ContextBound(-32, 32)
	if err != nil {
		d.Fail("%v", err)
	}
	return d.round("context", d.VirtualBound("ctx", []int{positions, 2}, lo, hi, attention.ContextWhy, d.Times(1, meet, inv, e, d.x)))
}

// weights is f of the exponentials of attention to the past.
func (d decoder) weights(f func(w circuit.ID) circuit.ID) circuit.ID {
	e, _ := attention.ZkAttn(d.Builder, "attn", d.scores(), attention.Mask(d.Builder, "mask", future, positions, positions), params)
	return f(e)
}

func (d decoder) scores() circuit.ID {
	return d.virtual("scores", []int{positions, positions}, "id,jd->ij i=3 j=3 d=2", d.x, d.x)
}

var (
	future = []int64{0, 1, 1, 0, 0, 1, 0, 0, 0}
	meet   = "i,ij,jd->id i=3 j=3 d=2"
)

// timed are decoders, and why those that are not causal are refused.
var timed = map[string]struct {
	why   string // of the refusal; empty: none
	build func(d decoder)
}{
	"position by position": {"", func(d decoder) { d.head(d.x) }},
	"output of weights":    {"", func(d decoder) { d.text.Logits(d.Builder, d.Weight("output", 5, positions, words)) }},
	"attention to the past": {"", func(d decoder) {
		d.head(d.attend(d.scores(), future, meet))
	}},
	"attention to the past and itself only": {"", func(d decoder) {
		d.head(d.attend(d.scores(), []int64{0, 1, 1, 1, 0, 1, 1, 1, 0}, meet))
	}},
	"weights of the past, rounded": {"", func(d decoder) {
		d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
			return gadget.Rescale(d.Builder, "weights", w, 3, -4, 3) // clamped
		}), d.x)))
	}},
	"a difference of weights of the past": {"", func(d decoder) {
		d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
			return d.Virtual("difference", []int{positions, positions}, circuit.Scaled(d.Builder, 3, w), circuit.Product(d.Builder, -2, w, w))
		}), d.x)))
	}},
	"weights of the past, a function of zero that is zero": {"", func(d decoder) {
		d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
			return gadget.Table(d.Builder, "weights", w, "silu", 2, 2)
		}), d.x)))
	}},
	"weights of the past, a function of zero that is not": {"sums x over positions", func(d decoder) {
		d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
			return gadget.Table(d.Builder, "weights", w, "exp", 2, 2)
		}), d.x)))
	}},
	"weights of the past, rounded to a range without zero": {"sums x over positions", func(d decoder) {
		d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
			return gadget.Rescale(d.Builder, "weights", w, 3, 1, 15)
		}), d.x)))
	}},
	"weights of the past, and one": {"sums x over positions", func(d decoder) {
		d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
			return d.Virtual("more", []int{positions, positions}, circuit.Scaled(d.Builder, 1, w), circuit.Ones(1, []int{positions, positions}))
		}), d.x)))
	}},
	"attention without a mask": {"there is no constant mask", func(d decoder) {
		d.head(d.attend(d.scores(), nil, meet))
	}},
	"attention to one later position": {"leaves later positions open", func(d decoder) {
		d.head(d.attend(d.scores(), []int64{0, 1, 1, 0, 0, 0, 0, 0, 0}, meet))
	}},
	"attention by columns": {"", func(d decoder) { // what position j gets of later rows is zero where the mask is
		d.head(d.attend(d.scores(), future, "j,ji,id->jd i=3 j=3 d=2"))
	}},
	"weights of the past, values of all": {"sums x over positions", func(d decoder) {
		d.head(d.attend(d.scores(), future, "i,ij,kd->id i=3 j=3 d=2 k=3"))
	}},
	"weights transposed": {"sums", func(d decoder) {
		d.head(d.attend(d.scores(), future, "i,ij,id->jd i=3 j=3 d=2"))
	}},
	"scores of no later position need no mask": {"", func(d decoder) {
		w := d.Weight("keys", 5, positions, 2)
		d.head(d.attend(d.virtual("scores", []int{positions, positions}, "id,jd->ij i=3 j=3 d=2", d.x, w), nil, "i,ij,id->id i=3 j=3 d=2"))
	}},
	"scores of no later position, values of all": {"sums x over positions", func(d decoder) {
		w := d.Weight("keys", 5, positions, 2)
		d.head(d.attend(d.virtual("scores", []int{positions, positions}, "id,jd->ij i=3 j=3 d=2", d.x, w), nil, meet))
	}},
	"scores with a bound that is not true": {"a masked distance may be one that is exponentiated", func(d decoder) {
		s := d.VirtualBound("scores", []int{positions, positions}, 0, 1, "somebody said so", d.Times(1, "id,jd->ij i=3 j=3 d=2", d.x, d.x))
		d.head(d.attend(s, future, meet))
	}},
	"a sum over positions": {"sums x over positions", func(d decoder) {
		d.head(d.round("mean", d.virtual("sum", []int{positions, 2}, "ud->td u=3 t=3 d=2", d.x)))
	}},
	"a scale over all positions": {"sums x over positions", func(d decoder) { // of a norm, say: the product's other factor
		d.head(d.round("scaled", d.Virtual("product", []int{positions, 2}, d.Times(1, "td,ud->td t=3 u=3 d=2", d.x, d.x))))
	}},
	"a root over all positions": {"sums x over positions", func(d decoder) {
		r := gadget.Rsqrt(d.Builder, "r", d.virtual("s", []int{2}, "td,td->d t=3 d=2", d.x, d.x), 1<<8, 1)
		d.head(d.round("scaled", d.virtual("product", []int{positions, 2}, "td,d->td t=3 d=2", d.x, r)))
	}},
	"a root position by position": {"", func(d decoder) {
		r := gadget.Rsqrt(d.Builder, "r", d.virtual("s", []int{positions}, "td,td->t t=3 d=2", d.x, d.x), 1<<8, 1)
		d.head(d.round("scaled", d.virtual("product", []int{positions, 2}, "td,t->td t=3 d=2", d.x, r)))
	}},
	"the token before": {"", func(d decoder) {
		shift := d.Const("shift", []int64{0, 0, 0, 1, 0, 0, 0, 1, 0}, positions, positions)
		d.head(d.round("shifted", d.virtual("before", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", shift, d.x)))
	}},
	"the token before, by an equation": {"", func(d decoder) {
		d.head(d.round("shifted", d.virtual("before", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", d.Affine("shift", "i - j - 1", positions, positions), d.x)))
	}},
	"the token after, by an equation": {"sums x over positions", func(d decoder) {
		d.head(d.round("shifted", d.virtual("after", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", d.Affine("shift", "i - j + 1", positions, positions), d.x)))
	}},
	"a window that looks back":                      {"", func(d decoder) { d.head(d.convolved("i - j - k + 2", false)) }},
	"a window that looks back, its cells two apart": {"", func(d decoder) { d.head(d.convolved("i - j - 2k + 4", false)) }},
	"a window that looks back, weighed at once":     {"", func(d decoder) { d.head(d.convolved("i - j - k + 2", true)) }},
	"a window turned around":                        {"", func(d decoder) { d.head(d.convolved("i - j + k", false)) }},
	"a window over both sides":                      {"sums x over positions", func(d decoder) { d.head(d.convolved("i - j - k + 1", false)) }},
	"a window over both sides, weighed at once":     {"sums x over positions", func(d decoder) { d.head(d.convolved("i - j - k + 1", true)) }},
	"windows in steps of two":                       {"sums x over positions", func(d decoder) { d.head(d.convolved("i - 2j - k + 2", false)) }},
	"windows of a transposed convolution":           {"", func(d decoder) { d.head(d.convolved("2i - j + k", false)) }},
	"the token after": {"sums x over positions", func(d decoder) {
		shift := d.Const("shift", []int64{0, 1, 0, 0, 0, 1, 0, 0, 0}, positions, positions)
		d.head(d.round("shifted", d.virtual("after", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", shift, d.x)))
	}},
	"positions split": {"are split", func(d decoder) {
		d.head(d.round("back", d.virtual("split", []int{positions, 2}, "(te)d->(te)d t=3 e=1 d=2", d.x)))
	}},
	"positions merged with channels": {"merges them", func(d decoder) {
		flat := d.round("flat", d.virtual("merged", []int{positions * 2}, "td->(td) t=3 d=2", d.x))
		d.head(d.round("back", d.virtual("again", []int{positions, 2}, "(td)->td t=3 d=2", flat)))
	}},
	"what the statement claims": {"computed from what the statement claims", func(d decoder) {
		out := d.Output(circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Argmax}, d.Const("none", make([]int64, 12), positions, words))
		next := d.View("told", circuit.ArgmaxAt, out)
		y := d.round("y", d.virtual("v", []int{positions, 2}, "tv,td->td t=3 v=4 d=2", next, d.x))
		logits := d.virtual("logits", []int{positions, words}, "td,dv->tv t=3 d=2 v=4", y, d.Weight("head", 5, 2, words))
		d.Carry(out, logits)
		argmax(d, out, logits, next)
	}},
	"where the prompt ends": {"computed from what the statement claims", func(d decoder) {
		d.head(d.round("y", d.virtual("v", []int{positions, 2}, "t,td->td t=3 d=2", d.View("told", circuit.Known, 0), d.x)))
	}},
	"a hint of weights, tied to the tokens": {"y.rem constrains it and depends on later positions", func(d decoder) {
		y := d.Witness("y", -32, 32, positions, 2)
		d.Lookup(gadget.Range(d.Builder, -32, 32), y)
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.Weight("w", 5, positions, 2)}, Out: []circuit.ID{y}, Params: []int64{0}})
		gadget.Remainder(d.Builder, "y", 0, []int{positions, 2}, circuit.Scaled(d.Builder, 1, d.x), circuit.Scaled(d.Builder, -1, y))
		d.head(y)
	}},
	"a hint that does not tell what a constraint knows": {"sums x over positions", func(d decoder) {
		y := d.Witness("y", -32, 32, positions, 2)
		d.Lookup(gadget.Range(d.Builder, -32, 32), y)
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.x}, Out: []circuit.ID{y}, Params: []int64{0}})
		s := d.Const("shift", []int64{0, 1, 0, 0, 0, 1, 0, 0, 0}, positions, positions)
		gadget.Remainder(d.Builder, "y", 0, []int{positions, 2}, d.Times(1, "ts,sd->td t=3 s=3 d=2", s, d.x), circuit.Scaled(d.Builder, -1, y))
		d.head(y)
	}},
	"a witness that no hint yields": {"no hint", func(d decoder) {
		y := d.Witness("y", -32, 32, positions, 2)
		d.Lookup(gadget.Range(d.Builder, -32, 32), y)
		d.head(y)
	}},
	"a witness of two hints": {"more than one", func(d decoder) {
		y := gadget.Rescale(d.Builder, "y", d.x, 0, -32, 32)
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.x}, Out: []circuit.ID{y}, Params: []int64{0}})
		d.head(y)
	}},
	"a hint of an unknown kind": {"is unknown", func(d decoder) {
		y := d.Witness("y", -32, 32, positions, 2)
		d.Lookup(gadget.Range(d.Builder, -32, 32), y)
		d.Hint(circuit.Hint{Kind: 99, In: []circuit.ID{d.x}, Out: []circuit.ID{y}})
		d.head(y)
	}},
	"a hint of another shape": {"other axes than what it is made from", func(d decoder) {
		y := d.Witness("y", -32, 32, positions, 2)
		d.Lookup(gadget.Range(d.Builder, -32, 32), y)
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.Weight("w", 5, 2, positions)}, Out: []circuit.ID{y}, Params: []int64{0}})
		d.head(y)
	}},
}

// For every way in which the analysis must not lose sight of a position, the smallest circuit that takes it, and beside it the one that
// does not. Nothing is said of which by the one who builds it.
func TestCausality(t *testing.T) {
	var verdicts second.Verdicts
	for name, c := range timed {
		for _, private := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				d := newDecoder(private)
				c.build(d)
				_, err := d.Finish()
				verdicts.Add(fmt.Sprint(name, ", private ", private), d.encoding(), err)
				if c.why == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, circuit.ErrNotCausal)
				require.ErrorContains(t, err, c.why)
			})
		}
	}
	verdicts.Compare(t, second.Circuit)
}

// An output whose columns run over positions is not causal row by row.
func TestColumnsOverPositions(t *testing.T) {
	text := witnesstest.Text{
		Name: "square", Length: 3, Vocab: 3, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4,
	}
	b := text.Builder()
	x := gadget.Embed(b, "embedding", text.Tokens(b), b.Weight("table", 8, 3, 2))
	text.Logits(b, b.Virtual("logits", []int{3, 3}, b.Times(1, "td,vd->tv t=3 v=3 d=2", x, x)))
	_, err := b.Finish()
	require.ErrorIs(t, err, circuit.ErrNotCausal)
	require.ErrorContains(t, err, "axis 1 runs over positions too")
	var verdicts second.Verdicts
	verdicts.Add("square", encoding(b.Unfinished()), err)
	verdicts.Compare(t, second.Circuit)
}

// unmasked are changes of a masked attention, of which each lets it depend on later positions or takes away what shows that it does not.
var unmasked = map[string]func(c *circuit.Circuit, h *circuit.Hint){
	"another offset in the hint": func(c *circuit.Circuit, h *circuit.Hint) { h.Params[2]++ },
	"another shift in the hint":  func(c *circuit.Circuit, h *circuit.Hint) { h.Params[0]++ },
	"another least maximum":      func(c *circuit.Circuit, h *circuit.Hint) { h.Params[3]-- },
	"other bits of the distance": func(c *circuit.Circuit, h *circuit.Hint) { h.Params[1]++ },
	"more limbs than there are":  func(c *circuit.Circuit, h *circuit.Hint) { h.Params[4]++ },
	"results in another order": func(c *circuit.Circuit, h *circuit.Hint) {
		n := len(h.Out)
		h.Out[n-1], h.Out[n-3] = h.Out[n-3], h.Out[n-1]
	},
	"mask without influence":      func(c *circuit.Circuit, h *circuit.Hint) { division(c, h).Coef = 0 },
	"mask with half an influence": func(c *circuit.Circuit, h *circuit.Hint) { division(c, h).Coef /= 2 },
	"mask of another tensor":      func(c *circuit.Circuit, h *circuit.Hint) { division(c, h).Factors[0].T = h.In[0] },
	"mask turned": func(c *circuit.Circuit, h *circuit.Hint) {
		f := &division(c, h).Factors[0]
		f.Axes = [][]int{f.Axes[1], f.Axes[0]}
	},
	"exponential of a far distance": func(c *circuit.Circuit, h *circuit.Hint) { col := c.Tables[h.Table].Cols[1]; col[len(col)-1] = 1 },
	"maximum at a far distance":     func(c *circuit.Circuit, h *circuit.Hint) { col := c.Tables[h.Table].Cols[3]; col[len(col)-1] = 1 },
	"distance of more bits":         func(c *circuit.Circuit, h *circuit.Hint) { col := c.Tables[h.Table].Cols[0]; col[len(col)-1] = 1 << 20 },
	"far distance called near": func(c *circuit.Circuit, h *circuit.Hint) {
		for _, l := range c.Lookups {
			if l.Cols[0] == h.Out[len(h.Out)-4] {
				c.Tables[l.Table].Cols[1][1] = 1
			}
		}
	},
	"no lookup of the far part":  func(c *circuit.Circuit, h *circuit.Hint) { drop(c, h.Out[len(h.Out)-4]) },
	"no lookup of the near part": func(c *circuit.Circuit, h *circuit.Hint) { drop(c, h.Out[len(h.Out)-5]) },
	"mask of weights":            func(c *circuit.Circuit, h *circuit.Hint) { c.Tensor(h.In[1]).Kind = circuit.Weight },
	"mask with a two":            func(c *circuit.Circuit, h *circuit.Hint) { c.Tensor(h.In[1]).Values[1] = 2 },
	"mask with a gap":            func(c *circuit.Circuit, h *circuit.Hint) { c.Tensor(h.In[1]).Values[2] = 0 },
	"score counted half":         func(c *circuit.Circuit, h *circuit.Hint) { termOf(divisionOf(c), h.In[0]).Coef = 2 },
	"distance counted twice": func(c *circuit.Circuit, h *circuit.Hint) {
		d := divisionOf(c)
		d.Def = append(d.Def, *termOf(d, h.Out[len(h.Out)-5]))
	},
	"far part of less weight": func(c *circuit.Circuit, h *circuit.Hint) { termOf(divisionOf(c), h.Out[len(h.Out)-4]).Coef /= 2 },
	"maximum from above": func(c *circuit.Circuit, h *circuit.Hint) {
		termOf(divisionOf(c), named(c, "attn.max").ID).Coef *= -1
	},
	"limb that may be negative": func(c *circuit.Circuit, h *circuit.Hint) { c.Tensor(h.Out[0]).Lo = -1 },
	"limb that is taken away":   func(c *circuit.Circuit, h *circuit.Hint) { termOf(named(c, "attn.max"), h.Out[0]).Coef *= -1 },
	"limb that counts twice": func(c *circuit.Circuit, h *circuit.Hint) {
		d := named(c, "attn.max")
		d.Def = append(d.Def, *termOf(d, h.Out[0]))
	},
	"maximum from a lower least":  func(c *circuit.Circuit, h *circuit.Hint) { d := named(c, "attn.max").Def; d[len(d)-1].Coef-- },
	"maximum attained less twice": func(c *circuit.Circuit, h *circuit.Hint) { named(c, "attn.attained").Def[1].Coef = 0 },
	"maximum attained or not":     func(c *circuit.Circuit, h *circuit.Hint) { negative(c, named(c, "attn.attained").ID) },
	"remainder that is negative":  func(c *circuit.Circuit, h *circuit.Hint) { negative(c, divisionOf(c).ID) },
	"columns in another order": func(c *circuit.Circuit, h *circuit.Hint) {
		l := looks(c, h.Out[len(h.Out)-5])
		l.Cols[1], l.Cols[3] = l.Cols[3], l.Cols[1]
	},
	"far columns in another order": func(c *circuit.Circuit, h *circuit.Hint) { l := looks(c, h.Out[len(h.Out)-4]); slices.Reverse(l.Cols) },
	"a table of another one": func(c *circuit.Circuit, h *circuit.Hint) {
		t := c.Tables[h.Table]
		c.Tables = append(c.Tables, t)
		h.Table = len(c.Tables) - 1
	},
	"half of a distance too much": func(c *circuit.Circuit, h *circuit.Hint) {
		d := divisionOf(c)
		i := slices.IndexFunc(d.Def, func(m circuit.Term) bool { return len(m.Factors) == 0 })
		d.Def[i].Coef = 1
	},
	"distance of one value more": func(c *circuit.Circuit, h *circuit.Hint) {
		col := c.Tables[h.Table].Cols[0]
		col[len(col)-1] = 1 << params.DBits
	},
	"score that the mask chooses": func(c *circuit.Circuit, h *circuit.Hint) {
		m := termOf(divisionOf(c), h.In[0])
		m.Factors = append(m.Factors, circuit.Factor{T: h.In[1], Axes: m.Factors[0].Axes})
	},
	"score that is turned": func(c *circuit.Circuit, h *circuit.Hint) {
		termOf(divisionOf(c), h.In[0]).Factors[0].Axes = [][]int{{1}, {0}}
	},
	"score that is summed": func(c *circuit.Circuit, h *circuit.Hint) {
		m := termOf(divisionOf(c), h.In[0])
		m.Extents, m.Factors[0].Axes = append(m.Extents, positions), [][]int{{2}, {1}}
	},
	"rows in two parts": func(c *circuit.Circuit, h *circuit.Hint) {
		m := termOf(divisionOf(c), h.In[0])
		m.Extents, m.Out = append(m.Extents, 1), [][]int{{0, 2}, {1}}
	},
	"columns in two parts": func(c *circuit.Circuit, h *circuit.Hint) {
		m := termOf(divisionOf(c), h.In[0])
		m.Extents, m.Factors[0].Axes = append(m.Extents, 1), [][]int{{0}, {1, 2}}
	},
	"division of another shape": func(c *circuit.Circuit, h *circuit.Hint) { // of a maximum per cell of another axis
		d := divisionOf(c)
		d.Shape = []int{positions, positions, positions}
		for i := range d.Def {
			m := &d.Def[i]
			m.Extents, m.Out = d.Shape, [][]int{{0}, {1}, {2}}
			for k := range m.Factors {
				if f := &m.Factors[k]; len(f.Axes) == 2 {
					f.Axes = [][]int{{1}, {2}}
				}
			}
		}
	},
	"maximum attained, or one more": func(c *circuit.Circuit, h *circuit.Hint) {
		d := named(c, "attn.attained")
		d.Def = append(d.Def, circuit.Ones(1, d.Shape))
	},
	"no mask among the inputs": func(c *circuit.Circuit, h *circuit.Hint) { h.In = h.In[:1] },
	"no limb":                  func(c *circuit.Circuit, h *circuit.Hint) { h.Out, h.Params[4] = h.Out[len(h.Out)-5:], 0 },
	"a distance of -1 bits":    func(c *circuit.Circuit, h *circuit.Hint) { h.Params[1] = -1 },
	"a far part beyond 64 bits": func(c *circuit.Circuit, h *circuit.Hint) { // which then may be anything
		h.Params[1] = 64
		termOf(divisionOf(c), h.Out[len(h.Out)-4]).Coef = 0
		for i := range c.Tables[h.Table].Cols[0] {
			c.Tables[h.Table].Cols[0][i] = -1
		}
	},
	"a table of three columns":   func(c *circuit.Circuit, h *circuit.Hint) { c.Tables[h.Table].Cols = c.Tables[h.Table].Cols[:3] },
	"no lookup of the remainder": func(c *circuit.Circuit, h *circuit.Hint) { drop(c, divisionOf(c).ID) },
	"maximum without a limb":     func(c *circuit.Circuit, h *circuit.Hint) { d := named(c, "attn.max"); d.Def = d.Def[1:] },
}

// The parts of zkAttn that keep a masked score from counting, each taken away or changed in a circuit that has it whole.
func TestMaskedAttentionMustStand(t *testing.T) {
	var verdicts second.Verdicts
	for name, damage := range unmasked {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(false)
			d.head(d.attend(d.scores(), future, meet))
			c := d.Unfinished()
			require.NoError(t, c.CheckCausal(), "the control")
			for i := range c.Hints {
				if c.Hints[i].Kind == circuit.HintAttn {
					damage(c, &c.Hints[i])
				}
			}
			err := c.CheckCausal()
			verdicts.Add(name, d.encoding(), err)
			require.ErrorIs(t, err, circuit.ErrNotCausal)
		})
	}
	verdicts.Compare(t, second.Causality)
}

// What is looked up of a distance besides does not hide the lookups that count: it is causal as it was.
func TestMaskedAttentionMayBeLookedUpAgain(t *testing.T) {
	d := newDecoder(false)
	d.head(d.attend(d.scores(), future, meet))
	c := d.Unfinished()
	for _, h := range c.Hints {
		if h.Kind == circuit.HintAttn {
			u := h.Out[len(h.Out)-4]
			d.Lookup(gadget.Range(d.Builder, 0, c.Tensor(u).Hi), u)
		}
	}
	_, err := d.Finish()
	require.NoError(t, err)
}

// No tensor of a function has positions.
func TestFunctionsHaveNoTimeAxes(t *testing.T) {
	c, err := ported().Finish()
	require.NoError(t, err)
	_, ok := c.TimeAxes(port(c, "ids").T)
	require.False(t, ok)
}

// How far the analysis looks for a matrix that is zero above its diagonal, and in which form: just within, and one beyond, where another
// auditor may look farther.
func TestLowerMatricesAreLookedFor(t *testing.T) {
	ones := func(n int) string { return strings.Repeat(",.", n) }
	split := func(out [][]int) func(d decoder, m, one circuit.ID) circuit.ID {
		return func(d decoder, m, _ circuit.ID) circuit.ID {
			return d.Virtual("split", []int{positions, positions}, circuit.Term{
				Coef: 1, Extents: []int{positions, positions, 1}, Out: out, Factors: []circuit.Factor{{T: m, Axes: [][]int{{0}, {1}}}},
			})
		}
	}
	product := func(n int) func(d decoder, m, one circuit.ID) circuit.ID {
		return func(d decoder, m, one circuit.ID) circuit.ID {
			return d.virtual("product", []int{positions, positions}, "ij"+ones(n-1)+"->ij i=3 j=3", append([]circuit.ID{m}, slices.Repeat([]circuit.ID{one}, n-1)...)...)
		}
	}
	copies := func(n int) func(d decoder, m, one circuit.ID) circuit.ID {
		return func(d decoder, m, _ circuit.ID) circuit.ID {
			for range n {
				m = d.virtual("copy", []int{positions, positions}, "ij->ij i=3 j=3", m)
			}
			return m
		}
	}
	for name, test := range map[string]struct {
		causal  bool
		factors int // of the sum
		make    func(d decoder, m, one circuit.ID) circuit.ID
	}{
		"a sum of 64 factors":   {true, 64, copies(0)},
		"a sum of 65 factors":   {false, 65, copies(0)},
		"a product of 64":       {true, 2, product(64)},
		"a product of 65":       {false, 2, product(65)},
		"1024 copies":           {true, 2, copies(1 << 10)},
		"1025 copies":           {false, 2, copies(1<<10 + 1)},
		"a copy":                {true, 2, copies(1)},
		"rows of two labels":    {false, 2, split([][]int{{0, 2}, {1}})},
		"columns of two labels": {false, 2, split([][]int{{0}, {1, 2}})},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(false)
			m, one := d.Const("lower", []int64{1, 0, 0, 1, 1, 0, 1, 1, 1}, positions, positions), d.Const("one", []int64{1}, 1)
			in := append([]circuit.ID{test.make(d, m, one), d.x}, slices.Repeat([]circuit.ID{one}, test.factors-2)...)
			d.head(d.round("y", d.virtual("sum", []int{positions, 2}, "ts,sd"+ones(test.factors-2)+"->td t=3 s=3 d=2", in...)))
			_, err := d.Finish()
			if test.causal {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, circuit.ErrNotCausal)
		})
	}
}

// Of scores of several heads each is divided by itself: a division in which heads, rows and columns change places is no zkAttn's.
func TestMaskedAttentionOfHeads(t *testing.T) {
	var verdicts second.Verdicts
	for name, damage := range map[string]func(c *circuit.Circuit, h *circuit.Hint){
		"control": nil,
		"score that is turned": func(c *circuit.Circuit, h *circuit.Hint) {
			termOf(divisionOf(c), h.In[0]).Factors[0].Axes = [][]int{{0}, {2}, {1}}
		},
		"mask of heads and rows": func(c *circuit.Circuit, h *circuit.Hint) {
			termOf(divisionOf(c), h.In[1]).Factors[0].Axes = [][]int{{0}, {1}}
		},
		"maximum of rows and columns": func(c *circuit.Circuit, h *circuit.Hint) {
			termOf(divisionOf(c), named(c, "attn.max").ID).Factors[0].Axes = [][]int{{1}, {2}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(false)
			s := d.virtual("scores", []int{3, positions, positions}, "id,jd->hij h=3 i=3 j=3 d=2", d.x, d.x)
			d.head(d.attend(s, future, "hi,hij,jd->id h=3 i=3 j=3 d=2"))
			c := d.Unfinished()
			for i := range c.Hints {
				if damage != nil && c.Hints[i].Kind == circuit.HintAttn {
					damage(c, &c.Hints[i])
				}
			}
			err := c.CheckCausal()
			verdicts.Add(name, d.encoding(), err)
			if damage == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, circuit.ErrNotCausal)
		})
	}
	verdicts.Compare(t, second.Causality)
}

// A remainder of many bits is kept in its range by limbs that are taken off it, cell by cell, of which none is negative.
func TestWideRemainderMustStand(t *testing.T) {
	wide := params
	wide.Shift = 20
	var verdicts second.Verdicts
	for name, damage := range map[string]func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term){
		"control": nil,
		"a constant besides": func(c *circuit.Circuit, low *circuit.Tensor, _ *circuit.Term) {
			low.Def = append(low.Def, circuit.Ones(5, low.Shape))
		},
		"a limb that is turned": func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) {
			limb.Factors[0].Axes = [][]int{{1}, {0}}
		},
		"a limb that is added": func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) { limb.Coef = 1 },
		"a limb below zero":    func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) { c.Tensor(limb.Factors[0].T).Lo = -1 },
		"twice the remainder":  func(c *circuit.Circuit, low *circuit.Tensor, _ *circuit.Term) { low.Def[0].Coef = 2 },
		"a limb of two factors": func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) {
			limb.Factors = append(limb.Factors, limb.Factors[0])
		},
		"a limb of a larger one": func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) {
			c.Tensor(limb.Factors[0].T).Hi = 1 << 40
		},
		"a maximum for a limb": func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) { // one per row
			max := termOf(divisionOf(c), named(c, "attn.max").ID).Factors[0]
			max.T = named(c, "attn.max").Def[0].Factors[0].T
			limb.Coef, limb.Factors = -1, []circuit.Factor{max}
		},
		"a sum for a limb": func(c *circuit.Circuit, low *circuit.Tensor, limb *circuit.Term) { // which is said not to be negative
			s := named(c, "scores")
			s.Lo, s.Hi = 0, c.Tensor(limb.Factors[0].T).Hi
			limb.Factors[0].T = s.ID
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(false)
			s := d.Virtual("scores", []int{positions, positions}, d.Times(1<<18, "id,jd->ij i=3 j=3 d=2", d.x, d.x))
			e, _ := attention.ZkAttn(d.Builder, "attn", s, attention.Mask(d.Builder, "mask", future, positions, positions), wide)
			d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", e, d.x)))
			c := d.Unfinished()
			low := named(c, "attn.rem.limb0")
			if damage != nil {
				damage(c, low, &low.Def[1])
			}
			err := c.CheckCausal()
			verdicts.Add(name, d.encoding(), err)
			if damage == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, circuit.ErrNotCausal)
		})
	}
	verdicts.Compare(t, second.Causality)
}

// divisionOf is the tensor of zkAttn's remainders, division the term of its mask.
func divisionOf(c *circuit.Circuit) *circuit.Tensor { return named(c, "attn.rem") }

func division(c *circuit.Circuit, h *circuit.Hint) *circuit.Term {
	return termOf(divisionOf(c), h.In[1])
}

// termOf is a sum's term of a tensor.
func termOf(t *circuit.Tensor, factor circuit.ID) *circuit.Term {
	i := slices.IndexFunc(t.Def, func(m circuit.Term) bool { return len(m.Factors) == 1 && m.Factors[0].T == factor })
	return &t.Def[i]
}

// looks is the lookup whose first column is a tensor.
func looks(c *circuit.Circuit, first circuit.ID) *circuit.Lookup {
	i := slices.IndexFunc(c.Lookups, func(l circuit.Lookup) bool { return l.Cols[0] == first })
	return &c.Lookups[i]
}

// negative has a tensor looked up in a table with a negative line.
func negative(c *circuit.Circuit, id circuit.ID) {
	table := c.Tables[looks(c, id).Table]
	table.Cols = [][]int64{append(slices.Clone(table.Cols[0]), -1)}
	c.Tables = append(c.Tables, table)
	looks(c, id).Table = len(c.Tables) - 1
}

// drop takes all lookups away whose first column is a tensor.
func drop(c *circuit.Circuit, first circuit.ID) {
	c.Lookups = slices.DeleteFunc(c.Lookups, func(l circuit.Lookup) bool { return l.Cols[0] == first })
}
