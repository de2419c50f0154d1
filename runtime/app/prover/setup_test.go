package prover_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// stopping is a processor that ends a context before it makes the tree of the given number, from 1.
type stopping struct {
	backend.Backend
	left int
	stop func()
}

func (b *stopping) Open() (backend.Session, error) {
	return kit.Wrapped{Backend: b.Backend, Run: func(r backend.Run) backend.Run { return stoppingRun{r, b} }}.Open()
}

type stoppingRun struct {
	backend.Run
	b *stopping
}

func (r stoppingRun) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	if r.b.left--; r.b.left == 0 {
		r.b.stop()
	}
	return r.Run.Fractions(n, blocks)
}

// pieces is a bench of a model whose range proof has two pieces.
func pieces(t *testing.T) *bench {
	b := circuit.NewBuilder(circuit.Config{Name: "pieces", WeightBits: 4, WitnessBits: 4})
	w := b.Weight("w", 8, 1100, 16)
	b.Lookup(gadget.Range(b, -128, 127), w)
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{16}, Lo: -3, Hi: 3, Reveal: circuit.Values})
	y := b.Virtual("y", []int{1100}, b.Times(1, "k,jk->j k=16 j=1100", x, w))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
	c, err := b.Finish()
	require.NoError(t, err)
	d := &bench{t: t, vocab: vocab, dir: t.TempDir(), c: c}
	weights, err := format.EncodeWeights(circuit.Single(c), kit.Weights(c, 1, 2))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.file("weights.zkw"), weights, 0o600))
	return d
}

// interrupted is a setup that is interrupted at the tree of the given number. It returns what was said.
func (b *bench) interrupted(line string, tree int) string {
	ctx, stop := context.WithCancel(b.t.Context())
	m := proverapp.Model{Name: "pieces", Build: built(b.c), Device: opens(&stopping{cpu.New(), tree, stop})}
	var stdout, stderr bytes.Buffer
	require.Equal(b.t, console.Internal, proverapp.Run(ctx, m, b.args(line), nil, &stdout, &stderr))
	return stderr.String()
}

// A setup in pieces that is interrupted says where it keeps what is done, in a folder of its owner's. The same command goes on from there,
// says how far it is, writes keys that prove, and leaves nothing else behind. The other way round, keys that are there are not written
// over.
func TestSetupInPieces(t *testing.T) {
	d := pieces(t)
	const line = "setup --weights @weights.zkw -o @keys"
	failed := d.interrupted(line, 2)
	require.Contains(t, failed, "prover: interrupted")
	require.Contains(t, failed, d.file("keys/setup.work")+" keeps what is done, as secret as the prover key; the same command goes on from there")
	info, err := os.Stat(d.file("keys/setup.work"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.FileExists(t, d.file("keys/setup.work/proof-0"))

	rows, err := os.ReadFile(d.file("keys/setup.work/rows-0"))
	require.NoError(t, err)
	out, said := d.prover(0, line)
	require.Contains(t, said, "50 %, 1 of 2, about ")
	require.Contains(t, said, "prover: goes on from what an unfinished setup left in "+d.file("keys/setup.work"))
	require.NoDirExists(t, d.file("keys/setup.work"))
	vk, err := os.ReadFile(d.file("keys/model.vk"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(vk[format.HeaderSize:], rows[:len(rows)-32]), "the commitments are those of before")
	_, said = d.verifier(0, "accept --save @model.id @keys/model.vk")
	require.Contains(t, said, "verifies the range proof, 2 pieces: some seconds")
	id, err := os.ReadFile(d.file("model.id"))
	require.NoError(t, err)
	require.Contains(t, out, strings.TrimSpace(string(id)))

	require.NoError(t, os.WriteFile(d.file("x.json"), []byte("[1,-1,2,0,0,0,3,-3,0,0,0,0,0,0,0,1]"), 0o600))
	d.prover(0, "prove --key @keys/prover.key --input x="+d.file("x.json")+" -o @p.bin --statement-out @s.bin")
	d.verifier(0, "verify --vk @keys/model.vk --pin @model.id --statement @s.bin --proof @p.bin")
	d.prover(2, line)
	require.NoDirExists(t, d.file("keys/setup.work"))

	// The seed goes before the keys have their names: where it cannot, nothing is written.
	m := proverapp.Model{Name: "pieces", Build: built(d.c), Device: opens(&stopping{cpu.New(), 1, func() {
		require.NoError(t, os.Remove(d.file("keys/setup.work/seed")))
		require.NoError(t, os.MkdirAll(d.file("keys/setup.work/seed/x"), 0o700))
	}})}
	var stdout, stderr bytes.Buffer
	require.Equal(t, console.Unreadable, proverapp.Run(t.Context(), m, d.args(line+" --force"), nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "no key is written, for "+d.file("keys/setup.work"))
	require.Contains(t, stderr.String(), "setup.work keeps what is done", "whatever ended it")
	require.NotContains(t, stderr.String(), "goes on from what")
	again, err := os.ReadFile(d.file("keys/model.vk"))
	require.NoError(t, err)
	require.Equal(t, vk, again)
	entries, err := os.ReadDir(d.file("keys"))
	require.NoError(t, err)
	require.Len(t, entries, 3, "%v", entries)
	// What others put into the folder stays, and keeps no key from being written.
	require.NoError(t, os.RemoveAll(d.file("keys/setup.work/seed")))
	require.NoError(t, os.WriteFile(d.file("keys/setup.work/notes"), nil, 0o600))
	d.prover(0, line+" --force")
	entries, err = os.ReadDir(d.file("keys/setup.work"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "%v", entries)
}
