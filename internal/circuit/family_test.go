package circuit_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// kin is what circuits of one family have alike, but for the shape of the input.
type kin struct {
	cfg        circuit.Config
	generation bool
	pad        int64
	in, out    circuit.Port
	embed      string
	head       []int // shape of a weight
	bits       int   // of it
	more       bool  // another weight before it
	private    bool  // another input
}

// relative is a circuit of so many positions, with a change.
func relative(t *testing.T, length int, change func(k *kin)) *circuit.Circuit {
	t.Helper()
	k := kin{cfg: circuit.Config{Name: "kin", WeightBits: 4, WitnessBits: 4}, generation: true, pad: 1, embed: "embed", head: []int{5, 4}, bits: 6}
	k.in = circuit.Port{Name: "ids", Kind: circuit.IDs, Shape: []int{length}, Hi: 4, Reveal: circuit.Values}
	k.out = circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Argmax}
	if change != nil {
		change(&k)
	}
	b := circuit.NewBuilder(k.cfg)
	if k.generation {
		b.Generation(k.pad)
	}
	n, v := k.in.Shape[0], int(k.in.Hi)+1
	x := gadget.Embed(b, "x", gadget.Input(b, "ids", k.in), b.Weight(k.embed, 6, v, 4))
	times := func(spec string, x, y circuit.ID) circuit.Term {
		return b.Times(1, fmt.Sprintf("%s t=%d v=%d d=4", spec, n, v), x, y)
	}
	if k.more {
		x = b.Virtual("doubled", []int{n, 4}, b.Times(1, fmt.Sprintf("td,d->td t=%d d=4", n), x, b.Weight("more", 4, 4)))
	}
	if k.private {
		x = b.Virtual("shifted", []int{n, 4}, circuit.Scaled(b, 1, x),
			circuit.Scaled(b, 1, gadget.Input(b, "shift", circuit.Port{Name: "shift", Kind: circuit.Integers, Shape: []int{n, 4}, Hi: 3, Reveal: circuit.Values})))
	}
	y := gadget.Rescale(b, "y", x, 1, -1<<6, 1<<6)
	spec := "td,vd->tv"
	if k.head[0] != v {
		spec = "td,dv->tv"
	}
	gadget.Output(b, k.out, b.Virtual("logits", []int{n, v}, times(spec, y, b.Weight("head", k.bits, k.head...))))
	return witnesstest.Finish(t, b)
}

// A family's circuits are of one model and differ in length; the digest of one circuit is its own, that of several binds each and their
// order.
func TestFamily(t *testing.T) {
	short, long, longest := relative(t, 3, nil), relative(t, 5, nil), relative(t, 8, nil)
	one, err := circuit.NewFamily(long)
	require.NoError(t, err)
	require.Equal(t, long.Digest(), one.Digest())
	require.Equal(t, one, circuit.Single(long))
	require.Same(t, long, one.Member(long.Digest()))

	two, err := circuit.NewFamily(short, long)
	require.NoError(t, err)
	a, b := short.Digest(), long.Digest()
	require.Equal(t, sha256.Sum256(slices.Concat([]byte("zkllmc family\x00\x00\x00\x02"), a[:], b[:])), two.Digest())

	list := []*circuit.Circuit{short, long, longest}
	f, err := circuit.NewFamily(list...)
	require.NoError(t, err)
	list[0] = long
	data := binary.BigEndian.AppendUint32([]byte("zkllmc family"), 3)
	for _, c := range f.Members() {
		digest := c.Digest()
		data = append(data, digest[:]...)
		require.Same(t, c, f.Member(digest))
	}
	require.Equal(t, sha256.Sum256(data), f.Digest())
	require.Nil(t, f.Member(f.Digest()), "the family's digest is none of a circuit")
	require.Same(t, short, f.Shortest())
	require.Same(t, longest, f.Longest())
	require.Equal(t, "3, 5 or 8", f.Positions())
	for n, want := range []*circuit.Circuit{short, short, short, short, long, long, longest, longest, longest, longest} {
		require.Same(t, want, f.Smallest(n), n)
	}
	f.Members()[0] = long
	require.Same(t, short, f.Shortest(), "nobody changes a family")

	require.Contains(t, f.Lines(), "circuit   "+fmt.Sprintf("%x", long.Digest())+" (5 positions)\n")
	require.Equal(t, fmt.Sprintf("circuit   %x (kin)\n", long.Digest()), one.Lines())
	function := relative(t, 3, func(k *kin) { k.generation, k.private = false, true })
	require.Equal(t, "ids [3], shift [3 4]", function.Extent())
}

