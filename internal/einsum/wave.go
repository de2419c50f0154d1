package einsum

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/sumcheck"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// instance is one term of one claim of a wave.
type instance struct {
	tensor *circuit.Tensor
	term   *circuit.Term
	split  splitPoint
	coef   field.Element // α^k · split.coef · 2^{-(L-ℓ)}
	vars   []int         // the shared labels, lowest variables first
	n      int           // ℓ
	degree int
	summed []int         // prover: of every factor, the bits of the labels that it is summed over by itself
	finals []*evaluation // the factors at the final point
}

// Wave discharges all product-part claims that the schedule gives to wave w. Waves run in order from 1.
func (l *Ledger) Wave(w int, label string) {
	claims := l.pending[w]
	l.pending[w] = nil
	l.wave = w
	if len(claims) == 0 || l.ch.Err() != nil {
		return
	}
	alpha := l.ch.Challenge(label + " alpha")
	l.ch.Charge(label+" alpha", int64(len(claims)), veil.FullBits)
	instances, claim, rounds, degree := l.batch(claims, alpha)
	var prover backend.Sumcheck
	var factors []backend.Instance
	if l.ch.Proving() {
		factors = l.factors(instances)
		prover = l.be.Sumcheck(factors, rounds, degree)
	}
	point, final := sumcheck.Rounds(l.ch, label, rounds, degree, claim, prover)
	l.askFactors(instances, point)
	if l.ch.Proving() {
		take(instances, prover.Finals(), l.message)
		l.free(factors)
	}
	l.finish(label, instances, final)
}

// batch lists a wave's instances and their batched claim.
func (l *Ledger) batch(claims []claim, alpha field.Element) (instances []instance, sum veil.Expr, rounds, degree int) {
	var acc veil.Accumulator
	power := alpha
	degree = 1
	for _, cl := range claims {
		acc.Add(power, cl.value)
		for i := range cl.t.Def {
			term := &cl.t.Def[i]
			if l.c.PassesThrough(term) {
				continue
			}
			in := l.newInstance(cl.t, term, cl.point)
			in.coef.Mul(&in.split.coef, &power)
			rounds, degree = max(rounds, in.n), max(degree, in.degree)
			instances = append(instances, in)
		}
		power.Mul(&power, &alpha)
	}
	for i := range instances {
		in := &instances[i]
		for j := in.n; j < rounds; j++ {
			in.coef.Mul(&in.coef, &field.Half)
		}
	}
	return instances, acc.Expr(), rounds, degree
}

func (l *Ledger) newInstance(tensor *circuit.Tensor, term *circuit.Term, point []field.Element) instance {
	in := instance{tensor: tensor, term: term, split: splitAt(term, point), degree: len(term.Factors)}
	in.vars, in.n = term.Variables(l.c.Classify(term).Shared)
	for _, label := range in.vars {
		if in.split.InOut[label] {
			in.degree++ // of eq
			break
		}
	}
	return in
}

// factors makes the prover's factors: the tensors folded at their fixed labels, and the eq table of the shared labels of Out.
func (l *Ledger) factors(instances []instance) []backend.Instance {
	out := make([]backend.Instance, len(instances))
	var partials []backend.Partial
	var tables []backend.Table
	var wide []int // partials whose upper words are the next
	for i := range instances {
		in := &instances[i]
		base := in.bases()
		out[i] = backend.Instance{N: in.n, Coef: in.coef}
		for f := range in.term.Factors {
			labels, vars, summed := in.labels(f, base)
			lower, upper := words(l.data(in.term.Factors[f].T))
			partials = append(partials, backend.Partial{T: lower, Labels: labels, Bits: len(vars)})
			if upper != nil {
				wide = append(wide, len(partials)-1)
				partials = append(partials, backend.Partial{T: upper, Labels: labels, Bits: len(vars)})
			}
			out[i].Factors = append(out[i].Factors, backend.Factor{Vars: vars})
			in.summed = append(in.summed, summed)
			out[i].Coef = halved(out[i].Coef, summed)
		}
		if point, vars := in.eqPoint(base); len(vars) > 0 {
			eq := backend.Weights{Scale: field.One(), Axes: []backend.Axis{{Point: point, Extent: 1 << len(point)}}}
			tables = append(tables, backend.Table{Bits: len(point), Terms: []backend.Weights{eq}})
			out[i].Factors = append(out[i].Factors, backend.Factor{Vars: vars})
		}
	}
	folded, eqs := l.be.Partials(partials), l.be.Tables(tables)
	for _, k := range slices.Backward(wide) {
		both := l.be.Combine(folded[k:k+2], []field.Element{field.One(), upperWord})
		l.be.Free(folded[k], folded[k+1])
		folded = slices.Replace(folded, k, k+2, both)
	}
	for i := range out {
		for f := range out[i].Factors {
			from := &folded
			if f == len(instances[i].term.Factors) {
				from = &eqs
			}
			out[i].Factors[f].Vals, *from = (*from)[0], (*from)[1:]
		}
	}
	return out
}

// free frees the vectors of instances.
func (l *Ledger) free(instances []backend.Instance) {
	for i := range instances {
		for _, f := range instances[i].Factors {
			l.be.Free(f.Vals)
		}
	}
}

