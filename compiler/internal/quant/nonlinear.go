package quant

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// norm lowers a normalisation over the last axis, n cells wide:
//
//	S = Σ x²,  r = ⌊√(Num/(S + ε))⌋ with Num = n·2^(2k),  y = x·r·γ + β
//
// so that x·r ≈ 2^k·x/√(mean x²): the scale of x cancels, only ε is in its units. A centred norm takes x := n·x − Σ x, exact,
// rounded to 16 bits where S would leave no room for Num.
func (q *quantiser) norm(n *ir.Node, v *ir.Value) error {
	a := n.Attr.(*ir.NormAttr)
	x, err := q.value(n.In[0])
	if err != nil {
		return err
	}
	if x.raw {
		x = q.narrow(n, x)
	}
	width := v.Shape[len(v.Shape)-1]
	rms, top := q.cal.rowNorm(n.In[0], a.Center)
	rms = math.Sqrt(float64(rms*rms) + a.Eps) // what the root is of
	if a.Center {
		x = q.center(n, x, v, width, top)
	}
	key := v.Name + " input"
	if bits := q.bits(key); bits > ActBits || q.cal.exacting() {
		return q.wideNorm(n, v, a, x, key, bits)
	}
	x = q.lift(n, x, v, float64(float64(width)*a.Eps))
	kind := 0
	if a.Center {
		kind = 1
	}
	if q.roundNorm[kind] || q.squares(x, width).BitLen() > narrowBits {
		x = q.normInput(n, v, x, key, ActBits, top)
	}
	k := q.rootScale(x, width, rms)
	if !q.roundNorm[kind] && q.rootBits(x, k, rms) < minRsqrt {
		q.roundNorm[kind], q.retry = true, true
		return n.Errorf("its input needs rounding")
	}
	q.rootError(v, key, ActBits, q.rootBits(x, k, rms))
	s := q.sumSquares(n, v, x, 0)
	num := int64(width) << (2 * k)
	eps := math.Max(1, math.Round(float64(width)*a.Eps*math.Ldexp(1, 2*x.scale)/(x.mult*x.mult)))
	if eps >= 1<<61 {
		return n.Errorf("epsilon %g is %g in units of the input's square; scale the input up, or choose a smaller epsilon", a.Eps, eps)
	}
	r := q.add(n, v.Name+".rsqrt", s.Shape, []ir.ValueID{s.ID}, ir.OpRsqrt, &ir.RsqrtAttr{Num: num, Eps: portable.Clamp(eps)})
	r.Scale = k - x.scale
	q.note(r, "rsqrt", 0, rms, false)
	return q.normalised(n, v, a, x, r, k, num, 0) // x is what the squares in r are of
}

// squares is the most that a sum of so many squares of a value may be.
func (q *quantiser) squares(x *rep, width int) *big.Int {
	v := q.o.Value(x.id)
	bound := big.NewInt(max(v.Hi, -v.Lo))
	bound.Mul(bound, bound)
	return bound.Mul(bound, big.NewInt(int64(width)))
}

// normInput rounds the input of a normalisation, for it alone.
func (q *quantiser) normInput(n *ir.Node, v *ir.Value, x *rep, key string, bits int, top float64) *rep {
	s := q.rescale(n, x, min(x.scale, scaleFor(headroom*top/x.mult, bits), q.needed(x, q.cal.moves.input[v.ID])), bits, top)
	sense := 0.0
	if s.scale != x.scale {
		sense = q.cal.moves.input[v.ID]
	}
	q.rounded(key, s, bits, sense, true)
	return s
}

// rootError notes the error of an inverse root of so many significant bits: it is rounded down, by up to one unit.
func (q *quantiser) rootError(v *ir.Value, key string, bits, significant int) {
	q.noteError(key, bits, ir.Size(v.Shape), q.cal.moves.root[v.ID]*math.Ldexp(1, -2*significant)/3, true)
}

