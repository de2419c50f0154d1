// Package cli is the command line of the compiler.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/console/commands"
	"github.com/zkllmc/zkllmc/internal/forecast"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/internal/terminal"
)

// errRejected says that a case of conformance failed; the report has been printed.
var errRejected = errors.New("a case failed")

// errImprecise is the same of a case that only lacks precision.
var errImprecise = fmt.Errorf("a case: %w", quant.ErrImprecise)

// Module is the compiler's own module, for the go.mod of generated code.
type Module struct {
	GoMod, GoSum []byte
	Build        *debug.BuildInfo // of the running program where it is nil

	// Device opens the device of a number, on which workers make proofs; nil: this program is for none.
	Device func(ordinal int) (backend.Backend, error)
}

// garbage is how many bytes a compilation may always leave to the collector: runs of a model make and drop many times what they hold.
const garbage = 1 << 28

// Main runs the command line and returns the exit code of the process, one of package console. SIGINT and SIGTERM stop the work at the
// next step.
func Main(m Module, args []string) int {
	collect(args)
	ctx, stop := console.Interrupts()
	defer stop()
	return start(ctx, m, args, os.Stdout, os.Stderr)
}

// collect sets how much garbage there may be: much for what compiles, little for what proves, and Go's own measure for what serves for weeks.
func collect(args []string) {
	switch {
	case len(args) > 0 && args[0] == "serve":
	case len(args) > 0 && args[0] == "worker":
		console.CollectEarly(0)
	default:
		console.CollectEarly(garbage)
	}
}

// start is Main with its surroundings as arguments. A panic is a defect of the compiler and reported as such.
func start(ctx context.Context, m Module, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "zkllmc: internal error, please report it: %v\n", r)
			code = console.Internal
		}
	}()
	bar := terminal.NewBar(stderr)
	a := &app{module: m, out: console.NewOutput(console.Plain(bar.Before(stdout))), err: console.Plain(bar.Above(stderr)), bar: bar, begin: time.Now()}
	if _, process := stderr.(*os.File); process && terminal.There() {
		a.ask = terminal.Passphrase
	}
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // not nil, for which cobra takes those of the process
	root.SetOut(a.out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	bar.End()
	switch {
	case err == nil:
	case errors.Is(err, errRejected):
		code = console.Rejected
	case errors.Is(err, errImprecise):
		code = console.Imprecise
	default:
		const hint = "Run 'zkllmc --help' for the commands, 'zkllmc COMMAND --help' for one of them."
		code = console.Report(ctx, "zkllmc", hint, a.out, stderr, a.failed(err))
	}
	return a.out.Finish("zkllmc", code, stderr)
}

// app is one run of the command line.
type app struct {
	module  Module
	out     *console.Output
	err     io.Writer
	bar     *terminal.Bar   // of the terminal that err is, else nil
	quiet   bool            // no progress is shown
	ask     sealed.Question // a passphrase, on the terminal; nil if there is none
	running bool            // a command has started: errors are no longer about usage
	begin   time.Time
	start   time.Time    // of the running phase
	told    atomic.Int64 // nanoseconds after it when its progress was last told
	left    atomic.Bool  // work is left behind: nothing is told of it any more
	last    string
	phases  []phase
}

// phase is a part of the work, for reports.
type phase struct {
	Name    string  `json:"name"`    // what
	Seconds float64 `json:"seconds"` // how long
}

// warn tells of something that is not wrong and better known.
func (a *app) warn(text string) { fmt.Fprintf(a.err, "zkllmc: warning: %s\n", text) }

// failed gives an error of a command the exit code that it stands for.
func (a *app) failed(err error) error {
	var f *console.Failure
	switch known := errors.As(err, &f); {
	case errors.Is(err, quant.ErrUnexpected):
		return &console.Failure{Code: console.Rejected, Err: err}
	case errors.Is(err, quant.ErrImprecise):
		return &console.Failure{Code: console.Imprecise, Err: err}
	case !a.running || errors.Is(err, compiler.ErrName):
		return console.Usagef("%w", err)
	case !known && errors.Is(err, compiler.ErrUnsupported):
		return console.Unusable(err)
	}
	return err
}

