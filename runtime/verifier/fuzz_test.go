package verifier_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// The fuzzers of this file start from valid artefacts of small circuits and change them item by item, since bytes that are changed
// at random hardly ever get beyond the first point. An item is what the formats are made of behind their headers: 32 bytes, a
// point or a scalar; in a statement a word of 8 bytes.
const (
	itemSize   = 32
	wordSize   = 8
	keyHead    = 8 + 4 + 32   // magic, version, digest
	proofHead  = keyHead + 32 // and the model's ID
	slackBytes = 256 << 10    // what one verification may allocate beyond the largest valid one: error texts, pools that a collection emptied
	maxEdits   = 16           // edits of one input
	editSize   = 5            // kind, two places of two bytes
)

// target is a circuit with a model, a statement and two proofs of it.
type target struct {
	c         *circuit.Circuit
	key       *verifier.Key
	vk        []byte
	statement []byte
	proofs    [2][]byte
	bound     uint64 // of the bytes that one verification allocates
	keyBound  uint64
}

// must panics, which the fuzz engine reports: the targets are made once, outside of any test.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// model builds a small model through the gadgets: an embedding, with mlp a squared hidden layer with its rescaling, the logits.
func model(name string, reveal circuit.Reveal, private, mlp bool) *circuit.Circuit {
	const T, V = 4, 6
	text := witnesstest.Text{
		Name: name, Length: T, Vocab: V, Pad: 5, Reveal: reveal, PrivateInput: private, WeightBits: 4, WitnessBits: 5,
	}
	b := text.Builder()
	onehot := text.Tokens(b)
	width := V
	if mlp {
		width = 3
	}
	x := gadget.Embed(b, "x", onehot, b.Weight("embedding", 8, V, width))
	if mlp {
		square := b.Virtual("square", []int{T, width}, circuit.Product(b, 1, x, x))
		h := gadget.Rescale(b, "h", square, 6, -128, 127)
		w := b.Weight("head", 8, V, width)
		x = b.Virtual("logits", []int{T, V}, b.Times(1, "td,vd->tv t=4 d=3 v=6", h, w))
	}
	text.Logits(b, x)
	c, err := b.Finish()
	must(err)
	return c
}

// targets are made once per process: proving takes longer than any edit.
var targets = sync.OnceValue(func() []*target {
	return []*target{
		newTarget(model("argmax", circuit.Argmax, false, true)),
		newTarget(model("logits", circuit.Values, false, true)),
		newTarget(model("private", circuit.Argmax, true, false)),
	}
})

// newTarget sets a model up and proves two tokens of prompt and one of answer, twice.
func newTarget(c *circuit.Circuit) *target {
	// The test's own seed makes the same artefacts in every process: what a seed file of the corpus edits stays what it was.
	seed := []byte("fuzz " + c.Name)
	o := engine.Dishonest(engine.Options{Backend: cpu.New(cpu.Threads(1))}, engine.Hooks{Seed: seed})
	k, vk, err := engine.Setup(context.Background(), circuit.Single(c), kit.Weights(c, 1, 2), o)
	must(err)
	g := &target{c: c, vk: vk}
	g.key, err = verifier.ReadKey(context.Background(), circuit.Single(c), generation.Kind, vk)
	must(err)
	in, err := kit.Answered(c, k, []int64{2, 0}, 1)
	must(err)
	g.statement, err = statement.Encode(c, in.Statement)
	must(err)
	for i := range g.proofs {
		seed = append(seed, byte(i))
		o = engine.Dishonest(o, engine.Hooks{Seed: seed})
		g.proofs[i], err = k.Prove(context.Background(), in, o)
		must(err)
	}
	g.measure()
	return g
}

// measure notes what verifying the valid artefacts allocates once all generators are there.
func (g *target) measure() {
	for range 3 {
		for _, p := range g.proofs {
			n, err := allocated(func() error { return g.key.Verify(g.statement, p) })
			must(err)
			g.bound = n + slackBytes
		}
		n, err := allocated(func() error {
			_, err := verifier.ReadKey(context.Background(), circuit.Single(g.c), generation.Kind, g.vk)
			return err
		})
		must(err)
		g.keyBound = n + slackBytes
	}
}

