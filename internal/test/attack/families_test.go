package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// member is a circuit of a model that answers with the token that the circuit prefers. Lengths of three and four have proofs of one size,
// so that nothing but the proof itself can tell them apart.
func member(t testing.TB, length, preferred int) *circuit.Circuit {
	t.Helper()
	cfg := config("members")
	cfg.Length, cfg.Vocab, cfg.Reveal = length, 4, circuit.Argmax
	return finish(t, cfg, func(b *circuit.Builder) {
		embedded := gadget.Embed(b, "embedded", cfg.Tokens(b), b.Weight("next", 8, 4, 4))
		bias := make([]int64, 4)
		bias[preferred] = 200
		prefer := b.Const("bias", bias, 4)
		cfg.Logits(b, b.Virtual("logits", []int{length, 4}, circuit.Scaled(b, 1, embedded), b.Times(1, fmt.Sprintf("v->tv t=%d v=4", length), prefer)))
	})
}

// kin is a family that was set up, with a true statement about each member, and its proof.
type kin struct {
	f      *circuit.Family
	key    *engine.Key
	vk     []byte
	pinned *verifier.Key
	file   [][]byte // statements
	proof  [][]byte
}

// setUp commits to a family's weights, without proofs.
func setUp(t testing.TB, members ...*circuit.Circuit) *kin {
	t.Helper()
	f, err := circuit.NewFamily(members...)
	require.NoError(t, err)
	ctx, o := context.Background(), engine.Options{Backend: processor}
	k := &kin{f: f}
	weights := map[circuit.ID]integer.Tensor{members[0].Weights()[0].ID: {Shape: []int{4, 4}, V: make([]int64, 16)}}
	k.key, k.vk, err = engine.Setup(ctx, f, weights, o)
	require.NoError(t, err)
	accepted, err := verifier.ReadKey(ctx, f, generation.Kind, k.vk)
	require.NoError(t, err)
	k.pinned, err = verifier.ReadPinnedKey(ctx, f, generation.Kind, k.vk, accepted.ModelID())
	require.NoError(t, err)
	return k
}

func related(t testing.TB, members ...*circuit.Circuit) *kin {
	t.Helper()
	k := setUp(t, members...)
	for _, c := range members {
		in, err := kit.Answered(c, k.key, make([]int64, c.Generation.Length), 0)
		require.NoError(t, err)
		proof, err := k.key.Prove(context.Background(), in, engine.Options{Backend: processor})
		require.NoError(t, err)
		file, err := statement.Encode(c, in.Statement)
		require.NoError(t, err)
		require.NoError(t, k.pinned.Verify(file, proof))
		k.file, k.proof = append(k.file, file), append(k.proof, proof)
	}
	return k
}

// as is an artefact with the digest of another circuit or family in its header.
func as(data []byte, digest [32]byte) []byte {
	out := bytes.Clone(data)
	copy(out[12:], digest[:])
	return out
}

// of is a proof with the ID of another model in its header.
func of(proof []byte, id [32]byte) []byte {
	out := bytes.Clone(proof)
	copy(out[format.HeaderSize:], id[:])
	return out
}

// A proof is about the one circuit of the family that its statement names: what another length answers is not shown by it, though key,
// weights and the size of the proof are the same.
func rejectProofOfAnotherLength(t *testing.T) {
	short, long := member(t, 3, 1), member(t, 4, 3)
	k := related(t, short, long)
	require.Equal(t, len(k.proof[1]), len(k.proof[0]))
	a, b := k.f.Members()[0].Digest(), k.f.Members()[1].Digest()
	require.ErrorIs(t, k.pinned.Verify(k.file[0], k.proof[1]), format.ErrCircuit)
	require.ErrorIs(t, k.pinned.Verify(k.file[1], k.proof[0]), format.ErrCircuit)
	require.ErrorIs(t, k.pinned.Verify(k.file[0], as(k.proof[0], b)), format.ErrCircuit)
	require.ErrorIs(t, k.pinned.Verify(as(k.file[0], b), k.proof[0]), format.ErrCircuit)
	// The shorter circuit answers with 1, the longer with 3: what one says is rewritten to be of the other, with its proof.
	require.ErrorIs(t, k.pinned.Verify(as(k.file[0], b), as(k.proof[0], b)), veil.ErrRejected)
	require.ErrorIs(t, k.pinned.Verify(as(k.file[1], a), as(k.proof[1], a)), generation.ErrLength)
	st, _, err := generation.Decode(k.f, as(k.file[0], b))
	require.NoError(t, err, "the statement is one about both")
	require.ErrorIs(t, k.pinned.VerifyStatement(long, st, k.proof[0]), format.ErrCircuit)
	require.ErrorIs(t, k.pinned.VerifyStatement(long, st, as(k.proof[0], b)), veil.ErrRejected)
	stranger := member(t, 4, 1)
	require.ErrorIs(t, k.pinned.VerifyStatement(stranger, st, as(k.proof[0], stranger.Digest())), format.ErrCircuit)
	require.ErrorIs(t, k.pinned.Verify(as(k.file[0], stranger.Digest()), as(k.proof[0], stranger.Digest())), format.ErrCircuit)
	require.ErrorIs(t, k.pinned.Verify(as(k.file[0], k.f.Digest()), as(k.proof[0], k.f.Digest())), format.ErrCircuit, "a family is no circuit")
}

