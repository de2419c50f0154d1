package codegen

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// BuildCircuit runs a plan: it makes the calls that the generated code makes, in the same order, so that both give circuits
// with one digest.
func BuildCircuit(ctx context.Context, p *plan.Plan) (*circuit.Circuit, error) {
	d := &direct{ctx: ctx, p: p, b: circuit.NewBuilder(circuit.Config{Name: p.Config.Name, WeightBits: p.Config.WeightBits, WitnessBits: p.Config.WitnessBits})}
	if p.Config.Generation {
		d.b.Generation(p.Config.Pad)
	}
	d.prologue = make([][]circuit.ID, len(p.Prologue))
	d.run(p.Prologue, d.prologue, 0)
	for _, c := range p.Carries {
		d.carries = append(d.carries, d.ref(c.Init))
	}
	for l := range p.Layers {
		d.prefix = layerPrefix(l)
		d.b.Scope(d.prefix)
		d.block = make([][]circuit.ID, len(p.Block))
		d.run(p.Block, d.block, l)
		next := make([]circuit.ID, len(p.Carries))
		for i, c := range p.Carries {
			next[i] = d.ref(c.Next)
		}
		d.carries = next
	}
	d.prefix = ""
	d.b.Scope(d.prefix)
	d.epilogue = make([][]circuit.ID, len(p.Epilogue))
	d.run(p.Epilogue, d.epilogue, 0)
	if d.err != nil {
		return nil, d.err
	}
	c, err := d.b.Finish()
	var refused *circuit.Error
	if errors.As(err, &refused) && refused.Tensor >= 0 {
		err = d.refusal(d.stepOf(refused.Tensor), refused)
	}
	return c, err
}

// Refusal is the error of a plan of which the builder refuses a step: the ONNX node that the step comes from, and what is in the way and
// to be done, without names of tensors. The builder's error, which has them, is wrapped.
type Refusal struct {
	plan.Origin
	Reason, Remedy string
	err            error
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("node %q (%s): %s; %s", r.Node, r.Operator, r.Reason, r.Remedy)
}

// Unwrap returns the builder's error.
func (r *Refusal) Unwrap() error { return r.err }

// remedy is what helps where interval arithmetic finds numbers too large and the table of calls says nothing better.
const remedy = "scale its inputs or its weights down, or calibrate on inputs that reach as far as those that will be proved"

// refusal is the error of a step that the builder refuses; the builder's own, if nobody knows where the step comes from.
func (d *direct) refusal(s made, err *circuit.Error) error {
	from, ok := d.p.Origins[s.name]
	if !ok {
		return err
	}
	r := &Refusal{Origin: from, Reason: err.Text, Remedy: calls[s.op].remedy, err: err}
	if r.Remedy == "" {
		r.Remedy = remedy
	}
	if subject, text, ok := strings.Cut(err.Text, ": "); ok && !strings.ContainsAny(subject, ";,") {
		r.Reason = text
	}
	r.Reason, _, _ = strings.Cut(r.Reason, "; ") // what the builder asks for is for who wrote the plan
	return r
}

// made is a step that was run, and the first of its tensors.
type made struct {
	name  string
	op    plan.Op
	first circuit.ID
}

// stepOf returns the step that declared a tensor.
func (d *direct) stepOf(id circuit.ID) made {
	i := sort.Search(len(d.made), func(i int) bool { return d.made[i].first > id })
	return d.made[max(i-1, 0)]
}

// layerPrefix is the prefix of the names of a layer's tensors; the generated loop has the same format.
func layerPrefix(l int) string { return fmt.Sprintf(layerFormat, l) }

const layerFormat = "layer%d."

// elements and reveals are the constants of package circuit by their names.
var (
	elements = map[plan.Element]circuit.Element{
		plan.IDs: circuit.IDs, plan.Integers: circuit.Integers, plan.Booleans: circuit.Booleans, plan.Reals: circuit.Reals,
	}
	reveals = map[plan.Reveal]circuit.Reveal{plan.Nothing: circuit.Nothing, plan.Values: circuit.Values, plan.Argmax: circuit.Argmax}
)

// portOf is a port as the generated code has it: of an output, shape and range follow from its tensor.
func portOf(p *plan.Port) circuit.Port {
	r := circuit.Port{Name: p.Name, Kind: elements[p.Kind], Scale: p.Scale, Reveal: reveals[p.Reveal]}
	if !p.Out {
		r.Shape, r.Lo, r.Hi = p.Shape, p.Lo, p.Hi
	}
	return r
}