// allocated returns the bytes that f allocates, by all goroutines together.
func allocated(f func() error) (uint64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// extremes are the encodings on which a decoder or a formula could stumble.
var extremes = sync.OnceValue(func() [][]byte {
	p := field.Modulus()
	h, u, g := group.H(), group.U(), group.Row(16)[0]
	var minus group.Affine
	minus.Neg(&h)
	out := [][]byte{
		make([]byte, itemSize), bytes.Repeat([]byte{0xff}, itemSize), append(make([]byte, itemSize-1), 1), append([]byte{0x80}, make([]byte, itemSize-1)...),
		append([]byte{0x40}, make([]byte, itemSize-1)...), append([]byte{0xc0}, make([]byte, itemSize-1)...),
	}
	for _, v := range []int64{-1, 0, 1} { // the largest scalar, and the first that are not reduced
		out = append(out, new(big.Int).Add(p, big.NewInt(v)).FillBytes(make([]byte, itemSize)))
	}
	for _, q := range []group.Affine{h, u, g, minus, {}} {
		out = append(out, group.Encode(nil, &q))
	}
	return out
})

// extremeWords are the numbers on which a statement's decoder or a check could stumble: lengths, tokens, logits.
var extremeWords = sync.OnceValue(func() [][]byte {
	var out [][]byte
	for _, v := range []int64{0, 1, 2, 3, 4, 5, 6, -1, -2, 127, 128, -129, 1 << 15, 1 << 31, 1 << 32, 1 << 61, math.MaxInt64, math.MinInt64} {
		out = append(out, binary.BigEndian.AppendUint64(nil, uint64(v)))
	}
	return out
})

// shape says where the items of an artefact begin, how long they are, and which ones are extreme.
type shape struct {
	head, item int
	extremes   func() [][]byte
}

var (
	proofShape     = shape{proofHead, itemSize, extremes}
	keyShape       = shape{keyHead, itemSize, extremes}
	statementShape = shape{keyHead, wordSize, extremeWords}
)

// edit applies the edits of ops to an artefact; others are artefacts to take items from.
func edit(data []byte, s shape, ops []byte, others ...[]byte) []byte {
	d := slices.Clone(data)
	for n := 0; n < maxEdits && len(ops) >= editSize; n++ {
		i, j := int(binary.BigEndian.Uint16(ops[1:])), int(binary.BigEndian.Uint16(ops[3:]))
		d = s.editOnce(d, ops[0], i, j, others)
		ops = ops[editSize:]
	}
	return d
}

// kinds is the number of edits that editOnce knows.
const kinds = 13

// editOnce applies one edit. Places are reduced, so that nearly every input means something.
func (s shape) editOnce(d []byte, kind byte, i, j int, others [][]byte) []byte {
	n := (len(d) - s.head) / s.item
	if n <= 0 {
		return append(d, byte(i))
	}
	a, b := s.head+i%n*s.item, s.head+j%n*s.item
	item, other := d[a:a+s.item], d[b:b+s.item]
	from := others[j%len(others)]
	switch kind % kinds {
	case 0: // swap
		x := slices.Clone(item)
		copy(item, other)
		copy(other, x)
	case 1: // double
		d = slices.Insert(d, b, slices.Clone(item)...)
	case 2: // leave out
		d = slices.Delete(d, a, a+s.item)
	case 3:
		copy(item, s.extremes()[j%len(s.extremes())])
	case 4: // the item at the same place of another artefact
		copy(item, from[min(a, len(from)):])
	case 5: // everything from there on
		d = append(d[:a], from[min(a, len(from)):]...)
	case 6:
		d = d[:(i<<8|j&255)%(len(d)+1)]
	case 7: // longer
		d = append(d, bytes.Repeat([]byte{byte(j)}, 1+i%(4*s.item))...)
	case 8:
		d[(i<<3|j&7)%len(d)] ^= 1 << (j >> 3 & 7)
	case 9: // the negative of a point: its sign bit
		item[0] ^= 0x80
	case 10: // the negative of a scalar, its successor, the sum with another
		combine(item, other, j)
	case 11: // one item everywhere
		for k := s.head; k+s.item <= len(d); k += s.item {
			copy(d[k:], item)
		}
	case 12: // another header
		copy(d, from[:min(len(d), len(from), s.head)])
	}
	return d
}

// combine replaces a scalar by a simple function of it and another one.
func combine(item, other []byte, how int) {
	x, err := field.Decode(item)
	y, err2 := field.Decode(other)
	if err != nil || err2 != nil {
		return
	}
	switch how % 3 {
	case 0:
		x.Neg(&x)
	case 1:
		one := field.One()
		x.Add(&x, &one)
	case 2:
		x.Add(&x, &y)
	}
	copy(item, field.Encode(nil, &x))
}

// classify fails unless an error is one that a caller can tell apart.
func classify(t *testing.T, err error) {
	if !slices.ContainsFunc(slices.Concat(verifier.Errors, generation.Kind.Errors), func(e error) bool { return errors.Is(err, e) }) {
		t.Fatalf("an error of no known class: %v", err)
	}
}

// sampleOps are edits to start from: every kind once at the first, a middle and the last item, and a few of several edits.
func sampleOps() [][]byte {
	out := [][]byte{nil}
	for k := range byte(kinds) {
		for _, at := range []uint16{0, 1, 40, 0xfffe} {
			op := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{k}, at), uint16(k)+at/2)
			out = append(out, op, append(slices.Clone(op), 0, 0, 2, 0, 5))
		}
	}
	return out
}

