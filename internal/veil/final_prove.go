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
	u     []field.Element // Σ θ^s·segment_s
	gens  []group.Affine
	blind field.Element // ρ_P
	d     []field.Element
	rhoD  field.Element
	fold  backend.Argument
}

func (p *prover) start() {
	c := p.c
	p.u = make([]field.Element, p.n)
	var v field.Element
	for s := range c.segments {
		seg := &c.segments[s]
		for j := range seg.values {
			p.u[p.offset[s]+j].Mul(&p.weight[s], &seg.values[j])
		}
		v.Mul(&p.weight[s], &seg.blind)
		p.blind.Add(&p.blind, &v)
	}
	p.gens = p.generators()
	p.d = c.rnd.Uniform("mask", p.n)
	p.rhoD = c.rnd.Uniform("mask blinder", 1)[0]
}

func (p *prover) mask() []group.Affine {
	points := append([]group.Affine{group.H()}, p.gens...)
	scalars := append([]field.Element{p.rhoD}, p.d...)
	return []group.Affine{p.c.be.MSM(points, scalars)}
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

// combine starts the folding of e·u + d against the form, with x·U as the base of the inner product.
func (p *prover) combine(e, x field.Element) {
	for i := range p.u {
		p.u[i].Mul(&p.u[i], &e)
		p.u[i].Add(&p.u[i], &p.d[i])
	}
	base := p.c.be.MSM([]group.Affine{group.U()}, []field.Element{x})
	p.fold = p.c.be.Argument(p.u, p.form, p.gens, base)
}

func (p *prover) round() []group.Affine {
	l, r := p.fold.Round()
	return []group.Affine{l, r}
}

func (p *prover) rest() []field.Element { return p.fold.Rest() }
