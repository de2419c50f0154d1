package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Elementwise arithmetic on activations: terms of Einsums.

func init() {
	register(handlers, map[string]handler{
		"Add": sum, "Sub": sub, "Sum": sum, "Mean": sum, "Mul": mul, "Div": div, "Neg": neg, "Pow": pow, "Where": where, "Max": extremum, "Min": extremum,
		"Sqrt": function("sqrt"), "Reciprocal": function("reciprocal"), "Exp": function("exp"), "Sigmoid": function("sigmoid"),
		"Sin": function("sin"), "Cos": function("cos"), "Softplus": function("softplus"), "Tanh": function("tanh"), "Erf": function("erf"), "Relu": relu, "Gelu": gelu, "Swish": swish,
		"Floor": function("floor"), "Ceil": function("ceil"), "Round": function("round"),
		"com.microsoft.Gelu": function("gelu"), "com.microsoft.FastGelu": biasGelu("gelu_tanh"),
		"com.microsoft.BiasGelu": biasGelu("gelu"), "com.microsoft.QuickGelu": swish, "Trilu": trilu,
	})
}

// factor is one factor of a product: a scalar, or a value that broadcasts against the result.
type factor struct {
	coef  float64
	id    ir.ValueID // none for a scalar
	shape []int
}

// factor turns an input into a factor. Public constants whose cells are all equal are scalars.
func (c *call) factor(v *val) (factor, error) {
	if v.c != nil {
		c.b.commit(v)
		if f := floats(v.c); len(f) > 0 {
			same := true
			for _, x := range f {
				same = same && x == f[0]
			}
			if same {
				return factor{coef: f[0], id: none}, nil
			}
		}
	}
	id, err := c.use(v)
	return factor{coef: 1, id: id, shape: v.shape}, err
}

// product returns the term of a product of factors that broadcasts to a shape.
func product(shape []int, coef float64, fs ...factor) ir.Term {
	out, ext := ir.IdentityAxes(shape)
	t := ir.Term{Coef: coef, Extents: ext, Out: out}
	for _, f := range fs {
		t.Coef = float64(t.Coef * f.coef)
		if f.id != none {
			t.In = append(t.In, int(f.id))
			t.Axes = append(t.Axes, broadcastAxes(f.shape, out))
		}
	}
	return t
}

// operands returns the inputs as factors, with constant masks told from weights, and the shape they broadcast to.
func (c *call) operands() ([]factor, []int, error) {
	var fs []factor
	var shapes [][]int
	for i := range c.in {
		v, err := c.arg(i)
		if err != nil {
			return nil, nil, err
		}
		if c.mayMask(i) {
			if v, err = c.maskOr(v); err != nil {
				return nil, nil, err
			}
		}
		f, err := c.factor(v)
		if err != nil {
			return nil, nil, err
		}
		fs, shapes = append(fs, f), append(shapes, v.shape)
	}
	shape, err := broadcast(shapes...)
	return fs, shape, err
}

func sum(c *call) ([]*val, error) {
	if err := c.swallows(); err != nil {
		return nil, err
	}
	if err := c.partMasks(); err != nil {
		return nil, err
	}
	fs, shape, err := c.operands()
	if err != nil {
		return nil, err
	}
	coef := 1.0
	if c.n.Op == "Mean" {
		coef = 1 / float64(len(fs))
	}
	var ts []ir.Term
	for _, f := range fs {
		ts = append(ts, product(shape, coef, f))
	}
	v := c.einsum(shape, ts...)
	if c.n.Op != "Mean" {
		v.emptied = sumEmptied(c.in)
		if v.masked = c.maskedOf(shape, ts); v.masked == nil {
			v.masked = c.maskedBy(shape, ts)
		}
		if v.masked != nil && v.masked.hides() && c.onlyOrdered() {
			return one(c.behindMask(v.masked))
		}
	}
	return []*val{v}, nil
}

