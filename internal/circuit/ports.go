package circuit

import (
	"encoding/binary"
	"fmt"
)

// Element says what the elements of a port are. A circuit knows integers only.
type Element uint8

// The kinds of elements.
const (
	IDs      Element = iota + 1 // indices in [0, n): Lo is 0, Hi is n−1
	Integers                    // in [Lo, Hi]
	Booleans                    // 0 or 1
	Reals                       // the integer x stands for x·2^−Scale
)

func (e Element) String() string {
	if e < IDs || e > Reals {
		return fmt.Sprintf("Element(%d)", uint8(e))
	}
	return [...]string{"ids", "integers", "booleans", "reals"}[e-1]
}

// Reveal says what of a port a statement tells. Of an input it is the values or nothing.
type Reveal uint8

// What a statement tells of a port.
const (
	Nothing Reveal = iota + 1 // private
	Values
	Argmax // of an output: the index of the first maximum along the last axis
)

func (r Reveal) String() string {
	if r < Nothing || r > Argmax {
		return fmt.Sprintf("Reveal(%d)", uint8(r))
	}
	return [...]string{"nothing", "values", "argmax"}[r-1]
}

// Port is a named input or output. Its elements, row-major in the given shape, are integers in [Lo, Hi].
type Port struct {
	Name   string
	Out    bool
	Kind   Element
	Shape  []int
	Lo, Hi int64
	Scale  int // Reals, 0 for all others
	Reveal Reveal
	T      ID // what carries it: for ids of an input one-hot rows, of one axis more; else a tensor of the port's shape
}

// maxScale bounds scales: 2^±120 are floats far from their limits.
const maxScale = 120

// Vocab is the number of ids of a port of that kind.
func (p *Port) Vocab() int { return int(p.Hi) + 1 }

// Public says whether a statement tells anything of the port.
func (p *Port) Public() bool { return p.Reveal != Nothing }

// Side is "input" or "output".
func (p *Port) Side() string {
	if p.Out {
		return "output"
	}
	return "input"
}

// Rows is the number of rows along the last axis, of which an arg-max has one index each.
func (p *Port) Rows() int { return Size(p.Shape[:len(p.Shape)-1]) }

// Bytes is what a proof absorbs of a port (SPEC.md 5.3): everything but the tensor.
func (p *Port) Bytes() []byte {
	var out []byte
	int := func(v int64) { out = binary.BigEndian.AppendUint64(out, uint64(v)) }
	int(int64(len(p.Name)))
	out = append(out, p.Name...)
	if p.Out {
		int(1)
	} else {
		int(0)
	}
	int(int64(p.Kind))
	int(int64(len(p.Shape)))
	for _, d := range p.Shape {
		int(int64(d))
	}
	for _, v := range [...]int64{p.Lo, p.Hi, int64(p.Scale), int64(p.Reveal)} {
		int(v)
	}
	return out
}

// View says how a Public tensor follows from a port and what a statement says of it.
type View uint8

// The views. T and V are length and vocabulary of a generation, a_t = 1 exactly at the positions whose prediction the statement claims.
const (
	PortValues  View = iota + 1 // the port's shape: its elements; of a generation its logits alone, the rows where a_t = 1, else 0
	OneHot                      // ids of an input, one axis more than the port: 1 at (x, id[x]), 0 where the id is hidden
	ArgmaxAt                    // an output's shape: 1 at (row, i), i the row's claimed index; no 1 in a row without
	ArgmaxBelow                 // an output's shape: 1 at (row, j) for j < i
	Selected                    // generation, [T]: a_t
	Known                       // generation, [T]: 1 where the token is public
)

// Generation says that a circuit reads a text and predicts what follows: of an input port of ids, shape [T], the first are the prompt,
// then comes the answer, then pads; row t of an output port, shape [T, V], predicts the token at t+1. Only a circuit whose row t
// depends on the tokens up to t may say so. All its fields but Pad follow from the ports.
type Generation struct {
	In, Out int   // ports
	Pad     int64 // the token behind the end
	Length  int   // T
	Vocab   int   // V
	Private bool  // the prompt is hidden
	Reveal  Reveal
	Output  ID // the logits
}

// Input declares an input port, whose tensor Carry names, and returns its number.
func (b *Builder) Input(p Port) int { return b.port(p, false) }

// Output declares an output port, carried by a tensor of its shape, and returns its number. Kind Reals or Integers; Lo and Hi are set to
// the tensor's bounds, with 0 among them.
func (b *Builder) Output(p Port, id ID) int {
	p.Shape, p.T = b.Shape(id), id
	lo, hi := b.Bounds(id)
	p.Lo, p.Hi = min(lo, 0), max(hi, 0)
	return b.port(p, true)
}

