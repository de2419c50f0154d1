package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/compiler/internal/report"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/ir"
)

// manifestFile is written beside generated code; inspect reads it, and it marks a folder as ours.
const manifestFile = "zkllmc.json"

// manifest describes generated code.
type manifest struct {
	Generator string `json:"generator"` // zkllmc
	Name      string `json:"name"`      // of the model
	Digest    string `json:"circuit"`   // digest of the circuit, hexadecimal; of several lengths that of the family
	// where a model is compiled for several lengths, ascending; whatever else speaks of one circuit speaks of the longest
	Lengths   []lengthInfo `json:"lengths,omitempty"`
	Statement string       `json:"statement_kind"` // generation or function
	Pad       int64        `json:"pad"`            // of a generation: the token behind the end
	// SHA-256 of the tokenizer that the code reads texts with; with a template the SHA-256 of both files' SHA-256
	Tokenizer string           `json:"tokenizer,omitempty"`
	Ports     []portInfo       `json:"ports"`           // the inputs and outputs, in the circuit's order
	Layers    int              `json:"layers"`          // how often the repeated block runs
	Stats     compiler.Stats   `json:"stats"`           // the circuit's size
	Public    []tensorInfo     `json:"public_tensors"`  // constants, which everybody sees
	Weights   []tensorInfo     `json:"private_weights"` // weights, which proofs hide
	Scales    *compiler.Report `json:"scales"`          // how reals became integers; all of it is public
	Steps     []report.Step    `json:"steps,omitempty"` // the calls that the circuit is built with, in its order
	// the circuit by layer, in order: of the repeated layers that the circuit's names tell, else of the layers that names of the file tell
	// (`/model/layers.3/…`, `h.3.…`), what is before and behind them, and the tables
	ByLayer []report.Layer `json:"by_layer,omitempty"`
	Plan    *cost.Plan     `json:"plan,omitempty"` // of inspect with `--device`: what a proof takes of a GPU
	// where the program's meaning is one of several that the file allows: masks that are inputs, rows that a mask empties; and inputs that
	// are left out, since no output depends on them
	Notes []string `json:"notes,omitempty"`
}

// lengthInfo is the circuit of one of several lengths; the rest of a manifest is about the longest.
type lengthInfo struct {
	Length       int    `json:"length"`        // the length
	Digest       string `json:"circuit"`       // digest of its circuit
	WitnessCells int64  `json:"witness_cells"` // its cells that are committed with every proof, without multiplicities
	LookupCells  int64  `json:"lookup_cells"`  // its cells that are looked up
	ProofBytes   int    `json:"proof_bytes"`   // exact size of a proof about it

	Work cost.Work `json:"work"` // what a proof has to do, from which its seconds and memory are predicted
}

type tensorInfo struct {
	Name  string `json:"name"`  // name
	Shape []int  `json:"shape"` // shape

	Files []string `json:"from,omitempty"` // of a weight: the tensors of the model file that it is computed from

	// of a constant or a map of indices: at how many points a proof evaluates it
	Evaluations int `json:"evaluations,omitempty"`

	Where string `json:"where,omitempty"`                   // of a map of indices, which has no cells to store: where it is 1
	Work  int64  `json:"products_per_evaluation,omitempty"` // of such a map: products that the verifier makes per evaluation
}

// compileReport is what compile and inspect print with --json.
type compileReport struct {
	manifest
	// what it costs, with two threads or more, in seconds of one core; of several lengths that of the longest
	Predicted *prediction `json:"predicted"`
	// of compile: how the integer program compares with the float model on the inputs that scales were chosen from
	Check *verdict `json:"check,omitempty"`
	usage
}

// refusalReport is what compile and inspect print with --json of a model that is refused.
type refusalReport struct {
	// all that is seen to be in the model's way, in its order; of nodes that use what a refused one gives only whether there is such an
	// operator
	Refused []refusal `json:"refused"`
}

