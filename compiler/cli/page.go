package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/report"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// pageFlags say where a model's page goes, and what it shows besides the model.
type pageFlags struct {
	file      string
	stats     []string
	precision string
	force     bool

	runs    []proverRun // what the files of stats hold
	checked *compared   // what that of precision holds
}

func (o *pageFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.file, "html", "", "`FILE` for a page about the model: its graph, weights, cost and precision by layer, what is revealed")
	f.StringArrayVar(&o.stats, "stats", nil, "`FILE` with what 'prover prove' or 'prover setup' printed with --json --stats, for the page (may be repeated)")
	f.StringVar(&o.precision, "precision", "", "`FILE` with what 'zkllmc check' or 'zkllmc compile' printed with --json --layers, for the page")
	f.BoolVar(&o.force, "force", false, "replace the page")
}

// proverRun is what a prover says of a run, as far as a page shows it.
type proverRun struct {
	from    string
	Circuit string `json:"circuit"`
	Device  string `json:"computed_by"`
	Threads int    `json:"threads"`
	CPU     string `json:"cpu"`
	Stats   *struct {
		Stages []report.Stage `json:"stages"`
		Work   *cost.Work     `json:"work"`
	} `json:"stats"`
}

// compared is what check and compile say of precision, as far as a page shows it.
type compared struct {
	Circuit string `json:"circuit"`
	compiler.CheckReport
	Check *verdict `json:"check"` // of compile
}

// maxReport bounds the bytes of what a command printed.
const maxReport = 1 << 28

// readReport reads what a command printed.
func readReport(name, of string, v any) error {
	data, err := atomicfile.Read(name, maxReport)
	if err != nil {
		return console.Unusable(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return console.Unusable(fmt.Errorf("%s is not what %s prints: %w", name, of, err))
	}
	return nil
}

// read looks whether the page can be written, and reads what it shows besides the model: before the work, not after it.
func (o *pageFlags) read() error {
	if o.file == "" {
		if o.stats != nil || o.precision != "" || o.force {
			return console.Usagef("inspect: --stats, --precision and --force are about a page: add --html FILE")
		}
		return nil
	}
	if err := cmp.Or(console.Named("inspect: --html", o.file), console.Replaceable(o.file), console.Writable(o.force, o.file)); err != nil {
		return err
	}
	for _, name := range o.stats {
		r := proverRun{from: name}
		if err := readReport(name, "'prover prove --json --stats'", &r); err != nil {
			return err
		}
		if r.Stats == nil || len(r.Stats.Stages) == 0 {
			return console.Unusable(fmt.Errorf("%s tells no stages; prover prove and prover setup do with --json --stats", name))
		}
		o.runs = append(o.runs, r)
	}
	if o.precision == "" {
		return nil
	}
	o.checked = &compared{}
	if err := readReport(o.precision, "'zkllmc check --json --layers'", o.checked); err != nil {
		return err
	}
	if c := o.checked; c.Check != nil {
		c.Inputs, c.Places = c.Check.Inputs, c.Check.Places
	}
	if len(o.checked.Places) == 0 {
		return console.Unusable(fmt.Errorf("%s does not tell where precision is lost; zkllmc check and zkllmc compile do with --json --layers", o.precision))
	}
	return nil
}

// of refuses runs and comparisons of other circuits.
func (o *pageFlags) of(d *manifest) error {
	ours := []string{d.Digest}
	for _, l := range d.Lengths {
		ours = append(ours, l.Digest)
	}
	for _, r := range o.runs {
		if !slices.Contains(ours, r.Circuit) {
			return console.Unusable(fmt.Errorf("%s is about the circuit %.16s…, this one is %.16s…", r.from, r.Circuit, d.Digest))
		}
	}
	if c := o.checked; c != nil && !slices.Contains(ours, c.Circuit) {
		return console.Unusable(fmt.Errorf("%s is about the circuit %.16s…, this one is %.16s…", o.precision, c.Circuit, d.Digest))
	}
	return nil
}

// comparisonLines sum a comparison up.
func comparisonLines(c *compared) []string {
	if v := c.Check; v != nil {
		return []string{fmt.Sprintf("largest error of an output: %.2g of its largest magnitude; up to %.2g is precise enough", v.Error, v.Tolerance)}
	}
	var b bytes.Buffer
	printComparison(&b, "", &c.Comparison)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")[1:]
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return lines
}

// write writes the page of a model of which c is the (longest) circuit.
func (o *pageFlags) write(ctx context.Context, d *manifest, c *circuit.Circuit) error {
	if err := o.of(d); err != nil {
		return err
	}
	if len(d.Steps) == 0 {
		return console.Unusable(fmt.Errorf("%s does not tell the circuit's steps: compile the model again, the folder is of an older zkllmc", manifestFile))
	}
	m := &report.Model{Name: d.Name, Digest: d.Digest, Claim: "the prover knows weights with which " + d.says(), Circuit: c, Steps: d.Steps, Notes: d.Notes, Facts: d.facts(), Rates: machineRates()}
	for _, l := range d.Lengths {
		m.Lengths = append(m.Lengths, l.Length)
	}
	for _, w := range d.Weights {
		m.Weights = append(m.Weights, report.Tensor{Name: w.Name, Files: w.Files})
	}
	for _, r := range o.runs {
		what := "setup"
		if r.Stats.Work != nil {
			what = "a proof"
		}
		m.Runs = append(m.Runs, &report.Measured{What: what, On: fmt.Sprintf("%s, %d threads", cmp.Or(r.CPU, r.Device), r.Threads), Work: r.Stats.Work, Stages: r.Stats.Stages})
	}
	if c := o.checked; c != nil {
		m.Checked = &report.Checked{Inputs: c.Inputs, Lines: comparisonLines(c), Places: c.Places}
	}
	var out bytes.Buffer
	if err := report.Write(&out, m); err != nil {
		return err
	}
	mode := atomicfile.Options{Mode: 0o644, Replace: o.force}
	if o.checked != nil {
		mode.Mode = 0o600 // it tells of weights
	}
	return console.WriteFailure(o.file, atomicfile.Write(ctx, o.file, out.Bytes(), mode))
}

// says is what a statement says of any model.
func (d *manifest) says() string {
	if d.Statement == "generation" {
		return "this model continues this prompt with this answer"
	}
	return d.claim()
}

// facts are the numbers that sum a model up.
func (d *manifest) facts() []report.Fact {
	s := &d.Stats
	p := d.predict()
	return []report.Fact{
		{Value: brief(float64(s.WeightCells)), What: "weights, all private"},
		{Value: fmt.Sprint(d.Layers), What: "repeated layers"},
		{Value: brief(float64(s.WitnessCells)), What: "cells committed with a proof"},
		{Value: brief(float64(s.ProofBytes)) + "B", What: "a proof"},
		{Value: brief(float64(s.KeyBytes)) + "B", What: "the verifying key"},
		{Value: fmt.Sprintf("%.1f s", p.Prove), What: "of one core to prove (predicted)"},
		{Value: brief(p.Peak) + "B", What: "of memory to prove (predicted)"},
		{Value: fmt.Sprintf("%.1f s", p.Setup), What: "of one core for setup, once (predicted)"},
		{Value: fmt.Sprintf("%d bits", s.Soundness), What: "of soundness, statistical"},
	}
}

// brief writes a large number with three digits.
func brief(x float64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= u.of {
			return fmt.Sprintf("%.3g %s", x/u.of, u.name)
		}
	}
	return fmt.Sprintf("%.0f ", x)
}
