// Package quant turns a canonical float graph into the integer program that is proved.
//
// Every tensor gets a public power-of-two scale, real ≈ mult·q·2^-scale; mult, in [1, 2), is a constant that no later operation
// has absorbed yet (a softmax takes it into its unit, a normalisation does not see it, a weight takes it into its cells). The
// rounding places are few:
//
//   - weights and constants, once, when they are quantised (16 bits; a weight with outliers is two of 16, see leafLow);
//   - activations that enter a product: 16 bits, the scale from the calibrated maximum with a factor 1.5 of headroom, clamped;
//   - the increments of a sum (a residual stream): 16 bits each, every one with its own scale. The sum itself is exact and wide;
//   - the inputs of normalisations that are too wide for their squares;
//   - the argument of a table function: TableBits bits, and its result, 16 bits; or the argument in more, the function being linear
//     between multiples of 2^low;
//   - sums of sums that would leave 2^62, or that a proof would evaluate at many points: 16 bits.
//
// Activations, increments and inputs of normalisations get up to 32 bits, as limbs, and arguments of functions up to 27, where fewer would
// move the outputs too far: precision.go predicts how far, and chooses. finest.go is for programs for which all of that is not enough.
//
// Everything else is exact: sums, accumulators, scores, sums of squares, logits. Interval arithmetic over all of it shows that no
// cell reaches 2^62, or 2^92 where a model needs it and nothing but sums and roundings take the value, or the model is refused.
package quant

