package quant

import (
	"math"
	"math/big"
	"slices"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// summand is one term of an Einsum on its way to integers: real = mult·2^-scale·ICoef·Σ Π operands.
type summand struct {
	icoef   int64
	mult    float64
	scale   int
	extents []int
	in      []*rep
	axes    [][][]int
	out     [][]int
	product bool // two hidden factors, or a constant that is not an integer
}

// einsum lowers a sum of products. prepare has seen to it that a sum of activations has no products among its terms.
func (q *quantiser) einsum(n *ir.Node, v *ir.Value) error {
	if q.exactly[v.ID] {
		return q.exactSum(n, v)
	}
	terms := n.Attr.(*ir.EinsumAttr).Terms
	rounded := q.roundedSum(n, terms)
	var sums []*summand
	var late []int // terms of weights and constants alone: quantised after the others, at no finer scale
	for i := range terms {
		if q.alone(n, &terms[i]) {
			late = append(late, i)
			continue
		}
		s, err := q.summand(n, &terms[i], rounded, noLimit)
		if err != nil {
			return err
		}
		sums = append(sums, s)
		if low := q.low(v, s); low != nil {
			sums = append(sums, low)
		}
	}
	limit := noLimit
	for i, s := range sums {
		if i == 0 || s.scale > limit {
			limit = s.scale
		}
	}
	shared := limit
	if len(sums) > 0 {
		limit = q.finer(v, limit)
	}
	for _, i := range late {
		s, err := q.summand(n, &terms[i], rounded, limit)
		if err != nil {
			return err
		}
		if len(sums) > 0 && q.isLost(s, sums[0].mult, shared) && q.divides(v.ID) {
			continue
		}
		sums = append(sums, s)
		if low := q.low(v, s); q.cal.exacting() && low != nil {
			sums = append(sums, low)
		}
	}
	return q.finishEinsum(n, v, sums)
}

// isLost says of a term of constants alone that single precision loses it beside anything but 0 of the other terms' factor and scale, and that no
// sum has room for both: the 1e-20 that keeps a divisor from being 0. An integer divisor of 0 counts as one unit, so that 0 divided by it is
// 0 here, too. Where the sum does anything but divide, a 0 and the constant may differ: see divides.
func (q *quantiser) isLost(s *summand, mult float64, scale int) bool {
	apart := s.scale - scale
	if s.mult != 1 && math.Abs(s.mult/mult-1) >= 1e-12 {
		apart += q.fixed().coefs // see common
	}
	if apart <= 61 {
		return false
	}
	most := float64(math.Abs(float64(s.icoef)) * s.mult)
	for _, r := range s.in {
		if q.f.Value(r.from).Def.Op != ir.OpConst {
			return false
		}
		most = float64(most * math.Ldexp(1, q.width(r.id)))
	}
	return most < math.Ldexp(1, s.scale-scale-singleBits)
}

// divides says that nothing is made of a value but roots and reciprocals, of it or of sums of it alone.
func (q *quantiser) divides(id ir.ValueID) bool {
	if slices.ContainsFunc(q.f.Outputs, func(p ir.Port) bool { return p.Value == id }) {
		return false
	}
	for _, n := range q.f.Nodes {
		at := slices.Index(n.In, id)
		switch {
		case at < 0:
		case n.Op == ir.OpUnary && slices.Contains(ir.Roots, n.Attr.(*ir.UnaryAttr).Fn):
		case n.Op == ir.OpEinsum && alone(n, at) && q.divides(n.Out[0]):
		default:
			return false
		}
	}
	return true
}

// alone says that an einsum sums up one input, and nothing else.
func alone(n *ir.Node, input int) bool {
	terms := n.Attr.(*ir.EinsumAttr).Terms
	return len(terms) == 1 && slices.Equal(terms[0].In, []int{input})
}

// singleBits are those of a number of single precision, and half a unit.
const singleBits = 25

// low is what the 16 bits of a term's weight leave of it, times the other factor, where the outputs would miss it: the weight has outliers.
func (q *quantiser) low(v *ir.Value, s *summand) *summand {
	if len(s.in) != 2 && !(q.cal.exacting() && len(s.in) == 1) {
		return nil
	}
	for k, r := range s.in {
		w := q.f.Value(r.from)
		if w.Def.Op != ir.OpWeight {
			continue
		}
		unit := math.Ldexp(1, -r.scale) / r.factor
		variance := float64(q.sense(v, s, k)*unit*unit) / 12
		key := w.Name + " weights"
		if !(variance > float64(q.cal.enough()*q.cal.enough())/4) || !q.roomForLow(s, k) {
			q.noteError(key, WeightBits, ir.Size(w.Shape), variance, false)
			continue
		}
		q.noteError(key, WeightBits+lowBits, ir.Size(w.Shape), math.Ldexp(variance, -2*lowBits), false)
		low := *s
		low.in = slices.Clone(s.in)
		low.in[k] = q.leafLow(w, r)
		low.scale += lowBits
		return &low
	}
	return nil
}

// sense is that of a weight, operand k of a term: where its cells are not multiplied with an activation, that of what they are added to.
func (q *quantiser) sense(v *ir.Value, s *summand, k int) float64 {
	if q.cal.exacting() && (len(s.in) == 1 || q.o.Value(s.in[1-k].id).Def.Op == ir.OpOneHot) {
		return q.cal.moves.value[v.ID]
	}
	return q.cal.moves.weight[[2]ir.ValueID{v.ID, q.f.Value(s.in[k].from).ID}]
}

// roomForLow says that a product of a weight of 31 bits, operand k, and another factor stays far enough below 2^62, also where the other
// factor is rounded to more bits than 16: outliers of activations come before those of weights.
func (q *quantiser) roomForLow(s *summand, k int) bool {
	if len(s.in) == 1 {
		return WeightBits+lowBits <= q.sumBits()
	}
	other := s.in[1-k]
	bits := 0
	if q.o.Value(other.id).Def.Op != ir.OpOneHot {
		bits = max(q.width(other.id), 23) + 1
	}
	out, cells := ir.Term{Extents: s.extents, Out: s.out}.InOut(), 1
	for l, e := range s.extents {
		if !out[l] {
			cells *= e
		}
	}
	if bits > 0 {
		bits += bitLen(cells - 1)
	}
	return bits+WeightBits+lowBits <= q.sumBits()
}

// finer is the scale at which cells that are added to others of the given one need not be rounded for the outputs' sake: that one, or one
// with finerBits more.
func (q *quantiser) finer(v *ir.Value, scale int) int {
	step := math.Ldexp(1, -scale)
	if float64(q.cal.moves.value[v.ID]*step*step)/12 > float64(q.cal.target()*q.cal.target()) {
		return scale + finerBits
	}
	return scale
}

// roundedSum says that the terms add something exact (a residual stream, an embedding) and accumulators, so that the accumulators
// are rounded to increments first. A sum of accumulators alone stays exact and is rounded where it is used, unless its terms lie
// too far apart.
func (q *quantiser) roundedSum(n *ir.Node, terms []ir.Term) bool {
	var seen []ir.ValueID
	raw, top := 0, 0
	for _, t := range terms {
		for _, i := range t.In {
			if q.isActivation(n.In[i]) {
				index(&seen, n.In[i])
			}
		}
	}
	scale := 0
	for _, id := range seen {
		if r := q.reps[id]; r != nil {
			scale = max(scale, r.scale)
		}
	}
	for _, id := range seen {
		if r := q.reps[id]; r != nil && r.raw {
			raw++
			top = max(top, q.width(r.id)+scale-r.scale)
		}
	}
	return len(seen) > 1 && (raw < len(seen) || top >= exactLimit-2)
}

func (q *quantiser) isActivation(id ir.ValueID) bool {
	switch q.f.Value(id).Def.Op {
	case ir.OpWeight, ir.OpConst, ir.OpOneHot, ir.OpAffine:
		return false
	}
	return true
}

// alone says that a term has no activation.
func (q *quantiser) alone(n *ir.Node, t *ir.Term) bool {
	for _, i := range t.In {
		if id := n.In[i]; q.isActivation(id) || q.f.Value(id).Def.Op == ir.OpOneHot {
			return false
		}
	}
	return true
}

// summand chooses the integer operands of one term.
func (q *quantiser) summand(n *ir.Node, t *ir.Term, rounded bool, limit int) (*summand, error) {
	s := &summand{icoef: 1, extents: t.Extents, out: t.Out}
	coef := t.Coef
	if coef < 0 {
		s.icoef, coef = -1, -coef
	}
	hidden := 0
	for _, i := range t.In {
		if op := q.f.Value(n.In[i]).Def.Op; op != ir.OpConst && op != ir.OpOneHot && op != ir.OpAffine {
			hidden++
		}
	}
	s.product = hidden >= 2
	mult := coef
	for k, i := range t.In {
		r, err := q.operand(n, t, k, n.In[i], hidden, rounded, limit, &mult)
		if err != nil {
			return nil, err
		}
		s.in, s.axes = append(s.in, r), append(s.axes, t.Axes[k])
		s.scale += r.scale
		mult = float64(mult * r.mult)
		s.product = s.product || q.f.Value(n.In[i]).Def.Op == ir.OpConst && r.scale > 0 || r.raw
	}
	s.expandSoftmax(q)
	s.setMult(mult)
	return s, nil
}

// operand returns the integer form of one factor. A weight that occurs nowhere else absorbs the term's real factor.
func (q *quantiser) operand(n *ir.Node, t *ir.Term, k int, id ir.ValueID, hidden int, rounded bool, limit int, mult *float64) (*rep, error) {
	switch q.f.Value(id).Def.Op {
	case ir.OpWeight, ir.OpConst:
		if q.reps[id] == nil && q.uses[id] == 1 && *mult != 1 && q.f.Value(id).Def.Op == ir.OpWeight {
			factor := *mult
			*mult = 1
			return q.leaf(id, limit, factor), nil
		}
		return q.leaf(id, limit, 1), nil
	}
	if r := q.reps[id]; r != nil && r.soft && hidden >= 2 {
		return r, nil
	}
	r, err := q.value(id)
	if err != nil {
		return nil, err
	}
	switch op := q.f.Value(id).Def.Op; {
	case op == ir.OpOneHot || op == ir.OpAffine:
		return r, nil
	case hidden < 2 && q.proven(r.id).BitLen() > provenBits:
		return q.committed(n, r), nil
	case hidden < 2 && q.repeats(n, t, k):
		return q.narrowOnce(n, r), nil
	case hidden < 2 && !(rounded && r.raw):
		return r, nil // a linear map of one tensor, or an increment that is exact already
	case hidden >= 2 && q.mayStayExact(n, t, k):
		return r, nil
	}
	return q.narrow(n, r), nil
}

// committed is a value, committed with all its bits.
func (q *quantiser) committed(n *ir.Node, r *rep) *rep {
	s := q.kept[r.id]
	if s == nil {
		s = q.rescale(n, r, r.scale, max(ActBits, q.width(r.id)+1), q.cal.Max[r.from]/r.mult)
		q.kept[r.id] = s
	}
	return s
}

// repeats says that a term makes more cells than its one activation has by a map of indices: a window takes each cell several times. What
// is to be rounded is rounded before, once.
func (q *quantiser) repeats(n *ir.Node, t *ir.Term, k int) bool {
	mapped := false
	for _, i := range t.In {
		mapped = mapped || q.f.Value(n.In[i]).Def.Op == ir.OpAffine
	}
	return mapped && ir.Size(q.f.Value(n.Out[0]).Shape) > ir.Size(q.f.Value(n.In[t.In[k]]).Shape)
}

// narrowOnce is narrow for a value that a map repeats; where only maxima use what the map makes, to the bits that they take.
func (q *quantiser) narrowOnce(n *ir.Node, r *rep) *rep {
	for _, m := range q.f.Nodes {
		if (m.Op != ir.OpMax || q.cal.exacting()) && slices.Contains(m.In, n.Out[0]) {
			return q.narrow(n, r)
		}
	}
	if q.width(r.id) < TableBits {
		return r
	}
	if s, ok := q.maxima[r.id]; ok {
		return s
	}
	if q.leaves62(r.id) {
		return q.narrow(n, r)
	}
	top := q.cal.Max[r.from] / r.mult
	s := q.rescale(n, r, min(r.scale, scaleFor(float64(headroom*top), TableBits), q.needed(r, q.cal.moves.value[r.from])), TableBits, top)
	q.rounded(q.of(r.from)+" maxima", s, TableBits, q.cal.moves.value[r.from], false)
	q.maxima[r.id] = s
	return s
}

// mayStayExact says that a wide factor of an elementwise product with one small committed tensor need not be rounded first.
func (q *quantiser) mayStayExact(n *ir.Node, t *ir.Term, k int) bool {
	if len(t.In) != 2 || t.In[0] == t.In[1] || summed(t) {
		return false
	}
	id, other := n.In[t.In[k]], n.In[t.In[1-k]]
	a, b := q.reps[id], q.reps[other]
	switch {
	case a == nil || a.soft || q.small[a.id] != nil || q.proven(a.id).BitLen() > provenBits:
		return false
	case q.inPieces(a): // of a few bits more, which the other factor leaves room for, or else is rounded
		return true
	case q.inPieces(b):
		return q.most(a).Mul(q.most(a), q.most(b)).BitLen() <= 61
	}
	return q.width(a.id)+ActBits < exactLimit && (q.f.Value(other).Def.Op == ir.OpWeight || b != nil && !b.soft && q.isSmall(b.id))
}

// most is the largest magnitude of a value.
func (q *quantiser) most(r *rep) *big.Int {
	b := q.o.Value(r.id).Bounds()
	low := new(big.Int).Neg(b.Lo)
	if low.Cmp(b.Hi) > 0 {
		return low
	}
	return b.Hi
}

// inPieces says that a value is a function's, in linear pieces.
func (q *quantiser) inPieces(r *rep) bool {
	return r != nil && !r.soft && q.o.Value(r.id).Def.Op == ir.OpPiecewiseLinear
}

func summed(t *ir.Term) bool {
	for _, in := range t.InOut() {
		if !in {
			return true
		}
	}
	return false
}

// expandSoftmax replaces a softmax factor by its two factors, e and inv; inv lacks e's last axis.
func (s *summand) expandSoftmax(q *quantiser) {
	for k, r := range s.in {
		if r.soft {
			s.in = append(s.in, &rep{id: r.inv, mult: 1})
			s.axes = append(s.axes, s.axes[k][:len(s.axes[k])-1])
			s.in[k] = &rep{id: r.id, mult: 1, from: r.from, soft: true, inv: r.inv, scale: r.scale}
		}
	}
}

// setMult normalises the real factor to [1, 2).
func (s *summand) setMult(mult float64) {
	if mult == 0 {
		s.icoef, s.mult = 0, 1
		return
	}
	frac, exp := math.Frexp(mult) // mult = frac·2^exp, frac in [1/2, 1)
	s.mult, s.scale = float64(2*frac), s.scale-(exp-1)
}

// finishEinsum brings all terms to one scale and adds the node.
func (q *quantiser) finishEinsum(n *ir.Node, v *ir.Value, sums []*summand) error {
	common(sums, q.fixed().coefs)
	scale, raw := 0, false
	for i, s := range sums {
		if i == 0 || s.scale > scale {
			scale = s.scale
		}
		raw = raw || s.product
	}
	attr := &ir.EinsumAttr{}
	var in []ir.ValueID
	for _, s := range sums {
		if up := scale - s.scale; up > 0 {
			coefs := up + big.NewInt(s.icoef).BitLen() // of the coefficient, an integer of 64 bits
			if coefs > 62 || up > 61 || s.icoef != 0 && q.bitsOf(s)+up > q.sumBits() {
				q.wide = true
				return n.Errorf("its terms have scales %d and %d bits apart, and a sum of them leaves 2^%d; bring them to magnitudes that lie nearer to each other", scale, s.scale, q.sumBits()+1)
			}
			s.icoef <<= up
		}
		t := ir.Term{ICoef: s.icoef, Coef: float64(s.icoef), Extents: s.extents, Axes: s.axes, Out: s.out, In: []int{}}
		for _, r := range s.in {
			t.In = append(t.In, index(&in, r.id))
		}
		attr.Terms = append(attr.Terms, t)
	}
	w := q.o.Derive(n, ir.OpEinsum, v.Name, v.Shape, in, attr)
	q.bound(n, w.Def)
	q.boundWeighted(w, sums)
	q.follow(n, w)
	w.Scale = scale
	mult := 1.0
	if len(sums) > 0 {
		mult = sums[0].mult
	}
	q.set(v.ID, &rep{id: w.ID, scale: scale, mult: mult, raw: raw})
	return nil
}

func (q *quantiser) bitsOf(s *summand) int {
	n := new(big.Int).SetInt64(s.icoef).BitLen()
	for _, r := range s.in {
		n += q.width(r.id)
	}
	return n
}

// common gives all terms one real factor: the common one if they agree, else 1, the factors becoming integers of so many bits.
func common(sums []*summand, bits int) {
	same := true
	for _, s := range sums {
		same = same && math.Abs(s.mult/sums[0].mult-1) < 1e-12
	}
	if same {
		return
	}
	for _, s := range sums {
		if s.mult != 1 {
			s.icoef *= portable.Clamp(math.Round(math.Ldexp(s.mult, bits)))
			s.scale += bits
			s.mult = 1
		}
	}
}

func sameAxes(a, b [][]int) bool { return slices.EqualFunc(a, b, slices.Equal[[]int]) }
