package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Calibration holds what the float graph did on sample inputs.
type Calibration struct {
	Max     []float64 // per value: the largest magnitude
	Samples []Input   // the input of every run
	Finer   int       // steps by which roundings are to be finer than what usually suffices, at most MostFiner
	// Sensed is told how many of the equal parts of measuring derivatives, which choosing scales begins with, are done; it may be nil.
	Sensed func(done, all int)

	rows  []rowStat    // per value: of its rows, for the inputs of normalisations
	spans []span       // per value: of its cells, for arguments of functions
	moves *sensitivity // measured when it is first asked for
	bends *bendings
}

// rowStat describes the rows (last axis) of a tensor: the largest root mean square and, for centred rows, the largest deviation; and the
// least mean squares of rows that are not zero, 0 if there are none.
type rowStat struct{ rms, centredRMS, centredMax, least, centredLeast float64 }

// span describes cells and 0: the least and the largest, and the least magnitude that is not 0, 0 if there is none.
type span struct{ lo, hi, least float64 }

func (s *span) add(cells []float64) {
	for _, x := range cells {
		s.lo, s.hi, s.least = math.Min(s.lo, x), math.Max(s.hi, x), lesser(s.least, math.Abs(x))
	}
}

func (s *span) merge(o span) {
	s.lo, s.hi, s.least = math.Min(s.lo, o.lo), math.Max(s.hi, o.hi), lesser(s.least, o.least)
}

// apart is how many powers of two lie between the least and the largest magnitude of an argument of a function.
func (c *Calibration) apart(id ir.ValueID) int {
	if least := c.spans[id].least; least > 0 {
		return max(0, portable.Log2Ceil(c.Max[id]/least))
	}
	return 0
}

// Sizes of the default calibration set: sequences of tokens and how often each is continued, and the inputs of other models.
const (
	defaultChains = 6
	continuations = 2
	defaultInputs = 8
)

