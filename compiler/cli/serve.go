package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/console/commands"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/server"
)

// hosting are the flags that serve and worker have both.
type hosting struct {
	models  []string
	queue   server.Queue
	memory  string
	logJSON bool
	open    sealed.OpenFlags
}

func (o *hosting) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.models, "model", nil, "`[NAME=]DIR[,KEYS]`: a folder that compile wrote, the name that requests give the model, and the folder of prover.key and model.vk (DIR/keys); may be given several times")
	f.StringVar(&o.queue.URL, "nats", os.Getenv(server.EnvURL), "`URL` of a NATS server with JetStream, which keeps the jobs (default: what "+server.EnvURL+" says); its token, if it wants one, is in "+server.EnvSecret)
	f.StringVar(&o.queue.Credentials, "nats-creds", "", "`FILE` with credentials for it")
	f.StringVar(&o.queue.Prefix, "prefix", "zkllmc", "`NAME` that all names of what is stored there begin with")
	f.StringVar(&o.memory, "memory", "", "a proof takes at most about this `SIZE` of memory, 6GiB say (default: what the machine has)")
	f.BoolVar(&o.logJSON, "log-json", false, "log lines of JSON")
	o.open.Register(f, "the prover keys")
}

func (o *hosting) budget() (uint64, error) {
	if o.memory == "" {
		return 0, nil
	}
	return commands.Memory(o.memory)
}

// sound refuses a policy that makes no sense.
func sound(p server.Policy) error {
	switch {
	case p.Limit < 1 || p.Replicas < 1:
		return console.Usagef("--queue and --replicas are at least 1")
	case p.Keep < time.Minute:
		return console.Usagef("--keep is at least a minute")
	case p.Patience < 2*time.Second:
		return console.Usagef("--patience is at least two seconds")
	}
	return nil
}

// limits refuses limits that make no sense; given says which flags were.
func limits(s *server.Options, given func(string) bool, workers int) error {
	switch {
	case given("workers") && workers < 0:
		return console.Usagef("--workers is at least 0")
	case given("answers") && s.Answers < 1:
		return console.Usagef("--answers is at least 1")
	case s.Requests < 1:
		return console.Usagef("--requests is at least 1")
	case s.Body < 1:
		return console.Usagef("--body is at least 1")
	case s.Slow <= 0:
		return console.Usagef("--slow is more than 0")
	case s.Grace < 0 || s.Drain < 0:
		return console.Usagef("--grace and --drain are at least 0")
	case s.Queue.URL != "" && s.Data != "":
		return console.Usagef("--data is for jobs without --nats (or %s), and both are given", server.EnvURL)
	case s.Queue.URL == "" && s.Policy.Replicas != 1:
		return console.Usagef("--replicas is for a cluster, which --nats names")
	}
	return nil
}

// logger writes to stderr.
func (a *app) logger(asJSON bool) *slog.Logger {
	if asJSON {
		return slog.New(slog.NewJSONHandler(a.err, nil))
	}
	return slog.New(slog.NewTextHandler(a.err, nil))
}

// serving are the flags of serve.
type serving struct {
	hosting
	server.Options
	workers int
}