// halved is v·2^−n. A backend folds a label that is summed in one factor by adding up, the claim evaluates at ½ and multiplies by 2^bits:
// that power is taken out again.
func halved(v field.Element, n int) field.Element {
	for range n {
		v.Mul(&v, &field.Half)
	}
	return v
}

// bases returns the lowest variable of every shared label, -1 for other labels.
func (in *instance) bases() []int {
	base := make([]int, len(in.term.Extents))
	for i := range base {
		base[i] = -1
	}
	at := 0
	for _, label := range in.vars {
		base[label] = at
		at += circuit.Bits(in.term.Extents[label])
	}
	return base
}

// eqPoint returns the claim's point at the shared labels of Out, in the order of the instance's variables, and these variables.
func (in *instance) eqPoint(base []int) (point []field.Element, vars []int) {
	for _, label := range in.vars {
		for b, x := range in.split.Tau[label] {
			point = append(point, x)
			vars = append(vars, base[label]+b)
		}
	}
	return point, vars
}

// labels says how a factor is evaluated partially: labels with a point are folded with eq, labels summed in this factor alone, of so many
// bits, are added up, shared labels stay, as the variables vars of the instance.
func (in *instance) labels(f int, base []int) (labels []backend.Label, vars []int, summed int) {
	factor := &in.term.Factors[f]
	has := make([]bool, len(in.term.Extents))
	for _, a := range factor.Axes {
		for _, label := range a {
			has[label] = true
		}
	}
	local := make([]int, len(in.term.Extents))
	for _, label := range in.vars {
		if has[label] {
			local[label] = len(vars)
			for b := 0; b < circuit.Bits(in.term.Extents[label]); b++ {
				vars = append(vars, base[label]+b)
			}
		}
	}
	for _, a := range factor.Axes {
		for _, label := range a {
			w := backend.Label{Extent: in.term.Extents[label], Var: -1}
			switch {
			case base[label] >= 0:
				w.Var = local[label]
			case in.split.InOut[label]:
				w.Point = in.split.Labels[label]
			default:
				summed += circuit.Bits(w.Extent)
			}
			labels = append(labels, w)
		}
	}
	return labels, vars, summed
}

// askFactors asks for the factors at the final point.
func (l *Ledger) askFactors(instances []instance, point []field.Element) {
	for i := range instances {
		in := &instances[i]
		in.split.Assign(in.term, in.vars, in.n, point)
		for f := range in.term.Factors {
			in.finals = append(in.finals, l.ask(in.term.Factors[f].T, in.split.FactorPoint(&in.term.Factors[f])))
		}
	}
}

// take notes what the factors are at the final point, which a sumcheck ends with: no tensor is evaluated once more. What earlier messages
// have bound stays as it is.
func take(instances []instance, finals [][]field.Element, message int) {
	for i := range instances {
		for f, e := range instances[i].finals {
			if v := halved(finals[i][f], instances[i].summed[f]); e.message == message {
				e.full = &v
			}
		}
	}
}

// finish binds the factors' evaluations and the partial products and ties the final claim to them.
func (l *Ledger) finish(label string, instances []instance, final veil.Expr) {
	zs := 0
	for i := range instances {
		zs += max(l.c.Classify(instances[i].term).Hidden-1, 0)
	}
	z := l.Bind(label+" evaluations", zs, func() []field.Element { return l.partialProducts(instances) })
	if l.ch.Err() != nil {
		return
	}
	var sum veil.Accumulator
	for i := range instances {
		in := &instances[i]
		coef := in.scale()
		var product *veil.Expr
		for _, f := range in.finals {
			e := l.expr(f)
			switch {
			case l.public(f.tensor.ID):
				coef.Mul(&coef, &e.Const)
			case product == nil:
				product = &e
			default:
				l.ch.Product(label, *product, e, z[0])
				product, z = &z[0], z[1:]
			}
		}
		if product == nil {
			sum.AddConst(coef)
		} else {
			sum.Add(coef, *product)
		}
	}
	l.ch.Zero(label, final.Sub(sum.Expr()))
}

func (l *Ledger) public(t circuit.ID) bool {
	return l.c.Tensor(t).Kind.Known()
}

// scale is the instance's coefficient times eq of the claim's point and the final point at the shared labels of Out.
func (in *instance) scale() field.Element {
	v := in.coef
	for _, label := range in.vars {
		if in.split.InOut[label] {
			w := poly.EqAt(in.split.Tau[label], in.split.Labels[label])
			v.Mul(&v, &w)
		}
	}
	return v
}

// partialProducts computes the z of all instances, in order, while the message of their factors' evaluations is made.
func (l *Ledger) partialProducts(instances []instance) []field.Element {
	var out []field.Element
	for i := range instances {
		var product field.Element
		first := true
		for _, f := range instances[i].finals {
			if l.public(f.tensor.ID) {
				continue
			}
			v := l.value(f)
			if first {
				product, first = v, false
				continue
			}
			product.Mul(&product, &v)
			out = append(out, product)
		}
	}
	return out
}
