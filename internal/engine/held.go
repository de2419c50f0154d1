package engine

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// held is a run of a backend for a proof about a circuit, with what the backend holds by the circuit's numbers.
type held struct {
	backend.Run
	a       *witness.Assignment
	here    bool // the session holds the assignment
	tensors []backend.Tensor
	tables  [][]backend.Tensor
}

// Tensor is a tensor of the circuit. A virtual one that the witness did without is computed when it is first asked for.
func (h *held) Tensor(id circuit.ID) backend.Tensor {
	switch {
	case h.tensors[id] != nil:
	case h.here:
		lower, upper := h.a.Words(id)
		if h.tensors[id] = lower; upper != nil {
			h.tensors[id] = backend.Wide{Lower: lower, Upper: upper}
		}
	default:
		h.tensors[id] = backend.Hand(h.Load, h.a.Tensor(id))
	}
	return h.tensors[id]
}

// load hands over what a witness has, but for tensors that are there already.
func (h *held) load() {
	for i := range h.tensors {
		if id := circuit.ID(i); h.tensors[i] == nil && h.a.Known(id) != nil {
			h.Tensor(id)
		}
	}
}

// Table are the columns of a table.
func (h *held) Table(number int) []backend.Tensor { return h.tables[number] }

// loadTables hands the columns of a circuit's tables over.
func loadTables(c *circuit.Circuit, load func(*integer.Tensor) backend.Tensor) [][]backend.Tensor {
	tables := make([][]backend.Tensor, len(c.Tables))
	for i := range c.Tables {
		for _, col := range c.Tables[i].Cols {
			tables[i] = append(tables[i], load(&integer.Tensor{Shape: []int{len(col)}, V: col}))
		}
	}
	return tables
}

// model is what a session holds of a key: its weights, which are handed over once for all proofs, and the tables of circuits that were
// proved.
type model struct {
	backend.Session
	weights []backend.Tensor // in the order in which all circuits have them
	rows    []backend.Row

	mu     sync.Mutex
	tables map[*member][][]backend.Tensor

	proofs int         // in progress
	last   bool        // the session ends with them
	failed atomic.Bool // what the session holds means nothing
}

// sessions keeps the session of the backend that proved last, for the next proof. It refers to no key: what keys' sessions hold is freed
// when nobody has the key any more.
type sessions struct {
	mu      sync.Mutex
	backend backend.Backend
	kept    *model
}

// take returns a session of a backend with a key's weights. It is to be given back.
func (s *sessions) take(k *Key, be backend.Backend) (*model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := reflect.TypeOf(be).Comparable()
	if keep && s.kept != nil && s.backend == be {
		s.kept.proofs++
		return s.kept, nil
	}
	if keep && s.kept != nil && s.kept.proofs == 0 {
		if err := s.kept.Close(); err != nil {
			return nil, err
		}
		s.kept = nil
	}
	m, err := k.open(be)
	if err != nil {
		return nil, err
	}
	if m.proofs = 1; keep && s.kept == nil {
		s.backend, s.kept = be, m
	} else {
		m.last = true
	}
	return m, nil
}

// give gives a session back. After a failure of the backend the next proof gets another one.
func (s *sessions) give(m *model, failed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.proofs--; failed {
		m.last = true
		m.failed.Store(true)
		if s.kept == m {
			s.kept = nil
		}
	}
	if m.last && m.proofs == 0 {
		return m.Close()
	}
	return nil
}

// close ends the session that is kept.
func (s *sessions) close() {
	if s.kept != nil {
		_ = s.kept.Close()
	}
}

// open begins a session with a key's weights.
func (k *Key) open(be backend.Backend) (*model, error) {
	s, err := be.Open()
	if err != nil {
		return nil, err
	}
	m := &model{Session: s, tables: map[*member][][]backend.Tensor{}}
	c := k.f.Shortest()
	ids := protocol.WeightIDs(c)
	for _, id := range ids {
		m.weights = append(m.weights, s.Load(k.members[0].data.tensor(id)))
	}
	m.rows, err = protocol.WeightLayout(c).Lay(c, func(id circuit.ID) backend.Tensor { return m.weights[slices.Index(ids, id)] })
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return m, nil
}

// begin begins a run for a proof about a member with a witness, which the session holds or not. Weights that are the key's are there already.
func (m *model) begin(ctx context.Context, of *member, a *witness.Assignment, here bool) *held {
	h := &held{Run: m.Begin(ctx), a: a, here: here, tensors: make([]backend.Tensor, len(of.c.Tensors)), tables: m.columns(of)}
	for i, id := range protocol.WeightIDs(of.c) {
		if !here && same(a.Tensor(id), of.data.tensor(id)) {
			h.tensors[id] = m.weights[i]
		}
	}
	h.load()
	return h
}

// columns are those of the tables of a member.
func (m *model) columns(of *member) [][]backend.Tensor {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tables[of] == nil {
		m.tables[of] = loadTables(of.c, m.Load)
	}
	return m.tables[of]
}

// place is where the session computes a witness of a member; this process' memory if there is none.
func (m *model) place(of *member) witness.Place {
	if m == nil {
		return witness.Here()
	}
	weights, tables := map[circuit.ID]backend.Tensor{}, m.columns(of)
	for i, id := range protocol.WeightIDs(of.c) {
		weights[id] = m.weights[i]
	}
	return witness.Place{
		Program: m.Program(),
		Weight:  func(id circuit.ID) backend.Tensor { return weights[id] },
		Table:   func(number int) []backend.Tensor { return tables[number] },
	}
}

// alone is a run for a proof about a circuit of which the session holds nothing but the witness.
func alone(r backend.Run, c *circuit.Circuit, a *witness.Assignment) *held {
	h := &held{Run: r, a: a, here: true, tensors: make([]backend.Tensor, len(c.Tensors)), tables: loadTables(c, r.Load)}
	h.load()
	return h
}

// same says whether two tensors are the same memory.
func same(a, b *integer.Tensor) bool {
	switch {
	case a.V != nil && b.V != nil:
		return &a.V[0] == &b.V[0]
	case a.Short != nil && b.Short != nil:
		return &a.Short[0] == &b.Short[0]
	}
	return false
}
