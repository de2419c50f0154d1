package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	sample "github.com/zkllmc/zkllmc/generated/sums/circuit"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/test/kit"
)

// sumsKey writes a verifying key of the sample model, of drawn weights, and returns the file.
func sumsKey(t *testing.T, dir string) string {
	f, err := sample.Build()
	require.NoError(t, err)
	_, vk, err := engine.Setup(t.Context(), f, kit.Weights(f.Shortest(), 1, 2), engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	name := filepath.Join(dir, "model.vk")
	require.NoError(t, os.WriteFile(name, vk, 0o600))
	return name
}

// TestBundle makes a bundle of the sample model, the same one twice, and shows its card and ID.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	compiled, key := filepath.Join("..", "..", "generated", "sums"), sumsKey(t, dir)
	require.NoError(t, os.WriteFile(in("check.json"), []byte(`{"ok": true, "tolerance": 0.004, "inputs": 3, "positions": 48, "top1_agree": 47, "model": "sums"}`), 0o600))
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	args := []string{"bundle", compiled, "--vk", key, "--about", "adds\nmodel ID     0000", "--made-by", "Example Ltd", "--precision", in("check.json"), "-o"}
	code, out, failed := run(t, append(args, in("a.bundle"))...)
	require.Equal(t, console.OK, code, failed)
	require.Contains(t, out, "2023-11-14")
	require.Contains(t, out, `about        "adds\nmodel ID     0000"`, "the sender's text makes no line")
	require.Contains(t, out, "best token the float model's at 47 of 48 positions")
	require.Contains(t, out, `output       "logits": integers [16 16], tells argmax`)
	code, _, failed = run(t, append(args, in("b.bundle"), "--json")...)
	require.Equal(t, console.OK, code, failed)
	a, err := os.ReadFile(in("a.bundle"))
	require.NoError(t, err)
	b, err := os.ReadFile(in("b.bundle"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), "a bundle depends on its content alone")
	code, _, failed = run(t, append(args, in("a.bundle"))...)
	require.Equal(t, console.Usage, code)
	require.Contains(t, failed, "--force")

	code, card, failed := run(t, "card", in("a.bundle"))
	require.Equal(t, console.OK, code, failed)
	require.True(t, strings.HasPrefix(out, card))
	code, id, failed := run(t, "id", in("a.bundle"))
	require.Equal(t, console.OK, code, failed)
	require.Contains(t, card, "model ID     "+id)
	code, same, failed := run(t, "id", compiled, "--vk", key)
	require.Equal(t, console.OK, code, failed)
	require.Equal(t, id, same)
}

// TestForgedBundle refuses cards of other models, and keys that do not belong to the circuits.
func TestForgedBundle(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	compiled, key := filepath.Join("..", "..", "generated", "sums"), sumsKey(t, dir)
	code, _, failed := run(t, "bundle", compiled, "--vk", key, "-o", in("a.bundle"))
	require.Equal(t, console.OK, code, failed)
	data, err := os.ReadFile(in("a.bundle"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*bundle.Bundle)
		args   string
		code   int
		says   string
	}{
		"another ID":        {func(b *bundle.Bundle) { b.Card.ModelID = strings.Repeat("0", 64) }, "card", console.Rejected, "its card is of another model"},
		"fewer weights":     {func(b *bundle.Bundle) { b.Card.Hidden.Weights-- }, "card", console.Rejected, "its card is of another model"},
		"a damaged key":     {func(b *bundle.Bundle) { b.Key[len(b.Key)-1] ^= 1 }, "id", console.Rejected, in("forged.bundle") + ": verifying key: range proof"},
		"a damaged circuit": {func(b *bundle.Bundle) { b.Circuit = b.Circuit[:99] }, "id", console.Unreadable, in("forged.bundle") + ": circuits: the data ends early"},
	} {
		b, err := bundle.Read(data)
		require.NoError(t, err)
		c.change(b)
		var out bytes.Buffer
		require.NoError(t, b.Write(&out))
		require.NoError(t, os.WriteFile(in("forged.bundle"), out.Bytes(), 0o600))
		code, _, failed := run(t, c.args, in("forged.bundle"))
		require.Equal(t, c.code, code, "%s: %s", name, failed)
		require.Contains(t, failed, c.says, name)
	}
	secret := in("prover.key")
	require.NoError(t, os.WriteFile(secret, []byte(format.MagicProverKey), 0o600))
	code, _, failed = run(t, "bundle", compiled, "--vk", key, "-o", secret)
	require.Equal(t, console.Usage, code)
	require.Equal(t, "zkllmc: "+secret+" is a prover key; it is secret and cannot be made again, and is not replaced even with --force\n", failed, "and nothing else")
	half, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(in("half.vk"), half[:len(half)/2], 0o600))
	require.NoError(t, os.WriteFile(in("empty.vk"), nil, 0o600))
	missing := fmt.Sprintf(": verifying key: the data ends early: %d bytes are missing", len(half)-len(half)/2)
	const setup = "; give the model.vk that 'prover setup' wrote for this model, or get it again"
	for args, says := range map[string]string{
		"bundle " + compiled + " --vk " + in("half.vk") + " -o " + in("x"):  in("half.vk") + missing + setup,
		"bundle " + compiled + " --vk " + in("empty.vk") + " -o " + in("x"): in("empty.vk") + ": verifying key: the data ends early" + setup,
		"id " + compiled + " --vk " + in("half.vk"):                         in("half.vk") + missing + setup,
		"bundle " + compiled + " --vk " + key:                               "--vk and -o are needed",
		"bundle " + compiled + " --vk " + key + " --date tomorrow -o x.zip": "want YYYY-MM-DD",
		"bundle " + dir + " --vk " + key + " -o " + in("x"):                 "no folder that zkllmc compile wrote",
		"bundle " + compiled + " --vk " + in("a.bundle") + " -o " + in("x"): "not a verifying key",
		"id " + compiled:                        "--vk FILE is needed",
		"id " + in("a.bundle") + " --vk " + key: "a bundle has its key",
		"card " + key:                           "not a bundle, or only a part of one: 'zkllmc bundle' makes them",
		"card -":                                "a bundle is not read from the standard input: name its file",
		"bundle " + compiled + " --vk " + key + " --precision " + key + " -o " + in("x"): "is not what 'zkllmc check --json' prints",
		"card": "missing: a bundle",
		"bundle " + compiled + " --vk " + key + " -o -": `is "-", but this is not written to the standard output: name a file`,
		"inspect " + compiled + " --canonical -":        `--canonical is "-", but this is not written to the standard output`,
		"inspect " + compiled + " --html -":             `is "-", but this is not written to the standard output`,
	} {
		code, out, failed := run(t, strings.Fields(args)...)
		require.Contains(t, []int{console.Usage, console.Unreadable}, code, args)
		require.Contains(t, failed, says, args)
		require.Empty(t, out)
	}
	require.NoFileExists(t, in("x"))
}
