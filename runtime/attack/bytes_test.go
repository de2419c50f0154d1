package attack

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/veil"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// artefact is a file under attack: where its 32-byte items begin, which of them are points, and who reads it.
type artefact struct {
	name   string
	data   []byte
	header int
	points []bool
	read   func(data []byte) error
}

// artefacts are a proof and a verifying key of the same small circuit.
func artefacts(t *testing.T) []*artefact {
	u := stage(t, "copy")
	return []*artefact{u.proofFile(t), u.keyFile(t)}
}

// items lists which of a proof's items are points.
func items(t testing.TB, r *recorder) []bool {
	var out []bool
	for i, n := range natures(t, r.messages) {
		for range r.messages[i].n {
			switch n {
			case commitment:
				out = append(out, true)
			case padded, masked:
				out = append(out, false)
			}
		}
	}
	return out
}

func (f *artefact) item(i int) []byte { return f.data[f.header+32*i : f.header+32*i+32] }

// with returns a copy of the file with an item replaced.
func (f *artefact) with(i int, item []byte) []byte {
	out := bytes.Clone(f.data)
	copy(out[f.header+32*i:], item)
	return out
}

// mutation is one change of an artefact and the errors one of which must answer it.
type mutation struct {
	what string
	data []byte
	want []error
}

func (f *artefact) sweep(t *testing.T, ms []mutation) {
	t.Helper()
	require.NoError(t, f.read(f.data))
	for i, err := range parallel(len(ms), func(i int) error { return f.read(ms[i].data) }) {
		ok := false
		for _, w := range ms[i].want {
			ok = ok || errors.Is(err, w)
		}
		assert.True(t, ok, "%s: %s: got %v, want %v", f.name, ms[i].what, err, ms[i].want)
	}
	t.Logf("%s: %d mutations", f.name, len(ms))
}

func addBig(item []byte, mask byte, m *big.Int) []byte {
	flags := item[0] & mask
	v := new(big.Int).SetBytes(append([]byte{item[0] &^ mask}, item[1:]...))
	v.Add(v, m)
	out := v.FillBytes(make([]byte, 32))
	out[0] |= flags
	return out
}

// Sweep C: every item of a file with a flipped bit, in a non-canonical form of the same value, and exchanged with its neighbour.
func rejectChangedItems(t *testing.T) {
	for _, f := range artefacts(t) {
		require.Len(t, f.data, f.header+32*len(f.points))
		var ms []mutation
		for i, point := range f.points {
			what := fmt.Sprintf("item %d (point: %v)", i, point)
			if point {
				ms = append(ms, f.pointMutations(i, what)...)
			} else {
				ms = append(ms, f.scalarMutations(i, what)...)
			}
			flipped := bytes.Clone(f.item(i))
			flipped[31] ^= 1 << (i % 8)
			ms = append(ms, mutation{what + " flipped", f.with(i, flipped), []error{veil.ErrRejected, format.ErrEncoding}})
			if i > 0 {
				swapped := f.with(i, f.item(i-1))
				copy(swapped[f.header+32*(i-1):], f.item(i))
				ms = append(ms, mutation{what + " exchanged with the one before", swapped, []error{veil.ErrRejected, format.ErrEncoding}})
			}
		}
		f.sweep(t, ms)
	}
}

// scalarMutations write the same scalar plus multiples of the modulus.
func (f *artefact) scalarMutations(i int, what string) []mutation {
	var ms []mutation
	for k := int64(1); k <= 5; k++ {
		m := new(big.Int).Mul(field.Modulus(), big.NewInt(k))
		if sum := new(big.Int).Add(new(big.Int).SetBytes(f.item(i)), m); sum.BitLen() <= 256 {
			ms = append(ms, mutation{fmt.Sprintf("%s + %dp", what, k), f.with(i, addBig(f.item(i), 0, m)), []error{format.ErrEncoding}})
		}
	}
	return append(ms, mutation{what + " all ones", f.with(i, bytes.Repeat([]byte{255}, 32)), []error{format.ErrEncoding}})
}

// pointMutations write the same point unreduced and with other flags, the negated point, a point that is not on the curve, and the
// neutral element in every form.
func (f *artefact) pointMutations(i int, what string) []mutation {
	encoding, either := []error{format.ErrEncoding}, []error{veil.ErrRejected, format.ErrEncoding}
	it := f.item(i)
	flag := func(b byte) []byte {
		out := bytes.Clone(it)
		out[0] = out[0]&0x3f | b
		return out
	}
	negated := bytes.Clone(it)
	negated[0] ^= 0x40
	neutral := make([]byte, 32)
	neutral[0] = 0x40
	dirty := bytes.Clone(neutral)
	dirty[31] = 1
	ms := []mutation{
		{what + " with the uncompressed flag", f.with(i, flag(0)), encoding},
		{what + " with the neutral element's flag", f.with(i, flag(0x40)), encoding},
		{what + " negated", f.with(i, negated), either},
		{what + " neutral", f.with(i, neutral), either},
		{what + " neutral with garbage", f.with(i, dirty), encoding},
		{what + " zero", f.with(i, make([]byte, 32)), encoding},
		{what + " off the curve", f.with(i, offCurve(it)), encoding},
	}
	if sum := new(big.Int).SetBytes(flag(0)); sum.Add(sum, fp.Modulus()).BitLen() <= 254 {
		ms = append(ms, mutation{what + " with an unreduced abscissa", f.with(i, addBig(it, 0xc0, fp.Modulus())), encoding})
	}
	return ms
}

// offCurve returns an encoding with the item's flags whose abscissa belongs to no point.
func offCurve(item []byte) []byte {
	for x := int64(1); ; x++ {
		out := big.NewInt(x).FillBytes(make([]byte, 32))
		out[0] |= item[0] & 0xc0
		if _, err := group.Decode(out); err != nil {
			return out
		}
	}
}