// wideNorm lowers a normalisation whose input has more than 16 bits, because rows of very different sizes share its scale:
//
//	S = Σ x² + ε − 2^(t-1),  u = ⌊(S + 2^(t-1))/2^t⌋,  r = ⌊√(Num/(u + 1))⌋ with Num = n·2^(2k−t),  y = x·r·γ + β
//
// so that again x·r ≈ 2^k·x/√(mean x²). S is exact, u has lost the bits that the root has no use for, and what is left for Num makes r
// precise for rows of all sizes: of the 61 bits of Num·u/… half are the root's. t balances both errors, at the largest calibrated row and
// at the smallest.
func (q *quantiser) wideNorm(n *ir.Node, v *ir.Value, a *ir.NormAttr, x *rep, key string, bits int) error {
	width := v.Shape[len(v.Shape)-1]
	log := bitLen(width - 1)
	bits = min(bits, (q.sumBits()-log)/2+1) // S has as many as sums
	rms, top := q.cal.rowNorm(n.In[0], a.Center)
	least := math.Sqrt(float64(q.cal.leastRow(n.In[0], a.Center)) + a.Eps)
	rms = math.Sqrt(float64(rms*rms) + a.Eps)
	x = q.normInput(n, v, x, key, bits, top)
	unit := float64(x.mult * math.Ldexp(1, -x.scale))
	large := portable.Log2Ceil(math.Max(rms/unit, 1))
	small := 2*portable.Log2Floor(math.Max(least/unit, 1)) + log - 1 // of S at the smallest row

	squares := q.squares(x, width)
	k, t, want := 0, 0, 14 // bits of the root at the largest row
	if q.far {
		want = 20 // the product x·r·γ may be wide too
	}
	for t = 2; ; t += 2 {
		u := squares.BitLen() - t + 1
		k = min(large+want+1, (60-log+t)/2, (2*58-max(u, 1)-log+t)/2)
		if u <= narrowBits && (k-large >= want || small-t-2 < k-large || u <= 2) {
			break
		}
	}
	if q.cal.exacting() {
		q.rootError(v, key, bits, fineRoot)
	} else {
		q.rootError(v, key, bits, min(k-large, (small-t)+1))
	}
	if k <= 0 || 2*k < t {
		return n.Errorf("its rows differ by more than a factor of 2^%d in size, and nothing of the root of some would be left; scale them to like magnitudes", large-small/2)
	}
	eps := math.Round(float64(width) * a.Eps / float64(unit*unit))
	if eps >= 1<<60 {
		return n.Errorf("epsilon %g is %g in units of the input's square; scale the input up, or choose a smaller epsilon", a.Eps, eps)
	}
	s := q.sumSquares(n, v, x, portable.Clamp(eps)-1<<(t-1))
	if q.err != nil {
		return q.err
	}
	_, most := quotients(s, t)
	ubits := max(1, bitLen64(most))
	u := q.add(n, v.Name+".mean", s.Shape, []ir.ValueID{s.ID}, ir.OpRescale, &ir.RescaleAttr{Shift: t, Lo: 0, Hi: 1<<ubits - 1})
	u.Scale = s.Scale - t
	num := int64(width) << (2*k - t)
	r := q.add(n, v.Name+".rsqrt", s.Shape, []ir.ValueID{u.ID}, ir.OpRsqrt, &ir.RsqrtAttr{Num: num, Eps: 1})
	r.Scale = k - x.scale
	q.note(r, "rsqrt", t, rms, false)
	if q.cal.exacting() {
		return q.fineNorm(n, v, a, x, r, num, t, eps)
	}
	return q.normalised(n, v, a, x, r, k, num, t)
}

func bitLen(n int) int     { return bits.Len(uint(n)) }
func bitLen64(n int64) int { return bits.Len64(uint64(n)) }

// center is n·x − Σ x, whose real meaning is n·(x − mean).
func (q *quantiser) center(n *ir.Node, x *rep, v *ir.Value, width int, top float64) *rep {
	axes, extents := ir.IdentityAxes(v.Shape)
	last := len(v.Shape) - 1
	summed := append([][]int(nil), axes...)
	extra := append(append([]int(nil), extents...), width)
	summed[last] = []int{len(extents)}
	attr := &ir.EinsumAttr{Terms: []ir.Term{
		{ICoef: int64(width), Coef: float64(width), Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes},
		{ICoef: -1, Coef: -1, Extents: extra, In: []int{0}, Axes: [][][]int{summed}, Out: axes},
	}}
	w := q.add(n, v.Name+".centred", v.Shape, []ir.ValueID{x.id}, ir.OpEinsum, attr)
	w.Scale = x.scale
	r := &rep{id: w.ID, from: x.from}
	frac, exp := math.Frexp(x.mult / float64(width))
	r.mult, r.scale = float64(2*frac), x.scale-(exp-1)
	return r
}

// minEpsilon is the least number of units of the input's square that epsilon should be: it is an integer of at least 1.
const minEpsilon = 8

// lift multiplies an input of so coarse a scale that epsilon would vanish in rounding by a power of two, exactly.
func (q *quantiser) lift(n *ir.Node, x *rep, v *ir.Value, eps float64) *rep {
	units := eps * math.Ldexp(1, 2*x.scale) / (x.mult * x.mult)
	if units >= minEpsilon || units <= 0 {
		return x
	}
	up := min((portable.Log2Ceil(minEpsilon/units)+1)>>1, 24-q.width(x.id))
	if up <= 0 {
		return x
	}
	axes, extents := ir.IdentityAxes(v.Shape)
	attr := &ir.EinsumAttr{Terms: []ir.Term{
		{ICoef: 1 << up, Coef: math.Ldexp(1, up), Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes},
	}}
	w := q.add(n, v.Name+".lifted", v.Shape, []ir.ValueID{x.id}, ir.OpEinsum, attr)
	w.Scale = x.scale + up
	return &rep{id: w.ID, scale: w.Scale, mult: x.mult, from: x.from}
}