func (b *Builder) port(p Port, out bool) int {
	p.Out = out
	if !out {
		p.T = -1
	}
	p.Shape = append([]int(nil), p.Shape...)
	if err := p.check(); err != nil {
		b.Fail("%s %q: %v", p.Side(), p.Name, err)
	}
	for i := range b.c.Ports {
		if b.c.Ports[i].Name == p.Name {
			b.Fail("two ports have the name %q", p.Name)
		}
	}
	b.c.Ports = append(b.c.Ports, p)
	return len(b.c.Ports) - 1
}

// check refuses what no port can be, whatever the circuit.
func (p *Port) check() error {
	size := 1
	for _, d := range p.Shape {
		if d < 1 || d > 1<<30/size {
			return fmt.Errorf("unusable shape %v", p.Shape)
		}
		size *= d
	}
	switch {
	case p.Name == "" || len(p.Name) > 4096:
		return fmt.Errorf("a port needs a name of at most 4096 bytes")
	case len(p.Shape) == 0:
		return fmt.Errorf("it needs at least one axis")
	case p.Kind < IDs || p.Kind > Reals:
		return fmt.Errorf("unknown kind of elements %d", p.Kind)
	case p.Reveal < Nothing || p.Reveal > Argmax:
		return fmt.Errorf("unknown reveal mode %d", p.Reveal)
	case !p.Out && p.Reveal == Argmax:
		return fmt.Errorf("an arg-max is of outputs")
	case p.Reveal == Argmax && len(p.Shape) < 2:
		return fmt.Errorf("an arg-max along the last axis needs an axis of rows before it, the shape is %v", p.Shape)
	case p.Out && p.Kind != Integers && p.Kind != Reals:
		return fmt.Errorf("outputs are integers or reals, not %v", p.Kind)
	case p.Lo > p.Hi || p.Lo <= -MaxBound || p.Hi >= MaxBound:
		return fmt.Errorf("range [%d, %d]; it must lie strictly between -2^62 and 2^62", p.Lo, p.Hi)
	case p.Kind == IDs && (p.Lo != 0 || p.Hi < 1 || p.Hi >= 1<<31-1):
		return fmt.Errorf("ids in [%d, %d]; they begin at 0, and there are at least 2", p.Lo, p.Hi)
	case p.Kind == Booleans && (p.Lo != 0 || p.Hi != 1):
		return fmt.Errorf("booleans in [%d, %d]", p.Lo, p.Hi)
	case p.Kind != Reals && p.Scale != 0:
		return fmt.Errorf("scale %d of %v, which have none", p.Scale, p.Kind)
	case p.Scale < -maxScale || p.Scale > maxScale:
		return fmt.Errorf("scale %d is not in %d..%d", p.Scale, -maxScale, maxScale)
	}
	return nil
}

// Carry names the tensor that carries a port.
func (b *Builder) Carry(port int, id ID) {
	if b.hasPort(port) && b.has(id) {
		b.c.Ports[port].T = id
	}
}

func (b *Builder) hasPort(port int) bool {
	if port < 0 || port >= len(b.c.Ports) {
		b.Fail("there is no port %d", port)
		return false
	}
	return true
}

// Port returns a port that was declared. The caller must not change it.
func (b *Builder) Port(port int) Port {
	if !b.hasPort(port) {
		return Port{}
	}
	return b.c.Ports[port]
}

// Ports returns the ports that were declared. The caller must not change them.
func (b *Builder) Ports() []Port { return b.c.Ports }

// Generation says that the circuit's statements are generations. It is called before ports are declared; Finish fills the rest in.
func (b *Builder) Generation(pad int64) {
	if len(b.c.Ports) > 0 || b.c.Generation != nil {
		b.Fail("the kind of statement is declared once, before the ports")
	}
	b.c.Generation = &Generation{Pad: pad, In: -1, Out: -1, Output: -1}
}

// Generates says whether Generation was called.
func (b *Builder) Generates() bool { return b.c.Generation != nil }

// View declares a Public tensor, which both sides compute from the statement.
func (b *Builder) View(name string, view View, port int) ID {
	if !b.hasPort(port) {
		return -1
	}
	t, ok := b.c.view(view, port)
	if !ok {
		p := &b.c.Ports[port]
		b.Fail("tensor %s: view %d is none of the %s port %q of %v", name, view, p.Side(), p.Name, p.Kind)
		return -1
	}
	t.Name = name
	return b.add(t)
}

