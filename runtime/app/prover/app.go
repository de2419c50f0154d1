// Package prover is the command line of a generated prover: commit to the weights once, then run the model and prove answers.
package prover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/console/commands"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/internal/terminal"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Model is what a generated prover is for.
type Model struct {
	Name  string                           // of the model, as compiled
	Build func() (*circuit.Family, error)  // the circuits that are proved, as generated code builds them
	Vocab func() (tokens.Tokenizer, error) // what texts are read and shown with, or nil
	Nodes string                           // of tensors that may be clamped: a line of name, ONNX node and operator each, with tabs between

	// Device opens the device of a number, the first is 0, which makes keys and proofs; where it fails the processor does. The error is
	// backend.ErrNoDevice where there is no device. nil: this program is for none.
	Device func(ordinal int) (backend.Backend, error)
}

// garbage is how many bytes a proof may always leave to the collector: one of a small model would be interrupted a hundred times a second, and
// give memory back to the system that it wants again.
const garbage = 32 << 20

// Main runs the command line and returns the exit code of the process, one of package console. SIGINT and SIGTERM stop the work at the
// next step; a second one ends the process at once.
func Main(m Model, args []string) int {
	console.CollectEarly(garbage)
	group.KeepIn(console.CacheFolder())
	ctx, stop := console.Interrupts()
	defer stop()
	return start(ctx, m, args, os.Stdin, os.Stdout, os.Stderr)
}

// app is one run of the command line.
type app struct {
	m         Model
	device    backend.Backend // that makes keys and proofs, once it is open; nil if there is none
	processor backend.Backend // runs the model, and makes keys and proofs where no device does
	computed  string          // what made the keys or the proof
	f         *circuit.Family
	c         *circuit.Circuit // the shortest: what all circuits have alike is asked of it
	stdin     io.Reader
	stdout    *console.Output
	terminal  bool // the standard output is one
	stderr    io.Writer
	ask       sealed.Question // a passphrase, on the terminal; nil if there is none
	said      io.Writer       // what is said of results: stdout, or stderr where a result goes there
	progress  *progress
	stats     measuring
	started   bool // the command line was understood
	quiet     bool // no progress is shown
}

// start is Main with the streams given.
func start(ctx context.Context, m Model, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	progress := newProgress(stderr)
	a := &app{m: m, processor: cpu.New(), stdin: stdin, stdout: console.NewOutput(progress.bar.Before(stdout)), stderr: progress.bar.Above(stderr), progress: progress}
	a.said, a.terminal = a.stdout, terminal.Is(stdout)
	if _, process := stderr.(*os.File); process && terminal.There() {
		a.ask = terminal.Passphrase
	}
	defer func() {
		if r := recover(); r != nil { // Go's own exit code of a panic would say that the command line was wrong
			fmt.Fprintf(stderr, "prover: internal error: %v\n%s", r, debug.Stack())
			code = console.Internal
		}
	}()
	defer func() { backend.CloseDevice(a.device) }()
	var err error
	if a.f, err = console.Work(ctx, m.Build); err != nil {
		return a.report(ctx, err)
	}
	a.c = a.f.Shortest()
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // not nil, for which cobra takes those of the process
	root.SetOut(a.stdout)
	root.SetErr(stderr)
	code = console.OK
	if err = root.ExecuteContext(ctx); err != nil {
		a.progress.abandon()
		code = a.report(ctx, err)
	}
	return a.stdout.Finish("prover", code, stderr)
}

// onProcessor is what makes keys and proofs, as reports say it, where no device does. Those have names.
const onProcessor = "processor"

// open opens the device if this program has one. It is an error if there is none; where it cannot be opened for another reason there is a warning.
func (a *app) open() error {
	if a.m.Device == nil {
		return nil
	}
	device, err := a.m.Device(0)
	switch {
	case errors.Is(err, backend.ErrNoDevice):
		return console.Unusable(err)
	case err != nil:
		a.failed(err)
	default:
		a.device = device
	}
	return nil
}

