package prover

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/sealed"
)

func (a *app) runCommand() *cobra.Command {
	q := &question{}
	var key string
	var asJSON bool
	var open sealed.OpenFlags
	c := &cobra.Command{
		Use:   "run --key prover.key --prompt TEXT",
		Short: "Let the model answer, without a proof",
		Long: `Runs the integer program that proofs are about, and prints the answer as it comes: greedy decoding, until an end token of the
vocabulary or the longest circuit's length.`,
		Example: "  prover run --key keys/prover.key --tokens 3,2,7 --max 4",
		Args:    noArgs,
		RunE:    a.command(func(ctx context.Context) error { return a.run(ctx, q, key, &open, asJSON) }),
	}
	q.flags(c)
	q.maxFlag(c)
	c.Flags().StringVar(&key, "key", "", "prover key `FILE` that setup wrote")
	c.Flags().BoolVar(&asJSON, "json", false, "print a report")
	open.Register(c.Flags(), "the prover key")
	required(c, "key")
	return c
}

func (a *app) run(ctx context.Context, q *question, keyFile string, open *sealed.OpenFlags, asJSON bool) error {
	if err := q.read(ctx, a, open); err != nil {
		return err
	}
	k, err := a.readKey(ctx, keyFile, open)
	if err != nil {
		return err
	}
	d, err := a.begin(ctx, k, q)
	if err != nil {
		return err
	}
	a.progress.phase("decoding")
	live := &stream{w: a.stdout, q: q, silent: asJSON, yield: a.progress.yield}
	answer, err := a.decode(ctx, d, q, live.said)
	if err != nil {
		live.abandon()
		return err
	}
	live.finish(answer)
	a.progress.phase("")
	clamped := a.m.named(d.Clamped())
	if asJSON {
		return a.printReport(report{ModelID: fmt.Sprintf("%x", k.ModelID()), Circuit: digest(d.Circuit()), Said: dialogue.Answered(a.c, q.tokenizer, q.promptTokens, answer), Clamped: clamped})
	}
	a.showClamped(clamped, false)
	// Remarks are not on stdout, which holds the answer and nothing else.
	if s := q.unfinished(answer); s != "" {
		fmt.Fprintln(a.stderr, strings.TrimSpace(s))
	}
	if s := q.spelled(answer); s != "" {
		fmt.Fprintf(a.stderr, "(not the usual tokens of this text: %s)\n", s)
	}
	return nil
}
