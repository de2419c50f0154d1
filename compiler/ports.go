package compiler

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Range bounds the elements of an input: integers, or real numbers.
type Range = frontend.Range

// The words of Config.
const (
	all           = "all"        // inputs to hide
	asGenerations = "generation" // statements: the model continues a prompt
	asFunctions   = "function"   // statements: these inputs gave these outputs
)

// reveals are the words for what statements tell of an output: its cells; the index of the greatest cell of every row along the last axis,
// the first of several; nothing.
var reveals = map[string]plan.Reveal{"": plan.Values, "values": plan.Values, "argmax": plan.Argmax, "nothing": plan.Nothing}

// Data is the elements of an input or the cells of an output, row-major. Without a name it is that of its place in the file.
type Data struct {
	Name   string
	Shape  []int // if known
	Values []float64

	part passage.Part // what it tells of a text, of a model that reads one whole
}

// Input is one input of a model: the elements of its inputs, and what is expected of its outputs, if anything is. What is missing of a
// language model's tokens is padded, and the expected logits may be those of the first positions. A batch of token ids, of shape [B, T], is
// B inputs.
type Input struct {
	Elements []Data
	Expected []Data
	// Arrays are elements or expected, by their names alone.
	Arrays []Data
	// From says where the input comes from, for messages.
	From string
	// Text says that the elements are the tokens of a text: those beyond the model's length are left out, and of a model that reads it
	// whole the other inputs are made of it, too (package passage).
	Text bool
}

// Tokens is an input of token ids.
func Tokens(ids ...int64) Input {
	return Input{Elements: []Data{{Values: reals(ids)}}}
}

// fileNames are the inputs and outputs of a model's file, in order, but for inputs that are initializers.
type fileNames struct{ inputs, outputs []string }

func namesOf(m *onnx.Model) fileNames {
	_, inputs := names(m)
	f := fileNames{inputs: inputs}
	for _, o := range m.Graph.Outputs {
		f.outputs = append(f.outputs, o.Name)
	}
	return f
}

// find returns the data of a port: by its name, or at its place among those without names.
func find(data []Data, names []string, port string) (Data, bool) {
	for i, d := range data {
		if d.Name == port || d.Name == "" && i < len(names) && names[i] == port {
			return d, true
		}
	}
	return Data{}, false
}

// has says whether data has a shape, but for axes of extent 1. Elements in a list that says nothing of a shape have any.
func (d *Data) has(shape []int) bool {
	wide := func(shape []int) []int {
		return slices.DeleteFunc(slices.Clone(shape), func(extent int) bool { return extent == 1 })
	}
	return d.Shape == nil || slices.Equal(wide(d.Shape), wide(shape))
}

// fail is an error about an input.
func (in *Input) fail(err error) error {
	if in.From != "" && err != nil {
		err = fmt.Errorf("%s: %w", in.From, err)
	}
	return err
}

// checkData refuses data of what the model does not have.
func checkData(side string, data []Data, names []string) error {
	for i, d := range data {
		switch {
		case d.Name == "" && i >= len(names):
			return fmt.Errorf("data of %d %ss; the model has %s", len(data), side, listed(names))
		case d.Name != "" && !slices.Contains(names, d.Name):
			return fmt.Errorf("data of %s %q; the model has %s", side, d.Name, listed(names))
		}
	}
	return nil
}

// settle returns an input whose arrays are elements or expected, or says what the model does not have.
func (f fileNames) settle(in Input) (Input, error) {
	for _, d := range in.Arrays {
		input, output := slices.Contains(f.inputs, d.Name), slices.Contains(f.outputs, d.Name)
		if !input && !output {
			return in, in.fail(fmt.Errorf("an array %q; the model has the inputs %s and the outputs %s", d.Name, listed(f.inputs), listed(f.outputs)))
		}
		if input {
			in.Elements = append(in.Elements, d)
		} else {
			in.Expected = append(in.Expected, d)
		}
	}
	in.Arrays = nil
	if in.Text {
		in.Elements = f.text(in.Elements)
	}
	return in, in.fail(f.check(in))
}

