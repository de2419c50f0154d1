package quant

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// How precise the program is, place by place. A rounding to steps of size s adds to every cell an error that is as good as uniform in
// [−s/2, s/2], with the variance s²/12; the outputs move by their derivatives times that. Runs of the float graph back from random
// directions of the outputs give the mean squares of these derivatives. So the error that a place adds to the outputs is predicted before
// anything is built, and the places that add most get more bits, until the sum is below a target. All places of a name have one width, so
// that layers stay alike.

const (
	// enough is the predicted error of the outputs, as part of their largest magnitude, root mean square, with which all stays as it is; and
	// target the one that is aimed at where it is exceeded: bits cost little once there is a second limb.
	enough = 1.0 / (1 << 11)
	target = 1.0 / (1 << 13)
	// bearable is the error that is borne where less of it takes more roundings: the largest of some hundred million errors, six standard
	// deviations, is within Tolerance.
	bearable = Tolerance / 6
	// finer is by how much all three are smaller with each step of Calibration.Finer. The first step aims at what is aimed at anyway: a mean
	// square that is small enough for most models is not for one that has few large errors among many small ones.
	finer = 4
	// exactTarget is the target of exacting programs.
	exactTarget = 1.0 / (1 << 21)
	// senseRuns is the number of calibration runs from which derivatives are taken.
	senseRuns = 4

	finerBits = 8 // by which what is added to a coarse sum may be finer

	maxBits  = 32 // of a rounding
	moreBits = 4  // by which a place is widened at a time
)

// enough, target and bearable are those of a program that is to be finer than most by some steps.
func (c *Calibration) enough() float64 {
	if c.Finer > 0 {
		return c.target()
	}
	return enough
}

func (c *Calibration) target() float64 {
	if c.exacting() {
		return exactTarget
	}
	return target / c.steps(c.Finer-1)
}

func (c *Calibration) bearable() float64 { return bearable / c.steps(c.Finer) }

// exacting says that errors count that usually do not: those that move what is rounded to a few bits, and of what has 16 bits in all other
// programs. It is the last step.
func (c *Calibration) exacting() bool { return c.Finer >= exactingStep }

func (c *Calibration) steps(n int) float64 {
	by := 1.0
	for range max(n, 0) {
		by = float64(by * finer)
	}
	return by
}

// sensitivity says how far errors in values move the outputs: the mean squares, over runs and random directions of the outputs, of the
// derivatives' sums. Outputs are measured in parts of their largest magnitudes, and errors as the root mean square of their cells.
type sensitivity struct {
	value []float64 // per value: of an error of each of its cells
	input []float64 // per result of a normalisation: of one of each cell of its input, there alone
	root  []float64 // per result of a normalisation: of a factor of each of its rows
	// Per sum of products and weight in it: of an error of each of the weight's cells.
	weight map[[2]ir.ValueID]float64
	err    error
}

// sense measures the sensitivities, once for all programs that are made of a graph.
func (c *Calibration) sense(left *budget.Budget, f *ir.Graph) error {
	if c.moves != nil {
		return nil
	}
	n := len(f.Values)
	s := &sensitivity{value: make([]float64, n), input: make([]float64, n), root: make([]float64, n), weight: map[[2]ir.ValueID]float64{}}
	bytes := budget.Product(8, eval.Kept(f))
	if err := left.Memory(bytes); err != nil {
		return err
	}
	runs := min(senseRuns, len(c.Samples))
	left.Runs(4 * runs)
	if _, err := eval.Demand(left, f, 4*runs); err != nil {
		return err
	}
	own := len(f.Outputs)
	f = c.asked(f)
	rng := rand.New(rand.NewPCG(0x7a6b6c6c6d63, 2))
	together := 1
	for together < min(runs, togetherSize/max(1, bytes)) && left.Memory(budget.Product(together+1, bytes)) == nil {
		together++
	}
	for i := 0; i < runs; {
		var batch []Input
		var probes [][][]float64
		for ; i < runs && len(batch) < together; i++ {
			in := c.Samples[(len(c.Samples)-1)*(i+1)/runs]
			batch, probes = append(batch, in), append(probes, c.probe(f, own, in, rng))
		}
		if err := s.run(left, f, elementsOf(batch), probes, 1/float64(runs)); err != nil {
			return err
		}
		if c.Sensed != nil {
			c.Sensed(i, runs)
		}
	}
	c.moves = s
	return nil
}

