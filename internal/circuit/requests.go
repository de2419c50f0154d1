package circuit

import (
	"encoding/binary"
	"fmt"
)

// Split is a claim's point cut at the labels of a term. Its coordinates are field elements in a proof, and symbols where Finish counts
// the evaluations of a proof: that both are cut by one function is why the count is right.
type Split[C any] struct {
	Labels [][]C // per label: its point, lowest variable first; nil where it is a variable of the sumcheck
	Tau    [][]C // per label of Out: the claim's point
	InOut  []bool
	Uses   []int // per label: the number of factors that it is in
}

// SplitPoint cuts a claim's point at the labels of a term. A label of Out in one factor has the claim's point, a label that is summed
// in one factor has half in every coordinate, labels that two or more factors share are left without a point.
func SplitPoint[C any](t *Term, point []C, half C) Split[C] {
	n := len(t.Extents)
	s := Split[C]{Labels: make([][]C, n), Tau: make([][]C, n), InOut: make([]bool, n), Uses: make([]int, n)}
	for i := range t.Factors {
		for _, a := range t.Factors[i].Axes {
			for _, label := range a {
				s.Uses[label]++
			}
		}
	}
	at := 0
	for a := len(t.Out) - 1; a >= 0; a-- {
		for i := len(t.Out[a]) - 1; i >= 0; i-- {
			label := t.Out[a][i]
			n := Bits(t.Extents[label])
			s.Tau[label] = point[at : at+n]
			s.InOut[label] = true
			at += n
		}
	}
	for label, uses := range s.Uses {
		switch {
		case uses == 1 && s.InOut[label]:
			s.Labels[label] = s.Tau[label]
		case uses == 1:
			s.Labels[label] = make([]C, Bits(t.Extents[label]))
			for i := range s.Labels[label] {
				s.Labels[label][i] = half
			}
		}
	}
	return s
}

// Variables orders the shared labels of a term as variables of a sumcheck: the last label lowest, so that the axes that vary fastest
// in memory are bound first. n is the number of variables.
func (t *Term) Variables(shared []int) (labels []int, n int) {
	for i := len(shared) - 1; i >= 0; i-- {
		labels = append(labels, shared[i])
		n += Bits(t.Extents[shared[i]])
	}
	return labels, n
}

// Assign gives labels, in the order of Variables, the last coordinates of a sumcheck's point.
func (s *Split[C]) Assign(t *Term, labels []int, n int, point []C) {
	at := len(point) - n
	for _, label := range labels {
		bits := Bits(t.Extents[label])
		s.Labels[label] = point[at : at+bits]
		at += bits
	}
}

// FactorPoint assembles the point of a factor from the points of its labels.
func (s *Split[C]) FactorPoint(f *Factor) []C {
	n := 0
	for _, a := range f.Axes {
		for _, label := range a {
			n += len(s.Labels[label])
		}
	}
	point := make([]C, 0, n)
	for a := len(f.Axes) - 1; a >= 0; a-- {
		for i := len(f.Axes[a]) - 1; i >= 0; i-- {
			point = append(point, s.Labels[f.Axes[a][i]]...)
		}
	}
	return point
}

// Requests is the work that a proof's evaluations are, for prover and verifier. Challenges apart, it follows from the circuit: points
// are equal in a proof exactly if they are made of the same challenges in the same order.
//
// A tensor is evaluated at every point at which a lookup, a zero-check or another evaluation needs it, and once at each: an evaluation
// needs those of the factors of all its terms. A sum that goes into the next one twice, at one point, costs nothing more; one that goes
// in at two points, y + transpose(y), may double their number with every step.
type Requests struct {
	Evaluations int   // different (tensor, point): committed, known and virtual tensors
	References  int64 // how often evaluations are asked for, again and again ones too: a verifier looks each of them up
	KnownCells  int64 // what constants and public tensors take, in cells, each time that one is evaluated
	OpenedRows  int64 // committed rows, each time that a tensor which lies in them is evaluated
}

