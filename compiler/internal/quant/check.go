package quant

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// CheckReport compares the integer program with the float model, and each of them with the outputs that came with the inputs, where any
// did: where the float model differs from these the fault is in the frontend or in the file, and where the programs differ it is precision
// that was lost.
type CheckReport struct {
	// `--tolerance`: up to which part of an output's largest magnitude its cells may differ
	Tolerance float64 `json:"tolerance"`
	Comparison
	// of a language model: integer logits per unit of a float logit
	LogitsPerOne float64 `json:"integer_logits_per_unit,omitempty"`

	// of a generation at several lengths: those that gave the same integer logits, which is all of them
	Lengths []int `json:"lengths,omitempty"`

	// the integer program against the expected outputs of the data; where these are indices (ArgMax), against the program's own cells, each
	// row's greatest where it is expected
	Expected      *Comparison `json:"expected,omitempty"`
	FloatExpected *Comparison `json:"float_expected,omitempty"` // the float model against these

	// with `--layers`: the values of the integer program that stand for one of the float model, in its order
	Places []Place `json:"places,omitempty"`
	// the place where most precision is lost, where it does not suffice or with `--layers`
	Worst *Place `json:"worst,omitempty"`

	rounding *ir.Node // the first that rounds what depends on an input to integers, nil if none does
	tied     bool     // what is expected differs by what is half-way between integers
}

// Comparison is of two programs' outputs on the same inputs: of a language model the predictions, of any other the outputs.
type Comparison struct {
	Inputs int `json:"inputs"` // inputs that were compared
	*PredictionReport
	Outputs []OutputReport `json:"outputs,omitempty"` // of any other model: its outputs
}

// PredictionReport compares logits and the tokens that they predict.
type PredictionReport struct {
	// of a language model only, as the members up to `reference_perplexity`: positions of all inputs
	Positions int     `json:"positions"`
	MaxError  float64 `json:"max_error"`  // largest difference of a logit
	MeanError float64 `json:"mean_error"` // mean difference
	MaxLogit  float64 `json:"max_logit"`  // largest logit of what it is compared with, in magnitude
	Agree     int     `json:"top1_agree"` // positions with the same best token
	// positions whose two best logits, of what it is compared with, differ by more than 0.05
	Clear      int     `json:"clear_positions"`
	ClearAgree int     `json:"clear_agree"`        // those with the same best token
	WorstGap   float64 `json:"worst_disagreement"` // largest gap of these where the best token differs

	// where data was given, and it is no more than a number holds: perplexity of its tokens, each after those before it, in the program that
	// is compared
	Perplexity          float64 `json:"perplexity,omitempty"`
	ReferencePerplexity float64 `json:"reference_perplexity,omitempty"` // the same in what it is compared with

	followed int // tokens that those are of; until the end they are sums of logarithms
}

// OutputReport compares one output, cell by cell.
type OutputReport struct {
	Name      string  `json:"name"`       // of the output
	Cells     int     `json:"cells"`      // cells of all inputs that were compared
	MaxError  float64 `json:"max_error"`  // largest difference of a cell
	MeanError float64 `json:"mean_error"` // mean difference
	MaxValue  float64 `json:"max_value"`  // largest magnitude of a cell of what it is compared with
	*RowReport
}

// RowReport compares the rows of an output of real numbers along its last axis: as directions, which embeddings are, and by their greatest
// cells, which classes are.
type RowReport struct {
	// rows along the last axis, of real numbers, that are not zero in both; missing, with the four below, of other outputs
	Rows   int     `json:"rows"`
	Cosine float64 `json:"least_cosine"` // least cosine of the angle between a row and that of what it is compared with
	Agree  int     `json:"best_agree"`   // rows with the same greatest cell
	// rows whose two greatest cells, of what it is compared with, differ by more than 0.05
	Clear      int `json:"clear_rows"`
	ClearAgree int `json:"clear_agree"` // those with the same greatest cell
}

// Input is one input of a graph: the elements of every port, and for Check what is expected of every output, nil where nothing is. Of a
// language model the expected logits may be those of the first positions alone.
type Input struct {
	Elements [][]float64
	Expected [][]float64
	// Positions is the number of tokens of a language model's input that are not padding: what comes of the others does not count. 0: all.
	Positions int

	of      *ir.Graph   // that made of it:
	outputs [][]float64 // as many cells as are compared; of neither is known
}

