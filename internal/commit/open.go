package commit

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/sumcheck"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// Set is one set of committed rows: the weights, or a proof's witness.
type Set struct {
	Layout *Layout
	Points []group.Affine // one per row
	Rows   []backend.Row  // prover
	// Cells lays out the cells of rows that have none. A prover needs them twice, to commit and to open, and much else between.
	Cells func() [][]int32
}

// rows are the rows with their cells.
func (s *Set) rows() []backend.Row {
	if s.Cells == nil {
		return s.Rows
	}
	rows := slices.Clone(s.Rows)
	for i, cells := range s.Cells() {
		rows[i].Cells = cells
	}
	return rows
}

// Bound is a claim together with the expression of its value, which was bound before.
type Bound struct {
	Claim
	Value veil.Expr
}

// class collects the rows and claims of one row width; rows of the second set come after those of the first.
type class struct {
	bits   int
	points []group.Affine
	rows   []backend.Row
	claims []Bound
	alphas []field.Element
	parts  [][]part // per claim
}

// Open reduces all claims to one inner product per class (protocol section 3). Messages, after every claim's value is bound:
//
//  1. ← α; claim k of all classes has the coefficient α^k, k from 1.
//  2. per class the sumcheck, over the columns p, of Σ_k α^k Σ_parts (Σ_i coef_i·row_i[p])·E(p), degree 2; it ends at c*.
//  3. nothing is sent: v* = Σ_k α^k Σ_parts Ẽ(c*)·Σ_i coef_i·row_i is committed to by the same combination of the rows'
//     commitments, and the check ⟨v*, eq(c*)⟩ = final claim goes to the final argument.
func Open(ch *veil.Channel, c *circuit.Circuit, sets []Set, claims []Bound) {
	alpha := ch.Challenge("alpha")
	ch.Charge("openings: alpha", len(claims), veil.FullBits)
	power := alpha
	var classes []*class
	base := make([]int, len(sets)) // first row of a set in its class
	of := make([]*class, len(sets))
	for i, s := range sets {
		for _, k := range classes {
			if k.bits == s.Layout.Bits {
				of[i] = k
			}
		}
		if of[i] == nil {
			of[i] = &class{bits: s.Layout.Bits}
			classes = append(classes, of[i])
		}
		base[i] = len(of[i].points)
		of[i].points = append(of[i].points, s.Points...)
		if ch.Proving() {
			of[i].rows = append(of[i].rows, s.rows()...)
		}
	}
	for _, cl := range claims {
		placed := false
		for i, s := range sets {
			if s.Layout.places[cl.T].here {
				placed = true
				parts := s.Layout.parts(c.Tensor(cl.T).Shape, cl.Claim)
				for _, p := range parts {
					for j := range p.rows {
						p.rows[j] += base[i]
					}
				}
				of[i].claims = append(of[i].claims, cl)
				of[i].alphas = append(of[i].alphas, power)
				of[i].parts = append(of[i].parts, parts)
			}
		}
		if !placed {
			ch.Fail(fmt.Errorf("commit: a claim on %s, which no set of rows holds", c.Tensor(cl.T).Name))
		}
		power.Mul(&power, &alpha)
	}
	for _, k := range classes {
		if len(k.claims) > 0 {
			k.open(ch)
		}
	}
}

func (k *class) open(ch *veil.Channel) {
	var claim veil.Accumulator
	for i, cl := range k.claims {
		claim.Add(k.alphas[i], cl.Value)
	}
	var prover backend.Sumcheck
	if ch.Proving() {
		prover = ch.Backend().Sumcheck(k.instances(ch.Backend()), k.bits, 2)
	}
	point, final := sumcheck.Rounds(ch, "columns", k.bits, 2, claim.Expr(), prover)
	coefs := make([]field.Element, len(k.points))
	var v field.Element
	for i := range k.claims {
		for _, p := range k.parts[i] {
			e := p.cols.at(point)
			e.Mul(&e, &k.alphas[i])
			for j, r := range p.rows {
				v.Mul(&e, &p.coefs[j])
				coefs[r].Add(&coefs[r], &v)
			}
		}
	}
	o := veil.Opening{Name: fmt.Sprintf("rows of 2^%d", k.bits), Gens: group.Row(1 << k.bits), Points: k.points, Coefs: coefs}
	if ch.Proving() {
		o.Values = ch.Backend().FoldRows(k.rows, coefs, 1<<k.bits)
		for r := range k.rows {
			v.Mul(&coefs[r], &k.rows[r].Blind)
			o.Blind.Add(&o.Blind, &v)
		}
	}
	ch.Inner("opening", o, poly.Eq(point), final)
}

// instances groups the parts of all claims by equal column weights: one product of two factors per group.
func (k *class) instances(be backend.Backend) []backend.Instance {
	index := map[string]int{}
	type group struct {
		cols  columns
		rows  []backend.Row
		coefs []field.Element
	}
	var groups []group
	for i := range k.claims {
		for _, p := range k.parts[i] {
			key := p.cols.key()
			g, ok := index[key]
			if !ok {
				g = len(groups)
				index[key] = g
				groups = append(groups, group{cols: p.cols})
			}
			for j, r := range p.rows {
				var v field.Element
				v.Mul(&p.coefs[j], &k.alphas[i])
				groups[g].rows = append(groups[g].rows, k.rows[r])
				groups[g].coefs = append(groups[g].coefs, v)
			}
		}
	}
	vars := make([]int, k.bits)
	for i := range vars {
		vars[i] = i
	}
	out := make([]backend.Instance, len(groups))
	poly.Parallel(len(groups), func(i int) { // a group is often a single row
		g := &groups[i]
		out[i] = backend.Instance{N: k.bits, Coef: field.FromInt64(1), Factors: []backend.Factor{
			{Vals: be.FoldRows(g.rows, g.coefs, 1<<k.bits), Vars: vars},
			{Vals: g.cols.weights(), Vars: vars},
		}}
	})
	return out
}
