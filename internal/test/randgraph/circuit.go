package randgraph

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// Circuit is a circuit that calls the gadgets with random parameters, and what each call must yield.
type Circuit struct {
	*circuit.Circuit
	Calls  []Call
	Failed []string // why steps were left out: what the builder said
}

// Call is one call of a gadget: the tensors it returned and their cells by definition, given those of its operands.
type Call struct {
	Text string
	In   []circuit.ID // of a wide tensor Want takes the lower words and then the upper ones
	Out  []circuit.ID
	Want func(in [][]int64) [][]int64
}

// DrawCircuit draws a circuit of at most steps gadgets, 0 for as many as the seed wants. A step that the builder refuses is left
// out; an error is a circuit that is refused for another reason.
func DrawCircuit(seed uint64, steps int) (*Circuit, error) {
	rng := stream(seed, streamShape)
	n := 1 + rng.IntN(6)
	if steps > 0 {
		n = min(n, steps)
	}
	skip := map[int]bool{}
	var failed []string
	for i := 0; i < n; i++ { // a builder keeps its first error: find out step by step
		if _, err := newCaller(seed, false).build(i+1, skip); err != nil {
			skip[i] = true
			failed = append(failed, err.Error())
		}
	}
	c, err := newCaller(seed, true).build(n, skip)
	if errors.Is(err, circuit.ErrNotCausal) {
		c, err = newCaller(seed, false).build(n, skip)
	}
	if err != nil {
		return nil, err
	}
	c.Failed = failed
	return c, nil
}

// caller draws the calls.
type caller struct {
	b       *circuit.Builder
	seed    uint64
	rng     *rand.Rand
	calls   []Call
	pool    []circuit.ID
	weights []circuit.ID
	in, out circuit.Port
	hot     circuit.ID
	n       int // tensors named
}

// newCaller starts a circuit; one that may be causal is a generation every other time, all others are functions of ids.
func newCaller(seed uint64, causal bool) *caller {
	rng := stream(seed, streamShape)
	rng.IntN(6) // the number of steps
	c := &caller{seed: seed, rng: rng}
	length, vocab := 1+rng.IntN(6), 2+rng.IntN(8)
	generation := rng.IntN(2) == 0 && causal
	c.in = circuit.Port{Name: "tokens", Kind: circuit.IDs, Shape: []int{length}, Hi: int64(vocab) - 1, Reveal: circuit.Values}
	if rng.IntN(3) == 0 {
		c.in.Reveal = circuit.Nothing
	}
	c.b = circuit.NewBuilder(circuit.Config{Name: "random", WeightBits: 4 + rng.IntN(5), WitnessBits: 4 + rng.IntN(5)})
	c.out = circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Values}
	if rng.IntN(2) == 0 {
		c.out.Reveal = circuit.Argmax
	}
	if pad := rng.Int64N(int64(vocab)); generation {
		c.b.Generation(pad)
	}
	return c
}

func (c *caller) name(what string) string {
	c.n++
	return fmt.Sprintf("%s%d", what, c.n)
}

// build makes the inputs, the steps but the skipped ones, and the logits.
func (c *caller) build(n int, skip map[int]bool) (*Circuit, error) {
	b := c.b
	c.hot = gadget.Input(b, "tokens.onehot", c.in)
	width := 1 + c.rng.IntN(8)
	table := c.weight([]int{c.in.Vocab(), width})
	first := gadget.Embed(b, "embedding", c.hot, table)
	c.pool = append(c.pool, first)
	c.pool = append(c.pool, c.long(b.Shape(first), first))
	if c.seed%4 == 3 {
		if c.pool = append(c.pool, c.wide(b.Shape(first), c.pool[1])); b.IsWide(c.pool[2]) {
			c.rescaleWide(c.pool[2])
		}
	}
	for i := range n {
		if !skip[i] {
			c.rng = stream(c.seed, streamStep+i)
			c.step()
		}
	}
	c.rng = stream(c.seed, streamHead)
	c.reveal()
	done, err := b.Finish()
	return &Circuit{Circuit: done, Calls: c.calls}, err
}

