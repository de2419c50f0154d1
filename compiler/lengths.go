package compiler

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// A model at several lengths is a family of circuits. The longest is compiled as if it were alone; the others follow its program
// (quant.Follow), and what each of them adds is a plan and a circuit.

// maxLengths bounds the circuits of a family: each is code, and a builder that every prover and verifier runs.
const maxLengths = 16

// length is one of the lengths that a model is compiled for.
type length struct {
	n    int // 0: the only one, which the file or Config.Dims fix
	dims map[string]int
}

// wrap says at which length an error arose.
func (l length) wrap(err error) error {
	if l.n == 0 {
		return err
	}
	return fmt.Errorf("at length %d: %w", l.n, err)
}

// lengthsOf lists the lengths that a model is compiled for, ascending.
func lengthsOf(m *onnx.Model, cfg Config) ([]length, error) {
	if len(cfg.Lengths) == 0 {
		return []length{{dims: cfg.Dims}}, nil
	}
	open := openDims(m, cfg)
	switch {
	case len(open) == 0:
		return nil, fmt.Errorf("%w: a symbolic dimension for the length; the file, or --dim, fixes those of all inputs: export the model with a symbolic length, or leave --length out", ErrName)
	case len(open) > 1:
		return nil, fmt.Errorf("%w: one dimension for the length; the model leaves open %s: give all but one a value, --dim NAME=N", ErrName, listed(open))
	case len(cfg.Lengths) > maxLengths:
		return nil, refuse(fmt.Errorf("%d lengths; at most %d are supported", len(cfg.Lengths), maxLengths))
	}
	var out []length
	for _, n := range slices.Sorted(slices.Values(cfg.Lengths)) {
		l := length{n: n, dims: maps.Clone(cfg.Dims)}
		if l.dims == nil {
			l.dims = map[string]int{}
		}
		l.dims[open[0]] = n
		if len(out) > 0 && out[len(out)-1].n == n {
			return nil, refuse(fmt.Errorf("length %d is asked for twice", n))
		}
		out = append(out, l)
	}
	return out, nil
}

// openDims lists the symbolic dimensions of inputs that nothing gives a value, by symbol or as input[axis]. A first axis of several is a
// batch of 1.
func openDims(m *onnx.Model, cfg Config) (open []string) {
	_, inputs := names(m)
	for _, v := range m.Graph.Inputs {
		if cfg.fixes(v.Name) || !slices.Contains(inputs, v.Name) {
			continue
		}
		for i, d := range v.Dims {
			key := fmt.Sprintf("%s[%d]", v.Name, i)
			_, given := cfg.Dims[key]
			_, named := cfg.Dims[d.Param]
			if d.Value >= 0 && d.Param == "" || given || d.Param != "" && named || i == 0 && len(v.Dims) >= 2 {
				continue
			}
			if d.Param != "" {
				key = d.Param
			}
			if !slices.Contains(open, key) {
				open = append(open, key)
			}
		}
	}
	return open
}

// fixes says that an input is fixed.
func (cfg *Config) fixes(name string) bool {
	_, file := cfg.Fix[name]
	_, data := cfg.Fixed[name]
	return file || data
}

// Members are the model at all its lengths, ascending; the last is r itself.
func (r *Result) Members() []*Result { return append(slices.Clone(r.Shorter), r) }

// shorten makes the circuit of a canonical float graph that is the one of r, whole, at a shorter length.
func (r *Result) shorten(whole, g *ir.Graph, cfg Config) (*Result, error) {
	s := &Result{left: r.left, names: r.names, float: g, pad: r.pad, parts: r.parts, bare: r.bare, check: r.check, Scales: r.Scales}
	if err := s.ports(cfg); err != nil {
		return nil, refuse(err)
	}
	if s.generation != r.generation {
		return nil, refuse(fmt.Errorf("the model continues prompts at one length and not at another; compile it as a function, or the lengths one by one"))
	}
	var err error
	if s.program, err = quant.Follow(s.left, r.program, whole, g); err != nil {
		return nil, refused(s.left, err)
	}
	s.float = s.program.Float
	if cfg.Dump != nil {
		cfg.Dump("quantise", s.program.Int.String())
	}
	cfg.WeightBits = r.plan.Config.WeightBits
	if _, err := s.planCircuit(s.planOptions(cfg)); err != nil {
		return nil, err
	}
	if err := r.sameWeights(s); err != nil {
		return nil, err
	}
	return s, s.chooseWidths(cfg)
}

// sameWeights refuses a shorter length whose circuit stores a weight otherwise: refinement cuts axes where some term splits them.
func (r *Result) sameWeights(s *Result) error {
	for i, w := range s.Weights {
		if i < len(r.Weights) && w.Name == r.Weights[i].Name && slices.Equal(w.Shape, r.Weights[i].Shape) {
			continue
		}
		from := s.plan.Origins[w.Name]
		return refuse(ir.Refuse(from.Node, from.Operator, "the weight %s has the axes %v, which no weight in its place has at the longest length; compile the lengths one by one", w.Name, w.Shape))
	}
	if len(s.Weights) < len(r.Weights) {
		from := r.plan.Origins[r.Weights[len(s.Weights)].Name]
		return refuse(ir.Refuse(from.Node, from.Operator, "the weight %s is used at the longest length alone; compile the lengths one by one", r.Weights[len(s.Weights)].Name))
	}
	return nil
}

// join makes the family of the circuits of all lengths.
func (r *Result) join() (err error) {
	var circuits []*circuit.Circuit
	for _, m := range r.Members() {
		circuits = append(circuits, m.Circuit)
	}
	if r.Family, err = circuit.NewFamily(circuits...); err != nil {
		return refuse(fmt.Errorf("%w; compile the lengths one by one", err))
	}
	pieces, elements, err := protocol.RangeProof(r.Family)
	if err != nil {
		return err
	}
	for _, m := range r.Members() {
		m.Stats.KeyBytes, m.Stats.KeyPieces = format.HeaderSize+32*(m.Stats.WeightRows+elements), pieces
	}
	return nil
}

// plans are those of all lengths, ascending.
func (r *Result) plans() (out []*plan.Plan) {
	for _, m := range r.Members() {
		m.plan.Length = m.Length
		out = append(out, m.plan)
	}
	return out
}

// followers are the programs of a generation's shorter lengths, ascending.
func (r *Result) followers() (out []*quant.Program) {
	if !r.generation {
		return nil
	}
	for _, s := range r.Shorter {
		out = append(out, s.program)
	}
	return out
}

// agree compares the integer logits of all lengths with those of the longest, on the first calibration input, and lists the lengths.
func (r *Result) agree(ctx context.Context) (lengths []int, err error) {
	programs := r.followers()
	if len(programs) == 0 {
		return nil, nil
	}
	for _, s := range r.Shorter {
		lengths = append(lengths, s.Length)
	}
	left := r.left.With(ctx)
	switch differs, err := quant.Disagreement(left, r.program, programs, r.samples[0].Elements); {
	case err != nil:
		return nil, refused(left, err)
	case differs != "":
		return nil, fmt.Errorf("internal error, please report it: the circuits of two lengths do not give the same: %s", differs)
	}
	return append(lengths, r.Length), nil
}