// asked is a graph with what errors are measured at: its outputs, and of an exacting program the arguments of roundings, too. An error may move
// one to the other side of a half, and its result by a whole step; behind that nothing is left of smaller errors.
func (c *Calibration) asked(f *ir.Graph) *ir.Graph {
	if !c.exacting() {
		return f
	}
	asked := *f
	asked.Nodes, asked.Outputs = slices.Clone(f.Nodes), slices.Clone(f.Outputs)
	for i, n := range f.Nodes {
		if n.Op != ir.OpUnary || !isRounding(n.Attr.(*ir.UnaryAttr).Fn) {
			continue
		}
		flat := *n
		flat.Attr = &ir.UnaryAttr{Fn: n.Attr.(*ir.UnaryAttr).Fn, Flat: true}
		asked.Nodes[i] = &flat
		asked.Outputs = append(asked.Outputs, ir.Port{Value: n.In[0]})
	}
	return &asked
}

// wholeStep is what a step of a rounding counts as, in parts of the outputs' largest magnitudes: as little as is missed of its argument, so
// seldom is it rounded otherwise.
const wholeStep = 16

// probe is a random direction of all outputs for an input, and of arguments of roundings behind the graph's own; of a language model's what is
// said of padding does not count.
func (c *Calibration) probe(f *ir.Graph, own int, in Input, rng *rand.Rand) [][]float64 {
	var out [][]float64
	for k, p := range f.Outputs {
		x := make([]float64, ir.Size(f.Value(p.Value).Shape))
		if k >= own {
			for i := range x {
				x[i] = float64(float64(2*rng.IntN(2)-1)*wholeStep) / math.Sqrt(float64(len(x)))
			}
		} else if top, n := c.Max[p.Value], in.compared(f, len(x)); top > 0 {
			unit := 1 / float64(top*math.Sqrt(float64(n)))
			for i := range n {
				x[i] = float64(unit * float64(2*rng.IntN(2)-1))
			}
		}
		out = append(out, x)
	}
	return out
}

func (s *sensitivity) run(left *budget.Budget, f *ir.Graph, in, probes [][][]float64, weight float64) error {
	err := eval.Gradients(left, f, in, probes, func(_ int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64) {
		switch {
		case n == nil:
			s.value[v.ID] += float64(weight * squares(grad))
			if v.Def.Op == ir.OpNorm {
				s.root[v.ID] += float64(weight * rowFactors(s.bias(f, v), v, cells, grad))
			}
			if v.Def.Op == ir.OpEinsum {
				s.products(f, v, in, grad, weight)
			}
		case n.Op == ir.OpNorm:
			s.input[n.Out[0]] += float64(weight * squares(grad))
		}
	})
	return cmp.Or(err, s.err)
}

// products adds to the sensitivities of the weights that are multiplied with one other tensor, given the sum's gradient. A cell's
// derivative is a sum over the rows in which it takes part, of gradient times other factor, and their signs are as good as random: what
// counts is the sum over all rows of the products of their squares. Rows of very different sizes are common, and a large one moves the
// outputs little.
func (s *sensitivity) products(f *ir.Graph, v *ir.Value, in [][]float64, grad []float64, weight float64) {
	for _, t := range v.Def.Attr.(*ir.EinsumAttr).Terms {
		for k, i := range t.In {
			w := v.Def.In[i]
			if len(t.In) != 2 || f.Value(w).Def.Op != ir.OpWeight || f.Value(v.Def.In[t.In[1-k]]).Unstored() {
				continue
			}
			var rows []int // labels
			out, other := t.InOut(), t.InOperand(1-k)
			for l := range t.Extents {
				if out[l] && other[l] {
					rows = append(rows, l)
				}
			}
			cells := in[t.In[1-k]]
			if x := f.Value(v.Def.In[t.In[1-k]]); x.Elsewhere() {
				cells = s.read(x)
			}
			sum, factor := 0.0, rowSquares(cells, t.Axes[1-k], t.Extents, rows)
			for r, g := range rowSquares(grad, t.Out, t.Extents, rows) {
				sum += float64(g * factor[r])
			}
			s.weight[[2]ir.ValueID{v.ID, w}] += float64(weight * float64(sum*float64(t.Coef*t.Coef)))
		}
	}
}

