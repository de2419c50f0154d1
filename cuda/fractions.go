package cuda

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// What kernels read of a block of leaves, as fractions.cuh has it.
type (
	leafBlock struct {
		offset, size, firstSide, sides, firstColumn, columns uint64
		mult                                                 device.Tensor
	}
	side struct{ bits, extent uint64 }
)

// tree is a backend.FractionTree. Of every layer the first fractions are stored, up to the last that a block is under: the others are 0/1. Leaves are
// stored in small trees only; of others, what a kernel needs of them it computes from integers.
type tree struct {
	r      *run
	n, top int               // the last layer that is stored at first
	layers []layer           // by number; no fractions: not there, or leaves that are not stored
	leaves []uint64          // the arguments that say how to compute them
	about  *device.Scratch   // what they say
	built  []*device.Scratch // the layers, the last first
}

// layer is n fractions on the device.
type layer struct {
	p, q uint64
	n    int
}

// storedLeaves is the greatest n of trees whose leaves are stored.
const storedLeaves = 3

// Fractions adds up the fractions of leaves, layer by layer.
func (r *run) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	t := &tree{r: r, n: n, top: n - 1, layers: make([]layer, n+1), about: &device.Scratch{Work: r.memory}}
	if n <= storedLeaves {
		t.top = n
	}
	if r.Err() != nil {
		return t
	}
	used := 1
	for i := range blocks {
		used = max(used, blocks[i].Offset+padded(blocks[i].Shape))
	}
	t.describe(blocks)
	for j := n; j >= 1; j-- {
		t.layers[j].n = (used + 1<<(n-j) - 1) >> (n - j)
	}
	t.build()
	return t
}

// padded is how many leaves a box takes up.
func padded(shape []int) int {
	n := 1
	for _, d := range shape {
		n <<= log2(d)
	}
	return n
}

// describe tells the device what leaves are made of.
func (t *tree) describe(blocks []backend.Block) {
	blocks = slices.Clone(blocks)
	slices.SortFunc(blocks, func(a, b backend.Block) int { return a.Offset - b.Offset })
	if len(blocks) == 0 {
		blocks = []backend.Block{{Shape: []int{0}}} // a leaf without a cell
	}
	var leaves []leafBlock
	var sides []side
	var columns []device.Tensor
	var factors, starts []field.Element
	for _, b := range blocks {
		own := leafBlock{
			offset: uint64(b.Offset), size: uint64(padded(b.Shape)), firstSide: uint64(len(sides)), sides: uint64(len(b.Shape)),
			firstColumn: uint64(len(columns)), columns: uint64(len(b.Cols)),
		}
		for _, d := range slices.Backward(b.Shape) {
			sides = append(sides, side{uint64(log2(d)), uint64(d)})
		}
		for i, col := range b.Cols {
			columns = append(columns, t.r.cells(col))
			factors = append(factors, *new(field.Element).Neg(&b.Gamma[i]))
		}
		if b.Mult != nil {
			own.mult = t.r.cells(b.Mult)
		}
		leaves = append(leaves, own)
		starts = append(starts, *new(field.Element).Sub(&b.Beta, &b.ID))
	}
	var p pack
	at := []uint64{put(&p, leaves), uint64(len(leaves)), put(&p, sides), put(&p, columns), put(&p, factors), put(&p, starts)}
	base := p.send(t.about)
	for i := range at {
		if i != 1 {
			at[i] += base
		}
	}
	t.leaves = at
}

// room takes memory for a layer.
func (t *tree) room(j int) {
	s := &device.Scratch{Work: t.r.memory}
	n := t.layers[j].n
	at := uint64(s.Take(2*n, elementBytes))
	t.layers[j].p, t.layers[j].q = at, at+uint64(n*elementBytes)
	t.built = append(t.built, s)
	if err := s.Error(); err != nil {
		t.r.fail(fmt.Errorf("layer %d of a fraction tree of 2^%d leaves, %d of its fractions: %w", j, t.n, n, err))
	}
}

// build computes the layers. Small ones are one launch together.
func (t *tree) build() {
	const small = 1 << 9
	for j := t.top; j >= 1; j-- {
		t.room(j)
	}
	t.r.within(func(s *device.Scratch) {
		l := t.layers[t.top]
		kernel := "add_leaves"
		if t.top == t.n {
			kernel = "write_leaves"
		}
		s.Run(kernel, blocks(l.n), device.Dim{threads}, append([]uint64{l.p, l.q, uint64(l.n)}, t.leaves...)...)
		var p pack
		var all []layer
		for j := t.top; j >= 1; j-- {
			all = append(all, t.layers[j])
		}
		at := put(&p, all)
		base := p.send(s) + at
		for i := 1; i < len(all); i++ {
			if all[i].n <= small {
				s.Run("add_layers", device.Dim{1}, device.Dim{threads}, base+uint64(i-1)*24, uint64(len(all)-i+1))
				break
			}
			s.Run("add_layers", blocks(all[i].n), device.Dim{threads}, base+uint64(i-1)*24, 2)
		}
	})
}

// fractions are the first of a layer, 0/1 where none is stored.
func (t *tree) fractions(l layer, p, q []field.Element) {
	for i := range q {
		q[i].SetOne()
	}
	n := min(l.n, len(p))
	t.r.within(func(s *device.Scratch) {
		s.Get(device.Bytes(p[:n]), device.Pointer(l.p))
		s.Get(device.Bytes(q[:n]), device.Pointer(l.q))
	})
}

func (t *tree) Root() (a0, a1, b0, b1 field.Element) {
	var p, q [2]field.Element
	t.fractions(t.layers[1], p[:], q[:])
	return p[0], p[1], q[0], q[1]
}

