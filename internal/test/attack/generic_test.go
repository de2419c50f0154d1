package attack

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// The lies of this file are about the integer program of any circuit: a circuit's hints say where its operations stand. Each lie
// changes one thing and the prover goes on honestly from there, so that all other tensors follow from the lie. Each differs from
// the honest witness in a committed cell; where the program has one witness only, as it must, no proof of it may verify.

// some returns a few indices below n: the ends, and one in between in small circuits.
func (u *subject) some(n int) []int {
	if u.big {
		return spread(n, 2)
	}
	return spread(n, 3)
}

// truth is the honest assignment.
func (u *subject) truth(t testing.TB) *witness.Assignment {
	t.Helper()
	u.honest.Lock()
	defer u.honest.Unlock()
	if u.honest.witness == nil {
		a, err := u.generate(lie{})
		require.NoError(t, err)
		u.honest.witness = a
	}
	return u.honest.witness
}

// hints lists the hints of some kinds, the first and the last of them in a big circuit.
func (u *subject) hints(kinds ...circuit.HintKind) []*circuit.Hint {
	var all, out []*circuit.Hint
	for i := range u.c.Hints {
		if slices.Contains(kinds, u.c.Hints[i].Kind) {
			all = append(all, &u.c.Hints[i])
		}
	}
	for _, i := range u.some(len(all)) {
		out = append(out, all[i])
	}
	return out
}

// cellTo is the override of one cell, or none where the cell holds that value already.
func (u *subject) cellTo(t testing.TB, id circuit.ID, cell int, x int64) []named {
	was := u.truth(t).Tensor(id).All()[cell]
	if was == x {
		return nil
	}
	name := u.c.Tensor(id).Name
	return []named{{what: fmt.Sprintf("%s[%d] = %d instead of %d", name, cell, x, was), lie: lie{override: at(name, cell, set(x))}}}
}

// offBy changes some cells of a tensor by each of the distances.
func (u *subject) offBy(t testing.TB, id circuit.ID, ds ...int64) (out []named) {
	v := u.truth(t).Tensor(id).All()
	for n, cell := range u.some(len(v)) {
		if u.big {
			ds = ds[:min(len(ds), 2)]
			out = append(out, u.cellTo(t, id, cell, v[cell]+ds[n%len(ds)])...)
			continue
		}
		for _, d := range ds {
			out = append(out, u.cellTo(t, id, cell, v[cell]+d)...)
		}
	}
	return out
}

// first limits the lies about a big circuit: a proof of one takes a second.
func (u *subject) first(n int, lies []named) []named {
	if u.big && len(lies) > n {
		var out []named
		for _, i := range spread(len(lies), n) {
			out = append(out, lies[i])
		}
		return out
	}
	return lies
}

// A quotient that is off by one leaves a remainder out of its range.
func rescaleOffByOne(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintRescale, circuit.HintClamp, circuit.HintWide) {
		out = append(out, u.offBy(t, h.Out[0], 1, -1)...)
	}
	return u.first(3, out)
}

// Cells beyond the range that their lookup allows, in every committed tensor.
func cellOutOfRange(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; c.Kind == circuit.Witness && !c.Mult {
			out = append(out, u.cellTo(t, c.ID, 0, c.Hi+1)...)
			out = append(out, u.cellTo(t, c.ID, circuit.Size(c.Shape)-1, c.Lo-1)...)
		}
	}
	return u.first(4, out)
}

// The branches of a clamp that do not apply, each with its own bound as the value and the excess that this leaves.
func otherSaturationBranch(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintClamp, circuit.HintWide) {
		digits, class := h.Out[:1], u.c.Tensor(h.Out[1])
		if p, wide := h.Wide(); wide {
			if int(p.Digits) == len(h.Out) {
				continue // it never clamps
			}
			digits, class = h.Out[:p.Digits], u.c.Tensor(h.Out[p.Digits])
		}
		v := u.truth(t).Tensor(class.ID).All()
		cells := u.some(len(v))
		if i := slices.IndexFunc(v, func(k int64) bool { return k != 0 }); i >= 0 {
			cells = append(cells, i)
		}
		for _, cell := range cells {
			for _, k := range []int64{-1, 0, 1} {
				if k == v[cell] {
					continue
				}
				name, whole := u.c.Tensor(digits[0]).Name, at(class.Name, cell, set(k))
				for _, id := range digits {
					y := u.c.Tensor(id)
					bound := y.Hi
					if k == -1 || k == 0 && v[cell] == -1 {
						bound = y.Lo
					}
					whole = both(at(y.Name, cell, set(bound)), whole)
					out = append(out, u.cellTo(t, y.ID, cell, bound)...) // the value, or one of its limbs, without its branch
				}
				out = append(out, named{what: fmt.Sprintf("%s[%d] saturates to branch %d", name, cell, k), lie: lie{override: whole}})
				out = append(out, u.cellTo(t, class.ID, cell, k)...) // the branch without its value
			}
		}
	}
	return u.first(3, out)
}

