package prover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// The files of a setup.
const (
	verifyingKeyFile = "model.vk"
	proverKeyFile    = "prover.key"
	workFolder       = "setup.work" // of one that is not complete
)

// slack is added to the exact size of a file when it is read, so that the file of another model of like size is refused with a
// word about what it is, not for its size.
const slack = 64 << 20

func (a *app) setupCommand() *cobra.Command {
	var weights, dir string
	var force, asJSON bool
	c := &cobra.Command{
		Use:   "setup --weights weights.zkw -o DIR",
		Short: "Commit to the weights, once per model",
		Long: `Commits to the weights and proves that each lies in its declared range. Writes DIR/model.vk, which is public, and
DIR/prover.key, which is secret: it holds the weights and what hides them. The model ID that is printed is for comparison: who
verifies proofs takes it from 'verifier accept', which checks model.vk. A setup --force that is killed at the very end may leave
a new prover.key beside an old model.vk: prove refuses the pair, and another setup --force replaces both.

The proof about the weights of a large model is made in pieces, in memory for one of them. What is done is kept in DIR/setup.work,
which is as secret as prover.key: after an interruption the same command goes on from there. The folder goes when setup is complete.`,
		Example: "  prover setup --weights weights.zkw -o keys",
		Args:    noArgs,
		RunE:    a.command(func(ctx context.Context) error { return a.setup(ctx, weights, dir, force, asJSON) }),
	}
	f := c.Flags()
	f.StringVar(&weights, "weights", "", "weights `FILE` that the compiler wrote")
	f.StringVarP(&dir, "out", "o", "", "folder `DIR` for the two keys")
	f.BoolVar(&force, "force", false, "replace the keys that are there; proofs under the old ones become unrelated to the new model ID")
	f.BoolVar(&asJSON, "json", false, "print a report")
	a.stats.flag(c)
	required(c, "weights", "out")
	return c
}

// isRequired is the annotation of commands that holds the groups of required.
const isRequired = "required"

// required lets a command begin only where a flag of each group is given, of "tokens tokens-file" say. All that is missing is said at
// once, as the verifier says it. The names are constants of this package, so that an unknown one is a fault in it.
func required(c *cobra.Command, groups ...string) {
	for _, name := range strings.Fields(strings.Join(groups, " ")) {
		if c.Flags().Lookup(name) == nil {
			panic("no flag --" + name)
		}
	}
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[isRequired] += strings.Join(groups, "\n") + "\n"
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		var missing []string
		for group := range strings.Lines(c.Annotations[isRequired]) {
			if names := strings.Fields(group); !slices.ContainsFunc(names, c.Flags().Changed) {
				missing = append(missing, "--"+strings.Join(names, " or --"))
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%s: missing: %s", c.Name(), strings.Join(missing, ", "))
		}
		return nil
	}
}

// keyFiles are the two files of a setup into a folder, neither of which is the file of the weights.
func keyFiles(dir, weights string) (vk, key string, err error) {
	switch dir {
	case "":
		return "", "", console.Usagef("--out is empty")
	case "-":
		return "", "", console.Usagef(`--out is "-", but keys are not written to the standard output: name a folder`)
	}
	vk, key = filepath.Join(dir, verifyingKeyFile), filepath.Join(dir, proverKeyFile)
	if err := apart([]path{{"--out", vk}, {"--out", key}}, path{"--weights", weights}); err != nil {
		return "", "", err
	}
	return vk, key, console.Replaceable(vk)
}

