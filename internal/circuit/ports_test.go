package circuit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// ported has a port of every kind: public and private reals, booleans and ids in, values, an arg-max and a private output out.
func ported() *circuit.Builder {
	b := circuit.NewBuilder(circuit.Config{Name: "ported", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{2, 3}, Lo: -20, Hi: 30, Scale: 4, Reveal: circuit.Values})
	y := gadget.Input(b, "y", circuit.Port{Name: "y", Kind: circuit.Integers, Shape: []int{2, 3}, Lo: -2, Hi: 3, Reveal: circuit.Nothing})
	m := gadget.Input(b, "mask", circuit.Port{Name: "mask", Kind: circuit.Booleans, Shape: []int{2}, Hi: 1, Reveal: circuit.Nothing})
	ids := gadget.Input(b, "ids", circuit.Port{Name: "ids", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Nothing})
	more := gadget.Input(b, "more", circuit.Port{Name: "more", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Values})
	e := gadget.Embed(b, "e", ids, b.Weight("table", 4, 5, 3))
	f := gadget.Embed(b, "f", more, b.Weight("table2", 4, 5, 3))
	v := b.Virtual("v", []int{2, 3}, b.Times(1, "t,td,td->td t=2 d=3", m, x, y), circuit.Scaled(b, 1, e), circuit.Scaled(b, 1, f))
	out := gadget.Rescale(b, "out", v, 2, -16, 15)
	logits := b.Virtual("logits", []int{2, 4}, b.Times(1, "td,dv->tv t=2 d=3 v=4", out, b.Weight("head", 16, 3, 4)))
	gadget.Output(b, circuit.Port{Name: "out", Kind: circuit.Reals, Scale: 3, Reveal: circuit.Values}, out)
	gadget.Output(b, circuit.Port{Name: "class", Kind: circuit.Integers, Reveal: circuit.Argmax}, logits)
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Nothing}, logits)
	return b
}

