// Package einsum discharges claims on virtual tensors (SPEC.md 10): a ledger of open claims, and waves of batched
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

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// Publics evaluates the tensors that the verifier knows.
type Publics interface {
	Eval(id circuit.ID, point []field.Element) field.Element
}

// Ledger holds the open claims of one proof. It remembers every evaluation that was asked for, sums among them, so that each is walked
// once however often it is needed: the work is linear in circuit.Requests, which the circuit's Finish has limited.
type Ledger struct {
	ch   *veil.Channel
	c    *circuit.Circuit
	pub  Publics
	be   Backend                         // prover
	data func(circuit.ID) backend.Tensor // prover

	points     map[string]int32 // the points that were met, by content; see key
	bytes      []byte           // of the point looked up last
	known      map[key]*evaluation
	references int64         // how often evaluations were asked for
	asked      []*evaluation // wires of the message that is being collected
	message    int           // its number
	pending    [][]claim     // by wave
	wave       int           // the wave last run
	openings   []commit.Bound
}

// key identifies an evaluation: a tensor and the number of a point. Points are numbered as they are met, equal ones alike.
type key struct {
	t     circuit.ID
	point int32
}

// evaluation is a tensor's evaluation at a point.
type evaluation struct {
	tensor  *circuit.Tensor
	point   []field.Element
	message int // with which what is hidden in it is bound

	// A committed tensor has a wire, its evaluation. A virtual one has a wire if it has a product part, which that is, and the terms
	// that pass its claim through.
	bound  bool
	wire   veil.Expr
	passed []passed

	written bool
	expr    veil.Expr // of the whole, at most one wire long

	full *field.Element // prover: the whole, while the message is made that binds it
}

// passed is a term that passes a claim through: coef·Π factors, of which one at most is hidden.
type passed struct {
	coef    field.Element
	factors []*evaluation
}

// claim is an open claim on the product part of a virtual tensor.
type claim struct {
	t     *circuit.Tensor
	point []field.Element
	value veil.Expr
}

// Backend is what a prover asks of a backend's run: see backend.Run.
type Backend interface {
	EvalMany(evals []backend.Eval) []field.Element
	Partials(partials []backend.Partial) []backend.Vector
	Tables(tables []backend.Table) []backend.Vector
	Combine(vecs []backend.Vector, coefs []field.Element) backend.Vector
	Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck
	Free(vecs ...backend.Vector)
}