// FuzzVerify: whatever is sent, the verifier neither panics nor allocates beyond its circuit's bound, and it accepts a proof of the
// statement and nothing else. which chooses the circuit, stOps edits the statement, ops the proof.
func FuzzVerify(f *testing.F) {
	for i := range byte(3) {
		for _, ops := range sampleOps() {
			f.Add(i, []byte{}, ops)
		}
		for word := range byte(7) { // lengths, next token and tokens, each as every number
			for j := range byte(len(extremeWords())) {
				f.Add(i, []byte{3, 0, word, 0, j}, []byte{})
			}
		}
		f.Add(i, []byte{1, 0, 3, 0, 3, 3, 0, 0, 0, 4}, []byte{}) // one more token, and the length that says so
		f.Add(i, []byte{3, 0, 1, 0, 3, 3, 0, 2, 0, 7}, []byte{}) // all prompt and nothing claimed
		f.Add(i, []byte{8, 0, 6, 0, 3}, []byte{})
		f.Add(i, []byte{8, 0, 9, 0, 3}, []byte{})
		f.Add(i, []byte{7, 0, 9, 0, 3}, []byte{})
	}
	f.Fuzz(func(t *testing.T, which byte, stOps, ops []byte) {
		all := targets()
		g, next := all[int(which)%len(all)], all[(int(which)+1)%len(all)]
		proof := edit(g.proofs[0], proofShape, ops, g.proofs[1], next.proofs[0], g.vk)
		st := edit(g.statement, statementShape, stOps, next.statement, g.proofs[0])
		n, err := allocated(func() error { return g.key.Verify(st, proof) })
		if n > g.bound+uint64(len(st)+len(proof)) {
			t.Fatalf("%d bytes allocated for %d bytes of proof, the bound is %d", n, len(proof), g.bound)
		}
		valid := bytes.Equal(st, g.statement) && (bytes.Equal(proof, g.proofs[0]) || bytes.Equal(proof, g.proofs[1]))
		switch {
		case valid != (err == nil):
			t.Fatalf("valid: %v, error: %v", valid, err)
		case err != nil:
			classify(t, err)
		}
	})
}

// FuzzReadKey: the same for verifying keys, whose range proof is verified, and for pinned ones, of which only the size and the commitment
// are.
func FuzzReadKey(f *testing.F) {
	for i := range byte(3) {
		for _, ops := range sampleOps() {
			f.Add(i, ops)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, ops []byte) {
		all := targets()
		g, next := all[int(which)%len(all)], all[(int(which)+1)%len(all)]
		vk := edit(g.vk, keyShape, ops, next.vk, g.proofs[0])
		n, err := allocated(func() error {
			_, err := verifier.ReadKey(context.Background(), circuit.Single(g.c), generation.Kind, vk)
			return err
		})
		if n > g.keyBound+uint64(len(vk)) {
			t.Fatalf("%d bytes allocated for a key of %d bytes, the bound is %d", n, len(vk), g.keyBound)
		}
		if same := bytes.Equal(vk, g.vk); same != (err == nil) {
			t.Fatalf("the valid key: %v, error: %v", same, err)
		}
		if err != nil {
			classify(t, err)
		}
		end := keyHead + itemSize*protocol.WeightLayout(g.c).Rows
		_, err = verifier.ReadPinnedKey(context.Background(), circuit.Single(g.c), generation.Kind, vk, g.key.ModelID())
		if same := len(vk) == len(g.vk) && bytes.Equal(vk[:end], g.vk[:end]); same != (err == nil) {
			t.Fatalf("the pinned commitment: %v, error: %v", same, err)
		}
		if err != nil {
			classify(t, err)
		}
	})
}

// TestBounds prints the bounds that the fuzzers hold verifications to, and holds them to an absolute one.
func TestBounds(t *testing.T) {
	for _, g := range targets() {
		t.Logf("%s: proof %d bytes, verify ≤ %d bytes allocated; key %d bytes, accept ≤ %d", g.c.Name, len(g.proofs[0]), g.bound, len(g.vk), g.keyBound)
		require.Less(t, g.bound, uint64(8<<20))
		require.Less(t, g.keyBound, uint64(32<<20))
	}
}
