package group

import (
	"crypto/sha512"
	"math/big"
	"strconv"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"

	"github.com/zkllmc/zkllmc/internal/parallel"
)

// domain comes before every message that is hashed to a generator. It holds the protocol version, so that another version has other
// generators.
const domain = "zkllmc/v1/generators/"

// The memo keeps what was derived in this process. Slices only grow and are never written once published.
var memo = struct {
	sync.Mutex
	byTag map[string]derived
}{byTag: map[string]derived{}}

// derived are the first generators of a tag, and which try found each.
type derived struct {
	points []Affine
	tries  []uint8
}

// Generators returns the generators from, …, from+n−1 of a tag (SPEC.md 2.1). The result is shared and must not be modified.
func Generators(tag string, from, n int) []Affine {
	if from < 0 || n < 0 {
		panic("group: negative generator index")
	}
	end := from + n
	memo.Lock()
	defer memo.Unlock()
	have := memo.byTag[tag]
	if known := len(have.points); known < end {
		grown := derived{make([]Affine, end), make([]uint8, end)}
		copy(grown.points, have.points)
		copy(grown.tries, have.tries)
		many := end-known >= keepMany
		if many {
			known = restore(tag, grown, known)
		}
		derive(tag, grown, known)
		if many && known < end {
			keep(tag, grown)
		}
		memo.byTag[tag] = grown
		have = grown
	}
	return have.points[from:end:end]
}

// Derived says how many generators of a tag this process has derived, for tests of what must do without.
func Derived(tag string) int {
	memo.Lock()
	defer memo.Unlock()
	return len(memo.byTag[tag].points)
}

// derive finds the generators from start on.
func derive(tag string, out derived, start int) {
	n := len(out.points) - start
	(*parallel.Pool)(nil).Run((n+rootsBatch-1)/rootsBatch, func(_, c int) {
		lo := start + c*rootsBatch
		newSearch(tag, lo, min(rootsBatch, len(out.points)-lo)).run(out.points[lo:], out.tries[lo:])
	})
}

// search looks for generators: of the abscissas that a generator's tag and index are hashed to one after the other, it takes the first
// that a point has. A hash is the abscissa of a point in half of all cases, and every point is as likely as every other (but
// for 2^−130), and nobody knows a logarithm of one to the base of another. Tag and index are public: that the time depends on them tells
// nothing.
type search struct {
	*rooter
	tag     string
	first   int
	pending []int // which of the generators are not found
	x, y    coords
	sign    []bool
}

// newSearch looks for the generators first, first+1, …, n of them.
func newSearch(tag string, first, n int) *search {
	s := &search{rooter: newRooter(n), tag: tag, first: first, x: make(coords, n), y: make(coords, n), sign: make([]bool, n)}
	for i := range n {
		s.pending = append(s.pending, i)
	}
	return s
}

// run finds the generators.
func (s *search) run(out []Affine, tries []uint8) {
	for try := 0; len(s.pending) > 0; try++ {
		s.hash(try)
		found := s.sqrt(s.y[:len(s.pending)])
		left := s.pending[:0]
		for k, i := range s.pending {
			if !found[k] {
				left = append(left, i)
				continue
			}
			if isOdd(&s.y[k]) != s.sign[k] {
				s.y[k].Neg(&s.y[k])
			}
			out[i], tries[i] = Affine{X: s.x[k], Y: s.y[k]}, uint8(try) // 256 tries fail with a probability of 2^−256
		}
		s.pending = left
	}
}

// hash sets x to what the pending generators are hashed to in this try, y to x³ − 17.
func (s *search) hash(try int) {
	for k, i := range s.pending {
		s.sign[k] = hashTo(&s.x[k], s.tag, s.first+i, try)
		s.y[k] = cubeLess17(&s.x[k])
	}
}

// hashTo sets x to what a tag's generator is hashed to in a try, and says whether the ordinate is to be odd.
func hashTo(x *coord, tag string, index, try int) (odd bool) {
	var buf [64]byte
	message := append(append(buf[:0], domain...), tag...)
	message = strconv.AppendInt(append(message, '/'), int64(index), 10)
	message = strconv.AppendInt(append(message, '/'), int64(try), 10)
	h := sha512.Sum512(message)
	// The first 48 bytes modulo q, half by half: each is reduced, so that there is nothing to divide.
	var high coord
	var half [fp.Bytes]byte
	copy(half[8:], h[:24])
	high.SetBytes(half[:])
	copy(half[8:], h[24:48])
	x.SetBytes(half[:])
	high.Mul(&high, &shift192)
	x.Add(x, &high)
	return h[63]&1 != 0
}

// shift192 is 2^192.
var shift192 = func() (v coord) {
	v.SetBigInt(new(big.Int).Lsh(big.NewInt(1), 192))
	return v
}()

// isOdd says whether an ordinate is, as an integer.
func isOdd(y *coord) bool { return y.Bits()[0]&1 != 0 }

// cubeLess17 is x³ − 17, which is y² at a point of the curve.
func cubeLess17(x *coord) (v coord) {
	v.Square(x)
	v.Mul(&v, x)
	return *v.Sub(&v, &seventeen)
}

var seventeen = fp.NewElement(17)

// Row returns the generators of a row of the class of the given width.
func Row(width int) []Affine { return Generators(RowTag(width), 0, width) }

// Pad returns the first n generators of the pads.
func Pad(n int) []Affine { return Generators(PadTag, 0, n) }

// Vec returns the first n generators of the k-th committed vector.
func Vec(k, n int) []Affine { return Generators(VecTag(k), 0, n) }

// H returns the generator that blinds.
func H() Affine { return Generators("H", 0, 1)[0] }

// U returns the base of inner products.
func U() Affine { return Generators("U", 0, 1)[0] }
