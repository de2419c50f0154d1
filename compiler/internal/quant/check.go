package quant

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// CheckReport compares the integer program with the float graph.
type CheckReport struct {
	Inputs       int     `json:"inputs"`
	Positions    int     `json:"positions"`
	MaxError     float64 `json:"max_error"`  // of a logit
	MeanError    float64 `json:"mean_error"` //
	MaxLogit     float64 `json:"max_logit"`
	Agree        int     `json:"top1_agree"`
	Clear        int     `json:"clear_positions"` // whose two best float logits differ by more than Margin
	ClearAgree   int     `json:"clear_agree"`
	WorstGap     float64 `json:"worst_disagreement"` // the largest gap of the two best float logits where top-1 differs
	LogitsPerOne float64 `json:"integer_logits_per_unit"`

	// Expected compares with the outputs that came with the inputs, where any did.
	Expected *CheckReport `json:"expected,omitempty"`
}

// Input is one input of Check: token ids of the model's length, and the expected logits of the first positions, row-major, or nil.
type Input struct {
	IDs    []int64
	Logits []float64
}

// Margin is the difference of the two best float logits from which on a position counts as clear.
const Margin = 0.05

// OK says that top-1 agrees wherever it is clear.
func (r *CheckReport) OK() bool {
	return r.ClearAgree == r.Clear && (r.Expected == nil || r.Expected.OK())
}

// Check runs both programs on inputs.
func Check(left *budget.Budget, p *Program, inputs []Input) (*CheckReport, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("nothing to check: no inputs")
	}
	parts, expected := make([]CheckReport, len(inputs)), make([]CheckReport, len(inputs))
	err := forEach(left, len(inputs), 1, []*ir.Graph{p.Float, p.Int}, func(i int) error {
		want, err := floatOutput(left, p.Float, inputs[i].IDs)
		if err != nil {
			return err
		}
		got, err := intOutput(left, p.Int, inputs[i].IDs)
		if err != nil {
			return err
		}
		parts[i].compare(want, got, p.Float.Vocab, p.LogitUnit)
		if n := len(inputs[i].Logits); n > len(got) || n%p.Float.Vocab != 0 {
			return fmt.Errorf("expected output of %d cells for logits of %d positions and %d tokens", n, len(got)/p.Float.Vocab, p.Float.Vocab)
		}
		expected[i].compare(inputs[i].Logits, got[:len(inputs[i].Logits)], p.Float.Vocab, p.LogitUnit)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := total(parts, p)
	if e := total(expected, p); e.Inputs > 0 {
		r.Expected = e
	}
	return r, nil
}

// Output runs the integer program on token ids and returns its logits, row-major.
func Output(left *budget.Budget, p *Program, ids []int64) (out []int64, err error) {
	err = forEach(left, 1, 1, []*ir.Graph{p.Int}, func(int) error {
		out, err = intOutput(left, p.Int, ids)
		return err
	})
	return out, err
}

// intOutput runs an integer graph for its output alone.
func intOutput(left *budget.Budget, g *ir.Graph, ids []int64) (out []int64, err error) {
	err = eval.EachInt(left, g, ids, func(v *ir.Value, cells []int64) error {
		if v.ID == g.Output {
			out = cells
		}
		return nil
	})
	return out, err
}

// total merges the reports of single inputs.
func total(parts []CheckReport, p *Program) *CheckReport {
	r := &CheckReport{LogitsPerOne: 1 / p.LogitUnit}
	for i := range parts {
		if parts[i].Positions > 0 {
			r.Inputs++
			r.merge(&parts[i])
		}
	}
	if cells := r.Positions * p.Float.Vocab; cells > 0 {
		r.MeanError /= float64(cells)
	}
	return r
}

// compare adds one input; MeanError is a sum until the end.
func (r *CheckReport) compare(want []float64, got []int64, width int, unit float64) {
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

func (r *CheckReport) merge(o *CheckReport) {
	r.Positions += o.Positions
	r.MaxError = math.Max(r.MaxError, o.MaxError)
	r.MaxLogit = math.Max(r.MaxLogit, o.MaxLogit)
	r.MeanError += o.MeanError
	r.Agree += o.Agree
	r.Clear += o.Clear
	r.ClearAgree += o.ClearAgree
	r.WorstGap = math.Max(r.WorstGap, o.WorstGap)
}
