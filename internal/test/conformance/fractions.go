package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Block draws a block at the offset: cols columns of bits bits, multiplicities if mult. Its tensors are not loaded yet.
func (s *Source) Block(offset int, shape []int, cols, bits int, mult bool) backend.Block {
	size := 1
	for _, d := range shape {
		size *= d
	}
	b := backend.Block{Offset: offset, Shape: shape, Gamma: s.Elements(cols), ID: s.Element(), Beta: s.Element()}
	for range cols {
		b.Cols = append(b.Cols, &integer.Tensor{Shape: shape, V: s.Ints(size, bits)})
	}
	if mult {
		b.Mult = &integer.Tensor{Shape: shape, V: s.Ints(size, 20)}
	}
	return b
}

// Loaded are blocks whose tensors a run holds. Columns of some blocks have 16 bits, if they fit, of others every other one, of others none.
func Loaded(r backend.Run, blocks []backend.Block) []backend.Block {
	out := slices.Clone(blocks)
	for i := range out {
		b := &out[i]
		b.Cols = slices.Clone(b.Cols)
		for k, col := range b.Cols {
			own := *col.(*integer.Tensor)
			if i%3 == 0 || i%3 == 1 && k%2 == 0 {
				own.Shorten()
			}
			b.Cols[k] = r.Load(&own)
		}
		if b.Mult != nil {
			b.Mult = r.Load(b.Mult.(*integer.Tensor))
		}
		for k := range blocks {
			if b.Lines == &blocks[k] {
				b.Lines = &out[k]
			}
		}
	}
	return out
}

// column is column i of a block that is not loaded.
func column(b *backend.Block, i int) []int64 { return b.Cols[i].(*integer.Tensor).V }

// paddedSize is the number of leaves that a block takes up.
func paddedSize(shape []int) int {
	size := 1
	for _, d := range shape {
		size <<= log2(d)
	}
	return size
}

// layout places blocks of the shapes one behind the other, kinds going through columns, value sizes and multiplicities.
func (s *Source) layout(shapes [][]int) []backend.Block {
	var out []backend.Block
	offset := 0
	for i, shape := range shapes {
		size := paddedSize(shape)
		offset = (offset + size - 1) / size * size
		out = append(out, s.Block(offset, shape, i%4, []int{16, 1, 62}[i%3], i%3 == 1))
		offset += size
	}
	return out
}

// lookups places a lookup of 3×200 cells in a table that counts up, but for its last lines, and the table. Most cells are lines that the
// first column tells, one in odd is not. Those of the second row, or of all, are the same line.
func (s *Source) lookups(cols int, odd int, all bool) []backend.Block {
	const lines, cells = 100, 600
	table := s.Block(1024, []int{lines}, cols, 20, true)
	cell := s.Block(0, []int{3, 200}, cols, 20, false)
	for k := range lines - 3 {
		column(&table, 0)[k] = int64(k) - 40
	}
	for k := range cells {
		line := s.Intn(lines)
		if all || k/200 == 1 {
			line = 7
		}
		for i := range cols {
			column(&cell, i)[k] = column(&table, i)[line]
		}
		if !all && s.Intn(odd) == 0 {
			column(&cell, s.Intn(cols))[k] += int64(s.Intn(3)) - 1
		}
	}
	cell.Gamma, cell.ID, cell.Beta = table.Gamma, table.ID, table.Beta
	blocks := []backend.Block{cell, table}
	blocks[0].Lines = &blocks[1]
	return blocks
}