func (c *caller) weight(shape []int) circuit.ID {
	w := c.b.Weight(c.name("w"), 1+c.rng.IntN(16), shape...)
	c.weights = append(c.weights, w)
	return w
}

// long is a sum of the tensor and weights of its shape at random powers of two: a value of up to 61 bits.
func (c *caller) long(shape []int, x circuit.ID) circuit.ID {
	terms := []circuit.Term{circuit.Scaled(c.b, 1, x)}
	for range 1 + c.rng.IntN(3) {
		sign := int64(1 - 2*c.rng.IntN(2))
		terms = append(terms, circuit.Scaled(c.b, sign<<c.rng.IntN(44), c.weight(shape)))
	}
	return c.b.Virtual(c.name("wide"), shape, terms...)
}

// wide is a value of more bits: the tensor times a weight of its shape, at a random power of two, and the tensor itself.
func (c *caller) wide(shape []int, x circuit.ID) circuit.ID {
	return c.b.Virtual(c.name("beyond"), shape, circuit.Product(c.b, 1<<(24+c.rng.IntN(16)), x, c.weight(shape)), circuit.Scaled(c.b, 1, x))
}

func (c *caller) pick() circuit.ID {
	if n := len(c.pool); c.rng.IntN(2) == 0 {
		return c.pool[n-1]
	}
	return c.pool[c.rng.IntN(len(c.pool))]
}

// narrow is pick for whatever takes 64 bits.
func (c *caller) narrow() circuit.ID {
	x := c.pick()
	for c.b.IsWide(x) {
		x = c.pool[c.rng.IntN(len(c.pool))]
	}
	return x
}

// step makes one call.
func (c *caller) step() {
	switch c.rng.IntN(10) {
	case 0, 1:
		c.rescale()
	case 2:
		c.function()
	case 9:
		c.piecewise()
	case 3:
		c.root()
	case 4:
		c.reciprocal()
	case 5:
		c.limbs()
	case 6, 7:
		c.attention()
	default:
		c.product()
	}
}

// call notes a call and its results.
func (c *caller) call(text string, in, out []circuit.ID, want func([][]int64) [][]int64) {
	c.calls = append(c.calls, Call{Text: text, In: in, Out: out, Want: want})
	c.pool = append(c.pool, out...)
}

// interval draws a target range of a value that has bounds [lo, hi] after a shift: one that holds them, or one that cuts them.
func (c *caller) interval(lo, hi int64) (int64, int64) {
	if c.rng.IntN(3) == 0 && hi-lo < 1<<12 {
		return lo - c.rng.Int64N(3), hi + c.rng.Int64N(3)
	}
	n := int64(1) << c.rng.IntN(c.pickBits(16))
	switch c.rng.IntN(6) {
	case 0:
		return 0, n - 1
	case 1:
		a := lo + c.rng.Int64N(max(1, min(1<<20, hi-lo+1)))
		a = max(-1<<30, min(a, 1<<30))
		return a, a + n - 1
	case 2:
		a := max(-1<<30, min(hi, 1<<30)) // only the top, or one beyond
		return a, a + c.rng.Int64N(2)
	}
	return -n / 2, max(0, n/2-1)
}

// pickBits is a number of bits that is small more often than not, so that tables stay small.
func (c *caller) pickBits(most int) int {
	if c.rng.IntN(8) == 0 {
		return 1 + c.rng.IntN(most)
	}
	return 1 + c.rng.IntN(min(most, 9))
}

// shift draws a right shift of a value: none, one that keeps some bits, or one beyond all bits.
func (c *caller) shift(lo, hi int64) int {
	n := max(bits.Len64(uint64(max(hi, 0))), bits.Len64(uint64(max(-lo, 0))))
	switch c.rng.IntN(6) {
	case 0:
		return 0
	case 1:
		return min(gadget.MaxShift, n+c.rng.IntN(3))
	case 2:
		return c.rng.IntN(gadget.MaxShift + 1)
	}
	return max(0, min(gadget.MaxShift, n-c.rng.IntN(14)))
}

