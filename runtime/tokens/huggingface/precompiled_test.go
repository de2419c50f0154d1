package huggingface

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A charsmap replaces short grapheme clusters whole, and in others every character; which they are is what the library says of texts of
// characters that clusters depend on. testdata/clusters.py asked it.
func TestPrecompiled(t *testing.T) {
	var stored struct {
		Charsmap string      `json:"charsmap"`
		Texts    [][2]string `json:"texts"`
	}
	readStored(t, "clusters.json.gz", &stored)
	require.Len(t, stored.Texts, 4000)
	normalize, err := parseNormalizer([]byte(`{"type": "Precompiled", "precompiled_charsmap": "` + stored.Charsmap + `"}`))
	require.NoError(t, err)
	changed := 0
	for _, x := range stored.Texts {
		got, err := normalize(x[0])
		require.NoError(t, err)
		require.Equal(t, x[1], got, "%+q", x[0])
		if x[0] != x[1] {
			changed++
		}
	}
	require.Greater(t, changed, 3000, "the control")
}

// A charsmap that is none is refused; one whose trie leads out of it replaces nothing.
func TestPrecompiledOfNothing(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing": {}, "no trie": {0, 0, 0, 0, 'a'}, "short": {8, 0, 0, 0, 1, 2, 3, 4}, "no text": {4, 0, 0, 0, 0, 0, 0, 0, 0xff},
		"a long replacement": append([]byte{4, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("a"), 65)...),
	} {
		_, err := newCharsmap(base64.StdEncoding.EncodeToString(data))
		require.Error(t, err, name)
	}
	_, err := newCharsmap("!")
	require.Error(t, err)
	for _, unit := range []uint32{0, 1 << 31, 0xffffffff, 1 << 10, 'a' | 1<<8, 1<<9 | 0x3fffff<<10} {
		data := binary.LittleEndian.AppendUint32(nil, 4*200)
		for range 200 {
			data = binary.LittleEndian.AppendUint32(data, unit)
		}
		m, err := newCharsmap(base64.StdEncoding.EncodeToString(slices.Concat(data, []byte("é\x00"))))
		require.NoError(t, err)
		require.NotPanics(t, func() { m.normalize("abc\x00é\u0301") })
	}
}
