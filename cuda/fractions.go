package cuda

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
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
// stored in small trees only; of others, what a kernel needs of them it computes from integers. So it does of further layers where there is no memory.
type tree struct {
	r      *run
	n, top int               // the last layer that is stored at first, with all above it
	base   int               // one below, that is stored, too, for those between to be computed from; 0 if there is none
	layers []layer           // by number; no fractions: not there, or leaves that are not stored
	blocks []backend.Block   // by their offsets
	leaves *leaves           // all of them, if there is memory for their columns
	near   *device.Scratch   // the first layers, whose rounds are the processor's, until they are copied
	copied []fractions       // and then
	built  []*device.Scratch // the others, the last first
}

// layer is n fractions on the device.
type layer struct {
	p, q uint64
	n    int
}

// Fractions adds up the fractions of leaves, layer by layer.
func (r *run) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	t := &tree{r: r, n: n, top: n - 1, layers: make([]layer, n+1), near: &device.Scratch{Work: r.memory}}
	if n <= r.session.of.tail+storedVars+1 { // rounds that the processor takes over begin with fractions that are stored
		t.top = n
	}
	if r.Err() != nil {
		return t
	}
	used := 1
	for i := range blocks {
		used = max(used, blocks[i].Offset+padded(blocks[i].Shape))
	}
	t.blocks = slices.Clone(blocks)
	slices.SortFunc(t.blocks, func(a, b backend.Block) int { return a.Offset - b.Offset })
	if len(blocks) == 0 {
		t.blocks = []backend.Block{{Shape: []int{0}}} // a leaf without a cell
	}
	if bytes, left := columnBytes(t.blocks), r.left(); bytes <= left/4 {
		t.leaves = t.describe(t.blocks)
	}
	for j := n; j >= 1; j-- {
		t.layers[j].n = (used + 1<<(n-j) - 1) >> (n - j)
	}
	if t.rooms() {
		t.build()
	}
	return t
}

// mostLevels is how many layers above the leaves are computed from them, as kernels know it.
const mostLevels = 16

// least is the last layer that is stored in any case: rounds that are computed from leaves begin with two that the processor does not take over.
func (t *tree) least() int { return min(t.n-1, max(t.r.session.of.tail+storedVars+1, t.n-mostLevels)) }

// rooms takes memory for as many layers as there is room for. What is below is computed from leaves whenever it is needed. It says whether there was room.
func (t *tree) rooms() bool {
	left := t.r.left()
	for t.top < t.n && t.top > t.least() && t.bytes() > left/4*3 {
		t.top--
	}
	t.lowest(left)
	for {
		err := t.roomsOf()
		if err == nil {
			return true
		}
		for _, s := range append(t.built, t.near) {
			_ = s.End()
		}
		for j := range t.layers {
			t.layers[j].p, t.layers[j].q = 0, 0
		}
		t.built, t.near = nil, &device.Scratch{Work: t.r.memory}
		switch {
		case errors.Is(err, device.ErrMemory) && t.base > 0:
			t.top, t.base = t.base-1, 0 // as without it
		case !errors.Is(err, device.ErrMemory) || t.top == t.n || t.top <= t.least():
			t.r.fail(err)
			return false
		default:
			t.top--
		}
	}
}

// lowest stores the layer below the last one that there is memory for, in place of some above it, if these leave enough: to compute them from it is nothing, beside
// what it takes to compute it from leaves once more.
func (t *tree) lowest(left int64) {
	const between = 3 // layers of an eighth and a quarter are all that is worth it
	if t.top >= t.n-1 {
		return
	}
	t.base = t.top + 1
	for top := t.top; t.top > top-between && t.top > t.r.session.of.tail+storedVars+1; {
		if t.top--; t.bytes() <= left/4*3 {
			return
		}
	}
	t.top, t.base = t.base-1, 0
}

// bytes is what the layers take that are stored.
func (t *tree) bytes() (sum int64) {
	for j := 1; j <= t.top; j++ {
		sum += int64(t.layers[j].n) * fractionBytes
	}
	return sum + int64(t.layers[t.base].n)*fractionBytes // none is the layer 0
}

// roomsOf takes memory for the layers that are stored.
func (t *tree) roomsOf() error {
	if t.base > 0 {
		if err := t.room(t.base); err != nil {
			return err
		}
	}
	for j := t.top; j >= t.last(); j-- {
		if err := t.room(j); err != nil {
			return err
		}
	}
	return nil
}

