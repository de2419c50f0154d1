package witness

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"sort"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// Checker is the slow definition of what a satisfied circuit is: every tensor cell by cell over big integers, without any of the
// shortcuts of Generate. It is for tests, and not safe for concurrent use.
type Checker struct {
	c     *circuit.Circuit
	lines []lines // per table, made when first needed
}

// NewChecker returns the checker of a circuit.
func NewChecker(c *circuit.Circuit) *Checker {
	return &Checker{c: c, lines: make([]lines, len(c.Tables))}
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
	n := ch.newNaive(nil, func(id circuit.ID) []*big.Int { return bigs(a.Tensor(id)) })
	if err := n.check(); err != nil {
		return err
	}
	for i := range ch.c.Tensors {
		t := &ch.c.Tensors[i]
		lo, hi := big.NewInt(t.Lo), big.NewInt(t.Hi)
		if t.Wide() {
			hi.Lsh(big.NewInt(1), circuit.WideBits)
			lo.Neg(hi)
		}
		v := bigs(a.Tensor(t.ID))
		for j, x := range n.cells(t.ID) {
			if x.Cmp(v[j]) != 0 {
				return fmt.Errorf("tensor %s: cell %v is %v, the assignment says %v", t.Name, rule.Cell(t.Shape, j), x, v[j])
			}
			if x.Cmp(lo) < 0 || x.Cmp(hi) > 0 {
				return fmt.Errorf("tensor %s: cell %v is %v, outside its bounds [%v, %v]", t.Name, rule.Cell(t.Shape, j), x, lo, hi)
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

// lines are those of a table. Equal ones go by the number of the first of them.
type lines struct {
	order []int // of the lines: lexical, equal ones by their numbers
	first []int // by the line: the first that equals it
}

// linesOf returns the lines of a table.
func (ch *Checker) linesOf(table int) *lines {
	l := &ch.lines[table]
	if l.first == nil {
		cols := ch.c.Tables[table].Cols
		l.order, l.first = make([]int, len(cols[0])), make([]int, len(cols[0]))
		for i := range l.order {
			l.order[i] = i
		}
		compare := func(i, j int) int {
			for _, c := range cols {
				if d := cmp.Compare(c[i], c[j]); d != 0 {
					return d
				}
			}
			return 0
		}
		slices.SortStableFunc(l.order, compare)
		for k, i := range l.order {
			l.first[i] = i
			if k > 0 && compare(l.order[k-1], i) == 0 {
				l.first[i] = l.first[l.order[k-1]]
			}
		}
	}
	return l
}

// find returns the first line of a table that has the cells, if there is one.
func (ch *Checker) find(table int, cells []*big.Int) (line int, ok bool) {
	cols, order := ch.c.Tables[table].Cols, ch.linesOf(table).order
	at, ok := sort.Find(len(order), func(k int) int {
		for c, x := range cells {
			if !x.IsInt64() {
				return x.Sign()
			}
			if d := cmp.Compare(x.Int64(), cols[c][order[k]]); d != 0 {
				return d
			}
		}
		return 0
	})
	if !ok {
		return 0, false
	}
	return order[at], true
}

func bigs(t *integer.Tensor) []*big.Int {
	b, cells := make([]*big.Int, t.Len()), make([]big.Int, t.Len())
	for i, x := range t.All() {
		if b[i] = cells[i].SetInt64(x); t.High != nil {
			b[i].Add(b[i], new(big.Int).Lsh(big.NewInt(t.High[i]), 64))
		}
	}
	return b
}

// naive evaluates a circuit over the integers (mod nil) or mod a prime, with representatives in (−p/2, p/2].
type naive struct {
	*Checker
	mod    *big.Int
	given  func(circuit.ID) []*big.Int
	memo   [][]*big.Int
	counts [][]int64 // per table: how often a line is looked up, by its number
}

func (ch *Checker) newNaive(mod *big.Int, given func(circuit.ID) []*big.Int) *naive {
	n := &naive{Checker: ch, mod: mod, given: given, memo: make([][]*big.Int, len(ch.c.Tensors)), counts: make([][]int64, len(ch.c.Tables))}
	for i := range n.counts {
		n.counts[i] = make([]int64, len(ch.c.Tables[i].Cols[0]))
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
		v = bigs(&integer.Tensor{V: make([]int64, circuit.Size(t.Shape))})
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
	cols := make([][]*big.Int, len(l.Cols))
	for k, id := range l.Cols {
		cols[k] = n.cells(id)
	}
	line := make([]*big.Int, len(l.Cols))
	for i := range circuit.Size(shape) {
		for k := range cols {
			line[k] = cols[k][i]
		}
		at, ok := n.find(l.Table, line)
		if !ok {
			names, cells := "", ""
			for k, id := range l.Cols {
				names += n.c.Tensor(id).Name + " "
				cells += cols[k][i].String() + ","
			}
			return fmt.Errorf("lookup of %s: cell %v holds %s, which is no line of table %q", names, rule.Cell(shape, i), cells, n.c.Tables[l.Table].Name)
		}
		n.counts[l.Table][at]++
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
	first := n.linesOf(table).first
	left := make([]big.Int, len(first))
	for i, m := range n.counts[table] {
		left[i].SetInt64(m)
	}
	for i, m := range given {
		left[first[i]].Sub(&left[first[i]], m)
	}
	for i := range given {
		if x := &left[first[i]]; n.reduce(x).Sign() != 0 {
			return fmt.Errorf("table %q: the multiplicity of line %d is off by %v", t.Name, i, x)
		}
	}
	return nil
}