// The largest numbers of a circuit. One that has more is refused by Finish, so that whoever checks a proof need not fear for his time or
// memory, whoever made the model. Real models are far below: a decoder of 24 layers makes 6,047 references to 3,985 evaluations, some 250
// more per layer. A verifier takes 12 µs and some kilobytes per reference, 10 ns per cell, 50 ns per row, on one core: seconds at the
// limits.
const (
	maxReferences = 1 << 17
	maxKnownCells = 1 << 30
	maxOpenedRows = 1 << 26
)

// RequestsError says that a proof about a circuit would take more evaluations than a verifier has to bear.
type RequestsError struct {
	Circuit string
	What    string // what there is too much of
	Limit   int64
	Tensor  string // name of the virtual tensor that is evaluated at most points, as far as they were counted
	Points  int    // how many these are
	// Commit names virtual tensors in whose place committed copies would bring the circuit far under the limit; none if there are no such.
	Commit []string
}

// crowd is the number of points of a virtual tensor beyond which a committed copy is cheaper: the copy costs a lookup, and each point
// openings of all that the tensor is made of. Sums of real models are evaluated at two to eight points.
const crowd = 32

func (e *RequestsError) Error() string {
	return fmt.Sprintf("circuit %s: a proof would take more than %d %s; %s alone is evaluated at %d points or more. "+
		"Commit to such sums, by rescaling them, and each has one point of its own", e.Circuit, e.Limit, e.What, e.Tensor, e.Points)
}

// Requests returns the work of a proof's evaluations.
func (c *Circuit) Requests() Requests { return c.requests }

// Evaluations counts, per tensor, the points at which a proof evaluates it.
func (c *Circuit) Evaluations() []int {
	n := newCounter(c, 0)
	n.limited = true
	n.walk()
	return n.times
}

// Crowded lists the virtual tensors whose evaluation at many points costs a proof more than committed copies in their place would, each
// with those before it taken to be committed.
func (c *Circuit) Crowded() []string {
	n := newCounter(c, crowd)
	n.walk()
	return n.cut
}

// countRequests counts a proof's evaluations and refuses a circuit that has too many. It takes time proportional to the limits and to
// the circuit, not to what is counted.
func (c *Circuit) countRequests() error {
	n := newCounter(c, 0)
	n.limited = true
	what, limit := n.walk()
	if what == "" {
		c.requests = n.Requests
		return nil
	}
	e := &RequestsError{Circuit: c.Name, What: what, Limit: limit}
	for id := range n.points {
		if c.Tensors[id].Kind == Virtual && len(n.points[id]) > e.Points {
			e.Tensor, e.Points = c.Tensors[id].Name, len(n.points[id])
		}
	}
	for _, most := range [...]int{crowd, crowd / 4, 1} { // as few as suffice
		n := newCounter(c, most)
		n.walk()
		if n.References <= maxReferences/2 && n.KnownCells <= maxKnownCells/2 && n.OpenedRows <= maxOpenedRows/2 {
			e.Commit = n.cut
			break
		}
	}
	return e
}

// symbol stands for a coordinate: ½, or a challenge by its class and its number there.
type symbol int64

// half stands for ½. The classes of challenges follow it: the leaf point, the point of the zero-checks, and one per wave.
const (
	half symbol = iota << 32
	leafPoint
	zeroPoint
	wavePoint // of wave 1; counted from the end of a wave's point, which is as long as its longest sumcheck
)

// counter counts the evaluations of a proof, tensors from the last to the first: when it comes to a tensor, all points at which the
// tensor is evaluated are known, because whatever needs it has been walked.
type counter struct {
	Requests
	c       *Circuit
	seen    map[string]bool // evaluations: tensor and symbols
	points  [][][]symbol    // per tensor
	times   []int           // per tensor: at how many points it is evaluated
	limited bool            // stop at the limits
	most    int             // if not 0, virtual tensors at more points are taken to be committed
	cut     []string        // their names
	bytes   []byte
}

func newCounter(c *Circuit, most int) *counter {
	return &counter{c: c, seen: map[string]bool{}, points: make([][][]symbol, len(c.Tensors)), times: make([]int, len(c.Tensors)), most: most}
}

// coordinates are the first n symbols of a class.
func coordinates(class symbol, n int) []symbol {
	p := make([]symbol, n)
	for i := range p {
		p[i] = class + symbol(i)
	}
	return p
}

