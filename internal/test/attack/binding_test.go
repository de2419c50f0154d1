package attack

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// What a challenge does not depend on, a prover chooses after he has seen it. The tests of this file walk the verifier over a valid
// proof, change one item of what it reads, and demand that every challenge drawn afterwards changes.

// draw is a challenge and how many items of the proof were read before it.
type draw struct {
	label, value string
	read         int
}

// watch stands between a verifier and both its proof and its transcript, and writes down the challenges.
type watch struct {
	transcript.Source
	items veil.Reader
	read  int
	draws []draw
}

func (w *watch) note(label, value string) {
	w.draws = append(w.draws, draw{label, value, w.read})
}

func (w *watch) Points(out []group.Affine) error {
	w.read += len(out)
	return w.items.Points(out)
}

func (w *watch) Scalar() (field.Element, error) {
	w.read++
	return w.items.Scalar()
}

func (w *watch) Challenge(label string) field.Element {
	v := w.Source.Challenge(label)
	w.note(label, v.String())
	return v
}

func (w *watch) Short(label string) field.Element {
	v := w.Source.Short(label)
	w.note(label, v.String())
	return v
}

func (w *watch) ChallengeBytes(label string, n int) []byte {
	v := w.Source.ChallengeBytes(label, n)
	w.note(label, fmt.Sprintf("%x", v))
	return v
}

// challenges are the draws of a verifier of p, whether it accepts or not. proof holds the items, without a header.
func challenges(p *protocol.Proof, proof []byte) ([]draw, error) {
	digest := p.Circuit.Digest()
	w := format.NewWriter(format.MagicProof, digest)
	w.Raw(proof)
	r, err := format.NewReader(w.Bytes(), format.MagicProof, digest)
	if err != nil {
		return nil, err
	}
	v := &watch{Source: p.Transcript(), items: r}
	err = p.Run(veil.NewVerifier(v, v))
	return v.draws, err
}

// unbound returns an error if one of the challenges drawn behind the first so many items is the same in both runs, or one before
// them is not.
func unbound(honest, changed []draw, items int) error {
	if len(honest) != len(changed) {
		return fmt.Errorf("%d challenges, want %d", len(changed), len(honest))
	}
	for i, d := range honest {
		switch same := d.value == changed[i].value; {
		case d.label != changed[i].label || d.read != changed[i].read:
			return fmt.Errorf("challenge %d is %q after %d items, want %q after %d", i, changed[i].label, changed[i].read, d.label, d.read)
		case d.read > items && same:
			return fmt.Errorf("there is an item that the challenges do not bind: %q is drawn as before", d.label)
		case d.read <= items && !same:
			return fmt.Errorf("%q is drawn before the item and changes", d.label)
		}
	}
	return nil
}

// Every item of a proof changes every challenge that is drawn after it was read. Of the longer proof the ends of every message are
// changed.
func rejectItemThatChallengesDoNotBind(t *testing.T) {
	for name, all := range map[string]bool{"copy": true, "residual": false} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			p, body := u.proof(t, u.st), u.proved(t)[header:]
			honest, err := challenges(p, body)
			require.NoError(t, err)
			items := u.sentItems(t, all)
			for i, err := range parallel(len(items), func(i int) error { return items[i].bound(p, body, honest) }) {
				assert.NoError(t, err, "item %d, of %s", items[i].at, items[i].label)
			}
		})
	}
}

// sentItem is an item of a proof: where it stands and what it is.
type sentItem struct {
	at    int
	point bool
	label string
}

// sentItems lists a proof's items, all of them or the first and the last of every message. A vector's values are not sent.
func (u *subject) sentItems(t *testing.T, all bool) []sentItem {
	t.Helper()
	var out []sentItem
	at := 0
	sent, part := u.record(t)
	for i, n := range part {
		m := sent[i]
		if n == messages.Vector {
			continue
		}
		for k := range m.n {
			if all || k == 0 || k == m.n-1 {
				out = append(out, sentItem{at + k, m.points, m.label})
			}
		}
		at += m.n
	}
	return out
}

// bound changes the item to another valid one, a point plus a generator or a scalar plus one, and compares challenges.
func (s sentItem) bound(p *protocol.Proof, body []byte, honest []draw) error {
	changed := bytes.Clone(body)
	item := changed[32*s.at : 32*s.at+32]
	if s.point {
		v, err := group.Decode(item)
		if err != nil {
			return err
		}
		h := group.H()
		v.Add(&v, &h)
		copy(item, group.Encode(nil, &v))
	} else {
		v, err := field.Decode(item)
		if err != nil {
			return err
		}
		v.Add(&v, &one)
		copy(item, field.Encode(nil, &v))
	}
	draws, err := challenges(p, changed)
	if err == nil {
		return errAccepted
	}
	return unbound(honest, draws, s.at)
}

// Everything that is public changes every challenge of a proof: family, circuit, kind, model and statement.
func rejectPublicThatChallengesDoNotBind(t *testing.T) {
	for _, name := range []string{"reveal logits", "reveal argmax", "private embedding"} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			proof, err := u.prove(lie{})
			require.NoError(t, err)
			honest, err := challenges(u.proof(t, u.st), proof[header:])
			require.NoError(t, err)
			for what, change := range u.otherPublics(t, stages[name]) {
				p := u.proof(t, u.st)
				change(p)
				draws, err := challenges(p, proof[header:])
				require.Error(t, err, what)
				require.NoError(t, unbound(honest, draws, -1), what)
			}
		})
	}
}

// otherPublics are changes of what is public, one thing each, that leave the lengths of all messages as they are.
func (u *subject) otherPublics(t testing.TB, s spec) map[string]func(*protocol.Proof) {
	change := func(f func(*generation.Statement)) func(*protocol.Proof) {
		return func(p *protocol.Proof) {
			st := *u.text()
			st.Tokens, st.Logits = append([]int64(nil), st.Tokens...), append([]int64(nil), st.Logits...)
			f(&st)
			p.Statement = &st
		}
	}
	s.cfg.Name += " by another name"
	renamed := finish(t, s.cfg, s.build)
	out := map[string]func(*protocol.Proof){
		"kind":          func(p *protocol.Proof) { p.Kind = protocol.KindSetup },
		"family":        func(p *protocol.Proof) { p.Family[31] ^= 1 },
		"circuit":       func(p *protocol.Proof) { p.Circuit = renamed },
		"prompt length": change(func(st *generation.Statement) { st.Prompt = st.Prompt%len(st.Tokens) + 1 }),
	}
	for i := range u.text().Tokens {
		out[fmt.Sprintf("token %d", i)] = change(func(st *generation.Statement) { st.Tokens[i] = (st.Tokens[i] + 1) % int64(u.c.Generation.Vocab) })
	}
	for i := range u.text().Logits {
		out[fmt.Sprintf("logit %d", i)] = change(func(st *generation.Statement) { st.Logits[i]++ })
	}
	if u.c.Generation.Reveal == circuit.Argmax {
		out["next token"] = change(func(st *generation.Statement) { st.Next = (st.Next + 1) % int64(u.c.Generation.Vocab) })
		out["no next token"] = change(func(st *generation.Statement) { st.Next = generation.Unclaimed })
	}
	for i := range protocol.WeightLayout(u.c).Rows {
		out[fmt.Sprintf("row %d of the model", i)] = func(p *protocol.Proof) {
			h := group.H()
			p.Weights.Points[i].Add(&p.Weights.Points[i], &h)
		}
	}
	return out
}