// unboundPorts are changes of a circuit by which a port is no longer bound to what it says.
var unboundPorts = map[string]struct {
	why    error
	damage func(c *circuit.Circuit)
}{
	"no tensor":                 {circuit.ErrCarried, func(c *circuit.Circuit) { port(c, "x").T = -1 }},
	"a tensor of another shape": {circuit.ErrCarried, func(c *circuit.Circuit) { port(c, "x").T = port(c, "mask").T }},
	"two inputs in one tensor": {circuit.ErrCarried, func(c *circuit.Circuit) {
		c.Hints = nil
		p := port(c, "mask")
		*p = *port(c, "y")
		p.Name = "mask"
	}},
	"an output of another shape":       {circuit.ErrCarried, func(c *circuit.Circuit) { port(c, "out").T = port(c, "class").T }},
	"a public input that is committed": {circuit.ErrUnbound, func(c *circuit.Circuit) { c.Hints, port(c, "y").Reveal = nil, circuit.Values }},
	"a private input that is public":   {circuit.ErrUnbound, func(c *circuit.Circuit) { port(c, "x").Reveal = circuit.Nothing }},
	"swapped ports":                    {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "x").Port = 1 }},
	"a private input beyond its range": {circuit.ErrUnbound, func(c *circuit.Circuit) { port(c, "y").Hi = 2 }},
	"a mask that may be 2":             {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "mask").Hi = 2 }},
	"rows of ids that may be empty":    {circuit.ErrUnbound, func(c *circuit.Circuit) { unzero(c, "ids.sum") }},
	"rows of ids that sum up to 2":     {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "ids.sum").Def[1].Coef = -2 }},
	"values without a zero-check":      {circuit.ErrUnbound, func(c *circuit.Circuit) { unzero(c, "reveal") }},
	"twice the values":                 {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "reveal").Def[1].Coef = -2 }},
	"values of another tensor":         {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "reveal").Def[0].Factors[0].T = named(c, "v").ID }},
	"an arg-max without its lookup": {circuit.ErrUnbound, func(c *circuit.Circuit) {
		c.Lookups = slices.DeleteFunc(c.Lookups, func(l circuit.Lookup) bool { return c.Tensor(l.Cols[0]).Name == "reveal.gap.limb0" })
	}},
	"an arg-max that may be beaten": {circuit.ErrUnbound, func(c *circuit.Circuit) {
		for i := range c.Lookups {
			if l := &c.Lookups[i]; c.Tensor(l.Cols[0]).Name == "reveal.gap.limb0" {
				l.Table = c.Lookups[0].Table // that of y, from -2 on
			}
		}
	}},
	"an arg-max with a negative limb": {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "reveal.gap.limb1").Lo = -1 }},
	"an arg-max with a limb added":    {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "reveal.gap.limb0").Def[1].Coef *= -1 }},
	"an arg-max with ties":            {circuit.ErrUnbound, func(c *circuit.Circuit) { d := named(c, "reveal.gap"); d.Def = d.Def[:2] }},
	"the best of another tensor":      {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "reveal.best").Def[0].Factors[1].T = named(c, "reveal.at").ID }},
	"an output of constants":          {circuit.ErrVacuous, func(c *circuit.Circuit) { constant(c, "out") }},
	"an output of public values":      {circuit.ErrVacuous, func(c *circuit.Circuit) { port(c, "out").T = named(c, "reveal.values").ID }},
	"an output that is what is claimed of it": {circuit.ErrUnbound, func(c *circuit.Circuit) { // the witness beside it is 0
		carrier := *named(c, "reveal")
		carrier.ID, carrier.Name, carrier.Lo, carrier.Hi = circuit.ID(len(c.Tensors)), "claimed", -32, 32
		carrier.Def = append([]circuit.Term(nil), carrier.Def...)
		carrier.Def[1].Coef = 1
		tie := carrier
		tie.ID, tie.Name = carrier.ID+1, "tie"
		tie.Def = []circuit.Term{carrier.Def[0], named(c, "reveal").Def[1]}
		tie.Def[0].Factors = []circuit.Factor{{T: carrier.ID, Axes: carrier.Def[0].Factors[0].Axes}}
		c.Tensors, c.Zeros = append(c.Tensors, carrier, tie), append(c.Zeros, tie.ID)
		port(c, "out").T = carrier.ID
	}},
	"an output that hints make of what is claimed": {circuit.ErrUnbound, func(c *circuit.Circuit) {
		for i := range c.Hints {
			if slices.Contains(c.Hints[i].Out, port(c, "out").T) {
				c.Hints[i].In[0] = named(c, "reveal.values").ID
			}
		}
	}},
	"a view of what is private":        {circuit.ErrUnbound, func(c *circuit.Circuit) { show(c, circuit.PortValues, "y") }},
	"the values of an arg-max":         {circuit.ErrUnbound, func(c *circuit.Circuit) { show(c, circuit.PortValues, "class") }},
	"the arg-max of values":            {circuit.ErrUnbound, func(c *circuit.Circuit) { show(c, circuit.ArgmaxAt, "out") }},
	"rows of private ids":              {circuit.ErrUnbound, func(c *circuit.Circuit) { show(c, circuit.OneHot, "ids") }},
	"a tensor behind the last":         {circuit.ErrCarried, func(c *circuit.Circuit) { port(c, "x").T = circuit.ID(len(c.Tensors)) }},
	"a public input that is a weight":  {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "x").Kind = circuit.Weight }},
	"a private input that is constant": {circuit.ErrUnbound, func(c *circuit.Circuit) { constant(c, "y") }},
	"a public tensor of port -1":       {nil, func(c *circuit.Circuit) { named(c, "x").Port = -1 }},
	"a public tensor of no port":       {nil, func(c *circuit.Circuit) { named(c, "x").Port = len(c.Ports) }},
	"values in another shape": {circuit.ErrUnbound, func(c *circuit.Circuit) { // that nothing is made of
		turned := *named(c, "x")
		turned.ID, turned.Shape = circuit.ID(len(c.Tensors)), []int{3, 2}
		c.Tensors = append(c.Tensors, turned)
	}},
	"values from another least one": {circuit.ErrUnbound, func(c *circuit.Circuit) {
		other := *named(c, "x")
		other.ID, other.Lo = circuit.ID(len(c.Tensors)), other.Lo+1
		c.Tensors = append(c.Tensors, other)
	}},
	"values that are turned": {circuit.ErrUnbound, func(c *circuit.Circuit) {
		named(c, "reveal").Def[0].Factors[0].Axes = [][]int{{1}, {0}}
	}},
	"values in other bounds":          {circuit.ErrUnbound, func(c *circuit.Circuit) { named(c, "reveal.values").Hi-- }},
	"a public input that is not used": {circuit.ErrUnused, func(c *circuit.Circuit) { named(c, "v").Def[2].Factors[0].T = named(c, "e").ID }},
}