// Limbs above the lowest: the lowest is what is left, or the value recomposed from them is another one.
func limbThatDoesNotRecompose(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintLimbs, circuit.HintRsqrt, circuit.HintRecip, circuit.HintClamp, circuit.HintWide, circuit.HintAttn) {
		limbs := h.Out
		switch h.Kind {
		case circuit.HintRsqrt, circuit.HintRecip, circuit.HintWide:
			limbs = h.Out[1:]
		case circuit.HintClamp:
			limbs = h.Out[2:]
		case circuit.HintAttn:
			limbs = h.Out[1:maximumLimbs(h)]
		}
		for _, id := range limbs {
			out = append(out, u.offBy(t, id, 1, -1)...)
		}
	}
	return u.first(3, out)
}

// maximumLimbs is the number of limbs of a row's maximum, which come first of what zkAttn's hint yields.
func maximumLimbs(h *circuit.Hint) int64 {
	p, _ := h.Attn()
	return p.Limbs
}

// A function's value with another argument's.
func outputOfAnotherLine(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintTable) {
		out = append(out, u.offBy(t, h.Out[0], 1, -1, 2)...)
	}
	for _, h := range u.hints(circuit.HintAttn) {
		out = append(out, u.offBy(t, h.Out[maximumLimbs(h)+2], 1, -1)...)
	}
	return u.first(3, out)
}

// The inverse square root off by one, and the negative root.
func rsqrtOffByOne(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintRsqrt) {
		out = append(out, u.offBy(t, h.Out[0], 1, -1, 2, -2)...)
		for _, cell := range u.some(circuit.Size(u.c.Tensor(h.Out[0]).Shape)) {
			out = append(out, u.cellTo(t, h.Out[0], cell, -u.truth(t).Tensor(h.Out[0]).All()[cell])...)
		}
	}
	return u.first(4, out)
}

func reciprocalOffByOne(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintRecip) {
		out = append(out, u.offBy(t, h.Out[0], 1, -1)...)
	}
	return u.first(3, out)
}

// A row maximum too large, with and without an indicator that claims it is attained, and one too small.
func wrongRowMax(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintAttn) {
		max, zd := u.c.Tensor(h.Out[0]), u.c.Tensor(h.Out[len(h.Out)-1])
		out = append(out, u.offBy(t, max.ID, 1, -1)...)
		n := zd.Shape[len(zd.Shape)-1]
		for _, row := range u.some(circuit.Size(max.Shape)) {
			out = append(out, named{what: fmt.Sprintf("%s[%d] too large and claimed to be attained", max.Name, row),
				lie: lie{override: both(at(max.Name, row, add(1)), at(zd.Name, row*n, set(1)))}})
		}
	}
	return u.first(4, out)
}

// A masked position that gets weight: by the exponential alone, by all segments of the distance, by the indicator.
func attentionToAMaskedPosition(t testing.TB, u *subject) (out []named) {
	for _, h := range u.hints(circuit.HintAttn) {
		if h.In[1] < 0 {
			continue
		}
		i := slices.Index(u.truth(t).Tensor(h.In[1]).All(), 1)
		if i < 0 {
			continue
		}
		seg := h.Out[maximumLimbs(h):] // d_lo, u, e, z_u, z_d
		name := func(k int) string { return u.c.Tensor(seg[k]).Name }
		e := u.c.Tensor(seg[2]).Hi
		for what, f := range map[string]func(string, []int64){
			"weight alone":           at(name(2), i, set(e)),
			"segments of distance 0": both(at(name(0), i, set(0)), at(name(1), i, set(0))),
			"high segment 0":         both(at(name(1), i, set(0)), at(name(3), i, set(1))),
			"indicator alone":        at(name(3), i, set(1)),
		} {
			out = append(out, named{what: fmt.Sprintf("%s[%d]: %s", name(2), i, what), lie: lie{override: f}})
		}
	}
	slices.SortFunc(out, byText)
	return u.first(4, out)
}

