package zk

import (
	"context"
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// expander is randomness from a seed, in the manner of package prover.
type expander []byte

func fresh() expander {
	seed := make([]byte, 64)
	_, _ = rand.Read(seed)
	return seed
}

func (s expander) Uniform(label string, n int) []field.Element {
	h := sha3.NewSHAKE256()
	_, _ = h.Write(s)
	_, _ = h.Write([]byte(label))
	out := make([]field.Element, n)
	var raw [48]byte
	for i := range out {
		_, _ = h.Read(raw[:])
		out[i] = field.Uniform(raw[:])
	}
	return out
}

// recorder remembers what was drawn.
type recorder struct {
	veil.Randomness
	drawn map[string][]int // by label: the lengths of all draws
}

func (r *recorder) Uniform(label string, n int) []field.Element {
	r.drawn[label] = append(r.drawn[label], n)
	return r.Randomness.Uniform(label, n)
}

// tape keeps the elements of a proof with the labels they are absorbed under.
type tape struct {
	deaf
	elements []element
	labelled int
}

func (t *tape) Point(p group.Affine) {
	t.elements = append(t.elements, element{isPoint: true, point: p})
}
func (t *tape) Scalar(v field.Element) { t.elements = append(t.elements, element{scalar: v}) }

func (t *tape) label(l string) {
	for ; t.labelled < len(t.elements); t.labelled++ {
		t.elements[t.labelled].label = l
	}
}

func (t *tape) AbsorbPoints(label string, _ []group.Affine)   { t.label(label) }
func (t *tape) AbsorbScalars(label string, _ []field.Element) { t.label(label) }

// prepare returns the prover's side of a proof, blinded from rnd.
func (u *subject) prepare(t testing.TB, in *engine.Input, rnd veil.Randomness) (*protocol.Proof, error) {
	a, err := u.key.Witness(context.Background(), in)
	if err != nil {
		return nil, err
	}
	p := u.public(t, in.Statement)
	held := kit.Hold(processor, u.c, a.Tensor)
	p.Backend = held
	if p.Weights, err = held.Commit(p.Weights.Layout, u.c, u.secrets().blinders); err != nil {
		return nil, err
	}
	layout := commit.NewLayout(u.c, circuit.Witness, u.c.WitnessBits)
	p.Witness, err = held.Commit(layout, u.c, rnd.Uniform("witness blinders", layout.Rows))
	return p, err
}

// run makes a proof of a true statement with randomness of the caller's choice and with unchanging challenges.
func (u *subject) run(t testing.TB, in *engine.Input, rnd veil.Randomness) ([]element, error) {
	p, err := u.prepare(t, in, rnd)
	if err != nil {
		return nil, err
	}
	return runDeaf(p, rnd)
}

func runDeaf(p *protocol.Proof, rnd veil.Randomness) ([]element, error) {
	counts, err := p.Count()
	if err != nil {
		return nil, err
	}
	out := &tape{deaf: newDeaf(nil).(deaf)}
	err = p.Run(veil.NewProver(out, out, rnd, p.Backend, counts.Pads))
	return out.elements, err
}

// secrets are what a prover key hides besides the weights.
type secrets struct {
	secret   []byte
	blinders []field.Element
}

// secrets takes them out of the key's file (SPEC.md): the secret stands behind the model ID, blinders behind their rows, and then a
// checksum.
func (u *subject) secrets() secrets {
	const header = 8 + 4 + 32
	file := u.key.Encode()
	s := secrets{secret: file[header+32 : header+64], blinders: make([]field.Element, protocol.WeightLayout(u.c).Rows)}
	for i := range s.blinders {
		at := len(file) - format.SumSize - 64*(len(s.blinders)-i) + 32
		s.blinders[i].SetBytes(file[at : at+32])
	}
	return s
}

// Every stream is drawn once in a proof, as long as the message schedule says: a pad for every padded scalar, a blinder for every
// commitment, a mask for every position of the combined vector, padding included.
func TestStreamsAreDrawnOnce(t *testing.T) {
	for _, u := range []*subject{shared[0](t), shared[1](t)} {
		rnd := &recorder{fresh(), map[string][]int{}}
		p, err := u.prepare(t, u.ask(t, 2, 0, 3), rnd)
		require.NoError(t, err)
		u.checkStreams(t, p, rnd)

		rnd = &recorder{fresh(), map[string][]int{}}
		u.checkStreams(t, u.setupProof(t, rnd), rnd)
	}
}

// setupProof is the prover's side of the weights' range proof.
func (u *subject) setupProof(t testing.TB, rnd veil.Randomness) *protocol.Proof {
	t.Helper()
	piece, err := protocol.SetupPiece(circuit.Single(u.c), 0)
	require.NoError(t, err)
	require.Equal(t, 1, piece.Of)
	p, blinders := piece.Proof(u.points(t)), u.secrets().blinders
	weight := func(id circuit.ID) *integer.Tensor { w := u.weights[id]; return &w }
	rows, err := protocol.WeightLayout(u.c).Lay(u.c, func(id circuit.ID) backend.Tensor { return weight(id) })
	require.NoError(t, err)
	weights, err := piece.Tensors(rows, func(id circuit.ID, lo, hi int) (integer.Tensor, error) { return weight(id).Run(lo, hi), nil })
	require.NoError(t, err)
	a, err := witness.Generate(context.Background(), piece.Circuit, weights, nil, nil)
	require.NoError(t, err)
	held := kit.Hold(processor, piece.Circuit, a.Tensor)
	p.Backend = held
	p.Weights, err = held.Commit(p.Weights.Layout, piece.Circuit, blinders)
	require.NoError(t, err)
	layout := commit.NewLayout(piece.Circuit, circuit.Witness, piece.Circuit.WitnessBits)
	p.Witness, err = held.Commit(layout, piece.Circuit, rnd.Uniform("witness blinders", layout.Rows))
	require.NoError(t, err)
	return p
}

func (u *subject) checkStreams(t *testing.T, p *protocol.Proof, rnd *recorder) {
	t.Helper()
	counts, err := p.Count()
	require.NoError(t, err)
	_, err = runDeaf(p, rnd)
	require.NoError(t, err)
	total := padded(counts.Pads)
	want := map[string][]int{
		"witness blinders": {len(p.Witness.Rows)}, "pads": {counts.Pads}, "blinder pads": {1}, "product block": {2}, "mask blinder": {1},
	}
	for k, n := range counts.Vectors {
		want[fmt.Sprintf("blinder vector %d", k)] = []int{1}
		total += padded(n)
	}
	classes := map[int]bool{p.Circuit.WeightBits: true, p.Circuit.WitnessBits: true}
	for bits := range classes {
		total += 1 << bits
	}
	want["mask"] = []int{padded(total)}
	require.Equal(t, want, rnd.drawn)
}

func padded(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// calls lists the calls in the sources of what proves and verifies, tests aside, that pick says something about.
func calls(t testing.TB, pick func(pkg string, call *ast.CallExpr) string) []string {
	t.Helper()
	var out []string
	read := func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && filepath.Base(path) == "test" {
			return filepath.SkipDir
		}
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s := pick(f.Name.Name, call); s != "" {
					out = append(out, f.Name.Name+": "+s)
				}
			}
			return true
		})
		return nil
	}
	for _, folder := range []string{"runtime", "internal"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", "..", "..", folder), read))
	}
	sort.Strings(out)
	return out
}

