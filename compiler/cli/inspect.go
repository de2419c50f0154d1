package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/portfile"
)

const (
	kindConst  = circuit.Const
	kindAffine = circuit.Affine
)

func (a *app) inspectCommand() *cobra.Command {
	var m modelFlags
	var o inspectFlags
	var on deviceFlags
	c := &cobra.Command{
		Use:   "inspect MODEL.onnx|DIR",
		Short: "Show what a model's circuit holds and what a proof would cost",
		Long: `inspect shows the size of a model's circuit, the predicted cost of setup and of a proof, which tensors are private and which are
public, and the scales. Given a folder that compile wrote it shows what was compiled.

Scales, ranges and the circuit are public: they tell powers of two that calibration and the largest cell of each weight chose, and of
an input of integers without --range the least and the greatest of calibration.

--canonical also writes the circuit itself, as SPEC.md describes it, for verifiers other than ours; its SHA-256 is the circuit's
digest. Of several lengths it writes a file each, circuit.32.bin and so on for circuit.bin.

--html also writes a page about the model, one file that needs no network: its graph by layer, every weight and its class, scales and
widths, what each layer and each stage of a proof costs, and what is revealed. Times of a prover are in it with --stats. How precise each
layer is takes a comparison with the float model: of an ONNX file inspect makes it, on the inputs that scales are chosen from, of a folder
--precision gives it. That tells of the weights, so that such a page is for their owner.

A layer is a repetition that the compiler found, layer0, layer1, … in the circuit's names. What is outside of these, or all of a model
without them, goes by the names of ONNX nodes and weights (/model/layers.3/…, h.3.…, blocks.3); nodes whose names tell nothing follow those
before them. A model without any is one layer.`,
		Example: `  zkllmc inspect model.onnx --reveal argmax --canonical circuit.bin
  python3 spec/verify.py --circuit circuit.bin --vk model.vk
  bin/prover prove --key keys/prover.key --prompt Hello -o p --statement-out s --json --stats >prove.json
  zkllmc inspect DIR --html report.html --stats prove.json`,
		Args: takes("MODEL.onnx or a folder that compile wrote", 1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.inspect(ctx, args[0], &m, &on, &o)
		}),
	}
	m.register(c)
	c.Flags().StringVar(&o.canonical, "canonical", "", "new `FILE` for the canonical encoding of the circuit")
	on.register(c)
	o.page.register(c)
	c.Flags().BoolVar(&o.json, "json", false, "print a report as JSON")
	return c
}

// inspectFlags say what inspect writes besides its report, and how it prints that.
type inspectFlags struct {
	canonical string // a file, or none
	page      pageFlags
	json      bool
}

// inspect reports on an ONNX file or a compiled folder, and writes the files that it is asked for.
func (a *app) inspect(ctx context.Context, path string, m *modelFlags, on *deviceFlags, o *inspectFlags) error {
	info, err := os.Stat(path)
	if err != nil {
		return console.Unusable(err)
	}
	if err := o.page.read(); err != nil {
		return err
	}
	var desc manifest
	if info.IsDir() {
		if on.name != "" {
			return console.Usagef("--device: %s is a folder; give the ONNX file and the flags that it was compiled with", path)
		}
		if desc, err = readManifest(path); err == nil {
			err = filed(ctx, path, &desc, o)
		}
	} else {
		desc, err = a.analyse(ctx, path, m, on, o)
	}
	if err != nil && o.json {
		return a.refused(err)
	}
	if err != nil {
		return err
	}
	if o.json {
		return a.json(compileReport{manifest: desc, Predicted: desc.predict(), usage: a.usage()})
	}
	desc.print(a.out)
	desc.printTensors(a.out)
	if desc.Plan != nil {
		fmt.Fprintln(a.out)
		desc.Plan.Print(a.out)
	}
	desc.printLayers(a.out)
	return nil
}

