package spec_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/test/second"
)

// The file in which the second verifier keeps generators, as its README describes it.
const cacheHead = "zkllmcG1\x00\x15zkllmc/v1/generators/"

// generators derives most of what the vectors use, here, and writes it for the second verifier, which derives the rest.
func generators(t *testing.T) string {
	t.Helper()
	lengths := map[string]int{"H": 1, "U": 1, "pad": 1 << 9, "row/16": 16, "row/32": 32, "row/64": 64,
		"vec/0": 1 << 7, "vec/1": 1 << 7, "vec/2": 1 << 7, "vec/3": 1 << 7, "vec/4": 1 << 7}
	data := binary.BigEndian.AppendUint32([]byte(cacheHead), uint32(len(lengths)))
	for _, tag := range slices.Sorted(maps.Keys(lengths)) {
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(tag))), tag...)
		data = append(binary.BigEndian.AppendUint32(data, uint32(lengths[tag])), points(tag, lengths[tag])...)
	}
	sum := sha256.Sum256(data)
	name := filepath.Join(t.TempDir(), "generators")
	require.NoError(t, os.WriteFile(name, append(data, sum[:]...), 0o600))
	return name
}

// points are the first generators of a tag, as the file has them.
func points(tag string, n int) (out []byte) {
	for _, p := range group.Generators(tag, 0, n) {
		raw := p.RawBytes()
		out = append(out, raw[:]...)
	}
	return out
}

// derivesAlike reads what the second verifier derived, and derives it here.
func derivesAlike(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	body, sum := data[:len(data)-sha256.Size], [sha256.Size]byte(data[len(data)-sha256.Size:])
	require.Equal(t, sha256.Sum256(body), sum)
	body, ok := bytes.CutPrefix(body, []byte(cacheHead))
	require.True(t, ok)
	take := func(n int) []byte {
		require.LessOrEqual(t, n, len(body))
		head := body[:n]
		body = body[n:]
		return head
	}
	tags := binary.BigEndian.Uint32(take(4))
	for range tags {
		tag := string(take(int(binary.BigEndian.Uint16(take(2)))))
		n := int(binary.BigEndian.Uint32(take(4)))
		require.True(t, bytes.Equal(points(tag, n), take(64*n)), "generators %s", tag)
	}
	require.Greater(t, tags, uint32(5))
	require.Empty(t, body)
}

// TestForgedGenerators: a file whose digest is right and whose generators are not.
func TestForgedGenerators(t *testing.T) {
	second.Python(t)
	name := generators(t)
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	data = bytes.Replace(data[:len(data)-sha256.Size], points("H", 1), points("U", 1), 1)
	sum := sha256.Sum256(data)
	require.NoError(t, os.WriteFile(name, append(data, sum[:]...), 0o600))
	code, out := verify(t, vector("tiny").args("--generators", name)...)
	require.Equal(t, unreadable, code, out)
}
