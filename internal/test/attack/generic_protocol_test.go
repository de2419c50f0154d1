package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// The lies of this file are about the statement, the messages and the bytes of a proof of any circuit.

// proved is an honest proof of the subject's statement, which the verifier accepts. It is made once, and what is sent and drawn is kept.
func (u *subject) proved(t testing.TB) []byte {
	t.Helper()
	u.honest.Lock()
	defer u.honest.Unlock()
	if u.honest.proof == nil {
		r, l := &recorder{}, &journal{}
		proof, err := u.prove(lie{tamper: r, source: l.on})
		require.NoError(t, err)
		require.NoError(t, u.verify(u.st, proof))
		u.honest.proof, u.honest.sent, u.honest.walked = proof, r.messages, l
	}
	return u.honest.proof
}

// refusal demands an error, and one that a caller can tell.
func refusal(err error) error {
	if err == nil {
		return errAccepted
	}
	for _, want := range slices.Concat(verifier.Errors, generation.Kind.Errors, function.Kind.Errors) {
		if errors.Is(err, want) {
			return nil
		}
	}
	return err
}

// reveals says whether the circuit binds what the statement says of the output.
func (u *subject) reveals() bool { return u.has(circuit.PortValues) || u.has(circuit.ArgmaxAt) }

// has says whether the circuit has a public tensor of a view.
func (u *subject) has(v circuit.View) bool {
	return slices.ContainsFunc(u.c.Tensors, func(t circuit.Tensor) bool { return t.Kind == circuit.Public && t.View == v })
}

// restated is the statement of a generation with a change.
func (u *subject) restated(change func(s *generation.Statement)) *generation.Statement {
	s := *u.text()
	s.Tokens, s.Logits = slices.Clone(s.Tokens), slices.Clone(s.Logits)
	change(&s)
	return &s
}

// otherOutputs are statements that claim another output of the same tokens, the answer that logits predict left alone.
func (u *subject) otherOutputs() (out []statement.Statement) {
	if u.c.Generation == nil {
		return u.otherElements(true)
	}
	if u.c.Generation.Reveal == circuit.Values {
		for _, i := range u.some(len(u.text().Logits)) {
			for _, d := range []int64{1, -1} {
				s := u.restated(func(s *generation.Statement) { s.Logits[i] += d })
				if s.Check(u.c) == nil && s.CheckClaim(u.c) == nil {
					out = append(out, s)
				}
			}
		}
		return out
	}
	for _, i := range u.some(u.c.Generation.Vocab) {
		if int64(i) != u.text().Next {
			out = append(out, u.restated(func(s *generation.Statement) { s.Next = int64(i) }))
		}
	}
	for t := u.text().Prompt; t < len(u.text().Tokens); t++ {
		out = append(out, u.restated(func(s *generation.Statement) { s.Tokens[t] = (s.Tokens[t] + 1) % int64(u.c.Generation.Vocab) }))
	}
	return out
}

// An output that is not the program's: with the public tensors that the claim demands, and with the true ones.
func wrongOutput(_ testing.TB, u *subject) (out []named) {
	if !u.reveals() {
		return nil
	}
	for i, s := range u.otherOutputs() {
		out = append(out, named{what: fmt.Sprintf("output %d, public tensors by the claim", i), lie: claiming(s)},
			named{what: fmt.Sprintf("output %d, public tensors by the truth", i), lie: lie{claims: s}})
	}
	return u.first(4, out)
}

// Logits beyond the bounds of the tensor that binds them: values that differ from the true ones by the modulus do not exist, since 64
// bits are all that a statement holds, and the bounds less than that.
func logitsOutOfBounds(t testing.TB, u *subject) (out []named) {
	for i := range u.c.Tensors {
		if c := &u.c.Tensors[i]; u.c.Generation != nil && c.Kind == circuit.Public && c.View == circuit.PortValues {
			for _, x := range []int64{c.Hi + 1, c.Lo - 1, 1<<63 - 1, -1 << 63} {
				s := u.restated(func(s *generation.Statement) { s.Logits[0] = x })
				proof := u.proved(t)
				out = append(out, named{what: fmt.Sprint(x), run: func() error {
					if err := u.vk.VerifyStatement(u.c, s, proof); !errors.Is(err, generation.ErrLogits) {
						return fmt.Errorf("got %v, want %w", err, generation.ErrLogits)
					}
					return nil
				}})
			}
		}
	}
	return out
}