// direct interprets a plan.
type direct struct {
	ctx                       context.Context
	p                         *plan.Plan
	b                         *circuit.Builder
	prologue, block, epilogue [][]circuit.ID // results of the steps
	carries                   []circuit.ID
	made                      []made
	prefix                    string // of the layer
	err                       error
}

func (d *direct) ref(r plan.Ref) circuit.ID {
	var list [][]circuit.ID
	switch r.Place {
	case plan.InPrologue:
		list = d.prologue
	case plan.InBlock:
		list = d.block
	case plan.InEpilogue:
		list = d.epilogue
	case plan.Carried:
		if r.Index < len(d.carries) {
			return d.carries[r.Index]
		}
	}
	if r.Index >= len(list) || r.Out >= len(list[r.Index]) {
		if d.err == nil {
			d.err = fmt.Errorf("plan %s: no result %d of step %d in place %d", d.p.Config.Name, r.Out, r.Index, r.Place)
		}
		return 0
	}
	return list[r.Index][r.Out]
}

func (d *direct) run(steps []plan.Step, results [][]circuit.ID, layer int) {
	for i := range steps {
		if d.err == nil {
			d.err = d.ctx.Err()
		}
		if d.err != nil {
			return
		}
		s := made{d.prefix + steps[i].Name, steps[i].Op, circuit.ID(d.b.Tensors())}
		d.made = append(d.made, s)
		results[i] = d.step(&steps[i], layer)
		var refused *circuit.Error
		if errors.As(d.b.Err(), &refused) && d.err == nil {
			d.err = d.refusal(s, refused)
		}
	}
}

// step makes the call of a step by the table of calls.
func (d *direct) step(s *plan.Step, layer int) []circuit.ID {
	c, err := callOf(d.p, s)
	if err != nil {
		d.err = err
		return nil
	}
	in := make([]circuit.ID, len(s.In))
	for i, r := range s.In {
		in[i] = d.ref(r)
	}
	args := []reflect.Value{reflect.ValueOf(d.b)}
	operands := in
	for _, a := range c.args {
		if a.isOperand() {
			id := gadget.None
			if len(operands) > 0 {
				id, operands = operands[0], operands[1:]
			}
			args = append(args, reflect.ValueOf(id))
			continue
		}
		args = append(args, d.arguments(a, s, in, layer)...)
	}
	var out []circuit.ID
	for _, r := range reflect.ValueOf(c.fn).Call(args) {
		out = append(out, r.Interface().(circuit.ID))
	}
	return out
}

// arguments are the values of a source that is no operand: one, or those of a variadic parameter.
func (d *direct) arguments(a source, s *plan.Step, in []circuit.ID, layer int) []reflect.Value {
	switch a.from {
	case fromName:
		return values(s.Name)
	case fromArg, fromLimit:
		return []reflect.Value{d.argument(s, a.name, layer)}
	case fromRecord:
		v := reflect.New(reflect.TypeOf(a.value)).Elem()
		for _, n := range a.names {
			v.FieldByName(n).Set(d.argument(s, n, layer))
		}
		return []reflect.Value{v}
	case fromPort:
		return values(portOf(&d.p.Ports[s.Data]))
	case fromCells:
		return values(d.p.Constants[s.Data].Values)
	case fromShape:
		return values(s.Shape)
	case fromExtents:
		return values(s.Shape...)
	case fromTerms:
		return values(d.terms(s, in, layer)...)
	}
	panic(fmt.Sprintf("codegen: the call %s has an argument from nowhere", s.Op)) // the table's test
}

func values[T any](vs ...T) []reflect.Value {
	out := make([]reflect.Value, len(vs))
	for i, v := range vs {
		out[i] = reflect.ValueOf(v)
	}
	return out
}

// argument is an argument of a step as the Go type of its kind.
func (d *direct) argument(s *plan.Step, name string, layer int) reflect.Value {
	p, _ := s.Arg(name) // callOf has seen it
	switch v := d.p.Value(p, layer); v.Kind {
	case plan.KindSize:
		return reflect.ValueOf(int(v.Int))
	case plan.KindFloat:
		return reflect.ValueOf(v.Real)
	case plan.KindText:
		return reflect.ValueOf(v.Text)
	default:
		return reflect.ValueOf(v.Int)
	}
}

func (d *direct) terms(s *plan.Step, in []circuit.ID, layer int) []circuit.Term {
	var out []circuit.Term
	for _, t := range s.Terms {
		ops := make([]circuit.ID, len(t.In))
		for i, k := range t.In {
			ops[i] = in[k]
		}
		out = append(out, d.b.Times(d.p.Value(t.Coef, layer).Int, t.Spec, ops...))
	}
	return out
}