// padded is how many leaves a box takes up.
func padded(shape []int) int {
	n := 1
	for _, d := range shape {
		n <<= log2(d)
	}
	return n
}

// leaves are those of some blocks, as the device knows them.
type leaves struct {
	args    []uint64 // that say how to compute them
	cells   int      // that they are made of
	counted int      // how many have multiplicities: the others' p is 1, or they are 0/1
	about   *device.Scratch
	pinned  []*tensor
}

// add counts what a block is made of.
func (l *leaves) add(b *backend.Block) {
	n := padded(b.Shape)
	l.cells += n * len(b.Cols)
	if b.Mult != nil {
		l.counted += n
		l.cells += n
	}
}

// columns are the tensors that blocks are made of, each once.
func columnsOf(blocks []backend.Block) (list []*tensor) {
	known := map[backend.Tensor]bool{nil: true}
	for _, b := range blocks {
		for _, t := range append(slices.Clone(b.Cols), b.Mult) {
			if !known[t] {
				known[t] = true
				list = append(list, t.(*tensor))
			}
		}
	}
	return list
}

// columnBytes is what the columns of blocks take that may not be on the device.
func columnBytes(blocks []backend.Block) (sum int64) {
	for _, t := range columnsOf(blocks) {
		if t.movable {
			sum += t.bytes()
		}
	}
	return sum
}

// describe tells the device what leaves are made of, which stays there until release.
func (t *tree) describe(blocks []backend.Block) *leaves {
	l := &leaves{about: &device.Scratch{Work: t.r.memory}}
	for _, c := range columnsOf(blocks) {
		t.r.cells(c) // which writes it if nobody has
		if c.movable && t.r.Err() == nil {
			l.pinned = append(l.pinned, c)
			if err := t.r.session.pin(c); err != nil {
				t.r.fail(err)
			}
		}
		t.r.let()
	}
	t.r.pinning[l] = true
	var list []leafBlock
	var sides []side
	var columns []device.Tensor
	var factors, starts []field.Element
	shift := new(field.Element).SetUint64(1 << 48) // with 2^96 in them, as kernels divide by it
	shift.Mul(shift, shift)
	for _, b := range blocks {
		own := leafBlock{
			offset: uint64(b.Offset), size: uint64(padded(b.Shape)), firstSide: uint64(len(sides)), sides: uint64(len(b.Shape)),
			firstColumn: uint64(len(columns)), columns: uint64(len(b.Cols)),
		}
		for _, d := range slices.Backward(b.Shape) {
			sides = append(sides, side{uint64(log2(d)), uint64(d)})
		}
		for i, col := range b.Cols {
			columns = append(columns, cellsAt(col))
			factor := *new(field.Element).Neg(&b.Gamma[i])
			factors = append(factors, *factor.Mul(&factor, shift))
		}
		if b.Mult != nil {
			own.mult = cellsAt(b.Mult)
		}
		l.add(&b)
		list = append(list, own)
		starts = append(starts, *new(field.Element).Sub(&b.Beta, &b.ID))
	}
	var p pack
	l.args = []uint64{put(&p, list), uint64(len(list)), put(&p, sides), put(&p, columns), put(&p, factors), put(&p, starts)}
	base := p.send(l.about)
	if err := l.about.Error(); err != nil {
		t.r.fail(err)
	}
	for i := range l.args {
		if i != 1 {
			l.args[i] += base
		}
	}
	return l
}

// cellsAt is where the cells of a tensor are that is on the device.
func cellsAt(t backend.Tensor) device.Tensor {
	own := t.(*tensor)
	return device.Tensor{At: own.at, Size: own.size}
}

// release lets columns go, and forgets leaves.
func (t *tree) release(l *leaves) {
	if err := l.about.End(); err != nil {
		t.r.fail(err)
	}
	t.r.session.unpin(l.pinned)
	delete(t.r.pinning, l)
}

// between is how many leaves entries have, each so many but for the last.
func (t *tree) between(first, end, each int) int { return min(end*each, t.layers[t.n].n) - first*each }

