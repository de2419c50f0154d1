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
	Points []group.Affine  // one per row
	Rows   []backend.Row   // prover
	Blinds []field.Element // prover: point i is the row's commitment and Blinds[i]·H
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
	sets   []*Set
	claims []Bound
	of     []*Set // per claim
	alphas []field.Element
	parts  [][]part // per claim; rows by their numbers in the set
}

// base is the number in its class of the first row of a set.
func (k *class) base(of *Set) (n int) {
	for _, s := range k.sets {
		if s == of {
			break
		}
		n += len(s.Points)
	}
	return n
}

// Backend is what a prover asks of a backend's run: see backend.Run.
type Backend interface {
	FoldRows(sums []backend.RowSum, width int) []backend.Vector
	Tables(tables []backend.Table) []backend.Vector
	Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck
	Combine(vecs []backend.Vector, coefs []field.Element) backend.Vector
	Free(vecs ...backend.Vector)
}

// Open reduces all claims to one inner product per class (SPEC.md 11). Messages, after every claim's value is bound:
//
//  1. ← α; claim k of all classes has the coefficient α^k, k from 1.
//  2. per class the sumcheck, over the columns p, of Σ_k α^k Σ_parts (Σ_i coef_i·row_i[p])·E(p), degree 2; it ends at c*.
//  3. nothing is sent: v* = Σ_k α^k Σ_parts Ẽ(c*)·Σ_i coef_i·row_i is committed to by the same combination of the rows'
//     commitments, and the check ⟨v*, eq(c*)⟩ = final claim goes to the final argument. The
//     backend is the prover's.
func Open(ch *veil.Channel, c *circuit.Circuit, be Backend, sets []Set, claims []Bound) {
	alpha := ch.Challenge("alpha")
	ch.Charge("openings: alpha", int64(len(claims)), veil.FullBits)
	power := alpha
	var classes []*class
	of := make([]*class, len(sets))
	for i := range sets {
		s := &sets[i]
		for _, k := range classes {
			if k.bits == s.Layout.Bits {
				of[i] = k
			}
		}
		if of[i] == nil {
			of[i] = &class{bits: s.Layout.Bits}
			classes = append(classes, of[i])
		}
		of[i].sets = append(of[i].sets, s)
		of[i].points = append(of[i].points, s.Points...)
	}
	for _, cl := range claims {
		placed := false
		for i := range sets {
			if s, k := &sets[i], of[i]; s.Layout.places[cl.T].here {
				placed = true
				k.claims, k.of = append(k.claims, cl), append(k.of, s)
				k.alphas = append(k.alphas, power)
				k.parts = append(k.parts, s.Layout.parts(c.Tensor(cl.T).Shape, cl.Claim))
			}
		}
		if !placed {
			ch.Fail(fmt.Errorf("commit: a claim on %s, which no set of rows holds", c.Tensor(cl.T).Name))
		}
		power.Mul(&power, &alpha)
	}
	for _, k := range classes {
		if len(k.claims) > 0 {
			k.open(ch, be)
		}
	}
}

func (k *class) open(ch *veil.Channel, be Backend) {
	var claim veil.Accumulator
	for i, cl := range k.claims {
		claim.Add(k.alphas[i], cl.Value)
	}
	var prover backend.Sumcheck
	var factors []backend.Instance
	if ch.Proving() {
		factors = k.factors(be)
		prover = be.Sumcheck(factors, k.bits, 2)
	}
	point, final := sumcheck.Rounds(ch, "columns", k.bits, 2, claim.Expr(), prover)
	coefs := k.coefficients(point)
	gens := func() []group.Affine { return ch.Generators(group.RowTag(1<<k.bits), 1<<k.bits) }
	o := veil.Opening{Name: fmt.Sprintf("rows of 2^%d", k.bits), N: 1 << k.bits, Gens: gens, Points: k.points, Coefs: coefs}
	if ch.Proving() {
		o.Held, o.Blind = combined(be, factors, prover.Finals()), k.blind(coefs)
	}
	ch.Inner("opening", o, func() []field.Element { return poly.Eq(point) }, final)
}

// coefficients are those of the rows in v*.
func (k *class) coefficients(point []field.Element) []field.Element {
	coefs := make([]field.Element, len(k.points))
	weights := newEvaluator(point)
	var v field.Element
	for i := range k.claims {
		base := k.base(k.of[i])
		for _, p := range k.parts[i] {
			e := weights.at(&p.cols)
			e.Mul(&e, &k.alphas[i])
			for j, r := range p.rows {
				v.Mul(&e, &p.coefs[j])
				coefs[base+r].Add(&coefs[base+r], &v)
			}
		}
	}
	return coefs
}

// blind is the blinder of the rows' combination.
func (k *class) blind(coefs []field.Element) (sum field.Element) {
	var v field.Element
	for _, s := range k.sets {
		base := k.base(s)
		for r := range s.Blinds {
			v.Mul(&coefs[base+r], &s.Blinds[r])
			sum.Add(&sum, &v)
		}
	}
	return sum
}

