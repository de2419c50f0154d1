package transcript

import (
	"bytes"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// spec is the package comment's byte layout, written a second time.
type spec struct{ pending []byte }

func str(s string) []byte { return append(binary.BigEndian.AppendUint64(nil, uint64(len(s))), s...) }

func (s *spec) absorb(label string, data []byte) {
	s.pending = slices.Concat(s.pending, []byte{1}, str(label), str(string(data)))
}

func (s *spec) squeeze(kind byte, label string, n int) []byte {
	s.pending = slices.Concat(s.pending, []byte{kind}, str(label), binary.BigEndian.AppendUint64(nil, uint64(n)))
	out := sha3.SumSHAKE256(s.pending, 64+n)
	s.pending = append([]byte{5}, out[:64]...)
	return out[64:]
}

func TestLayout(t *testing.T) {
	scalars := []field.Element{field.FromInt64(1), field.FromInt64(-7), {}}
	points := []group.Affine{group.H(), {}, group.U()}
	tr, s := New("test/v1"), &spec{append([]byte{0}, str("test/v1")...)}
	for i := range 3 {
		tr.Absorb("data", []byte("hello"))
		s.absorb("data", []byte("hello"))
		tr.Absorb("", nil)
		s.absorb("", nil)

		full, want := tr.Challenge("full"), field.Uniform(s.squeeze(2, "full", 64))
		if !full.Equal(&want) {
			t.Fatalf("round %d: full challenge", i)
		}
		tr.AbsorbScalars("scalars", scalars)
		var b []byte
		for k := range scalars {
			b = field.Encode(b, &scalars[k])
		}
		s.absorb("scalars", b)
		short, want := tr.Short("short"), field.ShortChallenge([16]byte(s.squeeze(3, "short", 16)))
		if !short.Equal(&want) {
			t.Fatalf("round %d: short challenge", i)
		}
		tr.AbsorbPoints("points", points)
		b = nil
		for k := range points {
			b = group.Encode(b, &points[k])
		}
		s.absorb("points", b)
		if !bytes.Equal(tr.ChallengeBytes("bytes", 100*i), s.squeeze(4, "bytes", 100*i)) {
			t.Fatalf("round %d: bytes", i)
		}
	}
}

// TestLongItems crosses the buffer's limit.
func TestLongItems(t *testing.T) {
	scalars := field.Powers(field.FromInt64(3), 1000)
	points := slices.Repeat([]group.Affine{group.H()}, 1000)
	a, b := New("p"), New("p")
	a.AbsorbScalars("s", scalars)
	a.AbsorbPoints("g", points)
	var sb, pb []byte
	for i := range scalars {
		sb, pb = field.Encode(sb, &scalars[i]), group.Encode(pb, &points[i])
	}
	b.Absorb("s", sb)
	b.Absorb("g", pb)
	if x, y := a.Challenge("c"), b.Challenge("c"); !x.Equal(&y) {
		t.Fatal("AbsorbScalars or AbsorbPoints is not Absorb of the encodings")
	}
}

// TestSeparation runs histories that differ in one respect; every challenge must differ.
func TestSeparation(t *testing.T) {
	histories := map[string]func(*Transcript){
		"empty":         func(t *Transcript) {},
		"a|bc":          func(t *Transcript) { t.Absorb("a", []byte("bc")) },
		"ab|c":          func(t *Transcript) { t.Absorb("ab", []byte("c")) },
		"a|b,|c":        func(t *Transcript) { t.Absorb("a", []byte("b")); t.Absorb("", []byte("c")) },
		"a|b,c|":        func(t *Transcript) { t.Absorb("a", []byte("b")); t.Absorb("c", nil) },
		"a|":            func(t *Transcript) { t.Absorb("a", nil) },
		"a|0":           func(t *Transcript) { t.Absorb("a", []byte{0}) },
		"squeeze a":     func(t *Transcript) { t.Challenge("a") },
		"squeeze b":     func(t *Transcript) { t.Challenge("b") },
		"short a":       func(t *Transcript) { t.Short("a") },
		"bytes a":       func(t *Transcript) { t.ChallengeBytes("a", 64) },
		"bytes a, more": func(t *Transcript) { t.ChallengeBytes("a", 65) },
		"none":          func(t *Transcript) { t.ChallengeBytes("a", 0) },
		"twice":         func(t *Transcript) { t.Challenge("a"); t.Challenge("a") },
		"bc after a":    func(t *Transcript) { t.Challenge("a"); t.Absorb("a", []byte("bc")) },
		"bc before a":   func(t *Transcript) { t.Absorb("a", []byte("bc")); t.Challenge("a") },
	}
	seen := map[string]string{}
	for name, h := range histories {
		for _, protocol := range []string{"p", "q"} {
			tr := New(protocol)
			h(tr)
			c := hex.EncodeToString(tr.ChallengeBytes("final", 32))
			if other, ok := seen[c]; ok {
				t.Fatalf("%s/%s and %s agree", protocol, name, other)
			}
			seen[c] = protocol + "/" + name
		}
	}
}

func TestRecord(t *testing.T) {
	var got []string
	tr := New("p")
	tr.Record(func(kind, label string, n int) { got = append(got, fmt.Sprint(kind, " ", label, " ", n)) })
	tr.Absorb("a", []byte("xyz"))
	tr.AbsorbScalars("s", make([]field.Element, 2))
	tr.AbsorbPoints("g", make([]group.Affine, 3))
	tr.Challenge("c")
	tr.Short("r")
	tr.ChallengeBytes("b", 5)
	want := []string{"absorb a 3", "absorb s 64", "absorb g 96", "challenge c 64", "short r 16", "bytes b 5"}
	if !slices.Equal(got, want) {
		t.Fatalf("recorded %q", got)
	}
}

// TestPinned fixes the layout: another value is another protocol version.
func TestPinned(t *testing.T) {
	tr := New("zkllmc/v1")
	tr.Absorb("label", []byte("data"))
	tr.Challenge("c")
	tr.Short("s")
	const want = "de14f9fdc2a22beecb70973aa0705855"
	if got := hex.EncodeToString(tr.ChallengeBytes("b", 16)); got != want {
		t.Fatalf("the transcript changed: %s", got)
	}
}

func BenchmarkRound(b *testing.B) {
	tr := New("p")
	s := make([]field.Element, 3)
	for b.Loop() {
		tr.AbsorbScalars("round", s)
		tr.Short("r")
	}
}

func BenchmarkAbsorbPoints(b *testing.B) {
	tr := New("p")
	points := slices.Repeat([]group.Affine{group.H()}, 1000)
	for b.Loop() {
		tr.AbsorbPoints("rows", points)
	}
}