// readManifest reads what compile left in a folder.
func readManifest(dir string) (manifest, error) {
	var desc manifest
	data, err := atomicfile.Read(filepath.Join(dir, manifestFile), 1<<28)
	if err == nil {
		err = json.Unmarshal(data, &desc)
	}
	if err == nil && desc.Generator != generator {
		err = fmt.Errorf("%s was written by %q", manifestFile, desc.Generator)
	}
	if i := slices.IndexFunc(desc.Ports, isInput); err == nil && desc.Statement == "generation" && (i < 0 || len(desc.Ports[i].Shape) == 0) {
		err = fmt.Errorf("%s tells of no input", manifestFile)
	}
	if err != nil {
		return desc, console.Unusable(fmt.Errorf("%s is no folder that zkllmc compile wrote: %w", dir, err))
	}
	return desc, nil
}

// analyse describes a model and writes what inspect is asked for.
func (a *app) analyse(ctx context.Context, model string, m *modelFlags, on *deviceFlags, o *inspectFlags) (manifest, error) {
	of, budget, err := on.device()
	if err != nil {
		return manifest{}, err
	}
	cfg, err := m.config(a)
	if err != nil {
		return manifest{}, err
	}
	cfg.Enlarged, cfg.Layers = on.enlarged, on.layers
	cfg.Places = o.page.file != ""
	canonicals := canonicalFiles(o.canonical, cfg.Lengths)
	if o.canonical != "" {
		if err := console.Named("inspect: --canonical", o.canonical); err != nil {
			return manifest{}, err
		}
	}
	for _, name := range canonicals {
		if err := atomicfile.Check(name, atomicfile.Options{}); err != nil { // before the work, not after it
			return manifest{}, console.Usagef("--canonical: %w", err)
		}
	}
	r, err := interruptible(ctx, a, func() (*compiler.Result, error) { return compiler.Analyse(ctx, model, cfg) })
	if err != nil {
		return manifest{}, err
	}
	drawn(a.err, r, cfg)
	if err := m.texts(a.err, r, cfg.Calibrate); err != nil {
		return manifest{}, err
	}
	for i, name := range canonicals {
		if err := writeCanonical(r.Members()[i].Circuit, name); err != nil {
			return manifest{}, console.Unusable(err)
		}
	}
	desc := describe(r)
	if on.name != "" {
		a.progress("planning a proof on " + of.Name)
		if desc.Plan, err = cuda.Plan(ctx, cmp.Or(r.Larger, r).Circuit, of, budget); err != nil {
			return manifest{}, fmt.Errorf("a proof on %s: %w", of.Name, err)
		}
	}
	return desc, a.page(ctx, r, cfg.Calibrate, &desc, &o.page)
}

// page writes the page of a model, if it is asked for, after a comparison with the float model, unless one is given.
func (a *app) page(ctx context.Context, r *compiler.Result, inputs []compiler.Input, desc *manifest, o *pageFlags) error {
	if o.file == "" {
		return nil
	}
	if err := o.of(desc); err != nil {
		return err
	}
	if o.checked == nil {
		a.progress("checking the integer program against the float model")
		check, err := interruptible(ctx, a, func() (*compiler.CheckReport, error) { return r.Check(ctx, inputs) })
		if err != nil {
			return err
		}
		o.checked = &compared{Circuit: desc.Digest, CheckReport: *check}
	}
	return o.write(ctx, desc, r.Circuit)
}

// filed writes what inspect is asked for of the circuits that compile left in a folder.
func filed(ctx context.Context, dir string, desc *manifest, o *inspectFlags) error {
	if o.canonical == "" && o.page.file == "" {
		return nil
	}
	data, err := console.ReadArtefact(filepath.Join(dir, codegen.CircuitFile), format.MagicCircuit, bundle.MaxCircuit)
	if err != nil {
		return console.Unusable(fmt.Errorf("%w; compile the model again if the folder is of an older zkllmc", err))
	}
	f, err := circuits.Decode(ctx, data)
	if err != nil {
		return console.Unusable(fmt.Errorf("%s: %w", codegen.CircuitFile, err))
	}
	if err := filedCanonical(f, desc.Lengths, o.canonical); err != nil || o.page.file == "" {
		return err
	}
	members := f.Members()
	return o.page.write(ctx, desc, members[len(members)-1])
}