// extremum folds Max and Min over their operands; a minimum is −max(−x, −y). With a constant it is that plus what is above it.
func extremum(c *call) ([]*val, error) {
	if v, err := c.guarded(); v != nil || err != nil {
		return one(v, err)
	}
	sign := 1.0
	if c.n.Op == "Min" {
		sign = -1
	}
	fs, shape, err := c.operands()
	if err != nil || len(fs) == 0 {
		return nil, orCount(err, len(fs))
	}
	slices.SortStableFunc(fs, func(a, b factor) int { return int(min(b.id, 0)) - int(min(a.id, 0)) }) // constants last
	exact := c.onIntegers()
	v := c.einsum(shape, product(shape, sign, fs[0]))
	for _, f := range fs[1:] {
		y, self := product(shape, sign, f), factor{coef: 1, id: v.id, shape: shape}
		if exact && (f.id == none || !c.b.few(v.id) || !c.b.few(f.id)) {
			if f.id == none {
				f.coef = float64(f.coef * sign)
			} else {
				f = only(c.einsum(shape, y))
			}
			v = c.largest(shape, self, f)
			continue
		}
		if f.id != none {
			v.id = c.add(ir.OpMax, "", shape, []ir.ValueID{v.id, c.einsum(shape, y).id}, nil).ID
			continue
		}
		if bound := float64(sign * f.coef); !exact && math.Abs(bound) > maxChosen {
			if v, err = c.above(&val{shape: shape, dtype: onnx.Float32, id: v.id}, 1, bound); err != nil {
				return nil, err
			}
			continue
		}
		over, err := c.unary("relu", c.einsum(shape, product(shape, 1, self), product(shape, -sign, f)))
		if err != nil {
			return nil, err
		}
		v = c.einsum(shape, product(shape, 1, factor{coef: 1, id: over.id, shape: shape}), y)
	}
	return []*val{c.einsum(shape, product(shape, sign, factor{coef: 1, id: v.id, shape: shape}))}, nil
}

// guarded is the only operand of a Max or Min that guards does not leave out; nil if there are others.
func (c *call) guarded() (kept *val, err error) {
	var shapes [][]int
	for _, v := range c.in {
		if v == nil {
			return nil, nil
		}
		shapes = append(shapes, v.shape)
		switch {
		case guards(c.n.Op, v):
		case kept != nil:
			return nil, nil
		default:
			kept = v
		}
	}
	if len(shapes) < 2 || kept == nil {
		return nil, nil
	}
	shape, err := broadcast(shapes...)
	if err != nil || !slices.Equal(shape, kept.shape) {
		return nil, err
	}
	return kept, nil
}

// guards says that an operand of a Max or Min is a public constant that is beyond all of single precision, where it makes no difference to the others.
func guards(op string, v *val) bool {
	sign := 1.0
	if op == "Min" {
		sign = -1
	}
	return v != nil && v.c != nil && v.mark == nil && v.dtype.IsFloat() && !slices.ContainsFunc(floats(v.c), func(x float64) bool { return !(float64(sign*x) <= -math.MaxFloat32) })
}

// fewIntegers bounds the magnitudes of integers whose maxima are looked up as they are.
const fewIntegers = 1 << 12

// few says that a value is of such integers.
func (b *builder) few(id ir.ValueID) bool {
	i := b.integers(id)
	return i != nil && i.In(-fewIntegers, fewIntegers)
}

func sub(c *call) ([]*val, error) {
	if err := c.swallows(); err != nil {
		return nil, err
	}
	fs, shape, err := c.operands()
	if err != nil || len(fs) != 2 {
		return nil, orCount(err, len(fs))
	}
	return []*val{c.einsum(shape, product(shape, 1, fs[0]), product(shape, -1, fs[1]))}, nil
}

func orCount(err error, n int) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("has %d inputs", n)
}

func mul(c *call) ([]*val, error) {
	fs, shape, err := c.operands()
	if err != nil || len(fs) != 2 {
		return nil, orCount(err, len(fs))
	}
	c.soften(fs)
	return []*val{c.einsum(shape, product(shape, 1, fs...))}, nil
}

// div multiplies by the reciprocal: of a constant at compile time, of an activation by a function.
func div(c *call) ([]*val, error) {
	if c.onIntegers() {
		return c.divideIntegers()
	}
	fs, shape, err := c.operands()
	if err != nil || len(fs) != 2 {
		return nil, orCount(err, len(fs))
	}
	d := c.in[1]
	switch {
	case fs[1].id == none:
		fs[1].coef = 1 / fs[1].coef
	case d.inputFree():
		t, err := d.force()
		if err != nil {
			return nil, err
		}
		if err := c.charge(1+copied(t), t.Shape...); err != nil {
			return nil, err
		}
		inv := *t
		inv.F = make([]float64, t.Len())
		inv.I = nil
		inv.DType = c.in[0].dtype
		for i, x := range floats(t) {
			inv.F[i] = 1 / x
		}
		r := *d
		r.name, r.id, r.w, r.c, r.private = d.name+".reciprocal", none, &inv, nil, d.private
		if d.c != nil {
			r.w, r.c = nil, &inv
		}
		if fs[1].id, err = c.use(&r); err != nil {
			return nil, err
		}
	default:
		r, err := c.unary("reciprocal", d)
		if err != nil {
			return nil, err
		}
		fs[1].id = r.id
	}
	return []*val{c.einsum(shape, product(shape, 1, fs...))}, nil
}

