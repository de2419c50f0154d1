package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// Weights yields the cells of a model's weights in runs, so that they need not be in memory all at once. Tensors have the numbers that the
// family's shortest circuit gives them.
type Weights interface {
	// Cells returns the cells of a weight from lo up to hi-1, row-major, without a shape.
	Cells(id circuit.ID, lo, hi int) (integer.Tensor, error)
}

// steady are weights that are read several times and have to be the same each time: the blinders of the commitments follow from what was
// read first, and must not serve other cells. They lie in their declared ranges, of 16 bits at most. It keeps a hash of every run of cells as it was read first. Once all were, no other run is
// read: it could not be compared.
type steady struct {
	Weights
	c    *circuit.Circuit
	all  bool // cells were read once
	sums map[cellRun][sha256.Size]byte
	ends map[circuit.ID][]int // of the runs of a weight, which are read in ascending order and leave nothing out
}

type cellRun struct {
	id     circuit.ID
	lo, hi int
}

func newSteady(c *circuit.Circuit, w Weights) *steady {
	return &steady{Weights: w, c: c, sums: map[cellRun][sha256.Size]byte{}, ends: map[circuit.ID][]int{}}
}

func (w *steady) Cells(id circuit.ID, lo, hi int) (integer.Tensor, error) {
	v, err := w.Weights.Cells(id, lo, hi)
	if err != nil {
		return v, err
	}
	t := w.c.Tensor(id)
	if i := v.Outside(t.Lo, t.Hi); i >= 0 {
		return v, fmt.Errorf("weight %s: cell %d is %d, outside its declared range [%d, %d]", t.Name, lo+i, v.Cells(i, i+1)[0], t.Lo, t.Hi)
	}
	h := sha256.New()
	if err := format.WriteCells(h, v); err != nil {
		return v, err
	}
	run, sum := cellRun{id, lo, hi}, [sha256.Size]byte(h.Sum(nil))
	switch before, ok := w.sums[run]; {
	case !ok && w.all:
		return v, fmt.Errorf("weight %s: its cells %d to %d are read in another way than first", w.c.Tensor(id).Name, lo, hi-1)
	case !ok:
		w.sums[run] = sum
		w.ends[id] = append(w.ends[id], hi)
	case before != sum:
		return v, fmt.Errorf("weight %s has changed since it was first read; set up again, with weights that nobody writes to", w.c.Tensor(id).Name)
	}
	return v, nil
}

// loaded are weights in memory.
type loaded map[circuit.ID]integer.Tensor

func (w loaded) Cells(id circuit.ID, lo, hi int) (integer.Tensor, error) {
	t := w[id]
	return t.Run(lo, hi), nil
}

func (w loaded) tensor(id circuit.ID) *integer.Tensor {
	t, ok := w[id]
	if !ok {
		return nil
	}
	return &t
}

// Setup commits to the weights (by tensor of the shortest circuit, in the circuit's shapes) and proves that each lies in its declared
// range. It returns the prover's key and the encoded verifying key.
func Setup(ctx context.Context, f *circuit.Family, weights map[circuit.ID]integer.Tensor, o Options) (*Key, []byte, error) {
	c := f.Shortest()
	for _, t := range c.Weights() {
		if v, ok := weights[t.ID]; !ok || v.Len() != circuit.Size(t.Shape) {
			return nil, nil, fmt.Errorf("weight %s has no values of shape %v", t.Name, t.Shape)
		}
	}
	made, err := MakeKeys(ctx, f, loaded(weights), nil, o)
	if err != nil {
		return nil, nil, err
	}
	k := &Key{f: f, secret: made.secret, id: made.id, points: made.points}
	k.commit(weights, made.blinds)
	return k, made.VerifyingKey(), nil
}

// Keys are the two keys of a model, as setup makes them.
type Keys struct {
	f          *circuit.Family
	weights    Weights
	secret, id [32]byte
	points     []group.Affine  // the commitments of the weights' rows
	blinds     []field.Element // one per row
	proofs     [][]byte        // the pieces of the range proof
}

// ModelID identifies the committed model.
func (k *Keys) ModelID() [32]byte { return k.id }

// VerifyingKey returns the bytes of the verifying key.
func (k *Keys) VerifyingKey() []byte {
	w := format.NewWriter(format.MagicVerifyingKey, k.f.Digest())
	for i := range k.points {
		w.Point(k.points[i])
	}
	for _, p := range k.proofs {
		w.Raw(p)
	}
	return w.Bytes()
}

// tensor are cells as a tensor of one axis.
func (w *steady) tensor(id circuit.ID, lo, hi int) (*integer.Tensor, error) {
	v, err := w.Cells(id, lo, hi)
	if err != nil {
		return nil, err
	}
	v.Shape = []int{hi - lo}
	return &v, nil
}