// What ties a statement to a circuit is looked for by Finish: with any one of these constraints gone or changed the circuit is refused.
func TestPortsMustBeBound(t *testing.T) {
	control := ported()
	_, err := control.Finish()
	require.NoError(t, err, "the control")
	var verdicts second.Verdicts
	verdicts.Add("the control", encoding(control.Unfinished()), nil)
	for name, test := range unboundPorts {
		t.Run(name, func(t *testing.T) {
			b := ported()
			test.damage(b.Unfinished())
			_, err := b.Finish()
			verdicts.Add(name, encoding(b.Unfinished()), err)
			if test.why == nil {
				require.ErrorContains(t, err, "is of no port")
				return
			}
			require.ErrorIs(t, err, test.why)
		})
	}
	verdicts.Compare(t, second.Circuit)
}

// Two inputs that are alike and carry each other's tensors, and one that is carried by a table's multiplicities, which nothing bounds.
func TestPortsOfOthersTensors(t *testing.T) {
	p := circuit.Port{Kind: circuit.Integers, Shape: []int{2}, Lo: -2, Hi: 1, Reveal: circuit.Values}
	for name, test := range map[string]struct {
		why    string
		change func(b *circuit.Builder)
	}{
		"control":   {"", func(*circuit.Builder) {}},
		"exchanged": {"tensor b is not computed from it", func(b *circuit.Builder) { b.Carry(0, b.Ports()[1].T); b.Carry(1, 0) }},
		"multiplicities": {"is no witness within its range", func(b *circuit.Builder) {
			table := gadget.Range(b, 0, 1)
			b.Lookup(table, b.Weight("w", 1, 2))
			many := b.Input(circuit.Port{Name: "many", Kind: circuit.Integers, Shape: []int{2}, Hi: 1<<31 - 1, Reveal: circuit.Nothing})
			b.Carry(many, b.Unfinished().Tables[table].Mult)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBuilder(circuit.Config{Name: "alike", WeightBits: 4, WitnessBits: 4})
			for _, name := range []string{"a", "b"} {
				p.Name = name
				b.Lookup(gadget.Range(b, -2, 1), gadget.Input(b, name, p))
			}
			test.change(b)
			_, err := b.Finish()
			if test.why == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, circuit.ErrUnbound)
			require.ErrorContains(t, err, test.why)
		})
	}
}

// show makes the public tensor of x one of another view, of the same shape as far as the port allows.
func show(c *circuit.Circuit, view circuit.View, name string) {
	p, t := port(c, name), named(c, "x")
	t.View, t.Shape, t.Lo, t.Hi = view, p.Shape, 0, 1
	if view == circuit.PortValues {
		t.Lo, t.Hi = p.Lo, p.Hi
	}
	if view == circuit.OneHot {
		t.Shape = append(slices.Clone(p.Shape), p.Vocab())
	}
	t.Port = slices.IndexFunc(c.Ports, func(q circuit.Port) bool { return q.Name == name })
}

func port(c *circuit.Circuit, name string) *circuit.Port {
	for i := range c.Ports {
		if c.Ports[i].Name == name {
			return &c.Ports[i]
		}
	}
	panic(name)
}

func named(c *circuit.Circuit, name string) *circuit.Tensor {
	for i := range c.Tensors {
		if c.Tensors[i].Name == name {
			return &c.Tensors[i]
		}
	}
	panic(name)
}

// unzero takes a zero-check away.
func unzero(c *circuit.Circuit, name string) {
	c.Zeros = slices.DeleteFunc(c.Zeros, func(id circuit.ID) bool { return c.Tensor(id).Name == name })
}

// constant makes a tensor one of the circuit.
func constant(c *circuit.Circuit, name string) {
	d := named(c, name)
	d.Kind, d.Values = circuit.Const, make([]int64, circuit.Size(d.Shape))
	c.Hints = slices.DeleteFunc(c.Hints, func(h circuit.Hint) bool { return slices.Contains(h.Out, d.ID) })
}

