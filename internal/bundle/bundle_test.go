package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	sums "github.com/zkllmc/zkllmc/generated/sums/circuit"
	"github.com/zkllmc/zkllmc/internal/bundle"
)

func sample(t testing.TB) *bundle.Bundle {
	f, err := sums.Build()
	require.NoError(t, err)
	b := &bundle.Bundle{Circuit: []byte("circuit"), Key: []byte("key"), Tokenizer: []byte("tokenizer"), Template: []byte("template")}
	b.Card.Describe(f)
	b.Card.Precision = &bundle.Precision{OK: true, Inputs: 3}
	return b
}

func written(t testing.TB, b *bundle.Bundle) []byte {
	var out bytes.Buffer
	require.NoError(t, b.Write(&out))
	return out.Bytes()
}

// file is a file of an archive.
type file struct {
	name, data string
}

func archive(t testing.TB, files ...file) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		w, err := z.Create(f.name)
		require.NoError(t, err)
		_, err = w.Write([]byte(f.data))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// TestRoundTrip reads what was written; the bytes depend on the bundle alone.
func TestRoundTrip(t *testing.T) {
	for _, change := range []func(*bundle.Bundle){func(*bundle.Bundle) {}, func(b *bundle.Bundle) { b.Template = nil }, func(b *bundle.Bundle) { b.Template, b.Tokenizer = nil, nil }} {
		b := sample(t)
		change(b)
		data := written(t, b)
		got, err := bundle.Read(data)
		require.NoError(t, err)
		require.Equal(t, data, written(t, got))
		require.Equal(t, b, got)
	}
}

// TestRefused reads nothing that is not exactly a bundle.
func TestRefused(t *testing.T) {
	data := written(t, sample(t))
	for n := 0; n < len(data); n += 1 + len(data)/50 {
		_, err := bundle.Read(data[:n])
		require.ErrorIs(t, err, bundle.ErrBundle, n)
	}
	card := file{"card.json", `{"version": 1}`}
	circuit, key := file{"model.circuit", "c"}, file{"model.vk", "k"}
	for name, c := range map[string]struct {
		files []file
		says  string
	}{
		"another file":      {[]file{card, circuit, key, {"prover.key", "x"}}, `it holds "prover.key"`},
		"a path":            {[]file{card, circuit, key, {"../tokenizer", "x"}}, `it holds "../tokenizer"`},
		"twice":             {[]file{card, circuit, key, key}, "it holds model.vk twice"},
		"twice, empty":      {[]file{card, circuit, {"model.vk", ""}, key}, "it holds model.vk twice"},
		"no key":            {[]file{card, circuit}, "it holds no model.vk"},
		"no card":           {[]file{circuit, key}, "it holds no card.json"},
		"another tokenizer": {[]file{card, circuit, key, {"tokenizer", "x"}}, "another tokenizer"},
		"another template":  {[]file{{"card.json", fmt.Sprintf(`{"version": 1, "tokenizer_sha256": "%x"}`, sha256.Sum256([]byte("x")))}, circuit, key, {"tokenizer", "x"}, {"template.json", "y"}}, "another tokenizer or template"},
		"no tokenizer":      {[]file{card, circuit, key, {"template.json", "x"}}, "a template and no tokenizer"},
		"other version":     {[]file{{"card.json", `{"version": 2}`}, circuit, key}, "version 2, want 1"},
		"unknown fields":    {[]file{{"card.json", `{"version": 1, "trusted": true}`}, circuit, key}, "unknown field"},
		"no date":           {[]file{{"card.json", `{"version": 1, "made_at": "2026\nmodel ID 0"}`}, circuit, key}, "want YYYY-MM-DD"},
		"two cards":         {[]file{{"card.json", `{"version": 1}{"version": 1}`}, circuit, key}, "bytes behind"},
		"a large card":      {[]file{{"card.json", fmt.Sprintf(`{"version": 1, "about": "%01048576d"}`, 0)}, circuit, key}, "more than 1048576"},
	} {
		_, err := bundle.Read(archive(t, c.files...))
		require.ErrorIs(t, err, bundle.ErrBundle, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

// TestPacked reads a card of as many bytes as one may have, and no file that is packed in a way that nobody knows.
func TestPacked(t *testing.T) {
	about := `{"version": 1, "about": "` + strings.Repeat("a", 1<<20-27) + `"}`
	require.Len(t, about, 1<<20)
	_, err := bundle.Read(archive(t, file{"card.json", about}, file{"model.circuit", "c"}, file{"model.vk", "k"}))
	require.NoError(t, err)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "card.json", Method: 99})
	require.NoError(t, err)
	_, err = w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	_, err = bundle.Read(out.Bytes())
	require.ErrorIs(t, err, zip.ErrAlgorithm)
}

// TestAgrees notices a card that says something else of the circuits.
func TestAgrees(t *testing.T) {
	f, err := sums.Build()
	require.NoError(t, err)
	card := sample(t).Card
	require.NoError(t, card.Agrees(f))
	for name, change := range map[string]func(*bundle.Card){
		"circuit":        func(c *bundle.Card) { c.Circuit = "0" },
		"statements":     func(c *bundle.Card) { c.Statements = "function" },
		"weights":        func(c *bundle.Card) { c.Hidden.Weights++ },
		"hidden inputs":  func(c *bundle.Card) { c.Hidden.Inputs = []string{"ids"} },
		"hidden outputs": func(c *bundle.Card) { c.Hidden.Outputs = []string{"logits"} },
		"a port less":    func(c *bundle.Card) { c.Ports = c.Ports[1:] },
		"what is told":   func(c *bundle.Card) { c.Ports[1].Reveals = "nothing" },
	} {
		other := sample(t).Card
		change(&other)
		require.Error(t, other.Agrees(f), name)
	}
}

// FuzzRead looks for archives that make the reader panic.
func FuzzRead(f *testing.F) {
	f.Add(written(f, sample(f)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := bundle.Read(data); err == nil {
			require.NotNil(t, b.Key)
		}
	})
}
