// Package verifierapp is the command line of a generated verifier: accept a model once, then verify proofs about it. It links the
// standard library, this runtime and gnark-crypto, nothing of the prover.
package verifierapp

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/protocol"
)

// Model is what a generated verifier is for.
type Model struct {
	Name    string           // of the model, as compiled
	Circuit *circuit.Circuit // what is proved
	Vocab   []byte           // content of the vocabulary file that texts are shown with, or nil
}

// The exit codes.
const (
	Accepted   = 0
	Rejected   = 1 // a proof, statement or model that must not be trusted
	Usage      = 2 // the command line
	Unreadable = 3 // a file that cannot be read, or is of another kind, version or circuit
	Internal   = 4 // a fault of this program
)

// Main runs the command line and returns the exit code of the process.
func Main(m Model, args []string) int { return Run(m, args, os.Stdout, os.Stderr) }

// failure is an error with its exit code.
type failure struct {
	code  int
	class string // of a rejection: which check refused
	err   error
}

func (f *failure) Error() string {
	switch {
	case f.code == Rejected:
		return fmt.Sprintf("rejected (%s): %v", f.class, f.err)
	case f.code == Internal:
		return "internal error: " + f.err.Error()
	}
	return f.err.Error()
}

func usage(format string, args ...any) error {
	return &failure{code: Usage, err: fmt.Errorf(format, args...)}
}

// app is one run of the command line.
type app struct {
	m              Model
	stdout, stderr io.Writer
}

// Run is Main with the streams given. A panic is a fault of this program and ends with the code for it: Go's own exit code of a
// panic would say that the command line was wrong.
func Run(m Model, args []string, stdout, stderr io.Writer) (code int) {
	a := &app{m: m, stdout: stdout, stderr: stderr}
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "verifier: internal error: %v\n%s", r, debug.Stack())
			code = Internal
		}
	}()
	err := a.dispatch(args)
	if err == nil {
		return Accepted
	}
	fmt.Fprintf(stderr, "verifier: %v\n", err)
	var f *failure
	if !errors.As(err, &f) {
		return Internal
	}
	if f.code == Usage {
		fmt.Fprintln(stderr, "Run 'verifier help' for the commands.")
	}
	return f.code
}

func (a *app) dispatch(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(a.stderr, a.help())
		return usage("no command given")
	}
	switch args[0] {
	case "accept":
		return a.accept(args[1:])
	case "verify":
		return a.verify(args[1:])
	case "version":
		if len(args) > 1 {
			return usage("version: unexpected argument %q", args[1])
		}
		digest := a.m.Circuit.Digest()
		fmt.Fprintf(a.stdout, "protocol  %s\ncircuit   %x (%s)\n", protocol.Version, digest, a.m.Circuit.Name)
		return nil
	case "help", "-h", "-help", "--help":
		fmt.Fprint(a.stdout, a.help())
		return nil
	}
	return usage("unknown command %q", args[0])
}

// parse reads flags and file names in any order. help says that the help was asked for and printed.
func (a *app) parse(fs *flag.FlagSet, args []string) (files []string, help bool, err error) {
	fs.SetOutput(io.Discard)
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprint(a.stdout, a.help())
			return nil, true, nil
		case err != nil:
			return nil, false, usage("%s: %v", fs.Name(), err)
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

func (a *app) help() string {
	digest := a.m.Circuit.Digest()
	return fmt.Sprintf(helpText, a.m.Name, digest[:8])
}

// helpText takes the model's name and the circuit's digest.
const helpText = `Checks proofs about the answers of the model %q, circuit %x.

verifier accept [--save FILE [--force]] [--json] model.vk

    Verifies that every weight of the model lies in its declared range, once per model, and prints the model's ID, by which
    'verify' knows the key from then on.
    --save FILE     write the ID to a file, for --pin
    --force         replace that file
    --json          print a report

verifier verify --vk model.vk (--id HEX | --pin FILE) --statement FILE --proof FILE
                [--prompt TEXT | --tokens IDS] [--answer TEXT | --answer-tokens IDS] [--vocab FILE] [--json]

    Verifies that the model with this ID gives the answer of the statement. The ID must be one that 'accept' printed to
    you, or to somebody you trust to have run it: verify does not check the key's range proof again. Never take it from
    the proof or its sender.
    --vk FILE            verifying key of the model
    --id HEX             the model's ID as 'accept' printed it, 64 hexadecimal digits
    --pin FILE           a file with the ID, as 'accept --save' writes it
    --statement FILE     prompt and answer
    --proof FILE         the proof
    --prompt TEXT        what you asked: a proof about any other prompt is rejected
    --tokens IDS         what you asked, as token ids such as 1,2,3
    --answer TEXT        what you were told: a proof of any other answer is rejected, but for an end token behind it
    --answer-tokens IDS  what you were told, as token ids
    --vocab FILE         vocabulary to read and show texts with, instead of the compiled one
    --json               print a report

    A proof is about token ids, and who proves chooses them: tokens that show nothing, or one text in other tokens, make
    the model answer otherwise. Give --prompt where you know what was asked. Without it, a text is shown in quotes only
    where the tokens are its usual ones; where not, each token is shown, quoted or as ⟨id⟩, with a warning.

verifier version

    Prints the protocol version and the circuit.

Example

    verifier accept --save model.id model.vk
    verifier verify --vk model.vk --pin model.id --statement statement.bin --proof proof.bin --prompt "…"

Exit codes: 0 accepted, 1 rejected (also a proof that holds, of something else than was asked), 2 wrong command line, 3 a
file that cannot be read or is of another kind, version or circuit, 4 a fault of this program. GOMAXPROCS sets the number
of threads.
`