// refusal is one reason.
type refusal struct {
	Node   string `json:"node,omitempty"`   // name of the node, or of the tensor
	Op     string `json:"op,omitempty"`     // its operator
	Reason string `json:"reason"`           // what is in the way
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// refused prints why a model is refused, if an error says that.
func (a *app) refused(err error) error {
	var all ir.Refusals
	var one *compiler.Unsupported
	if !errors.As(err, &all) && errors.As(err, &one) {
		all = ir.Refusals{one}
	}
	if len(all) == 0 {
		return err
	}
	var r refusalReport
	for _, u := range all {
		r.Refused = append(r.Refused, refusal{u.Node, u.Op, u.Reason, u.Remedy})
	}
	return errors.Join(err, a.json(r))
}

// verdict is the short form of a comparison with the float model.
type verdict struct {
	OK        bool    `json:"ok"`        // it is precise enough; false is possible with `--accept-loss` only
	Tolerance float64 `json:"tolerance"` // `--tolerance`
	// largest difference of a cell of an output, in parts of the output's largest magnitude
	Error     float64 `json:"error"`
	Inputs    int     `json:"inputs"`               // inputs that were compared
	Positions int     `json:"positions,omitempty"`  // of a language model: positions of all inputs
	Agree     int     `json:"top1_agree,omitempty"` // those with the same best token
	// the place where most precision is lost, where it does not suffice or with `--layers`
	Worst *quant.Place `json:"worst,omitempty"`
	// with `--layers`: the values of the integer program that stand for one of the float model, in its order
	Places []quant.Place `json:"places,omitempty"`
}

func verdictOf(r *compiler.CheckReport) *verdict {
	v := &verdict{OK: r.OK(), Tolerance: r.Tolerance, Error: r.Error(), Inputs: r.Inputs, Worst: r.Worst, Places: r.Places}
	if p := r.PredictionReport; p != nil {
		v.Positions, v.Agree = p.Positions, p.Agree
	}
	return v
}

// portInfo describes an input or output of the circuit. Elements are integers in [Lo, Hi]; one of reals stands for itself times 2^-Scale.
type portInfo struct {
	Name     string `json:"name"`            // its name
	Side     string `json:"side"`            // input or output
	Elements string `json:"elements"`        // ids, integers, booleans or reals
	Shape    []int  `json:"shape"`           // its extents
	Lo       int64  `json:"lo"`              // least element
	Hi       int64  `json:"hi"`              // greatest element
	Scale    int    `json:"scale,omitempty"` // an element of reals stands for itself times 2^-scale
	Reveals  string `json:"reveals"`         // what statements tell: nothing, values or argmax
}

const generator = "zkllmc"

func (a *app) compileCommand() *cobra.Command {
	var m modelFlags
	var o output
	c := &cobra.Command{
		Use:   "compile MODEL.onnx -o DIR",
		Short: "Generate the prover and the verifier of a model",
		Long: `compile writes to DIR:

  circuit/      the integer program that is proved, as readable Go, and its public constants
  verifier/     a library for services that check proofs
  cmd/prover, cmd/verifier
  model.circuit the circuits as a file, for zkllmc-verifier, which checks proofs about any model
  weights.zkw   the quantised weights: secret, setup reads them
  zkllmc.json   what was chosen, with the names of the file's nodes and weights, for zkllmc inspect

With --length N,N,… the model is compiled for several lengths: scales are chosen and weights rounded once, for the longest, and every length
gets a circuit that computes the same integers. weights.zkw, the keys that setup makes of it and the model's ID are those of all; a proof
is about the shortest circuit that holds prompt and answer, and costs what that one holds. A model whose weights or operations depend on
the length in more than how many rows of a table of positions it reads is refused.

At the end it runs the integer program and the float model on the inputs that scales were chosen from (--calibrate, or the default set), and
says how they compare, as check does.

` + checkHelp + `
If it is not, nothing is written, the exit code is 5, and the place where most precision is lost is named; --accept-loss writes the code
nonetheless. Expected outputs that came with the inputs are compared too.

Outside a Go module it also writes go.mod and go.sum; inside, that module must require zkllmc, and compile says how. A folder that
zkllmc did not write, or that holds the code of another circuit or the weights of another model, is left alone unless --force is given. The
same model and flags give the same files.`,
		Example: `  zkllmc compile model.onnx -o story --tokenizer tok512.bin
  zkllmc compile gpt.onnx -o gpt --dim batch=1 --dim sequence=64 --reveal argmax --calibrate prompts.json
  zkllmc compile chat.onnx -o chat --length 32,64,128 --reveal argmax --tokenizer tokenizer.json --chat smollm2`,
		Args: takes("MODEL.onnx", 1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			err := a.compile(ctx, args[0], &m, &o)
			if err != nil && o.json {
				err = a.refused(err)
			}
			return err
		}),
	}
	m.register(c)
	f := c.Flags()
	f.StringVarP(&o.dir, "output", "o", "", "folder `DIR` to write")
	f.StringVar(&o.runtimePath, "runtime-path", "", "source folder `DIR` of zkllmc, for generated code that is built against it instead of a release; inside a Go module its go.mod says that")
	f.StringVar(&o.module, "module", "", "module `PATH` of the generated go.mod (default: from the folder's name)")
	f.BoolVar(&o.force, "force", false, "write into a folder with other content, or with the code of another circuit or the weights of another model")
	m.registerTolerance(c)
	f.BoolVar(&o.layers, "layers", false, "say where precision is lost, layer by layer")
	f.BoolVar(&o.acceptLoss, "accept-loss", false, "write the code of an integer program that is not precise enough, too")
	f.BoolVar(&o.json, "json", false, "print a report as JSON")
	o.seals.Register(f, compiler.WeightsFile)
	return c
}

