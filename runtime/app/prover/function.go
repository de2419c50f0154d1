package prover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/forecast"
	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// Circuits whose statements are functions have commands of their own: what they take are the elements of the input ports.

// inputs are the --input flags of run and prove, or those of a text.
type inputs struct {
	files      []string
	text, from string // of --text and --text-file
	cmd        *cobra.Command
}

func (in *inputs) flags(a *app, c *cobra.Command) {
	var ports []string
	for i := range a.c.Ports {
		if p := &a.c.Ports[i]; !p.Out {
			ports = append(ports, fmt.Sprintf("%s (%v %s from %v to %v)", p.Name, p.Kind, portfile.Shapes(portOf(a.f, i)), function.Number(p, p.Lo), function.Number(p, p.Hi)))
		}
	}
	if a.m.Vocab != nil {
		c.Flags().StringVar(&in.text, console.TextFlag, "", "the `TEXT` that the model reads, of which all inputs are made; other users of the machine may see it: --text-file hides it")
		c.Flags().StringVar(&in.from, console.TextFlag+console.FileSuffix, "", "`FILE` with the text, - for the standard input; one line end behind it is no part of it")
	}
	in.cmd = c
	c.Flags().StringArrayVar(&in.files, "input", nil, "`NAME=FILE` with the elements of an input, as JSON lists or as an ONNX TensorProto, - for the standard input, in its shape but for axes of extent 1, which may be missing or more; the inputs are "+strings.Join(ports, ", "))
}

// portOf lists a port of all circuits of a family.
func portOf(f *circuit.Family, port int) (out []*circuit.Port) {
	for _, c := range f.Members() {
		out = append(out, &c.Ports[port])
	}
	return out
}

// paths lists the files for apart.
func (in *inputs) paths() (out []path) {
	for _, f := range in.files {
		if _, file, _ := strings.Cut(f, "="); file != console.Stdin {
			out = append(out, path{"--input", file})
		}
	}
	if in.from != console.Stdin {
		out = append(out, path{"--" + console.TextFlag + console.FileSuffix, in.from})
	}
	return out
}

// asked is what a function is run on.
type asked struct {
	c  *circuit.Circuit    // the shortest that the inputs fit
	st *function.Statement // without its outputs
	in *engine.Input
}

// content is a file with the elements of an input.
type content struct {
	port       int
	name, file string
	data       []byte
	elements   []int64
	of         *circuit.Port // in the shortest circuit where it has their shape
}

// read returns the inputs, of the shortest circuit that has their shapes.
func (in *inputs) read(ctx context.Context, a *app, open *sealed.OpenFlags) (*asked, error) {
	given := console.Given{}
	for _, name := range []string{console.TextFlag, console.TextFlag + console.FileSuffix} {
		if f := in.cmd.Flags().Lookup(name); f != nil && f.Changed {
			given[name] = f.Value.String()
		}
	}
	standard := append(open.Standard(), given.Standard()...)
	for _, f := range in.files {
		if name, file, _ := strings.Cut(f, "="); file == console.Stdin {
			standard = append(standard, name)
		}
	}
	if err := console.ReadOnce(standard...); err != nil {
		return nil, console.Usagef("%w", err)
	}
	if len(given) > 0 {
		return a.passage(ctx, given, len(in.files) > 0)
	}
	files, err := console.Interruptible(ctx, func() ([]content, error) { return in.contents(a.f.Longest(), a.stdin) })
	if err != nil {
		return nil, err
	}
	return elements(a.f, files)
}

// contents reads the files, as large as the inputs of the circuit may have them.
func (in *inputs) contents(c *circuit.Circuit, stdin io.Reader) ([]content, error) {
	var out []content
	given := map[int]bool{}
	for _, f := range in.files {
		name, file, ok := strings.Cut(f, "=")
		i := inputPort(c, name)
		switch {
		case !ok:
			return nil, console.Usagef("--input %s: want NAME=FILE", f)
		case i < 0:
			return nil, console.Usagef("--input %s: the model has no input of this name", name)
		case given[i]:
			return nil, console.Usagef("--input %s is given twice", name)
		}
		data, err := console.ReadFile(file, stdin, portfile.MaxSize(&c.Ports[i]))
		if err != nil {
			return nil, console.Unusable(err)
		}
		given[i], out = true, append(out, content{port: i, name: name, file: file, data: data})
	}
	return out, nil
}