// method returns the name of the method or function that is called with n arguments, and its first argument as it is written.
func method(call *ast.CallExpr, n int) (name, first string) {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) != n {
		return "", ""
	}
	return s.Sel.Name, types.ExprString(call.Args[0])
}

// Every place in the sources that draws randomness is listed: a new one needs a label of its own and a line here. Streams of package
// veil and of Prove come from one seed, those of Setup from another.
func TestStreamsInTheSources(t *testing.T) {
	got := calls(t, func(pkg string, call *ast.CallExpr) string {
		name, label := method(call, 2)
		if name == "Uniform" || name == "bytes" && pkg == "engine" {
			return name + " " + label
		}
		if name, _ := method(call, 1); name == "Read" && types.ExprString(call.Fun) == "rand.Read" {
			return "the system's bytes"
		}
		return ""
	})
	require.Equal(t, []string{
		"engine: Uniform \"weight blinders\"",
		"engine: Uniform \"witness blinders\"",
		"engine: bytes \"prover secret\"",
		"engine: bytes \"work\"", // the key of tags in the prover's own folder
		"engine: bytes label",    // Uniform itself
		"engine: the system's bytes",
		"veil: Uniform \"blinder \" + s.name",
		"veil: Uniform \"mask blinder\"",
		"veil: Uniform \"mask\"",
		"veil: Uniform \"pads\"",
		"veil: Uniform \"product block\"",
	}, got)
}

// hidden records what a prover hides, before it is padded or committed to.
type hidden struct{ scalars map[string][][]field.Element }

func (h *hidden) Scalars(label string, v []field.Element) {
	h.scalars[label] = append(h.scalars[label], append([]field.Element(nil), v...))
}

func (*hidden) Points(string, []group.Affine) {}