// rowSquares is the sum of the squares of a tensor's cells for each of the rows, which are numbered by some of its labels.
func rowSquares(x []float64, axes [][]int, extents, rows []int) []float64 {
	n, labels := 1, slices.Concat(axes...)
	strides := make([]int, len(labels)) // of rows
	for _, l := range slices.Backward(rows) {
		strides[slices.Index(labels, l)], n = n, n*extents[l]
	}
	sums, at := make([]float64, n), make([]int, len(labels))
	row := 0
	for _, v := range x {
		sums[row] += float64(v * v)
		for p := len(labels) - 1; p >= 0; p-- { // cells are in the order of the labels
			extent := extents[labels[p]]
			if at[p]++; at[p] < extent {
				row += strides[p]
				break
			}
			row -= strides[p] * (extent - 1)
			at[p] = 0
		}
	}
	return sums
}

func squares(x []float64) (sum float64) {
	for _, v := range x {
		sum += float64(v * v)
	}
	return sum
}

// bias is that of a normalisation, nil if it has none.
func (s *sensitivity) bias(f *ir.Graph, v *ir.Value) []float64 {
	if !v.Def.Attr.(*ir.NormAttr).HasBeta {
		return nil
	}
	return s.read(f.Value(v.Def.In[len(v.Def.In)-1]))
}

// read reads a weight or constant; zeros with an error.
func (s *sensitivity) read(v *ir.Value) []float64 {
	cells, err := weights.All(v.Reals())
	s.err = cmp.Or(s.err, err)
	return cells
}

// rowFactors is the sum of the squares of the derivatives by a factor of each row of a normalisation, in front of its bias.
func rowFactors(beta []float64, v *ir.Value, cells, grad []float64) (sum float64) {
	width := v.Shape[len(v.Shape)-1]
	for r := 0; r < len(cells); r += width {
		row := 0.0
		for i := range width {
			x := cells[r+i]
			if beta != nil {
				x -= beta[i]
			}
			row += float64(x * grad[r+i])
		}
		sum += float64(row * row)
	}
	return sum
}

// PlaceReport is what was chosen for the roundings of one name. Errors are root mean squares, of the outputs as part of their largest
// magnitude.
type PlaceReport struct {
	Name  string
	Bits  int
	Error float64 // predicted
	Plain float64 // the same with ActBits
}

// PrecisionReport says what the choice of widths came to: all places, those first that add most to the error with ActBits.
type PrecisionReport struct {
	Places []PlaceReport
	Error  float64 // predicted
	Plain  float64 // with ActBits everywhere
	Wide   bool    // sums may leave 62 bits

	gains float64 // variance that places do not count
}

// whole is the error with all that is known of.
func (r *PrecisionReport) whole() float64 { return math.Sqrt(float64(r.Error*r.Error) + r.gains) }

// shownPlaces is how many of the places that add most to the error Lines shows in any case.
const shownPlaces = 4

// Lines says how far roundings are predicted to move the outputs, and which were given more bits for it.
func (r *PrecisionReport) Lines() []string {
	first := fmt.Sprintf("roundings move the outputs by %.1e of their largest magnitude (predicted, root mean square)", r.Error)
	if r.Plain > r.Error {
		first += fmt.Sprintf("; with %d bits everywhere it would be %.1e", ActBits, r.Plain)
	}
	lines := []string{first}
	if r.Wide {
		lines = append(lines, "sums may leave 62 bits, and are computed in 128")
	}
	for i, e := range r.Places {
		switch {
		case e.Bits > ActBits:
			lines = append(lines, fmt.Sprintf("%-40s %d bits, for %.1e; with %d bits %.1e", e.Name, e.Bits, e.Error, ActBits, e.Plain))
		case i < shownPlaces:
			lines = append(lines, fmt.Sprintf("%-40s %d bits, for %.1e", e.Name, e.Bits, e.Error))
		}
	}
	return lines
}