// hash writes the hashes of everything that was read, weight by weight.
func (w *steady) hash(to io.Writer) {
	for _, t := range w.c.Weights() {
		lo := 0
		for _, hi := range w.ends[t.ID] {
			sum := w.sums[cellRun{t.ID, lo, hi}]
			to.Write(sum[:])
			lo = hi
		}
	}
}

// ends are where the runs end in which a weight is read.
func (k *Keys) ends(t *circuit.Tensor) []int {
	if w, ok := k.weights.(*steady); ok {
		return w.ends[t.ID]
	}
	return []int{circuit.Size(t.Shape)} // it is in memory
}

// WriteProverKey writes the prover's key. It is secret.
func (k *Keys) WriteProverKey(to io.Writer) error {
	w := format.NewWriter(format.MagicProverKey, k.f.Digest())
	w.Raw(k.id[:])
	w.Raw(k.secret[:])
	out := format.NewSummed(to)
	if _, err := out.Write(w.Bytes()); err != nil {
		return err
	}
	for _, t := range k.f.Shortest().Weights() {
		lo := 0
		for _, hi := range k.ends(t) {
			v, err := k.weights.Cells(t.ID, lo, hi)
			if err != nil {
				return err
			}
			if err := format.WriteCells(out, v); err != nil {
				return err
			}
			lo = hi
		}
	}
	var rows format.Writer
	for i := range k.points {
		rows.Point(k.points[i])
		rows.Scalar(k.blinds[i])
	}
	if _, err := out.Write(rows.Bytes()); err != nil {
		return err
	}
	return out.Finish()
}

// maker makes the keys of a model, piece by piece.
type maker struct {
	*Keys
	c      *circuit.Circuit // whose weights are laid out
	read   *steady          // weights
	layout *commit.Layout
	pieces int
	work   *Work
	o      Options

	session backend.Session
}

// MakeKeys commits to the weights and proves that each lies in its declared range, in memory for one piece of the range proof at a time.
// work keeps what was made in case this process is killed; it may be nil. A piece that is kept was verified, and is verified again by
// whoever goes on from it.
func MakeKeys(ctx context.Context, f *circuit.Family, weights Weights, work *Work, o Options) (*Keys, error) {
	return withFallback(ctx, &o, func() (*Keys, error) { return makeKeys(ctx, f, weights, work, o) })
}

func makeKeys(ctx context.Context, f *circuit.Family, weights Weights, work *Work, o Options) (*Keys, error) {
	read := newSteady(f.Shortest(), weights)
	m := &maker{Keys: &Keys{f: f, weights: read}, c: f.Shortest(), read: read, work: work, o: o}
	m.layout = protocol.WeightLayout(m.c)
	m.pieces = protocol.Pieces(f)
	var err error
	if m.session, err = o.Backend.Open(); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{m.draw, m.commit, m.prove} {
		if err = step(ctx); err != nil {
			break
		}
	}
	if err = errors.Join(err, m.session.Close()); errors.Is(err, backend.ErrDevice) { // what it computed before may be false, too
		err = errors.Join(err, work.disbelieve())
	}
	if err != nil {
		return nil, err
	}
	o.phase("")
	return m.Keys, nil
}

// each calls f for the rows of every piece.
func (m *maker) each(ctx context.Context, f func(index int, rows commit.Range) error) error {
	size := protocol.PieceRows(m.f)
	for i := range m.pieces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(i, commit.Range{From: i * size, To: min((i+1)*size, m.layout.Rows)}); err != nil {
			return err
		}
		m.o.progress(i+1, m.pieces)
	}
	return nil
}

// draw derives the prover's secret and the blinders of the rows from fresh bytes and all weights. Where there is a folder of work the bytes
// are those of the process that began it: the same weights then have the same commitments, and other weights have other blinders.
func (m *maker) draw(ctx context.Context) error {
	m.o.phase("read weights")
	fresh, err := m.fresh(ctx)
	if err != nil {
		return err
	}
	digest := m.f.Digest()
	s := newSeed(fresh, append([]byte("setup"), digest[:]...), nil)
	if err := m.each(ctx, func(_ int, rows commit.Range) error {
		_, err := m.layout.LayRange(m.c, rows, m.tensor)
		return err
	}); err != nil {
		return err
	}
	m.read.all = true
	m.read.hash(s.h)
	rnd := s.randomness()
	copy(m.secret[:], rnd.bytes("prover secret", 32))
	m.blinds = rnd.Uniform("weight blinders", m.layout.Rows)
	m.work.begin(rnd)
	return nil
}