// byLeaves computes what takes n entries, each of so many leaves, from the entries first up to end at a time, whose columns there is memory for: all, or as
// many as take a quarter of what is left.
func (t *tree) byLeaves(n, each int, compute func(l *leaves, first, end int)) {
	if t.leaves != nil {
		compute(t.leaves, 0, n)
		return
	}
	most := t.r.left() / 4
	for first := 0; first < n && t.r.Err() == nil; {
		from, _ := slices.BinarySearchFunc(t.blocks, first*each+1, func(b backend.Block, at int) int { return b.Offset + padded(b.Shape) - at })
		some, sum, end, known := []backend.Block{}, int64(0), n, map[*tensor]bool{}
		for _, b := range t.blocks[from:] {
			for _, c := range columnsOf([]backend.Block{b}) {
				if !known[c] && c.movable {
					sum += c.bytes()
				}
				known[c] = true
			}
			if entry := b.Offset / each; sum > most && entry > first {
				end = min(n, entry)
				break
			}
			some = append(some, b)
		}
		for len(some) > 1 && some[len(some)-1].Offset >= end*each {
			some = some[:len(some)-1]
		}
		if len(some) == 0 {
			some = []backend.Block{{Shape: []int{0}}}
		}
		l := t.describe(some)
		compute(l, first, end)
		t.release(l)
		first = end
	}
}

// last is the last of the layers near the root.
func (t *tree) last() int { return min(t.top, t.r.session.of.tail+1) }

// room takes memory for a layer, or for all near the root.
func (t *tree) room(j int) error {
	s, first := &device.Scratch{Work: t.r.memory}, j
	if j == t.last() {
		s, first = t.near, 1
	} else {
		t.built = append(t.built, s)
	}
	n := 0
	for i := first; i <= j; i++ {
		n += t.layers[i].n
	}
	at := uint64(s.Take(2*n, elementBytes))
	for i := first; i <= j; i++ {
		l := &t.layers[i]
		l.p, l.q = at, at+uint64(l.n*elementBytes)
		at = l.q + uint64(l.n*elementBytes)
	}
	if err := s.Error(); err != nil {
		return fmt.Errorf("layer %d of a fraction tree of 2^%d leaves, %d of its fractions: %w", j, t.n, t.layers[j].n, err)
	}
	return nil
}

// build computes the layers. Small ones are one launch together.
func (t *tree) build() {
	const small = 1 << 9
	t.r.within(func(s *device.Scratch) {
		lowest := max(t.top, t.base)
		l, levels := t.layers[lowest], t.n-lowest
		t.byLeaves(l.n, 1<<levels, func(from *leaves, first, end int) {
			s.Takes(from.computing(t.between(first, end, 1<<levels), levels, 0), 0, 2*from.cells+(end-first)*fractionBytes)
			s.Run("write_layer", blocks(end-first), device.Dim{threads}, append([]uint64{l.p, l.q, uint64(first), uint64(end), uint64(levels)}, from.args...)...)
		})
		if t.base > 0 {
			top := t.layers[t.top]
			s.Takes(5*(l.n-top.n)/2, 0, (l.n+top.n)*fractionBytes)
			s.Run("write_above", blocks(top.n), device.Dim{threads}, top.p, top.q, uint64(top.n), uint64(t.base-t.top), l.p, l.q, uint64(l.n))
		}
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
			s.Takes(5*all[i].n/2, 0, 3*all[i].n*fractionBytes)
			s.Run("add_layers", blocks(all[i].n), device.Dim{threads}, base+uint64(i-1)*24, 2)
		}
	})
}

// computing is how many products it takes to compute the fractions of a layer some levels above so many leaves, with some variables fixed. A leaf takes the
// reduction of its sum by three words, and with a multiplicity that of this; two are added up in one product where both have p = 1, fractions otherwise in two and a half, and where
// variables of the leaves themselves are fixed a p of 1 takes no product. Those with weights are reduced once for all, and halves so.
func (l *leaves) computing(leaves, levels, fixed int) int {
	counted := min(l.counted, leaves)
	products := (l.cells + 3*(leaves+counted)) / narrow
	if levels > 0 {
		products += leaves/2 + counted*3/4 + 5*(leaves/2-leaves>>levels)/2
	}
	switch {
	case fixed > 0 && levels > 0:
		products += leaves >> levels
	case fixed > 0:
		products += (leaves + counted) / 2
	}
	return products
}

