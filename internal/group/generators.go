package group

import (
	"runtime"
	"strconv"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/grumpkin"
)

// dst is the domain separation tag of RFC 9380 (random-oracle variant). It holds the protocol version, so that another version
// has other generators.
const dst = "zkllmc/v1/generators-with-GRUMPKIN_XMD:SHA-256_SVDW_RO_"

// The memo keeps what was derived in this process. Slices only grow and are never written once published.
var memo = struct {
	sync.Mutex
	byTag map[string][]Affine
}{byTag: map[string][]Affine{}}

// Generators returns the generators from, …, from+n−1 of a tag. Generator i is the hash to the curve of the message tag "/" i (i in
// decimal). The index is what follows the last slash, so that distinct pairs (tag, i) are distinct messages. The
// result is shared and must not be modified.
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
	const chunk = 16
	share((len(out)-start+chunk-1)/chunk, runtime.GOMAXPROCS(0), func(_, c int) {
		lo := start + c*chunk
		for i := lo; i < min(lo+chunk, len(out)); i++ {
			out[i] = generator(tag, i)
		}
	})
}

// generator derives one generator.
func generator(tag string, i int) Affine {
	g, err := grumpkin.HashToG1([]byte(tag+"/"+strconv.Itoa(i)), []byte(dst))
	if err != nil {
		panic("group: " + err.Error()) // only a domain tag longer than 255 bytes is refused
	}
	return g
}

// Row returns the generators of a row of the class of the given width.
func Row(width int) []Affine { return Generators("row/"+strconv.Itoa(width), 0, width) }

// Pad returns the first n generators of the pads.
func Pad(n int) []Affine { return Generators("pad", 0, n) }

// Vec returns the first n generators of the k-th committed vector.
func Vec(k, n int) []Affine { return Generators("vec/"+strconv.Itoa(k), 0, n) }

// H returns the generator that blinds.
func H() Affine { return Generators("H", 0, 1)[0] }

// U returns the base of inner products.
func U() Affine { return Generators("U", 0, 1)[0] }