func (o *serving) flags(f *pflag.FlagSet) {
	o.hosting.flags(f)
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "`ADDRESS` and port to listen on")
	f.StringVar(&o.Data, "data", "", "`FOLDER` for jobs and proofs, without --nats")
	f.IntVar(&o.Policy.Replicas, "replicas", 1, "keep everything in `N` servers of a cluster")
	f.IntVar(&o.Policy.Limit, "queue", 256, "at most `N` proofs wait or are made; further requests are told to come again (429)")
	f.DurationVar(&o.Policy.Keep, "keep", 30*24*time.Hour, "how long a proof is kept after it is made")
	f.DurationVar(&o.Policy.Patience, "patience", 30*time.Second, "how long a worker may not be heard of before its job is given to another")
	f.StringVar(&o.Tokens, "tokens", "", "`FILE` of who may ask: NAME TOKEN on each line")
	f.BoolVar(&o.Open, "open", false, "everybody may ask, from any machine")
	f.StringVar(&o.Cert, "tls-cert", "", "`FILE` with the certificate for TLS, and those above it")
	f.StringVar(&o.Key, "tls-key", "", "`FILE` with its key")
	f.IntVar(&o.workers, "workers", -1, "start `N` worker processes (default: 1, and none with --nats)")
	f.Int64Var(&o.Body, "body", 8<<20, "a request has at most `N` bytes")
	f.IntVar(&o.Requests, "requests", 256, "at most `N` requests at a time; further ones are told to come again")
	f.IntVar(&o.Answers, "answers", 0, "at most `N` answers are computed at a time (default: the number of processors)")
	f.DurationVar(&o.Slow, "slow", 10*time.Minute, "how long an answer may take")
	f.DurationVar(&o.Drain, "drain", 0, "how long requests are still accepted when the server is to end, and GET /readyz says no")
	f.DurationVar(&o.Grace, "grace", 30*time.Second, "how long those may go on that have come then")
	f.BoolVar(&o.Prompts, "log-prompts", false, "log prompts and answers")
	f.StringVar(&o.Page, "page", "", "`FOLDER` of files that everybody gets below /page/: the page that 'make page' builds, and bundles")
	f.Lookup("workers").DefValue = "0" // of which nothing is said
	f.Lookup("nats").DefValue = ""
}

// options are those of the server that the flags describe; given says which flags were.
func (o *serving) options(a *app, given func(string) bool) (s server.Options, err error) {
	if err := sound(o.Policy); err != nil {
		return s, err
	}
	s = o.Options
	s.Queue, s.Models, s.Log, s.Workers = o.queue, o.models, a.logger(o.logJSON), o.workers
	s.Queue.Secret = os.Getenv(server.EnvSecret)
	if err := limits(&s, given, o.workers); err != nil {
		return s, err
	}
	if o.workers < 0 {
		s.Workers = 1
		if s.Queue.URL != "" {
			s.Workers = 0
		}
	}
	s.Start.Args = []string{"worker", "--with-server"}
	if o.logJSON {
		s.Start.Args = append(s.Start.Args, "--log-json")
	}
	if s.Answers <= 0 {
		s.Answers = runtime.GOMAXPROCS(0)
	}
	s.Keys = *o.open.Opener(os.Stdin, a.ask, a.warn)
	switch standard := o.open.Standard(); {
	case console.ReadOnce(standard...) != nil:
		return s, console.Usagef("%w", console.ReadOnce(standard...))
	case s.Workers > 0 && len(standard) > 0 && standard[0] == "--identity":
		return s, console.Usagef("--identity - is not passed on to workers: name a file, or give --workers 0")
	}
	s.Start.Memory, err = o.budget()
	return s, err
}

const aboutServe = `serve answers with one model or several, and makes a proof of every answer. The interface is the one that clients of language models
speak: POST /v1/completions and /v1/chat/completions, as a whole or streamed, POST /v1/embeddings, GET /v1/models; POST /v1/run computes the
outputs of any other model. A response names its proof, in the member "proof" and the header Proof-Id, which is made afterwards:

  GET    /v1/proofs/ID             how far it is: queued, proving, done, failed or cancelled
  GET    /v1/proofs/ID/statement   what is proved, for 'zkllmc-verifier verify --statement'
  GET    /v1/proofs/ID/proof       the proof, for 'zkllmc-verifier verify --proof'
  DELETE /v1/proofs/ID             gives it up, or removes it

Answers are greedy, since a proof shows that each token is the model's best: what asks for another one (temperature, n, logprobs, stop,
tools) is refused. A chat may have earlier turns and a message of the system, where the template of the model
says how they are spelled.

A model's folder is what compile wrote, and holds the keys that 'prover setup' made in its folder keys. Proofs are made by worker processes,
which serve starts, and by those that 'zkllmc worker' starts on other machines. Jobs are kept below --data, or by the NATS servers of
--nats, until they are done: a kill of server or workers loses none.

Without --tokens only this machine may ask. A file of tokens has a line for each who may, NAME TOKEN; proofs are seen by whoever asked for
them. GET /healthz and /readyz are for everybody; /metrics, for Prometheus, wants the token of a line
NAME TOKEN operator. What is logged holds no prompts and no answers without --log-prompts. SIGTERM
lets requests end, which are accepted for --drain yet, and hands jobs back to the queue.`