// rootScale chooses k: enough for WeightBits significant bits of r at the largest calibrated row, and Num and the slacks of r in
// bounds: Num < 2^61, 2·√(Num·S) + S < 2^61.
func (q *quantiser) rootScale(x *rep, width int, rms float64) int {
	log := bitLen(width - 1)
	want := 15 + portable.Log2Ceil(math.Max(rms, 1e-9)/x.mult) + x.scale
	squares := 2*q.width(x.id) + log
	limit := min((60-log)/2, (2*58-squares-log)/2)
	return max(1, min(want, limit))
}

// rootBits is the number of significant bits of r at a row of the given root mean square.
func (q *quantiser) rootBits(x *rep, k int, rms float64) int {
	return k - x.scale - portable.Log2Ceil(math.Max(rms, 1e-9)/x.mult)
}

// sumSquares is Σ x² plus a constant.
func (q *quantiser) sumSquares(n *ir.Node, v *ir.Value, x *rep, more int64) *ir.Value {
	axes, extents := ir.IdentityAxes(v.Shape)
	shape := v.Shape[:len(v.Shape)-1]
	attr := &ir.EinsumAttr{Terms: []ir.Term{{ICoef: 1, Coef: 1, Extents: extents, In: []int{0, 0}, Axes: [][][]int{axes, axes}, Out: axes[:len(shape)]}}}
	if more != 0 {
		out, extents := ir.IdentityAxes(shape)
		attr.Terms = append(attr.Terms, ir.Term{ICoef: more, Coef: float64(more), Extents: extents, In: []int{}, Axes: [][][]int{}, Out: out})
	}
	s := q.add(n, v.Name+".squares", shape, []ir.ValueID{x.id}, ir.OpEinsum, attr)
	s.Scale = 2 * x.scale
	return s
}

// normalised is x·r·γ + β, x·r being bounded by the argument of gadget.NormBound.
func (q *quantiser) normalised(n *ir.Node, v *ir.Value, a *ir.NormAttr, x *rep, r *ir.Value, k int, num int64, shift int) error {
	most, why := gadget.NormBound(num, shift)
	return q.weighed(n, v, a, q.perRow(v), []ir.ValueID{x.id, r.ID}, k, big.NewInt(most), why)
}

// weighed is t·γ + β, t being a term of some operands, with the scale k and so bounded.
func (q *quantiser) weighed(n *ir.Node, v *ir.Value, a *ir.NormAttr, t ir.Term, in []ir.ValueID, k int, bound *big.Int, why string) error {
	axes, extents := ir.IdentityAxes(v.Shape)
	last := len(v.Shape) - 1
	scale, mult := k, 1.0
	next := 1
	terms := []ir.Term{t}
	if a.HasGamma {
		gamma := q.leaf(n.In[next], noLimit, 1)
		next++
		terms[0].In, terms[0].Axes, in = append(slices.Clone(t.In), len(in)), append(slices.Clone(t.Axes), axes[last:]), append(in, gamma.id)
		scale += gamma.scale
		mult = gamma.mult
		g := q.o.Value(gamma.id)
		bound.Mul(bound, big.NewInt(max(g.Hi, -g.Lo)))
		if low := q.lowGain(v, gamma); low != nil {
			rest := terms[0].Clone()
			rest.In[len(rest.In)-1] = len(in)
			terms[0].ICoef, terms[0].Coef, scale = 1<<lowBits, 1<<lowBits, scale+lowBits
			terms, in = append(terms, rest), append(in, low.id)
			bound.Lsh(bound, lowBits+1)
		}
	}
	attr := &ir.EinsumAttr{Terms: terms}
	if a.HasBeta {
		beta := q.leaf(n.In[next], scale, 1)
		if scale-beta.scale > 61 || beta.scale-scale > 61 {
			return n.Errorf("the scales of the bias and of the normalised product are 2^%d and 2^%d, and nothing of one would be left; bring scale and bias to like magnitudes", beta.scale, scale)
		}
		if up := beta.scale - scale; up > 0 { // a bias that another use has quantised more finely
			if up+lowBits > 61 {
				return n.Errorf("the scales of the bias and of the normalised product are 2^%d and 2^%d, and a sum of them has too many bits; bring scale and bias to like magnitudes", beta.scale, scale)
			}
			for i := range attr.Terms {
				attr.Terms[i].ICoef <<= up
				attr.Terms[i].Coef = float64(attr.Terms[i].ICoef)
			}
			scale = beta.scale
			bound.Lsh(bound, uint(up))
		}
		up := int64(1) << (scale - beta.scale)
		attr.Terms = append(attr.Terms, ir.Term{ICoef: up, Coef: float64(up), Extents: extents, In: []int{len(in)}, Axes: [][][]int{axes[last:]}, Out: axes})
		in = append(in, beta.id)
		b := q.o.Value(beta.id)
		bound.Add(bound, new(big.Int).Mul(big.NewInt(up), big.NewInt(max(b.Hi, -b.Lo))))
		in, scale = q.lowBias(attr, in, beta, scale, bound)
	}
	if why == "" || bound.BitLen() > narrowBits && q.far { // maybe wide, by what intervals say of it
		w := q.add(n, v.Name, v.Shape, in, ir.OpEinsum, attr)
		w.Scale = scale
		q.set(v.ID, &rep{id: w.ID, scale: scale, mult: mult, raw: true})
		return q.err
	}
	if bound.BitLen() > narrowBits {
		q.wide = true
		return n.Errorf("the normalised product may reach ±%v, beyond 2^62; scale its scale or its bias down", bound)
	}
	w := q.o.Derive(n, ir.OpEinsum, v.Name, v.Shape, in, attr)
	w.Scale, w.Lo, w.Hi = scale, -bound.Int64(), bound.Int64()
	q.why[w.ID] = why
	q.set(v.ID, &rep{id: w.ID, scale: scale, mult: mult, raw: true})
	return nil
}

