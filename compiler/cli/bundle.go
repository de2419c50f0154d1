package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// maxPrecision bounds what 'zkllmc check --json' printed, in bytes.
const maxPrecision = 1 << 19

// bundleFlags are the flags of bundle.
type bundleFlags struct {
	key, out, precision string
	card                bundle.Card
	force, json         bool
}

func (a *app) bundleCommand() *cobra.Command {
	var o bundleFlags
	c := &cobra.Command{
		Use:   "bundle DIR --vk model.vk -o FILE",
		Short: "Make one archive of all that customers need to check proofs about a model",
		Long: `bundle takes the folder that compile wrote and the verifying key that setup made, and writes one file for customers: circuits, key,
tokenizer and a card that says what the model is, what proofs hide and what they tell. zkllmc-verifier checks proofs with it and nothing
else.

The key's range proof is verified first, and the model's ID goes into the card. Nothing in a bundle is secret: weights and prover's key stay
where they are. A customer still has to learn the ID from somebody he trusts, for whoever sends a bundle can write any card.`,
		Example: `  zkllmc bundle sums --vk sums/keys/model.vk --made-by "Example Ltd" -o sums.bundle
  zkllmc-verifier --bundle sums.bundle accept --save model.id`,
		Args: takes("a folder that compile wrote", 1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.bundle(ctx, args[0], &o) }),
	}
	f := c.Flags()
	f.StringVar(&o.key, "vk", "", "verifying key `FILE` that setup made")
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write")
	f.StringVar(&o.card.Architecture, "architecture", "", "`TEXT` of the card: what kind of model it is")
	f.StringVar(&o.card.About, "about", "", "`TEXT` of the card: where the model comes from, its licence, what it is for")
	f.StringVar(&o.card.MadeBy, "made-by", "", "`TEXT` of the card: who offers the model")
	f.StringVar(&o.card.MadeAt, "date", "", "`DATE` of the card, YYYY-MM-DD; today, or that of SOURCE_DATE_EPOCH, without it")
	f.StringVar(&o.precision, "precision", "", "`FILE` with what 'zkllmc check --json' printed, for the card")
	f.BoolVar(&o.force, "force", false, "replace the file")
	f.BoolVar(&o.json, "json", false, "print the card as JSON")
	return c
}

func (a *app) bundle(ctx context.Context, dir string, o *bundleFlags) error {
	switch {
	case o.key == "" || o.out == "":
		return console.Usagef("bundle: --vk and -o are needed")
	case o.card.MadeAt != "":
		if _, err := time.Parse(time.DateOnly, o.card.MadeAt); err != nil {
			return console.Usagef("bundle: --date %s: want YYYY-MM-DD", o.card.MadeAt)
		}
	}
	if err := cmp.Or(console.Named("bundle: -o", o.out), console.Replaceable(o.out), console.Writable(o.force, o.out)); err != nil {
		return err
	}
	desc, err := readManifest(dir)
	if err != nil {
		return err
	}
	b := &bundle.Bundle{Card: o.card}
	if err := o.read(dir, b); err != nil {
		return console.Unusable(err)
	}
	a.progress("verifying the range proof of the weights")
	id, f, err := accepted(ctx, a, b, filepath.Join(dir, codegen.CircuitFile), o.key)
	if err != nil {
		return err
	}
	if err := complete(&b.Card, desc.Name, f, id); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		return err
	}
	if err := atomicfile.Write(ctx, o.out, out.Bytes(), atomicfile.Options{Mode: 0o644, Replace: o.force}); err != nil {
		return console.WriteFailure(o.out, err)
	}
	if o.json {
		return a.json(b.Card)
	}
	printCard(a.out, &b.Card)
	_, err = fmt.Fprintf(a.out, "bundle       %s, %d bytes\n", o.out, out.Len())
	return err
}

