package huggingface

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// expectation is what the library gives for a text.
type expectation struct {
	Text    string  `json:"text"`
	IDs     []int64 `json:"ids"`
	Plain   []int64 `json:"plain"` // without the post-processor's
	Decoded string  `json:"decoded"`
}

// Every tokenizer of the folder TOKENIZERS gives, line by line, the ids and the decoded text that testdata/expect.py wrote beside it.
func TestLibrary(t *testing.T) {
	folder := os.Getenv("TOKENIZERS")
	if folder == "" {
		t.Skip("TOKENIZERS names no folder of testdata/expect.py")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) { compareFile(t, file) })
	}
}

func compareFile(t *testing.T, file string) {
	data, err := os.ReadFile(strings.TrimSuffix(file, "l"))
	require.NoError(t, err)
	start := time.Now()
	k, err := parse(data)
	require.NoError(t, err)
	loaded := time.Since(start)
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	lines, tokens, wrong := 0, 0, 0
	start = time.Now()
	for d := json.NewDecoder(bufio.NewReader(f)); d.More(); lines++ {
		var e expectation
		require.NoError(t, d.Decode(&e))
		ids, err := k.Encode(e.Text)
		require.NoError(t, err, "%q", e.Text)
		plain, err := k.Continue(e.Text)
		require.NoError(t, err, "%q", e.Text)
		tokens += len(ids)
		if decoded := k.text(plain); !slices.Equal(ids, e.IDs) || !slices.Equal(plain, e.Plain) || decoded != e.Decoded {
			if wrong++; wrong <= 5 {
				t.Errorf("%q is %d, read as %q; the library has %d, read as %q", e.Text, ids, decoded, e.IDs, e.Decoded)
			}
		}
	}
	t.Logf("%d lines, %d tokens, %d wrong; read in %v, encoded twice and decoded in %v", lines, tokens, wrong, loaded, time.Since(start))
}

// The small tokenizers of testdata, one of every kind, give what the library gave, as testdata/train.py stored it: 4 bytes of a SHA-256 for
// every ten of 10,000 lines.
func TestStored(t *testing.T) {
	texts := storedTexts(t)
	require.Len(t, texts, 10000)
	for _, name := range storedNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := stored(t, name)
			sums, err := os.ReadFile(filepath.Join("testdata", name+".sum"))
			require.NoError(t, err)
			require.Len(t, sums, 4*len(texts)/10)
			wrong := 0
			for i := 0; i < len(texts); i += 10 {
				if got := sum(t, k, texts[i:i+10]); string(got[:4]) != string(sums[4*i/10:][:4]) {
					if wrong++; wrong == 1 {
						t.Errorf("lines %d to %d, %q, have other tokens than in the library; expect.py shows which", i, i+9, texts[i:i+10])
					}
				}
			}
			require.Zero(t, wrong, "of %d", len(texts)/10)
		})
	}
}

func sum(t *testing.T, k *tokenizer, texts []string) [32]byte {
	var b bytes.Buffer
	for _, text := range texts {
		ids, err := k.Encode(text)
		require.NoError(t, err, "%q", text)
		plain := ids[len(k.before) : len(ids)-len(k.after)]
		b.WriteString(list(ids) + " " + list(plain) + " " + k.text(plain) + "\n")
	}
	return sha256.Sum256(b.Bytes())
}

// list writes ids as Python does.
func list(ids []int64) string {
	out := []byte("[")
	for i, id := range ids {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = strconv.AppendInt(out, id, 10)
	}
	return string(append(out, ']'))
}

func storedTexts(t testing.TB) (texts []string) {
	f, err := os.Open(filepath.Join("testdata", "lines.json.gz"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(z).Decode(&texts))
	return texts
}

func storedNames(t testing.TB) (names []string) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.sum"))
	require.NoError(t, err)
	require.Greater(t, len(files), 9)
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".sum"))
	}
	return names
}

func stored(t testing.TB, name string) *tokenizer {
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	k, err := parse(data)
	require.NoError(t, err, name)
	return k
}
