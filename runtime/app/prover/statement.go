package prover

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

func (a *app) statementCommand() *cobra.Command {
	q := &question{}
	var file, from string
	var force bool
	c := &cobra.Command{
		Use:   "statement --prompt TEXT --answer TEXT -o statement.bin",
		Short: "Write a statement without a proof, true or not",
		Long: `Writes the statement that the model answers a prompt so. It asks no model and proves nothing: together with a proof of
another statement the verifier refuses it.`,
		Example: `  prover statement --tokens 3,2 --answer-tokens 7 -o claim.bin`,
		Args:    noArgs,
		RunE:    a.command(func(ctx context.Context) error { return a.statement(ctx, q, file, from, force) }),
	}
	q.flags(c)
	q.answerFlags(c, "the answer that is claimed, as `TEXT`; the model is not asked")
	f := c.Flags()
	f.StringVarP(&file, "out", "o", "", "`FILE` for the statement, - for the standard output")
	f.StringVar(&from, "logits-from", "", "statement `FILE` whose logits are taken, where the circuit reveals logits")
	f.BoolVar(&force, "force", false, "replace the file if it is there")
	required(c, "out", "answer answer-file answer-tokens answer-tokens-file")
	return c
}

func (a *app) statement(ctx context.Context, q *question, file, from string, force bool) error {
	outputs, err := a.piped(false, path{"--out", file})
	if err != nil {
		return err
	}
	if err := apart(outputs, append(q.inputs(), path{"--logits-from", from})...); err != nil {
		return err
	}
	if err := console.Replaceable(names(outputs)...); err != nil {
		return err
	}
	if err := console.Writable(force, names(outputs)...); err != nil {
		return err
	}
	if err := q.read(ctx, a, nil); err != nil {
		return err
	}
	c := a.f.Smallest(q.positions())
	st := answering.Claim(c, q.promptTokens, q.wantTokens)
	if c.Generation.Reveal == circuit.Values {
		if from == "" {
			return console.Usagef("statements of this circuit show logits: --logits-from names a statement to take them from")
		}
		other, err := readStatement(a.f, from)
		if err != nil {
			return err
		}
		st.Logits = other.Logits
	}
	encoded, err := st.Hide(c).Encode(c)
	if err != nil {
		return console.Usagef("%w", err)
	}
	return a.write(ctx, force, out{name: file, data: encoded, mode: 0o644})
}

func readStatement(f *circuit.Family, name string) (*generation.Statement, error) {
	g := f.Longest().Generation
	data, err := readFile(name, format.MagicStatement, 1<<10+8*int64(g.Length)*int64(g.Vocab+1))
	if err != nil {
		return nil, console.Unusable(err)
	}
	st, _, err := generation.Decode(f, data)
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("%s: %w", name, err))
	}
	return st, nil
}
