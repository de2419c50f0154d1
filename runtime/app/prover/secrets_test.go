// What a prover prints and writes gives none of its secrets away.
package prover_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// secrets are the byte strings that belong to nobody but the prover: by what they are.
func (b *bench) secrets() map[string][]byte {
	out := map[string][]byte{}
	weights, err := os.ReadFile(b.file("weights.zkw"))
	require.NoError(b.t, err)
	cells := weights[len(weights)-format.SumSize-72:] // 36 cells of the one weight
	for i := 0; i < 72; i += 12 {
		out[fmt.Sprint("weights from ", i/2)] = cells[i : i+12]
	}
	key, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(b.t, err)
	const secret = 8 + 4 + 32 + 32 // behind magic, version, digest and model ID
	out["prover secret"] = key[secret : secret+32]
	for i := range protocol.WeightLayout(b.c).Rows {
		end := len(key) - format.SumSize - 64*(protocol.WeightLayout(b.c).Rows-1-i)
		out[fmt.Sprint("blinder ", i)] = key[end-32 : end]
		_, err := group.Decode(key[end-64 : end-32]) // the layout of the key is as this test thinks
		require.NoError(b.t, err)
	}
	return out
}

// spellings are the ways in which bytes could be printed.
func spellings(secret []byte) []string {
	var dec []string
	for _, x := range secret {
		dec = append(dec, fmt.Sprint(x))
	}
	return []string{string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), base64.StdEncoding.EncodeToString(secret),
		strings.Join(dec, " "), strings.Join(dec, ", "), strings.Join(dec, ",")}
}

// weightRows are the rows of the weight as numbers, as Go and JSON print them.
func (b *bench) weightRows() []string {
	data, err := os.ReadFile(b.file("weights.zkw"))
	require.NoError(b.t, err)
	w, err := format.DecodeWeights(circuit.Single(b.c), data)
	require.NoError(b.t, err)
	var out []string
	weight := w[protocol.WeightIDs(b.c)[0]]
	v := weight.All()
	for r := 0; r < len(v); r += 6 {
		row := strings.Trim(fmt.Sprint(v[r:r+3]), "[]")
		out = append(out, row, strings.ReplaceAll(row, " ", ", "), strings.ReplaceAll(row, " ", ","))
	}
	return out
}

// commands are runs that succeed and runs that fail in every way, with the exit code of each.
var commands = map[string]int{
	"setup --force --json --weights @weights.zkw -o @keys2":                                          0,
	"setup --force --weights @bad.zkw -o @keys2":                                                     3,
	"setup --weights @keys/prover.key -o @keys2":                                                     3,
	"run --json --key @keys/prover.key --prompt bcb":                                                 0,
	"run --key @bad.key --prompt bcb":                                                                3,
	"run --key @keys/prover.key --prompt a bcb":                                                      2,
	"run --key @weights.zkw --prompt bcb":                                                            3,
	"prove --key @keys/prover.key --prompt bcb -o @p3 --statement-out @s3":                           0,
	"prove --json --force --key @keys/prover.key --prompt bcb -o @p1 --statement-out @s1":            0,
	"prove --key @keys/prover.key --prompt bcb --answer a -o @p2 --statement-out @s2":                1,
	"prove --key @keys/prover.key --prompt bcbx -o @p2 --statement-out @s2":                          2,
	"prove --key @keys/prover.key --prompt bcbbcbbcb -o @p2 --statement-out @s2":                     2,
	"prove --key @keys/prover.key --tokens 1,2,1,77 -o @p2 --statement-out @s2":                      2,
	"prove --key @bad2.key --vk @keys/model.vk --prompt bcb --force -o @p2 --statement-out @s2":      4,
	"prove --key @keys/prover.key --vk @weights.zkw --prompt bcb --force -o @p2 --statement-out @s2": 3,
}

// leaks runs all commands and returns, for each that prints one of the strings, which; what matches public, if given, is left out.
func (b *bench) leaks(config string, forbidden map[string][]string, public *regexp.Regexp) []string {
	b.change("weights.zkw", "bad.zkw", func(d []byte) []byte { d[len(d)-1]++; return d[:len(d)-1] })
	b.change("keys/prover.key", "bad.key", func(d []byte) []byte { return append(d, 0) })
	b.change("keys/prover.key", "bad2.key", func(d []byte) []byte { // a blinder that is not the commitment's
		n := len(d) - format.SumSize
		d[n-1] ^= 1
		sum := sha256.Sum256(d[:n])
		return append(d[:n], sum[:]...)
	})
	var found []string
	for line, want := range commands {
		code, out := output(b.t.(*testing.T), b.process(config, line))
		require.Equal(b.t, want, code, "%s: %s", line, out)
		if public != nil {
			out = public.ReplaceAllString(out, "")
		}
		for what, ss := range forbidden {
			for _, s := range ss {
				if strings.Contains(out, s) {
					found = append(found, fmt.Sprintf("%s: prints %s as %q", line, what, s))
				}
			}
		}
	}
	return found
}

// TestSecretsAreNotPrinted looks for weights, blinders and the prover's secret in everything that a prover prints, and in the files that
// it gives to others.
func TestSecretsAreNotPrinted(t *testing.T) {
	for _, name := range []string{"argmax", "private"} {
		b := proved(t, configs[name])
		forbidden := map[string][]string{"rows of weights": b.weightRows()}
		for what, s := range b.secrets() {
			forbidden[what] = spellings(s)
		}
		require.Empty(t, b.leaks(name, forbidden, nil))
		for _, file := range []string{"keys/model.vk", "p.bin", "s.bin", "model.id", "p1", "s1"} {
			data, err := os.ReadFile(b.file(file))
			require.NoError(t, err)
			for what, s := range b.secrets() {
				require.False(t, bytes.Contains(data, s), "%s holds %s", file, what)
			}
		}
	}
}

// TestPrivatePrompt looks for a private prompt, as text and as ids.
func TestPrivatePrompt(t *testing.T) {
	b := proved(t, configs["private"])
	b.prover(0, "prove --force --key @keys/prover.key --prompt bcb -o @p.bin --statement-out @s.bin")
	ids := []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1}
	for _, file := range []string{"p.bin", "s.bin"} {
		data, err := os.ReadFile(b.file(file))
		require.NoError(t, err)
		require.False(t, bytes.Contains(data, ids) || bytes.Contains(data, []byte("bcb")), file)
	}
	forbidden := map[string][]string{"the prompt": {"bcb"}, "the prompt's tokens": {"1,2,1", "1 2 1", "1, 2, 1", "1,\n    2,\n    1"}}
	// Model IDs and digests are random hexadecimal digits, in which a prompt of three letters turns up by chance.
	require.Empty(t, b.leaks("private", forbidden, regexp.MustCompile(`\b[0-9a-f]{64}\b`)))
}
