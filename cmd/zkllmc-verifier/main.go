// Command zkllmc-verifier checks proofs about any model, of which it reads the circuits from a file; run it with --help. It gives the answers
// of the verifier that compile generates of the model: both build the circuits by the same calls and check proofs by the same code.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

const program = "zkllmc-verifier"

func main() {
	group.KeepIn(console.CacheFolder())
	ctx, stop := console.Interrupts()
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are what stands before the command.
type options struct {
	bundle, circuit, tokenizer, template string
	rest                                 []string
}

// run is the program with its streams given.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := console.NewOutput(stdout)
	o, err := parse(args)
	switch {
	case err == nil && (o.circuit != "" || o.bundle != ""):
		var m verifier.Model
		if m, err = console.Interruptible(ctx, func() (verifier.Model, error) { return o.model(ctx, stdin) }); err == nil {
			if piped := o.standard(); len(piped) > 0 {
				stdin = console.Spent(piped[0])
			}
			return verifier.Run(ctx, m, o.rest, stdin, stdout, stderr)
		}
	case err == nil && len(o.rest) > 0 && strings.TrimLeft(o.rest[0], "-") == "version":
		fmt.Fprint(out, console.ThisBuild().Lines(protocol.Version))
		return out.Finish(program, console.OK, stderr)
	case errors.Is(err, flag.ErrHelp) || err == nil && len(o.rest) > 0 && o.rest[0] == "help":
		fmt.Fprint(out, help)
		return out.Finish(program, console.OK, stderr)
	case err == nil:
		err = console.Usagef("one of --bundle FILE and --circuit FILE is needed, which have the circuits of the model")
	}
	code := console.Report(ctx, program, "Run '"+program+" --help' for what it takes.", out, stderr, err)
	return out.Finish(program, code, stderr)
}

func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.bundle, "bundle", "", "")
	fs.StringVar(&o.circuit, "circuit", "", "")
	fs.StringVar(&o.tokenizer, "tokenizer", "", "")
	fs.StringVar(&o.template, "template", "", "")
	version := fs.Bool("version", false, "")
	err = fs.Parse(args)
	o.rest = fs.Args()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		err = console.Usagef("%v", err)
	case *version:
		o.rest = []string{"version"}
	case o.bundle != "" && (o.circuit != "" || o.tokenizer != "" || o.template != ""):
		err = console.Usagef("a --bundle has circuits, tokenizer and template; give no other file of them")
	case o.template != "" && o.tokenizer == "":
		err = console.Usagef("--template belongs to a --tokenizer")
	case console.ReadOnce(o.standard()...) != nil:
		err = console.Usagef("%w", console.ReadOnce(o.standard()...))
	}
	return o, err
}

// standard lists the flags that take the standard input.
func (o *options) standard() (out []string) {
	for _, f := range [...][2]string{{"--bundle", o.bundle}, {"--circuit", o.circuit}, {"--tokenizer", o.tokenizer}, {"--template", o.template}} {
		if f[1] == console.Stdin {
			out = append(out, f[0])
		}
	}
	return out
}

// model reads the files.
func (o *options) model(ctx context.Context, stdin io.Reader) (m verifier.Model, err error) {
	b, name, err := o.read(stdin)
	if err != nil {
		return m, unreadable(ctx, err)
	}
	f, err := circuits.Decode(ctx, b.Circuit)
	if err != nil {
		return m, unreadable(ctx, fmt.Errorf("circuits: %s: %w", name, err))
	}
	m = verifier.Model{Name: f.Shortest().Name, Build: func() (*circuit.Family, error) { return f, nil }, Key: b.Key}
	if o.bundle != "" {
		m.ID = cmp.Or(b.Card.ModelID, "nothing")
		if err := b.Card.Agrees(f); err != nil {
			return m, unreadable(ctx, fmt.Errorf("%s: the card is of another model than the files: %w", name, err))
		}
	}
	if b.Tokenizer == nil {
		return m, nil
	}
	t, err := vocab.Parse(b.Tokenizer, b.Template)
	if err != nil {
		return m, unreadable(ctx, fmt.Errorf("%s: %w", console.Shown(cmp.Or(o.tokenizer, o.bundle), "input"), err))
	}
	m.Vocab = func() (tokens.Tokenizer, error) { return t, nil }
	return m, nil
}

// read reads the bundle, or what would be in one; a key then has a flag of its own. It names the file that has the circuits.
func (o *options) read(stdin io.Reader) (b *bundle.Bundle, circuits string, err error) {
	if o.bundle != "" {
		data, err := console.ReadFile(o.bundle, stdin, bundle.Limit)
		if err != nil {
			return nil, "", err
		}
		if b, err = bundle.Read(data); err != nil {
			err = fmt.Errorf("%s: %w", console.Shown(o.bundle, "input"), err)
		}
		return b, console.Shown(o.bundle, "input"), err
	}
	b = &bundle.Bundle{}
	if b.Circuit, err = console.ReadArtefactFrom(o.circuit, stdin, format.MagicCircuit, bundle.MaxCircuit); err != nil {
		return nil, "", fmt.Errorf("circuits: %w", err)
	}
	if o.tokenizer != "" {
		b.Tokenizer, err = console.ReadFile(o.tokenizer, stdin, bundle.MaxTokenizer)
	}
	if o.template != "" && err == nil {
		b.Template, err = console.ReadFile(o.template, stdin, bundle.MaxTemplate)
	}
	return b, console.Shown(o.circuit, "input"), err
}

// unreadable says that a file is at fault, unless the run was interrupted.
func unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &console.Failure{Code: console.Unreadable, Err: err}
}

const help = `Checks proofs about the answers of a model, of which it reads a file that 'zkllmc bundle' or 'zkllmc compile' wrote.

    zkllmc-verifier --bundle FILE COMMAND …
    zkllmc-verifier --circuit model.circuit [--tokenizer FILE [--template FILE]] COMMAND …

The commands are accept, verify, version and help, with the arguments, answers and exit codes of the verifier that 'zkllmc compile' generates
for the model ('zkllmc-verifier --bundle FILE help' explains them, and calls the program 'verifier'). With a bundle accept and verify
need no verifying key.

    --bundle FILE       circuits, verifying key, tokenizer and template of the model. Its card is the sender's word, and so is what reads and
                        shows texts: get it from whom you asked
    --circuit FILE      the model's circuits alone. Their digest is part of the model's ID, so that a file of others is refused with the ID
                        that you trust
    --tokenizer FILE    the model's tokenizer.json or vocab.json, which texts are read and shown with
    --template FILE     of a chat model, the template of its turns, as compile writes it to vocab/template.json

One file alone may be -, the standard input, of these and those of the command.

Example

    zkllmc-verifier --bundle sums.bundle accept --save model.id
    zkllmc-verifier --bundle sums.bundle verify --pin model.id --statement statement.bin --proof proof.bin --prompt "…"

` + console.ExitCodes