// output says where generated code goes.
type output struct {
	dir, runtimePath, module string
	force, json              bool
	layers, acceptLoss       bool
	huggingFace              bool // the code reads a tokenizer.json

	seals sealed.SealFlags
	seal  *sealed.Sealer // that they stand for
}

// precise is the error of a program that is not precise enough, unless the loss is accepted.
func (a *app) precise(report *compiler.CheckReport, o *output) error {
	err := report.Err()
	switch {
	case err == nil:
	case errors.Is(err, quant.ErrImprecise) && o.acceptLoss:
		fmt.Fprintf(a.err, "zkllmc: accepted: %v\n", err)
		return nil
	default:
		printCheck(a.err, report)
		if errors.Is(err, quant.ErrImprecise) {
			err = fmt.Errorf("%w; nothing was written, --accept-loss does so nonetheless", err)
		}
	}
	return err
}

func (a *app) compile(ctx context.Context, model string, m *modelFlags, o *output) error {
	if o.dir == "" {
		return console.Usagef("compile needs an output folder: -o DIR")
	}
	cfg, err := m.config(a)
	if err != nil {
		return err
	}
	if err := readable(model); err != nil {
		return err
	}
	if err := o.vacant(); err != nil {
		return err
	}
	if o.seal, _, err = o.seals.Sealer(ctx, compiler.WeightsFile, os.Stdin, a.ask); err != nil {
		return err
	}
	o.huggingFace = vocab.IsHuggingFace(cfg.Vocab)
	mod, err := a.module.place(o)
	if err != nil {
		return err
	}
	cfg.ImportPath = mod.importPath
	cfg.Places = o.layers
	c, err := a.made(ctx, model, m, cfg, o, a.err)
	if err == nil {
		c, err = refined(ctx, &cfg, c, func(c *compiled) bool { return c.report.Coarse() && !o.acceptLoss }, func(c *compiled) (*compiled, error) {
			a.coarse(c.report, cfg.Finer)
			return a.made(ctx, model, m, cfg, o, io.Discard)
		})
	}
	if err != nil {
		return err
	}
	if err := a.precise(c.report, o); err != nil {
		return err
	}
	return a.written(ctx, c, mod, o)
}

// compiled is a compiled model, and how it compares with the float model on what scales were chosen from.
type compiled struct {
	*compiler.Result
	desc   manifest
	report *compiler.CheckReport
}

// refined makes a program anew with finer roundings while it is too coarse, as often as that is of use. One that has no room for finer ones
// stays: what is to be said of it is that it is too coarse.
func refined[T any](ctx context.Context, cfg *compiler.Config, x T, coarse func(T) bool, finer func(T) (T, error)) (T, error) {
	for coarse(x) && cfg.Finer < quant.MostFiner {
		cfg.Finer++
		next, err := finer(x)
		if ctx.Err() != nil {
			return x, ctx.Err()
		}
		if err != nil {
			break
		}
		x = next
	}
	return x, nil
}

// coarse says that a program is too coarse, and that the next one is finer.
func (a *app) coarse(report *compiler.CheckReport, finer int) {
	fmt.Fprintf(a.err, "zkllmc: %v; once more with finer roundings, --finer %d\n", report.Err(), finer)
}