func byText(a, b named) int { return slices.Compare([]byte(a.what), []byte(b.what)) }

// program is the prover's own version of the circuit, with one tensor declared otherwise.
func (u *subject) program(id circuit.ID, change func(t *circuit.Tensor)) *circuit.Circuit {
	c := *u.c
	c.Tensors = slices.Clone(u.c.Tensors)
	change(&c.Tensors[id])
	return &c
}

// otherPrograms keeps the programs whose witness differs from the honest one: the others are true. Of the programs 4n are tried, and of a
// big circuit n are kept.
func (u *subject) otherPrograms(t testing.TB, n int, programs []named) (out []named) {
	for _, i := range spread(len(programs), 4*n) {
		if len(out) < n || !u.big {
			a, err := u.generate(programs[i].lie)
			require.NoError(t, err)
			if !sameWitness(u.c, a, u.truth(t)) {
				out = append(out, programs[i])
			}
		}
	}
	return out
}

func sameWitness(c *circuit.Circuit, a, b *witness.Assignment) bool {
	for i := range c.Tensors {
		if c.Tensors[i].Kind == circuit.Witness && !slices.Equal(a.Tensor(circuit.ID(i)).All(), b.Tensor(circuit.ID(i)).All()) {
			return false
		}
	}
	return true
}

// isMask says whether a constant masks attention.
func (u *subject) isMask(id circuit.ID) bool {
	return slices.ContainsFunc(u.c.Hints, func(h circuit.Hint) bool { return h.Kind == circuit.HintAttn && h.In[1] == id })
}

// changedConstant is the program with another cell of a constant.
func (u *subject) changedConstant(id circuit.ID, cell int, x int64) named {
	c := u.c.Tensor(id)
	return named{what: fmt.Sprintf("%s[%d] = %d instead of %d", c.Name, cell, x, c.Values[cell]), lie: lie{circuit: u.program(id, func(t *circuit.Tensor) {
		t.Values = slices.Clone(t.Values)
		t.Values[cell] = x
	})}}
}

// A mask that shows what is to be hidden or hides what is to be seen.
func wrongMask(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; c.Kind == circuit.Const && u.isMask(c.ID) {
			n := c.Shape[len(c.Shape)-1]
			for cell, v := range c.Values {
				row := c.Values[cell/n*n : cell/n*n+n]
				if v == 1 || !oneOpen(row) { // every row needs a position to attend to
					out = append(out, u.changedConstant(c.ID, cell, 1-v))
				}
			}
		}
	}
	return u.otherPrograms(t, 2, out)
}

func oneOpen(row []int64) bool {
	open := 0
	for _, v := range row {
		if v == 0 {
			open++
		}
	}
	return open == 1
}

// Another constant: a rotary angle, an offset.
func wrongConstant(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; c.Kind == circuit.Const && !u.isMask(c.ID) {
			for _, cell := range u.some(len(c.Values)) {
				out = append(out, u.changedConstant(c.ID, cell, c.Values[cell]+1))
			}
		}
	}
	return append(u.otherPrograms(t, 2, out), otherMap(t, u)...)
}

// A map of indices with another offset, or another stride: a slice that begins one cell later, a window that moves in larger steps.
func otherMap(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; c.Kind == circuit.Affine {
			for k := range c.Values {
				out = append(out, u.changedConstant(c.ID, k, c.Values[k]+1), u.changedConstant(c.ID, k, c.Values[k]-1))
			}
		}
	}
	return u.otherPrograms(t, 2, out)
}

// A sum without one of its terms, or with the sign of one changed: no skip connection, no bias, no rounding offset.
func termLeftOut(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		c := &u.c.Tensors[i]
		if c.Kind != circuit.Virtual || len(c.Def) < 2 {
			continue
		}
		for k := range c.Def {
			out = append(out, named{what: fmt.Sprintf("%s without term %d", c.Name, k),
				lie: lie{circuit: u.program(c.ID, func(t *circuit.Tensor) { t.Def = slices.Delete(slices.Clone(t.Def), k, k+1) })}})
			out = append(out, named{what: fmt.Sprintf("%s with term %d negated", c.Name, k), lie: lie{circuit: u.program(c.ID, func(t *circuit.Tensor) {
				t.Def = slices.Clone(t.Def)
				t.Def[k].Coef = -t.Def[k].Coef
			})}})
		}
	}
	return u.otherPrograms(t, 2, out)
}