func (a *app) serveCommand() *cobra.Command {
	var o serving
	c := &cobra.Command{
		Use:   "serve --model DIR --data DIR",
		Short: "Answer requests of OpenAI's interface, and prove every answer",
		Long:  aboutServe,
		Example: `  zkllmc serve --model sums --data state
  zkllmc serve --model chat=smollm2 --model minilm --data state --listen :8443 --tokens tokens --tls-cert cert.pem --tls-key key.pem
  zkllmc serve --model chat=smollm2 --nats nats://queue:4222 --workers 0`,
		Args: cobra.NoArgs,
	}
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		s, err := o.options(a, c.Flags().Changed)
		if err != nil {
			return err
		}
		return hosted(ctx, server.Serve(ctx, s))
	})
	o.flags(c.Flags())
	return c
}

// hosted gives an error of package server the exit code that it stands for; ending is what an interruption asks for.
func hosted(ctx context.Context, err error) error {
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	case errors.Is(err, server.ErrUsage):
		return console.Usagef("%w", err)
	}
	return console.Unusable(err)
}

func (a *app) workerCommand() *cobra.Command {
	var o hosting
	var beside bool
	c := &cobra.Command{
		Use:   "worker --model DIR --nats URL",
		Short: "Make the proofs that servers have promised, on any machine",
		Long: `worker takes jobs from the queue of 'zkllmc serve --nats URL' and makes their proofs, one at a time, on all processors (GOMAXPROCS). It
needs the model's folder with its keys, as serve does: jobs hold tokens and inputs, never weights. Any number of workers may run. One
that is killed loses nothing, for its job is given to another after --patience; SIGTERM hands it back at once.`,
		Example: `  zkllmc worker --model chat=smollm2 --nats nats://queue:4222 --memory 12GiB`,
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			o.queue.Secret = os.Getenv(server.EnvSecret)
			if o.queue.URL == "" {
				return console.Usagef("--nats URL is missing; without it 'zkllmc serve' starts its own workers")
			}
			memory, err := o.budget()
			if err != nil {
				return err
			}
			keys := o.open.Opener(os.Stdin, a.ask, a.warn)
			if err := console.ReadOnce(o.open.Standard()...); err != nil {
				return console.Usagef("%w", err)
			}
			if beside {
				if len(o.open.Standard()) > 0 {
					passphrase, err := server.Line(os.Stdin)
					if err != nil {
						return err
					}
					keys.Say(passphrase)
				}
				var stop context.CancelFunc
				ctx, stop = server.While(ctx, os.Stdin)
				defer stop()
			}
			return hosted(ctx, server.Work(ctx, server.WorkOptions{Models: o.models, Queue: o.queue, Memory: memory, Keys: *keys, Device: a.module.Device, Log: a.logger(o.logJSON)}))
		}),
	}
	o.flags(c.Flags())
	c.Flags().Lookup("nats").DefValue = ""
	c.Flags().BoolVar(&beside, "with-server", false, "end with the standard input, which the server that starts a worker holds open")
	if err := c.Flags().MarkHidden("with-server"); err != nil {
		panic(fmt.Sprint(err)) // it stands above
	}
	return c
}