// An answer that is true of another input.
func changedPublicInput(t testing.TB, u *subject) (out []named) {
	if u.c.Generation == nil {
		return u.otherInputs(t)
	}
	if u.c.Generation.Private {
		return nil
	}
	for _, at := range u.some(u.text().Prompt) {
		other := u.restated(func(s *generation.Statement) { s.Tokens[at] = (s.Tokens[at] + 1) % int64(u.c.Generation.Vocab) })
		a, err := u.generate(lie{input: other})
		require.NoError(t, err)
		claim := u.restated(func(*generation.Statement) {})
		if u.c.Generation.Reveal == circuit.Values {
			other.Reveal(u.c, a.Tensor(u.c.Generation.Output))
			claim.Logits = other.Logits
		}
		if claim.CheckClaim(u.c) == nil {
			out = append(out, named{what: fmt.Sprintf("token %d", at), lie: lie{input: other, claims: claim}})
		}
	}
	return u.first(2, out)
}

// filesOf says whether files of the subject are damaged: a proof's bytes are read alike whatever the circuit, so that two small ones
// and the trained models do. Of the smallest every item is changed.
func (u *subject) filesOf() bool { return u.big || u.c.Name == smallest || u.c.Name == "reveal argmax" }

const smallest = "copy"

// positions are a few indices below n, all of them in the smallest circuit.
func (u *subject) positions(n, few int) []int {
	if u.c.Name == smallest {
		return spread(n, n)
	}
	return spread(n, few)
}

// files are a proof and a verifying key of the subject.
func (u *subject) files(t testing.TB) []*artefact {
	if !u.filesOf() {
		return nil
	}
	return []*artefact{u.proofFile(t), u.keyFile(t)}
}

// The proof of one statement shown with another one.
func replayed(t testing.TB, u *subject) (out []named) {
	proof := u.proved(t)
	others := u.otherOutputs()
	if u.c.Generation == nil {
		others = append(others, u.otherElements(false)...)
		for i, s := range others {
			out = append(out, named{what: fmt.Sprintf("statement %d", i), run: func() error { return refusal(u.vk.VerifyStatement(u.c, s, proof)) }})
		}
		return out
	}
	for _, at := range u.some(len(u.text().Tokens)) {
		if u.text().Tokens[at] != generation.Hidden {
			others = append(others, u.restated(func(s *generation.Statement) { s.Tokens[at] = (s.Tokens[at] + 1) % int64(u.c.Generation.Vocab) }))
		}
	}
	others = append(others, u.restated(func(s *generation.Statement) { s.Prompt-- }), u.restated(func(s *generation.Statement) { s.Prompt++ }),
		u.restated(func(s *generation.Statement) { s.Tokens = append(s.Tokens, 0) }),
		u.restated(func(s *generation.Statement) { s.Tokens = s.Tokens[:len(s.Tokens)-1] }))
	for i, s := range others {
		out = append(out, named{what: fmt.Sprintf("statement %d", i), run: func() error { return refusal(u.vk.VerifyStatement(u.c, s, proof)) }})
	}
	return out
}

