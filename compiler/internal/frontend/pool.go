package frontend

import (
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Poolings: an average is a sum over the taps of a window, a maximum a tree of maxima over them, one axis after the other.

// poolArgs reads input and windows of a pooling.
func (c *call) poolArgs() (x *val, ws []window, err error) {
	if x, err = c.arg(0); err != nil {
		return nil, nil, err
	}
	if len(x.shape) < 3 || len(x.shape) > 5 {
		return nil, nil, c.unsupported("its input has shape %v; 1 to 3 axes behind batch and channels are supported", x.shape)
	}
	taps, err := c.perAxis("kernel_shape", len(x.shape)-2, 0, 1)
	if err != nil {
		return nil, nil, err
	}
	ws, err = c.windows(x.shape[2:], taps, make([]int, len(taps)), make([]int, len(taps)))
	return x, ws, err
}

// averagePool sums the windows and divides by the number of their cells, with those in the padding if count_include_pad says so.
func averagePool(c *call) ([]*val, error) {
	x, ws, err := c.poolArgs()
	if err != nil {
		return nil, err
	}
	return one(c.average(x, ws, c.attrInt("count_include_pad", 0) != 0))
}

func globalAverage(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	return one(c.average(x, everything(x.shape), false))
}

// everything is one window over all cells of the axes behind batch and channels.
func everything(shape []int) (ws []window) {
	for _, d := range shape[min(2, len(shape)):] {
		ws = append(ws, window{extent: d, out: 1, taps: d, input: 1, step: 1, dilation: 1})
	}
	return ws
}

func (c *call) average(x *val, ws []window, padded bool) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	lead := len(x.shape) - len(ws)
	shape := append([]int{}, x.shape[:lead]...)
	t := ir.Term{Coef: 1, In: []int{int(id)}, Axes: [][][]int{nil}}
	for l, d := range shape {
		t.Extents, t.Out, t.Axes[0] = append(t.Extents, d), append(t.Out, []int{l}), append(t.Axes[0], []int{l})
	}
	share, uneven, outs := []float64{1}, [][]int(nil), []int(nil) // over the axes on which windows count differently many cells
	for _, w := range ws {
		o, k := len(t.Extents), len(t.Extents)+1
		t.Extents, t.Out, shape = append(t.Extents, w.out, w.taps), append(t.Out, []int{o}), append(shape, w.out)
		if w.split() {
			t.Axes[0] = append(t.Axes[0], []int{o, k})
		} else {
			t.Extents = append(t.Extents, w.extent)
			t.Axes[0] = append(t.Axes[0], []int{k + 1})
			c.mapped(&t, w, 0, k+1, o, k)
		}
		s, err := c.shares(w, padded)
		if err != nil {
			return nil, err
		}
		if slices.Min(s) == slices.Max(s) {
			t.Coef = float64(t.Coef * s[0])
			continue
		}
		if share, err = c.outer(share, s); err != nil {
			return nil, err
		}
		uneven, outs = append(uneven, []int{o}), append(outs, w.out)
	}
	if uneven != nil {
		t.In, t.Axes = append(t.In, int(c.public(c.n.Name+".share", outs, share))), append(t.Axes, uneven)
	}
	return c.einsum(shape, t), checkCells(shape)
}

// outer is the products of the cells of two vectors.
func (c *call) outer(a, b []float64) ([]float64, error) {
	if err := c.charge(1, len(a), len(b)); err != nil {
		return nil, err
	}
	out := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, float64(x*y))
		}
	}
	return out, nil
}

// shares is 1 over the number of cells that each window counts: fewer where it lies over an edge and padding does not count.
func (c *call) shares(w window, padded bool) ([]float64, error) {
	if err := c.charge(1, w.out); err != nil {
		return nil, err
	}
	if err := c.work(w.out, w.taps); err != nil {
		return nil, err
	}
	out := make([]float64, w.out)
	for i := range out {
		n := 0
		for k := range w.taps {
			at, inside := w.at(i, k)
			if inside || padded && at >= -w.before && at < w.extent+w.after {
				n++
			}
		}
		if n == 0 {
			return nil, c.unsupported("window %d lies wholly in the padding and has no average", i)
		}
		out[i] = 1 / float64(n)
	}
	return out, nil
}

// maxPool takes the maximum along one axis after the other. The second result, the indices, is not computed.
func maxPool(c *call) ([]*val, error) {
	x, ws, err := c.poolArgs()
	if err != nil {
		return nil, err
	}
	return one(c.maxima(x, ws))
}

func globalMax(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	return one(c.maxima(x, everything(x.shape)))
}