// get copies 2^bits fractions of layers that lie one behind the other, 0/1 where none is stored.
func (t *tree) get(layers ...layer) []fractions {
	out, n := make([]fractions, len(layers)), 0
	for _, l := range layers {
		n += 2 * l.n
	}
	all := make([]field.Element, n)
	t.r.within(func(s *device.Scratch) { s.Get(device.Bytes(all), device.Pointer(layers[0].p)) })
	for i, l := range layers {
		out[i] = fractions{p: all[:l.n:l.n], q: all[l.n : 2*l.n : 2*l.n]}
		all = all[2*l.n:]
	}
	return out
}

// first are the fractions of a layer near the root.
func (t *tree) first(j int) fractions {
	if t.copied == nil {
		t.copied = t.get(t.layers[1 : t.last()+1]...)
		_ = t.near.End()
	}
	return t.copied[j-1].padded(1 << j)
}

func (t *tree) Root() (a0, a1, b0, b1 field.Element) {
	f := t.first(1)
	return f.p[0], f.p[1], f.q[0], f.q[1]
}

// Layer starts the sumcheck, and gives back what is above.
func (t *tree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	if j < 1 || j >= t.n || len(s) != j-1 {
		panic(fmt.Sprintf("cuda: layer %d of %d at a point of %d coordinates", j, t.n, len(s)))
	}
	keep := max(0, t.top-j)
	if j < t.base {
		keep++
	}
	for len(t.built) > keep {
		_ = t.built[len(t.built)-1].End()
		t.built = t.built[:len(t.built)-1]
	}
	l := &layerRounds{t: t, j: j, point: s, lambda: lambda, from: t.layers[j+1], own: &device.Scratch{Work: t.r.memory}, computed: t.layers[j+1].p == 0}
	if l.computed && j+1 < t.base {
		l.below = &t.layers[t.base]
	}
	if j < t.last() {
		l.host = &hostRounds{fractions: t.first(j + 1), point: s, lambda: lambda}
	} else {
		l.tables()
	}
	return l
}

// close gives everything back.
func (t *tree) close() {
	for _, s := range append(t.built, t.near) {
		_ = s.End()
	}
	t.built = nil
	if t.leaves != nil {
		t.release(t.leaves)
	}
}

const (
	storedVars    = 2 // how many rounds of a layer that is stored are asked for together
	mostVars      = 4 // and of one that is computed, at most: MOST_VARIABLES
	fractionBytes = 2 * elementBytes
)

// gridPoints is how many sums rounds take that are asked for together: at 0, at 1 and at ∞ of each of so many variables.
func gridPoints(vars int) int {
	n := 1
	for range vars {
		n *= 3
	}
	return n
}

// groupsOf is how many groups n fractions are of which the next rounds take so many variables.
func groupsOf(n, vars int) int { return (n + 2<<vars - 1) >> (vars + 1) }

// boundTo is how many fractions are left of n when variables are fixed.
func boundTo(n, vars int) int {
	if vars == 0 {
		return n
	}
	return 2 * groupsOf(n, vars)
}

// windowProducts is how many products a group takes, of fractions that are there: two at every point, which are reduced once for all groups, and halves so; three
// for two fractions, and one for the weight.
func windowProducts(vars int) int { return gridPoints(vars) + 3<<vars + 1 }

// layerRounds is a backend.LayerRounds. Several rounds are asked for together; what is bound is bound when the next ones are. The processor takes the last
// rounds over.
type layerRounds struct {
	t         *tree
	j         int
	point     []field.Element
	lambda    field.Element
	from      layer           // what the next rounds are about, but for challenges that are not bound yet
	computed  bool            // it is not stored, but computed with all challenges
	below     *layer          // from a layer that is stored, or from leaves
	steps     []int           // how many rounds are asked for together, until what is left is stored
	all       []field.Element // challenges
	own       *device.Scratch
	bound     int             // variables
	pending   []field.Element // challenges that what is stored is not bound to yet
	grid      []field.Element // what rounds were asked for that have not passed: sums at the points of their variables, the first one's digit is the lowest
	spare     [2]uint64
	stored    int // how often what was left has been stored
	out       uint64
	low, high []uint64 // the tables of the point's halves, by their first coordinates
	lowBits   int      // coordinates of the lower half
	host      *hostRounds
}

