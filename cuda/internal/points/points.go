// Package points computes with points of the group on a device: commitments to rows of small integers, sums of scalar multiples, and the
// folding of generators. What a sum needs of a device's memory besides its operands it takes and gives back.
package points

import (
	"errors"
	"math/bits"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// Sizes of what kernels read and write (cuda/internal/kernels/curve.cuh).
const (
	affineBytes     = 64
	pointBytes      = 128
	coordinateBytes = 32
)

// threads is the size of blocks, and sumThreads that of blocks whose threads share a sum.
const (
	threads    = 128
	sumThreads = 64
)

// point is a point as kernels sum it up.
type point struct{ x, y, zz, zzz group.Coordinate }

// blocks is a grid for n threads, of which each may do several things.
func blocks(n int) device.Dim { return device.Dim{min(max(1, (n+threads-1)/threads), 1<<16)} }

// inversion is how many products the inverse of a coordinate takes.
const inversion = 380

// additions is how many products sums of a point and another one take, and doublings twice a point. Two products that are added up are reduced once, and are one and a half.
func additions(n int) int { return 19 * n / 2 }

func doublings(n int) int { return 17 * n / 2 }

// affineRun is how many points share an inversion, in a thread.
const affineRun = 8

// toAffine writes n sums as points.
func toAffine(s *device.Scratch, out, sums device.Pointer, n int) {
	s.Takes(n*(6+inversion/affineRun), 0, n*(pointBytes+affineBytes))
	s.Run("to_affine", device.Dim{max(1, (n+affineRun*threads-1)/(affineRun*threads))}, device.Dim{threads}, uint64(out), uint64(sums), uint64(n))
}

// Table has the multiples of generators that commitments are made of.
type Table struct {
	d            device.Work
	at           device.Pointer
	n            int // generators
	bits, places int
}

// TableBytes is how much memory a table takes. Digits have 1 to 8 bits: of the fewer, the smaller is the table, and the more additions a cell
// takes.
func TableBytes(generators, bits int) int64 {
	return int64(generators) * int64(places(bits)) * affineBytes << (bits - 1)
}

// places is how many digits a cell of 32 bits has.
func places(bits int) int { return (32 + bits - 1) / bits }

// tableRun is how many generators' multiples are made at a time: their scratch is 3/2 of their part of one place of the table.
const tableRun = 1 << 13

// NewTable makes the table of generators that lie on the device, for digits of some bits.
func NewTable(d device.Work, generators device.Pointer, n, bits int) (*Table, error) {
	if bits < 1 || bits > 8 {
		panic("points: digits of more than 8 bits, or of none")
	}
	at, err := d.Alloc(TableBytes(n, bits))
	if err != nil {
		return nil, err
	}
	t := &Table{d, at, n, bits, places(bits)}
	s := &device.Scratch{Work: d}
	room := s.Take(3*min(n, tableRun)<<(bits-1), coordinateBytes)
	for first := 0; first < n; first += tableRun {
		count := min(tableRun, n-first)
		s.Takes(additions(t.places*count<<(bits-1))+6*t.places*count<<(bits-1), 0, t.places*count<<(bits-1)*(affineBytes+3*coordinateBytes))
		s.Run("multiples", blocks(count), device.Dim{threads}, uint64(at), uint64(room), uint64(generators), uint64(n), uint64(first), uint64(count), uint64(bits), uint64(t.places))
	}
	if err := s.End(); err != nil {
		return nil, errors.Join(err, d.Free(at))
	}
	return t, nil
}

// Bytes is how much memory the table takes.
func (t *Table) Bytes() int64 { return TableBytes(t.n, t.bits) }

// Free gives the table's memory back.
func (t *Table) Free() error { return t.d.Free(t.at) }

// partCells is how many cells of a row a block sums up at least; it takes parts of rows where there are few.
const (
	partCells = 1 << 8
	fullGrid  = 1 << 11
)

// Commit returns Σ_j cells[i·width + j]·G_j for every row i of int32 that lies on the device. Rows are at most as wide as there are generators.
func (t *Table) Commit(cells device.Pointer, rows, width int) ([]group.Affine, error) {
	if width > t.n {
		panic("points: rows wider than there are generators")
	}
	if rows == 0 {
		return nil, nil
	}
	parts := max(1, min(width/partCells, fullGrid/rows))
	s := &device.Scratch{Work: t.d}
	sums, all, out := s.Take(rows*parts, pointBytes), s.Take(rows, pointBytes), s.Take(rows, affineBytes)
	s.Takes(additions(rows*width*t.places/2), 0, rows*width*(4+t.places/2*affineBytes)) // half of the digits are zero
	s.Run("commit_rows", device.Dim{rows * parts}, device.Dim{sumThreads},
		uint64(sums), uint64(t.at), uint64(t.n), uint64(t.bits), uint64(t.places), uint64(cells), uint64(width), uint64(parts))
	s.Run("add_parts", blocks(rows), device.Dim{threads}, uint64(all), uint64(sums), uint64(rows), uint64(parts))
	toAffine(s, out, all, rows)
	commitments := make([]group.Affine, rows)
	s.Get(device.Bytes(commitments), out)
	return commitments, s.End()
}

// Sums are several sums of points times scalars, which a device makes at once.
type Sums struct {
	n, size        int // scalars, and those of each sum
	width, windows int // bits of a window, and how many of them a sum has
}

// NewSums are those of n scalars, size each.
func NewSums(n, size int) Sums {
	width := window(size)
	return Sums{n, size, width, (field.Bits + width) / width}
}

// Bytes is how much a device has to say of them.
func (m Sums) Bytes() int { return m.n / m.size * m.windows * pointBytes }

// Run writes to out what Join makes the sums of. Scalar i belongs to point (i + shift) mod count.
func (m Sums) Run(s *device.Scratch, out, points device.Pointer, count, shift int, scalars device.Pointer) {
	windows := m.n / m.size * m.windows
	weights := 1 << (m.width - 1)
	buckets := windows * weights
	next, line, sums := s.Take(buckets, 4), s.Take(m.n*m.windows, 4), s.Take(buckets, pointBytes)
	digits := []uint64{uint64(scalars), uint64(m.n), uint64(m.size), uint64(m.width), uint64(m.windows)}
	s.Run("clear_words", blocks(buckets), device.Dim{threads}, uint64(next), uint64(buckets))
	s.Takes(0, 0, m.n*coordinateBytes*2)
	s.Run("msm_count", blocks(m.n), device.Dim{threads}, append([]uint64{uint64(next)}, digits...)...)
	s.Run("sum_before", device.Dim{1}, device.Dim{256}, uint64(next), uint64(buckets))
	s.Takes(0, 0, m.n*(coordinateBytes+4*m.windows))
	s.Run("msm_line", blocks(m.n), device.Dim{threads}, append(append([]uint64{uint64(line), uint64(next)}, digits...), uint64(count), uint64(shift))...)
	s.Takes(additions(m.windows*m.n), 0, m.windows*m.n*affineBytes)
	s.Run("msm_buckets", blocks(buckets), device.Dim{threads}, uint64(sums), uint64(line), uint64(next), uint64(points), uint64(buckets))
	s.Takes(additions(3*buckets), 0, buckets*pointBytes)
	s.Run("msm_windows", device.Dim{windows}, device.Dim{sumThreads}, uint64(out), uint64(sums), uint64(weights))
}

// Join joins the windows of every sum, as Run wrote them.
func (m Sums) Join(said []byte) []group.Affine {
	host := make([]point, len(said)/pointBytes)
	copy(device.Bytes(host), said)
	out := make([]group.Affine, m.n/m.size)
	for i := range out {
		var total group.Jac
		total.FromAffine(&group.Affine{})
		for w := m.windows - 1; w >= 0; w-- {
			for range m.width {
				total.DoubleAssign()
			}
			sum := host[i*m.windows+w].jacobian()
			total.AddAssign(&sum)
		}
		out[i] = group.ToAffine(&total)
	}
	return out
}

// MSM returns, for every size of n scalars, Σ scalars[i]·points[i], the same points for all.
func MSM(d device.Work, points, scalars device.Pointer, n, size int) ([]group.Affine, error) {
	if n == 0 {
		return nil, nil
	}
	m, s := NewSums(n, size), &device.Scratch{Work: d}
	out, said := s.Take(m.Bytes(), 1), make([]byte, m.Bytes())
	m.Run(s, out, points, size, 0, scalars)
	s.Get(said, out)
	if err := s.End(); err != nil {
		return nil, err
	}
	return m.Join(said), nil
}

// window is how many bits the windows of n scalars have: few points do not pay for many buckets.
func window(n int) int { return min(max(2, bits.Len(uint(n))-4), 12) }

// jacobian is the point in other coordinates: with the denominator zz, x/zz is x·zz/zz² and y/zzz is y·zzz/zz³.
func (p *point) jacobian() (j group.Jac) {
	j.X.Mul(&p.x, &p.zz)
	j.Y.Mul(&p.y, &p.zzz)
	j.Z = p.zz
	if p.zz.IsZero() {
		j.FromAffine(&group.Affine{})
	}
	return j
}

// Fold sets lo[i] += x·hi[i] for n points of each that lie on the device.
func Fold(d device.Work, lo, hi device.Pointer, n int, x *field.Element) error {
	digits, beta := units(x), group.Endomorphism()
	s := &device.Scratch{Work: d}
	sums := s.Take(n, pointBytes)
	s.Takes(doublings(n*len(digits))+additions(n*len(digits)/2), 0, n*(2*affineBytes+pointBytes))
	s.Run("fold_points", blocks(n), device.Dim{threads},
		uint64(sums), uint64(lo), uint64(hi), uint64(n), uint64(s.Put(device.Bytes(digits))), uint64(len(digits)), uint64(s.Put(device.Bytes([]group.Coordinate{beta}))))
	toAffine(s, lo, sums, n)
	return s.End()
}