// A statement of which a byte is changed, or that is cut: malformed, false, or another one than the proof's.
func changedStatement(t testing.TB, u *subject) (out []named) {
	if !u.reveals() {
		return nil
	}
	proof := u.proved(t)
	enc, err := statement.Encode(u.c, u.st)
	require.NoError(t, err)
	verify := func(what string, data []byte) {
		out = append(out, named{what: what, run: func() error { return refusal(u.vk.Verify(data, proof)) }})
	}
	few := len(enc)
	if u.big {
		few = 24
	}
	for _, n := range spread(len(enc), few) {
		for _, bit := range []byte{1, 128} {
			flipped := bytes.Clone(enc)
			flipped[n] ^= bit
			verify(fmt.Sprintf("byte %d, bit %d", n, bit), flipped)
		}
		verify(fmt.Sprintf("%d bytes", n), enc[:n])
	}
	verify("a byte too many", append(bytes.Clone(enc), 0))
	return out
}

// proofFile is an honest proof with what its items are.
func (u *subject) proofFile(t testing.TB) *artefact {
	t.Helper()
	sent, _ := u.record(t)
	return &artefact{"proof", u.proved(t), header, items(t, sent), func(data []byte) error { return u.verify(u.st, data) }}
}

// keyFile is the subject's verifying key with what its items are. They are seen in a second setup, made once.
func (u *subject) keyFile(t testing.TB) *artefact {
	t.Helper()
	u.honest.Lock()
	defer u.honest.Unlock()
	if u.honest.key != nil {
		return u.honest.key
	}
	r := &recorder{}
	_, err := u.setup(r)
	require.NoError(t, err)
	points := slices.Repeat([]bool{true}, protocol.WeightLayout(u.c).Rows)
	u.honest.key = &artefact{"verifying key", u.vkBytes, header - 32, append(points, items(t, r.messages)...), func(data []byte) error {
		_, err := verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), data)
		return err
	}}
	return u.honest.key
}

// mutated says whether a mutation of a file is answered by the error that it deserves.
func (f *artefact) mutated(ms []mutation) (out []named) {
	for _, m := range ms {
		out = append(out, named{what: m.what, run: func() error {
			err := f.read(m.data)
			if err == nil {
				return errAccepted
			}
			if !slices.ContainsFunc(m.want, func(w error) bool { return errors.Is(err, w) }) {
				return fmt.Errorf("got %w, want one of %v", err, m.want)
			}
			return nil
		}})
	}
	return out
}

// The same points and scalars in forms that are not canonical, points off the curve, negated and neutral ones.
func notCanonical(t testing.TB, u *subject) (out []named) {
	for _, f := range u.files(t) {
		var ms []mutation
		for _, i := range u.positions(len(f.points), 8) {
			what := fmt.Sprintf("%s, item %d (point: %v)", f.name, i, f.points[i])
			if f.points[i] {
				ms = append(ms, f.pointMutations(i, what)...)
			} else {
				ms = append(ms, f.scalarMutations(i, what)...)
			}
		}
		out = append(out, f.mutated(ms)...)
	}
	return out
}

// Items that are changed, exchanged, left out and sent twice.
func changedItems(t testing.TB, u *subject) (out []named) {
	either := []error{veil.ErrRejected, veil.ErrForbidden, format.ErrEncoding, format.ErrTruncated, format.ErrTrailing}
	for _, f := range u.files(t) {
		var ms []mutation
		add := func(what string, i int, data []byte) {
			ms = append(ms, mutation{fmt.Sprintf("%s, item %d %s", f.name, i, what), data, either})
		}
		for _, i := range u.positions(len(f.points), 10) {
			flipped := bytes.Clone(f.item(i))
			flipped[31] ^= 1 << (i % 8)
			add("flipped", i, f.with(i, flipped))
			from, to := f.header+32*i, f.header+32*i+32
			add("left out", i, append(bytes.Clone(f.data[:from]), f.data[to:]...))
			add("twice", i, append(bytes.Clone(f.data[:to]), f.data[from:]...))
			if i > 0 && !bytes.Equal(f.item(i), f.item(i-1)) {
				swapped := f.with(i, f.item(i-1))
				copy(swapped[from-32:], f.item(i))
				add("exchanged with the one before", i, swapped)
			}
		}
		out = append(out, f.mutated(ms)...)
	}
	return out
}