// NewLedger returns an empty ledger. On the prover's side data yields tensors where the backend has them; both are nil otherwise.
func NewLedger(ch *veil.Channel, c *circuit.Circuit, pub Publics, be Backend, data func(circuit.ID) backend.Tensor) *Ledger {
	return &Ledger{
		ch: ch, c: c, pub: pub, be: be, data: data,
		points: map[string]int32{}, known: map[key]*evaluation{}, pending: make([][]claim, c.Waves()+1),
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

// Requests is how many different evaluations were asked for, and how often any was: circuit.Requests says the same of the whole proof.
func (l *Ledger) Requests() (evaluations int, references int64) { return len(l.known), l.references }

// Ask collects the hidden values that the evaluation of a tensor at a point needs, for the next Bind.
func (l *Ledger) Ask(t circuit.ID, point []field.Element) { l.ask(t, point) }

func (l *Ledger) ask(t circuit.ID, point []field.Element) *evaluation {
	l.references++
	k := l.key(t, point)
	if e, ok := l.known[k]; ok {
		return e
	}
	tensor := l.c.Tensor(t)
	e := &evaluation{tensor: tensor, point: point, message: l.message}
	l.known[k] = e
	if l.public(t) {
		return e
	}
	if l.hasWire(tensor) {
		l.asked = append(l.asked, e)
	}
	for i := range tensor.Def {
		if term := &tensor.Def[i]; l.c.PassesThrough(term) {
			s := splitAt(term, point)
			p := passed{coef: s.coef}
			for f := range term.Factors {
				p.factors = append(p.factors, l.ask(term.Factors[f].T, s.FactorPoint(&term.Factors[f])))
			}
			e.passed = append(e.passed, p)
		}
	}
	return e
}

// hasWire says whether evaluations of a hidden tensor have a value of their own in a message.
func (l *Ledger) hasWire(t *circuit.Tensor) bool {
	return t.Kind != circuit.Virtual || l.c.Wave(t.ID) > 0
}

// Bind commits to everything asked for since the last Bind, and extra hidden values behind it, in one vector. It returns the
// expressions of the extra values.
func (l *Ledger) Bind(label string, extra int, fill func() []field.Element) []veil.Expr {
	asked := l.asked
	l.asked = nil
	wires := l.ch.Vector(label, len(asked)+extra, func() []field.Element {
		values := l.values(asked)
		if extra > 0 {
			values = append(values, fill()...)
		}
		return values
	})
	l.message++
	for i, e := range asked {
		e.bound, e.wire = true, wires[i]
		if e.tensor.Kind != circuit.Virtual {
			l.openings = append(l.openings, commit.Bound{Claim: commit.Claim{T: e.tensor.ID, Point: e.point}, Value: wires[i]})
			continue
		}
		w := l.c.Wave(e.tensor.ID)
		if w <= l.wave {
			l.ch.Fail(fmt.Errorf("einsum: claim on %s after its wave %d", e.tensor.Name, w))
			continue
		}
		l.pending[w] = append(l.pending[w], claim{t: e.tensor, point: e.point, value: wires[i]})
	}
	return wires[len(asked):]
}

// Expr returns the evaluation of a tensor at a point; whatever is hidden in it was asked for and bound.
func (l *Ledger) Expr(t circuit.ID, point []field.Element) veil.Expr {
	if e, ok := l.known[l.key(t, point)]; ok {
		return l.expr(e)
	}
	if l.public(t) {
		return l.expr(l.ask(t, point))
	}
	l.unbound(l.c.Tensor(t))
	return veil.Expr{}
}

func (l *Ledger) unbound(t *circuit.Tensor) {
	what := "evaluation"
	if t.Kind == circuit.Virtual {
		what = "product part"
	}
	l.ch.Fail(fmt.Errorf("einsum: %s of %s was not bound", what, t.Name))
}

// expr writes the expression of an evaluation, once. A sum's gets a name, so that what it goes into stays short: veil.Channel.Define.
func (l *Ledger) expr(e *evaluation) veil.Expr {
	if e.written {
		return e.expr
	}
	var sum veil.Accumulator
	switch {
	case l.public(e.tensor.ID):
		sum.AddConst(l.pub.Eval(e.tensor.ID, e.point))
	case e.bound:
		sum.Add(field.One(), e.wire)
	case l.hasWire(e.tensor):
		l.unbound(e.tensor)
		return veil.Expr{}
	}
	for i := range e.passed {
		coef, hidden := l.through(&e.passed[i])
		sum.Add(coef, hidden)
	}
	e.written, e.expr = true, l.ch.Define(sum.Expr())
	return e.expr
}

// through returns coef and e such that a term that passes claims through has the value coef·e.
func (l *Ledger) through(p *passed) (coef field.Element, e veil.Expr) {
	coef, e = p.coef, veil.Constant(field.One())
	for _, f := range p.factors {
		v := l.expr(f)
		if len(v.Terms) == 0 {
			coef.Mul(&coef, &v.Const)
		} else {
			e = v
		}
	}
	return coef, e
}

// values computes what was asked for: MLEs of committed tensors, and product parts as the MLE less the terms passed through.
func (l *Ledger) values(asked []*evaluation) []field.Element {
	var evals []backend.Eval
	var missing []*evaluation
	for _, e := range asked {
		if e.full != nil {
			continue
		}
		lower, upper := words(l.data(e.tensor.ID))
		evals, missing = append(evals, backend.Eval{T: lower, Point: e.point}), append(missing, e)
		if upper != nil {
			evals, missing = append(evals, backend.Eval{T: upper, Point: e.point}), append(missing, nil)
		}
	}
	for i, v := range l.be.EvalMany(evals) {
		if e := missing[i]; e != nil {
			e.full = &v
			continue
		}
		v.Mul(&v, &upperWord) // of the one before
		missing[i-1].full.Add(missing[i-1].full, &v)
	}
	out := make([]field.Element, len(asked))
	for i, e := range asked {
		out[i] = *e.full
		for j := range e.passed {
			v := l.passedValue(&e.passed[j])
			out[i].Sub(&out[i], &v)
		}
	}
	return out
}

// upperWord is what the upper words of a wide tensor count.
var upperWord = field.Pow2(integer.WordBits)

// words are a tensor, and the upper words if it is wide.
func words(t backend.Tensor) (lower, upper backend.Tensor) {
	if w, ok := t.(backend.Wide); ok {
		return w.Lower, w.Upper
	}
	return t, nil
}

func (l *Ledger) passedValue(p *passed) field.Element {
	v := p.coef
	for _, f := range p.factors {
		w := l.value(f)
		v.Mul(&v, &w)
	}
	return v
}

// value is the MLE of any tensor at a point that was asked for. What earlier messages have bound has the value that they say it has.
func (l *Ledger) value(e *evaluation) field.Element {
	if l.public(e.tensor.ID) {
		return l.expr(e).Const
	}
	if e.message < l.message {
		return l.ch.Value(l.expr(e))
	}
	if e.full == nil { // a sum: whatever has a wire has its value from values
		var v field.Element
		for i := range e.passed {
			w := l.passedValue(&e.passed[i])
			v.Add(&v, &w)
		}
		e.full = &v
	}
	return *e.full
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
	circuit.Split[field.Element]
	coef field.Element // the term's coefficient, the valid of broadcast labels, 2^bits of labels summed in one factor
}

// splitAt cuts a claim's point at the labels of a term. Labels that two or more factors share are left without a point.
func splitAt(term *circuit.Term, point []field.Element) splitPoint {
	s := splitPoint{Split: circuit.SplitPoint(term, point, field.Half), coef: field.FromInt64(term.Coef)}
	for label, uses := range s.Uses {
		switch {
		case uses == 0 && s.InOut[label]:
			v := poly.Valid(s.Tau[label], term.Extents[label])
			s.coef.Mul(&s.coef, &v)
		case uses == 1 && !s.InOut[label]:
			// The MLE at (½, …, ½) is 2^-bits times the sum.
			v := field.Pow2(circuit.Bits(term.Extents[label]))
			s.coef.Mul(&s.coef, &v)
		}
	}
	return s
}
