package circuit_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// The circuits of this file were made by an attacker of the analysis, by hand where the gadgets would not: each was accepted as causal
// once, and reads ahead, or has a witness of its constraints that does.

// ahead is x at the next position.
func (d decoder) ahead() circuit.ID {
	return d.virtual("after", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", d.Affine("next", "i - j + 1", positions, positions), d.x)
}

// free is a witness of x's shape that its hint makes of weights.
func (d decoder) free(name string) circuit.ID {
	y := d.Witness(name, -32, 32, positions, 2)
	d.Lookup(gadget.Range(d.Builder, -32, 32), y)
	d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.Weight(name+".w", 5, positions, 2)}, Out: []circuit.ID{y}, Params: []int64{0}})
	return y
}

// zero adds a zero-check of a sum.
func (d decoder) zero(name string, shape []int, terms ...circuit.Term) {
	d.Zero(d.VirtualBound(name, shape, 0, 0, "zero-checked", terms...))
}

// decoyAttention declares results of a zkAttn hint over constant scores that nothing constrains.
func (d decoder) decoyAttention(mask circuit.ID, offset int64) []circuit.ID {
	var out []circuit.ID
	s := d.Const("scores", make([]int64, positions*2), positions, 2)
	exp := d.TableOf("decoy", func() [][]int64 { return [][]int64{{0, 1}, {1, 1}, {1, 0}, {1, 0}} })
	for i := range 6 {
		shape := []int{positions, 2}
		if i == 0 {
			shape = shape[:1]
		}
		out = append(out, d.Witness(fmt.Sprint("r", i), -32, 32, shape...))
		d.Lookup(gadget.Range(d.Builder, -32, 32), out[i])
	}
	d.Hint(circuit.Hint{Kind: circuit.HintAttn, In: []circuit.ID{s, mask}, Out: out, Params: []int64{0, 1, offset, 0, 1, 1}, Table: exp})
	return out
}

// channels is the shape of what a decoder computes at every position.
var channels = []int{positions, 2}

