// Package kit makes what tests of whole proofs begin with, for circuits that they build by hand: weights that follow from a seed, and
// inputs of which the statement is true.
package kit

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Weights draws the weights of a circuit, uniformly within their declared ranges. Stored proofs and fuzzers' corpora rest on what a seed
// gives.
func Weights(c *circuit.Circuit, seed1, seed2 uint64) map[circuit.ID]integer.Tensor {
	rnd := rand.New(rand.NewPCG(seed1, seed2))
	out := map[circuit.ID]integer.Tensor{}
	for _, id := range protocol.WeightIDs(c) {
		w := c.Tensor(id)
		v := make([]int64, circuit.Size(w.Shape))
		for i := range v {
			v[i] = w.Lo + rnd.Int64N(w.Hi-w.Lo+1)
		}
		out[id] = integer.Tensor{Shape: w.Shape, V: v}
	}
	return out
}

// Kind is the kind of a circuit's statements.
func Kind(c *circuit.Circuit) statement.Kind { return engine.Kind(c) }

// Claim sets what a statement, all of whose tokens are there, says of the model: the logits, or with an arg-max the next token.
func Claim(c *circuit.Circuit, k *engine.Key, st *generation.Statement) error {
	logits, err := k.Logits(context.Background(), st.Tokens)
	if err != nil {
		return err
	}
	vocab := c.Generation.Vocab
	if c.Generation.Reveal == circuit.Values {
		st.Logits = logits[(st.Prompt-1)*vocab:]
	} else {
		st.Next = statement.Argmax(logits[len(logits)-vocab:])
	}
	return nil
}

// Answered lets the model continue a prompt greedily by n tokens and returns what is to be proved. With an arg-max the token after them is
// claimed too.
func Answered(c *circuit.Circuit, k *engine.Key, prompt []int64, n int) (*engine.Input, error) {
	st := &generation.Statement{Tokens: slices.Clone(prompt), Prompt: len(prompt), Next: generation.Unclaimed}
	d, err := k.Decode(len(prompt), nil)
	if err != nil {
		return nil, err
	}
	for next := prompt; len(st.Tokens) < len(prompt)+n; next = st.Tokens[len(st.Tokens)-1:] {
		if err := d.Next(context.Background(), next...); err != nil {
			return nil, err
		}
		st.Tokens = append(st.Tokens, statement.Argmax(d.Logits()[len(d.Logits())-c.Generation.Vocab:]))
	}
	if err := Claim(c, k, st); err != nil {
		return nil, err
	}
	return &engine.Input{Statement: st.Hide(c), Private: generation.PrivateInput(c, st.Tokens)}, nil
}

// Computed runs a function on the elements of its inputs, by the number of their port, and returns what is to be proved.
func Computed(c *circuit.Circuit, k *engine.Key, inputs map[int][]int64) (*engine.Input, error) {
	st, private := &function.Statement{Ports: make([][]int64, len(c.Ports))}, map[int][]int64{}
	for i, elements := range inputs {
		if c.Ports[i].Public() {
			st.Ports[i] = elements
		} else {
			private[i] = elements
		}
	}
	_, err := k.Compute(context.Background(), st, private)
	return &engine.Input{Statement: st, Private: private}, err
}

// Begin begins a run of a session of its own.
func Begin(ctx context.Context, be backend.Backend) backend.Run {
	s, err := be.Open()
	if err != nil {
		panic(err)
	}
	return s.Begin(ctx)
}

// Held is a run of a backend for a proof about a circuit.
type Held struct {
	backend.Run
	tensors map[circuit.ID]backend.Tensor
	tables  [][]backend.Tensor
	data    func(circuit.ID) *integer.Tensor
}

// Hold begins a run for a proof about a circuit whose tensors data yields.
func Hold(be backend.Backend, c *circuit.Circuit, data func(circuit.ID) *integer.Tensor) *Held {
	h := &Held{Run: Begin(context.Background(), be), tensors: map[circuit.ID]backend.Tensor{}, data: data}
	for _, t := range c.Tables {
		var cols []backend.Tensor
		for _, col := range t.Cols {
			cols = append(cols, h.Load(&integer.Tensor{Shape: []int{len(col)}, V: col}))
		}
		h.tables = append(h.tables, cols)
	}
	return h
}

// Tensor is a tensor of the circuit.
func (h *Held) Tensor(id circuit.ID) backend.Tensor {
	if h.tensors[id] == nil {
		h.tensors[id] = backend.Hand(h.Load, h.data(id))
	}
	return h.tensors[id]
}

// Table are the columns of a table.
func (h *Held) Table(number int) []backend.Tensor { return h.tables[number] }

// Commit lays tensors out in rows and commits to them with the given blinders.
func (h *Held) Commit(l *commit.Layout, c *circuit.Circuit, blinds []field.Element) (commit.Set, error) {
	rows, err := l.Lay(c, h.Tensor)
	if err != nil {
		return commit.Set{}, err
	}
	points := h.CommitRows(group.Row(1<<l.Bits), rows)
	return commit.Set{Layout: l, Rows: rows, Points: group.Blind(nil, points, blinds), Blinds: blinds}, h.Err()
}

// Wrapped is a backend whose runs are changed.
type Wrapped struct {
	backend.Backend
	Run func(backend.Run) backend.Run
}

// Open begins a session whose runs are changed.
func (w Wrapped) Open() (backend.Session, error) {
	s, err := w.Backend.Open()
	return wrappedSession{s, w.Run}, err
}

type wrappedSession struct {
	backend.Session
	run func(backend.Run) backend.Run
}

func (s wrappedSession) Begin(ctx context.Context) backend.Run { return s.run(s.Session.Begin(ctx)) }

// Cells are the rows in which a layout puts tensors, written out.
func Cells(l *commit.Layout, c *circuit.Circuit, data func(circuit.ID) *integer.Tensor) ([][]int32, error) {
	rows, err := l.Lay(c, func(id circuit.ID) backend.Tensor { return data(id) })
	if err != nil {
		return nil, err
	}
	return commit.Cells(rows)
}

// Rewritten changes rows that are written out and replaces each by what it is then, for hooks of the engine.
func Rewritten(f func(l *commit.Layout, cells [][]int32)) func(*commit.Layout, []backend.Row) {
	if f == nil {
		return nil
	}
	return func(l *commit.Layout, rows []backend.Row) {
		cells, err := commit.Cells(rows)
		if err != nil {
			panic(err)
		}
		f(l, cells)
		for i, row := range cells {
			t := &integer.Tensor{Shape: []int{len(row)}, V: make([]int64, len(row))}
			for j, x := range row {
				t.V[j] = int64(x)
			}
			if rows[i] = nil; len(row) > 0 {
				rows[i] = backend.Row{{T: t, Shape: t.Shape}}
			}
		}
	}
}