// tables computes eq of the lower and the upper half of a point, of what is left of them when rounds are asked for.
func (l *layerRounds) tables() {
	if l.t.r.Err() != nil {
		return
	}
	l.lowBits = len(l.point) / 2
	l.low, l.high = make([]uint64, len(l.point)+1), make([]uint64, len(l.point)+1)
	var q eqs
	for first := range l.low {
		i := min(first, l.lowBits)
		l.low[i], l.high[first-i] = q.entry(l.point[i:l.lowBits]), q.entry(l.point[l.lowBits+first-i:])
	}
	base := q.write(l.own)
	for _, list := range [][]uint64{l.low, l.high} {
		for i := range list {
			list[i] = base + list[i]*elementBytes
		}
	}
	err := errors.Join(l.own.Error(), l.spares())
	if err == nil {
		sums := gridPoints(storedVars) * blocks(l.from.n)[0]
		for _, vars := range l.steps {
			sums = max(sums, gridPoints(vars)*blocks(l.from.n)[0])
		}
		l.out = uint64(l.own.Take(sums, elementBytes))
		err = l.own.Error()
	}
	if err != nil {
		l.t.r.fail(fmt.Errorf("rounds of layer %d of a fraction tree of 2^%d leaves: %w", l.j, l.t.n, err))
		_ = l.own.End()
		l.own = &device.Scratch{Work: l.t.r.memory}
	}
}

// spares takes memory for what is left when variables are bound; of a layer that is computed, when so many are bound that there is memory, none perhaps.
func (l *layerRounds) spares() error {
	left, hold := l.t.r.left(), storedVars
	if l.computed && l.j+1 < l.t.n { // leaves are not stored whole, which would take as much as all layers together
		hold = 0
	}
	for ; ; hold++ {
		last := !l.computed || hold == l.most()
		if n := boundTo(l.from.n, hold); !last && int64(n+boundTo(n, storedVars))*fractionBytes > left/4*3 {
			continue
		}
		if l.computed {
			if l.below != nil {
				l.steps = slices.Repeat([]int{storedVars}, min(hold+1, l.most())/storedVars)
			} else {
				l.steps = l.t.steps(l.from.n, l.t.n-l.j-1, hold, l.most())
			}
			hold = 0
			for _, vars := range l.steps {
				hold += vars
			}
		}
		s := &device.Scratch{Work: l.t.r.memory}
		for i := range l.spare {
			if at := hold + i*storedVars; at == 0 || !l.ends(at) {
				l.spare[i] = uint64(s.Take(max(boundTo(l.from.n, at), 2), fractionBytes)) // where one is, two are left of it
			}
		}
		err := s.Error()
		if err == nil {
			l.own.Adopt(s)
			return nil
		}
		_ = s.End()
		if last || !errors.Is(err, device.ErrMemory) {
			return err
		}
	}
}

// most is how many variables may be fixed at most when what is computed is stored, for the next rounds are the device's.
func (l *layerRounds) most() int { return l.j - max(l.t.r.session.of.tail+1, storedVars) }

// uploaded is how many bytes take as long to go up as a product takes.
const uploaded = 8

// steps are how many rounds of n fractions, some levels above the leaves, are best asked for together, each time with all leaves computed, until so many
// variables are bound, or more, but not more than most.
func (t *tree) steps(n, levels, least, most int) []int {
	type plan struct {
		cost  int
		steps []int
	}
	l := leaves{}
	for _, b := range t.blocks {
		l.add(&b)
	}
	upload := 0
	if t.leaves == nil {
		upload = int(columnBytes(t.blocks) / uploaded)
	}
	all := t.layers[t.n].n
	pass := func(fixed, vars int) int {
		return upload + l.computing(all, levels, fixed) + l.windows(boundTo(n, fixed), levels, fixed, vars)
	}
	best := make([]*plan, most+1)
	best[0] = &plan{}
	var chosen *plan
	for fixed, own := range best {
		if own == nil {
			continue
		}
		for vars := storedVars; vars <= mostVars && fixed+vars <= most; vars++ {
			next := &plan{own.cost + pass(fixed, vars), append(slices.Clone(own.steps), vars)}
			if to := &best[fixed+vars]; *to == nil || next.cost < (*to).cost {
				*to = next
			}
		}
		// What is stored takes a third more: all that is left of it once variables are bound.
		whole := own.cost + pass(fixed, storedVars) + boundTo(n, fixed)/3*windowProducts(storedVars)/8
		if fixed >= least && (chosen == nil || whole < chosen.cost) {
			chosen = &plan{whole, own.steps}
		}
	}
	return chosen.steps
}