// fooling are circuits that are not causal, and look as if they were to whoever believes hints.
var fooling = map[string]struct {
	private bool
	build   func(d decoder)
}{
	"results of zkAttn that another hint yields too": {false, func(d decoder) {
		out := d.decoyAttention(-1, 0)
		y := d.ahead()
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{y}, Out: []circuit.ID{out[3]}, Params: []int64{0}})
		d.zero("tie", channels, circuit.Scaled(d.Builder, 1, out[3]), circuit.Scaled(d.Builder, -1, y))
		d.head(out[3])
	}},
	"another output than is revealed": {false, func(d decoder) {
		d.head(gadget.Rescale(d.Builder, "y", d.ahead(), 0, -32, 32))
		d.Carry(1, d.Weight("decoy", 5, positions, words))
	}},
	"more than the output is revealed": {false, func(d decoder) {
		full := []int{positions, words}
		out := d.Virtual("logits", full, circuit.Scaled(d.Builder, 1, d.Weight("w", 5, full...)))
		d.Lookup(gadget.Range(d.Builder, -16, 15), out)
		port := d.Output(circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Values}, out)
		more := d.virtual("more", full, "td,dv->tv t=3 d=2 v=4", d.ahead(), d.Weight("head", 5, 2, words))
		sel := d.View("selected", circuit.Selected, port)
		pub := d.View("revealed", circuit.PortValues, port)
		d.Zero(d.Virtual("reveal", full, d.Times(1, "t,tv->tv t=3 v=4", sel, out), d.Times(1, "t,tv->tv t=3 v=4", sel, more), circuit.Scaled(d.Builder, -1, pub)))
	}},
	"a mask made of tokens, over an axis that is no position": {false, func(d decoder) {
		pick := d.Const("pick", []int64{0, 0, 1, 0}, 2, 2)
		out := d.decoyAttention(d.virtual("mask", channels, "ts,sd,de->te t=3 s=3 d=2 e=2", d.Affine("n", "i - j + 1", positions, positions), d.x, pick), 5)
		d.head(out[3])
	}},
	"a shift that makes -1 of 0": {false, func(d decoder) {
		y := d.Witness("y", -1, 0, positions, positions)
		d.Lookup(gadget.Range(d.Builder, -1, 0), y)
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.Const("0", make([]int64, 9), positions, positions)}, Out: []circuit.ID{y}, Params: []int64{63}})
		d.zero("tie", []int{positions, positions}, circuit.Scaled(d.Builder, 1, y), circuit.Ones(1, []int{positions, positions}))
		d.head(gadget.Rescale(d.Builder, "sum", d.virtual("v", channels, "ts,sd->td t=3 s=3 d=2", y, d.x), 0, -100, 100))
	}},
	"public rows beside private ones": {true, func(d decoder) { // they say where the prompt ends
		pub := d.View("again", circuit.OneHot, 0)
		d.head(gadget.Rescale(d.Builder, "y", d.virtual("v", channels, "tv,vd->td t=3 v=4 d=2", pub, d.Const("c", []int64{1, 2, 3, 4, 5, 6, 7, 8}, words, 2)), 0, -32, 32))
	}},
	"a sum of what a constraint computes": {false, func(d decoder) {
		z := d.Virtual("z", channels, circuit.Scaled(d.Builder, 1, d.free("y")))
		d.zero("tie", channels, circuit.Scaled(d.Builder, 1, z), circuit.Scaled(d.Builder, -1, d.ahead()))
		d.head(z)
	}},
	"a constraint in which a later hint occurs, times 0": {false, func(d decoder) {
		y := d.free("y")
		z := d.Witness("z", 0, 0, channels...)
		d.Lookup(gadget.Range(d.Builder, 0, 0), z)
		d.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{d.Const("0", make([]int64, 6), channels...)}, Out: []circuit.ID{z}, Params: []int64{0}})
		d.zero("tie", channels, circuit.Scaled(d.Builder, 1, y), circuit.Scaled(d.Builder, -1, d.ahead()), circuit.Scaled(d.Builder, 0, z))
		d.head(y)
	}},
	"an input of the hint, doubled": {false, func(d decoder) { // 2y = ahead, since z = y
		y := d.free("y")
		z := gadget.Rescale(d.Builder, "z", y, 0, -32, 32)
		d.zero("tie", channels, circuit.Scaled(d.Builder, 1, y), circuit.Scaled(d.Builder, 1, z), circuit.Scaled(d.Builder, -1, d.ahead()))
		d.head(y)
	}},
	"a constraint behind the output": {false, func(d decoder) {
		y := d.free("y")
		d.x = gadget.Rescale(d.Builder, "x2", d.x, 0, -32, 32)
		d.head(y)
		head := d.Weight("other", 5, 2, words)
		d.zero("tie", []int{positions, words}, d.Times(1, "tv->tv t=3 v=4", d.Unfinished().Ports[1].T), d.Times(-1, "td,dv->tv t=3 d=2 v=4", d.ahead(), head))
	}},
	"a range proof of what a weight would be": {false, func(d decoder) {
		y := d.free("y")
		v := d.VirtualBound("rem", channels, 0, 1<<20-1, "looked up", circuit.Scaled(d.Builder, 1<<20, d.ahead()), circuit.Scaled(d.Builder, -1<<20, y))
		gadget.Limbs(d.Builder, "rem", v, 20)
		d.head(y)
	}},
	"a constraint about a hint that takes all that occurs in it": {false, func(d decoder) {
		y := d.free("y")
		z := d.Witness("z", -32, 32, channels...)
		d.Lookup(gadget.Range(d.Builder, -32, 32), z)
		d.Hint(circuit.Hint{Kind: 99, In: []circuit.ID{y, d.x}, Out: []circuit.ID{z}})
		d.zero("tie", channels, circuit.Scaled(d.Builder, 1, y), circuit.Scaled(d.Builder, -1, d.ahead()), circuit.Scaled(d.Builder, 0, z))
		d.head(y)
	}},
	"a constraint about a rounding that takes more than it rounds": {false, func(d decoder) {
		y := d.free("y")
		z := gadget.Rescale(d.Builder, "z", d.x, 0, -32, 32)
		h := d.Unfinished().Hints
		h[len(h)-1].In = append(h[len(h)-1].In, y)
		next := d.Affine("next", "i - j + 1", positions, positions)
		d.zero("tie", []int{positions, positions, 2}, d.Times(1, "ts,td->tsd t=3 s=3 d=2", next, y),
			d.Times(-1, "ts,sd->tsd t=3 s=3 d=2", next, d.x), d.Times(0, "sd->tsd t=3 s=3 d=2", z))
		d.head(y)
	}},
	"a looked-up remainder of what a weight would be": {false, func(d decoder) {
		y := d.free("y")
		gadget.Remainder(d.Builder, "y", 2, channels, circuit.Scaled(d.Builder, 4, d.ahead()), circuit.Scaled(d.Builder, -4, y))
		d.head(y)
	}},
	"tokens that a constraint makes of tokens": {true, func(d decoder) {
		again := d.Witness("again", 0, 1, positions, words)
		d.Lookup(gadget.Range(d.Builder, 0, 1), again)
		d.Hint(circuit.Hint{Kind: circuit.HintInput, Out: []circuit.ID{again}})
		d.zero("tie", []int{positions, words}, circuit.Scaled(d.Builder, 1, again),
			d.Times(-1, "ts,sv->tv t=3 s=3 v=4", d.Affine("next", "i - j + 1", positions, positions), circuit.ID(0)))
		d.head(d.round("y", gadget.Embed(d.Builder, "e2", again, d.Weight("t2", 6, words, 2))))
	}},
	"private tokens where none are declared": {false, func(d decoder) {
		again := d.Witness("again", 0, 1, positions, words)
		d.Lookup(gadget.Range(d.Builder, 0, 1), again)
		d.Hint(circuit.Hint{Kind: circuit.HintInput, Out: []circuit.ID{again}})
		d.head(d.round("y", gadget.Embed(d.Builder, "e2", again, d.Weight("t2", 6, words, 2))))
	}},
	"a maximum that is bound to another position": {false, func(d decoder) {
		square := []int{positions, positions}
		s := d.virtual("scores", square, "jd,d->ij i=3 j=3 d=2", d.x, d.Const("first", []int64{1, 0}, 2))
		e, _ := attention.ZkAttn(d.Builder, "attn", s, attention.Mask(d.Builder, "mask", future, positions, positions), params)
		m := named(d.Unfinished(), "attn.max").ID
		next := d.Affine("next", "i - j + 1", positions, positions)
		bit := d.virtual("bit", []int{positions}, "jd,d->j j=3 d=2", d.x, d.Const("second", []int64{0, 1}, 2))
		d.zero("tie", square, d.Times(1, "i,ij->ij i=3 j=3", m, next), d.Times(-1, "j,ij->ij i=3 j=3", bit, next))
		d.head(d.round("context", d.virtual("ctx", channels, "ij,jd->id i=3 j=3 d=2", e, d.x)))
	}},
	"a sum over an axis, in a constraint of 256 axes": {false, func(d decoder) { // the first row of y is then that of x at the last position
		y := d.round("y", d.x)
		extents, out := []int{positions, 2, positions}, append(make([][]int, 254), []int{1}, []int{0}) // labels: row, channel, summed row
		of := func(t circuit.ID, labels ...int) circuit.Factor {
			axes := make([][]int, len(labels))
			for i, l := range labels {
				axes[i] = []int{l}
			}
			return circuit.Factor{T: t, Axes: axes}
		}
		term := func(coef int64, labels int, factors ...circuit.Factor) circuit.Term {
			return circuit.Term{Coef: coef, Extents: extents[:labels], Out: out, Factors: factors}
		}
		last, choose := d.Const("last", []int64{0, 0, 1}, positions), d.Const("choose", []int64{0, 0, 0, 0, 0, 0, 1, 0, 0}, positions, positions)
		d.zero("tie", append(slices.Repeat([]int{1}, 254), 2, positions), term(1, 2, of(y, 0, 1)), term(-1, 2, of(y, 0, 1)),
			term(1, 3, of(choose, 0, 2), of(y, 2, 1)), term(-1, 2, of(last, 0), of(d.x, 0, 1)))
		d.head(y)
	}},
}

