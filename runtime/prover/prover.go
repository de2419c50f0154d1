// Package prover commits to models and proves inferences, for services that embed a generated prover. It is the front of the engine that
// the generated command line drives; circuits come from generated code, statements from the packages statement/function and
// statement/generation.
package prover

import (
	"context"
	"fmt"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Why a prover refuses an input.
var (
	ErrFalse     = engine.ErrFalse
	ErrUndefined = engine.ErrUndefined
)

// Refusal is the error (errors.As) of an input that was refused after the model saw it. Its text is the same for every input, for whoever
// may ask for proofs and sees more would learn cells of the model's tensors. Its method Detail is for the prover's own eyes.
type Refusal = engine.Refusal

// Options tell how to compute. The zero value computes on all processor cores.
type Options struct {
	Threads int               // at most as many; 0: all
	Phase   func(name string) // is told when a phase of long work begins; the last call has the empty name
	Backend backend.Backend   // what computes, from a package that has one; nil: the processor
}

// job returns what tells the engine how to compute, and the context of a job that takes no more threads.
func (o Options) job(ctx context.Context) (context.Context, engine.Options) {
	e := engine.Options{Backend: o.Backend, Phase: o.Phase}
	if e.Backend == nil {
		e.Backend = processor()
	}
	return parallel.With(ctx, parallel.New(o.Threads)), e
}

// processor is the same for all proofs: it keeps what it has prepared for the last ones.
var processor = sync.OnceValue(func() backend.Backend { return cpu.New() })

// Key is what a prover keeps: the weights, the blinders of their commitments and a secret that enters all later randomness. It is safe for
// concurrent use.
type Key struct{ k *engine.Key }

// Setup commits to the weights of a file that the compiler wrote for the family, and proves that each lies in its declared range. It
// returns the prover's key and the encoded verifying key, which was verified: see Prove, also on the context.
func Setup(ctx context.Context, f *circuit.Family, weights []byte, o Options) (*Key, []byte, error) {
	tensors, err := format.DecodeWeights(f, weights)
	if err != nil {
		return nil, nil, fmt.Errorf("weights: %w", err)
	}
	job, e := o.job(ctx)
	k, vk, err := engine.Setup(job, f, tensors, e)
	if err != nil {
		return nil, nil, err
	}
	if _, err := verifier.ReadKey(ctx, f, statement.Kind{Name: f.Shortest().StatementKind()}, vk); err != nil {
		return nil, nil, kept(ctx, "the verifying key", err)
	}
	return &Key{k}, vk, nil
}

// EncodeWeights makes the weights file of a family that no compiler made, from the cells of every weight tensor by name, in row-major
// order.
func EncodeWeights(f *circuit.Family, weights map[string][]int64) ([]byte, error) {
	tensors := map[circuit.ID]integer.Tensor{}
	for _, t := range f.Shortest().Weights() {
		tensors[t.ID] = integer.Tensor{Shape: t.Shape, V: weights[t.Name]}
	}
	return format.EncodeWeights(f, tensors)
}

// ReadKey decodes a prover key of a family.
func ReadKey(f *circuit.Family, data []byte) (*Key, error) {
	k, err := engine.ReadKey(f, data)
	if err != nil {
		return nil, err
	}
	return &Key{k}, nil
}

// Encode returns the key as the bytes of a prover key file. They are secret.
func (k *Key) Encode() []byte { return k.k.Encode() }

// ModelID identifies the circuits and the weights.
func (k *Key) ModelID() [32]byte { return k.k.ModelID() }

// Input is what one inference is about.
type Input struct {
	Statement statement.Statement
	Private   map[int][]int64 // the elements of private inputs, by the number of their port
}

func (in *Input) engine() *engine.Input {
	return &engine.Input{Statement: in.Statement, Private: in.Private}
}

// Prove proves a statement, about the shortest circuit of the family that it fits, and returns the encoded proof, which was verified: one
// that does not verify, because of a fault of the machine or of the key, would not hide the weights. It refuses what no verifier would
// accept: a false statement with ErrFalse. What else depends on the circuit, the encoded statement and private inputs, must be of the same
// one: of a generation Family.Smallest of the number of its tokens.
//
// It gives up with the context's error when that ends, as soon as the backend has computed what it was asked for last.
func (k *Key) Prove(ctx context.Context, in *Input, o Options) ([]byte, error) {
	job, e := o.job(ctx)
	proof, err := k.k.Prove(job, in.engine(), e)
	if err != nil {
		return nil, err
	}
	if err := k.k.Check(ctx, in.engine(), proof); err != nil {
		return nil, kept(ctx, "the proof", err)
	}
	return proof, nil
}

// kept is the error of what was made, but not verified: for whoever stopped it, that of the context.
func kept(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("prover: %s does not verify and is kept back: %w", what, err)
}

// Logits runs the integer program of a generation on tokens, private or not, and returns the logits after each, row by row.
func (k *Key) Logits(ctx context.Context, tokens []int64) ([]int64, error) {
	return k.k.Logits(ctx, tokens)
}

// Compute runs the integer program of a function on its inputs, the statement's and private ones by port, and sets what the statement
// says of every revealed output.
func (k *Key) Compute(ctx context.Context, st *function.Statement, private map[int][]int64) error {
	_, err := k.k.Compute(ctx, st, private)
	return err
}