// A key is of all circuits of its family, each once, in order: it is none of a family with one left out, added or exchanged, nor of one of
// them alone. Who rewrites its header is refused by the range proof, which has the family in its transcript, and by whoever pinned it.
func rejectKeyOfAnotherFamily(t *testing.T) {
	a, b, c, other := member(t, 2, 1), member(t, 3, 1), member(t, 4, 1), member(t, 3, 3)
	k := setUp(t, a, b, c)
	ctx := context.Background()
	families := map[string][]*circuit.Circuit{
		"the last left out": {a, b}, "the first left out": {b, c}, "one left out": {a, c}, "one exchanged": {a, other, c},
		"the first alone": {a}, "the second alone": {b}, "the last alone": {c},
	}
	for what, members := range families {
		f, err := circuit.NewFamily(members...)
		require.NoError(t, err)
		try := func(f *circuit.Family, vk []byte, id [32]byte, read, pinned error) {
			_, err := verifier.ReadKey(ctx, f, generation.Kind, vk)
			require.ErrorIs(t, err, read, what)
			_, err = verifier.ReadPinnedKey(ctx, f, generation.Kind, vk, id)
			require.ErrorIs(t, err, pinned, what)
		}
		id := k.pinned.ModelID()
		try(f, k.vk, id, format.ErrCircuit, format.ErrCircuit)
		try(f, as(k.vk, f.Digest()), id, veil.ErrRejected, verifier.ErrPinned)
		g := setUp(t, members...)
		id = g.pinned.ModelID()
		try(k.f, g.vk, id, format.ErrCircuit, format.ErrCircuit)
		try(k.f, as(g.vk, k.f.Digest()), id, veil.ErrRejected, verifier.ErrPinned)
	}
	for what, members := range map[string][]*circuit.Circuit{"in another order": {b, a, c}, "one twice": {a, b, b}, "backwards": {c, b, a}} {
		_, err := circuit.NewFamily(members...)
		require.ErrorIs(t, err, circuit.ErrFamily, what)
	}
}

// A proof is of one model: of the circuit alone, and of the circuit in another family, it is none, also where a prover has committed to the
// weights only once for both. Challenges bind the family.
func rejectProofOfAnotherFamily(t *testing.T) {
	a, b := member(t, 3, 1), member(t, 4, 1)
	k, single := related(t, a, b), related(t, a)
	id, alone := k.pinned.ModelID(), single.pinned.ModelID()
	require.ErrorIs(t, k.pinned.Verify(single.file[0], single.proof[0]), format.ErrModel)
	require.ErrorIs(t, single.pinned.Verify(k.file[0], k.proof[0]), format.ErrModel)
	require.ErrorIs(t, k.pinned.Verify(single.file[0], of(single.proof[0], id)), veil.ErrRejected)
	require.ErrorIs(t, single.pinned.Verify(k.file[0], of(k.proof[0], alone)), veil.ErrRejected)
	require.ErrorIs(t, single.pinned.Verify(k.file[1], k.proof[1]), format.ErrCircuit)

	shared := single.under(t, k)
	in, _, err := generation.Decode(k.f, k.file[0])
	require.NoError(t, err)
	o := engine.Options{Backend: processor}
	own, err := shared.Prove(context.Background(), &engine.Input{Statement: in}, o)
	require.NoError(t, err)
	require.NoError(t, single.pinned.Verify(single.file[0], own), "the control: the family's commitment")
	require.ErrorIs(t, single.pinned.Verify(single.file[0], of(k.proof[0], shared.ModelID())), veil.ErrRejected)
	require.ErrorIs(t, k.pinned.Verify(k.file[0], of(own, id)), veil.ErrRejected)
}

// under makes the keys of k's circuits those of another family's commitment, with its blinders: the prover's, which it returns, and the
// verifier's, but for the range proof, of which pinning asks for the size alone.
func (k *kin) under(t testing.TB, other *kin) *engine.Key {
	t.Helper()
	rows := 32 * protocol.WeightLayout(k.f.Shortest()).Rows
	points := other.vk[format.HeaderSize : format.HeaderSize+rows]
	id := modelID(k.f, points)
	data := as(other.key.Encode(), k.f.Digest())
	copy(data[format.HeaderSize:], id[:])
	end := len(data) - format.SumSize
	sum := sha256.Sum256(data[:end])
	copy(data[end:], sum[:])
	key, err := engine.ReadKey(k.f, data)
	require.NoError(t, err)
	vk := bytes.Clone(k.vk)
	copy(vk[format.HeaderSize:], points)
	k.pinned, err = verifier.ReadPinnedKey(context.Background(), k.f, generation.Kind, vk, id)
	require.NoError(t, err)
	return key
}

// modelID is the ID of a model with these encoded commitments.
func modelID(f *circuit.Family, points []byte) [32]byte {
	all := make([]group.Affine, len(points)/group.Bytes)
	_ = format.Elements(points).Points(all) // they were decoded before
	return protocol.ModelID(f, all)
}
