// Package console is what the command lines of compiler, prover and verifier have in common: the exit codes, a standard output that
// remembers what could not be written, prompts and answers that are read from files, and what --version tells. It links the standard
// library and atomicfile.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
)

// The exit codes of all three programs. ExitCodes says them to people.
const (
	OK         = 0 // done, or accepted
	Rejected   = 1 // what was checked does not hold, or was not what was expected
	Usage      = 2 // the command line, or what it asks for
	Unreadable = 3 // a file that cannot be read or written, or is of another kind, version or circuit; a model that is not supported
	Internal   = 4 // a fault of the program, an interruption, or output that could not be written
	Imprecise  = 5 // of the compiler: the integer program differs from the float model by more than the tolerance
)

// ExitCodes is the table of exit codes, for help texts and for README.
const ExitCodes = `Exit codes: 0 done or accepted; 1 rejected: a proof, statement or model that must not be trusted, an answer that the model does not
give, or an expected output that the float model does not; 2 a command line that is wrong, or asks for what cannot be, in a file of a
prompt, an answer or token ids, too; 3 a file that cannot be read or written, or is of another kind, version or circuit, or a model
that is not supported or too large for the memory there is; 4 a fault of the program, an interruption, or output that could not be
written; 5 of the compiler: the integer program is not precise enough.`

// Output is the standard output of a program. It remembers the first error of a write, and writes nothing after one.
type Output struct {
	w   io.Writer
	err error
}

// NewOutput returns an output that writes to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	o.err = err
	return n, err
}

// Err returns the first error of a write.
func (o *Output) Err() error { return o.err }

// Finish says on stderr that output was lost, if it was, and returns the exit code of a program that would else end with code. A failure
// keeps its own code.
func (o *Output) Finish(program string, code int, stderr io.Writer) int {
	if o.err == nil {
		return code
	}
	fmt.Fprintf(stderr, "%s: the standard output could not be written: %v\n", program, o.err)
	if code == OK {
		return Internal
	}
	return code
}

// Interrupts returns a context that SIGINT or SIGTERM ends; a second one ends the process at once.
func Interrupts() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// CacheFolder is where programs keep generators, which they would derive again: the folder that ZKLLMC_CACHE names, nowhere if that is set to nothing;
// without it one in the user's folder for such files, or nowhere if there is none.
func CacheFolder() string {
	if folder, set := os.LookupEnv("ZKLLMC_CACHE"); set {
		return folder
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(user, "zkllmc", "generators")
}

// ErrPanic marks the error that Interruptible makes of a panic.
var ErrPanic = errors.New("panic")

// Work is Interruptible where panics are told further up: one goes on in the goroutine that called.
func Work[T any](ctx context.Context, f func() (T, error)) (T, error) {
	v, err := Interruptible(ctx, f)
	if errors.Is(err, ErrPanic) {
		panic(err)
	}
	return v, err
}

// Interruptible calls f and returns its result, or the context's error as soon as the context ends. f is then left behind: it writes
// no files, and the process ends soon.
func Interruptible[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("%w: %v\n%s", ErrPanic, p, debug.Stack())
			}
			done <- r
		}()
		r.v, r.err = f()
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// CollectEarly makes the collector run when garbage is a quarter of what is in use, not as much again, or so many bytes if that is more, unless
// GOGC says otherwise. What a command holds are few large slices of numbers, which the collector need not look into: it costs little, and saves
// a third of the memory. Where a command makes and drops many large slices beside little that it holds, bytes save it a collection for each.
func CollectEarly(bytes int) {
	if os.Getenv("GOGC") == "" {
		collectAfter(bytes)
	}
}

// early is the garbage after which the collector runs, in percent of what is in use.
const early = 25

// collectAfter sets for the next collection, and the one after each, how much garbage there may be.
func collectAfter(bytes int) {
	percent := early
	if bytes > 0 {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		inUse := max(live[0].Value.Uint64(), leastHeap)
		percent = max(percent, int(100*uint64(bytes)/inUse))
		runtime.SetFinalizer(new(*int), func(**int) { collectAfter(bytes) }) // as a pointer it is no part of something larger
	}
	debug.SetGCPercent(percent)
}

// leastHeap is what is in use at the least, for the collector.
const leastHeap = 4 << 20
