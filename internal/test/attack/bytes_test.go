package attack

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/veil"
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

// items lists which of a proof's items are points.
func items(t testing.TB, sent []message) []bool {
	var out []bool
	for i, n := range parts(t, sent) {
		for range sent[i].n {
			switch n {
			case messages.Commitment:
				out = append(out, true)
			case messages.Padded, messages.Masked:
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

func addBig(item []byte, mask byte, m *big.Int) []byte {
	flags := item[0] & mask
	v := new(big.Int).SetBytes(append([]byte{item[0] &^ mask}, item[1:]...))
	v.Add(v, m)
	out := v.FillBytes(make([]byte, 32))
	out[0] |= flags
	return out
}

// scalarMutations write the same scalar plus multiples of the modulus: four of them fit 32 bytes, whatever the scalar.
func (f *artefact) scalarMutations(i int, what string) []mutation {
	var ms []mutation
	for k := int64(1); k <= 4; k++ {
		m := new(big.Int).Mul(field.Modulus(), big.NewInt(k))
		ms = append(ms, mutation{fmt.Sprintf("%s + %dp", what, k), f.with(i, addBig(f.item(i), 0, m)), []error{format.ErrEncoding}})
	}
	return append(ms, mutation{what + " all ones", f.with(i, bytes.Repeat([]byte{255}, 32)), []error{format.ErrEncoding}})
}

// pointMutations write the same point with other flags, the negated point, a point that is not on the curve, one that is with an
// abscissa that is not reduced, and the neutral element in every form.
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
	return []mutation{
		{what + " with the uncompressed flag", f.with(i, flag(0)), encoding},
		{what + " with the neutral element's flag", f.with(i, flag(0x40)), encoding},
		{what + " negated", f.with(i, negated), either},
		{what + " neutral", f.with(i, neutral), either},
		{what + " neutral with garbage", f.with(i, dirty), encoding},
		{what + " zero", f.with(i, make([]byte, 32)), encoding},
		{what + " off the curve", f.with(i, offCurve(it)), encoding},
		{what + " with an unreduced abscissa", f.with(i, unreduced()), encoding},
	}
}

// unreduced is a generator whose abscissa leaves room for the modulus beside the flags, with that added.
func unreduced() []byte {
	for _, g := range group.Row(64) {
		item := group.Encode(nil, &g)
		x := new(big.Int).SetBytes(append([]byte{item[0] & 0x3f}, item[1:]...))
		if x.Add(x, fp.Modulus()).BitLen() <= 254 {
			return addBig(item, 0xc0, fp.Modulus())
		}
	}
	panic("no generator has a small abscissa")
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

// A pinned key is read without its range proof, but only under its own ID.
func rejectUnpinnedKey(t *testing.T) {
	u := stage(t, "copy")
	_, err := verifier.ReadPinnedKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), u.vkBytes, u.vk.ModelID())
	require.NoError(t, err)
	for i := range 32 {
		id := u.vk.ModelID()
		id[i] ^= 1
		_, err = verifier.ReadPinnedKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), u.vkBytes, id)
		require.ErrorIs(t, err, verifier.ErrPinned)
	}
	other := stage(t, "rescale")
	_, err = verifier.ReadPinnedKey(context.Background(), circuit.Single(other.c), kit.Kind(other.c), u.vkBytes, u.vk.ModelID())
	require.ErrorIs(t, err, format.ErrCircuit)
}