// rounded notes a rounding: the variance that it adds to the outputs. free says that its width is a choice.
func (q *quantiser) rounded(key string, r *rep, bits int, sense float64, free bool) {
	unit := float64(r.mult * math.Ldexp(1, -r.scale))
	q.noteError(key, bits, ir.Size(q.o.Value(r.id).Shape), float64(sense*unit*unit)/12, free)
}

func (q *quantiser) noteError(key string, bits, cells int, variance float64, free bool) *place {
	p := q.places[key]
	if p == nil {
		p = &place{}
		q.places[key] = p
	}
	p.bits, p.cells, p.variance, p.free = max(p.bits, bits), p.cells+cells, p.variance+variance, p.free || free
	return p
}

// place is what is known of the roundings of one name.
type place struct {
	bits, cells int
	variance    float64
	least       float64 // what more bits leave of it
	free        bool
}

// widened is the variance that moreBits leave.
func (p *place) widened() float64 { return math.Max(p.variance/(1<<(2*moreBits)), p.least) }

// below says that a place adds less than it did before.
func (p *place) below(before *place) bool {
	return p == nil || before == nil || p.variance < before.variance/2
}

// bits is the width of the roundings of a name.
func (q *quantiser) bits(key string) int { return max(ActBits, q.widths[key]) }

// of is the name of the roundings of a value of the float graph: its own, and where that is one of all products with weights that have no
// name the weights' shape, which tells the kinds of products of a layer from each other.
func (q *quantiser) of(id ir.ValueID) string {
	v := q.whole(q.f.Value(id))
	if v.Name != stem("weight") {
		return v.Name
	}
	for _, in := range v.Def.In {
		if w := q.whole(q.f.Value(in)); w.Def.Op == ir.OpWeight {
			return fmt.Sprintf("%s %v to %v", v.Name, w.Shape, v.Shape)
		}
	}
	return v.Name
}

// choose finds the widths of all places whose roundings would move the outputs too far, and says whether sums are to be wide: where the
// model does not fit 62 bits otherwise, or where the error is not bearable and is with them less than half of what it is. Part of the error
// is then what 16 bits leave of normalisations' scales: 31 bits of them, which only wide sums hold, are the remedy.
func choose(left *budget.Budget, f *ir.Graph, cal *Calibration, commit []ir.ValueID) (widths map[string]int, far bool, r *PrecisionReport, err error) {
	near, r, err := chooseIn(left, f, cal, commit, false)
	var beyond errBeyond
	if err == nil && r.whole() <= cal.bearable() || err != nil && !errors.As(err, &beyond) {
		return near, false, r, err
	}
	wide, better, wideErr := chooseIn(left, f, cal, commit, true)
	switch {
	case wideErr == nil && (err != nil || better.Error < r.whole()/2):
		better.Wide = true
		return wide, true, better, nil
	case err != nil:
		err = wideErr
	}
	return near, false, r, err
}

// chooseIn finds the widths with or without wide sums. Those for which other values would have to be rounded first, products that stay exact
// otherwise, come last, and only if the error is not bearable without them.
func chooseIn(left *budget.Budget, f *ir.Graph, cal *Calibration, commit []ir.ValueID, far bool) (map[string]int, *PrecisionReport, error) {
	plain, err := quantise(left, f, cal, commit, nil, far, true)
	if err != nil {
		return nil, nil, err
	}
	c := chooser{cal: cal, now: plain, widths: map[string]int{}, limits: map[string]int{}, relented: cal.exacting()}
	quantise := func(widths map[string]int) (*Program, error) {
		return quantise(left, f, cal, commit, widths, far, true)
	}
	for {
		more := c.cal.widen(c.now.places, c.widths, c.limits)
		switch {
		case more == nil && !c.relent():
			r := precisionReport(plain.places, c.now.places)
			r.gains = c.now.gains
			return c.widths, r, nil
		case more != nil && !c.single && !c.try(more, quantise):
			c.single = true // some of them leave the bounds, or cost too much: one by one
		case more != nil && c.single:
			c.one(more, quantise)
		}
		if err := left.Poll(); err != nil {
			return nil, nil, err
		}
	}
}

// chooser looks for widths.
type chooser struct {
	cal            *Calibration
	now            *Program
	widths, limits map[string]int
	dear           []string // places that were not widened, because others would have had to be rounded or for the bounds
	single         bool     // they are widened one by one
	relented       bool
}

