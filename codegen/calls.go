package codegen

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// calls is the table of calls: what a step of a plan calls, and where the arguments come from. The emitter prints what stands here and
// the direct interpreter runs it, so that the two cannot differ. A test holds every entry against its function's signature.
var calls = map[plan.Op]call{
	plan.Input:        {fn: gadget.Input, args: []source{name, port}},
	plan.Weight:       {fn: (*circuit.Builder).Weight, args: []source{name, value("bits"), extents}},
	plan.Const:        {fn: (*circuit.Builder).Const, args: []source{name, cells, extents}},
	plan.Affine:       {fn: (*circuit.Builder).Affine, args: []source{name, value("where"), extents}},
	plan.Mask:         {fn: attention.Mask, args: []source{name, cells, extents}},
	plan.Embed:        {fn: gadget.Embed, args: []source{name, operand("onehot"), operand("table")}},
	plan.Virtual:      {fn: (*circuit.Builder).Virtual, args: []source{name, shape, terms}},
	plan.VirtualBound: {fn: (*circuit.Builder).VirtualBound, args: []source{name, shape, value("lo"), value("hi"), value("why"), terms}, long: true},
	plan.Rescale:      {fn: gadget.Rescale, args: []source{name, operand("v"), value("shift"), limit("lo"), limit("hi")}},
	plan.Table:        {fn: gadget.Table, args: []source{name, operand("x"), value("fn"), value("inScale"), value("outScale")}},
	plan.RescaleTable: {fn: gadget.RescaleTable, results: []string{"In", ""},
		args: []source{name, operand("v"), value("shift"), limit("lo"), limit("hi"), value("fn"), value("inScale"), value("outScale")}},
	plan.Rsqrt:   {fn: gadget.Rsqrt, remedy: "scale the input of the normalisation, or give it an epsilon nearer to the squares of its cells", args: []source{name, operand("s"), value("num"), value("eps")}},
	"Reciprocal": {fn: gadget.Reciprocal, remedy: "bring the divisors' magnitudes nearer to 1", args: []source{name, operand("s"), value("num")}},
	plan.Attn: {fn: attention.ZkAttn, remedy: "scale queries or keys down, so that scores lie nearer to each other", results: []string{"Exp", "Inv"}, args: []source{name, operand("s"), optional("mask"),
		record(attention.Params{}, "Shift", "DBits", "EBits", "InvBits", "Unit")}},
	"PiecewiseLinear": {fn: gadget.PiecewiseLinear, args: []source{name, operand("v"), value("shift"), limit("lo"), limit("hi"), value("low"),
		value("fn"), value("inScale"), value("outScale")}},
	"Max":       {fn: gadget.Max, args: []source{name, operand("x"), operand("y")}},
	plan.Output: {fn: gadget.Output, remedy: "bring the output's magnitudes nearer to 1", args: []source{port, operand("x")}},
}

// call is an entry of the table.
type call struct {
	fn      any      // a function of the runtime; its first parameter is the builder, or it is a method of that
	args    []source // of the other parameters
	results []string // of several results: what makes their Go identifiers of the step's name
	long    bool     // printed with one argument per line
	remedy  string   // what to do about a model for which the function refuses its arguments; "": see remedy
}

// source says where one argument of a call comes from.
type source struct {
	from  origin
	name  string   // of an operand or of an argument
	value any      // record: the zero value of the struct
	names []string // record: the fields, each an argument of the step
}

type origin uint8

// Where arguments come from.
const (
	fromName    origin = iota + 1 // the step's name
	fromOperand                   // a tensor, the next of Step.In
	fromOption                    // the same, or gadget.None where there is none
	fromArg                       // the step's argument of that name
	fromLimit                     // the same, one of lo and hi: where they are the limits of integers of as many bits, the code names them
	fromRecord                    // a struct of arguments
	fromPort                      // the port Step.Data
	fromCells                     // the cells of the constant Step.Data
	fromShape                     // the step's shape as a slice
	fromExtents                   // the same as the last arguments
	fromTerms                     // the step's terms as the last arguments
)

