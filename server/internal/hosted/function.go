package hosted

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// Inputs reads the inputs of a model by their names, as JSON numbers in nested lists, and returns their elements by the numbers of their ports.
func (m *Model) Inputs(given map[string]json.RawMessage) (map[int][]int64, error) {
	if m.Continues() {
		return nil, faultf("model", "it continues prompts; ask it at /v1/completions or /v1/chat/completions")
	}
	out, of := map[int][]int64{}, map[int]*circuit.Port{}
	ports := m.f.Shortest().Ports
	for _, name := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(ports, func(p circuit.Port) bool { return !p.Out && p.Name == name })
		if i < 0 {
			return nil, faultf("inputs", "the model has no input %q; its inputs are %s", name, m.names())
		}
		text := given[name]
		if len(text) > 0 && text[0] != '[' { // of one element; and what is no list is no TensorProto either
			text = json.RawMessage("[" + string(text) + "]")
		}
		var same []*circuit.Port
		for _, c := range m.f.Members() {
			same = append(same, &c.Ports[i])
		}
		var err error
		if out[i], of[i], err = portfile.ReadOne(text, same...); err != nil {
			return nil, &Fault{"inputs", fmt.Errorf("%s: %w", name, err)}
		}
	}
	for i, p := range ports {
		if !p.Out && out[i] == nil {
			return nil, faultf("inputs", "%s is missing; the inputs are %s", p.Name, m.names())
		}
	}
	if m.member(func(i int, p *circuit.Port) bool { return slices.Equal(of[i].Shape, p.Shape) }) == nil {
		return nil, faultf("inputs", "they are of different lengths")
	}
	return out, nil
}

// names lists the inputs with what they hold.
func (m *Model) names() string {
	var out []string
	for i := range m.f.Longest().Ports {
		if p := &m.f.Longest().Ports[i]; !p.Out {
			out = append(out, fmt.Sprintf("%s (%v %v from %v to %v)", p.Name, p.Kind, p.Shape, function.Number(p, p.Lo), function.Number(p, p.Hi)))
		}
	}
	return strings.Join(out, ", ")
}

// member returns the shortest circuit all of whose inputs are accepted; nil if there is none.
func (m *Model) member(accept func(i int, p *circuit.Port) bool) *circuit.Circuit {
	for _, c := range m.f.Members() {
		ok := true
		for i := range c.Ports {
			if p := &c.Ports[i]; !p.Out && !accept(i, p) {
				ok = false
			}
		}
		if ok {
			return c
		}
	}
	return nil
}

// Text returns the inputs that a text makes, of the shortest circuit that holds it, and how many tokens it has.
func (m *Model) Text(text string) (inputs map[int][]int64, n int, err error) {
	switch {
	case m.Continues():
		return nil, 0, faultf("model", "it continues prompts; ask it at /v1/completions or /v1/chat/completions")
	case m.texts == nil:
		return nil, 0, faultf("input", "the model reads no texts; give its inputs to /v1/run: %s", m.names())
	}
	t, err := m.texts.Read(text)
	if err != nil {
		return nil, 0, &Fault{"input", err}
	}
	c, err := t.Shortest()
	if err != nil {
		return nil, 0, &Fault{"input", err}
	}
	inputs, err = t.Elements(c)
	return inputs, t.Tokens(), err
}

// asked makes of inputs the circuit that they are of, their statement without outputs, and the private ones.
func (m *Model) asked(inputs map[int][]int64) (*circuit.Circuit, *function.Statement, map[int][]int64, error) {
	c := m.member(func(i int, p *circuit.Port) bool { return len(inputs[i]) == circuit.Size(p.Shape) })
	if c == nil {
		return nil, nil, nil, faultf("inputs", "no circuit of the model takes them")
	}
	st, private := &function.Statement{Ports: make([][]int64, len(c.Ports))}, map[int][]int64{}
	for i, x := range inputs {
		if c.Ports[i].Public() {
			st.Ports[i] = x
		} else {
			private[i] = x
		}
	}
	return c, st, private, nil
}

// Run computes the outputs, and reports of them what statements tell; promised is the digest of the statement, as Verify compares it.
func (m *Model) Run(ctx context.Context, inputs map[int][]int64) (outputs []portfile.Report, promised string, err error) {
	c, st, private, err := m.asked(inputs)
	if err != nil {
		return nil, "", err
	}
	r, err := m.key.Run(ctx, st, private, m.processor)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	for _, p := range portfile.Reports(c, st) {
		if p.Values != nil && p.Side == "output" {
			outputs = append(outputs, p)
		}
	}
	return outputs, digest(c, st), nil
}
