package group

import (
	"crypto/sha512"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"strconv"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// domain comes before every message that is hashed to a generator. It holds the protocol version, so that another version has other
// generators.
const domain = "zkllmc/v1/generators/"

// The memo keeps what was derived in this process. Slices only grow and are never written once published.
var memo = struct {
	sync.Mutex
	byTag map[string][]Affine
}{byTag: map[string][]Affine{}}

// Generators returns the generators from, …, from+n−1 of a tag (SPEC.md 2.1). The result is shared and must not be modified.
func Generators(tag string, from, n int) []Affine {
	if from < 0 || n < 0 {
		panic("group: negative generator index")
	}
	end := from + n
	memo.Lock()
	defer memo.Unlock()
	have := memo.byTag[tag]
	if len(have) < end {
		grown := make([]Affine, end)
		copy(grown, have)
		derive(tag, grown, len(have))
		memo.byTag[tag] = grown
		have = grown
	}
	return have[from:end:end]
}

// Derived says how many generators of a tag this process has derived, for tests of what must do without.
func Derived(tag string) int {
	memo.Lock()
	defer memo.Unlock()
	return len(memo.byTag[tag])
}

// derive fills out[start:] with the generators of these indices.
func derive(tag string, out []Affine, start int) {
	n := len(out) - start
	(*parallel.Pool)(nil).Run((n+rootsBatch-1)/rootsBatch, func(_, c int) {
		lo := start + c*rootsBatch
		newSearch(tag, lo, min(rootsBatch, len(out)-lo)).run(out[lo:])
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
func (s *search) run(out []Affine) {
	for try := 0; len(s.pending) > 0; try++ {
		s.hash(try)
		found := s.sqrt(s.y[:len(s.pending)])
		left := s.pending[:0]
		for k, i := range s.pending {
			if !found[k] {
				left = append(left, i)
				continue
			}
			if s.isOdd(k) != s.sign[k] {
				s.y[k].Neg(&s.y[k])
			}
			out[i] = Affine{X: s.x[k], Y: s.y[k]}
		}
		s.pending = left
	}
}

// isOdd says whether the ordinate is, as an integer.
func (s *search) isOdd(k int) bool { return s.y[k].Bits()[0]&1 != 0 }

// hash sets x to what the pending generators are hashed to in this try, y to x³ − 17.
func (s *search) hash(try int) {
	seventeen := fp.NewElement(17)
	for k, i := range s.pending {
		var buf [64]byte
		message := append(append(buf[:0], domain...), s.tag...)
		message = strconv.AppendInt(append(message, '/'), int64(s.first+i), 10)
		message = strconv.AppendInt(append(message, '/'), int64(try), 10)
		h := sha512.Sum512(message)
		s.x[k].SetBytes(h[:48])
		s.sign[k] = h[63]&1 != 0
		s.y[k].Square(&s.x[k])
		s.y[k].Mul(&s.y[k], &s.x[k])
		s.y[k].Sub(&s.y[k], &seventeen)
	}
}

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