// integers places lookups of one column and of two, those that Loaded keeps in 16 bits among them, of whole tiles of 1024 leaves, of rows
// with padding, between chunks of 64 leaves and inside of them, and two to a tile with the same factors or with others. Many cells are the least and the greatest integers. One lookup
// has the same column twice.
func (s *Source) integers() []backend.Block {
	var out []backend.Block
	for _, place := range []struct {
		offset int
		shape  []int
		cols   int
	}{
		{0, []int{2048}, 1}, {2048, []int{8, 192}, 1}, {6144, []int{1024}, 1}, {4096, []int{512}, 1}, {4608, []int{512}, 1}, {7168, []int{40}, 2},
		{8192, []int{2048}, 2}, {5632, []int{512}, 1}, {7232, []int{64}, 2}, {5120, []int{512}, 2}, {7296, []int{32}, 1}, {7328, []int{32}, 2},
		{10240, []int{512}, 2}, {7360, []int{32}, 1}, {7424, []int{64}, 2}, {10752, []int{512}, 2}, {7552, []int{128}, 1}, {7680, []int{128}, 2},
		{11264, []int{4, 192}, 2},
		{12288, []int{7, 100}, 1}, {13312, []int{13, 20}, 2}, {13824, []int{13, 20}, 2}, {14336, []int{3, 5, 3}, 1}, {14464, []int{12}, 1},
		{14848, []int{7, 40}, 2}, {15360, []int{9, 33}, 1},
	} {
		b := s.Block(place.offset, place.shape, place.cols, 15, false)
		for c := range place.cols {
			for i := range column(&b, c) {
				if edge := s.Intn(5); edge < 2 {
					column(&b, c)[i] = []int64{-1 << 15, 1<<15 - 1}[edge]
				}
			}
		}
		out = append(out, b)
	}
	out[4].Gamma, out[15].Gamma = out[3].Gamma, out[12].Gamma
	out[15].Cols[1] = out[15].Cols[0]
	return out
}

func fractions(t *testing.T, s *Source, ref, cand backend.Run) {
	for cols := 1; cols <= 3; cols++ {
		for _, odd := range []int{1000, 40, 2} {
			t.Run(fmt.Sprintf("lookups of %d columns, one in %d wrong", cols, odd), func(t *testing.T) {
				for _, all := range []bool{false, true} {
					blocks := s.lookups(cols, odd, all)
					compareTrees(t, s, 11, ref.Fractions(11, Loaded(ref, blocks)), cand.Fractions(11, Loaded(cand, blocks)), nil)
					compareTrees(t, s, 11, ref.Fractions(11, Loaded(ref, blocks)), cand.Fractions(11, Loaded(cand, blocks)), s.Edgy)
					checkTree(t, s, 11, blocks, cand.Fractions(11, Loaded(cand, blocks)))
				}
			})
		}
	}
	t.Run("a table that does not count", func(t *testing.T) {
		blocks := []backend.Block{s.Block(0, []int{256}, 1, 16, false), s.Block(256, []int{100}, 1, 16, true)}
		blocks[0].Gamma, blocks[0].ID, blocks[0].Beta = blocks[1].Gamma, blocks[1].ID, blocks[1].Beta
		blocks[0].Lines = &blocks[1]
		compareTrees(t, s, 9, ref.Fractions(9, Loaded(ref, blocks)), cand.Fractions(9, Loaded(cand, blocks)), nil)
	})
	t.Run("numerators 1", func(t *testing.T) {
		blocks := []backend.Block{s.Block(0, []int{1024}, 1, 16, false), s.Block(1024, []int{32}, 2, 16, false), s.Block(1056, []int{32}, 1, 16, false)}
		for _, draw := range []func(int) []field.Element{nil, s.Edgy, s.Edgy} {
			compareTrees(t, s, 11, ref.Fractions(11, Loaded(ref, blocks)), cand.Fractions(11, Loaded(cand, blocks)), draw)
		}
		checkTree(t, s, 11, blocks, cand.Fractions(11, Loaded(cand, blocks)))
	})
	t.Run("integers of 16 bits", func(t *testing.T) {
		blocks := s.integers()
		for _, draw := range []func(int) []field.Element{nil, s.Edgy} {
			compareTrees(t, s, 14, ref.Fractions(14, Loaded(ref, blocks)), cand.Fractions(14, Loaded(cand, blocks)), draw)
		}
		checkTree(t, s, 14, blocks, cand.Fractions(14, Loaded(cand, blocks)))
	})
	for _, c := range []struct {
		n      int
		shapes [][]int
	}{
		{1, nil},
		{1, [][]int{{1}}},
		{1, [][]int{{2}}},
		{2, [][]int{{1}, {}, {2}}},
		{3, nil},
		{3, [][]int{{3}}},
		{4, [][]int{{8}}},
		{5, [][]int{{32}}},
		{5, [][]int{{4, 4}, {2, 3}, {1}}},
		{8, [][]int{{1}}},
		{9, [][]int{{256}, {16, 16}}},
		{9, [][]int{{7, 9}, {5}, {5}, {3}, {2}, {1}, {1}}},
		{10, [][]int{{3, 5, 7}, {33}}},
		{13, [][]int{{2048}, {1024}, {700}, {30, 17}, {9}}},
		{14, [][]int{{3, 1025}}},
		{16, [][]int{{100, 60}, {64, 64}, {4096}, {511}}},
		{9, [][]int{{256}}},
		{9, [][]int{{64}}},
		{10, [][]int{{192}, {64}, {64}}},
		{16, [][]int{{9, 9, 65}, {3, 3, 200}, {5, 100}, {2, 2, 2}}},
		{20, [][]int{{5, 6}}},
	} {
		t.Run(fmt.Sprintf("%d%v", c.n, c.shapes), func(t *testing.T) {
			blocks := s.layout(c.shapes)
			build := func(r backend.Run) backend.FractionTree { return r.Fractions(c.n, Loaded(r, blocks)) }
			a, b := build(ref), build(cand)
			compareTrees(t, s, c.n, a, b, nil)
			checkTree(t, s, c.n, blocks, build(cand))
			if c.n < 15 {
				compareTrees(t, s, c.n, build(ref), build(cand), s.Edgy)
				for _, edge := range []int64{0, 1, -1} {
					compareTrees(t, s, c.n, build(ref), build(cand), func(n int) []field.Element {
						out := make([]field.Element, n)
						for i := range out {
							out[i].SetInt64(edge)
						}
						return out
					})
				}
			}
		})
	}
}