func TestCausalityIsNotFooled(t *testing.T) {
	var verdicts second.Verdicts
	for name, c := range fooling {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(c.private)
			c.build(d)
			_, err := d.Finish()
			verdicts.Add(name, d.encoding(), err)
			if name == "a shift that makes -1 of 0" {
				require.ErrorContains(t, err, "a shift by 63 bits")
				return
			}
			if why, ok := unbound[name]; ok { // refused for what the port is, before its causality is looked at
				require.ErrorContains(t, err, why)
				return
			}
			require.ErrorIs(t, err, circuit.ErrNotCausal)
		})
	}
	verdicts.Compare(t, second.Circuit)
}

// unbound are lies of TestCausalityIsNotFooled that leave a port without its constraints.
var unbound = map[string]string{
	"private tokens where none are declared":   "is of no private input",
	"tokens that a constraint makes of tokens": "is of no private input",
	"another output than is revealed":          "no constraint ties it",
	"more than the output is revealed":         "no constraint ties it",
}

// What an attacker changed in a masked attention: an offset that overflows beside a mask that does not count, offsets of a half that add
// up, a maximum that nothing attains, a remainder that may be large.
func TestMaskedAttentionIsNotFooled(t *testing.T) {
	var verdicts second.Verdicts
	for name, damage := range map[string]func(d decoder, c *circuit.Circuit, h *circuit.Hint){
		"an offset of 2^62": func(d decoder, c *circuit.Circuit, h *circuit.Hint) {
			division(c, h).Coef, h.Params[2] = 0, 1<<62
		},
		"halves that add up": func(d decoder, c *circuit.Circuit, h *circuit.Hint) {
			rem := divisionOf(c)
			rem.Def = append(rem.Def, circuit.Ones(2, rem.Shape))
		},
		"a maximum that nothing attains": func(d decoder, c *circuit.Circuit, h *circuit.Hint) {
			drop(c, named(c, "attn.attained").ID)
		},
		"a maximum per column": func(d decoder, c *circuit.Circuit, h *circuit.Hint) { // limb j is then at least the scores of all rows at j
			max := named(c, "attn.max")
			square, wide, last := []int{positions, positions}, [][]int{{0}, {1}}, [][]int{{1}}
			max.Shape = square
			for i := range max.Def {
				t := &max.Def[i]
				t.Extents, t.Out = square, wide
				for k := range t.Factors {
					t.Factors[k].Axes = last
				}
			}
			for i := range divisionOf(c).Def {
				if f := divisionOf(c).Def[i].Factors; len(f) == 1 && f[0].T == max.ID {
					f[0].Axes = wide
				}
			}
		},
		"a remainder beyond its range": func(d decoder, c *circuit.Circuit, h *circuit.Hint) {
			for i := range c.Lookups {
				if c.Lookups[i].Cols[0] == divisionOf(c).ID {
					c.Lookups[i].Table = gadget.Range(d.Builder, 0, 1<<12-1)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(false)
			d.head(d.attend(d.scores(), future, meet))
			c := d.Unfinished()
			require.NoError(t, c.CheckCausal(), "the control")
			for i := range c.Hints {
				if c.Hints[i].Kind == circuit.HintAttn {
					damage(d, c, &c.Hints[i])
				}
			}
			err := c.CheckCausal()
			verdicts.Add(name, d.encoding(), err)
			require.ErrorIs(t, err, circuit.ErrNotCausal)
		})
	}
	verdicts.Compare(t, second.Causality)
}

// Finish ends, in little memory and without a panic, whatever it is given.
func TestFinishIsTotal(t *testing.T) {
	var verdicts second.Verdicts
	for name, c := range map[string]struct {
		private bool
		build   func(d decoder)
	}{
		"products of products that nothing checks": {false, func(d decoder) {
			v := d.x
			for range 300 {
				v = d.VirtualBound("v", []int{positions, 2}, 0, 1, "somebody said so", circuit.Product(d.Builder, 1, v, v))
			}
			d.head(d.x)
		}},
		"a table that begins at the least integer": {false, func(d decoder) {
			y := d.Witness("y", -1, 1, positions, positions)
			r := gadget.Range(d.Builder, -1, 1)
			d.Lookup(r, y)
			d.Hint(circuit.Hint{Kind: circuit.HintTable, In: []circuit.ID{d.Const("0", make([]int64, 9), positions, positions)}, Out: []circuit.ID{y},
				Params: []int64{math.MinInt64, 0}, Table: r})
			d.head(gadget.Rescale(d.Builder, "sum", d.virtual("v", []int{positions, 2}, "ts,sd->td t=3 s=3 d=2", y, d.x), 0, -100, 100))
		}},
		"a bag of private tokens": {true, func(d decoder) {
			bag := d.virtual("bag", []int{words}, "tv->v t=3 v=4", circuit.ID(0))
			d.head(d.round("y", d.virtual("all", []int{positions, 2}, "v,vd->td t=3 v=4 d=2", bag, d.Weight("t2", 6, words, 2))))
		}},
		"results of zkAttn in another order, of other shapes": {false, func(d decoder) {
			row := d.Witness("row", -32, 32, positions) // declared before d_lo, as limbs are, and given for e
			d.Lookup(gadget.Range(d.Builder, -32, 32), row)
			out := d.decoyAttention(-1, 0)
			d.Unfinished().Hints[len(d.Unfinished().Hints)-1].Out[3] = row
			d.Hint(circuit.RescaleHint{}.Hint(out[1], out[3]))
			d.head(d.round("y", d.virtual("v", []int{positions, 2}, "t,td->td t=3 d=2", row, d.x)))
		}},
		"an equation over many cells": {false, func(d decoder) {
			big := d.Affine("big", "i - j", 1<<14, 1<<14)
			w := d.virtual("w", []int{1 << 14}, "ij,j->i i=16384 j=16384", big, d.Weight("v", 5, 1<<14))
			d.Lookup(gadget.Range(d.Builder, -32, 32), w)
			d.head(d.x)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(c.private)
			c.build(d)
			_, err := d.Finish()
			t.Log(err)
			verdicts.Add(name, d.encoding(), err)
		})
	}
	verdicts.Compare(t, second.Circuit)
}