// one widens the place that adds most per cell, of those that are to be widened, by as many bits as can be.
func (c *chooser) one(more map[string]int, quantise func(map[string]int) (*Program, error)) {
	best, most := "", -1.0
	for _, key := range slices.Sorted(maps.Keys(more)) {
		p := c.now.places[key]
		if p == nil { // other widths have left nothing to round there
			continue
		}
		if by := p.variance / float64(p.cells); more[key] > c.widths[key] && by > most {
			best, most = key, by
		}
	}
	from := max(c.now.places[best].bits, c.widths[best])
	for bits := more[best]; bits > from; bits -= moreBits {
		one := maps.Clone(c.widths)
		if one[best] = bits; c.try(one, quantise) {
			return
		}
	}
	c.limits[best] = from
	c.dear = append(c.dear, best)
}

// try takes widths over, unless they leave the bounds or cost too much.
func (c *chooser) try(more map[string]int, quantise func(map[string]int) (*Program, error)) bool {
	next, err := quantise(more)
	if err != nil {
		return false
	}
	for key := range next.places {
		if c.now.places[key] == nil && !c.relented {
			return false
		}
	}
	for key, bits := range more {
		if bits > c.widths[key] && !next.places[key].below(c.now.places[key]) {
			c.limits[key] = bits // something else bounds it
		}
	}
	c.widths, c.now = more, next
	return true
}

// relent allows what cost too much, once, where the error is not bearable without.
func (c *chooser) relent() bool {
	total := 0.0
	for _, key := range slices.Sorted(maps.Keys(c.now.places)) {
		total += c.now.places[key].variance
	}
	if c.relented || len(c.dear) == 0 || total <= float64(c.cal.bearable()*c.cal.bearable()) {
		return false
	}
	for _, key := range c.dear {
		delete(c.limits, key)
	}
	c.relented = true
	return true
}

// widen returns widths at which the predicted error is below the target, or what cannot be changed; nil if that is so already. First come
// the places that add most per cell that they commit to.
func (c *Calibration) widen(places map[string]*place, widths, limits map[string]int) map[string]int {
	type candidate struct {
		key string
		place
	}
	var list []candidate
	total, floor := 0.0, 0.0
	for _, key := range slices.Sorted(maps.Keys(places)) {
		p := *places[key]
		p.bits = max(p.bits, widths[key])
		total += p.variance
		limit, limited := limits[key]
		if !p.free || p.bits >= maxBits || limited && p.bits >= limit || p.widened() > p.variance/2 {
			floor += p.variance
			continue
		}
		list = append(list, candidate{key, p})
	}
	goal := math.Max(float64(c.target()*c.target()), float64(1.25*floor))
	if len(widths) == 0 && total <= float64(c.enough()*c.enough()) {
		return nil
	}
	more := maps.Clone(widths)
	for total > goal {
		best := slices.MaxFunc(list, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.variance/float64(a.cells), b.variance/float64(b.cells)), -cmp.Compare(a.key, b.key))
		})
		k := slices.IndexFunc(list, func(c candidate) bool { return c.key == best.key })
		less := best.widened()
		total += less - best.variance
		list[k].variance = less
		list[k].bits += moreBits
		more[best.key] = list[k].bits
		if list[k].bits >= maxBits || list[k].widened() > less/2 {
			return more
		}
	}
	if maps.Equal(more, widths) {
		return nil
	}
	return more
}

func precisionReport(plain, now map[string]*place) *PrecisionReport {
	r := &PrecisionReport{}
	before, after := 0.0, 0.0
	for _, key := range slices.Sorted(maps.Keys(now)) {
		p := now[key]
		e := PlaceReport{Name: key, Bits: p.bits, Error: math.Sqrt(p.variance)}
		after += p.variance
		if b := plain[key]; b != nil {
			e.Plain = math.Sqrt(b.variance)
		}
		r.Places = append(r.Places, e)
	}
	for _, key := range slices.Sorted(maps.Keys(plain)) {
		before += plain[key].variance
	}
	slices.SortStableFunc(r.Places, func(a, b PlaceReport) int { return -cmp.Compare(a.Plain, b.Plain) })
	r.Error, r.Plain = math.Sqrt(after), math.Sqrt(before)
	return r
}