// lowGain is what the 16 bits of a normalisation's scale leave of it, nil where the outputs do not miss it: the scale has outliers. The
// product of x, r and all 31 bits is a wide sum.
func (q *quantiser) lowGain(v *ir.Value, gamma *rep) *rep {
	w := q.f.Value(gamma.from)
	if w.Def.Op != ir.OpWeight {
		return nil
	}
	// The normalised cells, of which γ's errors are factors, have the mean square 1.
	unit := math.Ldexp(1, -gamma.scale) / gamma.factor
	variance := float64(q.cal.moves.value[v.ID]*unit*unit) / 12
	if !q.far {
		q.gains += variance
		return nil
	}
	key := w.Name + " weights"
	if !(variance > float64(q.cal.target()*q.cal.target())/64) {
		q.noteError(key, WeightBits, ir.Size(w.Shape), variance, false)
		return nil
	}
	q.noteError(key, WeightBits+lowBits, ir.Size(w.Shape), math.Ldexp(variance, -2*lowBits), false)
	return q.leafLow(w, gamma)
}

// maxScoreShift is the largest shift at which distances of two bits more than are exponentiated, which masks make, stay below 2^61.
const maxScoreShift = 61 - expBits - 2

// argScale is the finest scale of arguments that a function usually has: its table is linear between steps of that size.
const argScale = 14

const (
	finestArg    = 32     // the finest scale that a table has
	finestWindow = 55     // the same of one over a range of its own
	scaleless    = "relu" // max(c·x, 0) = c·max(x, 0): its table serves all scales
)

// functionScale is the one argument and result scale of all uses of a function: they share a table. Arguments have TableBits bits, and low
// bits more where the outputs need them: then the function is linear between multiples of 2^low.
type functionScale struct {
	in, out, low int
	lo, hi       int64   // arguments, of scale in
	bend         float64 // variance of what lines between multiples of 2^low miss of it, whatever low is
}

// mostPieceBits is the largest number of bits of arguments of a function in linear pieces: their results have resultBits more, and are
// below 2^31.
const (
	mostPieceBits = 27
	resultBits    = 4
)

// functionKey is the name of the roundings of uses of a function that have one scale, of their arguments and of their results.
func (q *quantiser) functionKey(n *ir.Node) string { return q.groups[n.Out[0]] }

// groupUses says which uses of functions have one scale: all of a function, or where the range counts those whose ranges are alike, as those of
// layers are.
func (q *quantiser) groupUses() {
	q.groups = map[ir.ValueID]string{}
	type group struct {
		key  string
		args span
	}
	groups := map[string][]*group{} // by function
	for _, n := range q.f.Nodes {
		if n.Op != ir.OpUnary {
			continue
		}
		fn, args := n.Attr.(*ir.UnaryAttr).Fn, q.cal.spans[n.In[0]]
		if !windowed(fn) {
			q.groups[n.Out[0]] = fn + " argument"
			continue
		}
		f, _ := ir.Function(fn)
		at := slices.IndexFunc(groups[fn], func(g *group) bool { return alikeSpans(f, g.args, args) })
		if at < 0 {
			at = len(groups[fn])
			key := fn + " argument"
			if at > 0 {
				key = fmt.Sprintf("%s argument %d", fn, at+1)
			}
			groups[fn] = append(groups[fn], &group{key: key, args: args})
		}
		g := groups[fn][at]
		g.args.merge(args)
		q.groups[n.Out[0]] = g.key
	}
}

// alikeSpans says that one table of a function serves two ranges of arguments with two bits less than each could have, at most.
func alikeSpans(f func(float64) float64, a, b span) bool {
	both := a
	both.merge(b)
	measure := func(args span) (width, top float64) {
		var s functionScale
		s.window(f, args, TableBits, true)
		return math.Ldexp(1, -s.in), s.largest(f)
	}
	width, top := measure(both)
	for _, args := range []span{a, b} {
		if w, t := measure(args); width > 4*w || top > float64(4*t) {
			return false
		}
	}
	return true
}