// filedCanonical writes the canonical encodings of circuits, if it is asked for.
func filedCanonical(f *circuit.Family, of []lengthInfo, canonical string) error {
	if canonical == "" {
		return nil
	}
	if err := console.Named("inspect: --canonical", canonical); err != nil {
		return err
	}
	var lengths []int
	for _, l := range of {
		lengths = append(lengths, l.Length)
	}
	names := canonicalFiles(canonical, lengths)
	if len(names) != len(f.Members()) {
		return console.Unusable(fmt.Errorf("%s has %d circuits, %s lists %d", codegen.CircuitFile, len(f.Members()), manifestFile, len(names)))
	}
	for i, name := range names {
		if err := writeCanonical(f.Members()[i], name); err != nil {
			return console.Unusable(err)
		}
	}
	return nil
}

// canonicalFiles are the files of --canonical, if it is given: the named one, and of several lengths one each, with the length before the
// name's extension.
func canonicalFiles(name string, lengths []int) (out []string) {
	switch {
	case name == "":
		return nil
	case len(lengths) < 2:
		return []string{name}
	}
	for _, n := range lengths {
		ext := filepath.Ext(name)
		out = append(out, fmt.Sprintf("%s.%d%s", strings.TrimSuffix(name, ext), n, ext))
	}
	return out
}

// writeCanonical writes a circuit to a new file that everybody may read: a circuit is public.
func writeCanonical(c *circuit.Circuit, name string) error {
	f, err := atomicfile.Create(name, atomicfile.Options{Mode: 0o644})
	if err != nil {
		return err
	}
	defer f.Discard()
	w := bufio.NewWriter(f)
	c.Encode(w)
	if err := w.Flush(); err != nil { // it keeps the first error of all writes
		return err
	}
	return f.Commit()
}

func (d *manifest) print(w io.Writer) {
	s := d.Stats
	fmt.Fprintf(w, "%s: %d repeated layers\n", d.Name, d.Layers)
	for _, p := range d.Ports {
		scale := ""
		if p.Scale != 0 {
			scale = fmt.Sprintf(", times 2^%d", -p.Scale)
		}
		fmt.Fprintf(w, "%-14s %s: %s %v in [%d, %d]%s; statements tell %s\n", p.Side, p.Name, p.Elements, p.Shape, p.Lo, p.Hi, scale, p.Reveals)
	}
	if d.Statement == "generation" {
		fmt.Fprintln(w, "generation     no output depends on later tokens: inputs may be shorter, and part of them an answer")
	} else {
		fmt.Fprintf(w, "function       a statement says that %s\n", d.claim())
	}
	for _, n := range d.Notes {
		fmt.Fprintf(w, "note           %s\n", n)
	}
	if len(d.Lengths) > 0 {
		fmt.Fprintf(w, "circuits       %s, of %d lengths\n", d.Digest, len(d.Lengths))
	} else {
		fmt.Fprintf(w, "circuit        %s\n", d.Digest)
	}
	if d.Tokenizer != "" {
		fmt.Fprintf(w, "tokenizer      %s\n", d.Tokenizer)
	}
	fmt.Fprintf(w, "tensors        %d, of them committed with a proof %d, virtual %d\n", s.Tensors, s.Witness, s.Virtual)
	fmt.Fprintf(w, "weights        %d cells in %d row commitments\n", s.WeightCells, s.WeightRows)
	fmt.Fprintf(w, "witness        %d cells in %d row commitments\n", s.WitnessCells, s.WitnessRows)
	fmt.Fprintf(w, "lookups        %d cells in %d blocks, %d tables with %d lines\n", s.LookupCells, s.Lookups, s.Tables, s.TableLines)
	fmt.Fprintf(w, "einsum waves   %d\n", s.Waves)
	fmt.Fprintf(w, "evaluations    %d, asked for %d times\n", s.Evaluations, s.Requests)
	fmt.Fprintf(w, "soundness      2^-%d (statistical, per proof)\n", s.Soundness)
	if d.Scales != nil && d.Scales.Precision != nil {
		fmt.Fprintf(w, "precision      %s\n", strings.Join(d.Scales.Precision.Lines(), "\n  "))
	}
	p, r := d.predict(), machineRates()
	fmt.Fprintf(w, "predicted      %s (%s)\n", predicted(r, s.ProofBytes, &s.Work), p.of())
	if d.Statement == "generation" {
		fmt.Fprintf(w, "decoding       %.3f s for a token of an answer\n", p.Token)
	}
	fmt.Fprintf(w, "setup          verifying key %d bytes, %.1f s, %.0f MB, once for all proofs\n", s.KeyBytes, p.Setup, p.SetupPeak/1e6)
	if len(d.Lengths) > 0 {
		fmt.Fprintln(w, "lengths        with one weights file and one pair of keys; the numbers above are of the longest")
	}
	for _, l := range d.Lengths {
		fmt.Fprintf(w, "  %-12d circuit %.16s…, witness %d cells, %s\n", l.Length, l.Digest, l.WitnessCells, predicted(r, l.ProofBytes, &l.Work))
	}
}

