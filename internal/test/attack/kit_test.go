package attack

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// processor is what provers compute with, on one thread: the tests run many of them side by side.
var processor = cpu.New(cpu.Threads(1))

// host is what provers compute with whose cells are changed in this process' memory.
var host = processor

// spec describes a small circuit and an input that satisfies it.
type spec struct {
	cfg     witnesstest.Text
	build   func(b *circuit.Builder)
	weights map[string][]int64 // cells of weights by name; random within the declared range where absent
	tokens  []int64
	prompt  int // 0: all tokens
	next    int64
	private []int64
	inputs  map[string][]int64 // of a function, by port
}

// subject is a circuit with a committed model and a true statement about it.
type subject struct {
	c       *circuit.Circuit
	weights map[circuit.ID]integer.Tensor
	key     *engine.Key
	vkBytes []byte
	vk      *verifier.Key
	st      statement.Statement
	private witness.PrivateInput
	big     bool // one proof takes a second: fewer lies are tried
	honest  struct {
		sync.Mutex
		witness *witness.Assignment
		proof   []byte
		sent    []message
		walked  *journal // of the prover's transcript
		key     *artefact
	}
}

// told is the output of a stage without one of its own.
const told = "told"

func finish(t testing.TB, cfg witnesstest.Text, build func(b *circuit.Builder)) *circuit.Circuit {
	t.Helper()
	b := cfg.Builder()
	build(b)
	if cfg.Length == 0 && len(b.Ports()) == 0 { // a stage without an output of its own: a verifying key needs one
		gadget.Output(b, circuit.Port{Name: told, Kind: circuit.Integers, Reveal: circuit.Values}, b.Weight(told, 4, 1))
	}
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

// newSubject compiles a spec, commits to its weights and completes its statement.
func newSubject(t testing.TB, s spec) *subject {
	t.Helper()
	u := &subject{c: finish(t, s.cfg, s.build)}
	u.weights = fill(u.c, s.weights)
	u.commit(t)
	if u.c.Generation == nil {
		u.function(t, s)
		return u
	}
	st := &generation.Statement{Tokens: s.tokens, Prompt: s.prompt, Next: generation.Unclaimed}
	u.st = st
	if st.Tokens == nil {
		st.Tokens = make([]int64, u.c.Generation.Length)
	}
	if st.Prompt == 0 {
		st.Prompt = len(st.Tokens)
	}
	if u.c.Generation.Reveal == circuit.Argmax {
		st.Next = s.next
	}
	if s.private != nil {
		u.private = generation.PrivateInput(u.c, s.private)
	}
	if u.c.Generation.Reveal == circuit.Values {
		st.Logits = make([]int64, (len(st.Tokens)-st.Prompt+1)*u.c.Generation.Vocab)
		a, err := u.generate(lie{})
		require.NoError(t, err)
		st.Reveal(u.c, a.Tensor(u.c.Generation.Output))
	}
	return u
}

// function states what the program gives for the inputs.
func (u *subject) function(t testing.TB, s spec) {
	t.Helper()
	inputs := map[int][]int64{}
	for i := range u.c.Ports {
		if p := &u.c.Ports[i]; !p.Out {
			inputs[i] = s.inputs[p.Name]
		}
	}
	in, err := kit.Computed(u.c, u.key, inputs)
	require.NoError(t, err)
	u.st, u.private = in.Statement, in.Private
}

// text is the statement of a generation.
func (u *subject) text() *generation.Statement { return u.st.(*generation.Statement) }

// ports is the statement of a function.
func (u *subject) ports() *function.Statement { return u.st.(*function.Statement) }

// commit runs setup and accepts the model.
func (u *subject) commit(t testing.TB) {
	t.Helper()
	var err error
	u.key, u.vkBytes, err = engine.Setup(context.Background(), circuit.Single(u.c), u.weights, engine.Options{Backend: processor})
	require.NoError(t, err)
	u.vk, err = verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), u.vkBytes)
	require.NoError(t, err)
}