func (m *maker) fresh(ctx context.Context) ([]byte, error) {
	fresh, err := m.o.fresh()
	if err != nil || m.o.hooks.Seed != nil {
		return fresh, err
	}
	return m.work.fresh(ctx, fresh)
}

// commit makes the commitments of all rows.
func (m *maker) commit(ctx context.Context) error {
	m.o.phase("commit weights")
	err := m.each(ctx, func(index int, rows commit.Range) error {
		n := rows.To - rows.From
		if stored, ok := m.work.read(rowsFile(index), n*group.Bytes); ok {
			if points, err := decodePoints(stored); err == nil {
				m.points = append(m.points, points...)
				return nil
			}
		}
		points, err := m.commitPiece(ctx, rows)
		if err != nil {
			return err
		}
		points = group.Blind(parallel.Of(ctx), points, m.blinds[rows.From:rows.To])
		m.points = append(m.points, points...)
		return m.work.writeRows(ctx, index, points)
	})
	m.id = protocol.ModelID(m.f, m.points)
	return err
}

// commitPiece commits to the rows of a piece.
func (m *maker) commitPiece(ctx context.Context, rows commit.Range) ([]group.Affine, error) {
	r := m.session.Begin(ctx)
	defer r.Close()
	laid, err := m.layout.LayRange(m.c, rows, func(id circuit.ID, lo, hi int) (backend.Tensor, error) {
		t, err := m.read.tensor(id, lo, hi)
		if err != nil {
			return nil, err
		}
		return r.Load(t), nil
	})
	if err != nil {
		return nil, err
	}
	return commitRows(r, nil, 1<<m.layout.Bits, laid)
}

// tensor are cells of a weight, in memory.
func (m *maker) tensor(id circuit.ID, lo, hi int) (backend.Tensor, error) {
	return m.read.tensor(id, lo, hi)
}

// prove makes the pieces of the range proof.
func (m *maker) prove(ctx context.Context) error {
	if m.pieces > 1 {
		m.o.phase("range proof")
	}
	return m.each(ctx, func(index int, _ commit.Range) error {
		piece, err := protocol.SetupPiece(m.f, index)
		if err != nil {
			return err
		}
		if proof, ok := m.stored(piece); ok {
			m.proofs = append(m.proofs, proof)
			return nil
		}
		proof, err := m.piece(ctx, piece)
		if err != nil {
			return err
		}
		m.proofs = append(m.proofs, proof)
		if m.work == nil {
			return nil
		}
		if err := m.check(piece, proof); err != nil { // of commitments that somebody stored who has the seed, or of a processor that errs
			err = fmt.Errorf("piece %d of %d of the range proof does not verify: %w; set up again, from the beginning", index+1, m.pieces, err)
			return errors.Join(err, m.work.Remove())
		}
		return m.work.writeProof(ctx, index, proof)
	})
}

// stored returns a piece that a setup before this one made.
func (m *maker) stored(piece *protocol.Piece) ([]byte, bool) {
	if m.work == nil {
		return nil, false
	}
	counts, err := protocol.Schedule(piece.Circuit)
	if err != nil {
		return nil, false
	}
	proof, ok := m.work.read(proofFile(piece.Index), 32*(counts.Points+counts.Scalars))
	return proof, ok && m.check(piece, proof) == nil
}

// piece makes one piece of the range proof.
func (m *maker) piece(ctx context.Context, piece *protocol.Piece) ([]byte, error) {
	o := m.o
	if m.pieces == 1 {
		o.phase("check weights")
	} else {
		o.Phase = nil // a piece is a step of one phase
	}
	rows, err := m.layout.LayRange(m.c, piece.Rows, m.tensor)
	if err != nil {
		return nil, err
	}
	data, err := piece.Tensors(rows, m.weights.Cells)
	if err != nil {
		return nil, err
	}
	a, err := witness.Place{Program: m.session.Program()}.Generate(ctx, piece.Circuit, data, nil, nil)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	p := piece.Proof(m.points)
	h := alone(m.session.Begin(ctx), piece.Circuit, a)
	defer h.Close()
	p.Backend, p.Weights.Blinds = h, m.blinds[piece.Rows.From:piece.Rows.To]
	if p.Weights.Rows, err = p.Weights.Layout.Lay(piece.Circuit, h.Tensor); err != nil {
		return nil, err
	}
	var w format.Writer
	err = run(parallel.Of(ctx), p, m.secret, &w, o)
	return w.Bytes(), err
}

// check verifies a piece as every verifier of the key does, to the end: what nobody waits for any more would else look like a false piece.
func (m *maker) check(piece *protocol.Piece, proof []byte) error {
	p := piece.Proof(m.points)
	counts, err := p.Count()
	if err != nil {
		return err
	}
	return p.Verify(context.Background(), format.Elements(proof), counts)
}