// A generation in which one of its ties is missing.
func TestGenerationsMustBeBound(t *testing.T) {
	var verdicts second.Verdicts
	for name, test := range map[string]struct {
		why    string
		damage func(c *circuit.Circuit)
	}{
		"control":                               {"", func(*circuit.Circuit) {}},
		"answer tokens that are not compared":   {"the tokens of the answer are not checked", func(c *circuit.Circuit) { unzero(c, "tokens.agree") }},
		"answer tokens compared with none":      {"the tokens of the answer are not checked", func(c *circuit.Circuit) { named(c, "tokens.agree").Def[1].Coef = 0 }},
		"values at positions that are not told": {"no constraint ties it", func(c *circuit.Circuit) { named(c, "reveal").Def[0].Factors[0].T = named(c, "tokens.known").ID }},
		"a private output":                      {"its output is private", func(c *circuit.Circuit) { port(c, "logits").Reveal = circuit.Nothing }},
		"a pad beyond the vocabulary":           {"pad id 4 is outside", func(c *circuit.Circuit) { c.Generation.Pad = 4 }},
		"a pad below 0":                         {"pad id -1 is outside", func(c *circuit.Circuit) { c.Generation.Pad = -1 }},
		"another vocabulary":                    {"its output has shape", func(c *circuit.Circuit) { port(c, "tokens").Hi = 4 }},
		"no output":                             {"needs an input and an output", func(c *circuit.Circuit) { c.Ports = c.Ports[:1] }},
		"values of the tokens": {"shows what it does not tell", func(c *circuit.Circuit) { // rows of logits are no tokens
			p, t := port(c, "tokens"), named(c, "tokens.known")
			t.View, t.Lo, t.Hi = circuit.PortValues, p.Lo, p.Hi
		}},
		"two inputs":         {"this circuit has more", func(c *circuit.Circuit) { c.Ports = append(c.Ports, c.Ports[0]) }},
		"no input":           {"needs an input and an output", func(c *circuit.Circuit) { c.Ports, c.Hints = c.Ports[1:], nil }},
		"tokens of two axes": {"want ids of shape [T]", func(c *circuit.Circuit) { port(c, "tokens").Shape = []int{3, 1} }},
		"answer tokens compared with themselves": {"the tokens of the answer are not checked", func(c *circuit.Circuit) {
			f := &named(c, "tokens.agree").Def[0].Factors
			*f = (*f)[:1]
		}},
		"two outputs":         {"this circuit has more", func(c *circuit.Circuit) { c.Ports = append(c.Ports, c.Ports[1]) }},
		"integers for tokens": {"want ids", func(c *circuit.Circuit) { port(c, "tokens").Kind = circuit.Integers }},
	} {
		t.Run(name, func(t *testing.T) {
			text := witnesstest.Text{Name: "text", Length: 3, Vocab: 4, Reveal: circuit.Values, PrivateInput: true, WeightBits: 4, WitnessBits: 4}
			b := text.Builder()
			x := gadget.Embed(b, "x", text.Tokens(b), b.Weight("table", 4, 4, 4))
			text.Logits(b, b.Virtual("logits", []int{3, 4}, circuit.Scaled(b, 3, x)))
			test.damage(b.Unfinished())
			_, err := b.Finish()
			verdicts.Add(name, encoding(b.Unfinished()), err)
			if test.why == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.why)
		})
	}
	verdicts.Compare(t, second.Circuit)
}

