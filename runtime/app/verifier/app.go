// Package verifier is the command line of a generated verifier: accept a model once, then verify proofs about it. It links the
// standard library, this runtime and gnark-crypto, nothing of the prover.
package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Model is what a generated verifier is for.
type Model struct {
	Name  string                           // of the model, as compiled
	Build func() (*circuit.Family, error)  // the circuits that are proved, as generated code builds them
	Vocab func() (tokens.Tokenizer, error) // what texts are read and shown with, or nil
	Key   []byte                           // the verifying key where no file is given, or nil
	ID    string                           // what whoever sent that key says its model's ID is, hexadecimal; "": nothing
}

// Main runs the command line and returns the exit code of the process, one of package console. SIGINT and SIGTERM end the work.
func Main(m Model, args []string) int {
	group.KeepIn(console.CacheFolder())
	ctx, stop := console.Interrupts()
	defer stop()
	return Run(ctx, m, args, os.Stdin, os.Stdout, os.Stderr)
}

// app is one run of the command line.
type app struct {
	m      Model
	f      *circuit.Family
	c      *circuit.Circuit // the shortest: what all circuits have alike is asked of it
	stdin  io.Reader
	stdout *console.Output
	stderr io.Writer

	accepted string // the word, as stdout shows it
}

// Run is Main with the streams given. A panic is a fault of this program and ends with the code for it: Go's own exit code of a
// panic would say that the command line was wrong.
func Run(ctx context.Context, m Model, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	a := &app{m: m, stdin: stdin, stdout: console.NewOutput(stdout), stderr: stderr, accepted: console.Good(stdout, "accepted")}
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "verifier: internal error: %v\n%s", r, debug.Stack())
			code = console.Internal
		}
	}()
	code = console.OK
	var err error
	if a.f, err = console.Work(ctx, m.Build); err == nil {
		a.c = a.f.Shortest()
		err = a.dispatch(ctx, args)
	}
	if err != nil {
		code = console.Report(ctx, "verifier", "Run 'verifier help' for the commands.", a.stdout, stderr, err)
	}
	return a.stdout.Finish("verifier", code, stderr)
}

func (a *app) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(a.stderr, a.help())
		return console.Usagef("no command given")
	}
	switch args[0] {
	case "accept":
		return a.accept(ctx, args[1:])
	case "verify":
		return a.verify(ctx, args[1:])
	case "version", "-version", "--version":
		return a.version(args[1:])
	case "help", "-h", "-help", "--help":
		return a.printHelp(args[1:])
	}
	return console.Usagef("unknown command %q", args[0])
}

func (a *app) version(args []string) error {
	_, help, err := a.parse(flag.NewFlagSet("version", flag.ContinueOnError), args)
	switch {
	case err != nil || help:
		return err
	case len(args) > 0:
		return console.Usagef("version: unexpected argument %q", args[0])
	}
	fmt.Fprint(a.stdout, console.ThisBuild().Lines(protocol.Version), a.f.Lines())
	return nil
}

// parse reads flags and file names in any order. help says that the help was asked for and printed.
func (a *app) parse(fs *flag.FlagSet, args []string) (files []string, help bool, err error) {
	fs.SetOutput(io.Discard)
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, true, a.printHelp([]string{fs.Name()})
		case err != nil:
			return nil, false, console.Usagef("%s: %v", fs.Name(), err)
		}
		if fs.NArg() == 0 {
			return files, false, nil
		}
		files, args = append(files, fs.Arg(0)), fs.Args()[1:]
	}
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