// made compiles a model, sees that it may be written, and compares it with the float model. notes are for the reader.
func (a *app) made(ctx context.Context, model string, m *modelFlags, cfg compiler.Config, o *output, notes io.Writer) (*compiled, error) {
	r, err := interruptible(ctx, a, func() (*compiler.Result, error) { return compiler.Compile(ctx, model, cfg) })
	if err != nil {
		return nil, err
	}
	drawn(notes, r, cfg)
	if err := m.texts(notes, r, cfg.Calibrate); err != nil {
		return nil, err
	}
	c := &compiled{Result: r, desc: describe(r)}
	if t := m.words; t != nil {
		c.desc.Tokenizer = fmt.Sprintf("%x", t.Sum())
		if _, ends := t.End(); !ends && r.Circuit.Generation != nil {
			fmt.Fprintf(notes, "zkllmc: %s does not say which token ends an answer, so that answers go on to the circuit's length: give --chat or --end-token\n", m.tokenizer)
		}
	}
	if err := o.replaceable(notes, c.desc, r.Files); err != nil {
		return nil, err
	}
	a.progress("checking the integer program against the float model")
	c.report, err = interruptible(ctx, a, func() (*compiler.CheckReport, error) { return r.Check(ctx, cfg.Calibrate) })
	return c, err
}

// written writes a compiled model, and says what it is.
func (a *app) written(ctx context.Context, c *compiled, mod placement, o *output) error {
	files := append(c.Files, mod.files...)
	text, err := json.MarshalIndent(c.desc, "", "  ")
	if err != nil {
		return err
	}
	files = append([]codegen.SourceFile{
		{Path: manifestFile, Data: append(text, '\n')}, // first: see generated
		{Path: ".gitignore", Data: []byte(ignored)},
	}, files...)
	a.progress("writing " + o.dir)
	if err := write(ctx, o.dir, sealWeights(o.seal, files)); err != nil {
		return err
	}
	if mod.note != "" {
		fmt.Fprintf(a.err, "zkllmc: %s", mod.note)
	}
	if o.json {
		return a.json(compileReport{c.desc, c.desc.predict(), verdictOf(c.report), a.usage()})
	}
	c.desc.print(a.out)
	fmt.Fprintln(a.out)
	printCheck(a.out, c.report)
	opened := ""
	if o.seal.Seals() {
		opened = ", with what opens the weights and encrypts the key (bin/prover setup --help)"
	}
	fmt.Fprintf(a.out, "\nnext: cd %s && go build -o bin/ ./cmd/prover ./cmd/verifier && bin/prover setup --weights %s -o keys%s\n", shellFolder(o.dir), compiler.WeightsFile, opened)
	return nil
}

// sealWeights has the weights encrypted while they are written, if anything is.
func sealWeights(seal *sealed.Sealer, files []codegen.SourceFile) []codegen.SourceFile {
	out := slices.Clone(files)
	for i := range out {
		if write := out[i].Write; out[i].Path == compiler.WeightsFile {
			out[i].Write = func(to io.Writer) error { return seal.Write(to, write) }
		}
	}
	return out
}

// ignored keeps out of version control what must not go where the verifier's code goes, and the folder that compile says to build into.
// Temporary files, which a process that is killed leaves, may be of weights or keys.
const ignored = "# Secrets of the model's owner, whole or half written.\n" + compiler.WeightsFile + "\nprover.key\nsetup.work/\n.*.tmp-*\n\n# What is built.\n/bin/\n"

// plain are the words that no shell reads as anything but themselves.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+:,./][A-Za-z0-9_@%+=:,./-]*$`)

// shellWord quotes a word for a POSIX shell, so that a printed command can be copied.
func shellWord(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shellFolder is shellWord for the name of a folder, which no command takes for a flag.
func shellFolder(dir string) string {
	if strings.HasPrefix(dir, "-") {
		dir = "./" + dir
	}
	return shellWord(dir)
}

// readable gives a missing model the exit code of an unreadable one.
func readable(model string) error {
	info, err := os.Stat(model)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder; give the ONNX file", model)
	}
	if err != nil {
		return console.Unusable(err)
	}
	return nil
}

// vacant refuses a folder that holds what we did not write.
func (o *output) vacant() error {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 || o.force {
		return nil
	}
	if err != nil {
		return console.Usagef("%w", err)
	}
	ours, err := generated(o.dir)
	if err != nil {
		return console.Unusable(err)
	}
	if !ours {
		return console.Askedf("%s is not empty and was not generated by zkllmc; choose another folder or add --force", o.dir)
	}
	return nil
}