func (c *caller) rescale() {
	x := c.pick()
	if c.b.IsWide(x) {
		c.rescaleWide(x)
		return
	}
	lo, hi := c.b.Bounds(x)
	s := c.shift(lo, hi)
	half := int64(1) << s >> 1
	a, z := c.interval((lo+half)>>s, (hi+half)>>s)
	if c.rng.IntN(4) == 0 { // a result in limbs, with sign or without
		n := gadget.LimbBits + 1 + c.rng.IntN(24)
		a, z = 0, int64(1)<<n-1
		if c.rng.IntN(4) > 0 {
			a, z = -1<<(n-1), int64(1)<<(n-1)-1
		}
	}
	if z-a >= 1<<gadget.LimbBits || c.rng.IntN(3) > 0 {
		y := gadget.Rescale(c.b, c.name("rescale"), x, s, a, z)
		c.call(fmt.Sprintf("%d = Rescale(%d, %d, %d, %d)", y, x, s, a, z), []circuit.ID{x}, []circuit.ID{y}, func(in [][]int64) [][]int64 {
			return [][]int64{rescaled(in[0], s, a, z)}
		})
		return
	}
	fn, i, o := ir.Functions[c.rng.IntN(len(ir.Functions))], c.rng.IntN(10), c.rng.IntN(16)
	y, f := gadget.RescaleTable(c.b, c.name("table"), x, s, a, z, fn, i, o)
	c.call(fmt.Sprintf("%d, %d = RescaleTable(%d, %d, %d, %d, %s, %d, %d)", y, f, x, s, a, z, fn, i, o), []circuit.ID{x}, []circuit.ID{y, f}, func(in [][]int64) [][]int64 {
		r := rescaled(in[0], s, a, z)
		return [][]int64{r, tabulated(fn, i, o, r)}
	})
}

// rescaleWide divides a wide value so that quotients have 61 bits at most, most of them fewer, and rounds them to any number of bits.
func (c *caller) rescaleWide(x circuit.ID) {
	least := max(1, c.b.Interval(x).BitLen()-60)
	if least > gadget.MaxShift {
		return
	}
	s := min(gadget.MaxShift, least+c.rng.IntN(64))
	n := 1 + c.rng.IntN(60)
	if c.rng.IntN(2) == 0 {
		n = c.pickBits(16)
	}
	a, z := int64(-1)<<(n-1), int64(1)<<(n-1)-1
	y := gadget.Rescale(c.b, c.name("rescale"), x, s, a, z)
	c.call(fmt.Sprintf("%d = RescaleWide(%d, %d, %d, %d)", y, x, s, a, z), []circuit.ID{x}, []circuit.ID{y}, func(in [][]int64) [][]int64 {
		return [][]int64{rescaledWide(in[0], s, a, z)}
	})
}

func (c *caller) function() {
	x := c.narrow()
	if lo, hi := c.b.Bounds(x); hi-lo >= 1<<gadget.LimbBits {
		n := c.pickBits(12)
		x = gadget.Rescale(c.b, c.name("argument"), x, c.shift(lo, hi), -1<<(n-1), 1<<(n-1)-1)
	}
	fn, i, o := ir.Functions[c.rng.IntN(len(ir.Functions))], c.rng.IntN(12), c.rng.IntN(16)
	y := gadget.Table(c.b, c.name(fn), x, fn, i, o)
	c.call(fmt.Sprintf("%d = Table(%d, %s, %d, %d)", y, x, fn, i, o), []circuit.ID{x}, []circuit.ID{y}, func(in [][]int64) [][]int64 {
		return [][]int64{tabulated(fn, i, o, in[0])}
	})
}

// piecewise draws a function in linear pieces, behind a shift that leaves some bits.
func (c *caller) piecewise() {
	x := c.narrow()
	lo, hi := c.b.Bounds(x)
	low, n := 1+c.rng.IntN(8), c.pickBits(10)
	s := min(c.shift(lo, hi), gadget.MaxShift-low)
	a, z := int64(-1)<<(n-1)<<low, int64(1)<<(n-1)<<low-1
	if c.rng.IntN(3) == 0 {
		a, z = 0, int64(1)<<n<<low-1
	}
	fn, i, o := ir.Functions[c.rng.IntN(len(ir.Functions))], c.rng.IntN(16), c.rng.IntN(20)
	y := gadget.PiecewiseLinear(c.b, c.name("pieces"), x, s, a, z, low, fn, i, o)
	c.call(fmt.Sprintf("%d = PiecewiseLinear(%d, %d, %d, %d, %d, %s, %d, %d)", y, x, s, a, z, low, fn, i, o), []circuit.ID{x}, []circuit.ID{y}, func(in [][]int64) [][]int64 {
		return [][]int64{interpolated(fn, low, i, o, rescaled(in[0], s, a, z))}
	})
}