func neg(c *call) ([]*val, error) {
	fs, shape, err := c.operands()
	if err != nil || len(fs) != 1 {
		return nil, orCount(err, len(fs))
	}
	return []*val{c.einsum(shape, product(shape, -1, fs...))}, nil
}

// where selects by a constant condition: Σ of both branches times 0/1 constants. Infinite cells of a constant branch stay:
// masks are recognised by them.
func where(c *call) ([]*val, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	var sides [2]*val
	var err error
	for i := range sides {
		if sides[i], err = c.maskOr(c.in[i+1]); err != nil {
			return nil, err
		}
	}
	if !c.in[0].inputFree() {
		return one(c.choose(sides))
	}
	if v, err := c.zeroed(sides); v != nil || err != nil {
		return one(v, err)
	}
	if v, err := c.hiddenCondition(c.in[0], sides); v != nil || err != nil {
		return one(v, err)
	}
	cond, err := c.condition(c.in[0], sides[:])
	if err != nil {
		return nil, err
	}
	shape, err := broadcast(cond.Shape, c.in[1].shape, c.in[2].shape)
	if err != nil {
		return nil, err
	}
	var ts []ir.Term
	for side, v := range sides {
		if err := c.charge(2+copied(cond), cond.Shape...); err != nil {
			return nil, err
		}
		keep, all, any := selector(cond, side == 0)
		if !any {
			continue
		}
		t, err := c.chosen(shape, cond.Shape, keep, all, v)
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	v := c.einsum(shape, ts...)
	if v.masked = c.maskedOf(shape, ts); v.masked != nil && v.masked.hides() && c.onlyOrdered() {
		return one(c.behindMask(v.masked))
	}
	return []*val{v}, nil
}

// hiddenCondition is a Where whose condition is made of tensors of the file and masks nothing: the bits are a private weight, for they may
// be those of weights. It is nil where the condition is public.
func (c *call) hiddenCondition(v *val, sides [2]*val) (*val, error) {
	if v.mark == nil && v.c != nil || c.masksByCondition(sides[:]) || slices.ContainsFunc(sides[:], unbounded) {
		return nil, nil
	}
	shape, err := broadcast(v.shape, c.in[1].shape, c.in[2].shape)
	if err != nil {
		return nil, err
	}
	bits, err := c.factor(v)
	if err != nil {
		return nil, err
	}
	return c.selected(shape, bits, sides)
}

// selected is c·x + y − c·y.
func (c *call) selected(shape []int, cond factor, sides [2]*val) (*val, error) {
	var fs [2]factor
	for i, v := range sides {
		var err error
		if fs[i], err = c.factor(v); err != nil {
			return nil, err
		}
	}
	v := c.einsum(shape, product(shape, 1, cond, fs[0]), product(shape, 1, fs[1]), product(shape, -1, cond, fs[1]))
	if x, y := c.bounds(fs[0]), c.bounds(fs[1]); x != nil && y != nil && !sides[0].dtype.IsFloat() { // it is one of the two
		either := x.Or(*y)
		c.b.intervals[v.id] = &either
	}
	return v, nil
}

// masksByCondition says that a Where with these sides masks scores of a softmax, or puts cells behind all others of an order and does nothing else. Of
// −∞ nothing else is made.
func (c *call) masksByCondition(sides []*val) bool {
	either := func(is func(*val) bool) bool { return is(sides[0]) || is(sides[1]) }
	return either(func(v *val) bool { return hides(v) && onlyInfinite(v) }) || either(vanishing) && c.feedsSoftmax() || either(hides) && c.onlyOrdered()
}

// condition returns the cells of a Where's condition, which become constants of the circuit. Comparisons of tensors of the file
// may do so only as masks: one side makes softmax weights vanish. Elsewhere they would give away bits of weights.
func (c *call) condition(v *val, sides []*val) (*onnx.Tensor, error) {
	if v.mark == nil && v.c != nil {
		return v.c, nil
	}
	mask := c.masksByCondition(sides)
	switch {
	case v.private && (!mask || v.mark == nil || v.mark.forced):
		return nil, c.secret(v, "a condition")
	case v.private:
		c.pattern(v.mark, false)
	case !mask:
		c.b.commit(v)
	}
	return v.force()
}

// selector returns 1 where the condition has the given value.
func selector(cond interface{ Cells() []int64 }, want bool) (keep []float64, all, any bool) {
	all = true
	cells := cond.Cells()
	keep = make([]float64, len(cells))
	for i, x := range cells {
		if (x != 0) == want {
			keep[i], any = 1, true
		} else {
			all = false
		}
	}
	return keep, all, any
}

// chosen is the term of one branch of a Where.
func (c *call) chosen(shape, condShape []int, keep []float64, all bool, v *val) (ir.Term, error) {
	if all {
		f, err := c.factor(v)
		return product(shape, 1, f), err
	}
	if v.c == nil {
		f, err := c.factor(v)
		k := factor{1, c.public(c.n.Name+".where", condShape, keep), condShape}
		return product(shape, 1, f, k), err
	}
	c.b.commit(v)
	// A constant branch is cut out cell by cell: 0·∞ is not a number.
	cut, err := broadcast(condShape, v.shape)
	if err != nil {
		return ir.Term{}, err
	}
	if err := c.charge(2+copied(v.c), cut...); err != nil {
		return ir.Term{}, err
	}
	data := spread(c, keep, condShape, cut)
	for i, x := range spread(c, floats(v.c), v.shape, cut) {
		if data[i] != 0 {
			data[i] = x
		}
	}
	return product(shape, 1, factor{1, c.public(c.n.Name+".value", cut, data), cut}), nil
}

// trilu of an activation keeps a triangle: a product with a 0/1 constant.
func trilu(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	k, err := c.constInts(1, "k", []int64{0})
	if err != nil || len(x.shape) < 2 || len(k) != 1 {
		return nil, fmt.Errorf("needs a matrix and one diagonal: %w", err)
	}
	shape := x.shape[len(x.shape)-2:]
	if err := c.charge(1, shape...); err != nil {
		return nil, err
	}
	keep := make([]float64, ir.Size(shape))
	for i := range keep {
		if triangle(i/shape[1], i%shape[1], int(k[0]), c.attrInt("upper", 1) != 0) {
			keep[i] = 1
		}
	}
	f, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	return []*val{c.einsum(x.shape, product(x.shape, 1, f, factor{1, c.public(c.n.Name+".triangle", shape, keep), shape}))}, nil
}

func triangle(i, j, k int, upper bool) bool {
	if upper {
		return j-i >= k
	}
	return j-i <= k
}

// function is the handler of an elementwise function.
func function(fn string) handler {
	return func(c *call) ([]*val, error) {
		x, err := c.arg(0)
		if err != nil {
			return nil, err
		}
		return one(c.unary(fn, x))
	}
}

// relu is max(x, 0).
func relu(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil || x.dtype.IsFloat() {
		return function("relu")(c)
	}
	return spelling(func(c *call) (*onnx.Function, error) {
		s := c.speller("x")
		return s.function(s.add("Max", "x", s.constant(&onnx.Tensor{DType: x.dtype, I: []int64{0}})))
	}).handle(c)
}

func gelu(c *call) ([]*val, error) {
	switch a := c.attrString("approximate", "none"); a {
	case "none":
		return function("gelu")(c)
	case "tanh":
		return function("gelu_tanh")(c)
	default:
		return nil, fmt.Errorf("unknown approximation %q", a)
	}
}

// biasGelu is an activation function with an optional vector added first.
func biasGelu(fn string) handler {
	return func(c *call) ([]*val, error) {
		x, err := c.arg(0)
		if err != nil {
			return nil, err
		}
		if c.has(1) {
			s, err := sum(c)
			if err != nil {
				return nil, err
			}
			x = s[0]
		}
		return one(c.unary(fn, x))
	}
}

// swish is x·σ(αx).
func swish(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	alpha := c.attrFloat("alpha", 1)
	if c.n.Op == "QuickGelu" {
		alpha = c.attrFloat("alpha", 1.702)
	}
	f, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	s, err := c.unary("sigmoid", c.einsum(x.shape, product(x.shape, alpha, f)))
	if err != nil {
		return nil, err
	}
	return []*val{c.einsum(x.shape, product(x.shape, 1, f, factor{1, s.id, x.shape}))}, nil
}