// A looked-up virtual tensor that is not what its definition says, in one cell, with the multiplicities that belong to the lie.
func columnThatIsNotDefined(_ testing.TB, u *subject) (out []named) {
	seen := map[circuit.ID]bool{}
	for _, l := range u.c.Lookups {
		for _, id := range l.Cols {
			if c := u.c.Tensor(id); c.Kind == circuit.Virtual && !seen[id] {
				seen[id] = true
				cell := circuit.Size(c.Shape) - 1
				out = append(out, named{what: fmt.Sprintf("%s[%d]", c.Name, cell), lie: lie{edit: u.edit(id, cell)}})
			}
		}
	}
	return u.first(2, out)
}

// Multiplicities that count a line once too often, or one line for its neighbour.
func wrongMultiplicity(_ testing.TB, u *subject) (out []named) {
	for i := range u.c.Tables {
		m := u.c.Tensor(u.c.Tables[i].Mult)
		last := m.Shape[0] - 1
		out = append(out, named{what: m.Name + " one too many", lie: lie{override: at(m.Name, last, add(1))}})
		if last > 0 {
			out = append(out, named{what: m.Name + " moved", lie: lie{override: both(at(m.Name, 0, add(1)), at(m.Name, last, add(-1)))}})
		}
	}
	return u.first(2, out)
}

// The committed tensors, multiplicities among them, with cells off by one, negated and exchanged.
func committedTensorChanged(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; c.Kind == circuit.Witness {
			out = append(out, cellLies(c, u.truth(t).Tensor(c.ID).All())...)
		}
	}
	return u.first(6, out)
}

// One cell of one weight is another one than was committed to; and all weights are.
func wrongWeights(_ testing.TB, u *subject) (out []named) {
	other := map[circuit.ID]integer.Tensor{}
	for _, id := range protocol.WeightIDs(u.c) {
		c, w := u.c.Tensor(id), u.weights[id]
		for _, cell := range spread(len(w.V), 2) {
			d := int64(1)
			if w.V[cell] == c.Hi {
				d = -1
			}
			out = append(out, named{what: fmt.Sprintf("%s[%d] off by %d", c.Name, cell, d), lie: lie{weights: u.changed(id, cell, d)}})
		}
		other[id] = integer.Tensor{Shape: w.Shape, V: slices.Clone(w.V)}
		slices.Reverse(other[id].V)
	}
	out = u.first(2, out)
	for id, w := range other {
		if !slices.Equal(w.V, u.weights[id].V) {
			return append(out, named{what: "the weights of another model", lie: lie{weights: other}})
		}
	}
	return out
}

// The prover computes with the honest witness and commits to one that differs in a cell.
func committedCellChanged(t testing.TB, u *subject) (out []named) {
	var ids []circuit.ID
	for i := range u.c.Tensors {
		if u.c.Tensors[i].Kind == circuit.Witness {
			ids = append(ids, circuit.ID(i))
		}
	}
	for _, i := range u.some(len(ids)) {
		c := u.c.Tensor(ids[i])
		cell := circuit.Size(c.Shape) - 1
		row, col := u.locate(t, c.ID, cell)
		out = append(out, named{what: fmt.Sprintf("%s[%d]", c.Name, cell), lie: lie{rows: func(_ *commit.Layout, rows [][]int32) { rows[row][col]++ }}})
	}
	return out
}

// A false cell in a commitment whose gaps, chunk tails and padding hold garbage, also the very difference that is missing.
func garbage(t testing.TB, u *subject) (out []named) {
	free := u.gaps(t)
	if len(free) == 0 {
		return nil
	}
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; c.Kind == circuit.Witness && !c.Mult {
			cell := circuit.Size(c.Shape) - 1
			for _, x := range []int32{-1, 1<<31 - 1} {
				out = append(out, named{what: fmt.Sprintf("%s[%d] beside %d", c.Name, cell, x),
					lie: lie{override: at(c.Name, cell, add(1)), rows: fillGaps(free, func(int, int) int32 { return x })}})
			}
		}
	}
	return u.first(2, out)
}