// A file that ends early, anywhere, or late.
func cutFiles(t testing.TB, u *subject) (out []named) {
	for _, f := range u.files(t) {
		var ms []mutation
		lengths := spread(len(f.data), 40)
		if u.c.Name == smallest { // every boundary of an item, and its middle
			lengths = spread(f.header, f.header)
			for n := f.header; n < len(f.data); n += 16 {
				lengths = append(lengths, n)
			}
		}
		for _, n := range append(lengths, f.header-1, len(f.data)-1) {
			ms = append(ms, mutation{fmt.Sprintf("%s of %d bytes", f.name, n), f.data[:n], []error{format.ErrTruncated}})
		}
		for _, tail := range [][]byte{{0}, make([]byte, 32), f.data} {
			ms = append(ms, mutation{fmt.Sprintf("%s, %d bytes too many", f.name, len(tail)), append(bytes.Clone(f.data), tail...), []error{format.ErrTrailing}})
		}
		out = append(out, f.mutated(ms)...)
	}
	return out
}

// Every byte of the header.
func changedHeaders(t testing.TB, u *subject) (out []named) {
	for _, f := range u.files(t) {
		out = append(out, f.mutated(f.headerMutations())...)
	}
	return out
}

// Files that are nothing behind their header.
func nonsense(t testing.TB, u *subject) (out []named) {
	for _, f := range u.files(t) {
		out = append(out, f.mutated(f.nonsense())...)
	}
	return out
}

// Every message, off by one or by a generator, from which the prover goes on honestly. Two stages, which have all kinds of messages
// between them, are tried whole, one of them in every element; of the others the first and the last element of every label are, of a
// big circuit the last one.
func changedMessage(t testing.TB, u *subject) (out []named) {
	whole := map[string]int{"reveal logits": 3, "copy": 1 << 20}[u.c.Name] // elements of a message that are tried
	messages, _ := u.record(t)
	for i, m := range messages {
		elements := spread(m.n, whole)
		if whole == 0 {
			elements = ends(messages, i)
		}
		if u.big && len(elements) > 0 {
			elements = elements[len(elements)-1:]
			if elements[0] != m.n-1 {
				continue
			}
		}
		for _, index := range elements {
			out = append(out, named{what: fmt.Sprintf("message %d, %s, element %d", i, m.label, index), lie: lie{tamper: &liar{number: i, index: index}}})
		}
	}
	return out
}

// Challenges that the prover chose, one label at a time.
func chosenChallenge(t testing.TB, u *subject) (out []named) {
	u.proved(t)
	x := field.FromInt64(1<<40 + 15)
	for _, label := range u.honest.walked.challenges() {
		out = append(out, named{what: label, lie: lie{source: freeze(map[string]field.Element{label: x})}})
	}
	return u.first(6, out)
}

// A tree of fractions 0/0.
func hollowTrees(_ testing.TB, u *subject) []named {
	return []named{{what: "a tree of fractions 0/0", lie: lie{processor: hollow}}}
}

// Round polynomials that are not the sum's.
func bentRounds(_ testing.TB, u *subject) (out []named) {
	for what, bend := range bends {
		out = append(out, named{what: what, lie: lie{processor: with(func(r backend.Run) backend.Run { return &bent{Run: r, bend: bend} })}})
	}
	slices.SortFunc(out, byText)
	return u.first(2, out)
}

// A row commitment that is moved by a generator of another segment: what is committed is not what is opened.
func openingOffByDelta(_ testing.TB, u *subject) (out []named) {
	for what, g := range map[string]group.Affine{
		"pads": group.Pad(1)[0], "vector": group.Vec(0, 1)[0], "product block": group.Vec(1, 1)[0], "mask's blinder": group.H(),
		"inner product": group.U(), "another class": group.Row(8)[0], "own row": group.Row(1 << u.c.WitnessBits)[3], "unused pad": group.Pad(1 << 12)[1<<12-1],
	} {
		out = append(out, named{what: what, lie: lie{tamper: tamperer{points: func(label string, p []group.Affine) {
			if label == "witness rows" {
				p[0].Add(&p[0], &g)
			}
		}}}})
	}
	slices.SortFunc(out, byText)
	return u.first(3, out)
}

