package lookup

import (
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// The names of this package's checks, as the channel reports them.
const (
	StageRootCross     = "lookup root: z = a0·b1"
	StageRootSum       = "lookup root: -z = a1·b0"
	StageRootProduct   = "lookup root: q = b0·b1"
	StageRootInverse   = "lookup root: 1 = q·qi"
	StageLayerCombined = "lookup layer: z = (a0+λb0)·b1"
	StageLayerCross    = "lookup layer: C-z = a1·b0"
	StageLeafP         = "lookup leaves: numerators"
	StageLeafQ         = "lookup leaves: denominators"
)

// Leaves is what the tree leaves to check: the numerators and denominators of the leaves, as MLEs, at one point.
type Leaves struct {
	Point       []field.Element // lowest variable first
	P, Q        veil.Expr       // claims on p̃(Point) and q̃(Point)
	Beta, Gamma field.Element

	plan *Plan
}

// Backend is what a prover asks of a backend's run: see backend.Run.
type Backend interface {
	Fractions(n int, blocks []backend.Block) backend.FractionTree
}

// Columns are the tensors of a circuit, and the columns of its tables, where a backend holds them.
type Columns interface {
	Tensor(id circuit.ID) backend.Tensor
	Table(number int) []backend.Tensor
}

// Run proves, or checks, that all fractions sum to zero, up to the claims on the leaves. Everything that a lookup or a table
// touches must be committed before. Backend and columns are the prover's.
func Run(ch *veil.Channel, p *Plan, be Backend, columns Columns) Leaves {
	out := Leaves{plan: p, Beta: ch.Challenge("lookup beta"), Gamma: ch.Challenge("lookup gamma")}
	// A sum of 2^N fractions with denominators of degree at most k+1 in (β, γ), k columns.
	ch.Charge("lookup: beta, gamma", int64(p.columns()+1)<<p.N, veil.FullBits)
	t := &tree{ch: ch}
	if ch.Proving() {
		t.fractions = be.Fractions(p.N, p.Leaves(columns, out.Beta, out.Gamma))
	}
	claims := t.root()
	var s []field.Element
	for j := 1; j < p.N; j++ {
		claims, s = t.layer(j, s, claims)
	}
	mu := ch.Challenge("lookup mu")
	ch.Charge("lookup: mu", 1, veil.FullBits)
	out.Point = append([]field.Element{mu}, s...)
	out.P = line(mu, claims.a0, claims.a1)
	out.Q = line(mu, claims.b0, claims.b1)
	return out
}

// tree walks the fraction tree from the root to the leaves.
type tree struct {
	ch        *veil.Channel
	fractions backend.FractionTree // prover
}

// claims are the bound values a_b = p(b,s), b_b = q(b,s) of a layer, b its lowest variable.
type claims struct{ a0, a1, b0, b1 veil.Expr }

// root is message 1: the two fractions of layer 1 sum to 0/q with q ≠ 0. Neither q nor its inverse is seen by the verifier.
func (t *tree) root() claims {
	w := t.ch.Scalars("lookup root", 7, func() []field.Element {
		a0, a1, b0, b1 := t.fractions.Root()
		var z, q, qi field.Element
		z.Mul(&a0, &b1)
		q.Mul(&b0, &b1)
		qi.Inverse(&q)
		return []field.Element{a0, a1, b0, b1, z, q, qi}
	})
	c := claims{a0: w[0], a1: w[1], b0: w[2], b1: w[3]}
	z, q, qi := w[4], w[5], w[6]
	var one, minus field.Element
	one.SetOne()
	minus.Neg(&one)
	t.ch.Product(StageRootCross, c.a0, c.b1, z)
	t.ch.Product(StageRootSum, c.a1, c.b0, z.Scale(minus))
	t.ch.Product(StageRootProduct, c.b0, c.b1, q)
	t.ch.Product(StageRootInverse, q, qi, veil.Constant(one))
	return c
}

// layer reduces the claims of layer j at s to claims of layer j+1 at a fresh point: messages 2 to 4.
func (t *tree) layer(j int, s []field.Element, c claims) (claims, []field.Element) {
	lambda := t.ch.Challenge("lookup lambda")
	t.ch.Charge("lookup: lambda", 2, veil.FullBits)
	t.ch.Charge("lookup: rounds", int64(2*j), veil.ShortBits)
	var rounds backend.LayerRounds
	if t.ch.Proving() {
		rounds = t.fractions.Layer(j, s, lambda)
	}
	running := &veil.Accumulator{}
	point := make([]field.Element, j)
	point[0] = t.first(rounds, lambda, c, running)
	for i := 2; i <= j; i++ {
		point[i-1] = t.round(rounds, s[i-2], running)
	}
	return t.last(rounds, lambda, running.Expr()), point
}

// first is message 2, round 1 of a layer. h(0) and h(1) are the layer's bound claims, so that h∞ is all that is left to say; it
// is absorbed before ρ1, which is at the same time the line challenge between the claims at b = 0 and b = 1.
func (t *tree) first(rounds backend.LayerRounds, lambda field.Element, c claims, running *veil.Accumulator) field.Element {
	w := t.ch.Scalars("lookup layer first", 1, func() []field.Element {
		return []field.Element{rounds.First()}
	})
	rho := t.ch.Short("lookup rho")
	if t.ch.Proving() {
		rounds.Bind(rho)
	}
	var at0, v field.Element
	at0.SetOne()
	at0.Sub(&at0, &rho)
	running.Add(at0, c.a0)
	running.Add(rho, c.a1)
	running.Add(*v.Mul(&at0, &lambda), c.b0)
	running.Add(*v.Mul(&rho, &lambda), c.b1)
	running.Add(parabola(rho), w[0])
	return rho
}

// round is message 3, a round i ≥ 2 with σ = s_{i−1}: C ← C + (ρ−σ)·Δ + (ρ²−ρ)·h∞.
func (t *tree) round(rounds backend.LayerRounds, sigma field.Element, running *veil.Accumulator) field.Element {
	w := t.ch.Scalars("lookup layer round", 2, func() []field.Element {
		delta, inf := rounds.Round()
		return []field.Element{delta, inf}
	})
	rho := t.ch.Short("lookup rho")
	if t.ch.Proving() {
		rounds.Bind(rho)
	}
	var v field.Element
	running.Add(*v.Sub(&rho, &sigma), w[0])
	running.Add(parabola(rho), w[1])
	return rho
}

// last is message 4: the four claims of the layer below and the products that tie them to the running claim C.
func (t *tree) last(rounds backend.LayerRounds, lambda field.Element, running veil.Expr) claims {
	w := t.ch.Scalars("lookup layer claims", 5, func() []field.Element {
		a0, a1, b0, b1 := rounds.Claims()
		var z field.Element
		z.Mul(&lambda, &b0)
		z.Add(&z, &a0)
		z.Mul(&z, &b1)
		return []field.Element{a0, a1, b0, b1, z}
	})
	c := claims{a0: w[0], a1: w[1], b0: w[2], b1: w[3]}
	z := w[4]
	t.ch.Product(StageLayerCombined, c.a0.Add(c.b0.Scale(lambda)), c.b1, z)
	t.ch.Product(StageLayerCross, c.a1, c.b0, running.Sub(z))
	return c
}

// parabola returns ρ² − ρ, the factor of h∞: it vanishes at 0 and 1.
func parabola(rho field.Element) field.Element {
	var v field.Element
	v.Square(&rho)
	v.Sub(&v, &rho)
	return v
}

// line returns (1−μ)·at0 + μ·at1.
func line(mu field.Element, at0, at1 veil.Expr) veil.Expr {
	var acc veil.Accumulator
	var v field.Element
	v.SetOne()
	acc.Add(*v.Sub(&v, &mu), at0)
	acc.Add(mu, at1)
	return acc.Expr()
}
