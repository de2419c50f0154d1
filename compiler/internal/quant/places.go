package quant

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Place is a value of the integer program that approximates one of the float model, compared over all inputs of a check.
type Place struct {
	Tensor   string  `json:"tensor"`    // as the circuit names it
	Node     string  `json:"node"`      // the ONNX node that it comes from
	Op       string  `json:"op"`        // its operator
	MaxError float64 `json:"max_error"` // largest difference of a cell
	MaxValue float64 `json:"max_value"` // largest magnitude of a cell of the float model
	Noise    float64 `json:"noise"`     // mean over all rows (last axis) of the length of the error, in parts of the row's length
	// the part of it that arises here: against what the float model makes of the integer program's own operands
	Lost   float64 `json:"lost"`
	Beyond int     `json:"beyond"` // cells that the range cut off

	Value ir.ValueID `json:"-"` // of the integer program
}

// sentence says for people what happens at a place.
func (p *Place) sentence() string {
	s := fmt.Sprintf("most is lost at %s, node %q (%s), which adds noise of %.2g of a row's length", p.Tensor, p.Node, p.Op, p.Lost)
	if p.Beyond > 0 {
		return s + fmt.Sprintf("; %d cells lie beyond the range that calibration chose: calibrate on inputs like those that are to be proved (--calibrate)", p.Beyond)
	}
	return s + "; no cell is cut off, but its step is too coarse for many of them"
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
	of   map[ir.ValueID][]ir.ValueID // the values of the integer program that stand for one of the float graph, in order
	part map[ir.ValueID]ir.ValueID   // the place that a clamped value is a step to, which stands for none itself
	held int                         // bytes that a run keeps

	mu sync.Mutex
	at map[ir.ValueID]*placeSum // by value of the integer program
}

// placeSum adds up what is compared at a place.
type placeSum struct {
	maxError, maxValue float64
	beyond             int
	noise, lost        rowNoise
}

// rowNoise adds up the length of errors of rows, in parts of the rows' lengths.
type rowNoise struct {
	sum  float64
	rows int
}

func (n rowNoise) mean() float64 { return n.sum / float64(max(n.rows, 1)) }

func newPlaces(p *Program) *places {
	s := &places{p: p, of: map[ir.ValueID][]ir.ValueID{}, part: map[ir.ValueID]ir.ValueID{}, at: map[ir.ValueID]*placeSum{}}
	for _, v := range p.Float.Values {
		s.held += 2 * 8 * stored(v)
	}
	for _, n := range p.Int.Nodes {
		switch n.Op {
		case ir.OpInput, ir.OpOneHot, ir.OpAffine, ir.OpWeight, ir.OpConst:
			continue
		}
		for _, id := range n.Out {
			if a, ok := p.Approximates[id]; ok {
				s.at[id], s.of[a.Of] = &placeSum{}, append(s.of[a.Of], id)
				s.held += 8 * stored(p.Int.Value(id))
			}
		}
	}
	s.steps()
	return s
}

// steps finds of which place each clamped value is a part: the next one of the same node of ONNX.
func (s *places) steps() {
	clamped := map[string]bool{}
	for _, t := range s.p.Report.Tensors {
		clamped[t.Name] = t.Clamps
	}
	next := map[string]ir.ValueID{}
	for _, n := range slices.Backward(s.p.Int.Nodes) {
		for _, id := range n.Out {
			if s.at[id] != nil {
				next[n.Origin] = id
			} else if place, ok := next[n.Origin]; ok && clamped[s.p.Int.Value(id).Name] {
				s.part[id] = place
			}
		}
	}
}

// stored is the number of cells that a run makes for a value.
func stored(v *ir.Value) int {
	if fixed(v) || v.Unstored() {
		return 0
	}
	return ir.Size(v.Shape)
}

// bytes are those that a run keeps for places.
func (s *places) bytes() int {
	if s == nil {
		return 0
	}
	return s.held
}

// compares says whether a value of the float graph is needed.
func (s *places) compares(id ir.ValueID) bool { return s != nil && len(s.of[id]) > 0 }

