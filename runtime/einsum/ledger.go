// Package einsum discharges claims on virtual tensors (protocol section 4): a ledger of open claims, and waves of batched
// sumchecks that replace the claims on products by claims on their factors, until only committed tensors are left.
//
// A virtual tensor is V = Σ_t coef_t · Σ Π factors. A claim V(τ) splits into the terms that pass claims through (linear, at
// most one hidden factor, nothing coupled: an expression in other evaluations at points that τ determines) and the rest, whose
// sum over all terms, the product part P_V(τ), is one hidden value. So every evaluation is an expression over
//
//   - the evaluations of committed tensors, each an opening claim, and
//   - product parts, each discharged by the wave that the circuit's schedule assigns to V,
//
// and these are the entries of the committed vectors: one for the leaves of the fraction tree, one per wave. Evaluations at
// equal points are bound once.
//
// Wave w, with the product-part claims (V_k, τ_k, e_k), k = 1.., of the tensors that the schedule gives to w:
//
//  1. ← α; the batched claim is Σ_k α^k·e_k.
//  2. the sumcheck over L variables, L the largest number among the instances (k, term), of
//     Σ_{k,t} α^k·coef_t·c_{k,t}·2^{-(L-ℓ)}·Π_{shared l ∈ Out} eq(τ_l, x_l)·Π_i A_i(x), with A_i the factor folded at the labels
//     that are fixed, c the valid(τ_l) of broadcast labels and the 2^bits of labels summed in one factor (evaluated at ½). An
//     instance with ℓ < L variables is constant in the first L−ℓ.
//  3. one committed vector: all evaluations that the factors at the final point need, then the partial products z.
//  4. checks: z_1 = A_1·A_2, z_2 = z_1·A_3, … and final claim = Σ α^k·…·z.
//
// Soundness error of a wave: (number of claims)/|F| for α and L·D/2^125 for the rounds.
package einsum

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/poly"
	"github.com/zkllmc/zkllmc/runtime/veil"
)

// Publics evaluates the tensors that the verifier knows: Public and Const ones.
type Publics interface {
	Eval(id circuit.ID, point []field.Element) field.Element
}

// Ledger holds the open claims of one proof.
type Ledger struct {
	ch   *veil.Channel
	c    *circuit.Circuit
	pub  Publics
	data func(circuit.ID) *kernel.Tensor // prover

	points   map[string]int32  // the points that were met, by content; see key
	bytes    []byte            // of the point looked up last
	known    map[key]veil.Expr // evaluations of committed tensors, product parts of virtual ones, public evaluations
	asked    []request         // wires of the message that is being collected
	isAsked  map[key]bool
	pending  [][]claim // by wave
	wave     int       // the wave last run
	openings []commit.Bound
}

// key identifies an evaluation: a tensor and the number of a point. Points are numbered as they are met, equal ones alike.
type key struct {
	t     circuit.ID
	point int32
}

type request struct {
	key
	point []field.Element
}

// claim is an open claim on the product part of a virtual tensor.
type claim struct {
	t     circuit.ID
	point []field.Element
	value veil.Expr
}

// NewLedger returns an empty ledger. data yields a tensor's integers on the prover's side and is nil otherwise.
func NewLedger(ch *veil.Channel, c *circuit.Circuit, pub Publics, data func(circuit.ID) *kernel.Tensor) *Ledger {
	return &Ledger{
		ch: ch, c: c, pub: pub, data: data, points: map[string]int32{}, known: map[key]veil.Expr{}, isAsked: map[key]bool{},
		pending: make([][]claim, c.Waves()+1),
	}
}

// key returns the key of an evaluation. Elements are reduced, so that their limbs identify them.
func (l *Ledger) key(t circuit.ID, point []field.Element) key {
	l.bytes = l.bytes[:0]
	for i := range point {
		for _, limb := range point[i] {
			l.bytes = binary.LittleEndian.AppendUint64(l.bytes, limb)
		}
	}
	number, ok := l.points[string(l.bytes)]
	if !ok {
		number = int32(len(l.points))
		l.points[string(l.bytes)] = number
	}
	return key{t, number}
}

