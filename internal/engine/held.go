package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// held is a run of a backend for a proof about a circuit, with what the backend holds by the circuit's numbers.
type held struct {
	backend.Run
	tensors []backend.Tensor
	tables  [][]backend.Tensor
	data    func(circuit.ID) *integer.Tensor
}

// newHeld is a run for a proof about a circuit whose tensors data yields.
func newHeld(r backend.Run, c *circuit.Circuit, data func(circuit.ID) *integer.Tensor) *held {
	return &held{Run: r, tensors: make([]backend.Tensor, len(c.Tensors)), data: data}
}

// Tensor is a tensor of the circuit. It is handed over when it is first asked for: it may be computed then.
func (h *held) Tensor(id circuit.ID) backend.Tensor {
	if h.tensors[id] == nil {
		h.tensors[id] = h.Load(h.data(id))
	}
	return h.tensors[id]
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
	k       *Key
	weights []backend.Tensor // in the order in which all circuits have them
	rows    []backend.Row

	mu     sync.Mutex
	tables map[*member][][]backend.Tensor
}

// open begins a session with a key's weights.
func (k *Key) open(be backend.Backend) (*model, error) {
	s, err := be.Open()
	if err != nil {
		return nil, err
	}
	m := &model{Session: s, k: k, tables: map[*member][][]backend.Tensor{}}
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

// begin begins a run for a proof about a member whose tensors data yields. Weights that are the key's are there already.
func (m *model) begin(ctx context.Context, of *member, data func(circuit.ID) *integer.Tensor) *held {
	h := newHeld(m.Begin(ctx), of.c, data)
	for i, id := range protocol.WeightIDs(of.c) {
		if same(data(id), of.data.tensor(id)) {
			h.tensors[id] = m.weights[i]
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tables[of] == nil {
		m.tables[of] = loadTables(of.c, m.Load)
	}
	h.tables = m.tables[of]
	return h
}

// same says whether two tensors are the same memory.
func same(a, b *integer.Tensor) bool {
	if a.V != nil && b.V != nil {
		return &a.V[0] == &b.V[0]
	}
	return a.V == nil && b.V == nil && &a.Short[0] == &b.Short[0]
}
