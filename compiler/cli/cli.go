// Package cli is the command line of the compiler.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/runtime/machine"
	"github.com/zkllmc/zkllmc/runtime/protocol"
)

// The exit codes.
const (
	exitOK          = 0
	exitRejected    = 1
	exitUsage       = 2
	exitUnsupported = 3
	exitInternal    = 4
)

// errRejected says that a comparison failed; the report has been printed.
var errRejected = errors.New("below tolerance")

// usageError marks a command line that makes no sense.
type usageError struct{ error }

// unreadable marks input that cannot be read or used.
type unreadable struct{ error }

// Module is the compiler's own module, for the go.mod of generated code.
type Module struct{ GoMod, GoSum []byte }

// Main runs the command line and returns the exit code of the process. SIGINT and SIGTERM stop the work at the next step.
func Main(m Module, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, m, args, os.Stdout, os.Stderr)
}

// Run is Main with its surroundings as arguments. A panic is a defect of the compiler and reported as such.
func Run(ctx context.Context, m Module, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "zkllmc: internal error, please report it: %v\n", r)
			code = exitInternal
		}
	}()
	a := &app{module: m, out: stdout, err: stderr, start: time.Now()}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code = a.exitCode(err)
	switch {
	case err == nil || errors.Is(err, errRejected):
	case code == exitInternal && ctx.Err() != nil:
		fmt.Fprintln(stderr, "zkllmc: interrupted")
	default:
		fmt.Fprintf(stderr, "zkllmc: %v\n", err)
	}
	if code == exitUsage {
		fmt.Fprintln(stderr, "Run zkllmc --help for the commands.")
	}
	return code
}

// app is one run of the command line.
type app struct {
	module  Module
	out     io.Writer
	err     io.Writer
	running bool // a command has started: errors are no longer about usage
	start   time.Time
	last    string
	phases  []phase
}

// phase is a part of the work, for reports.
type phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

func (a *app) exitCode(err error) int {
	var usage usageError
	var unread unreadable
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errRejected):
		return exitRejected
	case !a.running || errors.As(err, &usage) || errors.Is(err, compiler.ErrName):
		return exitUsage
	case errors.Is(err, compiler.ErrUnsupported) || errors.As(err, &unread):
		return exitUnsupported
	}
	return exitInternal
}

const rootHelp = `zkllmc turns a transformer in ONNX into a zero-knowledge prover and verifier, as Go code.

The owner of the model runs

  zkllmc compile model.onnx -o DIR  the circuit, a prover, a verifier, the quantised weights
  cd DIR && go build -o bin/ ./cmd/prover ./cmd/verifier
  bin/prover setup …                commits to the weights: a public verifying key, a secret prover key
  bin/prover prove …                runs the model on an input and proves the output

and everybody else, given DIR without weights.zkw and the keys without prover.key, builds the verifier and runs

  bin/verifier accept …             checks the verifying key once and prints the model's ID
  bin/verifier verify …             checks that a proof's output is what that model says

without learning the weights. Exit codes: 0 accepted, 1 rejected or below tolerance, 2 usage, 3 unsupported or unreadable,
4 internal or interrupted (of the built programs: go run turns every failure into 1).`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "zkllmc", Short: "A compiler from ONNX transformers to zero-knowledge proofs of inference", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(a.err)
			return errors.Join(c.Help(), usageError{errors.New("no command given")})
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.compileCommand(), a.inspectCommand(), a.checkCommand(), a.conformanceCommand(), a.versionCommand())
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the protocol version and that of the compiler",
		Example: "  zkllmc version",
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			built := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				built = info.Main.Version
			}
			_, err := fmt.Fprintf(a.out, "protocol  %s\ncompiler  %s\n", protocol.Version, built)
			return err
		}),
	}
}

// run wraps a command's function: from here on an error is not about usage unless it says so.
func (a *app) run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.running = true
		return f(c.Context(), args)
	}
}

// progress writes what begins to stderr and keeps the time of what ended.
func (a *app) progress(name string) {
	a.finishPhase()
	a.last, a.start = name, time.Now()
	fmt.Fprintf(a.err, "%s …\n", name)
}

func (a *app) finishPhase() {
	if a.last != "" {
		a.phases = append(a.phases, phase{a.last, time.Since(a.start).Seconds()})
		a.last = ""
	}
}

// usage is what every JSON report says about the run.
type usage struct {
	Phases []phase `json:"phases"`
	machine.Usage
}

func (a *app) usage() usage {
	a.finishPhase()
	return usage{Phases: a.phases, Usage: machine.Now()}
}

func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
