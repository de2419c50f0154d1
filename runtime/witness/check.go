package witness

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/witness/rule"
)

// Checker is the slow definition of what a satisfied circuit is: every tensor cell by cell over big integers, without any of the
// shortcuts of Generate. It is for tests, and not safe for concurrent use.
type Checker struct {
	c     *circuit.Circuit
	lines []map[string]bool // per table: its lines, made when first needed
}

// NewChecker returns the checker of a circuit.
func NewChecker(c *circuit.Circuit) *Checker {
	return &Checker{c: c, lines: make([]map[string]bool, len(c.Tables))}
}

// CheckSatisfied is NewChecker(c).Satisfied(a).
func CheckSatisfied(c *circuit.Circuit, a *Assignment) error { return NewChecker(c).Satisfied(a) }

// CheckField is NewChecker(c).Field(values).
func CheckField(c *circuit.Circuit, values func(circuit.ID) []*big.Int) error {
	return NewChecker(c).Field(values)
}

// Satisfied evaluates the circuit over the integers: lookups, multiplicities and zero-checks hold, every cell is within its bounds,
// and virtual tensors are the assignment's.
func (ch *Checker) Satisfied(a *Assignment) error {
	n := ch.newNaive(nil, func(id circuit.ID) []*big.Int { return bigs(a.Tensor(id).V) })
	if err := n.check(); err != nil {
		return err
	}
	for i := range ch.c.Tensors {
		t := &ch.c.Tensors[i]
		v := a.Tensor(t.ID).V
		for j, x := range n.cells(t.ID) {
			if !x.IsInt64() || x.Int64() != v[j] {
				return fmt.Errorf("tensor %s: cell %v is %v, the assignment says %d", t.Name, rule.Cell(t.Shape, j), x, v[j])
			}
			if v[j] < t.Lo || v[j] > t.Hi {
				return fmt.Errorf("tensor %s: cell %v is %d, outside its bounds [%d, %d]", t.Name, rule.Cell(t.Shape, j), v[j], t.Lo, t.Hi)
			}
		}
	}
	return nil
}

// Field says whether the circuit is satisfied over the field, which is what a proof shows: values yields the cells of the tensors
// that are not virtual, any field elements, and sums and products are taken mod p. Multiplicities are whatever the lookups need:
// values is not asked for them. It serves to play provers with solutions that wrap around.
func (ch *Checker) Field(values func(circuit.ID) []*big.Int) error {
	return ch.newNaive(field.Modulus(), func(id circuit.ID) []*big.Int {
		if ch.c.Tensor(id).Mult {
			return nil
		}
		return values(id)
	}).check()
}

// isLine says whether a table has a line.
func (ch *Checker) isLine(table int, key string) bool {
	if ch.lines[table] == nil {
		t := &ch.c.Tables[table]
		ch.lines[table] = make(map[string]bool, len(t.Cols[0]))
		for i := range t.Cols[0] {
			ch.lines[table][lineKey(t, i)] = true
		}
	}
	return ch.lines[table][key]
}

func bigs(v []int64) []*big.Int {
	b := make([]*big.Int, len(v))
	for i, x := range v {
		b[i] = big.NewInt(x)
	}
	return b
}

// naive evaluates a circuit over the integers (mod nil) or mod a prime, with representatives in (−p/2, p/2].
type naive struct {
	*Checker
	mod    *big.Int
	given  func(circuit.ID) []*big.Int
	memo   [][]*big.Int
	counts []map[string]int64 // per table: how often a line is looked up, by the line's text
}

func (ch *Checker) newNaive(mod *big.Int, given func(circuit.ID) []*big.Int) *naive {
	n := &naive{Checker: ch, mod: mod, given: given, memo: make([][]*big.Int, len(ch.c.Tensors)), counts: make([]map[string]int64, len(ch.c.Tables))}
	for i := range n.counts {
		n.counts[i] = map[string]int64{}
	}
	return n
}

// reduce returns the representative of x of least absolute value.
func (n *naive) reduce(x *big.Int) *big.Int {
	if n.mod == nil {
		return x
	}
	x = new(big.Int).Mod(x, n.mod)
	if half := new(big.Int).Rsh(n.mod, 1); x.Cmp(half) > 0 {
		x.Sub(x, n.mod)
	}
	return x
}

