package circuit_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// whole are circuits that Finish takes, with every form that the derivations of causality, bounds and ports look at.
func whole() map[string]func() *circuit.Builder {
	generation := func(private bool, build func(d decoder)) func() *circuit.Builder {
		return func() *circuit.Builder {
			d := newDecoder(private)
			build(d)
			return d.Builder
		}
	}
	attends := func(d decoder) { d.head(d.attend(d.scores(), future, meet)) }
	return map[string]func() *circuit.Builder{
		"ported":             ported,
		"attention":          generation(false, attends),
		"attention, private": generation(true, attends),
		"functions of weights": generation(false, func(d decoder) {
			d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", d.weights(func(w circuit.ID) circuit.ID {
				rounded := gadget.Rescale(d.Builder, "rounded", w, 3, -4, 3)
				return gadget.Table(d.Builder, "silu", rounded, "silu", 2, 2)
			}), d.x)))
		}),
		"shifts and roots": generation(false, func(d decoder) {
			shift := d.Const("shift", []int64{1, 0, 0, 1, 0, 0, 0, 1, 0}, positions, positions)
			moved := d.virtual("moved", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", shift, d.x)
			before := d.virtual("before", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", d.Affine("less", "i - j - 1", positions, positions), moved)
			r := gadget.Rsqrt(d.Builder, "r", d.virtual("s", []int{positions}, "td,td->t t=3 d=2", d.x, d.x), 1<<8, 1)
			y := gadget.Rescale(d.Builder, "y", d.virtual("product", []int{positions, 2}, "td,t->td t=3 d=2", before, r), 3, -16, 15)
			d.head(gadget.Max(d.Builder, "max", y, d.x))
		}),
		"a function in pieces": generation(false, func(d decoder) {
			d.head(d.round("rounded", gadget.PiecewiseLinear(d.Builder, "silu", d.x, 0, -4, 3, 1, "silu", 1, 3)))
		}),
		"the columns up to the row": generation(true, func(d decoder) {
			low := d.Const("low", []int64{1, 0, 0, 1, 1, 0, 1, 1, 1}, positions, positions)
			s := d.Virtual("masked", []int{positions, positions}, circuit.Product(d.Builder, 1, low, d.scores()))
			d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", gadget.Rescale(d.Builder, "w", s, 4, -8, 7), d.x)))
		}),
		"the columns up to the row, in limbs": generation(false, func(d decoder) {
			low := d.Const("low", []int64{1, 0, 0, 1, 1, 0, 1, 1, 1}, positions, positions)
			s := d.Virtual("masked", []int{positions, positions}, circuit.Product(d.Builder, 1<<16, low, d.scores()))
			d.head(d.round("context", d.virtual("ctx", []int{positions, 2}, "ij,jd->id i=3 j=3 d=2", gadget.Rescale(d.Builder, "w", s, 1, -1<<17, 1<<17-1), d.x)))
		}),
	}
}

