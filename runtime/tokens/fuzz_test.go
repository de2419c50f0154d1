package tokens_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// seed is a valid vocabulary of each kind.
func seed(kind byte) []byte {
	if kind%2 == 0 {
		return sample()
	}
	return []byte(`{"tokeniser":"character","vocab":{"a":0,"b":1,"é":2,"\n":3," ":4},"pad_id":5,"end_token":"b"}`)
}

// What Parse may allocate: a token of a few bytes takes two words, a score and an entry of two maps, which grow by doubling.
const (
	slackBytes = 256 << 10
	perByte    = 64
)

// FuzzParse changes a word of a valid vocabulary file, cuts it and lengthens it; a cut of its whole length makes more the file. Whatever
// the file, memory follows its size, no text makes the tokenizer panic, and what can be written can be read.
func FuzzParse(f *testing.F) {
	for kind := range byte(2) {
		for at := 0; at < len(seed(kind)); at += 97 {
			f.Add(kind, uint16(at), uint32(0xffffffff), uint16(0), []byte{}, "the \n<s>é")
		}
	}
	f.Add(byte(0), uint16(0), uint32(0), uint16(0), []byte{0, 0, 0xc0, 0x7f, 0, 0, 0, 0}, "a")                         // a score that is no number
	f.Add(byte(0), uint16(0), uint32(0), uint16(0), []byte{0, 0, 0x80, 0x7f, 1, 0, 0, 0, 'x'}, strings.Repeat("x", 9)) // infinity
	f.Add(byte(1), uint16(0), uint32(0), uint16(1), bytes.Repeat([]byte(`,"x":[`), 99), "")
	f.Add(byte(1), uint16(0), uint32(0), uint16(len(seed(1))), []byte(`{"tokeniser":"character","vocab":{"a":0,"b":1},"end_token":"a"}`), "abba")
	f.Fuzz(func(t *testing.T, kind byte, at uint16, with uint32, cut uint16, more []byte, text string) {
		d := seed(kind)
		d = append(slices.Clone(d[:len(d)-int(cut)%(len(d)+1)]), more...)
		if i := int(at); i+4 <= len(d) {
			binary.LittleEndian.PutUint32(d[i:], binary.LittleEndian.Uint32(d[i:])^with)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v, err := tokens.Parse(d)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > slackBytes+perByte*uint64(len(d)) {
			t.Fatalf("%d bytes allocated for a file of %d bytes", n, len(d))
		}
		if err != nil {
			return
		}
		v.Decode([]int64{-1 << 63, -1, 0, 1, 1<<63 - 1})
		if ids, err := v.Continue(text); err == nil && v.Decode(ids) != text {
			t.Fatalf("%q is continued as %q", text, v.Decode(ids))
		}
		ids, err := v.Encode(text)
		if err != nil {
			return
		}
		if got := v.Decode(ids); got != text {
			t.Fatalf("%q is read as %q", text, got)
		}
	})
}

// FuzzReading takes every three bytes for a token id, some outside the vocabulary, and shows the ids as prompt and as answer: a text that
// is shown as canonical encodes to these ids, an end token inside is never canonical, other ids are spelled otherwise. And the text of an
// honest prompt is always shown.
func FuzzReading(f *testing.F) {
	for kind := range byte(2) {
		f.Add(kind, []byte{0, 0, 1, 0, 1, 6}, []byte{0, 0, 1, 0, 1, 8, 0, 1, 5}, "the")
		f.Add(kind, []byte{0, 0, 5, 0, 0, 0}, []byte{0, 0, 0}, "a b")
		f.Add(kind, []byte{0, 0, 0, 0, 0, 1, 0, 0, 0}, []byte{0, 0, 0, 0, 0, 1}, "ab")
		f.Add(kind, []byte{0, 0, 198, 0, 0, 172, 255, 255, 255}, []byte{}, "⟨5⟩")
	}
	var vocabularies [2]tokens.Tokenizer
	for kind := range vocabularies {
		v, err := tokens.Parse(seed(byte(kind)))
		if err != nil {
			f.Fatal(err)
		}
		vocabularies[kind] = v
	}
	f.Fuzz(func(t *testing.T, kind byte, first, second []byte, text string) {
		v := vocabularies[kind%2]
		x, y := triples(first), triples(second)
		for _, ids := range [][]int64{x, y} {
			honest(t, v, ids)
		}
		if !slices.Equal(x, y) && reading.Spell(v, x) == reading.Spell(v, y) {
			t.Fatalf("%d and %d are both spelled %s", x, y, reading.Spell(v, x))
		}
		ids, err := v.Encode(text)
		if r := reading.Prompt(v, ids); err == nil && utf8.ValidString(text) && (!r.Canonical || r.Text != text) {
			t.Fatalf("the prompt %q is read as %+v", text, r)
		}
	})
}

// honest checks that what is shown of ids says what they are.
func honest(t *testing.T, v tokens.Tokenizer, ids []int64) {
	if r := reading.Prompt(v, ids); r.Canonical {
		if got, err := v.Encode(r.Text); err != nil || !slices.Equal(got, ids) {
			t.Fatalf("%d is shown as the prompt %q, which is %d", ids, r.Text, got)
		}
	}
	r := reading.Answer(v, ids)
	if !r.Canonical {
		return
	}
	end, ok := v.End()
	got, err := v.Continue(r.Text)
	if err != nil || !slices.Equal(got, ids) && !(ok && slices.Equal(append(got, end), ids)) {
		t.Fatalf("%d is shown as the answer %q, which is %d", ids, r.Text, got)
	}
	if at := slices.Index(ids, end); ok && at >= 0 && at < len(ids)-1 {
		t.Fatalf("%d is shown as %q, with an end token inside", ids, r.Text)
	}
}

// triples reads numbers of three bytes with a sign.
func triples(b []byte) (ids []int64) {
	for ; len(b) >= 3; b = b[3:] {
		ids = append(ids, int64(int8(b[0]))<<16|int64(b[1])<<8|int64(b[2]))
	}
	return ids
}