// compared is how many of so many cells of an output count.
func (in *Input) compared(f *ir.Graph, cells int) int {
	if in.Positions == 0 || !f.IsLanguageModel() {
		return cells
	}
	return in.Positions * f.Vocab()
}

// Margin is the difference of the two best logits from which on a position counts as clear.
const Margin = 0.05

// Tolerance is up to which part of the largest magnitude of an output its cells may differ, where nothing else is said.
const Tolerance = 1.0 / 256

// ErrImprecise says that the integer program differs too much from the float model, ErrUnexpected that the float model differs too much
// from the outputs that were expected.
var (
	ErrImprecise  = errors.New("the integer program is not precise enough")
	ErrUnexpected = errors.New("the float model does not give the expected output")
)

// Err is nil where outputs lie within the tolerance and clear positions predict the same token; else an ErrUnexpected or ErrImprecise that
// names the worst.
func (r *CheckReport) Err() error {
	if r.FloatExpected != nil {
		if what := r.FloatExpected.difference(r.Tolerance); what != "" {
			if r.tied {
				return fmt.Errorf("%w, against the expected output: %s; node %q (%s), or its like, rounds what lies where only the last digit of single precision decides to which integer: with arguments that are a millionth smaller or larger the float model gives what is expected; try inputs that are not symmetric", ErrImprecise, what, r.rounding.Origin, r.rounding.Operator)
			}
			why := "the frontend reads the file otherwise than what computed that, or the data is of another model"
			if r.rounding != nil {
				why += fmt.Sprintf("; or the digits that types of few lack decide what node %q (%s) and its like round activations to", r.rounding.Origin, r.rounding.Operator)
			}
			return fmt.Errorf("%w: %s; %s", ErrUnexpected, what, why)
		}
	}
	against := "the float model"
	what := r.difference(r.Tolerance)
	if what == "" && r.Expected != nil {
		against, what = "the expected output", r.Expected.difference(r.Tolerance)
	}
	if what == "" {
		return nil
	}
	place := ""
	if r.Worst != nil {
		place = "; " + r.Worst.sentence()
	}
	return fmt.Errorf("%w, against %s: %s%s", ErrImprecise, against, what, place)
}

// Steps of Calibration.Finer.
const (
	exactingStep = 3            // from which what else has 16 bits is more precise, too: see Calibration.exacting
	MostFiner    = exactingStep // how many are of use
)

// Coarse says that the integer program is not precise enough, and that no range was too small: finer steps may help.
func (r *CheckReport) Coarse() bool {
	return !r.tied && errors.Is(r.Err(), ErrImprecise) && (r.Worst == nil || r.Worst.Beyond == 0)
}

// OK says that there is no Err.
func (r *CheckReport) OK() bool { return r.Err() == nil }

// difference says what differs by more than the tolerance, "" where nothing does.
func (c *Comparison) difference(tolerance float64) string {
	if p := c.PredictionReport; p != nil {
		switch {
		case p.ClearAgree < p.Clear:
			return fmt.Sprintf("the best token differs at %d of %d clear positions, where the two best logits lie up to %.3g apart", p.Clear-p.ClearAgree, p.Clear, p.WorstGap)
		case !within(p.MaxError, p.MaxLogit, tolerance):
			return fmt.Sprintf("a logit differs by %s", parts(p.MaxError, p.MaxLogit, tolerance))
		}
	}
	for _, o := range c.Outputs {
		if !within(o.MaxError, o.MaxValue, tolerance) {
			return fmt.Sprintf("the output %q differs by %s", o.Name, parts(o.MaxError, o.MaxValue, tolerance))
		}
	}
	return ""
}

// within says that an error is no more than that part of the largest magnitude. What is not a number is not.
func within(err, top, tolerance float64) bool { return err <= float64(tolerance*top) }

func parts(err, top, tolerance float64) string {
	if top == 0 {
		return fmt.Sprintf("%.3g where all cells should be 0", err)
	}
	return fmt.Sprintf("%.3g, %.3g of the largest magnitude %.3g where %.3g is allowed", err, err/top, top, tolerance)
}

// CheckOptions say how programs are compared.
type CheckOptions struct {
	Tolerance float64             // 0: Tolerance
	Places    bool                // report where precision is lost
	Perplexed bool                // report perplexities
	Ran       func(done, all int) // is told how many inputs are done; may be nil
}