func (a *app) setup(ctx context.Context, weights, dir string, force, asJSON bool) (err error) {
	vkFile, keyFile, err := keyFiles(dir, weights)
	if err != nil {
		return err
	}
	weightsFile, err := openWeights(a.f, weights)
	if err != nil {
		return err
	}
	defer weightsFile.Close()
	undo, err := makeFolder(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			undo()
		}
	}()
	if err := console.Writable(force, keyFile, vkFile); err != nil {
		return err
	}
	work, err := a.openWork(dir)
	if err != nil {
		return err
	}
	if work != nil && kept(dir) {
		fmt.Fprintf(a.stderr, "prover: goes on from what an unfinished setup left in %s, as far as that is of these weights\n", filepath.Join(dir, workFolder))
	}
	defer func() {
		if err != nil && work != nil && !errors.Is(err, format.ErrWeight) && kept(dir) {
			fmt.Fprintf(a.stderr, "prover: %s keeps what is done, as secret as the prover key; the same command goes on from there\n", filepath.Join(dir, workFolder))
		}
	}()
	made, vk, err := a.makeKeys(ctx, weightsFile, work)
	if err != nil {
		return err
	}
	a.progress.phase("write")
	// The secret key first: a model.vk that is there says that setup is complete. The seed goes before both have their names: nobody would
	// look for it beside complete keys.
	forget := func() error {
		if err := work.Remove(); err != nil {
			return fmt.Errorf("no key is written, for %s, which is as secret as the prover key, cannot be removed: %w", filepath.Join(dir, workFolder), err)
		}
		return nil
	}
	if err := writeAll(ctx, force, forget, out{name: keyFile, write: made.WriteProverKey, mode: 0o600}, out{name: vkFile, data: vk, mode: 0o644}); err != nil {
		return err
	}
	a.progress.phase("")
	id := made.ModelID()
	if asJSON {
		return a.printReport(report{ModelID: fmt.Sprintf("%x", id), Computed: a.computed, Circuit: fmt.Sprintf("%x", a.f.Digest()), VKBytes: len(vk), KeyBytes: engine.KeySize(a.f)})
	}
	fmt.Fprintf(a.stdout, "model ID  %x\npublic    %s (%d bytes)\nsecret    %s (%d bytes)\n", id, vkFile, len(vk), keyFile, engine.KeySize(a.f))
	return nil
}

// kept says that there is something of an unfinished setup.
func kept(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, workFolder))
	return err == nil && len(entries) > 0
}

// openWork opens the folder beside the keys for what is done of a range proof in pieces; nil if there is one piece, which is made as a
// whole.
func (a *app) openWork(dir string) (*engine.Work, error) {
	if protocol.Pieces(a.f) <= 1 {
		return nil, nil
	}
	w, err := engine.OpenWork(filepath.Join(dir, workFolder))
	return w, console.Unusable(err)
}

// makeKeys commits to the weights and checks what comes of it.
func (a *app) makeKeys(ctx context.Context, weights *weights, work *engine.Work) (*engine.Keys, []byte, error) {
	if err := a.open(); err != nil {
		return nil, nil, err
	}
	made, err := console.Interruptible(ctx, func() (*engine.Keys, error) { return engine.MakeKeys(ctx, a.f, weights, work, a.options()) })
	if errors.Is(err, format.ErrWeight) {
		return nil, nil, foreignWeights(weights.name, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("setup: %w", err)
	}
	a.progress.phase("self-check")
	vk := made.VerifyingKey()
	if _, err := console.Interruptible(ctx, func() (*verifier.Key, error) { return verifier.ReadKey(ctx, a.f, engine.Kind(a.c), vk) }); err != nil {
		return nil, nil, fmt.Errorf("the verifying key does not verify and was not written: %w", err)
	}
	return made, vk, nil
}

// weights are the weights of a file, which is read as they are needed.
type weights struct {
	*format.Weights
	io.Closer
	name string
}

// openWeights opens a weights file.
func openWeights(f *circuit.Family, name string) (*weights, error) {
	content, err := openFile(name, format.MagicWeights, weightsLimit(f))
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("weights: %w", err))
	}
	w, err := format.OpenWeights(f, content, content.size)
	if err != nil {
		content.Close()
		return nil, foreignWeights(name, err)
	}
	return &weights{w, content, name}, nil
}

func weightsLimit(f *circuit.Family) int64 { return int64(format.WeightsSize(f)) + slack }

func foreignWeights(name string, err error) error {
	return console.Unusable(fmt.Errorf("%s: %w; take the weights.zkw that was compiled together with this prover", name, err))
}