// compare compares a value of the integer program with what it stands for, and keeps it as real numbers.
func (s *places) compare(v *ir.Value, cells []int64, reals map[ir.ValueID][]float64, kept map[ir.ValueID][]float64) {
	if s == nil {
		return
	}
	if place, ok := s.part[v.ID]; ok {
		s.merge(place, &placeSum{beyond: ends(v, cells)})
	}
	if s.at[v.ID] == nil {
		return
	}
	a := s.p.Approximates[v.ID]
	got, want := make([]float64, ir.Size(v.Shape)), reals[a.Of]
	var sum placeSum
	for i := range got {
		q := cells[i]
		got[i] = float64(float64(q) * a.Unit)
		if v.Wide() {
			got[i] = float64(float64(float64(q)+math.Ldexp(float64(cells[len(got)+i]), 64)) * a.Unit)
		}
		sum.maxError, sum.maxValue = max(sum.maxError, math.Abs(got[i]-want[i])), max(sum.maxValue, math.Abs(want[i]))
		if v.Lo < v.Hi && !v.Wide() && (q == v.Lo && want[i] < got[i]-a.Unit || q == v.Hi && want[i] > got[i]+a.Unit) {
			sum.beyond++
		}
	}
	sum.noise.add(got, want, rowOf(v))
	kept[v.ID] = got
	s.merge(v.ID, &sum)
}

// ends counts the cells at an end of the range, which a clamp leaves there.
func ends(v *ir.Value, cells []int64) (n int) {
	for _, q := range cells[:ir.Size(v.Shape)] {
		if q == v.Lo || q == v.Hi {
			n++
		}
	}
	return n
}

// blame finds what each place adds of its own. Every node of the float graph is computed from what the integer program has for its
// operands; what the integer program has for the result differs from that by what is lost at the node, and a value that is rounded once
// more by what is lost in rounding.
func (s *places) blame(left *budget.Budget, in [][]float64, kept map[ir.ValueID][]float64) error {
	f := s.p.Float
	run := &ir.Run{Graph: f, Reals: in, Budget: left}
	vals := make([][]float64, len(f.Values))
	for _, n := range f.Nodes {
		operands := make([][]float64, len(n.In))
		for k, id := range n.In {
			if operands[k] = vals[id]; len(s.of[id]) > 1 {
				operands[k] = kept[s.taken(n, id)]
			}
		}
		outs, err := run.Float(n, operands)
		if err != nil {
			return err
		}
		v := n.Out[0]
		vals[v] = outs[0]
		for _, id := range s.of[v] {
			var sum placeSum
			sum.lost.add(kept[id], vals[v], rowOf(s.p.Int.Value(id)))
			s.merge(id, &sum)
			vals[v] = kept[id]
		}
	}
	return nil
}

// taken is which of the values that stand for an operand the integer program takes where it computes a node of the float graph: a sum takes
// the exact one, products the one that was rounded last, say.
func (s *places) taken(n *ir.Node, operand ir.ValueID) ir.ValueID {
	list := s.of[operand]
	for _, result := range s.of[n.Out[0]] {
		for _, id := range s.p.Int.Value(result).Def.In {
			if slices.Contains(list, id) {
				return id
			}
		}
	}
	return list[len(list)-1]
}

func rowOf(v *ir.Value) int {
	if n := len(v.Shape); n > 0 {
		return v.Shape[n-1]
	}
	return 1
}

// add compares cells, row by row.
func (n *rowNoise) add(got, want []float64, width int) {
	lengths, errors := make([]float64, len(want)/width), make([]float64, len(want)/width)
	longest := 0.0
	for r := range lengths {
		for i := r * width; i < (r+1)*width; i++ {
			d := got[i] - want[i]
			lengths[r] += float64(want[i] * want[i])
			errors[r] += float64(d * d)
		}
		longest = max(longest, lengths[r])
	}
	for r, l := range lengths {
		if l > float64(longest*quiet*quiet) {
			n.sum += math.Sqrt(errors[r] / l)
			n.rows++
		}
	}
}

func (s *places) merge(id ir.ValueID, o *placeSum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.at[id]
	sum.maxError, sum.maxValue = max(sum.maxError, o.maxError), max(sum.maxValue, o.maxValue)
	sum.beyond += o.beyond
	for _, n := range []struct{ to, from *rowNoise }{{&sum.noise, &o.noise}, {&sum.lost, &o.lost}} {
		n.to.sum += n.from.sum
		n.to.rows += n.from.rows
	}
}

// list is what was compared, in the order of the integer program.
func (s *places) list() []Place {
	var out []Place
	for _, n := range s.p.Int.Nodes {
		for _, id := range n.Out {
			if sum := s.at[id]; sum != nil {
				out = append(out, Place{
					Tensor: s.p.Int.Value(id).Name, Node: n.Origin, Op: n.Named(), Value: id, MaxError: sum.maxError, MaxValue: sum.maxValue,
					Noise: sum.noise.mean(), Lost: sum.lost.mean(), Beyond: sum.beyond,
				})
			}
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
