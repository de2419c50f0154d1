package cpu

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// How many cells of rows are laid out at a time: by whoever commits to them, and by one task of those that fold them.
const (
	committedAtOnce = 1 << 24
	foldedAtOnce    = 1 << 21
)

// lay writes rows out, of which the first has the given number, to memory that is used again. They end with their last boxes.
func lay(slab *[]int32, rows []backend.Row, first, width int) ([][]int32, error) {
	if cap(*slab) < len(rows)*width {
		*slab = make([]int32, 0, len(rows)*width)
	}
	out := make([][]int32, len(rows))
	for i, row := range rows {
		out[i] = (*slab)[i*width : i*width : (i+1)*width]
		for _, b := range row {
			var err error
			if out[i], err = ints(b.T).Lay(out[i], b.From, b.Shape, b.Column); err != nil {
				return nil, fmt.Errorf("row %d: %w", first+i, err)
			}
		}
	}
	return out, nil
}

// CommitRows lays out some rows at a time.
func (r *run) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	out, slab := make([]group.Affine, 0, len(rows)), []int32(nil)
	for some := range slices.Chunk(rows, max(1, committedAtOnce/max(1, len(gens)))) {
		cells, err := lay(&slab, some, len(out), len(gens))
		if r.err == nil {
			r.err = err
		}
		if r.Err() != nil {
			return make([]group.Affine, len(rows))
		}
		out = append(out, group.CommitRows(r.Pool, gens, cells)...)
	}
	return out
}

// MSM is the group's, on the backend's threads.
func (r *run) MSM(bases backend.Bases, scalars []field.Element) group.Affine {
	points := bases[0].Points
	if len(bases) > 1 || bases[0].At > 0 || len(points) < len(scalars) {
		points = generators(bases, len(scalars))
	}
	sum := group.MSMOn(r.Pool, points[:len(scalars)], scalars)
	return group.ToAffine(&sum)
}
