package prover

import (
	"bytes"
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
	"github.com/zkllmc/zkllmc/internal/sealed"
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
	o := &setupOptions{seal: sealed.SealFlags{Opens: true}}
	c := &cobra.Command{
		Use:   "setup --weights weights.zkw -o DIR",
		Short: "Commit to the weights, once per model",
		Long: `Commits to the weights and proves that each lies in its declared range. Writes DIR/model.vk, which is public, and
DIR/prover.key, which is secret: it holds the weights and what hides them. The model ID that is printed is for comparison: who
verifies proofs takes it from 'verifier accept', which checks model.vk. A setup --force that is killed at the very end may leave
a new prover.key beside an old model.vk: prove refuses the pair, and another setup --force replaces both.

The proof about the weights of a large model is made in pieces, in memory for one of them. What is done is kept in DIR/setup.work,
which is as secret as prover.key: after an interruption the same command goes on from there. The folder goes when setup is complete.

With --encrypt-to or a passphrase prover.key is encrypted in the format of age, and is in the clear in memory alone. What of
DIR/setup.work is secret is encrypted, too: to go on from it, name what opens it.`,
		Example: `  prover setup --weights weights.zkw -o keys
  prover setup --weights weights.zkw -o keys --encrypt-to age1…`,
		Args: noArgs,
		RunE: a.command(func(ctx context.Context) error { return a.setup(ctx, o) }),
	}
	f := c.Flags()
	f.StringVar(&o.weights, "weights", "", "weights `FILE` that the compiler wrote")
	f.StringVarP(&o.dir, "out", "o", "", "folder `DIR` for the two keys")
	f.BoolVar(&o.force, "force", false, "replace the keys that are there; proofs under the old ones become unrelated to the new model ID")
	f.BoolVar(&o.json, "json", false, "print a report")
	o.seal.Register(f, "prover.key")
	f.Lookup("passphrase-file").Usage = "`FILE` of a passphrase, - for the standard input, which opens the weights where they are encrypted with one, and encrypts prover.key unless --encrypt-to does"
	o.open.RegisterIdentities(f, "the weights file or setup.work")
	a.stats.flag(c)
	required(c, "weights", "out")
	return c
}