// delayed is a prover's transcript on which one message is absorbed too late: after the challenge that it should bind, or, with
// behind, after the first message with that label and all challenges before it.
type delayed struct {
	transcript.Source
	label, behind string
	held          func()
	done          bool
}

func (d *delayed) hold(label string, absorb func()) {
	switch {
	case label == d.label && !d.done && d.held == nil:
		d.held = absorb
	case label == d.behind && d.held != nil:
		absorb()
		d.release()
	default:
		absorb()
	}
}

func (d *delayed) release() {
	d.held()
	d.held, d.done = nil, true
}

// drawn absorbs what was held back from a challenge.
func (d *delayed) drawn() {
	if d.held != nil && d.behind == "" {
		d.release()
	}
}

func (d *delayed) AbsorbScalars(label string, es []field.Element) {
	es = slices.Clone(es)
	d.hold(label, func() { d.Source.AbsorbScalars(label, es) })
}

func (d *delayed) AbsorbPoints(label string, ps []group.Affine) {
	ps = slices.Clone(ps)
	d.hold(label, func() { d.Source.AbsorbPoints(label, ps) })
}

func (d *delayed) Challenge(label string) field.Element {
	defer d.drawn()
	return d.Source.Challenge(label)
}

func (d *delayed) Short(label string) field.Element {
	defer d.drawn()
	return d.Source.Short(label)
}

func (d *delayed) ChallengeBytes(label string, n int) []byte {
	defer d.drawn()
	return d.Source.ChallengeBytes(label, n)
}

// A prover who draws a challenge before he absorbs what it binds: one message of every label.
func challengeBeforeItsMessage(t testing.TB, u *subject) (out []named) {
	messages, _ := u.record(t)
	seen := map[string]bool{"rest": true} // no challenge follows it
	for _, m := range messages {
		if !seen[m.label] {
			seen[m.label] = true
			out = append(out, named{what: m.label, lie: lie{source: func(tr *transcript.Transcript) transcript.Source {
				return &delayed{Source: tr, label: m.label}
			}}})
		}
	}
	return u.first(6, out)
}

// A prover who goes through the stages in another order: the first message of a stage after that of the next one.
func stagesInAnotherOrder(t testing.TB, u *subject) (out []named) {
	messages, _ := u.record(t)
	var labels []string
	for _, m := range messages {
		if !slices.Contains(labels, m.label) {
			labels = append(labels, m.label)
		}
	}
	for i := range len(labels) - 1 {
		out = append(out, named{what: fmt.Sprintf("%s after %s", labels[i], labels[i+1]), lie: lie{source: func(tr *transcript.Transcript) transcript.Source {
			return &delayed{Source: tr, label: labels[i], behind: labels[i+1]}
		}}})
	}
	return u.first(4, out)
}

// Neighbouring messages of a proof in the other order: stages, rounds and the parts of the final argument.
func messagesExchanged(t testing.TB, u *subject) (out []named) {
	if !u.filesOf() {
		return nil
	}
	proof := u.proved(t)
	sent, part := u.record(t)
	starts, labels := []int{header}, []string(nil) // of the messages of the file, committed vectors being their commitment
	for i, n := range part {
		if n != messages.Vector {
			starts = append(starts, starts[len(starts)-1]+32*sent[i].n)
			labels = append(labels, sent[i].label)
		}
	}
	require.Equal(t, len(proof), starts[len(labels)])
	for _, i := range spread(len(labels)-1, 24) {
		a, b, c := starts[i], starts[i+1], starts[i+2]
		if swapped := slices.Concat(proof[:a], proof[b:c], proof[a:b], proof[c:]); !bytes.Equal(swapped, proof) {
			out = append(out, named{what: fmt.Sprintf("%s after %s", labels[i], labels[i+1]), run: func() error { return refusal(u.verify(u.st, swapped)) }})
		}
	}
	return out
}
