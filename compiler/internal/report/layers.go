// Package report shows a compiled model by layer, as rows of a table and as a page that stands alone. It shows names, shapes, ranges and
// scales, which are public, and how precise the model is and how long proofs took where it is given that; never a cell of a weight.
package report

import (
	"cmp"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// Step is a call that the circuit is built with.
type Step struct {
	// the result's name in the circuit; what is made on the way to it is called after it, with a part behind a dot
	Tensor string `json:"tensor"`
	// what is called: `Weight`, `Virtual` (sums of products), `Rescale`, `Table`, `Attn` (zkAttn), …
	Call  string `json:"call"`
	Node  string `json:"node,omitempty"`  // the ONNX node that it comes from
	Op    string `json:"op,omitempty"`    // its operator
	Scale int    `json:"scale,omitempty"` // real ≈ integer·2^-scale
}

// Layer is a part of the model, with what its tensors are and what a proof has to do for them.
type Layer struct {
	// `layer0`, …; the file's name of a layer; `input` and `output`: before and behind the layers; `model` where there are none; `tables`:
	// what lookups look into
	Name  string `json:"name"`
	Steps int    `json:"steps"`      // steps
	Least int    `json:"least_bits"` // least width of an activation that it rounds, 0 if there is none
	Most  int    `json:"most_bits"`  // greatest width of one; sums that are rounded to more than 32 bits are no activations

	Work cost.Part `json:"work"` // what a proof has to do for it
}

// Like says that another layer has the same numbers.
func (l *Layer) Like(o *Layer) bool {
	same := *o
	same.Name = l.Name
	return *l == same
}

// Widths says how wide the roundings of a layer are.
func (l *Layer) Widths() string {
	switch {
	case l.Most == 0:
		return "–"
	case l.Least == l.Most:
		return fmt.Sprint(l.Most)
	}
	return fmt.Sprintf("%d–%d", l.Least, l.Most)
}

// The names of layers that no name tells.
const (
	before = "input"  // of all layers
	behind = "output" //
	whole  = "model"  // where there are no layers
	tables = "tables" // what lookups are looked up in, for all layers
)

var (
	ownLayer  = regexp.MustCompile(`^layer\d+\.`)
	fileLayer = regexp.MustCompile(`^((?:.*?\.)?(?:layers?|blocks?|resblocks|resnets|stages?|attentions|h)[._]\d+)(?:\.|$)`)
)

// namedLayer is the layer that a name of the model's file tells, as layers.3 of /model/layers.3/mlp/MatMul; else path says that the name has a
// place in the model's structure, which is outside of all layers.
func namedLayer(name string) (layer string, path bool) {
	name = strings.ReplaceAll(strings.TrimPrefix(name, "/"), "/", ".")
	if in := fileLayer.FindStringSubmatch(name); in != nil {
		return in[1], true
	}
	return "", strings.Contains(name, ".")
}

// ours says that the planner made a layer.
func ours(layer string) bool { return ownLayer.MatchString(layer + ".") }

// next is the layer of a step after one of the layer at. file is its name in the model's file.
func next(at, tensor, file string) string {
	if own := ownLayer.FindString(tensor); own != "" {
		return strings.TrimSuffix(own, ".")
	}
	layer, path := namedLayer(file)
	switch {
	case layer != "":
		return layer
	case at != before && (path || ours(at)):
		return behind
	}
	return at
}

// layered gives every step its layer. The names of the circuit come first: layer3.… is the fourth repetition of what the planner found to repeat, in
// the program itself. What is outside of such layers, or all of a model in which the planner found none, goes by the names of the file: of a weight,
// or of the ONNX node, where they have a part like layers.3, h.3, block.3 or layer_3. A step that neither tells is of the layer of the step before, as
// exporters number their nodes in the model's order, unless its name has a place elsewhere in the model: then it is before or behind the
// layers, as are all before the first and behind the planner's. A few steps of a layer are no layer: the planner's begin where repetition does. A
// model without any layer is one.
func layered(steps []Step, files map[string]string) []string {
	out := make([]string, len(steps))
	sizes, at := map[string]int{}, before
	for i, s := range steps {
		at = next(at, s.Tensor, cmp.Or(files[s.Tensor], s.Node))
		out[i] = at
		sizes[at]++
	}
	block := 0
	for name, n := range sizes {
		if ours(name) {
			block = max(block, n)
		}
	}
	at = before
	for i, name := range out {
		switch {
		case sizes[before] == len(steps):
			out[i] = whole
		case ours(name):
			at = behind
		case sizes[name] < block/2:
			out[i] = at
		}
	}
	return out
}

// division is a circuit by steps and layers.
type division struct {
	c      *circuit.Circuit
	steps  []Step
	layer  []int // by step
	names  []string
	of     []int // by tensor: its step, or none
	tables int   // the layer of multiplicities
}

const none = -1

// Order lists the steps that make a circuit's tensors, in the circuit's order.
func Order[T any](c *circuit.Circuit, steps map[string]T) (names []string) {
	met := map[string]bool{}
	for i := range c.Tensors {
		name := stepOf(steps, c.Tensors[i].Name)
		if _, ok := steps[name]; ok && !met[name] {
			names, met[name] = append(names, name), true
		}
	}
	return names
}

// divide finds the step and the layer of every tensor. Steps are those of tensors of the circuit, in its order; files are the tensors of the
// model's file that weights are made of.
func divide(c *circuit.Circuit, steps []Step, files map[string]string) *division {
	d := &division{c: c, of: make([]int, len(c.Tensors))}
	known, met := map[string]int{}, map[string]int{}
	for i, s := range steps {
		known[s.Tensor] = i
	}
	for i := range c.Tensors {
		if d.of[i] = none; c.Tensors[i].Mult {
			continue
		}
		name := stepOf(known, c.Tensors[i].Name)
		at, ok := met[name]
		if !ok {
			at = len(d.steps)
			met[name] = at
			s := Step{Tensor: name}
			if k, ok := known[name]; ok {
				s = steps[k]
			}
			d.steps = append(d.steps, s)
		}
		d.of[i] = at
	}
	for _, name := range layered(d.steps, files) {
		at := slices.Index(d.names, name)
		if at < 0 {
			at = len(d.names)
			d.names = append(d.names, name)
		}
		d.layer = append(d.layer, at)
	}
	d.tables = len(d.names)
	d.names = append(d.names, tables)
	return d
}

// stepOf is the step that makes a tensor: the longest beginning of its name that is a step's, or the tensor itself.
func stepOf[T any](steps map[string]T, tensor string) string {
	for name := tensor; ; {
		if _, ok := steps[name]; ok {
			return name
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return tensor
		}
		name = name[:i]
	}
}

// at is the layer of a tensor.
func (d *division) at(t *circuit.Tensor) int {
	if s := d.of[t.ID]; s != none {
		return d.layer[s]
	}
	return d.tables
}

// Layers divides a circuit into its layers, in the order in which they come; the last is what lookups are looked up in. What all of them add to a
// proof is what the proof takes but for what it takes in any case.
func Layers(c *circuit.Circuit, steps []Step, files map[string]string) []Layer {
	return divide(c, steps, files).layers()
}

func (d *division) layers() []Layer {
	out := make([]Layer, len(d.names))
	work := cost.Parts(d.c, len(out), d.at)
	for i := range out {
		out[i] = Layer{Name: d.names[i], Work: work[i]}
	}
	for _, l := range d.layer {
		out[l].Steps++
	}
	for i := range d.c.Tensors {
		t := &d.c.Tensors[i]
		s, w := d.of[i], width(t)
		if s != none && t.Name == d.steps[s].Tensor && d.steps[s].Call == "Rescale" && w <= widest {
			l := &out[d.layer[s]]
			if l.Most = max(l.Most, w); l.Least == 0 || w < l.Least {
				l.Least = w
			}
		}
	}
	return out
}

// widest is the width of the widest activations. What is rounded to more is on the way to one: sums that would be too wide.
const widest = 32

// width is how many bits a cell of a tensor takes, with its sign.
func width(t *circuit.Tensor) int {
	n := bits.Len64(uint64(max(t.Hi, 0)))
	if t.Lo < 0 {
		n = max(n, bits.Len64(uint64(-(t.Lo+1)))) + 1
	}
	return n
}