// Check runs both programs on inputs. Of a generation at several lengths shorter are the programs that follow p, ascending: each input is run
// with the first that holds its tokens, as proofs are, but where places are compared, which are those of p.
func Check(left *budget.Budget, p *Program, shorter []*Program, inputs []Input, o CheckOptions) (*CheckReport, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("nothing to check: no inputs")
	}
	if o.Tolerance == 0 {
		o.Tolerance = Tolerance
	}
	c := checker{p: p, shorter: shorter, left: left, perplexed: o.Perplexed}
	if o.Places {
		c.places = newPlaces(p)
	}
	for i := range inputs {
		c.runs = append(c.runs, c.fitting(&inputs[i]))
	}
	if err := c.run(o.Ran); err != nil {
		return nil, err
	}
	r := c.report(o.Tolerance)
	if r.rounding != nil && errors.Is(r.Err(), ErrUnexpected) {
		var err error
		if r.tied, err = c.tied(o.Tolerance); err != nil {
			return nil, err
		}
	}
	if c.places == nil && !r.tied && errors.Is(r.Err(), ErrImprecise) { // say where, of the worst input
		where := checker{p: p, left: left, places: newPlaces(p)}
		where.runs = []runs{where.fitting(c.worst())}
		if err := where.run(nil); err != nil {
			return nil, err
		}
		r.Worst = worstOf(where.places.list())
	}
	return r, nil
}

// run compares the programs on all inputs.
func (c *checker) run(ran func(done, all int)) error {
	order := make([]*runs, len(c.runs)) // those of one program next to each other
	for i := range order {
		order[i] = &c.runs[i]
	}
	slices.SortStableFunc(order, func(a, b *runs) int { return cmp.Compare(slices.Index(c.shorter, a.p), slices.Index(c.shorter, b.p)) })
	done := 0
	kept := budget.Sum(budget.Product(16, outputCells(c.p.Float)), c.places.bytes())
	return forEach(c.left, len(order), 1, c.graphs(), kept, func(from, to int) error {
		for from < to {
			end := from + 1
			for end < to && order[end].p == order[from].p {
				end++
			}
			if err := c.batch(order[from:end]); err != nil {
				return err
			}
			if done += end - from; ran != nil {
				ran(done, len(order))
			}
			from = end
		}
		return nil
	})
}

// checker compares two programs on several inputs.
type checker struct {
	p       *Program
	shorter []*Program
	left    *budget.Budget
	places  *places // nil where nobody asks
	runs    []runs

	perplexed bool
}

// graphs are those that a run evaluates, the float graph once more to find where precision is lost.
func (c *checker) graphs() []*ir.Graph {
	g := []*ir.Graph{c.p.Float, c.p.Int}
	if c.places != nil {
		g = append(g, c.p.Float)
	}
	return g
}

// runs compares what the programs make of one input: those of which it is run with, given the elements of it that those take.
type runs struct {
	in    *Input
	p     *Program
	given [][]float64

	programs, expected, floatExpected Comparison
}

// fitting says which programs an input is run with, and what they take of its elements: all, or all but padding.
func (c *checker) fitting(in *Input) runs {
	if in.Positions > 0 && c.places == nil {
		for _, s := range c.shorter {
			if n := s.Float.Inputs[0].Shape[0]; n >= in.Positions {
				return runs{in: in, p: s, given: [][]float64{in.Elements[0][:n]}}
			}
		}
	}
	return runs{in: in, p: c.p, given: in.Elements}
}

// batch runs programs on several inputs side by side, and compares.
func (c *checker) batch(batch []*runs) error {
	p, given, elements := batch[0].p, make([][][]float64, len(batch)), make([][][]int64, len(batch))
	for i, r := range batch {
		var err error
		if elements[i], err = p.Elements(r.given); err != nil {
			return err
		}
		given[i] = r.given
	}
	want, reals, err := c.float(p, batch)
	if err != nil {
		return err
	}
	got, kept, err := c.integer(p, elements, reals)
	if err != nil {
		return err
	}
	return eval.Parallel(c.left, len(batch), runtime.GOMAXPROCS(0), func(i int) error {
		if c.places != nil {
			if err := c.places.blame(c.left, given[i], kept[i]); err != nil {
				return err
			}
		}
		real := p.real(got[i])
		err := batch[i].compare(c, want[i], real)
		want[i], got[i] = nil, nil
		return err
	})
}