// chooseFunctionScales gives the uses of every elementwise function one scale for its arguments, from the largest calibrated one, and one for
// its results, at which all of them fit 16 bits.
func (q *quantiser) chooseFunctionScales() error {
	q.funcs = map[string]functionScale{}
	q.groupUses()
	args, missed, fns := map[string]span{}, map[string]float64{}, map[string]string{}
	for _, n := range q.f.Nodes {
		if n.Op == ir.OpUnary {
			key := q.functionKey(n)
			of := args[key]
			of.merge(q.cal.spans[n.In[0]])
			args[key], fns[key] = of, n.Attr.(*ir.UnaryAttr).Fn
			missed[key] += math.Ldexp(q.cal.moves.value[n.In[0]]/12, -2*argScale)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		fn := fns[key]
		if isRoot(fn) || isRounding(fn) {
			continue
		}
		f, ok := ir.Function(fn)
		if !ok {
			return fmt.Errorf("quant: function %s has no meaning", fn)
		}
		bits := min(max(TableBits, q.widths[key]), q.fixed().pieces)
		s := functionScale{low: bits - TableBits}
		free := s.low > 0 || missed[key] > float64(q.cal.target()*q.cal.target()) // the outputs need steps that other models do not
		if windowed(fn) {
			s.window(f, args[key], bits, free)
		} else {
			s.symmetric(fn, args[key], bits, free)
		}
		largest := s.largest(f)
		if s.out = scaleFor(largest, ActBits); s.low > 0 {
			s.out = scaleFor(largest, q.resultBits(bits))
		}
		s.bend = q.cal.bends.of(fn, s, f)
		q.funcs[key] = s
	}
	return nil
}

// symmetric chooses as many arguments on either side of 0.
func (s *functionScale) symmetric(fn string, args span, bits int, free bool) {
	s.in = scaleFor(float64(headroom*math.Max(args.hi, -args.lo)), bits)
	if !free {
		s.in = min(s.in, argScale)
	} else if fn != scaleless {
		s.in = min(s.in, finestArg)
	}
	s.lo, s.hi = -1<<(bits-1), 1<<(bits-1)-1
}

// windowed says that a function rises too far on one side of 0, or is no number there, for arguments on both.
func windowed(fn string) bool {
	_, composed := tables.Composed(fn)
	return composed || fn == "exp"
}

// mostRise is how many times larger a function may be where there is headroom than where calibration saw arguments.
const mostRise = 64

// window chooses the arguments that calibration saw, with headroom away from 0 as far as the function does not rise too much, and those
// between them and 0; with a pole at 0, or a peak, those from the least magnitude on, with headroom towards 0.
func (s *functionScale) window(f func(float64) float64, args span, bits int, free bool) {
	finite := func(x float64) bool { return math.Abs(f(x)) <= math.MaxFloat64 }
	top := 0.0
	for _, x := range []float64{args.lo, args.hi, args.least, -args.least} {
		if y := math.Abs(f(x)); y <= math.MaxFloat64 && args.lo <= x && x <= args.hi {
			top = math.Max(top, y)
		}
	}
	near := func(x float64) bool { return math.Abs(f(x)) <= float64(mostRise*math.Max(top, 0x1p-40)) }
	end := func(x, inner float64) float64 {
		if x == 0 {
			if !near(0) {
				return inner
			}
			return 0
		}
		more := headroom - 1
		for ; more > 1.0/32 && !near(float64(x*(1+more))); more /= 2 {
		}
		if !finite(float64(x * (1 + more))) {
			return x
		}
		return float64(x * (1 + more))
	}
	lo, hi := end(args.lo, args.least/headroom), end(args.hi, -args.least/headroom)
	lo, hi = -rough(-lo), rough(hi)
	if !finite(lo) || !finite(hi) { // beyond the largest number, where the coarser end lies behind an edge of the function
		lo, hi = end(args.lo, args.least/headroom), end(args.hi, -args.least/headroom)
	}
	most := float64(int64(1)<<bits - 2<<s.low)
	s.in = portable.Log2Floor(most / math.Max(hi-lo, 0x1p-100))
	if free {
		s.in = min(s.in, finestWindow)
	} else {
		s.in = min(s.in, argScale)
	}
	block := int64(1) << s.low
	s.lo = portable.Clamp(math.Floor(math.Ldexp(lo, s.in-s.low))) * block
	s.hi = portable.Clamp(math.Ceil(math.Ldexp(hi, s.in-s.low)))*block + block - 1
	if s.low == 0 {
		s.hi = max(s.hi, s.lo+1)
	}
	for !finite(math.Ldexp(float64(s.lo), -s.in)) && s.lo+block < s.hi && lo < hi {
		s.lo += block
	}
	for !finite(math.Ldexp(float64(s.hi+1-block), -s.in)) && s.hi-block > s.lo && lo < hi {
		s.hi -= block
	}
}

// rough rounds an end of a range upwards, to three significant bits. Ends are part of the circuit, and what calibration saw follows from the
// weights: more bits of it would tell more of them than scales do.
func rough(x float64) float64 {
	if x == 0 {
		return 0
	}
	unit := math.Ldexp(1, portable.Log2Floor(math.Abs(x))-2)
	return float64(math.Ceil(x/unit) * unit)
}

// largest is the largest magnitude of a function at some arguments, of those at which it is a number.
func (s *functionScale) largest(f func(float64) float64) (top float64) {
	lo, step := math.Ldexp(float64(s.lo), -s.in), math.Ldexp(float64(s.hi)-float64(s.lo)+1, -s.in)/512
	for i := range 513 {
		if y := math.Abs(f(lo + float64(step*float64(i)))); y <= math.MaxFloat64 {
			top = math.Max(top, y)
		}
	}
	return top
}

// bendings keeps what bends found, which all drafts of a program ask for.
type bendings struct {
	mu    sync.Mutex
	known map[bendKey]float64
}

type bendKey struct {
	fn      string
	in, low int
	lo, hi  int64
}

func (b *bendings) of(fn string, s functionScale, f func(float64) float64) float64 {
	key := bendKey{fn, s.in, s.low, s.lo, s.hi}
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.known[key]
	if !ok {
		v = s.bends(f)
		b.known[key] = v
	}
	return v
}

// bends is the variance of what linear pieces of 2^low arguments, or of one if there are no pieces, miss of a function. The line between the ends of a
// piece is off by up to an eighth of the second derivative times the square of the length, in the middle; the mean square is 8/15 of that
// one's.
func (s *functionScale) bends(f func(float64) float64) float64 {
	length := math.Ldexp(1, s.low-s.in)
	most, from := 0.0, f(float64(length*float64(s.lo>>s.low)))
	for i := s.lo >> s.low; i <= s.hi>>s.low; i++ {
		to := f(float64(length * float64(i+1)))
		if d := math.Abs((from+to)/2 - f(float64(length*(float64(i)+0.5)))); d <= math.MaxFloat64 { // where it is a number
			most = math.Max(most, d)
		}
		from = to
	}
	return float64(most * most * 8 / 15)
}

// unary lowers an elementwise function: the argument is rescaled to the table's index range, clamped, and looked up.
func (q *quantiser) unary(n *ir.Node, v *ir.Value) error {
	fn := n.Attr.(*ir.UnaryAttr).Fn
	switch {
	case isRoot(fn):
		return q.root(n, v, fn)
	case isRounding(fn):
		return q.integral(n, v, fn)
	}
	x, err := q.value(n.In[0])
	if err != nil {
		return err
	}
	if fn == scaleless && q.cal.exacting() {
		return q.fineRelu(n, v, x)
	}
	key := q.functionKey(n)
	s := q.funcs[key]
	x = q.plain(n, q.near(n, q.coarser(n, x, s.in+fineGuard), s.in), s.in)
	inScale, outScale := s.in, s.out
	if s.in > argScale && fn == scaleless {
		inScale, outScale = 0, s.out-s.in
	}
	if s.low > 0 {
		return q.piecewise(n, v, x, s, &ir.PiecewiseLinearAttr{Low: s.low, Fn: fn, InScale: inScale, OutScale: outScale})
	}
	if v := q.o.Value(x.id); x.scale != s.in || v.Wide() || v.Lo < s.lo || v.Hi > s.hi {
		if x, err = q.argument(n, x, s); err != nil {
			return err
		}
		q.rounded(key, x, TableBits, q.cal.moves.value[n.In[0]], true)
	}
	in := q.o.Value(x.id)
	w := q.add(n, v.Name, v.Shape, []ir.ValueID{x.id}, ir.OpTable, &ir.TableAttr{Fn: fn, InScale: inScale, OutScale: outScale, Lo: in.Lo, Hi: in.Hi})
	w.Scale = s.out
	q.note(w, "table", 0, q.cal.Max[v.ID], false)
	q.functionOf(v, w, key, s, math.Ldexp(1, -2*s.out)/12)
	return nil
}

// argument commits the argument of a table, clamped to what that has.
func (q *quantiser) argument(n *ir.Node, x *rep, s functionScale) (*rep, error) {
	shift := x.scale - s.in
	if shift > gadget.MaxShift {
		return nil, n.Errorf("its argument has the scale 2^%d, of which 2^%d is left; scale it down", x.scale, s.in)
	}
	if q.width(x.id)-shift > mostQuotient {
		return nil, tooWide(n, q.o.Value(x.id).Bounds(), mostQuotient+shift)
	}
	v := q.o.Value(x.id)
	lo, hi := quotients(v, shift)
	w := q.add(n, v.Name+".rounded", v.Shape, []ir.ValueID{x.id}, ir.OpRescale, &ir.RescaleAttr{Shift: shift, Lo: s.lo, Hi: s.hi})
	w.Scale = s.in
	q.note(w, "activation", shift, q.cal.Max[n.In[0]], lo < s.lo || hi > s.hi)
	return &rep{id: w.ID, scale: s.in, mult: x.mult, from: x.from}, nil
}

// piecewise lowers an elementwise function whose arguments have more bits than a table.
func (q *quantiser) piecewise(n *ir.Node, v *ir.Value, x *rep, s functionScale, a *ir.PiecewiseLinearAttr) error {
	if q.cal.exacting() {
		return q.finePieces(n, v, x, s, a)
	}
	in, bits := q.o.Value(x.id), TableBits+s.low
	a.Shift, a.Lo, a.Hi = x.scale-s.in, s.lo, s.hi
	if a.Shift+a.Low > gadget.MaxShift {
		return n.Errorf("its argument has the scale 2^%d, of which 2^%d is left; scale it down", x.scale, s.in)
	}
	w := q.add(n, v.Name, v.Shape, []ir.ValueID{x.id}, ir.OpPiecewiseLinear, a)
	w.Scale = s.out
	lo, hi := quotients(in, a.Shift)
	q.note(w, "table", a.Shift, q.cal.Max[v.ID], lo < a.Lo || hi > a.Hi)
	q.rounded(q.functionKey(n), &rep{id: w.ID, scale: s.in, mult: 1}, bits, q.cal.moves.value[n.In[0]], true)
	q.functionOf(v, w, q.functionKey(n), s, s.bend+math.Ldexp(1, 2*(s.low-s.out))/144) // slopes are rounded
	return nil
}

// functionOf sets a function's result and notes the variance of its error.
func (q *quantiser) functionOf(v, w *ir.Value, key string, s functionScale, variance float64) {
	sense := q.cal.moves.value[v.ID]
	p := q.noteError(key, TableBits+s.low, ir.Size(v.Shape), float64(sense*variance), true)
	p.least += float64(sense * s.bend)
	q.set(v.ID, &rep{id: w.ID, scale: w.Scale, mult: 1})
}

// near returns x, or where it is wide and so fine that a rescale to the given scale would drop more bits than one can, its rounded form.
func (q *quantiser) near(n *ir.Node, x *rep, scale int) *rep {
	if q.leaves62(x.id) && x.scale-scale > gadget.MaxShift-q.fixed().coefs {
		return q.narrow(n, x)
	}
	return x
}

// plain returns x without a real factor and with a scale of at least the given one.
func (q *quantiser) plain(n *ir.Node, x *rep, scale int) *rep {
	return q.plainTo(n, x, scale, max(coefBits, min(q.fixed().coefs, q.sumBits()-q.width(x.id), gadget.MaxShift-x.scale+scale)))
}

// plainTo is plain with so many bits for the factor.
func (q *quantiser) plainTo(n *ir.Node, x *rep, scale, bits int) *rep {
	if x.mult == 1 && x.scale >= scale {
		return x
	}
	coef, s := int64(1), x.scale
	if x.mult != 1 {
		coef, s = portable.Clamp(math.Round(math.Ldexp(x.mult, bits))), s+bits
	}
	if s < scale {
		coef, s = coef<<(scale-s), scale
	}
	v := q.o.Value(x.id)
	axes, extents := ir.IdentityAxes(v.Shape)
	attr := &ir.EinsumAttr{Terms: []ir.Term{{ICoef: coef, Coef: float64(coef), Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes}}}
	w := q.add(n, v.Name+".scaled", v.Shape, []ir.ValueID{x.id}, ir.OpEinsum, attr)
	w.Scale = s
	return &rep{id: w.ID, scale: s, mult: 1, raw: x.raw, from: x.from}
}

// softmax lowers softmax(c·x) to ZkAttn on the exact scores. One unit of σ is c·mult·2^(Shift−scale); Shift puts it where 2^expBits
// units reach expRange.
func (q *quantiser) softmax(n *ir.Node, v *ir.Value) error {
	a := n.Attr.(*ir.SoftmaxAttr)
	x, err := q.value(n.In[0])
	if err != nil {
		return err
	}
	if q.leaves62(x.id) {
		x = q.narrow(n, x)
	}
	if a.Scale < 0 { // as where a quantised score is cut off from above
		x = &rep{id: q.affine(n, x, -1, 0).ID, scale: x.scale, mult: x.mult, raw: x.raw, from: x.from}
	}
	if a.Scale == 0 {
		return n.Errorf("a softmax of %g times its input; the factor must be positive", a.Scale)
	}
	x = q.finerScores(n, x, a.Scale)
	// Scores have at most 62 bits: where their unit is less than the least one, all exponentials are 1 with either.
	unit := max(float64(math.Abs(a.Scale)*x.mult*math.Ldexp(1, -x.scale)), tables.LeastUnit)
	shift := 0
	scores := q.o.Value(x.id)
	for unit*(1<<expBits) < q.fixed().reach {
		if shift >= maxScoreShift && quotient(scores.Hi, shift)-quotient(scores.Lo, shift) < 1<<expBits {
			break // no distance is beyond what is exponentiated: all scores are nearly alike
		}
		unit = float64(unit * 2)
		shift++
	}
	// ZkAttn's distances have at most 30 bits.
	for ; quotient(scores.Hi, shift)-quotient(scores.Lo, shift) >= 1<<30-1<<expBits-2; shift++ {
		unit = float64(unit * 2)
	}
	if unit > maxUnit || shift > gadget.MaxShift {
		return n.Errorf("scores of scale %d reach far beyond what matters, and a step of them would be %.3g; scale queries or keys down", x.scale, unit)
	}
	attr := &ir.ZkAttnAttr{Shift: shift, DBits: expBits, EBits: q.fixed().exps, Unit: unit, HasMask: a.HasMask}
	attr.InvBits = invBits + attr.EBits + bitLen(rowOf(q.whole(v))-1)
	in := []ir.ValueID{x.id}
	if a.HasMask {
		in = append(in, q.leaf(n.In[1], 0, 1).id)
	}
	e := q.o.NewValue(v.Name+".exp", v.Shape)
	inv := q.o.NewValue(v.Name+".inv", v.Shape[:len(v.Shape)-1])
	node := &ir.Node{Op: ir.OpZkAttn, Origin: n.Origin, Operator: n.Operator, In: in, Out: []ir.ValueID{e.ID, inv.ID}, Attr: attr}
	e.Def, inv.Def = node, node
	q.o.Nodes = append(q.o.Nodes, node)
	q.bound(n, node)
	q.follow(n, e)
	q.follow(n, inv)
	e.Scale, inv.Scale = attr.EBits, attr.InvBits-attr.EBits
	q.note(e, "softmax", shift, 1, false)
	if q.cal.exacting() {
		return q.fineSoftmax(n, v, x, e, attr)
	}
	q.set(v.ID, &rep{id: e.ID, inv: inv.ID, soft: true, scale: attr.InvBits, mult: 1, raw: true})
	return nil
}

// finerScores are scores times a power of two, of a scale as much finer, where their step is larger than one that is exponentiated: integers,
// say, and what was quantised, are nowhere else than on such steps. Those that reach too far stay what they are.
func (q *quantiser) finerScores(n *ir.Node, x *rep, scale float64) *rep {
	more, v := 0, q.o.Value(x.id)
	for step := float64(float64(math.Abs(scale)*x.mult) * math.Ldexp(1, -x.scale)); step > maxUnit; step = float64(step / 2) {
		if more++; more > 24 || v.Hi-v.Lo >= 1<<(28-more) {
			return x
		}
	}
	if more == 0 {
		return x
	}
	w := q.affine(n, x, 1<<more, 0)
	w.Scale = x.scale + more
	return &rep{id: w.ID, scale: w.Scale, mult: x.mult, raw: x.raw, from: x.from}
}

// weighSoftmax multiplies e and inv out, for uses of a softmax other than a weighted sum.
func (q *quantiser) weighSoftmax(r *rep) (*rep, error) {
	e := q.o.Value(r.id)
	axes, extents := ir.IdentityAxes(e.Shape)
	last := len(e.Shape) - 1
	attr := &ir.EinsumAttr{Terms: []ir.Term{{ICoef: 1, Coef: 1, Extents: extents, In: []int{0, 1}, Axes: [][][]int{axes, axes[:last]}, Out: axes}}}
	w := q.o.Derive(e.Def, ir.OpEinsum, e.Name+".weights", e.Shape, []ir.ValueID{r.id, r.inv}, attr)
	w.Scale = r.scale
	var err error
	if w.Lo, w.Hi, err = contextBound(e, 0, 1); err != nil { // a weight is a sum of weights times 0 and one 1
		return nil, e.Def.Errorf("%v; use fewer positions per row", err)
	}
	q.why[w.ID] = attention.ContextWhy
	p := &rep{id: w.ID, scale: r.scale, mult: 1, raw: true, from: r.from}
	q.reps[r.from] = p
	return p, nil
}

// contextBound bounds a sum of cells in [lo, hi] weighted by a row of the softmax whose exponentials are e.
func contextBound(e *ir.Value, lo, hi int64) (clo, chi int64, err error) {
	a := e.Def.Attr.(*ir.ZkAttnAttr)
	return attention.Params{Shift: a.Shift, DBits: a.DBits, EBits: a.EBits, InvBits: a.InvBits, Unit: a.Unit}.ContextBound(lo, hi)
}

// boundWeighted tightens the bounds of a weighted sum: one term, coefficient 1, of e, inv and one other factor v, summed over the
// last axis of e only, lies within the bounds of v (and 0) times 2^InvBits.
func (q *quantiser) boundWeighted(w *ir.Value, sums []*summand) {
	if len(sums) != 1 || sums[0].icoef != 1 || len(sums[0].in) != 3 {
		return
	}
	s := sums[0]
	var soft *rep
	other, k := ir.ValueID(-1), 0
	for i, r := range s.in {
		if r.soft {
			soft, k = r, i
		}
	}
	if soft == nil {
		return
	}
	for _, r := range s.in {
		if r.id != soft.id && r.id != soft.inv {
			other = r.id
		}
	}
	row := map[int]bool{}
	for _, l := range s.axes[k][len(s.axes[k])-1] {
		row[l] = true
	}
	for l := range s.extents {
		if !inAxes(s.out, l) && !row[l] || other < 0 {
			return
		}
	}
	v := q.o.Value(other)
	// Bounds beyond 62 bits are no tighter than those of interval arithmetic, which has not refused.
	if lo, hi, err := contextBound(q.o.Value(soft.id), v.Lo, v.Hi); err == nil && lo >= w.Lo && hi <= w.Hi {
		w.SetBounds(interval.Of(lo, hi))
		q.why[w.ID] = attention.ContextWhy
	}
}