// cells returns a tensor.
func (n *naive) cells(id circuit.ID) []*big.Int {
	if n.memo[id] != nil {
		return n.memo[id]
	}
	t := n.c.Tensor(id)
	var v []*big.Int
	if t.Kind != circuit.Virtual {
		for _, x := range n.given(id) {
			v = append(v, n.reduce(x))
		}
	} else {
		v = bigs(make([]int64, circuit.Size(t.Shape)))
		for k := range t.Def {
			n.addTerm(v, t.Shape, &t.Def[k])
		}
		for i := range v {
			v[i] = n.reduce(v[i])
		}
	}
	n.memo[id] = v
	return v
}

// addTerm adds a term by walking through all values of all its labels.
func (n *naive) addTerm(out []*big.Int, shape []int, t *circuit.Term) {
	factors := make([][]*big.Int, len(t.Factors))
	for j, f := range t.Factors {
		factors[j] = n.cells(f.T)
	}
	idx := make([]int, len(t.Extents))
	for {
		p := big.NewInt(t.Coef)
		for j, f := range t.Factors {
			p.Mul(p, factors[j][position(f.Axes, n.c.Tensor(f.T).Shape, t.Extents, idx)])
		}
		o := out[position(t.Out, shape, t.Extents, idx)]
		o.Add(o, p)
		l := len(idx) - 1
		for ; l >= 0; l-- {
			if idx[l]++; idx[l] < t.Extents[l] {
				break
			}
			idx[l] = 0
		}
		if l < 0 {
			return
		}
	}
}

// position is the row-major cell that label values name.
func position(axes [][]int, shape, extents, idx []int) int {
	p := 0
	for a, labels := range axes {
		x := 0
		for _, l := range labels {
			x = x*extents[l] + idx[l]
		}
		p = p*shape[a] + x
	}
	return p
}

// check checks lookups, multiplicities and zero-checks.
func (n *naive) check() error {
	for i := range n.c.Lookups {
		if err := n.checkLookup(&n.c.Lookups[i]); err != nil {
			return err
		}
	}
	for i := range n.c.Tables {
		if err := n.checkMultiplicities(i); err != nil {
			return err
		}
	}
	for _, id := range n.c.Zeros {
		for i, x := range n.cells(id) {
			if t := n.c.Tensor(id); x.Sign() != 0 {
				return fmt.Errorf("zero-check of %s: cell %v is %v", t.Name, rule.Cell(t.Shape, i), x)
			}
		}
	}
	return nil
}

func (n *naive) checkLookup(l *circuit.Lookup) error {
	shape := n.c.Tensor(l.Cols[0]).Shape
	for i := range circuit.Size(shape) {
		key, names := "", ""
		for _, id := range l.Cols {
			key += n.cells(id)[i].String() + ","
			names += n.c.Tensor(id).Name + " "
		}
		if !n.isLine(l.Table, key) {
			return fmt.Errorf("lookup of %s: cell %v holds %s, which is no line of table %q", names, rule.Cell(shape, i), key, n.c.Tables[l.Table].Name)
		}
		n.counts[l.Table][key]++
	}
	return nil
}

// checkMultiplicities compares a table's multiplicities, where given, with the counts. Equal lines share their count.
func (n *naive) checkMultiplicities(table int) error {
	t := &n.c.Tables[table]
	given := n.cells(t.Mult)
	if len(given) == 0 {
		return nil
	}
	left := map[string]*big.Int{}
	for i, m := range given {
		key := lineKey(t, i)
		if left[key] == nil {
			left[key] = big.NewInt(n.counts[table][key])
		}
		left[key].Sub(left[key], m)
	}
	for i := range given {
		if x := left[lineKey(t, i)]; n.reduce(x).Sign() != 0 {
			return fmt.Errorf("table %q: the multiplicity of line %d is off by %v", t.Name, i, x)
		}
	}
	return nil
}

// lineKey is a line of a table as text.
func lineKey(t *circuit.Table, i int) string {
	key := ""
	for _, c := range t.Cols {
		key += big.NewInt(c[i]).String() + ","
	}
	return key
}
