package transcript

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

func be64(n int) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// head is what precedes an item's data.
func head(label string, n int) string { return "\x01" + be64(len(label)) + label + be64(n) }

// TestConfusable runs pairs of histories that are the same bytes to a transcript which leaves one part of an item out, or writes it
// in another place: the length of a label or of data, the kind, the head behind the data. Their challenges must differ.
func TestConfusable(t *testing.T) {
	type history func(*Transcript)
	absorb := func(items ...string) history {
		return func(t *Transcript) {
			for i := 0; i < len(items); i += 2 {
				t.Absorb(items[i], []byte(items[i+1]))
			}
		}
	}
	es := field.Powers(field.FromInt64(3), 3)
	ps := slices.Repeat([]group.Affine{group.H()}, 3)
	scalars := func(label string, n int) history { return func(t *Transcript) { t.AbsorbScalars(label, es[:n]) } }
	points := func(label string, n int) history { return func(t *Transcript) { t.AbsorbPoints(label, ps[:n]) } }
	// Behind both items' data their heads; the second history has one item with all of it but the first bytes as its label.
	tail := "\x01" + be64(len("34")+len(head("a", 0))+len(head("b", 0))-8)
	for name, pair := range map[string][2]history{
		"label without its length":    {absorb("a", be64(0)), absorb("a"+be64(8), "")},
		"data without their length":   {absorb("a", "x", "b", ""), absorb("a", "x\x01"+be64(1)+"b")},
		"data and then a whole item":  {absorb("a", "x", "b", "y"), absorb("a", "x"+head("b", 1)+"y")},
		"label of scalars":            {scalars("a", 2), scalars("b", 2)},
		"label of points":             {points("a", 2), points("b", 2)},
		"an item of scalars cut":      {func(t *Transcript) { scalars("a", 1)(t); scalars("a", 0)(t) }, scalars("a", 1)},
		"an item of points cut":       {func(t *Transcript) { points("a", 1)(t); points("a", 0)(t) }, points("a", 1)},
		"fewer scalars":               {scalars("a", 2), scalars("a", 3)},
		"fewer points":                {points("a", 2), points("a", 3)},
		"a challenge or an absorb":    {func(t *Transcript) { t.ChallengeBytes("a", 0) }, absorb("a", "")},
		"heads behind the data":       {absorb("a", "12"+tail, "b", "34"), absorb("34"+head("a", 2+len(tail))+head("b", 2)[:len(head("b", 2))-8], "12")},
		"a label that holds an item":  {absorb("a", "", "b", ""), absorb("a"+be64(0)+"\x01"+be64(1)+"b", "")},
		"no scalars, no points":       {scalars("a", 0), func(t *Transcript) {}},
		"no points at all":            {points("a", 0), func(t *Transcript) {}},
		"scalars under another label": {func(t *Transcript) { scalars("a", 1)(t); scalars("b", 1)(t) }, func(t *Transcript) { scalars("b", 1)(t); scalars("a", 1)(t) }},
	} {
		var got [2]string
		for i, h := range pair {
			tr := New("p")
			h(tr)
			got[i] = hex.EncodeToString(tr.ChallengeBytes("final", 32))
		}
		if got[0] == got[1] {
			t.Errorf("%s: two histories that the challenges do not bind apart", name)
		}
	}
}

// TestDrawsAreSeparate draws in different ways at the same place.
func TestDrawsAreSeparate(t *testing.T) {
	seen := map[string]string{}
	for name, draw := range map[string]func(*Transcript) []byte{
		"bytes a":      func(t *Transcript) []byte { return t.ChallengeBytes("a", 32) },
		"bytes b":      func(t *Transcript) []byte { return t.ChallengeBytes("b", 32) },
		"more bytes a": func(t *Transcript) []byte { return t.ChallengeBytes("a", 64)[:32] },
		"full a":       func(t *Transcript) []byte { v := t.Challenge("a"); return field.Encode(nil, &v) },
		"full b":       func(t *Transcript) []byte { v := t.Challenge("b"); return field.Encode(nil, &v) },
		"short a":      func(t *Transcript) []byte { v := t.Short("a"); return field.Encode(nil, &v) },
		"short b":      func(t *Transcript) []byte { v := t.Short("b"); return field.Encode(nil, &v) },
		"second a":     func(t *Transcript) []byte { t.ChallengeBytes("a", 32); return t.ChallengeBytes("a", 32) },
	} {
		tr := New("p")
		tr.Absorb("label", []byte("data"))
		got := hex.EncodeToString(draw(tr))
		if other, twice := seen[got]; twice {
			t.Errorf("%s and %s agree", name, other)
		}
		seen[got] = name
	}
}
