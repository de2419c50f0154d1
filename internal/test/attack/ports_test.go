package attack

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// ported is a function with public reals, private integers, a private mask, public and private ids; it reveals values and an arg-max
// with wide gaps, and hides an output.
func ported(b *circuit.Builder) {
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{2, 3}, Lo: -20, Hi: 30, Scale: 4, Reveal: circuit.Values})
	y := gadget.Input(b, "y", circuit.Port{Name: "y", Kind: circuit.Reals, Shape: []int{2, 3}, Lo: -20, Hi: 30, Scale: 4, Reveal: circuit.Values})
	k := gadget.Input(b, "k", circuit.Port{Name: "k", Kind: circuit.Integers, Shape: []int{2, 3}, Lo: -2, Hi: 3, Reveal: circuit.Nothing})
	m := gadget.Input(b, "mask", circuit.Port{Name: "mask", Kind: circuit.Booleans, Shape: []int{2}, Hi: 1, Reveal: circuit.Nothing})
	hidden := gadget.Input(b, "hidden", circuit.Port{Name: "hidden", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Nothing})
	ids := gadget.Input(b, "ids", circuit.Port{Name: "ids", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Values})
	e, f := gadget.Embed(b, "e", hidden, b.Weight("table", 4, 5, 3)), gadget.Embed(b, "f", ids, b.Weight("table2", 4, 5, 3))
	v := b.Virtual("v", []int{2, 3}, b.Times(1, "t,td,td->td t=2 d=3", m, x, k), circuit.Scaled(b, 2, y), circuit.Scaled(b, 1, e), circuit.Scaled(b, 1, f))
	out := gadget.Rescale(b, "out", v, 0, -64, 63)
	logits := b.Virtual("logits", []int{2, 4}, b.Times(512, "td,dv->tv t=2 d=3 v=4", out, b.Weight("head", 8, 3, 4)))
	gadget.Output(b, circuit.Port{Name: "out", Kind: circuit.Reals, Scale: 3, Reveal: circuit.Values}, out)
	gadget.Output(b, circuit.Port{Name: "class", Kind: circuit.Integers, Reveal: circuit.Argmax}, logits)
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Nothing}, logits)
}

var portedInputs = map[string][]int64{
	"x": {3, -2, 4, 5, 7, -9}, "y": {1, 2, 3, 4, 5, 6}, "k": {-2, 3, 1, 1, 1, 2}, "mask": {1, 1}, "hidden": {4, 2}, "ids": {0, 3}, // every one counts
}

// with is the statement of a function with the elements of one port changed.
func (u *subject) with(port string, change func(elements []int64)) *function.Statement {
	s := &function.Statement{Ports: slices.Clone(u.ports().Ports)}
	i := u.port(port)
	s.Ports[i] = slices.Clone(s.Ports[i])
	change(s.Ports[i])
	return s
}

func (u *subject) port(name string) int {
	return slices.IndexFunc(u.c.Ports, func(p circuit.Port) bool { return p.Name == name })
}

