package prover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/forecast"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// proveFiles are the flags of prove that do not depend on what is proved.
type proveFiles struct {
	key, vk, proof, statement string
	force, json               bool
	noSaturation              bool
	memory                    string
	open                      sealed.OpenFlags
}

func (o *proveFiles) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.key, "key", "", "prover key `FILE` that setup wrote")
	f.StringVar(&o.vk, "vk", "", "verifying key `FILE` (default: model.vk beside the prover key)")
	f.StringVarP(&o.proof, "out", "o", "", "`FILE` for the proof, - for the standard output")
	f.StringVar(&o.statement, "statement-out", "", "`FILE` for the statement, - for the standard output")
	f.BoolVar(&o.force, "force", false, "replace files that are there")
	f.BoolVar(&o.json, "json", false, "print a report")
	f.BoolVar(&o.noSaturation, "no-saturation", false, "prove, too, that no value was clamped, at any position, those behind a text included; where one is, nothing is proved")
	f.StringVar(&o.memory, "memory", "", "take at most about this `SIZE` of memory, 6GiB say: slower where that is little, refused where it is too little (default: what the machine has)")
	o.open.Register(f, "the prover key")
	required(c, "key", "out", "statement-out")
}

// proveOptions are the flags of prove.
type proveOptions struct {
	question
	proveFiles
}

func (a *app) proveCommand() *cobra.Command {
	o := &proveOptions{}
	c := &cobra.Command{
		Use:   "prove --key prover.key --prompt TEXT -o proof.bin --statement-out statement.bin",
		Short: "Answer a prompt and prove it",
		Long: `Lets the model answer, or takes the answer of --answer, and proves that the model gives it. The statement says prompt and
answer, the proof shows it; the proof is verified before anything is written. An answer that the model does not give is
refused with exit code 1.`,
		Example: `  prover prove --key keys/prover.key --prompt "…" -o proof.bin --statement-out statement.bin`,
		Args:    noArgs,
		RunE:    a.command(func(ctx context.Context) error { return a.prove(ctx, o) }),
	}
	o.question.flags(c)
	o.answerFlags(c, "the answer as `TEXT`, instead of running the model for it")
	o.maxFlag(c)
	o.proveFiles.flags(c)
	a.stats.flag(c)
	return c
}

// check refuses files that cannot be written or must not be written over; inputs are other files that prove reads.
func (o *proveFiles) check(a *app, inputs ...path) error {
	vk := path{"--vk", o.vk}
	if o.vk == "" {
		vk = path{"--vk where it is not given", verifyingKeyBeside(o.key)}
	}
	inputs = append(inputs, openPaths(&o.open)...)
	outputs, err := a.piped(o.json, path{"--statement-out", o.statement}, path{"--out", o.proof})
	if err != nil {
		return err
	}
	if err := apart(outputs, append([]path{{"--key", o.key}, vk}, inputs...)...); err != nil {
		return err
	}
	if err := console.Replaceable(names(outputs)...); err != nil {
		return err
	}
	return console.Writable(o.force, names(outputs)...)
}

// keys reads the prover's key and the verifying key that belongs to it.
func (a *app) keys(ctx context.Context, o *proveFiles) (*engine.Key, *verifier.Key, error) {
	k, err := a.readKey(ctx, o.key, &o.open)
	if err != nil {
		return nil, nil, err
	}
	vk, err := readVerifyingKey(ctx, k, o.key, o.vk)
	if err == nil {
		err = a.open()
	}
	return k, vk, err
}

// checkAndWrite verifies a proof about a circuit, and writes it with its statement, of which it returns the bytes.
func (a *app) checkAndWrite(ctx context.Context, o *proveFiles, vk *verifier.Key, c *circuit.Circuit, st statement.Statement, proof []byte) ([]byte, error) {
	a.progress.phase("self-check")
	if err := vk.VerifyStatementContext(ctx, c, st, proof); err != nil {
		return nil, fmt.Errorf("the proof does not verify and was not written: %w", err)
	}
	encoded, err := statement.Encode(c, st)
	if err != nil {
		return nil, err
	}
	a.progress.phase("write")
	err = a.write(ctx, o.force, out{name: o.statement, data: encoded, mode: 0o644}, out{name: o.proof, data: proof, mode: 0o644})
	a.progress.phase("")
	return encoded, err
}