// positive makes a tensor of cells ≥ least of another one: its distance to its lower bound, or the sum of its squares.
func (c *caller) positive(least int64) circuit.ID {
	x := c.narrow()
	shape := c.b.Shape(x)
	lo, hi := c.b.Bounds(x)
	if top := max(hi, -lo); c.rng.IntN(2) == 0 && len(shape) > 1 && top < 1<<26 {
		sum := circuit.SumLast(c.b, 1, x)
		sum.Factors = append(sum.Factors, sum.Factors[0])
		return c.b.Virtual(c.name("squares"), shape[:len(shape)-1], sum, circuit.Ones(least, shape[:len(shape)-1]))
	}
	return c.b.Virtual(c.name("distance"), shape, circuit.Scaled(c.b, 1, x), circuit.Ones(least-lo, shape))
}

// numerator draws a numerator: any number of bits, and powers of two and their neighbours.
func (c *caller) numerator() int64 {
	n := int64(1) << c.rng.IntN(61)
	switch c.rng.IntN(3) {
	case 0:
		return n
	case 1:
		return 2*n - 1
	}
	return n + c.rng.Int64N(n)
}

func (c *caller) root() {
	s := c.positive(0)
	num, eps := c.numerator(), max(1, c.numerator()>>c.rng.IntN(61))
	r := gadget.Rsqrt(c.b, c.name("rsqrt"), s, num, eps)
	c.call(fmt.Sprintf("%d = Rsqrt(%d, %d, %d)", r, s, num, eps), []circuit.ID{s}, []circuit.ID{r}, func(in [][]int64) [][]int64 {
		return [][]int64{roots(in[0], num, eps)}
	})
}

func (c *caller) reciprocal() {
	s := c.positive(1 + max(0, c.numerator()>>c.rng.IntN(61)-1))
	num := c.numerator()
	r := gadget.Reciprocal(c.b, c.name("reciprocal"), s, num)
	c.call(fmt.Sprintf("%d = Reciprocal(%d, %d)", r, s, num), []circuit.ID{s}, []circuit.ID{r}, func(in [][]int64) [][]int64 {
		return [][]int64{reciprocals(in[0], num)}
	})
}

// limbs proves a range and uses the committed limbs no further.
func (c *caller) limbs() {
	v := c.positive(0)
	_, hi := c.b.Bounds(v)
	n := min(62, bits.Len64(uint64(hi))+c.rng.IntN(3)*c.rng.IntN(2))
	high := gadget.Limbs(c.b, c.name("limbs"), v, n)
	c.call(fmt.Sprintf("%v = Limbs(%d, %d)", high, v, n), []circuit.ID{v}, high, func(in [][]int64) [][]int64 {
		return digits(in[0], n, len(high))
	})
}

func (c *caller) attention() {
	x := c.narrow()
	shape := c.b.Shape(x)
	if len(shape) < 2 {
		return
	}
	lo, hi := c.b.Bounds(x)
	p := attention.Params{Shift: min(c.shift(lo, hi), 40), DBits: c.pickBits(15), EBits: c.rng.IntN(17)}
	p.InvBits = p.EBits + c.rng.IntN(20)
	p.Unit = []float64{1, 0.25, 1.0 / 128, 3, 1e-6, 0.7071}[c.rng.IntN(6)]
	mask, values := gadget.None, []int64(nil)
	text := "none"
	if c.rng.IntN(3) > 0 {
		dims := shape[len(shape)-1-c.rng.IntN(len(shape)):]
		for _, m := range maskData(c.rng, dims) {
			values = append(values, int64(m))
		}
		mask, text = attention.Mask(c.b, c.name("mask"), values, dims...), fmt.Sprint(values)
	}
	e, inv := attention.ZkAttn(c.b, c.name("attention"), x, mask, p)
	c.call(fmt.Sprintf("%d, %d = ZkAttn(%d, mask %s, %+v)", e, inv, x, text, p), []circuit.ID{x}, []circuit.ID{e, inv}, func(in [][]int64) [][]int64 {
		return attended(in[0], values, shape[len(shape)-1], p)
	})
}

