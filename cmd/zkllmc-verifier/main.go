// Command zkllmc-verifier checks proofs about any model, of which it reads the circuits from a file; run it with --help. It gives the answers
// of the verifier that compile generates of the model: both build the circuits by the same calls and check proofs by the same code.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

const program = "zkllmc-verifier"

func main() {
	ctx, stop := console.Interrupts()
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Limits of the files, in bytes.
const (
	maxCircuit   = 1 << 28
	maxTokenizer = 1 << 28
	maxTemplate  = 1 << 16
)

// options are what stands before the command.
type options struct {
	circuit, tokenizer, template string
	rest                         []string
}

// run is the program with its streams given.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := console.NewOutput(stdout)
	o, err := parse(args)
	switch {
	case err == nil && o.circuit != "":
		var m verifier.Model
		if m, err = console.Interruptible(ctx, func() (verifier.Model, error) { return o.model(ctx) }); err == nil {
			return verifier.Run(ctx, m, o.rest, stdin, stdout, stderr)
		}
	case err == nil && len(o.rest) > 0 && strings.TrimLeft(o.rest[0], "-") == "version":
		fmt.Fprint(out, console.ThisBuild().Lines(protocol.Version))
		return out.Finish(program, console.OK, stderr)
	case errors.Is(err, flag.ErrHelp) || err == nil && len(o.rest) > 0 && o.rest[0] == "help":
		fmt.Fprint(out, help)
		return out.Finish(program, console.OK, stderr)
	case err == nil:
		err = console.Usagef("--circuit FILE is needed, the circuits of the model")
	}
	code := console.Report(ctx, program, "Run '"+program+" --help' for what it takes.", out, stderr, err)
	return out.Finish(program, code, stderr)
}

func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
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
	case o.template != "" && o.tokenizer == "":
		err = console.Usagef("--template belongs to a --tokenizer")
	}
	return o, err
}

// model reads the files.
func (o *options) model(ctx context.Context) (m verifier.Model, err error) {
	data, err := console.ReadArtefact(o.circuit, format.MagicCircuit, maxCircuit)
	var f *circuit.Family
	if err == nil {
		if f, err = circuits.Decode(ctx, data); err != nil {
			err = fmt.Errorf("%s: %w", o.circuit, err)
		}
	}
	if err != nil {
		return m, unreadable(ctx, fmt.Errorf("circuits: %w", err))
	}
	m = verifier.Model{Name: f.Shortest().Name, Build: func() (*circuit.Family, error) { return f, nil }}
	if o.tokenizer == "" {
		return m, nil
	}
	t, err := o.vocabulary()
	if err != nil {
		return m, unreadable(ctx, err)
	}
	m.Vocab = func() (tokens.Tokenizer, error) { return t, nil }
	return m, nil
}

func (o *options) vocabulary() (tokens.Tokenizer, error) {
	file, err := atomicfile.Read(o.tokenizer, maxTokenizer)
	if err != nil {
		return nil, err
	}
	var template []byte
	if o.template != "" {
		if template, err = atomicfile.Read(o.template, maxTemplate); err != nil {
			return nil, err
		}
	}
	t, err := vocab.Parse(file, template)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.tokenizer, err)
	}
	return t, nil
}

// unreadable says that a file is at fault, unless the run was interrupted.
func unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &console.Failure{Code: console.Unreadable, Err: err}
}

const help = `Checks proofs about the answers of a model, whose circuits it reads from the file that 'zkllmc compile' writes.

    zkllmc-verifier --circuit model.circuit [--tokenizer FILE [--template FILE]] COMMAND …

The commands are accept, verify, version and help, with the arguments, answers and exit codes of the verifier that 'zkllmc compile' generates
for the model ('zkllmc-verifier --circuit model.circuit help' explains them, and calls the program 'verifier').

    --circuit FILE      the model's circuits. Their digest is part of the model's ID, so that a file of others is refused with the ID that
                        you trust
    --tokenizer FILE    the model's tokenizer.json or vocab.json, which texts are read and shown with
    --template FILE     of a chat model, the template of its turns, as compile writes it to vocab/template.json

Example

    zkllmc-verifier --circuit model.circuit accept --save model.id model.vk
    zkllmc-verifier --circuit model.circuit --tokenizer vocab.json verify --vk model.vk --pin model.id \
        --statement statement.bin --proof proof.bin --prompt "…"

` + console.ExitCodes
