package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// inPieces is a model whose range proof has three pieces.
func inPieces(t *testing.T) *circuit.Circuit {
	b := circuit.NewBuilder(circuit.Config{Name: "pieces", WeightBits: 4, WitnessBits: 6})
	b.Lookup(gadget.Range(b, -128, 127), b.Weight("w", 8, 2036, 16))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, b.Weight("told", 4, 3))
	c, err := b.Finish()
	require.NoError(t, err)
	n := protocol.Pieces(circuit.Single(c))
	require.Equal(t, 3, n)
	return c
}

// counted is a backend that counts what is made, and calls stop before the tree of the given number, from 1.
type counted struct {
	backend.Backend
	rows, trees int // commitments to weights are those of the weights' width
	at          int
	stop        func()
}

func (b *counted) Open() (backend.Session, error) {
	return kit.Wrapped{Backend: b.Backend, Run: func(r backend.Run) backend.Run { return countedRun{r, b} }}.Open()
}

type countedRun struct {
	backend.Run
	b *counted
}

func (r countedRun) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	if len(gens) == 1<<4 {
		r.b.rows += len(rows)
	}
	return r.Run.CommitRows(gens, rows)
}

func (r countedRun) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	if r.b.trees++; r.b.trees == r.b.at {
		r.b.stop()
	}
	return r.Run.Fractions(n, blocks)
}

// cells are weights in memory.
type cells map[circuit.ID]integer.Tensor

func (w cells) Cells(id circuit.ID, lo, hi int) (integer.Tensor, error) {
	t := w[id]
	return t.Run(lo, hi), nil
}

// interrupted begins a setup that ends in the midst of its third piece, and returns its folder.
func interrupted(t *testing.T, c *circuit.Circuit, w cells) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	ctx, stop := context.WithCancel(t.Context())
	_, b, err := resume(ctx, t, c, w, dir, func(b *counted) { b.at, b.stop = 3, stop })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2037, b.rows)
	return dir
}

// copyOf copies a folder of work.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "work")
	require.NoError(t, os.Mkdir(to, 0o700))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, e.Name()), data, 0o600))
	}
	return to
}

func resume(ctx context.Context, t *testing.T, c *circuit.Circuit, w cells, dir string, change func(*counted)) (*engine.Keys, *counted, error) {
	t.Helper()
	work, err := engine.OpenWork(dir)
	require.NoError(t, err)
	b := &counted{Backend: cpu.New()}
	if change != nil {
		change(b)
	}
	k, err := engine.MakeKeys(ctx, circuit.Single(c), w, work, engine.Options{Backend: b})
	return k, b, err
}

func accept(t *testing.T, c *circuit.Circuit, k *engine.Keys) {
	t.Helper()
	vk, err := verifier.ReadKey(t.Context(), circuit.Single(c), function.Kind, k.VerifyingKey())
	require.NoError(t, err)
	require.Equal(t, k.ModelID(), vk.ModelID())
	var secret bytes.Buffer
	require.NoError(t, k.WriteProverKey(&secret))
	key, err := engine.ReadKey(circuit.Single(c), secret.Bytes())
	require.NoError(t, err)
	require.Equal(t, k.ModelID(), key.ModelID())
	require.Equal(t, secret.Bytes(), key.Encode())
}

// A setup that was interrupted goes on with the commitments and the pieces that it has made; the folder is its owner's alone and goes away.
func TestSetupGoesOn(t *testing.T) {
	c := inPieces(t)
	w := cells(kit.Weights(c, 1, 2))
	dir := interrupted(t, c, w)
	stored := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, e.Name())
		stored[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
	}
	require.Equal(t, []string{"proof-0", "proof-1", "rows-0", "rows-1", "rows-2", "seed"}, slices.Sorted(maps.Keys(stored)))

	var parts [][2]int
	work, err := engine.OpenWork(dir)
	require.NoError(t, err)
	b := &counted{Backend: cpu.New()}
	k, err := engine.MakeKeys(t.Context(), circuit.Single(c), w, work, engine.Options{Backend: b, Progress: func(done, of int) { parts = append(parts, [2]int{done, of}) }})
	require.NoError(t, err)
	require.Zero(t, b.rows, "commitments are not made again")
	require.Equal(t, 1, b.trees, "nor pieces")
	require.Equal(t, slices.Repeat([][2]int{{1, 3}, {2, 3}, {3, 3}}, 3), parts, "of reading, committing, proving")
	for _, name := range []string{"rows-0", "rows-1", "proof-0", "proof-1"} {
		require.True(t, bytes.Contains(k.VerifyingKey(), stored[name][:len(stored[name])-32]), name)
	}
	accept(t, c, k)
	require.NoError(t, work.Remove())
	require.NoDirExists(t, dir)
}