// shape, another, leafOf and old let terms be drawn over a circuit's tensors.
func (c *caller) shape(id int) []int { return c.b.Shape(circuit.ID(id)) }

func (c *caller) another(rng *rand.Rand) int {
	if rng.IntN(10) == 0 {
		return int(c.hot)
	}
	return int(c.pick())
}

func (c *caller) leafOf(rng *rand.Rand, shape []int) int {
	if rng.IntN(5) > 0 {
		return int(c.weight(shape))
	}
	if rng.IntN(2) == 0 {
		where := fmt.Sprint(rng.IntN(7))
		for a := range shape {
			where += fmt.Sprintf(" %c %d%c", "+-"[rng.IntN(2)], rng.IntN(4), 'i'+a)
		}
		return int(c.b.Affine(c.name("affine"), where, shape...))
	}
	values := make([]int64, circuit.Size(shape))
	top := int64(1) << rng.IntN(16)
	for i := range values {
		values[i] = rng.Int64N(2*top) - top
	}
	return int(c.b.Const(c.name("c"), values, shape...))
}

func (c *caller) old(rng *rand.Rand) (int, bool) {
	return int(c.weights[rng.IntN(len(c.weights))]), true
}

// term draws a term over the circuit's tensors.
func (c *caller) term(want []int, x circuit.ID) (circuit.Term, []int) {
	d := drawTerm(c.rng, c, want, int(x))
	t := circuit.Term{Coef: []int64{1, 1, 1, -1, 2, -3, 1000}[c.rng.IntN(7)], Extents: d.Extents, Out: d.Out}
	for i, id := range d.In {
		t.Factors = append(t.Factors, circuit.Factor{T: circuit.ID(id), Axes: d.Axes[i]})
	}
	return t, d.shapeOf()
}

// product adds a virtual tensor; the checker of the witness is its definition.
func (c *caller) product() {
	t, shape := c.term(nil, c.pick())
	terms := []circuit.Term{t}
	for c.rng.IntN(3) == 0 && len(terms) < 3 {
		more, _ := c.term(shape, c.pick())
		terms = append(terms, more)
	}
	c.pool = append(c.pool, c.b.Virtual(c.name("v"), shape, terms...))
}

// reveal adds the logits: the last two tensors that are narrow enough, mapped to positions and tokens.
func (c *caller) reveal() {
	shape := []int{c.in.Shape[0], c.in.Vocab()}
	var terms []circuit.Term
	for i := len(c.pool) - 1; i >= 0 && len(terms) < 2; i-- {
		if c.b.Interval(c.pool[i]).BitLen() <= 36 {
			terms = append(terms, c.project(c.pool[i], shape))
		}
	}
	gadget.Output(c.b, c.out, c.b.Virtual("logits", shape, terms...))
}

// project sums a tensor times a weight to [T, V], position by position where its first axis allows.
func (c *caller) project(x circuit.ID, shape []int) circuit.Term {
	dims := c.b.Shape(x)
	t := circuit.Ones(1, shape)
	first := 0
	if dims[0] != shape[0] || c.rng.IntN(3) == 0 {
		first = len(t.Extents)
		t.Extents = append(t.Extents, dims[0])
	}
	axes := [][]int{{first}}
	for _, d := range dims[1:] {
		axes = append(axes, []int{len(t.Extents)})
		t.Extents = append(t.Extents, d)
	}
	w := c.weight([]int{shape[1], dims[0]})
	t.Factors = []circuit.Factor{{T: x, Axes: axes}, {T: w, Axes: [][]int{{1}, {first}}}}
	return t
}