// forgetting is the subject of a prover and a verifier who take another circuit for this one: its digest and weights are the same, and so
// is the model that was accepted.
func (u *subject) forgetting(t testing.TB, c *circuit.Circuit) *subject {
	t.Helper()
	require.Equal(t, u.c.Digest(), c.Digest())
	w := &subject{c: c, weights: u.weights, st: u.st, private: u.private, vkBytes: u.vkBytes}
	var err error
	w.key, err = engine.ReadKey(circuit.Single(c), u.key.Encode())
	require.NoError(t, err)
	w.vk, err = verifier.ReadPinnedKey(context.Background(), circuit.Single(c), kit.Kind(c), u.vkBytes, u.vk.ModelID())
	require.NoError(t, err)
	return w
}

// fill makes the weights of a circuit.
func fill(c *circuit.Circuit, given map[string][]int64) map[circuit.ID]integer.Tensor {
	out := kit.Weights(c, 1, 2)
	for id, w := range out {
		copy(w.V, given[c.Tensor(id).Name])
	}
	return out
}

// lie says where a prover departs from the protocol. The zero value is the honest prover.
type lie struct {
	override  func(name string, v []int64)                   // changes witness tensors; all that follows is computed from the change
	circuit   *circuit.Circuit                               // the program the prover runs instead, with the same tensors
	weights   map[circuit.ID]integer.Tensor                  // the weights it runs it with
	input     statement.Statement                            // the input it runs it on
	private   witness.PrivateInput                           // the hidden input it runs it on
	edit      func(a *witness.Assignment)                    // changes cells after the program ran
	claims    statement.Statement                            // the statement it claims
	tamper    veil.Tamper                                    // changes messages
	rows      func(*commit.Layout, [][]int32)                // changes committed cells
	source    func(*transcript.Transcript) transcript.Source // what the prover's challenges come from
	blinders  func([]field.Element)                          // changes those of the witness
	processor backend.Backend
	seed      []byte
}

// generate runs the program of a prover who lies, without its checks.
func (u *subject) generate(l lie) (*witness.Assignment, error) {
	c, weights, st, private := u.c, u.weights, u.st, u.private
	if l.circuit != nil {
		c = l.circuit
	}
	if l.weights != nil {
		weights = l.weights
	}
	if l.input != nil {
		st = l.input
	}
	if l.private != nil {
		private = l.private
	}
	opts := []witness.Option{witness.WithoutChecks()}
	if l.override != nil {
		opts = append(opts, witness.WithOverride(func(id circuit.ID, v *integer.Tensor) { l.override(c.Tensor(id).Name, v.V) }))
	}
	publics := func(id circuit.ID) integer.Tensor { return *st.Public(c, id) }
	a, err := witness.Generate(context.Background(), c, weights, publics, private, opts...)
	if err == nil && l.edit != nil {
		l.edit(a)
	}
	return a, err
}

// prove makes the proof of a prover who lies.
func (u *subject) prove(l lie) ([]byte, error) {
	a, err := u.generate(l)
	if err != nil {
		return nil, err
	}
	return u.key.ProveAssignment(context.Background(), u.claim(l), a, u.options(l))
}

func (u *subject) claim(l lie) statement.Statement {
	if l.claims != nil {
		return l.claims
	}
	return u.st
}

func (u *subject) options(l lie) engine.Options {
	o := engine.Dishonest(engine.Options{Backend: processor}, engine.Hooks{Seed: l.seed, Transcript: l.source, Tamper: l.tamper, Rows: kit.Rewritten(l.rows), Blinders: l.blinders})
	switch {
	case l.processor != nil:
		o.Backend = l.processor
	case l.rows != nil:
		o.Backend = host
	}
	return o
}

// verify is the real verifier.
func (u *subject) verify(st statement.Statement, proof []byte) error {
	enc, err := statement.Encode(u.c, st)
	if err != nil {
		return err
	}
	return u.vk.Verify(enc, proof)
}

// outcome proves and returns the verifier's answer; a prover that fails is the test's failure, not a rejection.
func (u *subject) outcome(l lie) error {
	proof, err := u.prove(l)
	if err != nil {
		return fmt.Errorf("the prover fails: %w", errors.New(err.Error()))
	}
	return u.verify(u.claim(l), proof)
}