// combination is a product of two factors of the sumcheck: Σ coefs_i·row_i, and Σ weights_k·E_k of column weights E. Parts of tensors that
// own rows are grouped by their column weights, which are one E then; parts of tensors that share a row by the row.
type combination struct {
	rows    [][]int           // by set of the class
	coefs   [][]field.Element // likewise
	columns []columns
	weights []field.Element
}

// factors makes the two factors of every combination: the rows folded, and the weights of columns.
func (k *class) factors(be Backend) []backend.Instance {
	all := k.combinations()
	sums, tables, out := make([]backend.RowSum, len(all)), make([]backend.Table, len(all)), make([]backend.Instance, len(all))
	for i, g := range all {
		for set, numbers := range g.rows {
			for _, n := range numbers {
				sums[i].Rows = append(sums[i].Rows, k.sets[set].Rows[n])
			}
			sums[i].Coefs = append(sums[i].Coefs, g.coefs[set]...)
		}
		tables[i] = g.columnWeights(k.bits)
	}
	vars := make([]int, k.bits)
	for i := range vars {
		vars[i] = i
	}
	rows, columns := be.FoldRows(sums, 1<<k.bits), be.Tables(tables)
	for i := range out {
		factors := []backend.Factor{{Vals: rows[i], Vars: vars}, {Vals: columns[i], Vars: vars}}
		out[i] = backend.Instance{N: k.bits, Coef: field.One(), Factors: factors}
	}
	return out
}

// combinations groups the parts of all claims.
func (k *class) combinations() []*combination {
	index := map[string]*combination{}
	var all []*combination
	find := func(key string) (g *combination, found bool) {
		if g, found = index[key]; !found {
			g = &combination{rows: make([][]int, len(k.sets)), coefs: make([][]field.Element, len(k.sets))}
			index[key] = g
			all = append(all, g)
		}
		return g, found
	}
	regular := k.regular()
	for i := range k.claims {
		set, alpha := slices.Index(k.sets, k.of[i]), k.alphas[i]
		for _, p := range k.parts[i] {
			if p.cols.used < k.bits && !regular[sharedRow{set, p.rows[0]}] {
				g, found := find(fmt.Sprint("row ", set, p.rows[0]))
				if !found {
					g.rows[set], g.coefs[set] = p.rows, []field.Element{field.One()}
				}
				g.columns, g.weights = append(g.columns, p.cols), append(g.weights, product(p.coefs[0], alpha))
				continue
			}
			g, found := find("columns " + p.cols.key())
			if !found {
				g.columns, g.weights = []columns{p.cols}, []field.Element{field.One()}
			}
			g.rows[set] = append(g.rows[set], p.rows...)
			for j := range p.coefs {
				g.coefs[set] = append(g.coefs[set], product(p.coefs[j], alpha))
			}
		}
	}
	return all
}

// sharedRow is a row that tensors share, by its number in a set.
type sharedRow struct{ set, row int }

// regular returns the shared rows whose parts are better grouped by their column weights, too: rows that are cut alike, as those of many
// tensors of one shape are, with fewer weights between them than there are rows.
func (k *class) regular() map[sharedRow]bool {
	var shared []sharedRow
	rowsOf, keysOf := map[string]map[sharedRow]bool{}, map[sharedRow][]string{}
	for i := range k.claims {
		set := slices.Index(k.sets, k.of[i])
		for _, p := range k.parts[i] {
			if p.cols.used < k.bits {
				row, key := sharedRow{set, p.rows[0]}, p.cols.key()
				if keysOf[row] == nil {
					shared = append(shared, row)
				}
				if rowsOf[key] == nil {
					rowsOf[key] = map[sharedRow]bool{}
				}
				rowsOf[key][row], keysOf[row] = true, append(keysOf[row], key)
			}
		}
	}
	rows, keys := map[sharedRow]bool{}, map[string]bool{}
	for _, row := range shared {
		if !slices.ContainsFunc(keysOf[row], func(key string) bool { return len(rowsOf[key]) == 1 }) {
			rows[row] = true
			for _, key := range keysOf[row] {
				keys[key] = true
			}
		}
	}
	if len(keys) >= len(rows) {
		return nil
	}
	return rows
}

func product(a, b field.Element) field.Element { return *a.Mul(&a, &b) }

// columnWeights is Σ weights_k·E_k.
func (g *combination) columnWeights(bits int) backend.Table {
	t := backend.Table{Bits: bits}
	for i := range g.columns {
		w := backend.Weights{Offset: g.columns[i].offset, Scale: g.weights[i]}
		for _, a := range g.columns[i].axes {
			w.Axes = append(w.Axes, backend.Axis{Point: a.point, Extent: a.d})
		}
		t.Terms = append(t.Terms, w)
	}
	return t
}

// combined is v*: the combinations of rows once more, with what the sumcheck has left of their column weights. No row is folded twice.
func combined(be Backend, factors []backend.Instance, finals [][]field.Element) backend.Vector {
	rows, coefs := make([]backend.Vector, len(factors)), make([]field.Element, len(factors))
	for i := range factors {
		rows[i], coefs[i] = factors[i].Factors[0].Vals, finals[i][1]
		be.Free(factors[i].Factors[1].Vals)
	}
	v := be.Combine(rows, coefs)
	be.Free(rows...)
	return v
}
