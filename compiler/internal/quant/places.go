package quant

import (
	"fmt"
	"math"
	"sync"

	"github.com/zkllmc/zkllmc/ir"
)

// Place is a value of the integer program that approximates one of the float model, compared over all inputs of a check.
type Place struct {
	Tensor   string  `json:"tensor"` // as the circuit names it
	Node     string  `json:"node"`   // of ONNX
	Op       string  `json:"op"`
	MaxError float64 `json:"max_error"`
	MaxValue float64 `json:"max_value"`
	Noise    float64 `json:"noise"` // mean over all rows (last axis) of the error's length, in parts of the row's
	Lost     float64 `json:"lost"`  // by how much that is more than at the noisiest of the places that it is computed from
	Beyond   int     `json:"beyond"`

	Value ir.ValueID `json:"-"` // of the integer program
}

// sentence says for people what happens at a place.
func (p *Place) sentence() string {
	s := fmt.Sprintf("most is lost at %s, node %q (%s), where the noise of a row becomes %.2g of its length", p.Tensor, p.Node, p.Op, p.Noise)
	if p.Beyond > 0 {
		return s + fmt.Sprintf("; %d cells lie beyond the range that calibration chose: calibrate on inputs like those that are to be proved (--calibrate)", p.Beyond)
	}
	return s + "; its magnitudes lie too far apart for one scale"
}

// Approximation is what a value of the integer program stands for: real ≈ Unit·integer.
type Approximation struct {
	Of   ir.ValueID // the value of the float graph
	Unit float64
}

// quiet is the part of the longest row of a tensor below which a row's noise does not count: such rows are as good as zero to what follows.
const quiet = 1.0 / (1 << 20)

// places compares values of two programs.
type places struct {
	p    *Program
	used map[ir.ValueID]bool // values of the float graph that are compared

	mu sync.Mutex
	at map[ir.ValueID]*placeSum // by value of the integer program
}

// placeSum adds up what is compared at a place.
type placeSum struct {
	maxError, maxValue, noise float64
	rows, beyond              int
}

func newPlaces(p *Program) *places {
	s := &places{p: p, used: map[ir.ValueID]bool{}, at: map[ir.ValueID]*placeSum{}}
	for _, n := range p.Int.Nodes {
		switch n.Op {
		case ir.OpInput, ir.OpOneHot, ir.OpAffine, ir.OpWeight, ir.OpConst:
			continue
		}
		for _, id := range n.Out {
			if a, ok := p.Approximates[id]; ok {
				s.at[id], s.used[a.Of] = &placeSum{}, true
			}
		}
	}
	return s
}

// compares says whether a value of the float graph is needed.
func (s *places) compares(id ir.ValueID) bool { return s != nil && s.used[id] }

// compare compares a value of the integer program with what it stands for.
func (s *places) compare(v *ir.Value, cells []int64, reals map[ir.ValueID][]float64) {
	if s == nil || s.at[v.ID] == nil {
		return
	}
	a := s.p.Approximates[v.ID]
	var sum placeSum
	sum.add(v, cells, reals[a.Of], a.Unit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[v.ID].merge(&sum)
}

// add compares cells, row by row.
func (s *placeSum) add(v *ir.Value, cells []int64, reals []float64, unit float64) {
	width := 1
	if n := len(v.Shape); n > 0 {
		width = v.Shape[n-1]
	}
	lengths, errors := make([]float64, len(cells)/width), make([]float64, len(cells)/width)
	longest := 0.0
	for r := range lengths {
		for i := r * width; i < (r+1)*width; i++ {
			x, got := reals[i], float64(float64(cells[i])*unit)
			d := math.Abs(x - got)
			s.maxError, s.maxValue = max(s.maxError, d), max(s.maxValue, math.Abs(x))
			lengths[r] += float64(x * x)
			errors[r] += float64(d * d)
			if v.Lo < v.Hi && (cells[i] == v.Lo && x < got-unit || cells[i] == v.Hi && x > got+unit) {
				s.beyond++
			}
		}
		longest = max(longest, lengths[r])
	}
	for r, l := range lengths {
		if l > float64(longest*quiet*quiet) {
			s.noise += math.Sqrt(errors[r] / l)
			s.rows++
		}
	}
}

func (s *placeSum) merge(o *placeSum) {
	s.maxError, s.maxValue = max(s.maxError, o.maxError), max(s.maxValue, o.maxValue)
	s.noise += o.noise
	s.rows += o.rows
	s.beyond += o.beyond
}

// list is what was compared, in the order of the integer program. The noise that a value has without being a place is that of what it is
// computed from.
func (s *places) list() []Place {
	out, noise := []Place{}, make([]float64, len(s.p.Int.Values))
	for _, n := range s.p.Int.Nodes {
		inherited := 0.0
		for _, id := range n.In {
			inherited = max(inherited, noise[id])
		}
		for _, id := range n.Out {
			noise[id] = inherited
			sum := s.at[id]
			if sum == nil || sum.rows == 0 {
				continue
			}
			noise[id] = sum.noise / float64(sum.rows)
			out = append(out, Place{
				Tensor: s.p.Int.Value(id).Name, Node: n.Origin, Op: n.Named(), Value: id, MaxError: sum.maxError, MaxValue: sum.maxValue,
				Noise: noise[id], Lost: noise[id] - inherited, Beyond: sum.beyond,
			})
		}
	}
	return out
}

// worstOf is the place that loses most, nil if there is none.
func worstOf(list []Place) *Place {
	var worst *Place
	for i := range list {
		if worst == nil || list[i].Lost > worst.Lost {
			worst = &list[i]
		}
	}
	return worst
}