// generated says whether compile wrote what is in a folder: it writes the manifest first, and before that a process that is killed
// leaves folders and temporary files at most.
func generated(dir string) (bool, error) {
	if _, err := readManifest(dir); err == nil {
		return true, nil
	}
	foreign := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if _, temp := atomicfile.TempOf(d.Name()); err == nil && !d.IsDir() && !temp {
			foreign = true
		}
		return err
	})
	return !foreign, err
}

// write puts files in place. All are on the disk before the first has its name: where there is no room for one of them, nothing is
// replaced. What zkllmc did not generate (keys, proofs) stays.
func write(ctx context.Context, dir string, files []codegen.SourceFile) error {
	var ready []*atomicfile.File
	err := func() error {
		for _, f := range files {
			name := filepath.Join(dir, filepath.FromSlash(f.Path))
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return err
			}
			mode := os.FileMode(0o644)
			if f.Path == compiler.WeightsFile {
				mode = 0o600
			}
			o := atomicfile.Options{Mode: mode, Replace: true}
			p, err := (*atomicfile.File)(nil), error(nil)
			if f.Write != nil {
				p, err = atomicfile.Stream(ctx, name, f.Write, o)
			} else {
				p, err = atomicfile.Prepare(ctx, name, f.Data, o)
			}
			if err != nil {
				return err
			}
			ready = append(ready, p)
		}
		return nil
	}()
	if err != nil {
		for _, p := range ready {
			p.Discard()
		}
		if ctx.Err() != nil {
			return err // interrupted, whatever the file system made of it
		}
		return console.Unusable(fmt.Errorf("%w; no file of %s was replaced", err, dir))
	}
	if done, err := atomicfile.CommitAll(nil, ready...); err != nil {
		return console.Unusable(fmt.Errorf("%w; %d of %d files of %s are the new ones, the same command writes the rest", err, done, len(files), dir))
	}
	return nil
}

func hexadecimal(digest [32]byte) string { return hex.EncodeToString(digest[:]) }

func describe(r *compiler.Result) manifest {
	d := manifest{
		Generator: generator, Name: r.Circuit.Name, Digest: hexadecimal(r.Family.Digest()), Statement: r.Circuit.StatementKind(), Layers: r.Layers(), Stats: r.Stats,
		Scales: r.Scales, Notes: r.Notes, Public: []tensorInfo{}, Weights: []tensorInfo{},
	}
	if g := r.Circuit.Generation; g != nil {
		d.Pad = g.Pad
	}
	if members := r.Members(); len(members) > 1 {
		for _, m := range members {
			d.Lengths = append(d.Lengths, lengthInfo{m.Length, hexadecimal(m.Circuit.Digest()), m.Stats.WitnessCells, m.Stats.LookupCells, m.Stats.ProofBytes, m.Stats.Work})
		}
	}
	for i := range r.Circuit.Ports {
		p := &r.Circuit.Ports[i]
		d.Ports = append(d.Ports, portInfo{p.Name, p.Side(), p.Kind.String(), p.Shape, p.Lo, p.Hi, p.Scale, p.Reveal.String()})
	}
	for _, w := range r.Weights {
		d.Weights = append(d.Weights, tensorInfo{Name: w.Name, Shape: w.Shape, Files: w.Files})
	}
	d.Steps = r.Steps()
	d.ByLayer = report.Layers(r.Circuit, d.Steps, d.weightFiles())
	times := r.Circuit.Evaluations()
	for i := range r.Circuit.Tensors {
		switch t := &r.Circuit.Tensors[i]; t.Kind {
		case kindConst:
			d.Public = append(d.Public, tensorInfo{Name: t.Name, Shape: t.Shape, Evaluations: times[i]})
		case kindAffine:
			offset, strides := t.Equation()
			d.Public = append(d.Public, tensorInfo{Name: t.Name, Shape: t.Shape, Evaluations: times[i], Where: circuit.Linear(offset, strides), Work: t.EvaluationWork()})
		}
	}
	return d
}

// weightFiles are the tensors of the model's file that weights are made of, of each the first.
func (d *manifest) weightFiles() map[string]string {
	out := map[string]string{}
	for _, w := range d.Weights {
		if len(w.Files) > 0 {
			out[w.Name] = w.Files[0]
		}
	}
	return out
}