// elements reads the inputs, of the shortest circuit that has all their shapes.
func elements(f *circuit.Family, files []content) (*asked, error) {
	for i := range files {
		in := &files[i]
		var err error
		in.elements, in.of, err = portfile.ReadOne(in.data, portOf(f, in.port)...)
		switch {
		case err != nil && !f.Shortest().Ports[in.port].Public():
			return nil, console.Unusable(&unshown{fmt.Sprintf("%s: input %s: it does not hold elements of this input; it is private and not shown", in.file, in.name), err})
		case err != nil:
			return nil, console.Unusable(fmt.Errorf("%s: input %s: %w", in.file, in.name, err))
		}
	}
	for i := range f.Shortest().Ports {
		p := &f.Shortest().Ports[i]
		if !p.Out && !slices.ContainsFunc(files, func(f content) bool { return f.port == i }) {
			return nil, console.Usagef("--input %s=FILE is missing", p.Name)
		}
	}
	for _, c := range f.Members() {
		if !slices.ContainsFunc(files, func(in content) bool { return !slices.Equal(in.of.Shape, c.Ports[in.port].Shape) }) {
			given := map[int][]int64{}
			for _, in := range files {
				given[in.port] = in.elements
			}
			return ask(c, given), nil
		}
	}
	return nil, console.Unusable(disagreement(f, files))
}

// ask makes what a circuit is run on of the elements of its inputs, by their numbers.
func ask(c *circuit.Circuit, elements map[int][]int64) *asked {
	st, private := &function.Statement{Ports: make([][]int64, len(c.Ports))}, map[int][]int64{}
	for i, x := range elements {
		if c.Ports[i].Public() {
			st.Ports[i] = x
		} else {
			private[i] = x
		}
	}
	return &asked{c: c, st: st, in: &engine.Input{Statement: st, Private: private}}
}

// disagreement says that inputs, each of a shape that some circuit has, have together those of none.
func disagreement(f *circuit.Family, files []content) error {
	var have, circuits []string
	for _, in := range files {
		have = append(have, fmt.Sprintf("%s holds %s %v", in.file, in.name, in.of.Shape))
	}
	for _, c := range f.Members() {
		circuits = append(circuits, c.Extent())
	}
	return fmt.Errorf("%w: %s; the circuits take %s", errLengths, strings.Join(have, ", "), strings.Join(circuits, "; or "))
}

var errLengths = errors.New("the inputs are of different lengths")

// unshown is an error whose reason, which may show cells, is not in its text.
type unshown struct {
	text   string
	reason error
}

func (e *unshown) Error() string { return e.text }
func (e *unshown) Unwrap() error { return e.reason }

// inputPort returns the number of an input port, -1 if there is none of the name.
func inputPort(c *circuit.Circuit, name string) int {
	for i := range c.Ports {
		if !c.Ports[i].Out && c.Ports[i].Name == name {
			return i
		}
	}
	return -1
}

// fill runs the model and completes the statement by what it reveals of the outputs. It returns the cells that were clamped, too.
func (a *app) fill(ctx context.Context, k *engine.Key, q *asked) (*engine.Execution, []engine.Clamped, error) {
	a.progress.phase("running")
	r, err := console.Interruptible(ctx, func() (*engine.Execution, error) { return k.Run(ctx, q.st, q.in.Private, a.processor) })
	if err != nil {
		return nil, nil, err
	}
	return r, a.m.named(r.Clamped()), nil
}

