// Package sumcheck runs the rounds of the sumcheck protocol (Lund, Fortnow, Karloff, Nisan 1992) over a veil channel: prover and
// verifier are one function.
//
// Claim: C = Σ_{x ∈ {0,1}^L} P(x), P of degree at most D in each variable, C an expression that was bound before.
// Round i = 1..L (the lowest variable first), g_i(X) = Σ_{x_{i+1}..x_L} P(r_1..r_{i−1}, X, x_{i+1}..x_L):
//
//	prover → verifier: g_i(0), g_i(2), …, g_i(D) as padded scalars; g_i(1) = C − g_i(0) is never sent
//	verifier → prover: r_i, a short challenge, drawn after the scalars are absorbed
//	both: C ← g_i(r_i) by Lagrange interpolation on 0..D: an expression, so no round needs a check of its own
//
// The degree is bounded by the number of scalars, which the circuit fixes. After the rounds the caller must tie C to P(r).
// Soundness error: L·D over the size of the short challenges' set, 2^125.
package sumcheck

import (
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// Rounds runs L rounds of degree D ≥ 1 on the claim and returns the point (lowest variable first) and the final claim. The
// prover computes the rounds; it is nil on the verifier's side.
func Rounds(ch *veil.Channel, label string, rounds, degree int, claim veil.Expr, prover backend.Sumcheck) ([]field.Element, veil.Expr) {
	point := make([]field.Element, rounds)
	running := runningClaim{claim: claim}
	running.scale.SetOne()
	for i := range point {
		sent := ch.Scalars(label, degree, func() []field.Element { return prover.Round() })
		point[i] = ch.Short(label)
		ch.Charge(label+" rounds", int64(degree), veil.ShortBits)
		running.reduce(sent, poly.LagrangeAt(degree, point[i]))
		if ch.Proving() {
			prover.Bind(point[i])
		}
	}
	return point, running.expr()
}

// runningClaim is scale·claim + Σ coef·sent: the claim's own, possibly long expression is scaled once, at the end.
type runningClaim struct {
	claim veil.Expr
	scale field.Element
	sent  []veil.Expr
	coef  []field.Element
}

// reduce replaces C by g(r) = l_0·g(0) + l_1·(C − g(0)) + Σ_{j≥2} l_j·g(j), sent = g(0), g(2), …, g(D).
func (c *runningClaim) reduce(sent []veil.Expr, l []field.Element) {
	c.scale.Mul(&c.scale, &l[1])
	for i := range c.coef {
		c.coef[i].Mul(&c.coef[i], &l[1])
	}
	var v field.Element
	v.Sub(&l[0], &l[1])
	c.sent, c.coef = append(c.sent, sent[0]), append(c.coef, v)
	for j := 2; j < len(l); j++ {
		c.sent, c.coef = append(c.sent, sent[j-1]), append(c.coef, l[j])
	}
}

func (c *runningClaim) expr() veil.Expr {
	var a veil.Accumulator
	a.Add(c.scale, c.claim)
	for i := range c.sent {
		a.Add(c.coef[i], c.sent[i])
	}
	return a.Expr()
}