// Whatever else differs between two circuits, they are refused as a family: a proof about one would stand for a model that the other is not
// of.
func TestStrangersAreNoFamily(t *testing.T) {
	strangers := map[string]struct {
		want   string
		change func(k *kin)
	}{
		"name":                  {`the names "kin" and "other"`, func(k *kin) { k.cfg.Name = "other" }},
		"row width":             {"rows of 2^4 and 2^5", func(k *kin) { k.cfg.WeightBits = 5 }},
		"kind of statement":     {"statements that are generations and functions", func(k *kin) { k.generation = false }},
		"pad":                   {"pad tokens 1 and 2", func(k *kin) { k.pad = 2 }},
		"weight's name":         {"weight 0: embed [5 4] in [-32, 31] and table [5 4]", func(k *kin) { k.embed = "table" }},
		"weight's shape":        {"weight 1: head [5 4] in [-32, 31] and head [4 5]", func(k *kin) { k.head = []int{4, 5} }},
		"weight's range":        {"head [5 4] in [-64, 63]", func(k *kin) { k.bits = 7 }},
		"a weight more":         {"2 and 3 weights", func(k *kin) { k.more = true }},
		"vocabulary":            {"weight 0", func(k *kin) { k.in.Hi, k.head = 5, []int{6, 4} }},
		"what is told":          {`port 1, output "logits"`, func(k *kin) { k.out.Reveal = circuit.Values }},
		"what is hidden":        {`port 0, input "ids"`, func(k *kin) { k.in.Reveal = circuit.Nothing }},
		"port's name":           {`port 1, output "logits"`, func(k *kin) { k.out.Name = "scores" }},
		"reals":                 {`port 1, output "logits"`, func(k *kin) { k.out.Kind = circuit.Reals }},
		"the same length":       {"the second is not longer", func(k *kin) { k.in.Shape = []int{3} }},
		"a shorter one":         {`input "ids" becomes shorter`, func(k *kin) { k.in.Shape = []int{2} }},
		"wider rows of witness": {"", func(k *kin) { k.cfg.WitnessBits = 5 }},
		"nothing":               {"", func(*kin) {}},
	}
	var tried [][]second.Encoder
	var refused []error
	family := func(a, b *circuit.Circuit) error {
		_, err := circuit.NewFamily(a, b)
		tried, refused = append(tried, []second.Encoder{a, b}), append(refused, err)
		return err
	}
	short := relative(t, 3, nil)
	for name, s := range strangers {
		err := family(short, relative(t, 5, s.change))
		if s.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, circuit.ErrFamily, name)
		require.ErrorContains(t, err, s.want, name)
	}
	function := func(k *kin) { k.generation = false }
	for name, s := range map[string]struct {
		want   string
		change func(k *kin)
	}{
		"scale": {`port 1, output "logits"`, func(k *kin) { k.out.Kind, k.out.Scale = circuit.Reals, 3 }},
		"ports": {"2 and 3 ports", func(k *kin) { k.private = true }},
	} {
		first := relative(t, 3, func(k *kin) { function(k); k.out.Kind, k.out.Scale = circuit.Reals, 2 })
		err := family(first, relative(t, 5, func(k *kin) { function(k); k.out.Kind, k.out.Scale = circuit.Reals, 2; s.change(k) }))
		require.ErrorContains(t, err, s.want, name)
	}
	for name, edit := range map[string]func(p *circuit.Port){
		"axes": func(p *circuit.Port) { p.Shape = []int{5, 1} }, "fewer axes": func(p *circuit.Port) { p.Shape = nil },
		"least": func(p *circuit.Port) { p.Lo = -1 }, "greatest": func(p *circuit.Port) { p.Hi++ }, "side": func(p *circuit.Port) { p.Out = true },
	} {
		long := relative(t, 5, nil)
		edit(&long.Ports[0])
		_, err := circuit.NewFamily(short, long)
		require.ErrorContains(t, err, `port 0, input "ids"`, name)
	}
	for name, list := range map[string][]*circuit.Circuit{
		"none": nil, "no circuit": {nil}, "one that is not finished": {{Config: short.Config}}, "twice the same": {short, short},
		"the third is of the second's length": {short, relative(t, 5, nil), relative(t, 5, func(k *kin) { k.cfg.WitnessBits = 5 })},
	} {
		_, err := circuit.NewFamily(list...)
		require.ErrorIs(t, err, circuit.ErrFamily, name)
	}
	t.Run("second verifier", func(t *testing.T) { second.CompareFamilies(t, tried, refused) })
}
