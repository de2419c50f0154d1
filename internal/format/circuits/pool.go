package circuits

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// pool holds the tables of several circuits, each once. Tables of one name are alike as a rule: those of functions are the same at every
// length.
type pool struct {
	tables []*circuit.Table
	named  map[string][]int
}

func newPool() *pool { return &pool{named: map[string][]int{}} }

// index returns the place of a table, -1 if it is not there.
func (p *pool) index(t *circuit.Table) int {
	for _, i := range p.named[t.Name] {
		if slices.EqualFunc(p.tables[i].Cols, t.Cols, slices.Equal) {
			return i
		}
	}
	return -1
}

func (p *pool) add(t *circuit.Table) {
	if p.index(t) < 0 {
		p.named[t.Name] = append(p.named[t.Name], len(p.tables))
		p.tables = append(p.tables, t)
	}
}
