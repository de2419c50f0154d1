package tokens_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// seed is a valid vocabulary of each kind.
func seed(kind byte) []byte {
	if kind%2 == 0 {
		return sample()
	}
	return []byte(`{"tokeniser":"character","vocab":{"a":0,"b":1,"é":2,"\n":3," ":4},"pad_id":5,"end_token":"b"}`)
}

// FuzzVocabulary changes a word of a valid vocabulary file, cuts it and lengthens it. Whatever the file, memory follows its size, no
// text makes the tokenizer panic, ids lie in what Decode knows, and what can be written can be read.
func FuzzVocabulary(f *testing.F) {
	for kind := range byte(2) {
		for at := 0; at < len(seed(kind)); at += 97 {
			f.Add(kind, uint16(at), uint32(0xffffffff), uint16(0), []byte{}, "the \n<s>é")
		}
	}
	f.Add(byte(0), uint16(0), uint32(0), uint16(0), []byte{0, 0, 0xc0, 0x7f, 0, 0, 0, 0}, "a")                         // a score that is no number
	f.Add(byte(0), uint16(0), uint32(0), uint16(0), []byte{0, 0, 0x80, 0x7f, 1, 0, 0, 0, 'x'}, strings.Repeat("x", 9)) // infinity
	f.Add(byte(1), uint16(0), uint32(0), uint16(1), bytes.Repeat([]byte(`,"x":[`), 99), "")
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
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10+64*uint64(len(d)) {
			t.Fatalf("%d bytes allocated for a file of %d bytes", n, len(d))
		}
		if err != nil {
			return
		}
		v.Decode([]int64{-1 << 63, -1, 0, 1, 1<<63 - 1})
		ids, err := v.Encode(text)
		if err != nil {
			return
		}
		// A vocabulary without the token " " begins with the byte instead, which Decode does not leave out.
		if got := v.Decode(ids); kind%2 == 0 && got != text && got != " "+text {
			t.Fatalf("%q is read as %q", text, got)
		}
	})
}
