package prover

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// The files of a setup.
const (
	verifyingKeyFile = "model.vk"
	proverKeyFile    = "prover.key"
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
a new prover.key beside an old model.vk: prove refuses the pair, and another setup --force replaces both.`,
		Example: "  prover setup --weights weights.zkw -o keys",
		Args:    noArgs,
		RunE:    a.command(func(ctx context.Context) error { return a.setup(ctx, weights, dir, force, asJSON) }),
	}
	f := c.Flags()
	f.StringVar(&weights, "weights", "", "weights `FILE` that the compiler wrote")
	f.StringVarP(&dir, "out", "o", "", "folder `DIR` for the two keys")
	f.BoolVar(&force, "force", false, "replace the keys that are there; proofs under the old ones become unrelated to the new model ID")
	f.BoolVar(&asJSON, "json", false, "print a report")
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

func (a *app) setup(ctx context.Context, weights, dir string, force, asJSON bool) (err error) {
	switch dir {
	case "":
		return usage("--out is empty")
	case "-":
		return usage(`--out is "-", but keys are not written to the standard output: name a folder`)
	}
	vkFile, keyFile := filepath.Join(dir, verifyingKeyFile), filepath.Join(dir, proverKeyFile)
	if err := apart([]path{{"--out", vkFile}, {"--out", keyFile}}, path{"--weights", weights}); err != nil {
		return err
	}
	if err := replaceable(vkFile); err != nil {
		return err
	}
	a.progress.phase("read weights")
	data, err := readWeights(a.c, weights)
	if err != nil {
		return err
	}
	undo, err := makeFolder(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			undo()
		}
	}()
	if err := writable(force, keyFile, vkFile); err != nil {
		return err
	}
	key, vk, err := a.makeKeys(ctx, data)
	if err != nil {
		return err
	}
	a.progress.phase("write")
	// The secret key first: a model.vk that is there says that setup is complete.
	encoded := key.Encode()
	if err := writeAll(ctx, force, out{keyFile, encoded, 0o600}, out{vkFile, vk, 0o644}); err != nil {
		return err
	}
	a.progress.phase("")
	id := key.ModelID()
	if asJSON {
		return a.printReport(report{ModelID: fmt.Sprintf("%x", id), VKBytes: len(vk), KeyBytes: len(encoded)})
	}
	fmt.Fprintf(a.stdout, "model ID  %x\npublic    %s (%d bytes)\nsecret    %s (%d bytes)\n", id, vkFile, len(vk), keyFile, len(encoded))
	return nil
}

// makeKeys commits to the weights and checks what comes of it.
func (a *app) makeKeys(ctx context.Context, weights map[circuit.ID]backend.Tensor) (key *engine.Key, vk []byte, err error) {
	type keys struct {
		secret *engine.Key
		public []byte
	}
	k, err := console.Interruptible(ctx, func() (k keys, err error) {
		k.secret, k.public, err = engine.Setup(ctx, a.c, weights, a.options())
		return k, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("setup: %w", err)
	}
	a.progress.phase("self-check")
	if _, err := verifier.ReadKey(ctx, a.c, kind(a.c), k.public); err != nil {
		return nil, nil, fmt.Errorf("the verifying key does not verify and was not written: %w", err)
	}
	return k.secret, k.public, nil
}

func (a *app) options() engine.Options {
	return engine.Options{Backend: a.m.Backend, Phase: a.progress.phase}
}

func readWeights(c *circuit.Circuit, name string) (map[circuit.ID]backend.Tensor, error) {
	data, err := readFile(c, name, format.MagicWeights, int64(format.WeightsSize(c))+slack)
	if err != nil {
		return nil, unreadable(fmt.Errorf("weights: %w", err))
	}
	w, err := format.DecodeWeights(c, data)
	if err != nil {
		return nil, unreadable(fmt.Errorf("%s: %w; take the weights.zkw that was compiled together with this prover", name, err))
	}
	return w, nil
}