// Layer starts the sumcheck, and gives back what is above.
func (t *tree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	if j < 1 || j >= t.n || len(s) != j-1 {
		panic(fmt.Sprintf("cuda: layer %d of %d at a point of %d coordinates", j, t.n, len(s)))
	}
	l := &layerRounds{t: t, j: j, lambda: lambda, from: t.layers[j+1], own: &device.Scratch{Work: t.r.memory}, computed: t.layers[j+1].p == 0}
	for len(t.built) > max(0, t.top-j) {
		_ = t.built[len(t.built)-1].End()
		t.built = t.built[:len(t.built)-1]
	}
	l.tables(s)
	return l
}

// close gives everything back.
func (t *tree) close() {
	for _, s := range t.built {
		_ = s.End()
	}
	_ = t.about.End()
	t.built = nil
}

// layerRounds is a backend.LayerRounds. What is bound is bound when the next round is asked for.
type layerRounds struct {
	t         *tree
	j         int
	lambda    field.Element
	from      layer // what the next round is about, but for a challenge that is not bound yet
	computed  bool  // it is the leaves, computed from integers
	own       *device.Scratch
	bound     int // variables
	rho       field.Element
	pending   bool
	turn      int
	spare     [2]uint64
	out       uint64
	low, high []uint64 // the tables of the point's halves without their first coordinates
	lowBits   int      // coordinates of the lower half
}

// tables computes eq of the lower and the upper half of a point, and of what is left of them round by round.
func (l *layerRounds) tables(point []field.Element) {
	if l.t.r.Err() != nil {
		return
	}
	l.lowBits = len(point) / 2
	var q eqs
	for i := range l.lowBits + 1 {
		l.low = append(l.low, q.of(point[i:l.lowBits]))
	}
	for i := range len(point) - l.lowBits + 1 {
		l.high = append(l.high, q.of(point[l.lowBits+i:]))
	}
	base := q.write(l.own)
	for _, list := range [][]uint64{l.low, l.high} {
		for i := range list {
			list[i] = base + list[i]*elementBytes
		}
	}
	l.out = uint64(l.own.Take(2*fullGrid, elementBytes))
	if l.j > 1 {
		n := pairs(l.from.n)
		for i := range l.spare {
			l.spare[i] = uint64(l.own.Take(2*n, elementBytes))
			n = pairs(n)
		}
	}
	if err := l.own.Error(); err != nil {
		l.t.r.fail(fmt.Errorf("rounds of layer %d of a fraction tree of 2^%d leaves: %w", l.j, l.t.n, err))
		_ = l.own.End()
		l.own = &device.Scratch{Work: l.t.r.memory}
	}
}

// pairs is how many fractions are left of n when a variable is fixed.
func pairs(n int) int { return 2 * ((n + 3) / 4) }

// weights are the arguments of a round: eq without the first coordinates, as many as are bound, and λ.
func (l *layerRounds) weights() []uint64 {
	i := min(l.bound, l.lowBits)
	return append([]uint64{l.low[i], l.high[l.bound-i], uint64(l.lowBits - i)}, words(&l.lambda)...)
}

// round asks for sums of the next round, and binds before what is not bound yet.
func (l *layerRounds) round() (delta, inf field.Element) {
	l.t.r.within(func(s *device.Scratch) {
		source := []uint64{l.from.p, l.from.q, uint64(l.from.n)}
		kernel := "layer"
		if l.computed {
			kernel, source = "leaves", l.t.leaves
		}
		args := append([]uint64{l.out}, source...)
		n := (l.from.n + 3) / 4
		if l.pending {
			to := layer{n: pairs(l.from.n)}
			to.p = l.spare[l.turn%2]
			to.q = to.p + uint64(to.n*elementBytes)
			n = (to.n + 3) / 4
			args = append(append(args, to.p, to.q, uint64(to.n)), l.weights()...)
			s.Run(kernel+"_bind_round", blocks(n), device.Dim{threads}, append(args, words(&l.rho)...)...)
			l.from, l.computed, l.pending = to, false, false
			l.turn++
		} else {
			s.Run(kernel+"_round", blocks(n), device.Dim{threads}, append(append(args, uint64(n)), l.weights()...)...)
		}
		sums := make([]field.Element, 2*blocks(n)[0])
		s.Get(device.Bytes(sums), device.Pointer(l.out))
		for i := 0; i < len(sums); i += 2 {
			delta.Add(&delta, &sums[i])
			inf.Add(&inf, &sums[i+1])
		}
	})
	return delta, inf
}

func (l *layerRounds) First() field.Element {
	_, inf := l.round()
	return inf
}

func (l *layerRounds) Round() (delta, inf field.Element) { return l.round() }

func (l *layerRounds) Bind(rho field.Element) {
	if l.pending {
		l.round() // which nobody asked for
	}
	l.rho, l.pending = rho, true
	l.bound++
}

// Claims binds the last variable here, and ends.
func (l *layerRounds) Claims() (a0, a1, b0, b1 field.Element) {
	var p, q [4]field.Element
	l.t.fractions(l.from, p[:], q[:])
	for _, v := range []*[4]field.Element{&p, &q} {
		for b := range 2 {
			v[2+b].Sub(&v[2+b], &v[b])
			v[2+b].Mul(&v[2+b], &l.rho)
			v[b].Add(&v[b], &v[2+b])
		}
	}
	_ = l.own.End()
	if l.j == l.t.n-1 {
		l.t.close()
	}
	return p[0], p[1], q[0], q[1]
}