// read reads the files of a bundle.
func (o *bundleFlags) read(dir string, b *bundle.Bundle) (err error) {
	if b.Circuit, err = console.ReadArtefact(filepath.Join(dir, codegen.CircuitFile), format.MagicCircuit, bundle.MaxCircuit); err != nil {
		return fmt.Errorf("circuits: %w; compile the model again if the folder is of an older zkllmc", err)
	}
	if b.Key, err = console.ReadArtefact(o.key, format.MagicVerifyingKey, bundle.MaxKey); err != nil {
		return fmt.Errorf("verifying key: %w", err)
	}
	if b.Tokenizer, b.Template, err = vocab.ReadFolder(dir); err != nil || o.precision == "" {
		return err
	}
	precision, err := atomicfile.Read(o.precision, maxPrecision)
	if err == nil {
		err = json.Unmarshal(precision, &b.Card.Precision)
	}
	if err == nil && (b.Card.Precision == nil || b.Card.Precision.Inputs == 0) {
		err = errors.New("it compares no inputs")
	}
	if err != nil {
		return fmt.Errorf("%s is not what 'zkllmc check --json' prints: %w", o.precision, err)
	}
	return nil
}

// accepted verifies the range proof of a key, and returns the model's ID. Errors name the files that circuits and key are from.
func accepted(ctx context.Context, a *app, b *bundle.Bundle, circuitFile, keyFile string) (id [32]byte, f *circuit.Family, err error) {
	f, err = circuits.Decode(ctx, b.Circuit)
	if err != nil {
		return id, nil, console.Unusable(fmt.Errorf("%s: circuits: %w; compile the model again, or get the file again", circuitFile, err))
	}
	k, err := interruptible(ctx, a, func() (*verifier.Key, error) {
		return verifier.ReadKey(ctx, f, engine.Kind(f.Shortest()), b.Key)
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", keyFile, err)
	}
	switch {
	case ctx.Err() != nil:
		return id, nil, ctx.Err()
	case errors.Is(err, format.ErrCircuit):
		return id, nil, console.Unusable(fmt.Errorf("%w: the key was made of another compilation", err))
	case format.Unreadable(err):
		return id, nil, console.Unusable(fmt.Errorf("%w; give the model.vk that 'prover setup' wrote for this model, or get it again", err))
	case err != nil:
		return id, nil, &console.Failure{Code: console.Rejected, Err: err}
	}
	return k.ModelID(), f, nil
}

// complete fills in what of a card follows from the model, and the date.
func complete(c *bundle.Card, name string, f *circuit.Family, id [32]byte) error {
	c.Describe(f)
	c.Name, c.ModelID = name, fmt.Sprintf("%x", id)
	c.MadeWith = console.ThisBuild().Brief()
	if c.MadeAt != "" {
		return nil
	}
	at := time.Now()
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return console.Usagef("SOURCE_DATE_EPOCH is %q, want seconds since 1970", epoch)
		}
		at = time.Unix(seconds, 0)
	}
	c.MadeAt = at.UTC().Format(time.DateOnly)
	return nil
}

func (a *app) cardCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "card BUNDLE",
		Short: "Show the card of a bundle: what its model is, what proofs hide and tell",
		Long: `card prints what the sender of a bundle says of his model. Of all that only circuit, ports and the number of weights are what proofs are
about; they are compared with the circuits in the bundle, and the ID with its key. Its range proof is not verified: 'zkllmc id' does that.`,
		Example: "  zkllmc card sums.bundle",
		Args:    takes("a bundle", 1),
		RunE:    a.run(func(ctx context.Context, args []string) error { return a.card(ctx, args[0], asJSON) }),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the card as JSON")
	return c
}

func (a *app) card(ctx context.Context, name string, asJSON bool) error {
	b, err := readBundle(name)
	if err != nil {
		return err
	}
	f, err := circuits.Decode(ctx, b.Circuit)
	if err != nil {
		return console.Unusable(fmt.Errorf("%s: %w", name, err))
	}
	id, err := verifier.ParseModelID(b.Card.ModelID)
	if err == nil {
		_, err = verifier.ReadPinnedKey(ctx, f, engine.Kind(f.Shortest()), b.Key, id)
	}
	if err == nil {
		err = b.Card.Agrees(f)
	}
	if err != nil {
		return &console.Failure{Code: console.Rejected, Err: fmt.Errorf("%s: its card is of another model than its files: %w", name, err)}
	}
	if asJSON {
		return a.json(b.Card)
	}
	printCard(a.out, &b.Card)
	return nil
}