// showFiles prints which files were written.
func (a *app) showFiles(o *proveFiles, statement, proof int) {
	fmt.Fprintf(a.said, "statement %s (%d bytes)\nproof     %s (%d bytes)\n", console.Shown(o.statement, "output"), statement, console.Shown(o.proof, "output"), proof)
}

func (a *app) prove(ctx context.Context, o *proveOptions) error {
	if err := o.check(a, o.inputs()...); err != nil {
		return err
	}
	if err := o.read(ctx, a, &o.open); err != nil {
		return err
	}
	if o.wantTokens != nil && o.max > 0 {
		return console.Usagef("--max is for answers of the model; --answer gives one")
	}
	budget, err := o.budget()
	if err != nil {
		return err
	}
	if _, err := affordable(a.f.Smallest(o.positions()), budget); err != nil {
		return err
	}
	k, vk, err := a.keys(ctx, &o.proveFiles)
	if err != nil {
		return err
	}
	d, err := a.begin(ctx, k, &o.question)
	if err != nil {
		return err
	}
	answer, err := a.answer(ctx, d, o)
	if err != nil {
		return err
	}
	c := d.Circuit()
	if ctx, err = a.afford(ctx, c, budget); err != nil { // the answer may have outgrown the circuit that the prompt fits
		return err
	}
	a.stats.proves(c)
	claimed := answering.Claim(c, o.promptTokens, answer)
	claimed.NoSaturation = o.noSaturation
	st, proof, clamped, err := a.proof(ctx, d, claimed)
	if err != nil {
		return saturated(err, clamped)
	}
	encoded, err := a.checkAndWrite(ctx, &o.proveFiles, vk, c, st, proof)
	if err != nil {
		return err
	}
	if o.json {
		return a.printReport(report{ModelID: fmt.Sprintf("%x", k.ModelID()), Circuit: digest(c), Said: dialogue.SaidOf(c, o.tokenizer, st),
			Computed: a.computed, ProofBytes: len(proof), StatementBytes: len(encoded), NoSaturation: o.noSaturation, Clamped: clamped})
	}
	a.showClamped(clamped, false)
	o.showPrompt(a.said)
	o.showAnswer(a.said, answer)
	a.showFiles(&o.proveFiles, len(encoded), len(proof))
	return nil
}

// answer returns the answer that is proved: the given one, if the model gives it, else the model's.
func (a *app) answer(ctx context.Context, d *engine.Decoding, o *proveOptions) ([]int64, error) {
	if o.wantTokens == nil {
		a.progress.phase("decoding")
		return a.decode(ctx, d, &o.question, func(answer []int64) { a.progress.tokens(len(answer)) })
	}
	a.progress.phase("confirm answer")
	return o.wantTokens, a.confirm(ctx, d, &o.question)
}

// saturated says what to do where a proof was refused because values were clamped, which are given as they are named and placed here.
// Other errors stay as they are.
func saturated(err error, clamped []engine.Clamped) error {
	var refused *engine.Refusal
	var saturation *engine.Saturation
	if !errors.As(err, &refused) || !errors.As(refused.Detail(), &saturation) {
		return err
	}
	remedy := ""
	if !slices.ContainsFunc(clamped, func(c engine.Clamped) bool { return c.Padding < c.Cells }) {
		remedy = "no answer depends on any of them, but what is proved is about all positions: choose scales from texts as short as this one " +
			"(compile --calibrate), or compile for a length nearer to it (--length); "
	}
	return &console.Failure{Code: console.Rejected, Err: fmt.Errorf("values are clamped: %s; %swithout --no-saturation the answer can be proved as it is", listed(clamped), remedy)}
}

// behind notes how many clamped cells of all positions are not among those of a text.
func behind(all, text []engine.Clamped) {
	for i := range all {
		all[i].Padding = all[i].Cells
		for _, c := range text {
			if c.Tensor == all[i].Tensor {
				all[i].Padding -= c.Cells
			}
		}
	}
}