// few lists names, the first three of them.
func few(names []string) string {
	const most = 3
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// claim is what statements of a function say, but for the values.
func (d *manifest) claim() string {
	var hidden []string
	shows := false
	for _, p := range d.Ports {
		switch {
		case p.Side != "input":
		case p.Reveals == circuit.Nothing.String():
			hidden = append(hidden, p.Name)
		default:
			shows = true
		}
	}
	return portfile.Claim(hidden, shows)
}

func (d *manifest) printTensors(w io.Writer) {
	fmt.Fprintln(w, "\nprivate: committed in the verifying key, hidden by every proof; with the tensors of the file that they are made of, for --public")
	for _, t := range d.Weights {
		fmt.Fprintf(w, "  %-40s %-16s %s\n", t.Name, fmt.Sprint(t.Shape), few(t.Files))
	}
	fmt.Fprintln(w, "public: part of the circuit")
	for _, t := range d.Public {
		where := ""
		switch {
		case t.Where != "":
			where = fmt.Sprintf("  1 where %s = 0; evaluated %d times in %d products", t.Where, t.Evaluations, t.Work)
		case t.Evaluations > 0:
			where = fmt.Sprintf("  evaluated %d times", t.Evaluations)
		}
		fmt.Fprintf(w, "  %-48s %v%s\n", t.Name, t.Shape, where)
	}
	if d.Scales == nil {
		return
	}
	fmt.Fprintf(w, "scales: real ≈ integer·2^-scale, from %d calibration inputs (all public)\n", d.Scales.Samples)
	for _, t := range d.Scales.Tensors {
		clamp := ""
		if t.Clamps {
			clamp = "clamped"
		}
		largest := "" // known to who has the model, not to who has the folder
		if t.Max > 0 {
			largest = fmt.Sprintf("  largest %-9.4g", t.Max)
		}
		fmt.Fprintf(w, "  %-40s %-10s scale %3d%s  range [%d, %d] %s\n", t.Name, t.Kind, t.Scale, largest, t.Lo, t.Hi, clamp)
	}
}

// printLayers ends a report with a table by layer; layers of which all numbers are alike are one row.
func (d *manifest) printLayers(w io.Writer) {
	if len(d.ByLayer) == 0 { // in a folder of an older zkllmc
		return
	}
	fmt.Fprintln(w, "\nby layer: cells of weights, cells that a proof commits to and looks up, products of integers, widths of rounded activations, seconds of one core")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	r := machineRates()
	fmt.Fprintln(t, "layer\tsteps\tweights\tcommitted\tlooked up\tproducts\tbits\tseconds\t")
	for i, n := 0, 0; i < len(d.ByLayer); i += n {
		l := d.ByLayer[i]
		for n = 1; i+n < len(d.ByLayer) && l.Like(&d.ByLayer[i+n]); n++ {
		}
		name := l.Name
		if n > 1 {
			name = fmt.Sprintf("%s … %s, each", l.Name, d.ByLayer[i+n-1].Name)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%.3f\t\n", name, l.Steps, l.Work.Weights, l.Work.Witness, l.Work.Lookups, l.Work.Products, l.Widths(), r.Part(&l.Work))
	}
	_ = t.Flush()
}