var (
	name    = source{from: fromName}
	cells   = source{from: fromCells}
	shape   = source{from: fromShape}
	extents = source{from: fromExtents}
	terms   = source{from: fromTerms}
	port    = source{from: fromPort}
)

func operand(name string) source           { return source{from: fromOperand, name: name} }
func optional(name string) source          { return source{from: fromOption, name: name} }
func value(name string) source             { return source{from: fromArg, name: name} }
func limit(name string) source             { return source{from: fromLimit, name: name} }
func record(v any, names ...string) source { return source{from: fromRecord, value: v, names: names} }
func (s source) isOperand() bool           { return s.from == fromOperand || s.from == fromOption }
func (c *call) signature() reflect.Type    { return reflect.TypeOf(c.fn) }
func (c *call) resultCount() int           { return c.signature().NumOut() }

// qualified returns the import path and the name of the function; a method of the builder has no path.
func (c *call) qualified() (path, name string) {
	full := runtime.FuncForPC(reflect.ValueOf(c.fn).Pointer()).Name()
	dot := strings.LastIndexByte(full, '.')
	path, name = full[:dot], full[dot+1:]
	if strings.HasSuffix(path, ".(*Builder)") {
		return "", name
	}
	return path, name
}

// arguments lists the step's arguments that the call takes, with their kinds.
func (c *call) arguments() (out []plan.Arg) {
	for i, a := range c.args {
		t := c.signature().In(i + 1)
		switch a.from {
		case fromArg, fromLimit:
			out = append(out, plan.Arg{Name: a.name, Param: plan.Param{Kind: kinds[t.Kind()]}})
		case fromRecord:
			for _, n := range a.names {
				f, _ := t.FieldByName(n)
				out = append(out, plan.Arg{Name: n, Param: plan.Param{Kind: kinds[f.Type.Kind()]}})
			}
		}
	}
	return out
}

// kinds are the kinds of parameters by their Go types.
var kinds = map[reflect.Kind]plan.Kind{
	reflect.Int: plan.KindSize, reflect.Int64: plan.KindInteger, reflect.Float64: plan.KindFloat, reflect.String: plan.KindText,
}

// callOf returns the entry of a step, whose operands and arguments are those that the entry names.
func callOf(p *plan.Plan, s *plan.Step) (*call, error) {
	c, ok := calls[s.Op]
	if !ok {
		return nil, fmt.Errorf("plan %s: %s: unknown call %s", p.Config.Name, s.Name, s.Op)
	}
	least, most, virtual := 0, 0, false
	for _, a := range c.args {
		virtual = virtual || a.from == fromTerms
		if a.isOperand() {
			most++
		}
		if a.from == fromOperand {
			least++
		}
	}
	if !virtual && (len(s.In) < least || len(s.In) > most) {
		return nil, fmt.Errorf("plan %s: %s: %d operands of %s, want %d to %d", p.Config.Name, s.Name, len(s.In), s.Op, least, most)
	}
	if slices.ContainsFunc(c.args, func(a source) bool { return a.from == fromPort }) && (s.Data < 0 || s.Data >= len(p.Ports)) {
		return nil, fmt.Errorf("plan %s: %s: %s has no port %d", p.Config.Name, s.Name, s.Op, s.Data)
	}
	args := c.arguments()
	for _, want := range args {
		switch got, ok := s.Arg(want.Name); {
		case !ok:
			return nil, fmt.Errorf("plan %s: %s: %s has no argument %s", p.Config.Name, s.Name, s.Op, want.Name)
		case got.Kind != want.Kind:
			return nil, fmt.Errorf("plan %s: %s: argument %s of %s is a %s, want a %s", p.Config.Name, s.Name, want.Name, s.Op, got.Kind, want.Kind)
		}
	}
	for _, a := range s.Args {
		if !slices.ContainsFunc(args, func(x plan.Arg) bool { return x.Name == a.Name }) {
			return nil, fmt.Errorf("plan %s: %s: %s takes no argument %s", p.Config.Name, s.Name, s.Op, a.Name)
		}
	}
	if len(s.Args) != len(args) {
		return nil, fmt.Errorf("plan %s: %s: %s has an argument twice", p.Config.Name, s.Name, s.Op)
	}
	return &c, nil
}