// windows is how many products rounds of so many variables take, of n fractions. Where they are leaves a numerator that is 1 takes none.
func (l *leaves) windows(n, levels, fixed, vars int) int {
	products := groupsOf(n, vars) * windowProducts(vars)
	if levels == 0 && fixed == 0 {
		products -= groupsOf(n-min(n, l.counted), vars) * gridPoints(vars) / 2
	}
	return products
}

// ends says whether the rounds after so many are the processor's.
func (l *layerRounds) ends(bound int) bool { return l.j-bound <= l.t.r.session.of.tail }

// weights are the arguments of rounds of so many variables: eq without the coordinates of theirs and of those before, and λ.
func (l *layerRounds) weights(vars int) []uint64 {
	first := l.bound + vars - 1
	i := min(first, l.lowBits)
	return append([]uint64{l.low[i], l.high[first-i], uint64(l.lowBits - i)}, words(&l.lambda)...)
}

// ask asks for the next rounds, and binds before what is not bound yet; or takes over what is left.
func (l *layerRounds) ask() {
	if l.ends(l.bound) {
		l.takeOver()
		return
	}
	vars, to := storedVars, layer{}
	if l.computed && len(l.steps) > 0 {
		vars, l.steps = l.steps[0], l.steps[1:]
	} else if l.computed || l.bound > 0 {
		to.n = boundTo(l.from.n, l.bound)
		if !l.computed {
			to.n = boundTo(l.from.n, storedVars)
		}
		to.p = l.spare[l.stored%2]
		to.q = to.p + uint64(to.n*elementBytes)
		l.stored++
	}
	l.grid = make([]field.Element, gridPoints(vars))
	l.t.r.within(func(s *device.Scratch) {
		switch {
		case !l.computed:
			l.askStored(s, to)
		case l.below != nil:
			l.askAbove(s, to)
		default:
			l.askComputed(s, vars, to)
		}
	})
	if to.n > 0 {
		l.from, l.computed, l.pending = to, false, nil
	}
}

// askComputed computes the layer from leaves, and writes it to another one, if that has fractions.
func (l *layerRounds) askComputed(s *device.Scratch, vars int, to layer) {
	levels, fixed := l.t.n-l.j-1, l.bound
	eq, n := l.eq(s, fixed), boundTo(l.from.n, fixed)
	each := 2 << (vars + levels + fixed)
	l.t.byLeaves(groupsOf(n, vars), each, func(from *leaves, first, end int) {
		own := min(n, end*2<<vars) - first*2<<vars
		kept := min(to.n, end*2<<vars)
		s.Takes(from.computing(l.t.between(first, end, each), levels, fixed)+from.windows(own, levels, fixed, vars), 0, 2*from.cells+min(to.n, own)*fractionBytes)
		args := append(append([]uint64{l.out}, from.args...), uint64(levels), eq, uint64(fixed), to.p, to.q, uint64(kept), uint64(first), uint64(end))
		l.window(s, fmt.Sprintf("computed_window_%d", vars), vars, end-first, append(args, l.weights(vars)...))
	})
}

// askAbove is askComputed from a layer that is stored.
func (l *layerRounds) askAbove(s *device.Scratch, to layer) {
	levels, fixed, below := l.t.base-l.j-1, l.bound, l.below
	eq, n := l.eq(s, fixed), groupsOf(boundTo(l.from.n, fixed), storedVars)
	products := 5*(below.n-l.from.n)/2 + windowProducts(storedVars)*n
	if fixed > 0 {
		products += l.from.n
	}
	s.Takes(products, 0, (below.n+to.n)*fractionBytes)
	args := []uint64{l.out, below.p, below.q, uint64(below.n), uint64(levels), eq, uint64(fixed), to.p, to.q, uint64(to.n), uint64(n)}
	l.window(s, "above_window", storedVars, n, append(args, l.weights(storedVars)...))
}