// setupOptions are the flags of setup.
type setupOptions struct {
	weights, dir string
	force, json  bool
	open         sealed.OpenFlags
	seal         sealed.SealFlags
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

func (a *app) setup(ctx context.Context, o *setupOptions) (err error) {
	weights, dir, force := o.weights, o.dir, o.force
	vkFile, keyFile, err := keyFiles(dir, weights)
	if err != nil {
		return err
	}
	if o.seal.Asks() && slices.ContainsFunc([]string{keyFile, vkFile}, there) { // before anybody thinks of a passphrase
		if err := console.Writable(force, keyFile, vkFile); err != nil {
			return err
		}
	}
	seal, by, err := a.seals(ctx, o, keyFile)
	if err != nil {
		return err
	}
	weightsFile, err := openWeights(ctx, a.f, by, weights)
	if err != nil {
		return err
	}
	defer weightsFile.Close()
	if sealed.Is(weights) && !seal.Seals() {
		fmt.Fprintf(a.stderr, "prover: warning: %s is encrypted, and %s, which holds the weights too, will not be: --encrypt-to or --passphrase encrypts it\n", weights, keyFile)
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
	if err := console.Writable(force, keyFile, vkFile); err != nil {
		return err
	}
	work, err := a.openWork(ctx, dir, seal, by)
	if err != nil {
		return err
	}
	if work != nil && kept(dir) {
		fmt.Fprintf(a.stderr, "prover: goes on from what an unfinished setup left in %s, as far as that is of these weights\n", filepath.Join(dir, workFolder))
	}
	defer func() {
		if err != nil && work != nil && !errors.Is(err, format.ErrWeight) && kept(dir) {
			fmt.Fprintf(a.stderr, "prover: %s keeps what is done, as secret as the prover key; the same command goes on from there%s\n", filepath.Join(dir, workFolder), with(seal))
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
	if err := writeAll(ctx, force, forget, out{name: keyFile, write: func(to io.Writer) error { return seal.Write(to, made.WriteProverKey) }, mode: 0o600}, out{name: vkFile, data: vk, mode: 0o644}); err != nil {
		return err
	}
	a.progress.phase("")
	return a.setUp(o, vkFile, keyFile, made.ModelID(), len(vk), seal.Seals())
}

// setUp tells of keys that are written.
func (a *app) setUp(o *setupOptions, vkFile, keyFile string, id [32]byte, bytes int, seals bool) error {
	info, err := os.Stat(keyFile)
	if err != nil {
		return console.Unusable(err)
	}
	if o.json {
		return a.printReport(report{ModelID: fmt.Sprintf("%x", id), Computed: a.computed, Circuit: fmt.Sprintf("%x", a.f.Digest()), VKBytes: bytes, KeyBytes: int(info.Size()), Encrypted: seals})
	}
	encrypted := ""
	if seals {
		encrypted = ", encrypted"
	}
	fmt.Fprintf(a.stdout, "model ID  %x\npublic    %s (%d bytes)\nsecret    %s (%d bytes%s)\n", id, vkFile, bytes, keyFile, info.Size(), encrypted)
	return nil
}

// seals is what encrypts the prover's key, and what opens the files that setup reads. The passphrase of one is that of the others.
func (a *app) seals(ctx context.Context, o *setupOptions, keyFile string) (*sealed.Sealer, *sealed.Opener, error) {
	if err := console.ReadOnce(append(o.open.Standard(), o.seal.Standard()...)...); err != nil {
		return nil, nil, console.Usagef("%w", err)
	}
	seal, said, err := o.seal.Sealer(ctx, keyFile, a.stdin, a.ask)
	if err != nil {
		return nil, nil, err
	}
	by := o.open.Opener(a.stdin, a.ask, a.warn)
	by.Say(said)
	return seal, by, nil
}

// with says what else a command takes to go on from what it encrypted.
func with(seal *sealed.Sealer) string {
	if seal.Seals() {
		return ", with what opens the key"
	}
	return ""
}

// kept says that there is something of an unfinished setup.
func kept(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, workFolder))
	return err == nil && len(entries) > 0
}

// there says whether there is a file of that name.
func there(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// openWork opens the folder beside the keys for what is done of a range proof in pieces; nil if there is one piece, which is made as a
// whole.
func (a *app) openWork(ctx context.Context, dir string, seal *sealed.Sealer, by *sealed.Opener) (*engine.Work, error) {
	if protocol.Pieces(a.f) <= 1 {
		return nil, nil
	}
	dir = filepath.Join(dir, workFolder)
	w, err := engine.OpenWork(dir)
	if err == nil {
		w.Seal = secrets{ctx, dir, seal, by}
	}
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

// secrets encrypts what is secret of an unfinished setup as it encrypts the prover's key.
type secrets struct {
	ctx  context.Context
	dir  string
	seal *sealed.Sealer
	by   *sealed.Opener
}

// Seal implements engine.Sealer.
func (s secrets) Seal(data []byte) ([]byte, error) {
	var out bytes.Buffer
	err := s.seal.Write(&out, func(to io.Writer) error { _, err := to.Write(data); return err })
	return out.Bytes(), err
}

// Open implements engine.Sealer. A secret that is there in the clear where keys are to be encrypted is not gone on from.
func (s secrets) Open(data []byte) ([]byte, error) {
	plain, size, err := s.by.Open(s.ctx, s.dir, bytes.NewReader(data), int64(len(data)))
	switch {
	case err != nil:
		return nil, console.Unusable(fmt.Errorf("what an unfinished setup left in %s: %w; or remove it and begin anew", s.dir, err))
	case s.seal.Seals() && size == int64(len(data)):
		return nil, console.Unusable(fmt.Errorf("what an unfinished setup left in %s is not encrypted, and the prover's key is to be: remove it and begin anew", s.dir))
	}
	out := make([]byte, size)
	_, err = io.ReadFull(io.NewSectionReader(plain, 0, size), out)
	return out, err
}

// openWeights opens a weights file.
func openWeights(ctx context.Context, f *circuit.Family, by *sealed.Opener, name string) (*weights, error) {
	content, err := openSealed(ctx, by, name, format.MagicWeights, weightsLimit(f))
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
