package veil

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

var one, three = big.NewInt(1), big.NewInt(3)

// prover is the prover's half of the final argument. Its message functions are called on the prover's side only.
type prover struct {
	*argument
	blind field.Element // ρ_P
	d     []field.Element
	rhoD  field.Element
	fold  backend.Argument
}

func (p *prover) start() {
	c := p.c
	var v field.Element
	for s := range c.segments {
		v.Mul(&p.weight[s], &c.segments[s].blind)
		p.blind.Add(&p.blind, &v)
	}
	p.d = c.rnd.Uniform("mask", p.n)
	p.rhoD = c.rnd.Uniform("mask blinder", 1)[0]
}

// bases are the generators of the combined vector.
func (a *argument) bases() backend.Bases {
	var out backend.Bases
	for s := range a.c.segments {
		seg := &a.c.segments[s]
		out = append(out, backend.Generators{At: a.offset[s], Points: seg.gens()[:seg.n]})
	}
	return out
}

func (p *prover) mask() []group.Affine {
	return group.Blind(nil, []group.Affine{p.c.be.MSM(p.bases(), p.d)}, []field.Element{p.rhoD})
}

func (p *prover) maskForm() []field.Element {
	return []field.Element{field.InnerProduct(p.d, p.form)}
}

func (p *prover) blinder(e field.Element) []field.Element {
	var v field.Element
	v.Mul(&e, &p.blind)
	v.Add(&v, &p.rhoD)
	return []field.Element{v}
}

// combine starts the folding of e·u + d, u = Σ θ^s·segment_s, against the form, with x·U as the base of the inner product.
func (p *prover) combine(e, x field.Element) {
	segments := make([]backend.Segment, len(p.c.segments))
	for s := range segments {
		seg, to := &p.c.segments[s], &segments[s]
		to.Offset, to.Held, to.Vals = p.offset[s], seg.held, seg.values
		to.Scale.Mul(&e, &p.weight[s])
	}
	u := group.U()
	base := group.Mul(&u, &x)
	p.fold = p.c.be.Argument(p.d, segments, p.form, p.bases(), group.ToAffine(&base))
}

func (p *prover) round() []group.Affine {
	l, r := p.fold.Round()
	return []group.Affine{l, r}
}

func (p *prover) rest() []field.Element { return p.fold.Rest() }