// compare compares the outputs of the programs, and with what is expected.
func (r *runs) compare(c *checker, want, real [][]float64) error {
	p := r.p
	for i := range want {
		n := r.in.compared(p.Float, len(want[i]))
		want[i], real[i] = want[i][:n], real[i][:n]
	}
	r.programs = c.compare(r.in, want, real, c.perplexed)
	if r.in.Expected == nil {
		return nil
	}
	if err := c.p.checkExpected(r.in.Expected); err != nil {
		return err
	}
	perplexed := c.perplexed && !p.Float.Outputs[0].Indices
	r.expected = c.compare(r.in, p.indicated(r.in.Expected, real), real, perplexed)
	r.floatExpected = c.compare(r.in, p.indicated(r.in.Expected, want), want, perplexed)
	return nil
}

// float runs a program's float graph for its outputs, and for the values that places compare. What calibration knows of the outputs is taken
// from there.
func (c *checker) float(p *Program, batch []*runs) (out [][][]float64, reals []map[ir.ValueID][]float64, err error) {
	out, reals = outputsOf[float64](p.Float, len(batch)), valuesOf(len(batch))
	var at []int // of those that are run
	var in [][][]float64
	for i, r := range batch {
		if c.places == nil && r.in.of == p.Float {
			copy(out[i], r.in.outputs)
			continue
		}
		at, in = append(at, i), append(in, r.given)
	}
	if len(in) == 0 {
		return out, reals, nil
	}
	err = eval.EachFloat(c.left, p.Float, in, func(r int, v *ir.Value, cells []float64) error {
		if keep(p.Float, v, cells, out[at[r]]) {
			if _, err := magnitudeOf(v, cells, "an input that is checked", ""); err != nil {
				return err
			}
		}
		if c.places.compares(v.ID) {
			reals[at[r]][v.ID] = cells
		}
		return nil
	})
	return out, reals, err
}

func valuesOf(runs int) []map[ir.ValueID][]float64 {
	out := make([]map[ir.ValueID][]float64, runs)
	for r := range out {
		out[r] = map[ir.ValueID][]float64{}
	}
	return out
}

// integer runs an integer program for its outputs, and compares places, of which it returns the cells.
func (c *checker) integer(p *Program, in [][][]int64, reals []map[ir.ValueID][]float64) (out [][][]int64, kept []map[ir.ValueID][]float64, err error) {
	out, kept = outputsOf[int64](p.Int, len(in)), valuesOf(len(in))
	err = eval.EachInt(c.left, p.Int, in, func(r int, v *ir.Value, cells []int64) error {
		keep(p.Int, v, cells, out[r])
		c.places.compare(v, cells, reals[r], kept[r])
		return nil
	})
	return out, kept, err
}

// rounding is the first node of the float graph that rounds to integers.
func (p *Program) rounding() *ir.Node {
	if i := slices.IndexFunc(p.Float.Nodes, rounds); i >= 0 {
		return p.Float.Nodes[i]
	}
	return nil
}

// report merges the comparisons of all inputs.
func (c *checker) report(tolerance float64) *CheckReport {
	r := &CheckReport{Tolerance: tolerance, rounding: c.p.rounding()}
	if c.p.Float.IsLanguageModel() {
		r.LogitsPerOne = 1 / c.p.Units[0]
	}
	of := func(part func(*runs) *Comparison) *Comparison {
		var parts []*Comparison
		for i := range c.runs {
			parts = append(parts, part(&c.runs[i]))
		}
		return total(c.p, parts)
	}
	r.Comparison = *of(func(r *runs) *Comparison { return &r.programs })
	if e := of(func(r *runs) *Comparison { return &r.expected }); e.Inputs > 0 {
		r.Expected, r.FloatExpected = e, of(func(r *runs) *Comparison { return &r.floatExpected })
	}
	if c.places != nil {
		r.Places = c.places.list()
		r.Worst = worstOf(r.Places)
	}
	return r
}

// worst is the input on which the programs differ most, in parts of the largest magnitudes.
func (c *checker) worst() *Input {
	worst, most := 0, -1.0
	for i := range c.runs {
		if d := c.runs[i].programs.Error(); d > most {
			worst, most = i, d
		}
	}
	return c.runs[worst].in
}