// waveCoordinates are the last n symbols of a wave's point.
func waveCoordinates(wave, n int) []symbol {
	p := make([]symbol, n)
	for i := range p {
		p[i] = wavePoint + symbol(wave-1)<<32 + symbol(n-1-i)
	}
	return p
}

// walk counts everything. It returns what exceeds a limit, and the limit; "" if nothing does.
func (n *counter) walk() (what string, limit int64) {
	c := n.c
	whole := func(id ID, class symbol) { n.ask(id, coordinates(class, ShapeBits(c.Tensors[id].Shape))) }
	column := make([]bool, len(c.Tensors))
	for _, l := range c.Lookups {
		for _, id := range l.Cols {
			if !column[id] { // all lookups share the leaf point
				column[id] = true
				whole(id, leafPoint)
			}
		}
	}
	for _, t := range c.Tables {
		whole(t.Mult, leafPoint)
	}
	for _, z := range c.Zeros {
		whole(z, zeroPoint)
	}
	for id := len(c.Tensors) - 1; id >= 0; id-- {
		t := &c.Tensors[id]
		if t.Kind != Virtual {
			continue
		}
		points := n.points[id]
		if n.most > 0 && len(points) > n.most {
			n.cut = append(n.cut, t.Name)
			points = [][]symbol{coordinates(leafPoint, ShapeBits(t.Shape))} // where the lookup of the committed copy needs it
		}
		for _, p := range points {
			n.evaluate(t, p)
			if what, limit := n.exceeded(); n.limited && what != "" {
				return what, limit
			}
		}
	}
	return n.exceeded()
}

// evaluate asks for what the value of a virtual tensor at a point needs.
func (n *counter) evaluate(t *Tensor, point []symbol) {
	for k := range t.Def {
		term := &t.Def[k]
		s := SplitPoint(term, point, half)
		if part := n.c.Classify(term); len(part.Shared) > 0 {
			labels, vars := term.Variables(part.Shared)
			s.Assign(term, labels, vars, waveCoordinates(n.c.waves[t.ID], vars))
		}
		for f := range term.Factors {
			n.ask(term.Factors[f].T, s.FactorPoint(&term.Factors[f]))
		}
	}
}

// ask counts one request.
func (n *counter) ask(id ID, point []symbol) {
	n.References++
	n.bytes = binary.LittleEndian.AppendUint32(n.bytes[:0], uint32(id))
	for _, s := range point {
		n.bytes = binary.LittleEndian.AppendUint64(n.bytes, uint64(s))
	}
	if n.seen[string(n.bytes)] {
		return
	}
	n.seen[string(n.bytes)] = true
	n.Evaluations++
	n.times[id]++
	t := &n.c.Tensors[id]
	switch size := int64(Size(t.Shape)); {
	case t.Kind == Virtual:
		n.points[id] = append(n.points[id], point)
	case t.Kind == Weight:
		n.OpenedRows += size>>n.c.WeightBits + 1
	case t.Kind == Witness:
		n.OpenedRows += size>>n.c.WitnessBits + 1
	case t.Kind == Const || t.Kind == Affine:
		n.KnownCells += t.EvaluationWork()
	case t.Kind == Public:
		n.KnownCells += publicWork(t)
	}
}

// publicWork is what an evaluation of a Public tensor takes, in cells: its cells; of indices rowWork per row and as often again as an index
// has bits.
func publicWork(t *Tensor) int64 {
	size := int64(Size(t.Shape))
	if t.View == OneHot || t.View == ArgmaxAt || t.View == ArgmaxBelow {
		last := t.Shape[len(t.Shape)-1]
		return size / int64(last) * int64(rowWork*(1+Bits(last)))
	}
	return size
}

// rowWork is how many cells cost what a product and a sum of the field do, conversions included.
const rowWork = 8

func (n *counter) exceeded() (what string, limit int64) {
	switch {
	case n.References > maxReferences:
		return "evaluations of tensors", maxReferences
	case n.KnownCells > maxKnownCells:
		return "cells of constants and public tensors in evaluations", maxKnownCells
	case n.OpenedRows > maxOpenedRows:
		return "openings of committed rows", maxOpenedRows
	}
	return "", 0
}
