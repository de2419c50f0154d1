package prover

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// readKey reads a prover key.
func readKey(f *circuit.Family, name string, file stored) (*engine.Key, error) {
	defer file.Close()
	k, err := engine.OpenKey(f, file, file.size)
	if errors.Is(err, format.ErrDamaged) {
		return nil, console.Unusable(fmt.Errorf("%s: %w; take a copy of it that is not, for a new setup makes another model ID", name, err))
	}
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("%s: %w; run 'prover setup' with this prover to make its keys", name, err))
	}
	return k, nil
}

// readKey is readKey as a phase, left behind where the context ends.
func (a *app) readKey(ctx context.Context, name string, open *sealed.OpenFlags) (*engine.Key, error) {
	file, err := openSealed(ctx, open.Opener(a.stdin, a.ask, a.warn), name, format.MagicProverKey, int64(engine.KeySize(a.f))+slack)
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("prover key: %w", err))
	}
	a.progress.phase("read key")
	return console.Interruptible(ctx, func() (*engine.Key, error) { return readKey(a.f, name, file) })
}

// verifyingKeyBeside is where setup puts the verifying key of a prover key.
func verifyingKeyBeside(keyFile string) string {
	return filepath.Join(filepath.Dir(keyFile), verifyingKeyFile)
}

// readVerifyingKey reads the verifying key that belongs to a prover key; the empty name means model.vk beside it.
func readVerifyingKey(ctx context.Context, k *engine.Key, keyFile, name string) (*verifier.Key, error) {
	c := k.Family().Shortest()
	if name == "" {
		name = verifyingKeyBeside(keyFile)
	}
	data, err := readFile(name, format.MagicVerifyingKey, slack+32*int64(protocol.WeightLayout(c).Rows))
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("verifying key, with which the proof is checked: %w; --vk names it", err))
	}
	vk, err := verifier.ReadPinnedKey(ctx, k.Family(), engine.Kind(c), data, k.ModelID())
	if errors.Is(err, verifier.ErrPinned) { // it speaks of an ID that somebody pinned, here nobody did
		return nil, console.Unusable(fmt.Errorf("%s and %s are of different setups; take the model.vk that setup wrote together with this prover key", name, keyFile))
	}
	if err != nil {
		return nil, console.Unusable(fmt.Errorf("%s: %w; it must come from the same setup as %s", name, err, keyFile))
	}
	return vk, nil
}

// begin begins a text, and notes where each of its positions takes a whole pass.
func (a *app) begin(ctx context.Context, k *engine.Key, q *question) (*engine.Decoding, error) {
	d, err := console.Interruptible(ctx, func() (*engine.Decoding, error) { return k.Decode(q.positions(), a.processor) })
	if err == nil && d.Whole() != nil {
		fmt.Fprintf(a.stderr, "note      decoding is slow, one pass over all positions per token: %v\n", d.Whole())
	}
	return d, err
}

// decode lets the model answer. It is left behind where the context ends, and may tell a token more.
func (a *app) decode(ctx context.Context, d *engine.Decoding, q *question, said func(answer []int64)) ([]int64, error) {
	return console.Interruptible(ctx, func() ([]int64, error) { return answering.Continue(ctx, d, q.promptTokens, q.limits(), said) })
}

// confirm checks that the model gives the answer that is to be proved.
func (a *app) confirm(ctx context.Context, d *engine.Decoding, q *question) error {
	right, err := console.Interruptible(ctx, func() (int, error) {
		_, right, err := answering.Confirm(ctx, d, q.promptTokens, q.wantTokens)
		return right, err
	})
	if err != nil || right == len(q.wantTokens) {
		return err
	}
	best, id := answering.Best(d, len(q.promptTokens)-1+right), q.wantTokens[right]
	return &console.Failure{Code: console.Rejected, Err: fmt.Errorf("the model does not answer %s: after %s it continues with %s, not with %s; nothing is proved",
		q.quoted(q.wantTokens), q.context(q.wantTokens[:right]), q.one(best), q.one(id))}
}

// limits say where an answer ends.
func (q *question) limits() answering.Limits {
	l := answering.Limits{Most: q.max}
	if end, ok := q.end(); ok {
		l.End = &end
	}
	return l
}
