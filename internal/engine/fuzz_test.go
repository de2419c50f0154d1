package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// keyed is a small circuit with weights of two ranges, and the encoding of its prover key, the same in every process.
func keyed(t testing.TB) (*circuit.Circuit, []byte) {
	text := witnesstest.Text{Name: "keyed", Length: 2, Vocab: 4, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	x := gadget.Embed(b, "x", text.Tokens(b), b.Weight("narrow", 4, 4, 3))
	text.Logits(b, b.Virtual("logits", []int{2, 4}, b.Times(1, "td,vd->tv t=2 d=3 v=4", x, b.Weight("wide", 16, 4, 3))))
	c, err := b.Finish()
	require.NoError(t, err)
	w := randomWeights(c)
	k, _, err := engine.Setup(context.Background(), circuit.Single(c), w, engine.Dishonest(engine.Options{Backend: cpu.New()}, engine.Hooks{Seed: []byte("keyed")}))
	require.NoError(t, err)
	return c, k.Encode()
}

// What reading a key may allocate beyond the file's size: the circuit's cells and rows, as words and points, and what the runtime
// allocates meanwhile. keyTimes is in sizes of the valid key, which follows from the circuit.
const (
	keySlack = 64 << 10
	keyTimes = 8
)

// FuzzReadKey: a prover key decodes to what encodes to the same bytes or is refused, and memory follows the circuit, not the file.
// at and with change eight bytes, cut shortens, more lengthens. What comes of it is read with the checksum that it then has and with a right one.
func FuzzReadKey(f *testing.F) {
	c, valid := keyed(f)
	limit := uint64(keySlack + keyTimes*len(valid))
	for at := 0; at < len(valid); at += 7 {
		f.Add(uint16(at), uint64(1)<<(at%64), uint16(0), []byte{})
	}
	f.Add(uint16(0), uint64(0), uint16(0), []byte{})
	f.Add(uint16(len(valid)-32), ^uint64(0), uint16(0), []byte{})
	f.Add(uint16(0), uint64(0), uint16(1), []byte{})
	f.Add(uint16(0), uint64(0), uint16(len(valid)), valid[:50])
	f.Add(uint16(0), uint64(0), uint16(0), bytes.Repeat([]byte{7}, 64))
	f.Fuzz(func(t *testing.T, at uint16, with uint64, cut uint16, more []byte) {
		d := slices.Clone(valid[:len(valid)-int(cut)%(len(valid)+1)])
		d = append(d, more...)
		if i := int(at); i+8 <= len(d) {
			binary.BigEndian.PutUint64(d[i:], binary.BigEndian.Uint64(d[i:])^with)
		}
		for _, d := range [][]byte{d, summed(d)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			k, err := engine.ReadKey(circuit.Single(c), d)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > limit+uint64(len(d)) {
				t.Fatalf("%d bytes allocated for a key of %d bytes, the bound is %d", n, len(d), limit)
			}
			if err == nil {
				require.Equal(t, d, k.Encode(), "one encoding per key")
			}
		}
	})
}

// summed is a key with the checksum put right.
func summed(d []byte) []byte {
	n := max(0, len(d)-format.SumSize)
	sum := sha256.Sum256(d[:n])
	return append(d[:n:n], sum[:len(d)-n]...)
}

// A key with one bit changed anywhere is refused, behind its header as a damaged one; with the checksum put right it is not.
func TestDamagedKey(t *testing.T) {
	c, valid := keyed(t)
	for at := range valid {
		d := slices.Clone(valid)
		d[at] ^= 1 << (at % 8)
		_, err := engine.ReadKey(circuit.Single(c), d)
		if at < format.HeaderSize {
			require.Error(t, err, at)
			continue
		}
		require.ErrorIs(t, err, format.ErrDamaged, at)
		_, err = engine.ReadKey(circuit.Single(c), summed(d))
		require.NotErrorIs(t, err, format.ErrDamaged, at)
	}
}