// computed are blocks whose tensors a program has written, and settled.
func computed(p backend.Program, blocks []backend.Block) []backend.Block {
	out := slices.Clone(blocks)
	put := func(t backend.Tensor) backend.Tensor {
		own := t.(*integer.Tensor)
		held := p.Zeros(own.Shape, false)
		p.Put(backend.Whole(held), own)
		p.Settle(backend.Bounded{T: held, Lo: slices.Min(own.V), Hi: slices.Max(own.V)})
		return held
	}
	for i := range out {
		b := &out[i]
		b.Cols = slices.Clone(b.Cols)
		for k, col := range b.Cols {
			b.Cols[k] = put(col)
		}
		if b.Mult != nil {
			b.Mult = put(b.Mult)
		}
	}
	return out
}

// Tree compares the fraction trees with 2^n leaves of blocks of some shapes, also of tensors that a program has computed, and plays the verifier against the candidate's.
func Tree(t *testing.T, reference, candidate backend.Backend, n int, shapes ...[]int) {
	session := open(t, candidate)
	ref, cand, s := Fresh(t, reference), Begin(t, session), NewSource(1)
	blocks := s.layout(shapes)
	for _, draw := range []func(int) []field.Element{nil, s.Edgy} {
		compareTrees(t, s, n, ref.Fractions(n, Loaded(ref, blocks)), cand.Fractions(n, Loaded(cand, blocks)), draw)
	}
	checkTree(t, s, n, blocks, cand.Fractions(n, Loaded(cand, blocks)))
	of := computed(begin(t, session), blocks)
	compareTrees(t, s, n, ref.Fractions(n, Loaded(ref, blocks)), cand.Fractions(n, of), nil)
	checkTree(t, s, n, blocks, cand.Fractions(n, of))
}