// A real prover's proof, taken apart with its seed: each stream hides what its name says, and nothing is hidden by another.
func TestStreamsOfARealProof(t *testing.T) {
	u := shared[1](t)
	in := u.ask(t, 2, 0, 3)
	h := &hidden{map[string][][]field.Element{}}
	system := []byte("what the system yields")
	proof := u.prove(t, in, engine.Hooks{Seed: system, Tamper: h})
	elements := u.dissect(t, in.Statement, proof, nil)
	p := u.public(t, in.Statement)
	counts, err := p.Count()
	require.NoError(t, err)
	layout := commit.NewLayout(u.c, circuit.Witness, u.c.WitnessBits)
	a, err := u.key.Witness(context.Background(), in)
	require.NoError(t, err)
	cells, err := kit.Cells(layout, u.c, a.Tensor)
	require.NoError(t, err)
	rnd := seed(system, p.Subject(), u.secrets().secret, group.Row(1<<layout.Bits), cells)

	pads := rnd.Uniform("pads", counts.Pads)
	requirePoint(t, at(t, elements, "pads", 0), group.Pad(counts.Pads), pads, rnd.Uniform("blinder pads", 1)[0])
	blinds := rnd.Uniform("witness blinders", layout.Rows)
	for i := range cells {
		requirePoint(t, at(t, elements, "witness rows", i), group.Row(1<<layout.Bits), ints(cells[i]), blinds[i])
	}
	vector := 0
	seen := map[string]int{}
	for _, e := range elements {
		values := h.scalars[e.label]
		switch n := seen[e.label]; messages.All[messages.Find(e.label)].Reason {
		case messages.Padding:
			v := e.scalar
			v.Sub(&v, &pads[0])
			pads = pads[1:]
			require.Equal(t, flat(values)[n], v, e.label)
		case messages.Vectors:
			blind := rnd.Uniform(fmt.Sprintf("blinder vector %d", vector), 1)[0]
			requirePoint(t, e.point, group.Vec(vector, len(values[0])), values[0], blind)
			vector++
		}
		seen[e.label]++
	}
	require.Empty(t, pads, "every pad is used")
	require.Equal(t, len(counts.Vectors), vector)
	require.Equal(t, rnd.Uniform("product block", 2), h.scalars["product block"][0][:2])
	gens := u.generators(counts)
	requirePoint(t, at(t, elements, "D", 0), gens, rnd.Uniform("mask", len(gens)), rnd.Uniform("mask blinder", 1)[0])
}

// seed is the derivation of package engine.
func seed(system, subject, secret []byte, gens []group.Affine, cells [][]int32) expander {
	h := sha3.NewSHAKE256()
	for _, part := range [][]byte{[]byte("zkllmc prover randomness"), system, subject, secret} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write(part)
	}
	for _, row := range cells {
		bare := group.MSM(gens[:len(row)], ints(row))
		p := group.ToAffine(&bare)
		_, _ = h.Write(group.Encode(nil, &p))
	}
	out := make(expander, 64)
	_, _ = h.Read(out)
	return out
}

// generators are those of the combined vector: pads, vectors but for the product block, classes of rows, product block; by falling
// padded size.
func (u *subject) generators(counts veil.Counts) []group.Affine {
	last := len(counts.Vectors) - 1
	segments := [][]group.Affine{group.Pad(counts.Pads)}
	for k, n := range counts.Vectors[:last] {
		segments = append(segments, group.Vec(k, n))
	}
	segments = append(segments, group.Row(1<<u.c.WeightBits), group.Row(1<<u.c.WitnessBits), group.Vec(last, counts.Vectors[last]))
	sort.SliceStable(segments, func(i, j int) bool { return padded(len(segments[i])) > padded(len(segments[j])) })
	var out []group.Affine
	for _, s := range segments {
		out = append(out, s...)
		out = append(out, make([]group.Affine, padded(len(s))-len(s))...)
	}
	return append(out, make([]group.Affine, padded(len(out))-len(out))...)
}

// at returns the i-th point with the label.
func at(t testing.TB, elements []element, label string, i int) group.Affine {
	t.Helper()
	for _, e := range elements {
		if e.label == label {
			if i == 0 {
				return e.point
			}
			i--
		}
	}
	require.Fail(t, "no element "+label)
	return group.Affine{}
}

// requirePoint demands that a point is Σ values·gens + blind·H.
func requirePoint(t testing.TB, p group.Affine, gens []group.Affine, values []field.Element, blind field.Element) {
	t.Helper()
	points := append([]group.Affine{group.H()}, gens[:len(values)]...)
	sum := group.MSM(points, append([]field.Element{blind}, values...))
	require.Equal(t, group.ToAffine(&sum), p)
}

func ints(row []int32) []field.Element {
	out := make([]field.Element, len(row))
	for i, v := range row {
		out[i] = field.FromInt64(int64(v))
	}
	return out
}

func flat(v [][]field.Element) []field.Element {
	var out []field.Element
	for i := range v {
		out = append(out, v[i]...)
	}
	return out
}