// integers and reals are lists in the other form.
func integers(x []float64) []int64 {
	out := make([]int64, len(x))
	for i, v := range x {
		out[i] = portable.Clamp(v)
	}
	return out
}

func reals(x []int64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// text lists what a text, of which the tokens are given, is told by to a model with such inputs.
func (f fileNames) text(tokens []Data) []Data {
	if len(tokens) != 1 || tokens[0].Name != "" || len(f.inputs) < 2 || !slices.Contains(f.inputs, passage.TokensName) {
		return tokens
	}
	ids := integers(tokens[0].Values)
	var out []Data
	for _, name := range f.inputs {
		if part := passage.PartOf(name); part != passage.None {
			out = append(out, Data{Name: name, Values: reals(part.Elements(ids, 0, len(ids))), part: part})
		}
	}
	return out
}

func (f fileNames) check(in Input) error {
	if err := checkData("input", in.Elements, f.inputs); err != nil {
		return err
	}
	return checkData("output", in.Expected, f.outputs)
}

// ranges are those of Config.Ranges, of what a text is told by where there is a tokenizer, and for other inputs what calibration inputs tell. Of real numbers that is the power of two that holds
// one and a half times the greatest magnitude; of integers the least and the greatest, and 0 and 1.
func (f fileNames) ranges(m *onnx.Model, cfg Config) (map[string]Range, error) {
	out := map[string]Range{}
	for name, r := range cfg.Ranges {
		if !slices.Contains(f.inputs, name) {
			return nil, fmt.Errorf("%w: range of input %q; the model has %s", ErrName, name, listed(f.inputs))
		}
		if !(r.Lo <= r.Hi) || math.IsInf(r.Lo, 0) || math.IsInf(r.Hi, 0) {
			return nil, fmt.Errorf("input %q: [%g, %g] is no range; give two finite numbers, the smaller first", name, r.Lo, r.Hi)
		}
		out[name] = r
	}
	for _, in := range m.Graph.Inputs {
		if _, ok := out[in.Name]; ok || !slices.Contains(f.inputs, in.Name) {
			continue
		}
		if lo, hi, ok := passage.PartOf(in.Name).Range(); ok && cfg.Vocab != nil {
			out[in.Name] = Range{Lo: float64(lo), Hi: float64(hi)}
			continue
		}
		var seen []float64
		for _, c := range cfg.Calibrate {
			x, _ := find(c.Elements, f.inputs, in.Name)
			seen = append(seen, x.Values...)
		}
		switch {
		case len(seen) == 0:
		case in.DType.IsFloat():
			out[in.Name] = quant.RealRange(seen)
		default:
			out[in.Name] = Range{Lo: math.Min(0, slices.Min(seen)), Hi: math.Max(1, slices.Max(seen))}
		}
	}
	return out, nil
}

// used notes which inputs of the file are none of the lowered graph, and refuses ranges of Config that would say nothing.
func (f fileNames) used(g *ir.Graph, cfg Config) (notes []string, err error) {
	for _, name := range f.inputs {
		r, ranged := cfg.Ranges[name]
		fixed := cfg.fixes(name)
		i := slices.IndexFunc(g.Inputs, func(p ir.Port) bool { return p.Name == name })
		switch {
		case fixed && ranged:
			return nil, fmt.Errorf("%w: range of input %q, which is fixed; leave the range out", ErrName, name)
		case fixed:
		case i < 0 && ranged:
			return nil, fmt.Errorf("%w: range of input %q, on which no output depends; leave the range out", ErrName, name)
		case i < 0:
			notes = append(notes, fmt.Sprintf("no output depends on the input %q: it is left out", name))
		case ranged && takes(&g.Inputs[i]) != "" && r != (Range{Lo: g.Inputs[i].Lo, Hi: g.Inputs[i].Hi}):
			return nil, fmt.Errorf("%w: range of input %q: it takes %s, whatever a range says; leave the range out", ErrName, name, takes(&g.Inputs[i]))
		}
	}
	return notes, nil
}

// takes says what the elements of an input are whose kind alone says that, "" of those that have a range.
func takes(p *ir.Port) string {
	switch p.Kind {
	case plan.IDs:
		return fmt.Sprintf("ids of a table, from 0 to %g", p.Hi)
	case plan.Booleans:
		return "booleans"
	}
	return ""
}

// split cuts batches of token ids into inputs.
func (r *Result) split(inputs []Input) (out []Input, err error) {
	for _, in := range inputs {
		if in, err = r.names.settle(in); err != nil {
			return nil, refuse(err)
		}
		if !r.float.IsLanguageModel() || len(in.Elements) != 1 || len(in.Elements[0].Shape) < 2 {
			out = append(out, in)
			continue
		}
		ids := in.Elements[0]
		n := max(1, ids.Shape[len(ids.Shape)-1])
		rows := len(ids.Values) / n
		for k := range rows {
			row := Input{Text: in.Text, From: in.From, Elements: []Data{{Name: ids.Name, Values: ids.Values[k*n : (k+1)*n]}}}
			for _, d := range in.Expected {
				if len(d.Values)%rows != 0 {
					return nil, refuse(in.fail(fmt.Errorf("%d expected cells for %d rows of token ids", len(d.Values), rows)))
				}
				m := len(d.Values) / rows
				row.Expected = append(row.Expected, Data{Name: d.Name, Values: d.Values[k*m : (k+1)*m]})
			}
			out = append(out, row)
		}
	}
	return out, nil
}

// elements brings a settled input into the order of the graph's inputs. Token ids of a generation are padded.
func (r *Result) elements(in Input) ([][]float64, error) {
	var out [][]float64
	for i := range r.float.Inputs {
		p := &r.float.Inputs[i]
		d, ok := find(in.Elements, r.names.inputs, p.Name)
		if !ok {
			return nil, fmt.Errorf("data without the input %q; the model has %s", p.Name, listed(r.names.inputs))
		}
		x, err := r.portElements(p, &d, in.Text)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// portElements are the elements of one input.
func (r *Result) portElements(p *ir.Port, d *Data, text bool) ([]float64, error) {
	x, n := d.Values, ir.Size(p.Shape)
	if text {
		x = x[:min(len(x), n)]
	}
	if text && !r.generation {
		if err := passage.Fits(r.parts, len(x), n); err != nil {
			return nil, fmt.Errorf("a text: %w", err)
		}
		x = reals(cmp.Or(d.part, passage.IDs).Elements(integers(x), max(r.pad, 0), n))
	}
	if r.generation {
		if len(x) == 0 || len(x) > n {
			return nil, fmt.Errorf("an input of %d tokens; the model takes 1 to %d", len(x), n)
		}
		for x = slices.Clone(x); len(x) < n; {
			x = append(x, float64(r.pad))
		}
	}
	if len(x) != n {
		return nil, fmt.Errorf("%d elements of the input %q; it has shape %v", len(x), p.Name, p.Shape)
	}
	if !r.generation && p.Kind != plan.IDs && !d.has(p.Shape) { // ids, of any axes, are those of one, row by row
		return nil, fmt.Errorf("elements in shape %v of the input %q; it has shape %v", d.Shape, p.Name, p.Shape)
	}
	for k, v := range x {
		if !(v >= p.Lo && v <= p.Hi) || p.Kind != plan.Reals && v != math.Trunc(v) {
			return nil, fmt.Errorf("input %q: element %d is %g; it takes %s in [%g, %g]", p.Name, k, v, strings.ToLower(string(p.Kind)), p.Lo, p.Hi)
		}
	}
	return x, nil
}

// expected brings the expected outputs of a settled input into the order of the graph's outputs; nil if there are none. Of a language model
// they may be rows for the first positions; of an output that is indices, other axes than the graph's.
func (r *Result) expected(in Input) (out [][]float64, err error) {
	if len(in.Expected) == 0 {
		return nil, nil
	}
	for i := range r.float.Outputs {
		p := &r.float.Outputs[i]
		d, _ := find(in.Expected, r.names.outputs, p.Name)
		shape := p.Shape
		if r.float.IsLanguageModel() {
			shape = []int{len(d.Values) / r.float.Vocab(), r.float.Vocab()}
		}
		if len(d.Values) == ir.Size(shape) && !p.Indices && !d.has(shape) {
			return nil, fmt.Errorf("expected cells in shape %v of the output %q; it has shape %v", d.Shape, p.Name, shape)
		}
		out = append(out, d.Values)
	}
	return out, nil
}

// ports says what statements tell of the inputs and outputs of a prepared graph, and of which kind they are.
func (r *Result) ports(cfg Config) error {
	f := r.float
	if len(f.Inputs) == 0 {
		return fmt.Errorf("no output depends on an input; there is nothing to prove")
	}
	if err := hide(f, r.names.inputs, cfg.PrivateInputs); err != nil {
		return err
	}
	if err := reveal(f, cfg.Reveal); err != nil {
		return err
	}
	why := notGenerated(f)
	switch cfg.Statement {
	case "":
		r.generation = why == ""
	case asGenerations:
		if r.generation = true; why != "" {
			return fmt.Errorf("statements about this model are no generations: %s; compile it as a function", why)
		}
	case asFunctions:
	default:
		return fmt.Errorf("unknown kind of statement %q; it is %s or %s", cfg.Statement, asGenerations, asFunctions)
	}
	switch {
	case r.generation:
		f.Outputs[0].Kind = plan.Integers // the exact accumulators
		return fits(cfg, f.Vocab())
	case cfg.Vocab != nil:
		if err := r.reads(cfg); err != nil {
			return fmt.Errorf("the tokenizer is of no use: this model continues no text, since %s, and reads none whole: %w", cmp.Or(why, "its statements are functions"), err)
		}
	}
	return nil
}

// reads prepares a function of texts, or says why it is none.
func (r *Result) reads(cfg Config) (err error) {
	var inputs []string
	for i := range r.float.Inputs {
		inputs = append(inputs, r.float.Inputs[i].Name)
	}
	if r.parts, err = passage.Parts(inputs); err != nil {
		return err
	}
	ids := &r.float.Inputs[slices.Index(r.parts, passage.IDs)]
	if ids.Rows > 1 {
		return fmt.Errorf("%w; %s takes %d texts at once", passage.ErrNone, ids.Name, ids.Rows)
	}
	for i := range r.float.Inputs {
		p := &r.float.Inputs[i]
		if err := passage.Single(p.Name, p.Kind == plan.Reals, p.Shape, ir.Size(ids.Shape)); err != nil {
			return err
		}
	}
	if cfg.Template != nil {
		return fmt.Errorf("a template is for prompts that a model continues; leave it out")
	}
	return fits(cfg, int(portable.Clamp(ids.Hi))+1)
}

// Positions is how many tokens the circuit takes of a text, which it continues or reads whole; 0 where it takes none.
func (r *Result) Positions() int {
	switch {
	case r.generation:
		return r.Circuit.Generation.Length
	case r.parts == nil:
		return 0
	}
	return ir.Size(r.float.Inputs[slices.Index(r.parts, passage.IDs)].Shape)
}

// fits refuses a tokenizer with more tokens than the model knows, whose texts it could not read.
func fits(cfg Config, known int) error {
	if cfg.Vocab == nil {
		return nil
	}
	t, err := vocab.Parse(cfg.Vocab, cfg.Template)
	if err != nil {
		return fmt.Errorf("the tokenizer: %w", err)
	}
	if t.Size() > known {
		return fmt.Errorf("the tokenizer has %d tokens, the model knows %d, so that it belongs to another model; give the file that came with this one", t.Size(), known)
	}
	return nil
}

// notGenerated says why a model continues no prompts, "" if it does.
func notGenerated(f *ir.Graph) string {
	switch {
	case len(f.Inputs) != 1 || f.Inputs[0].Kind != plan.IDs:
		return "its input is not token ids alone"
	case len(f.Outputs) != 1:
		return fmt.Sprintf("it has %d outputs", len(f.Outputs))
	case !f.IsLanguageModel():
		return fmt.Sprintf("its output has shape %v, and logits of %d tokens of a vocabulary of %d have shape %v", f.Outputs[0].Shape, f.Inputs[0].Shape[0], f.Vocab(), []int{f.Inputs[0].Shape[0], f.Vocab()})
	case !f.Causal:
		return "its output depends on later tokens, or nothing shows that it does not"
	case f.Outputs[0].Reveal == plan.Nothing:
		return "its output is private"
	}
	return ""
}

// called finds an input or output by its name in the file, or else in the circuit, where reports show it.
func called(f *ir.Graph, ports []ir.Port, name string) int {
	if i := slices.IndexFunc(ports, func(p ir.Port) bool { return p.Name == name }); i >= 0 {
		return i
	}
	return slices.IndexFunc(ports, func(p ir.Port) bool { return f.Value(p.Value).Name == name })
}

// hide makes inputs private. Nothing is said in any case of those of the file that no output depends on.
func hide(f *ir.Graph, file, names []string) error {
	for _, name := range names {
		at := called(f, f.Inputs, name)
		if at < 0 && name != all && !slices.Contains(file, name) {
			return fmt.Errorf("%w: there is no input %q to hide; the inputs are %s", ErrName, name, listed(portNames(f.Inputs)))
		}
		for i := range f.Inputs {
			if i == at || name == all {
				f.Inputs[i].Reveal = plan.Nothing
			}
		}
	}
	return nil
}

// reveal says what statements tell of the outputs.
func reveal(f *ir.Graph, what map[string]string) error {
	saids := make([]string, len(f.Outputs))
	for i := range saids {
		saids[i] = what[""]
	}
	said := map[int]bool{}
	for _, name := range slices.Sorted(maps.Keys(what)) {
		at := called(f, f.Outputs, name)
		switch {
		case name == "":
		case at < 0:
			return fmt.Errorf("%w: there is no output %q; the outputs are %s", ErrName, name, listed(portNames(f.Outputs)))
		case said[at]:
			return fmt.Errorf("%w: %q and another name are the same output, %s; say once what statements tell of it", ErrName, name, f.Outputs[at].Name)
		default:
			saids[at], said[at] = what[name], true
		}
	}
	told := false
	for i, word := range saids {
		p, ok := &f.Outputs[i], false
		if p.Reveal, ok = reveals[word]; !ok {
			return fmt.Errorf("output %q: %q is not what statements can tell; that is values, argmax or nothing", p.Name, word)
		}
		if p.Indices && p.Reveal == plan.Values {
			p.Reveal = plan.Argmax // those are its values
		}
		if p.Reveal == plan.Argmax && len(p.Shape) < 2 {
			return fmt.Errorf("output %q has shape %v; an arg-max is of rows along the last of several axes: reveal values, or export the model with a batch axis", p.Name, p.Shape)
		}
		told = told || p.Reveal != plan.Nothing
	}
	if !told {
		return fmt.Errorf("statements would tell nothing of any output, and so claim nothing; reveal values or the arg-max of one")
	}
	return nil
}

func portNames(ports []ir.Port) (names []string) {
	for _, p := range ports {
		names = append(names, p.Name)
	}
	return names
}