func (c *call) maxima(x *val, ws []window) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	a, unary := c.b.g.Value(id).Def.Attr.(*ir.UnaryAttr)
	positive := unary && (a.Fn == "relu" || a.Fn == "sigmoid" || a.Fn == "exp") // then a zero in the padding changes nothing
	for i, w := range ws {
		if err := c.checkSeen(w); err != nil {
			return nil, err
		}
		if x, err = c.maxAlong(x, len(x.shape)-len(ws)+i, w, positive); err != nil {
			return nil, err
		}
	}
	y := *x
	return &y, nil
}

// checkSeen refuses windows that see nothing but padding: their maximum is minus infinity.
func (c *call) checkSeen(w window) error {
	if w.inside() {
		return nil
	}
	if err := c.work(w.out, w.taps); err != nil {
		return err
	}
	for o := range w.out {
		if _, ok := w.nearest(o, 0); !ok {
			return c.unsupported("window %d lies wholly in the padding and has no maximum", o)
		}
	}
	return nil
}

// maxAlong takes the maximum of the windows along an axis: of two halves of every window, which may overlap, then of two halves of what is
// left, and so on.
func (c *call) maxAlong(x *val, axis int, w window, positive bool) (*val, error) {
	if w.taps == 1 && w.split() {
		return x, nil
	}
	half := (w.taps + 1) / 2
	a, err := c.taps(x, axis, w, 0, half, positive)
	if err != nil || w.taps == 1 {
		return a, err
	}
	b, err := c.taps(x, axis, w, w.taps-half, half, positive)
	if err != nil {
		return nil, err
	}
	y := c.larger(a, b)
	for n := half; n > 1; n = half {
		half = (n + 1) / 2
		if a, err = c.selectAxis(y, axis+1, steps(0, 1, int64(half))); err != nil {
			return nil, err
		}
		if b, err = c.selectAxis(y, axis+1, steps(int64(n-half), 1, int64(half))); err != nil {
			return nil, err
		}
		y = c.larger(a, b)
	}
	return c.reshapeTo(y, append(append([]int{}, y.shape[:axis+1]...), y.shape[axis+2:]...))
}

func (c *call) larger(a, b *val) *val {
	v := c.add(ir.OpMax, "", a.shape, []ir.ValueID{a.id, b.id}, nil)
	return &val{shape: v.Shape, dtype: onnx.Float32, id: v.ID}
}

// taps gathers n taps of every window from one on, as an axis behind the windows; of one tap there is no such axis. What lies outside of x
// is zero where zeros change nothing, and the nearest tap of the window that lies inside otherwise.
func (c *call) taps(x *val, axis int, w window, first, n int, positive bool) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{axes}}
	in, o, k := len(t.Extents), len(t.Extents)+1, len(t.Extents)+2
	t.Extents = append(t.Extents, w.extent, w.out, n)
	t.Axes[0] = append([][]int{}, axes...)
	t.Axes[0][axis] = []int{in}
	used := make([]bool, len(ext)) // IdentityAxes has given the axis a label that nothing has any more
	for a, labels := range axes {
		for _, l := range labels {
			used[l] = a != axis
		}
	}
	for l := range used {
		if !used[l] {
			t.Extents[l] = 1
		}
	}
	shape := append(append([]int{}, x.shape[:axis]...), w.out)
	t.Out = append(append([][]int{}, axes[:axis]...), []int{o})
	if w.taps > 1 {
		t.Out, shape = append(t.Out, []int{k}), append(shape, n)
	}
	t.Out, shape = append(t.Out, axes[axis+1:]...), append(shape, x.shape[axis+1:]...)
	if positive || w.inside() {
		c.mapped(&t, w, first, in, o, k)
		return c.einsum(shape, t), checkCells(shape)
	}
	if err := c.charge(1, w.extent, w.out, n); err != nil {
		return nil, err
	}
	cells := make([]float64, w.extent*w.out*n)
	for i := range w.out {
		for j := range n {
			at, _ := w.nearest(i, first+j) // there is one: checkSeen
			cells[(at*w.out+i)*n+j] = 1
		}
	}
	t.In = append(t.In, int(c.public(c.n.Name+".window", []int{w.extent, w.out, n}, cells)))
	t.Axes = append(t.Axes, [][]int{{in}, {o}, {k}})
	return c.einsum(shape, t), checkCells(shape)
}

// nearest is the index that tap k of window o looks at, or the nearest other tap that looks at one.
func (w window) nearest(o, k int) (int, bool) {
	for far := 0; far < w.taps; far++ {
		for _, other := range [2]int{k - far, k + far} {
			if at, ok := w.at(o, other); ok && other >= 0 && other < w.taps {
				return at, true
			}
		}
	}
	return 0, false
}