// askStored reads the layer, with variables bound that are not yet, which it writes to another one, if that has fractions.
func (l *layerRounds) askStored(s *device.Scratch, to layer) {
	args := []uint64{l.out, l.from.p, l.from.q, uint64(l.from.n)}
	if to.n == 0 {
		n := groupsOf(l.from.n, storedVars)
		s.Takes(windowProducts(storedVars)*n, 0, l.from.n*fractionBytes)
		l.window(s, "layer_window", storedVars, n, append(append(args, uint64(n)), l.weights(storedVars)...))
		return
	}
	n := groupsOf(to.n, storedVars)
	s.Takes(6*to.n+windowProducts(storedVars)*n, 0, (l.from.n+to.n)*fractionBytes)
	args = append(append(args, to.p, to.q, uint64(to.n), uint64(n)), l.weights(storedVars)...)
	l.window(s, "layer_bind_window", storedVars, n, append(append(args, words(&l.pending[0])...), words(&l.pending[1])...))
}

// window is a launch for so many groups, whose sums it adds to the grid.
func (l *layerRounds) window(s *device.Scratch, kernel string, vars, groups int, args []uint64) {
	grid := blocks(groups * 2 << vars)
	s.Run(kernel, grid, device.Dim{threads}, args...)
	sums := make([]field.Element, len(l.grid)*grid[0])
	s.Get(device.Bytes(sums), device.Pointer(l.out))
	for i := range sums {
		own := &l.grid[i%len(l.grid)]
		own.Add(own, &sums[i])
	}
}

// eq writes the weights of what begins with the first challenges out.
func (l *layerRounds) eq(s *device.Scratch, fixed int) uint64 {
	if fixed == 0 {
		return 0
	}
	var q eqs
	at := q.entry(l.all[:fixed])
	return q.write(s) + at*elementBytes
}

// takeOver goes on with what is left.
func (l *layerRounds) takeOver() {
	f := l.t.get(l.from)[0].padded(1 << (l.j + 1 - l.bound + len(l.pending)))
	l.host = &hostRounds{fractions: f, point: l.point, lambda: l.lambda, bound: l.bound - len(l.pending)}
	for _, rho := range l.pending {
		l.host.bind(rho)
	}
}

func (l *layerRounds) First() field.Element {
	_, inf := l.Round()
	return inf
}

// asks asks for the next rounds unless they have been asked for.
func (l *layerRounds) asks() {
	if l.host == nil && len(l.grid) <= 1 {
		l.ask()
	}
}

// Round adds up the sums where the variables behind the round's are 0 or 1, weighted with eq.
func (l *layerRounds) Round() (delta, inf field.Element) {
	if l.asks(); l.host != nil {
		return l.host.round()
	}
	behind := 0
	for gridPoints(behind+1) < len(l.grid) {
		behind++
	}
	var sums [3]field.Element
	for y, w := range poly.Eq(l.point[l.bound : l.bound+behind]) {
		at := 0
		for i := range behind {
			at += y >> i & 1 * gridPoints(i+1)
		}
		for i := range sums {
			var weighted field.Element
			sums[i].Add(&sums[i], weighted.Mul(&w, &l.grid[at+i]))
		}
	}
	return *delta.Sub(&sums[1], &sums[0]), sums[2]
}

func (l *layerRounds) Bind(rho field.Element) {
	if l.asks(); l.host != nil { // for rounds that nobody asked for, too
		l.host.bind(rho)
		return
	}
	for i := range len(l.grid) / 3 { // a polynomial of which values at 0 and 1 and the coefficient of the square are known
		none, one, square := l.grid[3*i], l.grid[3*i+1], l.grid[3*i+2]
		one.Sub(&one, &none)
		one.Sub(&one, &square)
		square.Mul(&square, &rho)
		square.Add(&square, &one)
		square.Mul(&square, &rho)
		l.grid[i].Add(&none, &square)
	}
	l.grid = l.grid[:len(l.grid)/3]
	l.all = append(l.all, rho)
	l.bound++
	if !l.computed {
		l.pending = append(l.pending, rho)
	}
}

// Claims ends the layer, and with the last one the tree.
func (l *layerRounds) Claims() (a0, a1, b0, b1 field.Element) {
	if l.host == nil {
		l.takeOver()
	}
	_ = l.own.End()
	if l.j == l.t.n-1 {
		l.t.close()
	}
	f := l.host.fractions
	return f.p[0], f.p[1], f.q[0], f.q[1]
}