func readBundle(name string) (*bundle.Bundle, error) {
	if name == console.Stdin {
		return nil, console.Usagef("a bundle is not read from the standard input: name its file")
	}
	data, err := atomicfile.Read(name, bundle.Limit)
	if err != nil {
		return nil, console.Unusable(err)
	}
	b, err := bundle.Read(data)
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("%s: %w", name, err))
	}
	return b, nil
}

// printCard shows a card. Texts of its sender are quoted, so that they cannot look like lines of ours.
func printCard(out io.Writer, c *bundle.Card) {
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-12s %s\n", what, text)
		}
	}
	quoted := func(s string) string {
		if s == "" {
			return ""
		}
		return strconv.Quote(s)
	}
	line("model", quoted(c.Name))
	line("model ID", c.ModelID)
	line("circuit", c.Circuit)
	line("architecture", quoted(c.Architecture))
	line("about", quoted(c.About))
	line("made by", quoted(c.MadeBy))
	line("made at", c.MadeAt+" with zkllmc "+quoted(c.MadeWith))
	line("statements", map[string]string{"generation": "the model continues a prompt", "function": "these inputs gave these outputs"}[c.Statements])
	hidden := []string{fmt.Sprintf("%d weights", c.Hidden.Weights)}
	for _, name := range slices.Concat(c.Hidden.Inputs, c.Hidden.Outputs) {
		hidden = append(hidden, quoted(name))
	}
	line("hidden", strings.Join(hidden, ", "))
	for _, p := range c.Ports {
		line(p.Side, fmt.Sprintf("%q: %s %v, tells %s", p.Name, p.Elements, p.Shape, p.Reveals))
	}
	line("tokenizer", c.Tokenizer)
	line("template", c.Template)
	if p := c.Precision; p != nil {
		line("precision", precision(p))
	}
}

// precision is a line about a comparison with the float model.
func precision(p *bundle.Precision) string {
	text := fmt.Sprintf("within %.2g of each output's largest magnitude on %d inputs", p.Tolerance, p.Inputs)
	if !p.OK {
		text = fmt.Sprintf("not within %.2g of each output's largest magnitude on %d inputs", p.Tolerance, p.Inputs)
	}
	if p.Positions > 0 {
		text += fmt.Sprintf("; best token the float model's at %d of %d positions", p.Top1Agree, p.Positions)
	}
	for _, o := range p.Outputs {
		text += fmt.Sprintf("; %q off by %.2g at most, of up to %.2g", o.Name, o.MaxError, o.MaxValue)
	}
	return text
}

func (a *app) idCommand() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use:   "id BUNDLE | id DIR --vk model.vk",
		Short: "Verify a model's key and print its ID, as 'verifier accept' does",
		Long: `id verifies that every weight of a model lies in its declared range, and prints the model's ID: 64 hexadecimal digits that stand for
circuits and weights, and by which whoever checks proofs knows the model.`,
		Example: "  zkllmc id sums.bundle",
		Args:    takes("a bundle, or a folder that compile wrote", 1),
		RunE:    a.run(func(ctx context.Context, args []string) error { return a.id(ctx, args[0], key) }),
	}
	c.Flags().StringVar(&key, "vk", "", "verifying key `FILE`, with a folder")
	return c
}

func (a *app) id(ctx context.Context, name, key string) error {
	info, err := os.Stat(name)
	if err != nil {
		return console.Unusable(err)
	}
	b, circuitFile, keyFile := &bundle.Bundle{}, name, name
	switch {
	case info.IsDir() && key == "":
		return console.Usagef("id: %s is a folder; --vk FILE is needed", name)
	case info.IsDir():
		circuitFile, keyFile = filepath.Join(name, codegen.CircuitFile), key
		if err := (&bundleFlags{key: key}).read(name, b); err != nil {
			return console.Unusable(err)
		}
	case key != "":
		return console.Usagef("id: --vk is for folders; a bundle has its key")
	default:
		if b, err = readBundle(name); err != nil {
			return err
		}
	}
	id, _, err := accepted(ctx, a, b, circuitFile, keyFile)
	if err == nil {
		_, err = fmt.Fprintf(a.out, "%x\n", id)
	}
	return err
}
