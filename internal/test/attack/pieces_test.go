package attack

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// inPieces is a model whose range proof has three pieces, the first two of one form: a tensor that owns 1500 rows, one with two rows per
// step of its first axis, the second of which is short, and small ones that share the last rows.
var inPieces = spec{cfg: config("pieces"), build: func(b *circuit.Builder) {
	for i, shape := range [][]int{{1500, 16}, {290, 20}, {3}, {2, 2}} {
		b.Lookup(gadget.Range(b, -128, 127), b.Weight(string("abcd"[i]), 8, shape...))
	}
}}

// cut returns the head of a verifying key, with the commitments, and the pieces of its range proof.
func (u *subject) cut(t testing.TB, vk []byte) (head []byte, pieces [][]byte) {
	n := protocol.Pieces(circuit.Single(u.c))
	at := header - 32 + 32*protocol.WeightLayout(u.c).Rows
	head = vk[:at]
	for i := range n {
		piece, err := protocol.SetupPiece(circuit.Single(u.c), i)
		require.NoError(t, err)
		counts, err := protocol.Schedule(piece.Circuit)
		require.NoError(t, err)
		size := 32 * (counts.Points + counts.Scalars)
		pieces = append(pieces, vk[at:at+size:at+size])
		at += size
	}
	require.Equal(t, len(vk), at)
	return head, pieces
}

func (u *subject) readPieces(head []byte, pieces ...[]byte) error {
	_, err := verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), slices.Concat(append([][]byte{head}, pieces...)...))
	return err
}

// A range proof in pieces is the pieces, each once, in order, of this model.
func rejectPiecesThatAreNotAll(t *testing.T) {
	u := kept(t, "pieces", inPieces)
	head, p := u.cut(t, u.vkBytes)
	require.Len(t, p, 3)
	require.Len(t, p[1], len(p[0]), "one can stand where the other should")
	other := newSubject(t, inPieces)
	otherHead, q := other.cut(t, other.vkBytes)
	require.NoError(t, u.readPieces(head, p...))
	require.NoError(t, u.readPieces(otherHead, q...))

	for what, key := range map[string][][]byte{
		"none": nil, "the last is left out": {p[0], p[1]}, "one is left out": {p[0], p[2]},
	} {
		require.ErrorIs(t, u.readPieces(head, key...), format.ErrTruncated, what)
	}
	require.ErrorIs(t, u.readPieces(head, p[0], p[1], p[2], p[2]), format.ErrTrailing)
	for what, key := range map[string][][]byte{
		"the first twice": {p[0], p[0], p[2]}, "the second twice": {p[1], p[1], p[2]}, "exchanged": {p[1], p[0], p[2]},
		"the first of another model": {q[0], p[1], p[2]}, "the second of another model": {p[0], q[1], p[2]},
		"the last of another model": {p[0], p[1], q[2]}, "all of another model": q,
	} {
		require.ErrorIs(t, u.readPieces(head, key...), veil.ErrRejected, what)
	}
}

// What a piece is told of itself, its number, how many there are, and the model's other rows, changes its challenges.
func rejectPieceThatIsToldOtherwise(t *testing.T) {
	u := kept(t, "pieces", inPieces)
	_, p := u.cut(t, u.vkBytes)
	model := u.weightRows(t)
	verify := func(change func(*protocol.Piece, *protocol.Proof)) error {
		piece, err := protocol.SetupPiece(circuit.Single(u.c), 1)
		require.NoError(t, err)
		proof := piece.Proof(slices.Clone(model))
		if change != nil {
			change(piece, proof)
		}
		return proof.Run(veil.NewVerifier(proof.Transcript(), format.Elements(bytes.Clone(p[1]))))
	}
	require.NoError(t, verify(nil))
	for what, change := range map[string]func(*protocol.Piece, *protocol.Proof){
		"another number":          func(k *protocol.Piece, q *protocol.Proof) { k.Index = 0; q.Statement = k.Proof(model).Statement },
		"of more":                 func(k *protocol.Piece, q *protocol.Proof) { k.Of = 4; q.Statement = k.Proof(model).Statement },
		"a row that is not its":   func(_ *protocol.Piece, q *protocol.Proof) { q.Model[0] = model[1] },
		"fewer rows of the model": func(_ *protocol.Piece, q *protocol.Proof) { q.Model = q.Model[:len(model)-1] },
		"another kind":            func(_ *protocol.Piece, q *protocol.Proof) { q.Kind = protocol.KindInference },
		"rows of another piece":   func(_ *protocol.Piece, q *protocol.Proof) { copy(q.Weights.Points, model[:len(q.Weights.Points)]) },
	} {
		require.ErrorIs(t, verify(change), veil.ErrRejected, what)
	}
}

// A weight that is out of its range in one piece is refused by that piece, and by no other, wherever it stands: in the first and the last
// row of each piece, behind a short row, and in a row that tensors share.
func rejectWeightOutOfRangeInOnePiece(t *testing.T) {
	u := kept(t, "pieces", inPieces)
	for _, at := range []struct {
		weight      string
		cell, piece int
	}{{"a", 0, 0}, {"a", 1015*16 + 15, 0}, {"a", 1016 * 16, 1}, {"b", 2*20 + 17, 1}, {"b", 289*20 + 19, 2}, {"c", 2, 2}} {
		id := u.id(t, at.weight)
		require.NoError(t, u.readKeyWith(t, id, at.cell, u.weights[id].V[at.cell]), "the control")
		vk, err := u.setUpWith(t, id, at.cell, 128)
		require.NoError(t, err)
		what := fmt.Sprintf("%s[%d]", at.weight, at.cell)
		_, err = verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), vk)
		require.ErrorIs(t, err, veil.ErrRejected, what)
		require.ErrorContains(t, err, fmt.Sprintf("piece %d of 3", at.piece+1), what)

		head, p := u.cut(t, vk)
		liar := &subject{c: u.c, vkBytes: head}
		for i := range p {
			piece, err := protocol.SetupPiece(circuit.Single(u.c), i)
			require.NoError(t, err)
			proof := piece.Proof(liar.weightRows(t))
			err = proof.Run(veil.NewVerifier(proof.Transcript(), format.Elements(p[i])))
			if i == at.piece {
				require.ErrorIs(t, err, veil.ErrRejected, what)
			} else {
				require.NoError(t, err, "%s: piece %d", what, i)
			}
		}
	}
}