// view is a tensor of a view of a port, but for its name; false if the port has no such view.
func (c *Circuit) view(view View, port int) (t Tensor, ok bool) {
	p := &c.Ports[port]
	t = Tensor{Kind: Public, View: view, Port: port, Hi: 1}
	switch {
	case view == PortValues && (p.Out || c.Generation == nil):
		t.Shape, t.Lo, t.Hi = p.Shape, p.Lo, p.Hi
	case view == OneHot && p.Kind == IDs && !p.Out:
		t.Shape = append(append([]int(nil), p.Shape...), p.Vocab())
	case (view == ArgmaxAt || view == ArgmaxBelow) && p.Out:
		t.Shape = p.Shape
	case (view == Selected && p.Out || view == Known && !p.Out) && c.Generation != nil && len(p.Shape) > 0:
		t.Shape = p.Shape[:1]
	default:
		return t, false
	}
	return t, true
}

// checkView refuses a public tensor that no statement has cells for: a view that the port does not have, with another shape or other
// bounds, or of what the port does not tell. A generation has cells for every view: rows that its statement does not tell are zero.
func (c *Circuit) checkView(t *Tensor) error {
	if t.Port < 0 || t.Port >= len(c.Ports) {
		return fmt.Errorf("circuit %s: public tensor %s is of no port", c.Name, t.Name)
	}
	p := &c.Ports[t.Port]
	want, ok := c.view(t.View, t.Port)
	told := p.Reveal == Values
	if t.View == ArgmaxAt || t.View == ArgmaxBelow {
		told = p.Reveal == Argmax
	}
	told = told || c.Generation != nil
	if !ok || !told || !equalShape(t.Shape, want.Shape) || t.Lo != want.Lo || t.Hi != want.Hi {
		return fmt.Errorf("circuit %s: %s %q: %w: tensor %s shows what it does not tell (view %d of %v)", c.Name, p.Side(), p.Name, ErrUnbound, t.Name, t.View, p.Reveal)
	}
	return nil
}

// finishPorts checks the ports, and completes what is said of a generation.
func (c *Circuit) finishPorts() error {
	if g := c.Generation; g != nil {
		if err := c.finishGeneration(g); err != nil {
			return fmt.Errorf("circuit %s: generation: %w", c.Name, err)
		}
	}
	for i := range c.Tensors {
		if t := &c.Tensors[i]; t.Kind == Public {
			if err := c.checkView(t); err != nil {
				return err
			}
		}
	}
	carries := map[ID]bool{}
	for i := range c.Ports {
		p := &c.Ports[i]
		err := c.checkPort(i, p)
		if err == nil && !p.Out && carries[p.T] {
			err = fmt.Errorf("%w alone: that of another input does", ErrCarried)
		}
		if err != nil {
			return fmt.Errorf("circuit %s: %s %q: %w", c.Name, p.Side(), p.Name, err)
		}
		carries[p.T] = carries[p.T] || !p.Out
	}
	return nil
}

func (c *Circuit) finishGeneration(g *Generation) error {
	for i := range c.Ports {
		at := &g.In
		if c.Ports[i].Out {
			at = &g.Out
		}
		if *at >= 0 {
			return fmt.Errorf("it has one input and one output, this circuit has more")
		}
		*at = i
	}
	if g.In < 0 || g.Out < 0 {
		return fmt.Errorf("it needs an input and an output")
	}
	in, out := &c.Ports[g.In], &c.Ports[g.Out]
	switch {
	case in.Kind != IDs || len(in.Shape) != 1:
		return fmt.Errorf("its input is %v of shape %v, want ids of shape [T]", in.Kind, in.Shape)
	case !equalShape(out.Shape, []int{in.Shape[0], in.Vocab()}):
		return fmt.Errorf("its output has shape %v, want [%d %d]", out.Shape, in.Shape[0], in.Vocab())
	case !out.Public():
		return fmt.Errorf("its output is private: it would claim nothing")
	case g.Pad < 0 || g.Pad > in.Hi:
		return fmt.Errorf("pad id %d is outside the vocabulary of %d", g.Pad, in.Vocab())
	}
	g.Length, g.Vocab, g.Private, g.Reveal, g.Output = in.Shape[0], in.Vocab(), !in.Public(), out.Reveal, out.T
	return nil
}

// HasClaim says whether statements about the circuit claim anything: whether something of an output is revealed.
func (c *Circuit) HasClaim() bool {
	for i := range c.Ports {
		if c.Ports[i].Out && c.Ports[i].Public() {
			return true
		}
	}
	return false
}

// StatementKind names what a proof about the circuit is about.
func (c *Circuit) StatementKind() string {
	if c.Generation != nil {
		return "generation"
	}
	return "function"
}