// rejected says whether a lie is refused by the final argument: nothing else noticed it, and that did.
func (u *subject) rejected(l lie) error {
	switch err := u.outcome(l); {
	case err == nil:
		return errAccepted
	case !errors.Is(err, veil.ErrRejected):
		return err
	}
	return nil
}

func (u *subject) accept(t testing.TB, l lie) {
	t.Helper()
	require.NoError(t, u.outcome(l))
}

func (u *subject) reject(t testing.TB, l lie) {
	t.Helper()
	require.NoError(t, u.rejected(l))
}

// mustReject is one named attack: a prover who lies next to one who does not.
func (u *subject) mustReject(t *testing.T, l lie) {
	t.Helper()
	u.control(t)
	u.reject(t, l)
}

// control is the run without a lie; it is the same for every lie about a subject.
func (u *subject) control(t testing.TB) {
	t.Helper()
	u.proved(t)
}

// verifyWith is the verifier with challenges from another source.
func (u *subject) verifyWith(t testing.TB, st statement.Statement, proof []byte, source func(*transcript.Transcript) transcript.Source) error {
	t.Helper()
	r, err := format.NewReader(proof, format.MagicProof, u.c.Digest())
	require.NoError(t, err)
	require.NotNil(t, r.Raw(32))
	p := u.proof(t, st)
	if err := p.Run(veil.NewVerifier(source(p.Transcript()), r)); err != nil {
		return err
	}
	return r.Close()
}

// proof is the public side of a proof.
func (u *subject) proof(t testing.TB, st statement.Statement) *protocol.Proof {
	t.Helper()
	return protocol.Inference(circuit.Single(u.c), u.c, u.weightRows(t), st)
}

func (u *subject) weightRows(t testing.TB) []group.Affine {
	t.Helper()
	r, err := format.NewReader(u.vkBytes, format.MagicVerifyingKey, u.c.Digest())
	require.NoError(t, err)
	points := make([]group.Affine, protocol.WeightLayout(u.c).Rows)
	require.NoError(t, r.Points(points))
	return points
}

// id finds a tensor by name.
func (u *subject) id(t testing.TB, name string) circuit.ID {
	t.Helper()
	for i := range u.c.Tensors {
		if u.c.Tensors[i].Name == name {
			return circuit.ID(i)
		}
	}
	require.Fail(t, "no tensor "+name)
	return -1
}

// at overrides one cell of the tensor with the given name.
func at(name string, cell int, change func(v int64) int64) func(string, []int64) {
	return func(n string, v []int64) {
		if n == name {
			v[cell] = change(v[cell])
		}
	}
}

func add(d int64) func(int64) int64 { return func(v int64) int64 { return v + d } }
func set(x int64) func(int64) int64 { return func(int64) int64 { return x } }

// both applies several overrides.
func both(fs ...func(string, []int64)) func(string, []int64) {
	return func(n string, v []int64) {
		for _, f := range fs {
			f(n, v)
		}
	}
}

// recount makes the multiplicities of an assignment that was edited those of its cells; cells that are no line do not count.
func recount(c *circuit.Circuit, a *witness.Assignment, skip func(id circuit.ID, cell int) bool) {
	for i := range c.Tables {
		table := &c.Tables[i]
		lines := map[string]int{}
		for j := range table.Cols[0] {
			lines[lineKey(table.Cols, j)] = j
		}
		m := a.Tensor(table.Mult).V
		clear(m)
		for _, l := range c.Lookups {
			if l.Table != i {
				continue
			}
			cols := make([][]int64, len(l.Cols))
			for k, id := range l.Cols {
				cols[k] = a.Tensor(id).All()
			}
			for cell := range cols[0] {
				if j, ok := lines[lineKey(cols, cell)]; ok && !(skip != nil && skip(l.Cols[0], cell)) {
					m[j]++
				}
			}
		}
	}
}

func lineKey(cols [][]int64, i int) string {
	var b []byte
	for _, c := range cols {
		b = append(strconv.AppendInt(b, c[i], 10), ',')
	}
	return string(b)
}

// parallel runs n jobs side by side and returns their errors.
func parallel(n int, job func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = job(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errs
}

var errAccepted = errors.New("the verifier accepts it")
