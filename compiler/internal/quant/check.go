package quant

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// CheckReport compares the integer program with the float graph: of a language model the predictions, of any other the outputs.
type CheckReport struct {
	Inputs int `json:"inputs"`
	*PredictionReport
	Outputs []OutputReport `json:"outputs,omitempty"`

	// Expected compares with the outputs that came with the inputs, where any did.
	Expected *CheckReport `json:"expected,omitempty"`
}

// PredictionReport compares logits and the tokens that they predict.
type PredictionReport struct {
	Positions    int     `json:"positions"`
	MaxError     float64 `json:"max_error"`  // of a logit
	MeanError    float64 `json:"mean_error"` //
	MaxLogit     float64 `json:"max_logit"`
	Agree        int     `json:"top1_agree"`
	Clear        int     `json:"clear_positions"` // whose two best float logits differ by more than Margin
	ClearAgree   int     `json:"clear_agree"`
	WorstGap     float64 `json:"worst_disagreement"` // the largest gap of the two best float logits where top-1 differs
	LogitsPerOne float64 `json:"integer_logits_per_unit"`
}

// OutputReport compares one output, cell by cell.
type OutputReport struct {
	Name      string  `json:"name"`
	Cells     int     `json:"cells"`
	MaxError  float64 `json:"max_error"`
	MeanError float64 `json:"mean_error"`
	MaxValue  float64 `json:"max_value"` // the largest magnitude
}

// Input is one input of Check: the elements of every input of the graph, and what is expected of every output, nil where nothing is. Of a
// language model the expected logits may be those of the first positions alone.
type Input struct {
	Elements [][]float64
	Expected [][]float64
}

// Margin is the difference of the two best float logits from which on a position counts as clear.
const Margin = 0.05

// tolerance is up to which part of the largest magnitude of an output its cells may differ.
const tolerance = 1.0 / 64

// OK says that top-1 agrees wherever it is clear, and that outputs differ within the tolerance.
func (r *CheckReport) OK() bool {
	ok := r.Expected == nil || r.Expected.OK()
	if r.PredictionReport != nil {
		ok = ok && r.ClearAgree == r.Clear
	}
	for _, o := range r.Outputs {
		ok = ok && o.OK()
	}
	return ok
}

// OK says that the cells differ within the tolerance.
func (r *OutputReport) OK() bool { return r.MaxError <= float64(tolerance*r.MaxValue) }

// Check runs both programs on inputs.
func Check(left *budget.Budget, p *Program, inputs []Input) (*CheckReport, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("nothing to check: no inputs")
	}
	parts, expected := make([]CheckReport, len(inputs)), make([]CheckReport, len(inputs))
	err := forEach(left, len(inputs), 1, []*ir.Graph{p.Float, p.Int}, func(i int) error {
		want, err := floatOutputs(left, p.Float, inputs[i].Elements)
		if err != nil {
			return err
		}
		elements, err := p.Elements(inputs[i].Elements)
		if err != nil {
			return err
		}
		got, err := intOutputs(left, p.Int, elements)
		if err != nil {
			return err
		}
		parts[i].compare(p, want, got)
		if inputs[i].Expected == nil {
			return nil
		}
		if err := p.checkExpected(inputs[i].Expected); err != nil {
			return err
		}
		expected[i].compare(p, inputs[i].Expected, got)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := total(p, parts)
	if e := total(p, expected); e.Inputs > 0 {
		r.Expected = e
	}
	return r, nil
}

// checkExpected refuses expected outputs of other sizes. Logits may be those of the first positions.
func (p *Program) checkExpected(expected [][]float64) error {
	for i, x := range expected {
		o := &p.Float.Outputs[i]
		size, width := ir.Size(p.Float.Value(o.Value).Shape), p.Float.Vocab()
		switch {
		case p.Float.IsLanguageModel() && (len(x) > size || len(x)%width != 0):
			return fmt.Errorf("expected output of %d cells for logits of %d positions and %d tokens", len(x), size/width, width)
		case !p.Float.IsLanguageModel() && x != nil && len(x) != size:
			return fmt.Errorf("%d expected cells of the output %q, which has %d", len(x), o.Name, size)
		}
	}
	return nil
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
	err = forEach(left, 1, 1, []*ir.Graph{p.Int}, func(int) error {
		out, err = intOutputs(left, p.Int, in)
		return err
	})
	return out, err
}

// intOutputs runs an integer graph for its outputs alone.
func intOutputs(left *budget.Budget, g *ir.Graph, in [][]int64) ([][]int64, error) {
	out := make([][]int64, len(g.Outputs))
	return out, eval.EachInt(left, g, in, func(v *ir.Value, cells []int64) error { keep(g, v, cells, out); return nil })
}

// compare adds one input; mean errors are sums until the end.
func (r *CheckReport) compare(p *Program, want [][]float64, got [][]int64) {
	r.Inputs = 1
	if p.Float.IsLanguageModel() {
		r.PredictionReport = &PredictionReport{LogitsPerOne: 1 / p.Units[0]}
		r.predictions(want[0], got[0][:len(want[0])], p.Float.Vocab(), p.Units[0])
		if r.Positions == 0 {
			r.Inputs = 0
		}
		return
	}
	for i := range want {
		o := OutputReport{Name: p.Float.Outputs[i].Name, Cells: len(want[i])}
		for k, w := range want[i] {
			o.add(w, float64(float64(got[i][k])*p.Units[i]))
		}
		r.Outputs = append(r.Outputs, o)
	}
}

func (r *OutputReport) add(want, got float64) {
	d := math.Abs(want - got)
	r.MaxError, r.MaxValue = math.Max(r.MaxError, d), math.Max(r.MaxValue, math.Abs(want))
	r.MeanError += d
}

// predictions compares the logits of one input.
func (r *PredictionReport) predictions(want []float64, got []int64, width int, unit float64) {
	for i, w := range want {
		d := math.Abs(w - float64(float64(got[i])*unit))
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

// total merges the reports of single inputs.
func total(p *Program, parts []CheckReport) *CheckReport {
	r := &CheckReport{}
	for i := range parts {
		o := &parts[i]
		if o.Inputs == 0 {
			continue
		}
		if r.Inputs++; r.Inputs == 1 {
			r.PredictionReport, r.Outputs = o.PredictionReport, o.Outputs
			continue
		}
		if r.PredictionReport != nil {
			r.PredictionReport.merge(o.PredictionReport)
		}
		for k := range r.Outputs {
			r.Outputs[k].merge(&o.Outputs[k])
		}
	}
	if r.PredictionReport != nil {
		r.PredictionReport.MeanError /= float64(r.Positions * p.Float.Vocab())
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
}

func (r *OutputReport) merge(o *OutputReport) {
	r.Cells += o.Cells
	r.MaxError, r.MaxValue = math.Max(r.MaxError, o.MaxError), math.Max(r.MaxValue, o.MaxValue)
	r.MeanError += o.MeanError
}