// Error is the largest error of an output in parts of its largest magnitude.
func (c *Comparison) Error() float64 {
	most := 0.0
	if p := c.PredictionReport; p != nil && p.MaxLogit > 0 {
		most = p.MaxError / p.MaxLogit
	}
	for _, o := range c.Outputs {
		if o.MaxValue > 0 {
			most = math.Max(most, o.MaxError/o.MaxValue)
		}
	}
	return most
}

// real are outputs of the integer program as real numbers.
func (p *Program) real(cells [][]int64) [][]float64 {
	out := make([][]float64, len(cells))
	for i, x := range cells {
		out[i] = make([]float64, len(x))
		for k, v := range x {
			out[i][k] = float64(float64(v) * p.Units[i])
		}
	}
	return out
}

// checkExpected refuses expected outputs of other sizes, and cells that nothing can be compared with. Logits may be those of the first
// positions.
func (p *Program) checkExpected(expected [][]float64) error {
	for i, x := range expected {
		o := &p.Float.Outputs[i]
		size, width := ir.Size(p.Float.Value(o.Value).Shape), p.Float.Vocab()
		switch {
		case o.Indices:
			if err := checkIndices(o, x, p.Float.Value(o.Value).Shape, p.Float.IsLanguageModel()); err != nil {
				return err
			}
		case p.Float.IsLanguageModel() && (len(x) > size || len(x)%width != 0):
			return fmt.Errorf("expected output of %d cells for logits of %d positions and %d tokens", len(x), size/width, width)
		case !p.Float.IsLanguageModel() && x != nil && len(x) != size:
			return fmt.Errorf("%d expected cells of the output %q, which has %d", len(x), o.Name, size)
		}
		for k, y := range x {
			if math.IsNaN(y) || math.IsInf(y, 0) {
				return fmt.Errorf("cell %d of the expected output %q is %g; what is compared are finite numbers", k, o.Name, y)
			}
		}
	}
	return nil
}

// checkIndices refuses what cannot be the indices of greatest cells; of the first rows alone, where fewer is set.
func checkIndices(o *ir.Port, x []float64, shape []int, fewer bool) error {
	width := shape[len(shape)-1]
	if rows := ir.Size(shape) / width; x != nil && len(x) != rows && !(fewer && len(x) < rows) {
		return fmt.Errorf("%d expected indices of the output %q, which has %d", len(x), o.Name, rows)
	}
	for k, y := range x {
		if !(y >= 0 && y < float64(width)) || y != math.Trunc(y) {
			return fmt.Errorf("cell %d of the expected output %q is %g, and no index below %d", k, o.Name, y, width)
		}
	}
	return nil
}

// indicated are expected outputs, and of those that are indices a program's own cells, with the greatest of each row where it is expected to
// be, and what was there in its place. So the error of an index is by how much the cell that is chosen exceeds the one that should be.
func (p *Program) indicated(expected, got [][]float64) [][]float64 {
	out := slices.Clone(expected)
	for i, ids := range expected {
		if o := &p.Float.Outputs[i]; o.Indices && ids != nil {
			width := o.Shape[len(o.Shape)-1]
			out[i] = slices.Clone(got[i][:min(len(got[i]), len(ids)*width)])
			for r, best := range argmax(out[i], width) {
				row, id := out[i][r*width:(r+1)*width], portable.Clamp(ids[r])
				row[id], row[best] = row[best], row[id]
			}
		}
	}
	return out
}

// Elements are the integers that elements of all inputs become.
func (p *Program) Elements(in [][]float64) ([][]int64, error) {
	if len(in) != len(p.Int.Inputs) {
		return nil, fmt.Errorf("elements of %d inputs, the model has %d", len(in), len(p.Int.Inputs))
	}
	kinds := map[plan.Element]circuit.Element{plan.IDs: circuit.IDs, plan.Integers: circuit.Integers, plan.Booleans: circuit.Booleans, plan.Reals: circuit.Reals}
	out := make([][]int64, len(in))
	for i := range in {
		port := &p.Int.Inputs[i]
		v := p.Int.Value(port.Value)
		c := &circuit.Port{Name: port.Name, Kind: kinds[port.Kind], Lo: v.Lo, Hi: v.Hi, Scale: v.Scale}
		for k, x := range in[i] {
			e, err := function.Element(c, x)
			if err != nil {
				return nil, fmt.Errorf("input %q, element %d: %w", port.Name, k, err)
			}
			out[i] = append(out[i], e)
		}
	}
	return out, nil
}