// nameOf is what reports call a device.
func nameOf(device backend.Backend) string {
	if d, ok := device.(backend.OnDevice); ok {
		return d.Device().Name
	}
	return "device"
}

// options tell how keys and proofs are made: by the device, if it is open, and by the processor where that fails.
func (a *app) options() engine.Options {
	a.computed = onProcessor
	o := engine.Options{Backend: a.processor, Failed: a.failed, Phase: a.progress.phase, Progress: a.progress.part}
	if a.device != nil {
		a.computed = nameOf(a.device)
		o.Backend, o.Fallback = a.stats.metered(a.device), a.processor
	}
	return o
}

// warn tells of something that is not wrong and better known.
func (a *app) warn(text string) {
	a.progress.yield()
	fmt.Fprintf(a.stderr, "prover: warning: %s\n", text)
}

// failed warns that a device does not compute.
func (a *app) failed(err error) {
	a.computed = onProcessor
	fmt.Fprintf(a.stderr, "prover: warning: %s; the processor computes\n", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// report prints an error and returns its exit code.
func (a *app) report(ctx context.Context, err error) int {
	var f *console.Failure
	if !a.started && !errors.As(err, &f) {
		err = console.Usagef("%w", err)
	}
	return console.Report(ctx, "prover", "Run 'prover --help' for the commands, 'prover COMMAND --help' for one of them.", a.stdout, a.stderr, err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "prover",
		Short: "Proves answers of the model " + a.m.Name,
		Long: fmt.Sprintf(`Proves answers of the model %q:

%s
Whoever has the weights runs setup once, publishes model.vk and keeps prover.key. Proofs then show that the model with this
verifying key gives an answer, and nothing else about its weights. GOMAXPROCS sets the number of threads.

%s`, a.m.Name, a.f.Lines(), console.ExitCodes),
		Example: `  prover setup --weights weights.zkw -o keys
  prover run   --key keys/prover.key --prompt "…"
  prover prove --key keys/prover.key --prompt "…" -o proof.bin --statement-out statement.bin`,
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintln(a.stderr, c.UsageString())
			return commands.ErrNone
		},
	}
	root.AddCommand(a.setupCommand())
	if a.c.Generation != nil {
		root.AddCommand(a.runCommand(), a.proveCommand(), a.statementCommand())
	} else {
		root.AddCommand(a.functionRunCommand(), a.functionProveCommand())
		root.Example = `  prover setup --weights weights.zkw -o keys
  prover run   --key keys/prover.key --input NAME=FILE
  prover prove --key keys/prover.key --input NAME=FILE -o proof.bin --statement-out statement.bin`
	}
	root.AddCommand(a.versionCommand())
	commands.Complete(root, a.version(), &a.quiet)
	return root
}

// version is what --version prints.
func (a *app) version() string {
	return console.ThisBuild().Lines(protocol.Version) + a.f.Lines()
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of zkllmc, its commit, the protocol version and the circuit",
		Example: "  prover version",
		Args:    noArgs,
		RunE: a.command(func(context.Context) error {
			fmt.Fprint(a.stdout, a.version())
			return nil
		}),
	}
}

// noArgs is cobra.NoArgs without showing what was given: it may be the rest of a private prompt that was not quoted.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("arguments that belong to no flag: %d; a prompt with spaces is quoted", len(args))
	}
	return nil
}

// command makes the body of a command, which cobra calls once it has understood the command line.
func (a *app) command(f func(ctx context.Context) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		a.started = true
		if a.quiet {
			a.progress.quiet()
		}
		a.stats.begin()
		a.processor = a.stats.metered(a.processor)
		err := f(c.Context())
		if err == nil && !a.stats.told {
			a.progress.phase("")
			a.stats.of(a.progress, a.device).show(a.stderr)
		}
		return err
	}
}

// vocabulary returns what texts are read and shown with: the given file, else what was compiled in, else nil.
func (a *app) vocabulary(file string) (tokens.Tokenizer, error) {
	t, err := reading.Vocabulary(a.c.Generation.Vocab, file, a.m.Vocab)
	return t, console.Unusable(err)
}