func (a *app) functionRunCommand() *cobra.Command {
	var in inputs
	var key string
	var asJSON bool
	var open sealed.OpenFlags
	c := &cobra.Command{
		Use:     "run --key prover.key --input NAME=FILE…",
		Short:   "Run the model, without a proof",
		Long:    `Runs the integer program that proofs are about, and prints what statements reveal of the outputs, a line per output.`,
		Example: "  prover run --key keys/prover.key --input x=x.json",
		Args:    noArgs,
		RunE: a.command(func(ctx context.Context) error {
			q, err := in.read(ctx, a, &open)
			if err != nil {
				return err
			}
			k, err := a.readKey(ctx, key, &open)
			if err != nil {
				return err
			}
			ran, clamped, err := a.fill(ctx, k, q)
			if err != nil {
				return err
			}
			defer ran.Close()
			a.progress.phase("")
			a.showClamped(clamped, asJSON)
			return a.printFunction(k, q, report{Clamped: clamped}, asJSON)
		}),
	}
	in.flags(a, c)
	c.Flags().StringVar(&key, "key", "", "prover key `FILE` that setup wrote")
	c.Flags().BoolVar(&asJSON, "json", false, "print a report")
	open.Register(c.Flags(), "the prover key")
	required(c, "key")
	return c
}

// functionProveOptions are the flags of prove.
type functionProveOptions struct {
	inputs
	proveFiles
}

func (a *app) functionProveCommand() *cobra.Command {
	o := &functionProveOptions{}
	c := &cobra.Command{
		Use:   "prove --key prover.key --input NAME=FILE… -o proof.bin --statement-out statement.bin",
		Short: "Run the model and prove what it gives",
		Long: `Runs the model and proves that these inputs give these outputs. The statement says what is public of both; the proof is verified
before anything is written.`,
		Example: `  prover prove --key keys/prover.key --input x=x.json -o proof.bin --statement-out statement.bin`,
		Args:    noArgs,
		RunE:    a.command(func(ctx context.Context) error { return a.functionProve(ctx, o) }),
	}
	o.inputs.flags(a, c)
	o.proveFiles.flags(c)
	a.stats.flag(c)
	return c
}

func (a *app) functionProve(ctx context.Context, o *functionProveOptions) error {
	if err := o.check(a, o.inputs.paths()...); err != nil {
		return err
	}
	q, err := o.read(ctx, a, &o.open)
	if err != nil {
		return err
	}
	budget, err := o.budget()
	if err != nil {
		return err
	}
	if ctx, err = a.afford(ctx, q.c, budget); err != nil {
		return err
	}
	k, vk, err := a.keys(ctx, &o.proveFiles)
	if err != nil {
		return err
	}
	a.progress.expect(forecast.Of(q.c))
	ran, clamped, err := a.fill(ctx, k, q)
	if err != nil {
		return err
	}
	q.st.NoSaturation = o.noSaturation
	a.stats.proves(q.c)
	proof, err := console.Interruptible(ctx, func() ([]byte, error) { return ran.Prove(ctx, a.options()) })
	if err != nil {
		return saturated(err, clamped)
	}
	encoded, err := a.checkAndWrite(ctx, &o.proveFiles, vk, q.c, q.st, proof)
	if err != nil {
		return err
	}
	a.showClamped(clamped, o.json)
	if err := a.printFunction(k, q, report{Computed: a.computed, ProofBytes: len(proof), StatementBytes: len(encoded), NoSaturation: o.noSaturation, Clamped: clamped}, o.json); err != nil || o.json {
		return err
	}
	a.showFiles(&o.proveFiles, len(encoded), len(proof))
	return nil
}

// printFunction prints the outputs, or a report.
func (a *app) printFunction(k *engine.Key, q *asked, r report, asJSON bool) error {
	if asJSON {
		r.ModelID, r.Circuit, r.Ports = fmt.Sprintf("%x", k.ModelID()), digest(q.c), portfile.Reports(q.c, q.st)
		return a.printReport(r)
	}
	for i := range q.c.Ports {
		if p := &q.c.Ports[i]; p.Out && p.Public() {
			fmt.Fprintf(a.said, "%s\t%s\n", p.Name, portfile.Text(p, portfile.Told(p), q.st.Ports[i]))
		}
	}
	return nil
}