// Outputs runs the integer program on elements of its inputs and returns the cells of every output, row-major.
func Outputs(left *budget.Budget, p *Program, in [][]int64) (out [][]int64, err error) {
	out = make([][]int64, len(p.Int.Outputs))
	return out, forEach(left, 1, 1, []*ir.Graph{p.Int}, 0, func(int, int) error {
		return eval.EachInt(left, p.Int, [][][]int64{in}, func(_ int, v *ir.Value, cells []int64) error { keep(p.Int, v, cells, out); return nil })
	})
}

// Disagreement compares the integer logits of a program of a generation with those of the ones that follow it, each on the beginning of an
// input. It says where they differ, "" where nowhere: if they do, the compiler is at fault.
func Disagreement(left *budget.Budget, long *Program, shorter []*Program, in [][]float64) (string, error) {
	whole, err := long.Elements(in)
	if err != nil {
		return "", err
	}
	want, err := Outputs(left, long, whole)
	if err != nil {
		return "", err
	}
	for _, short := range shorter {
		n, vocab := short.Float.Inputs[0].Shape[0], long.Float.Vocab()
		got, err := Outputs(left, short, [][]int64{whole[0][:n]})
		if err != nil {
			return "", err
		}
		for i, x := range got[0] {
			if y := want[0][i]; x != y {
				return fmt.Sprintf("position %d of %d has for token %d the logit %d, and %d at the longest length", i/vocab, n, i%vocab, x, y), nil
			}
		}
	}
	return "", nil
}

// compare compares the outputs for one input; mean errors are sums until the end. Of wanted logits there may be those of the first
// positions alone.
func (c *checker) compare(in *Input, want, got [][]float64, perplexed bool) Comparison {
	out, f := Comparison{Inputs: 1}, c.p.Float
	if f.IsLanguageModel() {
		out.PredictionReport = &PredictionReport{}
		n := min(len(want[0]), len(got[0]))
		out.predictions(want[0][:n], got[0][:n], f.Vocab())
		if perplexed {
			out.follow(in.Elements[0], want[0][:n], got[0][:n], f.Vocab())
		}
		if out.Positions == 0 {
			out.Inputs = 0
		}
		return out
	}
	for i := range want {
		o := OutputReport{Name: f.Outputs[i].Name, Cells: len(want[i])}
		for k, w := range want[i] {
			o.add(w, got[i][k])
		}
		if p := &f.Outputs[i]; p.Kind == plan.Reals && !p.Indices && len(p.Shape) > 0 && p.Shape[len(p.Shape)-1] > 1 {
			o.RowReport = compareRows(want[i], got[i], p.Shape[len(p.Shape)-1])
		}
		out.Outputs = append(out.Outputs, o)
	}
	return out
}

func (r *OutputReport) add(want, got float64) {
	d := math.Abs(want - got)
	r.MaxError, r.MaxValue = math.Max(r.MaxError, d), math.Max(r.MaxValue, math.Abs(want))
	r.MeanError += d
}

// compareRows compares rows of so many cells.
func compareRows(want, got []float64, width int) *RowReport {
	r := &RowReport{Cosine: 1}
	a, b := argmax(want, width), argmax(got, width)
	for t := range a {
		x, y := want[t*width:(t+1)*width], got[t*width:(t+1)*width]
		var xx, yy, xy float64
		for i := range x {
			xx, yy, xy = xx+float64(x[i]*x[i]), yy+float64(y[i]*y[i]), xy+float64(x[i]*y[i])
		}
		if xx == 0 && yy == 0 {
			continue
		}
		r.Rows++
		cosine := 0.0 // where one of them is zero
		if xx > 0 && yy > 0 {
			cosine = xy / math.Sqrt(xx) / math.Sqrt(yy)
		}
		r.Cosine = math.Min(r.Cosine, cosine)
		same, clear := a[t] == b[t], gapOf(x, int(a[t])) > Margin
		for _, c := range []struct {
			n  *int
			is bool
		}{{&r.Agree, same}, {&r.Clear, clear}, {&r.ClearAgree, same && clear}} {
			if c.is {
				*c.n++
			}
		}
	}
	return r
}

func (r *RowReport) merge(o *RowReport) {
	r.Rows += o.Rows
	r.Cosine = math.Min(r.Cosine, o.Cosine)
	r.Agree += o.Agree
	r.Clear += o.Clear
	r.ClearAgree += o.ClearAgree
}