// change changes one thing of a circuit, as far as that leaves every form as SPEC.md 16.1 has it, and says what.
func change(rng *rand.Rand, c *circuit.Circuit) string {
	pick := func(n int) int { return rng.IntN(max(n, 1)) }
	like := func(id circuit.ID, end int) circuit.ID { // a tensor of the same shape in front of end
		for range 50 {
			if k := circuit.ID(pick(end)); !c.Tensor(k).Mult && slices.Equal(c.Tensor(k).Shape, c.Tensor(id).Shape) {
				return k
			}
		}
		return id
	}
	if what := rng.IntN(20); what < 9 {
		return changeTensor(rng, c, like)
	} else if what < 15 && len(c.Hints) > 0 {
		return changeHint(rng, c, like)
	}
	l := pick(len(c.Lookups))
	switch rng.IntN(9) {
	case 0:
		c.Lookups = slices.Delete(c.Lookups, l, l+1)
		return fmt.Sprint("lookup ", l, " dropped")
	case 1:
		cols := c.Lookups[l].Cols
		i, j := pick(len(cols)), pick(len(cols))
		cols[i], cols[j] = cols[j], cols[i]
		return fmt.Sprint("lookup ", l, ": columns exchanged")
	case 2:
		t := pick(len(c.Tables))
		if len(c.Tables[t].Cols) == len(c.Lookups[l].Cols) {
			c.Lookups[l].Table = t
		}
		return fmt.Sprint("lookup ", l, " into table ", t)
	case 3:
		t := &c.Tables[pick(len(c.Tables))]
		col := t.Cols[pick(len(t.Cols))]
		i, v := pick(len(col)), col[pick(len(col))]
		col[i] = v
		return fmt.Sprint("table ", t.Name, ": line ", i, " has ", v)
	case 4:
		if len(c.Zeros) == 0 {
			return "nothing"
		}
		z := pick(len(c.Zeros))
		c.Zeros = slices.Delete(c.Zeros, z, z+1)
		return fmt.Sprint("zero-check ", z, " dropped")
	case 5:
		c.Lookups = append(c.Lookups, circuit.Lookup{Table: c.Lookups[l].Table, Cols: slices.Clone(c.Lookups[l].Cols)})
		return fmt.Sprint("lookup ", l, " doubled")
	case 6:
		z := circuit.ID(pick(len(c.Tensors)))
		c.Zeros = append(c.Zeros, z)
		return c.Tensor(z).Name + " zero-checked"
	case 7:
		t := c.Lookups[l]
		t.Cols = slices.Clone(t.Cols)
		for i := range t.Cols {
			t.Cols[i] = like(t.Cols[0], len(c.Tensors))
		}
		c.Lookups = append(c.Lookups, t)
		return fmt.Sprint("lookup ", l, " of others too")
	}
	k := c.Lookups[l].Cols[0]
	c.Lookups[l].Cols[0] = like(k, len(c.Tensors))
	return fmt.Sprint("lookup ", l, " of ", c.Tensor(c.Lookups[l].Cols[0]).Name)
}

func changeTensor(rng *rand.Rand, c *circuit.Circuit, like func(circuit.ID, int) circuit.ID) string {
	t := &c.Tensors[rng.IntN(len(c.Tensors))]
	switch {
	case t.Kind == circuit.Const:
		i, j := rng.IntN(len(t.Values)), rng.IntN(len(t.Values))
		t.Values[i] = t.Values[j]
		return fmt.Sprint(t.Name, ": cell ", i, " has ", t.Values[j])
	case t.Kind == circuit.Affine:
		i, by := rng.IntN(len(t.Values)), int64(rng.IntN(2)*2-1)
		t.Values[i] += by
		return fmt.Sprint(t.Name, ": number ", i, " changed by ", by)
	case t.Kind == circuit.Witness && !t.Mult && rng.IntN(2) == 0:
		t.Lo--
		return t.Name + " may be less"
	case t.Kind == circuit.Public:
		views := []circuit.View{circuit.PortValues, circuit.OneHot, circuit.ArgmaxAt, circuit.ArgmaxBelow, circuit.Selected, circuit.Known}
		t.View = views[rng.IntN(len(views))]
		return fmt.Sprint(t.Name, " is view ", t.View)
	case t.Kind != circuit.Virtual || len(t.Def) == 0:
		return "nothing"
	}
	k := rng.IntN(len(t.Def))
	term, name := &t.Def[k], fmt.Sprint(t.Name, ", term ", k, ": ")
	switch rng.IntN(7) {
	case 0:
		term.Coef = []int64{0, -term.Coef, term.Coef + 1, 2 * term.Coef, term.Coef / 2}[rng.IntN(5)]
		return fmt.Sprint(name, "coefficient ", term.Coef)
	case 1:
		t.Def = slices.Delete(t.Def, k, k+1)
		return name + "dropped"
	case 2:
		t.Def = append(t.Def, t.Def[k])
		return name + "doubled"
	case 3, 4:
		if len(term.Factors) > 0 {
			f := &term.Factors[rng.IntN(len(term.Factors))]
			f.T = like(f.T, int(t.ID))
			return fmt.Sprint(name, "factor ", c.Tensor(f.T).Name)
		}
	default:
		for _, f := range append([]circuit.Factor{{Axes: term.Out}}, term.Factors...) {
			if n := len(f.Axes); n >= 2 && rng.IntN(2) == 0 {
				a, b := n-2, n-1
				if slices.Equal(extents(term, f.Axes[a]), extents(term, f.Axes[b])) {
					f.Axes[a], f.Axes[b] = f.Axes[b], f.Axes[a]
					return name + "axes exchanged"
				}
			}
		}
	}
	return "nothing"
}