// ports are changes of a port that can be, and why those that cannot be are refused.
var ports = map[string]struct {
	why    string
	change func(p *circuit.Port)
}{
	"control":            {"", func(*circuit.Port) {}},
	"no name":            {"needs a name", func(p *circuit.Port) { p.Name = "" }},
	"no axis":            {"at least one axis", func(p *circuit.Port) { p.Shape = nil }},
	"no cells":           {"unusable shape", func(p *circuit.Port) { p.Shape = []int{2, 0} }},
	"too many cells":     {"unusable shape", func(p *circuit.Port) { p.Shape = []int{1 << 16, 1 << 16} }},
	"a cell too many":    {"unusable shape", func(p *circuit.Port) { p.Shape = []int{1<<30 + 1} }},
	"a long name":        {"at most 4096 bytes", func(p *circuit.Port) { p.Name = strings.Repeat("x", 4097) }},
	"unknown elements":   {"unknown kind", func(p *circuit.Port) { p.Kind = 5 }},
	"no elements":        {"unknown kind", func(p *circuit.Port) { p.Kind = 0 }},
	"unknown reveal":     {"unknown reveal", func(p *circuit.Port) { p.Reveal = 0 }},
	"another reveal":     {"unknown reveal", func(p *circuit.Port) { p.Reveal = 4 }},
	"arg-max in":         {"an arg-max is of outputs", func(p *circuit.Port) { p.Reveal = circuit.Argmax }},
	"empty range":        {"range [1, 0]", func(p *circuit.Port) { p.Lo, p.Hi = 1, 0 }},
	"range of 2^62":      {"strictly between", func(p *circuit.Port) { p.Hi = 1 << 62 }},
	"range of -2^62":     {"strictly between", func(p *circuit.Port) { p.Lo = -1 << 62 }},
	"booleans up to 2":   {"booleans in [0, 2]", func(p *circuit.Port) { p.Kind, p.Scale, p.Lo, p.Hi = circuit.Booleans, 0, 0, 2 }},
	"ids from 1":         {"begin at 0", func(p *circuit.Port) { p.Kind, p.Scale, p.Lo = circuit.IDs, 0, 1 }},
	"booleans from 1":    {"booleans in [1, 1]", func(p *circuit.Port) { p.Kind, p.Scale, p.Lo, p.Hi = circuit.Booleans, 0, 1, 1 }},
	"2^31 ids":           {"at least 2", func(p *circuit.Port) { p.Kind, p.Scale, p.Lo, p.Hi = circuit.IDs, 0, 0, 1<<31-1 }},
	"one id":             {"at least 2", func(p *circuit.Port) { p.Kind, p.Scale, p.Lo, p.Hi = circuit.IDs, 0, 0, 0 }},
	"scaled integers":    {"scale 3", func(p *circuit.Port) { p.Kind = circuit.Integers }},
	"a scale beyond all": {"scale 121", func(p *circuit.Port) { p.Scale = 121 }},
	"a scale below all":  {"scale -121", func(p *circuit.Port) { p.Scale = -121 }},
}

// What no port can be.
func TestRefusedPorts(t *testing.T) {
	good := circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{2}, Lo: -8, Hi: 7, Scale: 3, Reveal: circuit.Values}
	for name, test := range ports {
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBuilder(circuit.Config{Name: "refusals", WeightBits: 4, WitnessBits: 4})
			p := good
			test.change(&p)
			i := b.Input(p)
			if test.why == "" {
				x := b.View("x", circuit.PortValues, i)
				b.Carry(i, x)
				b.Lookup(gadget.Range(b, -8, 7), x)
			}
			_, err := b.Finish()
			if test.why == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.why)
		})
	}
	for name, build := range map[string]func(b *circuit.Builder){
		"two ports have the name": func(b *circuit.Builder) { b.Input(good); b.Input(good) },
		"there is no port 1":      func(b *circuit.Builder) { b.Input(good); b.View("v", circuit.PortValues, 1) },
		"there is no port -1":     func(b *circuit.Builder) { b.Carry(-1, 0) },
		"is none of the input":    func(b *circuit.Builder) { b.View("v", circuit.OneHot, b.Input(good)) },
		"view 5 is none":          func(b *circuit.Builder) { b.View("v", circuit.Selected, b.Input(good)) },
		"view 6 is none":          func(b *circuit.Builder) { b.View("v", circuit.Known, b.Input(good)) },
		"declared once":           func(b *circuit.Builder) { b.Input(good); b.Generation(0) },
		"declared once, before":   func(b *circuit.Builder) { b.Generation(0); b.Generation(1) },
		"not ids": func(b *circuit.Builder) {
			x := b.Weight("x", 4, 2)
			b.Output(circuit.Port{Name: "y", Kind: circuit.IDs, Reveal: circuit.Values}, x)
		},
		"an axis of rows": func(b *circuit.Builder) {
			x := b.Weight("x", 4, 2)
			b.Output(circuit.Port{Name: "y", Kind: circuit.Reals, Reveal: circuit.Argmax}, x)
		},
	} {
		b := circuit.NewBuilder(circuit.Config{Name: "refusals", WeightBits: 4, WitnessBits: 4})
		build(b)
		_, err := b.Finish()
		require.ErrorContains(t, err, name)
	}
}
