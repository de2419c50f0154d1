package verifier

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// kind is the kind of the circuit's statements.
func (a *app) kind() statement.Kind {
	if a.c.Generation != nil {
		return generation.Kind
	}
	return function.Kind
}

// claimless says that a statement was decoded and claims nothing, or what its own values deny.
func claimless(err error) bool {
	return errors.Is(err, generation.ErrAnswer) || errors.Is(err, generation.ErrVacuous) || errors.Is(err, function.ErrVacuous)
}

// portFiles are the --input and --output flags: NAME=FILE.
type portFiles []string

func (f *portFiles) String() string { return strings.Join(*f, " ") }

// Set implements flag.Value.
func (f *portFiles) Set(v string) error {
	if name, file, ok := strings.Cut(v, "="); !ok || name == "" || file == "" {
		return errors.New("want NAME=FILE")
	}
	*f = append(*f, v)
	return nil
}

// compared returns the files with what the caller says that ports hold, by their numbers.
func (a *app) compared(inputs, outputs portFiles) (map[int]string, error) {
	want := map[int]string{}
	for _, list := range []struct {
		side  string
		files portFiles
	}{{"input", inputs}, {"output", outputs}} {
		for _, f := range list.files {
			name, file, _ := strings.Cut(f, "=")
			i := slices.IndexFunc(a.c.Ports, func(p circuit.Port) bool { return p.Side() == list.side && p.Name == name })
			switch {
			case a.c.Generation != nil:
				return nil, console.Usagef("verify: --%s is for models that are no text models; give --prompt and --answer", list.side)
			case i < 0:
				return nil, console.Usagef("verify: --%s %s: the model has no %s of this name", list.side, name, list.side)
			case !a.c.Ports[i].Public():
				return nil, console.Usagef("verify: --%s %s: the proofs of this circuit hide it: there is nothing to compare", list.side, name)
			case want[i] != "":
				return nil, console.Usagef("verify: --%s %s is given twice", list.side, name)
			}
			want[i] = file
		}
	}
	return want, nil
}

// expectation is what the caller says that a port holds, with the port as statements tell of it: that of the statement's circuit, or of
// another member of the family whose shape the elements have.
type expectation struct {
	of       *circuit.Port
	elements []int64
}

// expected reads these files, as the ports of the circuit that the statement is about if they have their shapes.
func expected(f *circuit.Family, c *circuit.Circuit, files map[int]string, stdin io.Reader) (map[int]expectation, error) {
	want := map[int]expectation{}
	for i := range c.Ports {
		file, ok := files[i]
		if !ok {
			continue
		}
		ports := []*circuit.Port{told(&c.Ports[i])}
		for _, m := range f.Members() {
			if m != c {
				ports = append(ports, told(&m.Ports[i]))
			}
		}
		data, err := console.ReadFile(file, stdin, portfile.MaxSize(told(&f.Longest().Ports[i])))
		var e expectation
		if err == nil {
			e.elements, e.of, err = portfile.ReadOne(data, ports...)
		}
		if err != nil {
			return nil, &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("%s %s: %s: %w", ports[0].Side(), ports[0].Name, file, err)}
		}
		want[i] = e
	}
	return want, nil
}

// told is the port as which statements tell of a port: of an arg-max, indices of the shape of its rows.
func told(p *circuit.Port) *circuit.Port {
	t := *p
	if p.Reveal == circuit.Argmax {
		t.Kind, t.Shape, t.Lo, t.Hi, t.Scale = circuit.Integers, portfile.Told(p), 0, int64(p.Shape[len(p.Shape)-1])-1, 0
	}
	return &t
}

// comparePorts rejects a proof, though it holds, of other elements than the caller expects.
func comparePorts(r *verifyReport, st *function.Statement) error {
	var err error
	for i := range r.c.Ports {
		want, ok := r.expected[i]
		if !ok {
			continue
		}
		p := &r.c.Ports[i]
		matches := slices.Equal(want.of.Shape, portfile.Told(p)) && slices.Equal(want.elements, st.Ports[i])
		r.Ports[i].Matches = &matches
		if !matches && err == nil {
			err = mismatch(p.Side(), p.Name+" "+brief(portfile.Text(want.of, want.of.Shape, want.elements)), brief(portfile.Text(p, portfile.Told(p), st.Ports[i])))
		}
	}
	return err
}

// showPorts prints what the statement says of the ports.
func showPorts(w io.Writer, r *verifyReport) {
	for _, p := range r.Ports {
		text := "private"
		if p.Values != nil {
			text = brief(string(p.Values)) + matched(p.Matches != nil, ", as expected")
		}
		of := ""
		if p.Reveals == circuit.Argmax.String() {
			of = "arg-max of "
		}
		fmt.Fprintf(w, "%-9s %s%s %v %s: %s\n", p.Side, of, p.Name, p.Shape, p.Elements, text)
	}
}

// brief shortens a list for a line.
func brief(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "… (--json has all)"
}

// mismatch is the rejection of other elements of a port than the expected ones.
func mismatch(side, expected, proved string) error {
	return &console.Failure{Code: console.Rejected, Class: side + " mismatch", Err: fmt.Errorf("the proof holds, but for another %s: expected %s, proved %s", side, expected, proved)}
}