// predictions compares the logits of one input.
func (r *PredictionReport) predictions(want, got []float64, width int) {
	for i, w := range want {
		d := math.Abs(w - got[i])
		r.MaxError = math.Max(r.MaxError, d)
		r.MaxLogit = math.Max(r.MaxLogit, math.Abs(w))
		r.MeanError += d
	}
	a, b := argmax(want, width), argmax(got, width)
	for t := range a {
		gap := gapOf(want[t*width:(t+1)*width], int(a[t]))
		same := a[t] == b[t]
		r.Positions++
		if gap > Margin {
			r.Clear++
		}
		switch {
		case same && gap > Margin:
			r.ClearAgree++
			fallthrough
		case same:
			r.Agree++
		default:
			r.WorstGap = math.Max(r.WorstGap, gap)
		}
	}
}

// follow adds how surprising the input's own next tokens are.
func (r *PredictionReport) follow(ids, want, got []float64, width int) {
	for t := 0; t+1 < len(want)/width; t++ {
		next := int(portable.Clamp(ids[t+1]))
		r.ReferencePerplexity += surprise(want[t*width:(t+1)*width], next)
		r.Perplexity += surprise(got[t*width:(t+1)*width], next)
		r.followed++
	}
}

// surprise is the negative logarithm of a token's probability.
func surprise(row []float64, token int) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, x := range row {
		top = math.Max(top, x)
	}
	for _, x := range row {
		sum += portable.Exp(x - top)
	}
	return portable.Log(sum) + top - row[token]
}

// gapOf is the distance of the best logit to the second best.
func gapOf(row []float64, best int) float64 {
	second := math.Inf(-1)
	for i, v := range row {
		if i != best {
			second = math.Max(second, v)
		}
	}
	return row[best] - second
}

// total merges the comparisons of single inputs.
func total(p *Program, parts []*Comparison) *Comparison {
	r := &Comparison{}
	for _, o := range parts {
		if o.Inputs == 0 {
			continue
		}
		if r.Inputs++; r.Inputs == 1 {
			if o.PredictionReport != nil {
				first := *o.PredictionReport
				r.PredictionReport = &first
			}
			r.Outputs = slices.Clone(o.Outputs)
			continue
		}
		if r.PredictionReport != nil {
			r.PredictionReport.merge(o.PredictionReport)
		}
		for k := range r.Outputs {
			r.Outputs[k].merge(&o.Outputs[k])
		}
	}
	if q := r.PredictionReport; q != nil {
		q.MeanError /= float64(r.Positions * p.Float.Vocab())
		if n := float64(q.followed); n > 0 {
			q.Perplexity, q.ReferencePerplexity = portable.Exp(q.Perplexity/n), portable.Exp(q.ReferencePerplexity/n)
			if math.IsInf(q.Perplexity, 1) || math.IsInf(q.ReferencePerplexity, 1) {
				q.Perplexity, q.ReferencePerplexity = 0, 0
			}
		}
	}
	r.Outputs = slices.DeleteFunc(r.Outputs, func(o OutputReport) bool { return o.Cells == 0 }) // nothing was expected of them
	for k := range r.Outputs {
		r.Outputs[k].MeanError /= float64(r.Outputs[k].Cells)
	}
	return r
}

func (r *PredictionReport) merge(o *PredictionReport) {
	r.Positions += o.Positions
	r.MaxError = math.Max(r.MaxError, o.MaxError)
	r.MaxLogit = math.Max(r.MaxLogit, o.MaxLogit)
	r.MeanError += o.MeanError
	r.Agree += o.Agree
	r.Clear += o.Clear
	r.ClearAgree += o.ClearAgree
	r.WorstGap = math.Max(r.WorstGap, o.WorstGap)
	r.Perplexity += o.Perplexity
	r.ReferencePerplexity += o.ReferencePerplexity
	r.followed += o.followed
}

func (r *OutputReport) merge(o *OutputReport) {
	r.Cells += o.Cells
	r.MaxError, r.MaxValue = math.Max(r.MaxError, o.MaxError), math.Max(r.MaxValue, o.MaxValue)
	r.MeanError += o.MeanError
	switch {
	case r.RowReport == nil && o.RowReport != nil:
		rows := *o.RowReport
		r.RowReport = &rows
	case r.RowReport != nil && o.RowReport != nil:
		r.RowReport.merge(o.RowReport)
	}
}