import (
	"maps"
	"math"
	"math/big"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Widths and precisions of the integer program.
const (
	ActBits    = 16        // committed activations, signed
	WeightBits = 16        // weights, signed
	ConstBits  = 16        // cells of circuit constants, signed
	TableBits  = 15        // arguments of table functions, signed
	coefBits   = 12        // of a constant factor that nothing absorbs
	outBits    = 20        // of one of an output
	headroom   = 1.5       // over the calibrated maximum, before rounding to a power of two
	maxScale   = 30        // of tensors of zeros, and of activations that the outputs do not need finer
	maxInput   = 100       // log2 of the magnitudes of inputs, either way: ports have scales up to 120
	maxOutput  = 120       // the largest scale of a port
	noLimit    = 1 << 10   // beyond the scale of any number
	minRsqrt   = 10        // significant bits of an inverse root at the largest calibrated row
	narrowBits = 61        // of values that are not wide
	wideBits   = 91        // of wide values: a rescale drops up to 61 bits
	exactLimit = 60        // a wide factor of an elementwise product stays exact while the product has fewer bits
	expRange   = 10.0      // exponentials reach at least down to exp(−expRange)
	maxUnit    = 1.0 / 128 // largest step of a score that is exponentiated
	expBits    = 15        // DBits and EBits of ZkAttn
	invBits    = 12        // of the inverse of the sum of a row
)

// Program is the result of Quantise.
type Program struct {
	Float *ir.Graph // the float graph, rewritten so that it has a value for every place where the program rounds
	Int   *ir.Graph
	Of    map[ir.ValueID]ir.ValueID // the value of Float that a value of Int is, where it is one
	// Approximates says the same with units, also of values that were rounded once more.
	Approximates map[ir.ValueID]Approximation
	Why          map[ir.ValueID]string // the argument for bounds (Lo, Hi) that interval arithmetic does not give
	Report       *Report

	// Units says what one unit of every output is: real ≈ Units[i] · integer. Of an output of reals it is a power of two.
	Units []float64

	places  map[string]*place
	gains   float64 // see quantiser
	choices choices
}

// Report says what was chosen, in the order of the program.
type Report struct {
	Tensors []TensorReport `json:"tensors"` // rounding places, in the order of the program
	// Precision says why roundings have the widths that they have. It tells of weights and is not written beside the verifier.
	Precision *PrecisionReport `json:"-"`
	Samples   int              `json:"calibration_samples"` // inputs from which scales were chosen
}

// TensorReport is one rounding place.
type TensorReport struct {
	Name     string  `json:"name"`             // of the tensor
	Kind     string  `json:"kind"`             // input, weight, constant, activation, table, rsqrt or softmax
	Scale    int     `json:"scale"`            // real ≈ integer·2^-scale
	Shift    int     `json:"shift,omitempty"`  // bits that are rounded away
	Max      float64 `json:"-"`                // calibrated, or of the data: never written beside the verifier, it is a weight's value
	Lo       int64   `json:"lo"`               // least cell
	Hi       int64   `json:"hi"`               // largest cell
	Clamps   bool    `json:"clamps,omitempty"` // true: what lies outside is clamped, and the proof shows that
	Headroom float64 `json:"-"`                // range over calibrated maximum, which Lo, Hi and it would give away
}

// rep is how the integer program represents a value of the float graph: real ≈ mult·q·2^-scale.
type rep struct {
	id    ir.ValueID
	scale int
	mult  float64
	raw   bool // a product since the last rounding: it has more fraction bits than it is worth
	from  ir.ValueID

	factor float64 // that a weight has absorbed

	// A softmax is the product e·inv, spread over the last axis; id is e and scale covers both.
	soft bool
	inv  ir.ValueID
}

type quantiser struct {
	left *budget.Budget
	f    *ir.Graph
	cal  *Calibration
	o    *ir.Graph
	// longest is the program that this one follows, nil where nothing is given; see Follow.
	longest *Program
	reps    []*rep
	uses    []int
	small   map[ir.ValueID]*rep      // narrowed values, by integer value
	maxima  map[ir.ValueID]*rep      // and those of TableBits bits, for maxima
	funcs   map[string]functionScale // by the names of groups
	groups  map[ir.ValueID]string    // of uses of functions, see functionKey
	why     map[ir.ValueID]string
	provens map[ir.ValueID]interval.Interval // see proven
	kept    map[ir.ValueID]*rep              // see committed
	report  *Report
	err     error // the first, of bounds

	// roundNorm says, for plain and for centred normalisations, that their inputs are rounded to 16 bits. One answer for the whole
	// model, so that layers stay alike: it is found by trying.
	roundNorm [2]bool
	retry     bool

	widths map[string]int    // of roundings that have more than ActBits bits, by name; see precision.go
	places map[string]*place // what the roundings add to the error of the outputs
	lows   map[ir.ValueID]*rep
	draft  bool // weights get no cells

	integers  []bool                    // values of f that are integers
	exactly   []bool                    // those that are exact
	constants map[ir.ValueID]ir.ValueID // their constants, by those of f

	commit map[ir.ValueID]bool // values of f that are committed although nothing else asks for it
	far    bool                // sums may be wide
	wide   bool                // a value would leave its bits
	gains  float64             // variance by what 16 bits leave of normalisations' scales, which places do not count where no sum is wide
}

// Quantise makes the integer program of a prepared graph; see Prepare. Values to commit are rounded to 16 bits where they are computed,
// whatever uses them, so that what follows asks for evaluations of a committed tensor and not of all that they are sums of. So are values
// that go into one which would leave 2^62 otherwise: sums of sums, exact, of some fifty steps. It ends with the error of the budget's
// context when that is done.
func Quantise(left *budget.Budget, f *ir.Graph, cal *Calibration, commit ...ir.ValueID) (*Program, error) {
	if err := cal.sense(left, f); err != nil {
		return nil, err
	}
	widths, far, precision, err := choose(left, f, cal, commit)
	if err != nil {
		return nil, err
	}
	p, err := quantise(left, f, cal, commit, widths, far, false)
	if err != nil {
		return nil, err
	}
	p.Report.Precision = precision
	return p, nil
}

// errBeyond marks the error of a program of which a value would leave 2^62 where none may be wide.
type errBeyond struct{ error }

func (e errBeyond) Unwrap() error { return e.error }

// quantise makes the program with the given widths; far says that sums may be wide. A draft lacks the weights' cells.
func quantise(left *budget.Budget, f *ir.Graph, cal *Calibration, commit []ir.ValueID, widths map[string]int, far, draft bool) (*Program, error) {
	var round [2]bool
	committed := map[ir.ValueID]bool{}
	for _, id := range commit {
		committed[id] = true
	}
	for {
		q := newQuantiser(left, f, choices{cal, committed, widths, round, far}, draft)
		p, err := q.run()
		if q.retry { // with what run has found out: a normalisation's rounding, at most twice, or more to commit
			round = q.roundNorm
			continue
		}
		if err != nil && q.wide && !far {
			err = errBeyond{err}
		}
		return p, err
	}
}

func newQuantiser(left *budget.Budget, f *ir.Graph, c choices, draft bool) *quantiser {
	return &quantiser{
		left: left, f: f, cal: c.cal, integers: ir.Wholes(f), exactly: exactValues(f), constants: map[ir.ValueID]ir.ValueID{}, small: map[ir.ValueID]*rep{}, maxima: map[ir.ValueID]*rep{}, why: map[ir.ValueID]string{}, provens: map[ir.ValueID]interval.Interval{}, kept: map[ir.ValueID]*rep{},
		report: &Report{Samples: len(c.cal.Samples)}, roundNorm: c.roundNorm, commit: c.commit, widths: c.widths, far: c.far, places: map[string]*place{}, lows: map[ir.ValueID]*rep{}, draft: draft,
	}
}

func (q *quantiser) run() (*Program, error) {
	f := q.f
	q.o = &ir.Graph{Name: f.Name, Stage: ir.StageInt, Causal: f.Causal}
	q.reps = make([]*rep, len(f.Values))
	q.countUses()
	if err := q.chooseFunctionScales(); err != nil {
		return nil, err
	}
	for _, n := range f.Nodes {
		if err := q.left.Poll(); err != nil {
			return nil, err
		}
		if err := q.node(n); err != nil {
			q.retry = q.retry || q.wide && q.roundOperands(n)
			return nil, err
		}
		if q.commit[n.Out[0]] {
			q.round(n)
		}
	}
	units, err := q.outputs()
	if err != nil {
		return nil, err
	}
	of := map[ir.ValueID]ir.ValueID{}
	for id, r := range q.reps {
		if r != nil {
			of[r.id] = ir.ValueID(id)
		}
	}
	return &Program{Float: f, Int: q.o, Of: of, Approximates: q.approximations(), Why: q.why, Report: q.report, Units: units, places: q.places, gains: q.gains,
		choices: choices{q.cal, q.commit, q.widths, q.roundNorm, q.far}}, nil
}

// approximations says what values of the integer program stand for, where that is a tensor of the float graph times a number.
func (q *quantiser) approximations() map[ir.ValueID]Approximation {
	out := map[ir.ValueID]Approximation{}
	note := func(r *rep) {
		if r != nil && !r.soft {
			out[r.id] = Approximation{r.from, float64(r.mult * math.Ldexp(1, -r.scale))}
		}
	}
	for _, r := range q.reps {
		note(r)
	}
	for _, rounded := range []map[ir.ValueID]*rep{q.small, q.maxima} {
		for _, id := range slices.Sorted(maps.Keys(rounded)) {
			if _, ok := out[id]; ok { // and not something on the way to a value
				note(rounded[id])
			}
		}
	}
	return out
}

// multiple multiplies an output's real factor out: exactly where that takes few bits, else with as many as fit. An output that leaves no
// room for them is rounded to 16 bits first.
func (q *quantiser) multiple(n *ir.Node, r *rep) *rep {
	bits := 1
	for bits < outBits && math.Ldexp(r.mult, bits) != math.Trunc(math.Ldexp(r.mult, bits)) {
		bits++
	}
	if room := 60 - q.width(r.id); bits > room && room < coefBits {
		r = q.narrow(n, r)
	} else {
		bits = min(bits, room)
	}
	return q.plainTo(n, r, r.scale, bits)
}

func (q *quantiser) countUses() {
	q.uses = make([]int, len(q.f.Values))
	for _, n := range q.f.Nodes {
		if n.Op == ir.OpEinsum {
			for _, t := range n.Attr.(*ir.EinsumAttr).Terms {
				for _, i := range t.In {
					q.uses[n.In[i]]++
				}
			}
			continue
		}
		for _, id := range n.In {
			q.uses[id]++
		}
	}
	for _, p := range q.f.Outputs {
		q.uses[p.Value]++
	}
}

// lowerings say how an operation of StageFloat becomes operations of StageInt.
var lowerings = map[ir.Op]func(q *quantiser, n *ir.Node, v *ir.Value) error{}

func init() {
	later := func(*quantiser, *ir.Node, *ir.Value) error { return nil } // quantised where it is first used, at the precision of that use
	lowerings[ir.OpInput] = (*quantiser).input
	lowerings[ir.OpOneHot] = (*quantiser).exact
	lowerings[ir.OpAffine] = (*quantiser).exact
	lowerings[ir.OpWeight], lowerings[ir.OpConst] = later, later
	lowerings[ir.OpEinsum] = (*quantiser).einsum
	lowerings[ir.OpNorm] = (*quantiser).norm
	lowerings[ir.OpUnary] = (*quantiser).unary
	lowerings[ir.OpSoftmax] = (*quantiser).softmax
}

func (q *quantiser) node(n *ir.Node) error {
	lower, ok := lowerings[n.Op]
	if !ok {
		return n.Errorf("is not an operation that can be quantised")
	}
	if err := lower(q, n, q.f.Value(n.Out[0])); q.err == nil {
		q.err = err
	}
	return q.err
}

// input gives the elements of a port a scale. Reals get the finest at which their range has 16 bits; all others are integers already.
func (q *quantiser) input(n *ir.Node, v *ir.Value) error {
	w := q.o.Derive(n, ir.OpInput, v.Name, v.Shape, nil, nil)
	p := *q.f.InputOf(v.ID)
	if p.Kind == plan.Reals {
		top := math.Max(math.Abs(p.Lo), math.Abs(p.Hi))
		if !(top <= math.MaxFloat64) || top > 0 && top < math.Ldexp(1, -maxInput) || top >= 0x1p100 {
			return n.Errorf("the input %q has the range [%g, %g], of magnitudes below 2^-%d or above 2^%d; scale it", p.Name, p.Lo, p.Hi, maxInput, maxInput)
		}
		w.Scale = scaleFor(top, q.inputBits(&p))
	}
	w.Lo, w.Hi = portable.Clamp(math.RoundToEven(math.Ldexp(p.Lo, w.Scale))), portable.Clamp(math.RoundToEven(math.Ldexp(p.Hi, w.Scale)))
	p.Value = w.ID
	q.o.Inputs = append(q.o.Inputs, p)
	if p.Kind != plan.IDs {
		q.note(w, "input", 0, q.cal.Max[v.ID], false)
	}
	q.set(v.ID, &rep{id: w.ID, scale: w.Scale, mult: 1})
	return nil
}

// exact takes over what is made of zeros and ones already: one-hot rows, and maps of indices.
func (q *quantiser) exact(n *ir.Node, v *ir.Value) error {
	var in []ir.ValueID
	for _, id := range n.In {
		in = append(in, q.reps[id].id)
	}
	w := q.add(n, v.Name, v.Shape, in, n.Op, n.Attr)
	q.set(v.ID, &rep{id: w.ID, mult: 1})
	return nil
}

// outputs makes the ports of the results and returns their units. An output of reals is a multiple of a power of two; one of integers, the
// logits of a generation, stays as it is computed, unless no port has its scale: then 16 bits of it may fit one.
func (q *quantiser) outputs() (units []float64, err error) {
	for _, p := range q.f.Outputs {
		r, err := q.value(p.Value)
		if err != nil {
			return nil, err
		}
		if q.leaves62(r.id) || r.scale > maxOutput || q.cal.exacting() && r.scale+outBits > maxOutput {
			r = q.narrow(q.f.Value(p.Value).Def, r)
		}
		if p.Kind == plan.Reals && r.mult != 1 {
			if r = q.multiple(q.f.Value(p.Value).Def, r); q.err != nil {
				return nil, q.err
			}
		}
		p.Value = r.id
		q.o.Outputs = append(q.o.Outputs, p)
		units = append(units, float64(r.mult*math.Ldexp(1, -r.scale)))
	}
	return units, nil
}

func (q *quantiser) set(id ir.ValueID, r *rep) {
	r.from = id
	q.reps[id] = r
}

// add appends a node to the integer graph, with the bounds that the op table gives.
func (q *quantiser) add(n *ir.Node, name string, shape []int, in []ir.ValueID, op ir.Op, attr ir.Attr) *ir.Value {
	w := q.o.Derive(n, op, name, shape, in, attr)
	q.bound(n, w.Def)
	q.follow(n, w)
	return w
}

// bound sets the bounds of a node's results, as the op table gives them. Bounds that are too wide are an error of the float node n.
func (q *quantiser) bound(n *ir.Node, m *ir.Node) {
	bounds, why, err := ir.Bounds(q.o, m)
	for i, b := range bounds {
		w := q.o.Value(m.Out[i])
		most := narrowBits
		if m.Op == ir.OpEinsum && why == "" { // a circuit's own intervals say the same
			most = q.sumBits()
		}
		if b.BitLen() > most {
			err, q.wide = tooWide(n, b, most), true
			break
		}
		if w.SetBounds(b); why != "" {
			q.why[w.ID] = why
		}
	}
	q.fail(err)
}

// sumBits is how many bits sums may have.
func (q *quantiser) sumBits() int {
	if q.far {
		return wideBits
	}
	return narrowBits
}

// fail keeps the first error.
func (q *quantiser) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

// value returns the integer form of a float value as one tensor.
func (q *quantiser) value(id ir.ValueID) (*rep, error) {
	r := q.reps[id]
	if r == nil {
		v := q.f.Value(id)
		if v.Def.Op != ir.OpWeight && v.Def.Op != ir.OpConst {
			return nil, v.Def.Errorf("is used before it is computed")
		}
		return q.leaf(id, noLimit, 1), nil
	}
	if r.soft {
		return q.weighSoftmax(r)
	}
	return r, nil
}

// leaf quantises a weight or constant, times a factor that it absorbs, on first use. limit bounds the scale.
func (q *quantiser) leaf(id ir.ValueID, limit int, factor float64) *rep {
	if r := q.reps[id]; r != nil {
		return r
	}
	v := q.f.Value(id)
	secret := v.Def.Op == ir.OpWeight
	top := math.Abs(float64(q.cal.Max[id] * factor))
	bits, kind := q.fixed().consts, "constant"
	if secret {
		bits, kind = WeightBits, "weight"
		if top == 0 {
			top = math.Abs(factor) // see declared
		}
	}
	scale := min(scaleFor(top, bits), limit)
	if !secret {
		if m, ok := magnitude(q.whole(v).Data); ok && m*factor == 1 {
			scale = 0 // of a weight, this would show that all cells are 0 and ±1
		}
	}
	w := q.o.Derive(v.Def, v.Def.Op, v.Name, v.Shape, nil, nil)
	if secret {
		w.Lo, w.Hi = declared(portable.Clamp(math.RoundToEven(math.Ldexp(top, scale))))
	}
	switch {
	case secret && q.longest != nil:
		w.Short = q.sameCells(w)
	case secret && !q.draft:
		w.Short = rounded(v, w, math.Ldexp(factor, scale), 0)
	case !secret:
		w.Ints = make([]int64, len(v.Data))
		unit := math.Ldexp(factor, scale)
		for i, x := range v.Data {
			w.Ints[i] = portable.Clamp(math.RoundToEven(float64(x * unit)))
			w.Lo, w.Hi = min(w.Lo, w.Ints[i]), max(w.Hi, w.Ints[i])
		}
	}
	q.follow(v.Def, w)
	w.Scale = scale
	q.note(w, kind, 0, top, false)
	r := &rep{id: w.ID, scale: scale, mult: 1, factor: factor}
	q.set(id, r)
	return r
}

// lowBits is how many bits finer than a weight is what its rounding leaves.
const lowBits = 15

// leafLow is what the rounding of a weight leaves, a weight of its own: the two are one of 31 bits. Its range is that of 16 bits in any
// case. That it is there tells that 16 bits did not serve this weight; scale and range tell nothing more.
func (q *quantiser) leafLow(v *ir.Value, high *rep) *rep {
	if r := q.lows[v.ID]; r != nil {
		return r
	}
	w := q.o.Derive(v.Def, v.Def.Op, v.Name+".low", v.Shape, nil, nil)
	w.Lo, w.Hi, w.Scale = -1<<(WeightBits-1), 1<<(WeightBits-1)-1, high.scale+lowBits
	switch {
	case q.longest != nil:
		w.Short = q.sameCells(w)
	case !q.draft:
		w.Short = rounded(v, w, math.Ldexp(high.factor, high.scale), lowBits)
	}
	q.note(w, "weight", 0, 0, false)
	r := &rep{id: w.ID, scale: w.Scale, mult: 1, from: v.ID}
	q.lows[v.ID] = r
	return r
}

// rounded are the cells of a weight w that those of v become, in a unit, or what that leaves of them in a unit that is finer by so many bits.
func rounded(v, w *ir.Value, unit float64, finer int) weights.Integers {
	n := v.Def
	return weights.Rounded(v.Reals(), weights.Rounding{Unit: unit, Finer: finer, Lo: w.Lo, Hi: w.Hi, Beyond: func(cell int, x int64) error {
		return n.Errorf("cell %d becomes %d, which its range [%d, %d] does not hold", cell, x, w.Lo, w.Hi)
	}})
}

// minDeclared is log2 of the narrowest declared range of a weight.
const minDeclared = 7

// declared is the range of a weight whose largest cell has the magnitude top: the signed range of the fewest bits that holds ±top, at
// least minDeclared and one for the sign.
//
// Scale and range are public, and follow from the magnitude of the largest cell alone: where the scale is free, it is the finest at
// which that fits 16 bits, and the range has 16 bits; where something else bounds the scale, the range tells what the scale would. So
// together they tell the power of two that the largest cell chose and nothing else of it: not its sign, since the range is made for
// both (all cells −1 would otherwise fit 15 bits), not whether cells are alike, whole or zero. The floor is there because few bits tell
// much about a power of two: at a scale of 0, a vector of ones would have two bits, and with the floor has the range of all cells
// below 128. A weight of zeros chooses no power; it passes for one whose largest cell is 1, as weights of zeros, ones and signs are
// what training starts from and scales of normalisations, which stay near 1, are the commonest weights of that magnitude.
func declared(top int64) (lo, hi int64) {
	n := int64(1) << minDeclared
	for top > n-1 {
		n *= 2
	}
	return -n, n - 1
}

// RealRange is the range of an input of real numbers of which some are known: that of 16 bits at the finest scale that holds them with
// headroom. It tells a power of two and nothing else of them.
func RealRange(seen []float64) frontend.Range {
	top := 0.0
	for _, x := range seen {
		top = math.Max(top, math.Abs(x))
	}
	scale := scaleFor(float64(top*headroom), ActBits)
	limit := math.Ldexp(1<<(ActBits-1)-1, -scale)
	return frontend.Range{Lo: -limit, Hi: limit}
}

// scaleFor is the largest scale at which magnitudes up to top fit bits bits with sign.
func scaleFor(top float64, bits int) int {
	if top == 0 {
		return maxScale
	}
	limit := float64(int64(1)<<(bits-1) - 1)
	top = min(max(top, 0x1p-900), math.MaxFloat64) // with its headroom it may be infinite
	s := portable.Log2Floor(limit / top)
	for math.RoundToEven(float64(top*math.Ldexp(1, s))) > limit {
		s--
	}
	return s
}

// needed bounds the scale of a rounding for the outputs' sake: errors of steps beyond it are not seen there. So tensors of tiny cells that
// matter, because they are scaled up later, are kept, and others do not ask for sums of numbers that are far apart.
func (q *quantiser) needed(r *rep, sense float64) int {
	need := maxScale
	if step := float64(q.cal.target() * math.Sqrt(12/sense) / 32 / r.mult); sense > 0 && step > 0 && step < 1 {
		need = max(need, portable.Log2Ceil(1/step))
	}
	return need
}

func (q *quantiser) note(v *ir.Value, kind string, shift int, top float64, clamps bool) {
	t := TensorReport{Name: v.Name, Kind: kind, Scale: v.Scale, Shift: shift, Max: top, Lo: v.Lo, Hi: v.Hi, Clamps: clamps}
	if top > 0 {
		t.Headroom = float64(v.Hi) * math.Ldexp(1, -v.Scale) / top
	}
	q.report.Tensors = append(q.report.Tensors, t)
}

// width is the number of bits of the magnitudes of a value.
func (q *quantiser) width(id ir.ValueID) int {
	v := q.o.Value(id)
	if v.Wide() {
		return v.Far.BitLen()
	}
	n := 0
	for m := max(v.Hi, -(v.Lo + 1), -v.Lo-1); m > 0; m >>= 1 {
		n++
	}
	return n
}

// leaves62 says that sums and roundings alone can take a value: it is wide, or leaves no bit for what else is computed from values.
func (q *quantiser) leaves62(id ir.ValueID) bool { return q.width(id) > narrowBits }

// isSmall says that a value has at most 16 bits with sign.
func (q *quantiser) isSmall(id ir.ValueID) bool { return q.width(id) < ActBits }

// narrow returns a value with at most the bits of its roundings, 16 unless it was given more: itself, or its rescaled and committed form.
func (q *quantiser) narrow(n *ir.Node, r *rep) *rep {
	if q.width(r.id) < q.bits(q.of(r.from)) && q.proven(r.id).BitLen() <= provenBits {
		return r
	}
	if s, ok := q.small[r.id]; ok {
		return s
	}
	return q.commitRounded(n, r)
}

// provenBits are those that a factor may have by the bounds that a circuit's equations rest on: a product of two and sums of that stay below 2^250.
const provenBits = 100

// proven are such bounds of a value. They know what is committed, and nothing of the cells of constants: a cell that is picked among 64 may be their sum.
func (q *quantiser) proven(id ir.ValueID) interval.Interval {
	if b, ok := q.provens[id]; ok {
		return b
	}
	v := q.o.Value(id)
	b := v.Bounds()
	if v.Def.Op == ir.OpEinsum {
		b = interval.Of(0, 0)
		for _, t := range v.Def.Attr.(*ir.EinsumAttr).Terms {
			factors := make([]interval.Factor, len(t.In))
			for i, k := range t.In {
				factors[i] = interval.Factor{Tensor: int(v.Def.In[k]), Axes: t.Axes[i], Bounds: q.proven(v.Def.In[k])}
			}
			b = b.Plus(interval.Term(t.ICoef, t.Extents, t.Out, factors))
		}
	}
	q.provens[id] = b
	return b
}

// commitRounded rescales and commits a value for all its uses.
func (q *quantiser) commitRounded(n *ir.Node, r *rep) *rep {
	key := q.of(r.from)
	bits, top := q.bits(key), q.cal.Max[r.from]/r.mult
	s := q.rescale(n, r, q.actScale(r, top, bits), bits, top)
	q.small[r.id] = s
	if s.scale != r.scale {
		q.rounded(key, s, bits, q.cal.moves.value[r.from], true)
	}
	return s
}

// round commits the value of a node, in 16 bits, for all its uses. A softmax is committed as it is.
func (q *quantiser) round(n *ir.Node) {
	r := q.reps[n.Out[0]]
	if r == nil || r.soft || q.o.Value(r.id).Def.Op != ir.OpEinsum {
		return
	}
	if q.exactly[r.from] {
		q.set(r.from, q.commitExact(n, r))
		return
	}
	q.set(r.from, q.commitRounded(n, r))
}

// roundOperands commits the wide operands of a node that would leave 2^62. It says whether there are any that were not committed before.
func (q *quantiser) roundOperands(n *ir.Node) bool {
	more := false
	for _, id := range n.In {
		r := q.reps[id]
		if r != nil && !r.soft && !q.commit[id] && !q.isSmall(r.id) && q.o.Value(r.id).Def.Op == ir.OpEinsum {
			q.commit[id], more = true, true
		}
	}
	return more
}

// actScale chooses the scale of an activation: the calibrated one, or one at most one bit coarser (or any finer) at which the
// proven interval fits and no clamp is needed.
func (q *quantiser) actScale(r *rep, top float64, bits int) int {
	scale := min(scaleFor(float64(top*headroom), bits), q.needed(r, q.cal.moves.value[r.from]))
	v := q.o.Value(r.id)
	for free := r.scale; free >= scale-1; free-- {
		if lo, hi := quotients(v, r.scale-free); lo >= -1<<(bits-1) && hi < 1<<(bits-1) {
			return free
		}
	}
	return min(scale, r.scale)
}

// rescale commits a value at a scale, clamped to bits bits with sign.
func (q *quantiser) rescale(n *ir.Node, r *rep, scale, bits int, top float64) *rep {
	v := q.o.Value(r.id)
	if more := r.scale - scale - gadget.MaxShift; more > 0 {
		scale += more
		if v.Wide() { // else |v| < 2^62, so that nothing but −1, 0 and 1 would be left: a finer scale costs nothing
			bits += more
		}
	}
	shift := r.scale - scale
	if q.width(r.id)-shift > mostQuotient {
		q.fail(tooWide(n, v.Bounds(), mostQuotient+shift))
	}
	lo, hi := quotients(v, shift)
	for bits > ActBits && -1<<(bits-3) <= lo && hi < 1<<(bits-3) {
		bits -= 2 // limbs that would be zero
	}
	a := &ir.RescaleAttr{Shift: shift, Lo: -1 << (bits - 1), Hi: 1<<(bits-1) - 1}
	w := q.add(n, v.Name+".rounded", v.Shape, []ir.ValueID{r.id}, ir.OpRescale, a)
	w.Scale = scale
	q.note(w, "activation", shift, top, lo < a.Lo || hi > a.Hi)
	return &rep{id: w.ID, scale: scale, mult: r.mult, from: r.from}
}

// mostQuotient is the number of bits of a quotient before it is clamped: of those of a gadget's excess.
const mostQuotient = 72

// quotients are the quotients of a value's bounds, or the nearest integers of 64 bits.
func quotients(v *ir.Value, shift int) (lo, hi int64) {
	if !v.Wide() {
		return quotient(v.Lo, shift), quotient(v.Hi, shift)
	}
	end := func(x *big.Int) int64 {
		switch {
		case x.IsInt64():
			return x.Int64()
		case x.Sign() < 0:
			return math.MinInt64
		}
		return math.MaxInt64
	}
	q := v.Far.Quotients(shift)
	return end(q.Lo), end(q.Hi)
}

// quotient is ⌊(v + 2^(shift-1))/2^shift⌋.
func quotient(v int64, shift int) int64 {
	switch {
	case shift == 0:
		return v
	case shift > 62: // of which ir.Verify refuses the rescaling; |v| is at most 2^62
		return 0
	}
	return (v + 1<<(shift-1)) >> shift
}

func tooWide(n *ir.Node, bounds interval.Interval, bits int) error {
	return n.Errorf("its result may reach %v, beyond 2^%d; scale its inputs or its weights down, or sum over fewer cells", bounds, bits+1)
}