// otherElements are statements of a function with one element of a public input, or of what is told of an output, changed by one step.
func (u *subject) otherElements(outputs bool) (out []statement.Statement) {
	for i := range u.c.Ports {
		p := &u.c.Ports[i]
		if p.Out != outputs || !p.Public() {
			continue
		}
		for _, k := range u.some(len(u.ports().Ports[i])) {
			for _, d := range []int64{1, -1} {
				if s := u.with(p.Name, func(v []int64) { v[k] += d }); s.Check(u.c) == nil {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// otherInputs are lies about a public input: the program runs on another element and its outputs are claimed for the true one.
func (u *subject) otherInputs(t testing.TB) (out []named) {
	for i, s := range u.otherElements(false) {
		other := s.(*function.Statement)
		a, err := u.generate(lie{input: other})
		require.NoError(t, err)
		claim := &function.Statement{Ports: slices.Clone(u.ports().Ports)}
		same := true
		for k := range u.c.Ports {
			if p := &u.c.Ports[k]; p.Out && p.Public() {
				other.Fill(u.c, k, a.Tensor(p.T).All())
				same = same && slices.Equal(claim.Ports[k], other.Ports[k])
				claim.Ports[k] = other.Ports[k]
			}
		}
		if !same { // else the program gives one output for both
			out = append(out, named{what: fmt.Sprintf("element %d", i), lie: lie{input: other, claims: claim}})
		}
	}
	return u.first(4, out)
}

// Lies about ports, each next to the truth: a real that is off by one step, swapped ports, elements outside of their range, a mask that
// is no mask, private elements and rows that are none, an output that is not the program's, a private output that is told.
func rejectLiesAboutPorts(t *testing.T) {
	u := stage(t, "ports")
	truth := u.ports()
	t.Run("a real off by one step", func(t *testing.T) {
		for _, port := range []string{"x", "y", "out"} {
			u.mustReject(t, lie{claims: u.with(port, func(v []int64) { v[0]++ })})
			u.mustReject(t, claiming(u.with("out", func(v []int64) { v[5]-- })))
		}
	})
	t.Run("swapped ports", func(t *testing.T) {
		s := &function.Statement{Ports: slices.Clone(truth.Ports)}
		x, y := u.port("x"), u.port("y")
		s.Ports[x], s.Ports[y] = s.Ports[y], s.Ports[x]
		u.mustReject(t, lie{claims: s})
		u.mustReject(t, claiming(s))
	})
	t.Run("out of range", func(t *testing.T) {
		proof := u.proved(t)
		for port, v := range map[string]int64{"x": 31, "y": -21, "ids": 5, "class": 4, "out": u.c.Ports[u.port("out")].Hi + 1} {
			require.ErrorIs(t, u.vk.VerifyStatement(u.c, u.with(port, func(e []int64) { e[0] = v }), proof), function.ErrValue, port)
		}
	})
	t.Run("another arg-max", func(t *testing.T) {
		for i := range int64(4) {
			if s := u.with("class", func(v []int64) { v[1] = i }); i != truth.Ports[u.port("class")][1] {
				u.mustReject(t, claiming(s))
			}
		}
	})
	t.Run("private elements that are none", func(t *testing.T) {
		for name, l := range map[string]lie{
			"a mask of 2":                 {override: at("mask", 0, set(2))},
			"a mask of -1":                {override: at("mask", 1, set(-1))},
			"an integer below its range":  {override: at("k", 0, set(-3))},
			"an integer beyond its range": {override: at("k", 1, set(4))},
			"a row without an id":         {override: at("hidden", 4, set(0))},
			"a row with two ids":          {override: at("hidden", 0, set(1))},
			"half of each of two ids":     {override: both(at("hidden", 4, set(2)), at("hidden", 0, set(-1)))},
		} {
			t.Run(name, func(t *testing.T) { u.mustReject(t, u.followed(t, l)) })
		}
	})
	t.Run("an output of other private inputs", func(t *testing.T) {
		other := witness.PrivateInput{}
		for i, v := range u.private {
			other[i] = slices.Clone(v)
		}
		other[u.port("k")][0]++
		u.mustReject(t, lie{private: other})
	})
	t.Run("a private output that is told", func(t *testing.T) {
		proof := u.proved(t)
		for _, v := range []int64{0, 1} {
			s := &function.Statement{Ports: slices.Clone(truth.Ports)}
			s.Ports[u.port("logits")] = slices.Repeat([]int64{v}, 8)
			require.ErrorIs(t, u.vk.VerifyStatement(u.c, s, proof), function.ErrPrivate)
		}
	})
	t.Run("a statement of another kind", func(t *testing.T) {
		text := stage(t, "reveal logits")
		require.ErrorIs(t, u.vk.VerifyStatement(u.c, text.st, u.proved(t)), statement.ErrKind)
		require.ErrorIs(t, text.vk.VerifyStatement(text.c, u.st, text.proved(t)), statement.ErrKind)
	})
}

// followed is the lie with outputs claimed that follow from it, so that nothing but the lie itself is false.
func (u *subject) followed(t testing.TB, l lie) lie {
	t.Helper()
	a, err := u.generate(l)
	require.NoError(t, err)
	s := &function.Statement{Ports: slices.Clone(u.ports().Ports)}
	for i := range u.c.Ports {
		if p := &u.c.Ports[i]; p.Out {
			s.Fill(u.c, i, a.Tensor(p.T).All())
		}
	}
	require.NoError(t, s.Check(u.c))
	l.input, l.claims = s, s
	return l
}

// What is absorbed of a port binds every challenge: its name, elements, shape, range and scale, and what is told of it.
func rejectPortThatChallengesDoNotBind(t *testing.T) {
	u := stage(t, "ports")
	first := func(c *circuit.Circuit) field.Element {
		p := u.proof(t, u.st)
		p.Circuit = c
		return p.Transcript().Challenge("the first")
	}
	for i := range u.c.Ports {
		for what, change := range map[string]func(p *circuit.Port){
			"name": func(p *circuit.Port) { p.Name += "2" }, "range": func(p *circuit.Port) { p.Hi++ }, "scale": func(p *circuit.Port) { p.Scale++ },
			"elements": func(p *circuit.Port) { p.Kind++ }, "side": func(p *circuit.Port) { p.Out = !p.Out },
			"reveal": func(p *circuit.Port) { p.Reveal = p.Reveal%3 + 1 }, "shape": func(p *circuit.Port) { p.Shape = append(slices.Clone(p.Shape), 1) },
		} {
			changed := *u.c // with the digest of the true one, which would tell by itself
			changed.Ports = slices.Clone(u.c.Ports)
			change(&changed.Ports[i])
			require.NotEqual(t, first(u.c), first(&changed), "port %d: %s", i, what)
		}
	}
}