// Calibrate runs a prepared graph on samples, or without samples on a deterministic set: pseudo-random elements of every input, evenly from
// its range, which its ends need not be among. Magnitudes are those of padding, too: where none of it is clamped, a proof can say so. Of a
// language model these are a few sequences of tokens, and what becomes of each when the model's own predictions replace them again and
// again, position t+1 by the arg-max at t, which approaches a greedy continuation of the first token. Every run counts, those that only lead
// to the next one too. ran is told how many of all runs are done, after some of them; it may be nil.
func Calibrate(left *budget.Budget, f *ir.Graph, samples []Input, ran func(done, all int)) (*Calibration, error) {
	rounds := 1
	if len(samples) == 0 {
		n := defaultInputs
		if f.IsLanguageModel() {
			n, rounds = defaultChains, 1+continuations
		}
		samples = randomInputs(f, n)
	}
	m, err := newMeasure(left, f)
	if err != nil {
		return nil, err
	}
	m.Samples = make([]Input, len(samples)*rounds)
	done := 0
	err = forEach(left, len(samples), rounds, []*ir.Graph{f}, 8*outputCells(f), func(from, to int) error {
		batch := slices.Clone(samples[from:to])
		for r := range rounds {
			outs, err := m.run(left, batch)
			if err != nil {
				return err
			}
			for i, in := range batch {
				sample := &m.Samples[(from+i)*rounds+r]
				*sample = in
				m.remember(left, sample, outs[i])
				if r+1 < rounds {
					batch[i] = Input{Elements: [][]float64{continued(in.Elements[0], outs[i][0], f.Vocab())}}
				}
			}
			if done += len(batch); ran != nil {
				ran(done, len(m.Samples))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &m.Calibration, m.hides(left)
}

// mostRemembered is up to how many bytes of outputs of calibration are kept for the comparison with the integer program.
const mostRemembered = 1 << 29

// remember keeps the outputs of a sample, if there is room, so that a check on it need not run the float model once more.
func (m *measure) remember(left *budget.Budget, in *Input, outs [][]float64) {
	bytes := 0
	for _, cells := range outs {
		bytes += 8 * in.compared(m.f, len(cells))
	}
	if m.remembered+bytes > mostRemembered || left.Kept(m.remembered+bytes) != nil {
		return
	}
	m.remembered += bytes
	in.of, in.outputs = m.f, slices.Clone(outs)
	for i, cells := range outs {
		if n := in.compared(m.f, len(cells)); n < len(cells) {
			in.outputs[i] = slices.Clone(cells[:n])
		}
	}
}

// Recall gives inputs that are samples of a calibration, in their order, what is known of them.
func Recall(inputs, samples []Input) {
	for i := range min(len(inputs), len(samples)) {
		in, s := &inputs[i], &samples[i]
		if in.Positions == s.Positions && slices.EqualFunc(in.Elements, s.Elements, slices.Equal) {
			in.of, in.outputs = s.of, s.outputs
		}
	}
}

// outputCells is the number of cells of a graph's outputs.
func outputCells(g *ir.Graph) int {
	n := 0
	for _, p := range g.Outputs {
		n = budget.Sum(n, budget.Product(g.Value(p.Value).Shape...))
	}
	return n
}

// continued replaces the token at t+1 by the one that the logits at t predict.
func continued(ids, logits []float64, vocab int) []float64 {
	next := slices.Clone(ids)
	for t, best := range argmax(logits, vocab)[:len(ids)-1] {
		next[t+1] = float64(best)
	}
	return next
}

// randomInputs draws elements of every input, evenly from its range.
func randomInputs(f *ir.Graph, n int) []Input {
	rng := rand.New(rand.NewPCG(0x7a6b6c6c6d63, 1))
	random := make([]Input, n)
	for i := range random {
		for _, p := range f.Inputs {
			x := make([]float64, ir.Size(p.Shape))
			for k := range x {
				if p.Kind == plan.Reals {
					x[k] = math.Min(p.Hi, p.Lo+float64((p.Hi-p.Lo)*rng.Float64()))
				} else {
					x[k] = p.Lo + float64(rng.Int64N(portable.Clamp(p.Hi-p.Lo)+1))
				}
			}
			random[i].Elements = append(random[i].Elements, x)
		}
	}
	return random
}

// measure collects what runs of a graph do.
type measure struct {
	Calibration
	f      *ir.Graph
	normed []bool // values of which rows are measured

	remembered int    // bytes of outputs
	argued     []bool // and cells, as arguments of functions

	mu sync.Mutex
}

// newMeasure has measured what no input changes.
func newMeasure(left *budget.Budget, f *ir.Graph) (*measure, error) {
	m := &measure{f: f, normed: make([]bool, len(f.Values)), argued: make([]bool, len(f.Values))}
	m.bends = &bendings{known: map[bendKey]float64{}}
	m.Max, m.rows, m.spans = make([]float64, len(f.Values)), make([]rowStat, len(f.Values)), make([]span, len(f.Values))
	for _, n := range f.Nodes {
		switch n.Op {
		case ir.OpNorm:
			m.normed[n.In[0]] = true
		case ir.OpUnary:
			m.argued[n.In[0]] = true
		}
	}
	for _, v := range f.Values {
		if fixed(v) {
			if err := m.addFixed(left, v); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// fixed says that a value is the same in every run.
func fixed(v *ir.Value) bool { return v.Def.Op == ir.OpWeight || v.Def.Op == ir.OpConst }

// run measures runs side by side and returns their outputs.
func (m *measure) run(left *budget.Budget, batch []Input) ([][][]float64, error) {
	out := outputsOf[float64](m.f, len(batch))
	return out, eval.EachFloat(left, m.f, elementsOf(batch), func(r int, v *ir.Value, cells []float64) error {
		keep(m.f, v, cells, out[r])
		if fixed(v) {
			return nil
		}
		return m.add(v, cells)
	})
}

// outputsOf has room for the outputs of runs.
func outputsOf[T any](g *ir.Graph, runs int) [][][]T {
	out := make([][][]T, runs)
	for r := range out {
		out[r] = make([][]T, len(g.Outputs))
	}
	return out
}

func elementsOf(inputs []Input) (out [][][]float64) {
	for _, in := range inputs {
		out = append(out, in.Elements)
	}
	return out
}

// addFixed measures a weight or constant, whose rows are the same in whatever parts they are read.
func (m *measure) addFixed(left *budget.Budget, v *ir.Value) error {
	if m.normed[v.ID] {
		cells, err := weights.All(v.Reals())
		if err != nil {
			return err
		}
		return m.add(v, cells)
	}
	return weights.Each(v.Reals(), func(_ int, cells []float64) error {
		if err := left.Poll(); err != nil {
			return err
		}
		return m.add(v, cells)
	})
}

func (m *measure) add(v *ir.Value, cells []float64) error {
	top, err := magnitudeOf(v, cells, "a calibration input", ", or calibrate on other inputs (--calibrate)")
	if err != nil {
		return err
	}
	var rows rowStat
	if m.normed[v.ID] {
		rows.add(cells, v.Shape[len(v.Shape)-1])
	}
	var cellsOf span
	if m.argued[v.ID] {
		cellsOf.add(cells)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Max[v.ID] = max(m.Max[v.ID], top)
	m.rows[v.ID].merge(rows)
	m.spans[v.ID].merge(cellsOf)
	return nil
}

// magnitudeOf is the largest magnitude of a value's cells, which must be finite; the refusal says on what they are not, and what else to
// do.
func magnitudeOf(v *ir.Value, cells []float64, on, or string) (float64, error) {
	top := 0.0
	for _, x := range cells {
		a := math.Abs(x)
		if !(a <= math.MaxFloat64) {
			return 0, v.Def.Errorf("its result is not finite on %s; look for a division by zero or an overflow%s", on, or)
		}
		if a > top {
			top = a
		}
	}
	return top, nil
}

// Runs side by side read weights together. Beyond some, what that saves is little, and what they hold is more than a small machine has.
const (
	mostTogether = 8
	togetherSize = 3 << 28 // bytes
)

// forEach runs f for parts of 0..n-1, in order, and returns its error. An f evaluates the graphs, one after the other so many times, for all
// numbers of its part side by side, and keeps so many bytes besides for each: that is paid for here, and parts are as large as the budget has
// memory for, but no larger than is of use.
func forEach(left *budget.Budget, n, times int, graphs []*ir.Graph, kept int, f func(from, to int) error) error {
	left.Runs(budget.Product(n, times))
	bytes := 1
	for _, g := range graphs {
		m, err := eval.Demand(left, g, budget.Product(n, times))
		if err != nil {
			return err
		}
		bytes = max(bytes, m)
	}
	bytes = budget.Sum(bytes, kept)
	if err := left.Memory(bytes); err != nil {
		return fmt.Errorf("to run the model it %w", err)
	}
	most := max(runtime.GOMAXPROCS(0), min(mostTogether, togetherSize/bytes))
	part := 1
	for part < min(n, most) && left.Memory(budget.Product(part+1, bytes)) == nil {
		part++
	}
	parts := (n + part - 1) / part
	for i := range parts {
		if err := f(i*n/parts, (i+1)*n/parts); err != nil {
			return err
		}
	}
	return nil
}

func (s *rowStat) add(x []float64, width int) {
	for r := 0; r+width <= len(x); r += width {
		var mean, squares, centred float64
		for _, v := range x[r : r+width] {
			mean += v / float64(width)
			squares += v * v / float64(width)
		}
		for _, v := range x[r : r+width] {
			d := v - mean
			centred += d * d / float64(width)
			s.centredMax = math.Max(s.centredMax, math.Abs(d))
		}
		s.least, s.centredLeast = lesser(s.least, squares), lesser(s.centredLeast, centred)
		s.rms = math.Max(s.rms, math.Sqrt(squares))
		s.centredRMS = math.Max(s.centredRMS, math.Sqrt(centred))
	}
}

func (s *rowStat) merge(o rowStat) {
	s.least, s.centredLeast = lesser(s.least, o.least), lesser(s.centredLeast, o.centredLeast)
	s.rms, s.centredRMS, s.centredMax = math.Max(s.rms, o.rms), math.Max(s.centredRMS, o.centredRMS), math.Max(s.centredMax, o.centredMax)
}

// lesser is the lesser of two numbers that are not 0.
func lesser(a, b float64) float64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// leastRow returns the least mean square of a row that is not zero, after centring where asked; 0 if there is none.
func (c *Calibration) leastRow(id ir.ValueID, center bool) float64 {
	if center {
		return c.rows[id].centredLeast
	}
	return c.rows[id].least
}

// rowNorm returns the largest root mean square of a row and the largest magnitude, both after centring where asked.
func (c *Calibration) rowNorm(id ir.ValueID, center bool) (rms, top float64) {
	if center {
		return c.rows[id].centredRMS, c.rows[id].centredMax
	}
	return c.rows[id].rms, c.Max[id]
}

// keep stores the cells of a value that is an output, and says whether it is one.
func keep[T any](g *ir.Graph, v *ir.Value, cells []T, out [][]T) (is bool) {
	for i := range g.Outputs {
		if g.Outputs[i].Value == v.ID {
			out[i], is = cells, true
		}
	}
	return is
}

// argmax returns the first index of the largest cell of every row.
func argmax[N int64 | float64](x []N, width int) []int64 {
	var out []int64
	for r := 0; r+width <= len(x); r += width {
		best := 0
		for i, v := range x[r : r+width] {
			if v > x[r+best] {
				best = i
			}
		}
		out = append(out, int64(best))
	}
	return out
}
