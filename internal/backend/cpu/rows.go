package cpu

import (
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// cachedBases is how many prepared generator lists are kept: a proof has a few classes.
const cachedBases = 8

// baseCache keeps prepared generators, the last used in front.
type baseCache struct {
	sync.Mutex
	list []preparedBases
}

// preparedBases are bases with their own copy of the generators, to notice when the caller's memory was reused.
type preparedBases struct {
	gens  []group.Affine
	bases *group.SmallBases
}

// get returns bases that start with the generators.
func (c *baseCache) get(gens []group.Affine) *group.SmallBases {
	c.Lock()
	defer c.Unlock()
	i := slices.IndexFunc(c.list, func(p preparedBases) bool {
		return len(p.gens) >= len(gens) && slices.Equal(p.gens[:len(gens)], gens)
	})
	if i < 0 {
		own := slices.Clone(gens)
		c.list = append(c.list, preparedBases{own, group.NewSmallBases(own)})
		i = len(c.list) - 1
	}
	found := c.list[i]
	c.list = slices.Insert(slices.Delete(c.list, i, i+1), 0, found)
	c.list = c.list[:min(len(c.list), cachedBases)]
	return found.bases
}

// CommitRows prepares only as many generators as the rows need.
func (b *processor) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	if len(rows) == 0 {
		return nil
	}
	cells, blinds, width := make([][]int32, len(rows)), make([]field.Element, len(rows)), 0
	for i := range rows {
		cells[i], blinds[i] = rows[i].Cells, rows[i].Blind
		width = max(width, len(cells[i]))
	}
	h := group.H()
	return b.bases.get(gens[:width]).CommitRowsThreads(cells, blinds, &h, b.threads)
}

// MSM is the group's, on the backend's threads.
func (b *processor) MSM(points []group.Affine, scalars []field.Element) group.Affine {
	sum := group.MSMThreads(points, scalars, b.threads)
	return group.ToAffine(&sum)
}
