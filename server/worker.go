package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// What a server tells the workers that it starts, in their environment: command lines are seen by other users of the machine.
const (
	EnvURL    = "ZKLLMC_NATS"
	EnvSecret = "ZKLLMC_NATS_TOKEN"
)

// Start says how a worker of this machine is started.
type Start struct {
	Program string   // this program where it is ""
	Args    []string // of a worker, but for the models and where jobs are
	Memory  uint64   // that a proof may take; 0: what the machine has
}

// WorkOptions say what a worker does.
type WorkOptions struct {
	Models []string
	Queue  Queue
	Memory uint64
	Keys   sealed.Opener                              // opens the models' prover keys where they are encrypted
	Device func(ordinal int) (backend.Backend, error) // opens what proofs are made on; nil, or where it fails: the processor
	Log    *slog.Logger
}

// Work makes proofs until the context ends. One that is being made then is handed back to the queue.
func Work(ctx context.Context, o WorkOptions) error {
	models, err := openModels(ctx, o.Models, &o.Keys)
	if err != nil {
		return err
	}
	device, on, err := o.device()
	if err != nil {
		return err
	}
	defer backend.CloseDevice(device)
	for _, m := range models {
		m.Compute(device, o.deviceFailed)
	}
	nc, err := o.Queue.connect("zkllmc worker")
	if err != nil {
		return err
	}
	defer nc.Close()
	o.Log.Info("working", "models", len(models), "pid", os.Getpid(), "on", on)
	for missing := false; ctx.Err() == nil; {
		store, err := jobs.Attach(ctx, nc, o.Queue.Prefix)
		if err == nil {
			err = (&jobs.Worker{Store: store, Models: models, Memory: o.Memory, Log: o.Log}).Run(ctx)
		}
		if !errors.Is(err, jobs.ErrMissing) {
			return err
		}
		if !missing {
			o.Log.Warn("waiting", "for", err)
			missing = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// device opens the first device, where this program is for one, and says what proofs are made on. It is an error if there is none; one that cannot
// be opened for another reason leaves the work to the processor.
func (o *WorkOptions) device() (device backend.Backend, name string, err error) {
	if o.Device == nil {
		return nil, "processor", nil
	}
	device, err = o.Device(0)
	switch {
	case errors.Is(err, backend.ErrNoDevice):
		return nil, "", err
	case err != nil:
		o.deviceFailed(err)
		return nil, "processor", nil
	}
	if d, ok := device.(backend.OnDevice); ok {
		return device, d.Device().Name, nil
	}
	return device, "device", nil
}

func (o *WorkOptions) deviceFailed(err error) {
	o.Log.Warn("the device does not compute, the processor does", "error", err)
}

// While returns a context that ends with a reader, too: a worker's standard input, which the server that started it holds open, ends with the
// server, however that ends.
func While(ctx context.Context, r io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx, cancel
}

// Line reads a line, and nothing behind it: the server's passphrase, from its worker's standard input.
func Line(r io.Reader) (string, error) {
	var line []byte
	for b := [1]byte{}; ; {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
}

// restart is how long a server waits before it starts a worker anew.
const restart = time.Second

// handing is how long a worker may take to hand its job back.
const handing = 15 * time.Second

// keep keeps a worker running.
func (o *Options) keep(ctx context.Context, n int) {
	for ctx.Err() == nil {
		err := o.runWorker(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done(): // what interrupted the worker, a terminal say, interrupts the server
			return
		case <-time.After(restart):
		}
		o.Log.Warn("a worker ended and is started anew", "worker", n, "error", err)
	}
}

// runWorker runs a worker until it ends, or the context does.
func (o *Options) runWorker(ctx context.Context) error {
	program := o.Start.Program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return err
		}
	}
	q := &o.Queue
	args := append([]string(nil), o.Start.Args...)
	for _, m := range o.Models {
		args = append(args, "--model", m)
	}
	args = append(args, "--prefix", q.Prefix)
	if q.Credentials != "" {
		args = append(args, "--nats-creds", q.Credentials)
	}
	if o.Start.Memory > 0 {
		args = append(args, "--memory", strconv.FormatUint(o.Start.Memory, 10)+"B")
	}
	for _, name := range o.Keys.Identities {
		args = append(args, "--identity", name)
	}
	passphrase, secret := o.Keys.Said()
	if secret {
		args = append(args, "--passphrase-file", console.Stdin)
	}
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), EnvURL+"="+q.URL, EnvSecret+"="+q.Secret)
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	if secret { // in a line of its own, since the standard input stays open as long as the worker is to work
		_, _ = io.WriteString(stdin, passphrase+"\n") // a worker that does not read it has ended, and Wait says why
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stdin.Close()
	select {
	case err := <-ended:
		return err
	case <-time.After(handing):
		_ = c.Process.Kill()
		return <-ended
	}
}
