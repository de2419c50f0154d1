// Package meter counts and times what a prover asks of a backend: on the outside, call by call, so that it measures any backend and none has
// to count. Package cost predicts the same counts from the circuit.
package meter

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/zkllmc/zkllmc/internal/machine"
)

// Operation is everything of one kind that was asked for.
type Operation struct {
	Name  string `json:"name"`  // of the kind
	Unit  string `json:"unit"`  // what an item is: a cell, leaf, element, entry, point, product
	Calls int64  `json:"calls"` // of the backend's methods
	Items int64  `json:"items"` // how many

	Seconds float64 `json:"seconds"` // of the clock, of all calls; calls side by side count each

	CPU float64 `json:"cpu_seconds"` // of the processors, of all threads of the process during the calls, likewise

	// products of field elements, by the definition of the operation: a backend may get by with fewer
	Multiplications int64 `json:"multiplications"`
	Additions       int64 `json:"additions"` // sums of field elements, likewise
	Points          int64 `json:"points"`    // points times numbers, likewise

	In  int64 `json:"bytes_in"`  // bytes of the arguments' elements, copied or not
	Out int64 `json:"bytes_out"` // bytes of the results' elements
}

// add adds what another operation of the kind took.
func (o *Operation) add(more *Operation) {
	o.Calls += more.Calls
	o.Items += more.Items
	o.Seconds += more.Seconds
	o.CPU += more.CPU
	o.Multiplications += more.Multiplications
	o.Additions += more.Additions
	o.Points += more.Points
	o.In += more.In
	o.Out += more.Out
}

// Meter collects operations. It is safe for concurrent use; a nil one collects nothing.
type Meter struct {
	mu  sync.Mutex
	ops map[string]*Operation
}

// New returns a meter that has seen nothing.
func New() *Meter { return &Meter{ops: map[string]*Operation{}} }

// Operations lists what was asked for, the longest first.
func (m *Meter) Operations() (all []Operation) {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.ops {
		all = append(all, *o)
	}
	slices.SortFunc(all, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// Operation is what was asked for under a name.
func (m *Meter) Operation(name string) Operation {
	if m == nil {
		return Operation{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.ops[name]; o != nil {
		return *o
	}
	return Operation{}
}

// begin starts the clock of an operation that is described so far, and returns what ends it.
func (m *Meter) begin(o Operation) func() {
	if m == nil {
		return func() {}
	}
	since, cpu := time.Now(), machine.CPUSeconds()
	return func() {
		o.Seconds, o.CPU = time.Since(since).Seconds(), machine.CPUSeconds()-cpu
		m.mu.Lock()
		defer m.mu.Unlock()
		if sum := m.ops[o.Name]; sum != nil {
			sum.add(&o)
		} else {
			m.ops[o.Name] = &o
		}
	}
}
