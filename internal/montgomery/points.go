package montgomery

// Adder adds points in affine coordinates by chords, many at a time, so that one inversion serves all. It is scratch for additions over one
// field, not safe for concurrent use.
type Adder struct {
	m             *Modulus
	den, num, inv []uint64 // planes
}

const planeWords = limbs * lanes

// NewAdder returns an adder of up to n points at a time.
func NewAdder(m *Modulus, n int) *Adder {
	blocks := n / lanes
	return &Adder{m, make([]uint64, (2*blocks+64)*planeWords), make([]uint64, blocks*planeWords), make([]uint64, blocks*planeWords)}
}

// AddPoints performs n operations, a positive multiple of eight, at most as many as the adder was made for. An operation is three numbers, one
// behind the other, and ops the first one: D, A, B ask for dst[D] = a[A] + b[B], or a[A] − b[^B] where B is negative. Points are an x and a y, one
// behind the other, and dst, a and b the first ones' x. No operand is neutral, no two abscissas of an operation are equal, and no operation reads
// what another one writes. invert inverts eight elements.
func AddPoints[E Words](s *Adder, dst, a, b *E, ops *int32, n int, invert func(*[lanes]E)) {
	table := &s.m.table[0]
	slopesKernel(table, &s.den[0], &s.num[0], &(*a)[0], &(*b)[0], ops, n)
	s.invert(n/lanes, func(product, inverse *uint64) {
		var top [lanes]E
		lowerKernel(table, &top[0][0], product, lanes)
		invert(&top)
		raiseKernel(table, inverse, &top[0][0], lanes)
	})
	chordsKernel(table, &s.num[0], &s.inv[0], &(*dst)[0], &(*a)[0], &(*b)[0], ops, n)
}

// invert stores the inverses of den's blocks of eight lanes in inv. Block i of n is multiplied with block i + ⌈n/2⌉, and so on up to one block; an
// inverse is that of the product times the other factor.
func (s *Adder) invert(n int, top func(product, inverse *uint64)) {
	table := &s.m.table[0]
	at, starts, sizes := 0, [32]int{}, [32]int{}
	depth := 0
	for size := n; ; depth++ {
		starts[depth], sizes[depth] = at, size
		if size == 1 {
			break
		}
		half, next := (size+1)/2, at+size
		productsKernel(table, s.block(s.den, next), s.block(s.den, at), s.block(s.den, at+half), (size-half)*lanes)
		if size%2 == 1 {
			copy(s.den[(next+half-1)*planeWords:(next+half)*planeWords], s.den[(at+half-1)*planeWords:])
		}
		at, size = next, half
	}
	top(s.block(s.den, at), &s.inv[0])
	for depth--; depth >= 0; depth-- {
		at, size := starts[depth], sizes[depth]
		half := (size + 1) / 2
		others := (size - half) * lanes
		productsKernel(table, s.block(s.inv, half), &s.inv[0], s.block(s.den, at), others)
		productsKernel(table, &s.inv[0], &s.inv[0], s.block(s.den, at+half), others)
	}
}

func (s *Adder) block(planes []uint64, i int) *uint64 { return &planes[i*planeWords] }