// compareTrees runs all layers of both trees with the same challenges: the protocol's, or points and challenges that are drawn as given, of
// which many or all are 0, 1 or −1, where a backend must not divide.
func compareTrees(t *testing.T, s *Source, n int, a, b backend.FractionTree, draw func(n int) []field.Element) {
	compareRoots(t, a, b)
	var point []field.Element
	for j := 1; j < n; j++ {
		challenges, lambda := s.Elements(j), s.Element()
		if draw != nil {
			point, challenges, lambda = draw(j-1), draw(j), draw(1)[0]
			if j%3 == 0 {
				point = s.Elements(j - 1)
			}
		}
		x, y := a.Layer(j, point, lambda), b.Layer(j, point, lambda)
		what := fmt.Sprintf("layer %d", j)
		equal(t, what+" first", []field.Element{x.First()}, []field.Element{y.First()})
		x.Bind(challenges[0])
		y.Bind(challenges[0])
		for i := 1; i < j; i++ {
			d0, i0 := x.Round()
			d1, i1 := y.Round()
			equal(t, fmt.Sprintf("%s round %d", what, i+1), []field.Element{d0, i0}, []field.Element{d1, i1})
			x.Bind(challenges[i])
			y.Bind(challenges[i])
		}
		equal(t, what+" claims", claims(x.Claims()), claims(y.Claims()))
		point = challenges
	}
}

func compareRoots(t *testing.T, a, b backend.FractionTree) {
	t.Helper()
	equal(t, "root", claims(a.Root()), claims(b.Root()))
}

func claims(a0, a1, b0, b1 field.Element) []field.Element { return []field.Element{a0, a1, b0, b1} }

// checkTree plays the verifier of SPEC.md 9.5 against the tree, down to the leaves.
func checkTree(t *testing.T, s *Source, n int, blocks []backend.Block, tree backend.FractionTree) {
	a0, a1, b0, b1 := tree.Root()
	var one field.Element
	one.SetOne()
	var point []field.Element
	for j := 1; j < n; j++ {
		lambda := s.Element()
		rounds := tree.Layer(j, point, lambda)
		h0, h1 := add(a0, mul(lambda, b0)), add(a1, mul(lambda, b1))
		inf, rho := rounds.First(), s.Element()
		c := add(add(mul(sub(one, rho), h0), mul(rho, h1)), mul(sub(mul(rho, rho), rho), inf))
		rounds.Bind(rho)
		next := []field.Element{rho}
		for i := 2; i <= j; i++ {
			delta, inf := rounds.Round()
			rho, sigma := s.Element(), point[i-2]
			c = add(c, add(mul(sub(rho, sigma), delta), mul(sub(mul(rho, rho), rho), inf)))
			rounds.Bind(rho)
			next = append(next, rho)
		}
		a0, a1, b0, b1 = rounds.Claims()
		if z := mul(add(a0, mul(lambda, b0)), b1); sub(c, z) != mul(a1, b0) {
			t.Fatalf("layer %d: the claims do not satisfy the final relation", j)
		}
		point = next
	}
	mu := s.Element()
	r := append([]field.Element{mu}, point...)
	p, q := leaves(n, blocks)
	line := func(lo, hi field.Element) field.Element { return add(lo, mul(mu, sub(hi, lo))) }
	equal(t, "leaf claims", []field.Element{evaluate(p, r), evaluate(q, r)}, []field.Element{line(a0, a1), line(b0, b1)})
}

// leaves writes out the leaf layer from the definition of backend.Block.
func leaves(n int, blocks []backend.Block) (p, q []field.Element) {
	p, q = make([]field.Element, 1<<n), make([]field.Element, 1<<n)
	for i := range q {
		q[i].SetOne()
	}
	for _, b := range blocks {
		for at, cell := 0, 0; at < paddedSize(b.Shape); at++ {
			if !inBox(at, b.Shape) {
				continue
			}
			f := b.ID
			for i := range b.Cols {
				f = add(f, mul(b.Gamma[i], small(column(&b, i)[cell])))
			}
			q[b.Offset+at] = sub(b.Beta, f)
			p[b.Offset+at] = small(1)
			if b.Mult != nil {
				p[b.Offset+at] = small(-b.Mult.(*integer.Tensor).V[cell])
			}
			cell++ // padded indices and cells are in the same order
		}
	}
	return p, q
}

// inBox tells whether a padded row-major index lies in the box.
func inBox(at int, shape []int) bool {
	for i := len(shape) - 1; i >= 0; i-- {
		bits := log2(shape[i])
		if at&(1<<bits-1) >= shape[i] {
			return false
		}
		at >>= bits
	}
	return true
}