// What is in the folder is believed only if it is what a setup of these weights left there; whatever is not is made again. The commitments
// are the same all the same, for the seed is; but not where the seed or a weight is another one: no blinder serves two models.
func TestWorkIsNotBelieved(t *testing.T) {
	c := inPieces(t)
	w := cells(kit.Weights(c, 1, 2))
	begun := interrupted(t, c, w)
	other := maps.Clone(w)
	last := c.Weights()[0].ID
	other[last] = integer.Tensor{Shape: w[last].Shape, V: slices.Clone(w[last].V)}
	other[last].V[0] ^= 1
	change := func(name string, f func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), f(data), 0o600))
		}
	}
	copied := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, from))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, to), data, 0o600))
		}
	}
	for name, test := range map[string]struct {
		change      func(*testing.T, string)
		w           cells
		rows, trees int // that are made again
		same        bool
	}{
		"a proof is damaged":         {change("proof-1", func(d []byte) []byte { d[7] ^= 1; return d }), w, 0, 2, true},
		"a proof is cut":             {change("proof-1", func(d []byte) []byte { return d[:len(d)-1] }), w, 0, 2, true},
		"a proof is another piece's": {copied("proof-0", "proof-1"), w, 0, 2, true},
		"commitments are damaged":    {change("rows-0", func(d []byte) []byte { d[40] ^= 1; return d }), w, 1016, 1, true},
		"commitments are another's":  {copied("rows-0", "rows-1"), w, 1016, 1, true},
		"the seed is damaged":        {change("seed", func(d []byte) []byte { d[3] ^= 1; return d }), w, 2037, 3, false},
		"another model":              {func(*testing.T, string) {}, other, 2037, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, begun)
			before, err := os.ReadFile(filepath.Join(dir, "rows-2"))
			require.NoError(t, err)
			test.change(t, dir)
			k, b, err := resume(t.Context(), t, c, test.w, dir, nil)
			require.NoError(t, err)
			require.Equal(t, [2]int{test.rows, test.trees}, [2]int{b.rows, b.trees})
			require.Equal(t, test.same, bytes.Contains(k.VerifyingKey(), before[:len(before)-32]))
			accept(t, c, k)
		})
	}
}

// Weights that change between two of the times when they are read are noticed: no blinder serves what it was not made for, and no key
// is written of cells that are not committed to. What is kept is of the weights as they were, and what they are now gets other blinders.
func TestWeightsThatChange(t *testing.T) {
	c := inPieces(t)
	before := cells(kit.Weights(c, 1, 2))
	id := c.Weights()[0].ID
	for _, at := range []string{"commit weights", "range proof", "write"} {
		t.Run(at, func(t *testing.T) {
			w := cells(kit.Weights(c, 1, 2))
			dir := filepath.Join(t.TempDir(), "work")
			work, err := engine.OpenWork(dir)
			require.NoError(t, err)
			k, err := engine.MakeKeys(t.Context(), circuit.Single(c), w, work, engine.Options{Backend: cpu.New(), Phase: func(name string) {
				if name == at {
					w[id].V[2019*16+3] ^= 1 // in the last piece
				}
			}})
			if at == "write" {
				require.NoError(t, err)
				w[id].V[2019*16+3] ^= 1
				err = k.WriteProverKey(io.Discard)
			}
			require.ErrorContains(t, err, "weight w has changed")
			if at == "write" {
				return
			}
			stored, err := os.ReadFile(filepath.Join(dir, "rows-0"))
			require.NoError(t, err)
			require.NotEqual(t, before[id].V, w[id].V)
			k, b, err := resume(t.Context(), t, c, w, dir, nil)
			require.NoError(t, err)
			require.Equal(t, 2037, b.rows)
			require.False(t, bytes.Contains(k.VerifyingKey(), stored[:len(stored)-32]), "other blinders")
			accept(t, c, k)
		})
	}
}

// erring is a processor that makes a false commitment.
type erring struct{ backend.Run }

func (r erring) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	out := r.Run.CommitRows(gens, rows)
	out[1] = gens[2]
	return out
}

// Commitments that are not those of the weights are noticed before anything is written, and the next setup begins anew.
func TestCommitmentsThatAreFalse(t *testing.T) {
	c := inPieces(t)
	w := cells(kit.Weights(c, 1, 2))
	dir := filepath.Join(t.TempDir(), "work")
	work, err := engine.OpenWork(dir)
	require.NoError(t, err)
	be := kit.Wrapped{Backend: cpu.New(), Run: func(r backend.Run) backend.Run { return erring{r} }}
	_, err = engine.MakeKeys(t.Context(), circuit.Single(c), w, work, engine.Options{Backend: be})
	require.ErrorContains(t, err, "piece 1 of 3 of the range proof does not verify")
	require.NoDirExists(t, dir)
}