// Ask collects the hidden values that the evaluation of a tensor at a point needs, for the next Bind.
func (l *Ledger) Ask(t circuit.ID, point []field.Element) {
	tensor := l.c.Tensor(t)
	if tensor.Kind == circuit.Public || tensor.Kind == circuit.Const {
		return
	}
	k := l.key(t, point)
	if _, ok := l.known[k]; ok || l.isAsked[k] {
		return
	}
	if tensor.Kind != circuit.Virtual || l.c.Wave(t) > 0 {
		l.isAsked[k] = true
		l.asked = append(l.asked, request{k, point})
	}
	for i := range tensor.Def {
		if term := &tensor.Def[i]; l.c.PassesThrough(term) {
			s := l.split(tensor, term, point)
			for f := range term.Factors {
				l.Ask(term.Factors[f].T, s.factorPoint(l.c, term, f))
			}
		}
	}
}

// Bind commits to everything asked for since the last Bind, and extra hidden values behind it, in one vector. It returns the
// expressions of the extra values.
func (l *Ledger) Bind(label string, extra int, fill func(full map[key]field.Element) []field.Element) []veil.Expr {
	asked := l.asked
	l.asked, l.isAsked = nil, map[key]bool{}
	wires := l.ch.Vector(label, len(asked)+extra, func() []field.Element {
		values, full := l.values(asked)
		if extra > 0 {
			values = append(values, fill(full)...)
		}
		return values
	})
	for i, r := range asked {
		l.known[r.key] = wires[i]
		if l.c.Tensor(r.t).Kind != circuit.Virtual {
			l.openings = append(l.openings, commit.Bound{Claim: commit.Claim{T: r.t, Point: r.point}, Value: wires[i]})
			continue
		}
		w := l.c.Wave(r.t)
		if w <= l.wave {
			l.ch.Fail(fmt.Errorf("einsum: claim on %s after its wave %d", l.c.Tensor(r.t).Name, w))
			continue
		}
		l.pending[w] = append(l.pending[w], claim{t: r.t, point: r.point, value: wires[i]})
	}
	return wires[len(asked):]
}

// Expr returns the evaluation of a tensor at a point; whatever is hidden in it was asked for and bound.
func (l *Ledger) Expr(t circuit.ID, point []field.Element) veil.Expr {
	tensor := l.c.Tensor(t)
	k := l.key(t, point)
	known, ok := l.known[k]
	switch {
	case tensor.Kind == circuit.Public || tensor.Kind == circuit.Const:
		if !ok {
			known = veil.Constant(l.pub.Eval(t, point))
			l.known[k] = known
		}
		return known
	case tensor.Kind != circuit.Virtual:
		if !ok {
			l.ch.Fail(fmt.Errorf("einsum: evaluation of %s was not bound", tensor.Name))
		}
		return known
	}
	var sum veil.Accumulator
	if l.c.Wave(t) > 0 {
		if !ok {
			l.ch.Fail(fmt.Errorf("einsum: product part of %s was not bound", tensor.Name))
		}
		sum.Add(field.FromInt64(1), known)
	}
	for i := range tensor.Def {
		if term := &tensor.Def[i]; l.c.PassesThrough(term) {
			coef, e := l.passed(tensor, term, point)
			sum.Add(coef, e)
		}
	}
	return sum.Expr()
}

// passed returns coef and e such that a term that passes claims through has the value coef·e.
func (l *Ledger) passed(tensor *circuit.Tensor, term *circuit.Term, point []field.Element) (field.Element, veil.Expr) {
	s := l.split(tensor, term, point)
	coef, e := s.coef, veil.Constant(field.FromInt64(1))
	for f := range term.Factors {
		v := l.Expr(term.Factors[f].T, s.factorPoint(l.c, term, f))
		if len(v.Terms) == 0 {
			coef.Mul(&coef, &v.Const)
		} else {
			e = v
		}
	}
	return coef, e
}

// values computes what was asked for: MLEs of committed tensors, and product parts as the MLE less the terms passed through. It
// also returns the MLEs themselves.
func (l *Ledger) values(asked []request) (out []field.Element, full map[key]field.Element) {
	evals := make([]kernel.Eval, len(asked))
	for i, r := range asked {
		evals[i] = kernel.Eval{T: l.data(r.t), Point: r.point}
	}
	values := l.ch.Backend().EvalMany(evals)
	full = make(map[key]field.Element, len(asked))
	for i, r := range asked {
		full[r.key] = values[i]
	}
	out = append([]field.Element(nil), values...)
	for i, r := range asked {
		tensor := l.c.Tensor(r.t)
		for d := range tensor.Def {
			if term := &tensor.Def[d]; l.c.PassesThrough(term) {
				v := l.passedValue(tensor, term, r.point, full)
				out[i].Sub(&out[i], &v)
			}
		}
	}
	return out, full
}