// A file that ends early, anywhere, or late.
func rejectTruncatedAndTrailing(t *testing.T) {
	for _, f := range artefacts(t) {
		var ms []mutation
		cut := []error{format.ErrTruncated}
		for n := range f.header {
			ms = append(ms, mutation{fmt.Sprintf("%d bytes", n), f.data[:n], cut})
		}
		for n := f.header; n < len(f.data); n += 16 { // every boundary of an item, and its middle
			ms = append(ms, mutation{fmt.Sprintf("%d bytes", n), f.data[:n], cut})
		}
		ms = append(ms, mutation{"all bytes but the last", f.data[:len(f.data)-1], cut})
		for _, tail := range [][]byte{{0}, make([]byte, 32), f.data} {
			ms = append(ms, mutation{fmt.Sprintf("%d bytes too many", len(tail)), append(bytes.Clone(f.data), tail...), []error{format.ErrTrailing}})
		}
		for _, i := range []int{0, len(f.points) / 2, len(f.points) - 1} { // a message too many, one too few
			at := f.header + 32*i
			longer := append(append(bytes.Clone(f.data[:at]), f.item(i)...), f.data[at:]...)
			shorter := append(bytes.Clone(f.data[:at]), f.data[at+32:]...)
			ms = append(ms, mutation{"an item twice", longer, []error{format.ErrEncoding, format.ErrTrailing, veil.ErrRejected}},
				mutation{"an item less", shorter, []error{format.ErrEncoding, format.ErrTruncated}})
		}
		f.sweep(t, ms)
	}
}

// headerMutations change every byte of a header: each matters, and says what is wrong.
func (f *artefact) headerMutations() (ms []mutation) {
	for n := range f.header {
		var want error
		switch {
		case n < 8:
			want = format.ErrMagic
		case n < 12:
			want = format.ErrVersion
		case n < 44:
			want = format.ErrCircuit
		default:
			want = format.ErrModel
		}
		data := bytes.Clone(f.data)
		data[n] ^= 1
		ms = append(ms, mutation{fmt.Sprintf("byte %d", n), data, []error{want}})
	}
	return ms
}

// nonsense is well-formed as far as it goes but no proof: the verifier answers with an error, never with a panic.
func (f *artefact) nonsense() []mutation {
	head := f.data[:f.header]
	body := len(f.data) - f.header
	return []mutation{
		{"nothing", nil, []error{format.ErrTruncated}},
		{"zeros", append(bytes.Clone(head), make([]byte, body)...), []error{format.ErrEncoding}},
		{"ones", append(bytes.Clone(head), bytes.Repeat([]byte{255}, body)...), []error{format.ErrEncoding}},
		{"neutral elements and zero scalars", f.hollow(), []error{veil.ErrRejected, veil.ErrForbidden}},
	}
}

func rejectHeaders(t *testing.T) {
	for _, f := range artefacts(t) {
		f.sweep(t, f.headerMutations())
	}
}

func rejectNonsense(t *testing.T) {
	for _, f := range artefacts(t) {
		f.sweep(t, f.nonsense())
	}
}

// hollow is a well-formed file that commits to nothing and says zero everywhere.
func (f *artefact) hollow() []byte {
	out := bytes.Clone(f.data)
	for i, point := range f.points {
		item := out[f.header+32*i : f.header+32*i+32]
		clear(item)
		if point {
			item[0] = 0x40
		}
	}
	return out
}

// Every byte of an encoded statement matters: either it is refused, or the proof of the true one does not show it.
func rejectChangedStatement(t *testing.T) {
	for _, name := range []string{"reveal logits", "reveal argmax"} {
		u := stage(t, name)
		proof, err := u.prove(lie{})
		require.NoError(t, err)
		enc, err := u.st.Encode(u.c)
		require.NoError(t, err)
		require.NoError(t, u.vk.Verify(enc, proof))
		typed := []error{format.ErrMagic, format.ErrVersion, format.ErrCircuit, format.ErrTruncated, format.ErrTrailing,
			statement.ErrFormat, statement.ErrLength, statement.ErrPrompt, statement.ErrToken, statement.ErrNext, statement.ErrLogits, statement.ErrAnswer, veil.ErrRejected}
		f := artefact{name: name + " statement", data: enc, read: func(data []byte) error { return u.vk.Verify(data, proof) }}
		var ms []mutation
		for n := range enc {
			for bit := 0; bit < 8; bit += 7 {
				data := bytes.Clone(enc)
				data[n] ^= 1 << bit
				ms = append(ms, mutation{fmt.Sprintf("byte %d, bit %d", n, bit), data, typed})
			}
			ms = append(ms, mutation{fmt.Sprintf("%d bytes", n), enc[:n], typed})
		}
		f.sweep(t, append(ms, mutation{"a byte too many", append(bytes.Clone(enc), 0), typed}))
	}
}

// A pinned key is read without its range proof, but only under its own ID.
func rejectUnpinnedKey(t *testing.T) {
	u := stage(t, "copy")
	_, err := verifier.ReadPinnedKey(u.c, u.vkBytes, u.vk.ModelID())
	require.NoError(t, err)
	for i := range 32 {
		id := u.vk.ModelID()
		id[i] ^= 1
		_, err = verifier.ReadPinnedKey(u.c, u.vkBytes, id)
		require.ErrorIs(t, err, verifier.ErrPinned)
	}
	other := stage(t, "rescale")
	_, err = verifier.ReadPinnedKey(other.c, u.vkBytes, u.vk.ModelID())
	require.ErrorIs(t, err, format.ErrCircuit)
}