// A setup that is done removes the files that it wrote, and those that a killed one began; what others put into the folder stays.
func TestWorkOfOthersStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "work")
	work, err := engine.OpenWork(dir)
	require.NoError(t, err)
	others := []string{".rows-1.tmp-x", ".somebody.tmp-1", "proof-0x", "proof-1.of-somebody", "rows--1", "rows-01", "rows-1.of-somebody", "rows-9", "seeds"}
	for _, name := range append([]string{"seed", "rows-0", "proof-12", ".seed.tmp-1", ".rows-3.tmp-4", ".proof-3.tmp-4"}, others...) {
		if name == "rows-9" {
			require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
			continue
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, work.Remove())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := make([]string, len(left))
	for i, e := range left {
		names[i] = e.Name()
	}
	require.Equal(t, others, names)
}

// A folder in which others can read or write is not taken: they could know the blinders, or choose them.
func TestWorkIsPrivate(t *testing.T) {
	c := inPieces(t)
	w := cells(kit.Weights(c, 1, 2))
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	_, err := engine.OpenWork(open)
	require.ErrorContains(t, err, "its owner's alone")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = engine.OpenWork(file)
	require.ErrorContains(t, err, "its owner's alone")

	begun := interrupted(t, c, w)
	for what, f := range map[string]func(seed string) error{
		"readable": func(seed string) error { return os.Chmod(seed, 0o644) },
		"a link":   func(seed string) error { return os.Rename(seed, seed+"2") },
		"cut":      func(seed string) error { return os.Truncate(seed, 63) },
	} {
		dir := copyOf(t, begun)
		seed := filepath.Join(dir, "seed")
		require.NoError(t, f(seed))
		if what == "a link" {
			require.NoError(t, os.Symlink("seed2", seed))
		}
		_, _, err = resume(t.Context(), t, c, w, dir, nil)
		require.ErrorContains(t, err, "remove it", what)
	}
}

// drawn are weights that take no memory.
type drawn struct{}

func (drawn) Cells(id circuit.ID, lo, hi int) (integer.Tensor, error) {
	v := make([]int16, hi-lo)
	for i := range v {
		x := (uint64(lo+i)<<8 ^ uint64(id)) * 0x9e3779b97f4a7c15
		v[i] = int16(x>>48) / 4
	}
	return integer.Tensor{Short: v}, nil
}

// Setup of a layer and a part of the vocabulary of a model with 135 million weights, in one piece: their time, and what the whole process
// has had of memory.
func BenchmarkSetup(b *testing.B) {
	cfg := circuit.NewBuilder(circuit.Config{Name: "large", WeightBits: 14, WitnessBits: 14})
	for i, s := range [][]int{{8192, 576}, {9, 64, 576}, {3, 64, 576}, {3, 64, 576}, {576, 9, 64}, {1536, 576}, {1536, 576}, {576, 1536}, {576}, {576}} {
		w := cfg.Weight(fmt.Sprint(i), 16, s...)
		cfg.Lookup(gadget.Range(cfg, -1<<15, 1<<15-1), w)
	}
	c, err := cfg.Finish()
	require.NoError(b, err)
	n := protocol.Pieces(circuit.Single(c))
	require.Equal(b, 1, n)
	weights := 0
	for _, t := range c.Weights() {
		weights += circuit.Size(t.Shape)
	}
	for b.Loop() {
		k, err := engine.MakeKeys(b.Context(), circuit.Single(c), drawn{}, nil, engine.Options{Backend: cpu.New()})
		require.NoError(b, err)
		b.ReportMetric(float64(len(k.VerifyingKey())), "B-of-key")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*weights), "ns/weight")
	b.ReportMetric(float64(machine.Now().PeakRSS)/float64(1<<20), "MB-at-most")
}

// once is a file whose bytes are others when they are read again.
type once struct {
	data []byte
	read map[int64]bool // behind the header, which is looked at first
	from int64
}

func (f *once) ReadAt(p []byte, at int64) (int, error) {
	n := copy(p, f.data[at:])
	for i := range p[:n] {
		if k := at + int64(i); k >= f.from && f.read[k] {
			p[i] ^= 1
		} else {
			f.read[k] = true
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// A key is decoded from the bytes that its checksum is compared with: a file that is written to meanwhile makes no key with other weights
// under the blinders of these.
func TestKeyIsReadOnce(t *testing.T) {
	c := inPieces(t)
	w := cells{}
	for _, v := range c.Weights() {
		w[v.ID] = integer.Tensor{Shape: v.Shape, V: make([]int64, circuit.Size(v.Shape))}
	}
	k, err := engine.MakeKeys(t.Context(), circuit.Single(c), w, nil, engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, k.WriteProverKey(&file))
	data := file.Bytes()
	key, err := engine.OpenKey(circuit.Single(c), &once{data: data, read: map[int64]bool{}, from: format.HeaderSize}, int64(len(data)))
	require.NoError(t, err)
	require.Equal(t, data, key.Encode())
	for _, at := range []int{format.HeaderSize + 40, len(data) / 2, len(data) - 1} { // the control
		bad := bytes.Clone(data)
		bad[at] ^= 1
		_, err = engine.OpenKey(circuit.Single(c), bytes.NewReader(bad), int64(len(bad)))
		require.ErrorIs(t, err, format.ErrDamaged)
	}
}