func (l *Ledger) passedValue(tensor *circuit.Tensor, term *circuit.Term, point []field.Element, full map[key]field.Element) field.Element {
	s := l.split(tensor, term, point)
	v := s.coef
	for f := range term.Factors {
		w := l.fullValue(term.Factors[f].T, s.factorPoint(l.c, term, f), full)
		v.Mul(&v, &w)
	}
	return v
}

// fullValue is the MLE of any tensor at a point that was asked for, from the values of the message and of earlier ones.
func (l *Ledger) fullValue(t circuit.ID, point []field.Element, full map[key]field.Element) field.Element {
	tensor := l.c.Tensor(t)
	if tensor.Kind == circuit.Public || tensor.Kind == circuit.Const {
		return l.Expr(t, point).Const
	}
	k := l.key(t, point)
	if v, ok := full[k]; ok {
		return v
	}
	var v field.Element
	if e, ok := l.known[k]; ok {
		v = l.ch.Value(e)
	}
	for d := range tensor.Def {
		if term := &tensor.Def[d]; l.c.PassesThrough(term) {
			w := l.passedValue(tensor, term, point, full)
			v.Add(&v, &w)
		}
	}
	full[k] = v
	return v
}

// Openings returns the claims on committed tensors. It is an error if a claim on a virtual tensor is left.
func (l *Ledger) Openings() ([]commit.Bound, error) {
	for w := range l.pending {
		if len(l.pending[w]) > 0 {
			return nil, fmt.Errorf("einsum: %d claims of wave %d are open", len(l.pending[w]), w)
		}
	}
	if len(l.asked) > 0 {
		return nil, errors.New("einsum: evaluations were asked for and not bound")
	}
	return l.openings, nil
}

// splitPoint is a claim's point cut at a term's labels.
type splitPoint struct {
	coef   field.Element     // the term's coefficient, the valid of broadcast labels, 2^bits of labels summed in one factor
	labels [][]field.Element // per label: its point, lowest variable first; nil where it is a variable of the sumcheck
	tau    [][]field.Element // per label of Out: the claim's point
	inOut  []bool            // per label: whether it is in Out
}

// split cuts a claim's point at the labels of a term. Labels that two or more factors share are left without a point.
func (l *Ledger) split(tensor *circuit.Tensor, term *circuit.Term, point []field.Element) splitPoint {
	s := splitPoint{
		coef:   field.FromInt64(term.Coef),
		labels: make([][]field.Element, len(term.Extents)),
		tau:    make([][]field.Element, len(term.Extents)),
		inOut:  make([]bool, len(term.Extents)),
	}
	uses := make([]int, len(term.Extents))
	for _, f := range term.Factors {
		for _, a := range f.Axes {
			for _, label := range a {
				uses[label]++
			}
		}
	}
	at := 0
	for a := len(term.Out) - 1; a >= 0; a-- {
		for i := len(term.Out[a]) - 1; i >= 0; i-- {
			label := term.Out[a][i]
			n := circuit.Bits(term.Extents[label])
			s.tau[label] = point[at : at+n]
			s.inOut[label] = true
			at += n
		}
	}
	for label, n := range uses {
		bits := circuit.Bits(term.Extents[label])
		switch {
		case s.inOut[label] && n == 0:
			v := poly.Valid(s.tau[label], term.Extents[label])
			s.coef.Mul(&s.coef, &v)
		case s.inOut[label] && n == 1:
			s.labels[label] = s.tau[label]
		case n == 1:
			s.labels[label] = halves(bits)
			v := field.Pow2(bits)
			s.coef.Mul(&s.coef, &v)
		}
	}
	return s
}

// halves is the point (½, …, ½), at which an MLE takes 2^-n times its sum.
func halves(n int) []field.Element {
	p := make([]field.Element, n)
	for i := range p {
		p[i] = field.Half
	}
	return p
}

// factorPoint assembles the point of factor f from the points of its labels.
func (s *splitPoint) factorPoint(c *circuit.Circuit, term *circuit.Term, f int) []field.Element {
	factor := &term.Factors[f]
	point := make([]field.Element, 0, circuit.ShapeBits(c.Tensor(factor.T).Shape))
	for a := len(factor.Axes) - 1; a >= 0; a-- {
		for i := len(factor.Axes[a]) - 1; i >= 0; i-- {
			point = append(point, s.labels[factor.Axes[a][i]]...)
		}
	}
	return point
}