func extents(t *circuit.Term, labels []int) (out []int) {
	for _, l := range labels {
		out = append(out, t.Extents[l])
	}
	return out
}

func changeHint(rng *rand.Rand, c *circuit.Circuit, like func(circuit.ID, int) circuit.ID) string {
	i := rng.IntN(len(c.Hints))
	h, name := &c.Hints[i], fmt.Sprint("hint ", i, ": ")
	switch rng.IntN(9) {
	case 8:
		c.Hints = append(c.Hints, circuit.Hint{Kind: h.Kind, In: h.In, Out: slices.Clone(h.Out[:1+rng.IntN(len(h.Out))]), Params: h.Params, Table: h.Table})
		return name + "doubled"
	case 0:
		c.Hints = slices.Delete(c.Hints, i, i+1)
		return name + "dropped"
	case 1:
		j := rng.IntN(len(c.Hints))
		c.Hints[i], c.Hints[j] = c.Hints[j], c.Hints[i]
		return fmt.Sprint(name, "exchanged with ", j)
	case 2, 3:
		if len(h.Params) > 0 {
			k := rng.IntN(len(h.Params))
			h.Params[k] += []int64{-1, 1, 40, -h.Params[k]}[rng.IntN(4)]
			return fmt.Sprint(name, "parameter ", k, " is ", h.Params[k])
		}
	case 4:
		a, b := rng.IntN(len(h.Out)), rng.IntN(len(h.Out))
		h.Out[a], h.Out[b] = h.Out[b], h.Out[a]
		return name + "results exchanged"
	case 5:
		k := rng.IntN(len(h.Out))
		h.Out[k] = like(h.Out[k], len(c.Tensors))
		return fmt.Sprint(name, "result ", k, " is ", c.Tensor(h.Out[k]).Name)
	default:
		if len(h.In) > 0 {
			k := rng.IntN(len(h.In))
			if h.In[k] >= 0 {
				h.In[k] = like(h.In[k], len(c.Tensors))
			}
			if k == 1 && rng.IntN(3) == 0 {
				h.In[k] = -1
			}
			return fmt.Sprint(name, "input ", k, " is ", h.In[k])
		}
	}
	return "nothing"
}

// Circuits in which one thing, or two, were changed at random: the two verifiers, one after the text of SPEC.md, say the same of each.
// ZKLLMC_AUDITS=N tries more than a sample, from ZKLLMC_SEED on (make property).
func TestAuditsAgree(t *testing.T) {
	second.Python(t)
	n := 400
	if more, err := strconv.Atoi(os.Getenv("ZKLLMC_AUDITS")); err == nil {
		n = more
	}
	first, err := strconv.ParseUint(cmp.Or(os.Getenv("ZKLLMC_SEED"), "1"), 10, 64)
	require.NoError(t, err)
	bases := whole()
	var verdicts second.Verdicts
	taken := 0
	for _, name := range []string{"ported", "attention", "attention, private", "functions of weights", "shifts and roots", "the columns up to the row"} {
		_, err := bases[name]().Finish()
		require.NoError(t, err, name)
		for i := range n / len(bases) {
			seed := first + uint64(i)
			rng := rand.New(rand.NewPCG(seed, 7))
			b := bases[name]()
			what := fmt.Sprint(name, ", seed ", seed)
			for range 1 + seed%2 {
				what += "; " + change(rng, b.Unfinished())
			}
			data := encoding(b.Unfinished())
			_, err := b.Finish()
			verdicts.Add(what, data, err)
			if err == nil {
				taken++
			}
		}
	}
	t.Logf("%d of %d taken", taken, n)
	require.Greater(t, taken, n/20, "changes are too coarse")
	require.Less(t, taken, n*19/20, "changes do nothing")
	verdicts.Compare(t, second.Circuit)
}