// listed names the tensors with clamped cells, the first few.
func listed(clamped []engine.Clamped) string {
	var names []string
	for _, c := range clamped[:min(len(clamped), 8)] {
		names = append(names, c.String())
	}
	if more := len(clamped) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and some of %d more tensors", more))
	}
	return strings.Join(names, ", ")
}

// showClamped says on stderr what was clamped: stdout holds the answer. A report says it by itself.
func (a *app) showClamped(clamped []engine.Clamped, asJSON bool) {
	if len(clamped) > 0 && !asJSON {
		fmt.Fprintf(a.stderr, "clamped   %s\n", listed(clamped))
	}
}

// proof proves a statement about the text that was decoded. It returns the statement's public form, with the logits where the circuit
// reveals them, and the cells that were clamped, also where that is why nothing is proved.
func (a *app) proof(ctx context.Context, d *engine.Decoding, st *generation.Statement) (public *generation.Statement, proof []byte, clamped []engine.Clamped, err error) {
	if answering.Lacks(d, st) {
		a.progress.phase("logits")
	}
	if err := answering.Reveal(ctx, d, st); err != nil {
		return nil, nil, nil, err
	}
	a.progress.expect(forecast.Of(d.Circuit()))
	text := d.Clamped()
	told := make(chan []engine.Clamped, 1)
	options := a.options()
	options.Clamped = func(c []engine.Clamped) { told <- c }
	proof, err = console.Interruptible(ctx, func() ([]byte, error) { return d.Prove(ctx, st, options) })
	select {
	case clamped = <-told:
	default:
	}
	if d.Whole() == nil {
		behind(clamped, text)
	}
	clamped = a.m.named(clamped)
	return st.Hide(d.Circuit()), proof, clamped, err
}

// out is a file to write: its content, or what writes it.
type out struct {
	name  string
	data  []byte
	write func(io.Writer) error
	mode  fs.FileMode
}

// prepare does all but giving the file its name.
func (o *out) prepare(ctx context.Context, force bool) (*atomicfile.File, error) {
	options := atomicfile.Options{Mode: o.mode, Replace: force}
	if o.write == nil {
		return atomicfile.Prepare(ctx, o.name, o.data, options)
	}
	f, err := atomicfile.Create(o.name, options)
	if err != nil {
		return nil, err
	}
	if err := o.write(while{ctx, f}); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// while writes as long as a context lasts.
type while struct {
	ctx context.Context
	io.Writer
}

func (w while) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// write writes files that belong together, and then what goes to the standard output, if anything does.
func (a *app) write(ctx context.Context, force bool, all ...out) error {
	piped := func(o out) bool { return o.name == console.Stdin }
	if err := writeAll(ctx, force, nil, slices.DeleteFunc(slices.Clone(all), piped)...); err != nil {
		return err
	}
	if i := slices.IndexFunc(all, piped); i >= 0 {
		if _, err := a.stdout.Write(all[i].data); err != nil {
			return err
		}
	}
	return nil
}

// writeAll writes files that belong together. All are on the disk before the first has its name, and the names are given in order
// without delay: a full disk changes nothing, and a kill seldom comes between two names. Where a name cannot be given, those given
// before it are taken back, unless they replaced others, which are gone already. Where before is not nil, it is called between the two.
func writeAll(ctx context.Context, force bool, before func() error, files ...out) error {
	var ready []*atomicfile.File
	var created []bool
	for _, f := range files {
		p, err := f.prepare(ctx, force)
		if err != nil {
			for _, r := range ready {
				r.Discard()
			}
			return console.WriteFailure(f.name, err)
		}
		_, err = os.Lstat(f.name)
		ready, created = append(ready, p), append(created, errors.Is(err, fs.ErrNotExist))
	}
	var kept error
	done, err := atomicfile.CommitAll(func() error {
		if before != nil {
			kept = before()
		}
		return kept
	}, ready...)
	if err == nil || kept != nil {
		return console.Unusable(kept)
	}
	err = console.WriteFailure(files[min(done, len(files)-1)].name, err)
	for i := range done {
		if done < len(files) && created[i] {
			err = errors.Join(err, os.Remove(files[i].name))
		}
	}
	return err
}