const rootHelp = `zkllmc turns a transformer in ONNX into a zero-knowledge prover and verifier, as Go code.

The owner of the model runs

  zkllmc compile model.onnx -o DIR  the circuit, a prover, a verifier, the quantised weights
  cd DIR && go build -o bin/ ./cmd/prover ./cmd/verifier
  bin/prover setup …                commits to the weights: a public verifying key, a secret prover key
  bin/prover prove …                runs the model on an input and proves the output

  zkllmc bundle DIR --vk …          makes a file of all that customers need
  zkllmc serve --model DIR …        answers over HTTP, and proves every answer

and everybody else, given that file, runs

  zkllmc-verifier --bundle FILE accept …   checks the verifying key once and prints the model's ID
  zkllmc-verifier --bundle FILE verify …   checks that a proof's output is what that model says

or, given DIR without weights.zkw and the keys without prover.key, builds the verifier of this model alone, bin/verifier, without learning
the weights.

` + console.ExitCodes + `
They are those of the built programs: 'go run' turns every failure into 1.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "zkllmc", Short: "A compiler from ONNX transformers to zero-knowledge proofs of inference", Long: rootHelp,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(a.err)
			return errors.Join(c.Help(), commands.ErrNone)
		},
	}
	root.AddCommand(a.compileCommand(), a.inspectCommand(), a.checkCommand(), a.conformanceCommand(),
		a.bundleCommand(), a.cardCommand(), a.idCommand(), a.serveCommand(), a.workerCommand(), a.benchmarkCommand(), a.completionCommand(), a.manualCommand(), a.versionCommand())
	commands.Complete(root, versionText(), &a.quiet)
	return root
}

// versionText is what --version prints.
func versionText() string { return console.ThisBuild().Lines(protocol.Version) }

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of zkllmc, its commit and the protocol version",
		Example: "  zkllmc version",
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			_, err := fmt.Fprint(a.out, versionText())
			return err
		}),
	}
}

// takes wants at least one argument, which is called so, and at most so many, if most is not 0.
func takes(what string, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%s: missing: %s", c.Name(), what)
		case most > 0 && len(args) > most:
			return fmt.Errorf("%s: unexpected argument %q", c.Name(), args[most])
		}
		return nil
	}
}

// run wraps a command's function: from here on an error is not about usage unless it says so.
func (a *app) run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.running = true
		return f(c.Context(), args)
	}
}

// interruptible does long work that writes no files. Where the context ends it is left behind at once, in whatever step it is: the largest
// products take seconds, and so does reading a large file.
func interruptible[T any](ctx context.Context, a *app, work func() (T, error)) (T, error) {
	v, err := console.Work(ctx, work)
	if ctx.Err() != nil {
		a.left.Store(true)
	}
	return v, err
}

// progress writes what begins to stderr and keeps the time of what ended.
func (a *app) progress(name string) {
	if a.left.Load() {
		return
	}
	a.finishPhase()
	a.last, a.start = name, time.Now()
	a.told.Store(0)
	switch {
	case a.quiet:
	case a.bar != nil:
		a.bar.Begin(name)
	default:
		fmt.Fprintf(a.err, "%s …\n", name)
	}
}

// patience is how long people wait for a word about a phase that goes on; a bar moves sooner.
const (
	patience = 5 * time.Second
	moving   = time.Second / 5
)

// done tells on stderr how far the running phase is, from time to time. It is called from several goroutines.
func (a *app) done(done, all int) {
	since := time.Since(a.start)
	last, pause := a.told.Load(), patience
	if a.bar != nil {
		pause = moving
	}
	if a.quiet || a.left.Load() || done <= 0 || done >= all || since < time.Duration(last)+pause || !a.told.CompareAndSwap(last, int64(since)) {
		return
	}
	left := since / time.Duration(done) * time.Duration(all-done)
	if a.bar != nil {
		a.bar.Show(float64(done)/float64(all), fmt.Sprintf("%d of %d, %.3g/s, %s", done, all, float64(done)/since.Seconds(), forecast.About(left)))
		return
	}
	fmt.Fprintf(a.err, "  %d of %d (%d %%), about %s left\n", done, all, 100*done/all, left.Round(time.Second))
}

func (a *app) finishPhase() {
	if a.last != "" {
		p := phase{a.last, time.Since(a.start).Seconds()}
		if a.phases = append(a.phases, p); a.bar != nil && !a.quiet {
			a.bar.End()
			fmt.Fprintf(a.err, "%-54s %8.2f s\n", p.Name, p.Seconds)
		}
		a.last = ""
	}
}

// usage is what every JSON report says about the run.
type usage struct {
	Phases  []phase `json:"phases"` // what was done, in order
	Seconds struct {
		Total float64 `json:"total"` // from the start of the program
	} `json:"seconds"` // times
	machine.Usage
}

func (a *app) usage() usage {
	a.finishPhase()
	u := usage{Phases: append([]phase{}, a.phases...), Usage: machine.Now()}
	u.Seconds.Total = time.Since(a.begin).Seconds()
	return u
}

func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
