package npm

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/test/handover"
)

// script uses the package as a program would: it checks the proof that a customer got, and what must be refused.
const script = `
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { load } from "zkllmc";
const [dir, prompt] = process.argv.slice(2);
const read = name => new Uint8Array(readFileSync(dir + "/" + name));
const generators = new Map();
const verifier = await load(null, { generators });
const bundle = read("sums.bundle"), statement = read("statement.bin"), proof = read("proof.bin");
const id = new TextDecoder().decode(read("model.id")).trim();
const model = verifier.open(bundle);
assert.equal(model.id, id);
assert.equal(model.card.name, "sums");
const report0 = model.verify(statement, proof);
for (const m of [model, verifier.open(bundle, { id })]) {
  const report = m.verify(statement, proof, { prompt });
  assert.equal(report.accepted, true, report.error);
  assert.equal(report.texts.prompt.text, prompt);
  assert.equal(m.verify(statement, proof, { prompt: "1+1=" }).class, "prompt mismatch");
  const user = content => ({ role: "user", content }), assistant = { role: "assistant", content: "2" };
  assert.equal(m.verify(statement, proof, { messages: [user(prompt)] }).accepted, true);
  assert.equal(m.verify(statement, proof, { messages: [user("1+1=")] }).class, "prompt mismatch");
  for (const messages of [[user("1+1="), assistant, user(prompt)], [user(prompt), assistant], [user(prompt), user(prompt)], [], "a"]) {
    assert.equal(m.verify(statement, proof, { messages }).class, "question", JSON.stringify(messages));
  }
  assert.equal(m.verify(statement, read("damaged.bin")).class, "final argument");
  assert.equal(m.verify(statement, read("short.bin")).accepted, false);
}
assert.throws(() => verifier.open(bundle, { id: "0".repeat(64) }), /of another model than the pinned one/);
assert.throws(() => verifier.open(bundle, { id: "1" }), /64 hexadecimal digits/);
assert.throws(() => verifier.open(read("half.bundle")), /not a bundle/);
assert.throws(() => verifier.open("text"), /want a Uint8Array/);
assert.throws(() => verifier.open(bundle, { id: undefined }), /id has no value/);
assert.throws(() => verifier.open(bundle, { id: 1 }), /the ID is no string/);
assert.throws(() => verifier.open(bundle, { ID: id }), /there is no option ID/);
assert.throws(() => model.verify(statement, proof, { promt: prompt }), /there is no option promt/);
assert.throws(() => model.verify(statement, proof, { prompt: undefined }), /prompt has no value/);
assert.equal(model.verify(statement, proof, { prompt, answer: report0.texts.answer.text }).class, "unfinished");
assert.throws(() => model.verify(statement, "text"), /proof: want a Uint8Array/);
// What was kept is taken, and what is damaged derived again.
assert.ok(generators.size > 0);
const kept = [...generators.keys()], asked = [];
const [big] = kept.sort((a, b) => generators.get(b).length - generators.get(a).length);
generators.get(big)[100] ^= 1;
const again = await load(undefined, { generators: { get(name) { asked.push(name); return generators.get(name); }, set(name, data) { asked.push("!" + name); assert.ok(data.length > 0); } } });
assert.equal(again.open(bundle, { id }).verify(statement, proof, { prompt }).accepted, true);
for (const name of kept) assert.ok(asked.includes(name), name);
assert.ok(asked.includes("!" + big), asked.join());
await assert.rejects(load(null, { generators: 1 }), /an object with get and set/);
await assert.rejects(load(null, { generator: generators }), /there is no option generator/);
console.log("all as it should be");
`

// TestTypes: index.d.ts has every member of what the verifier takes and gives.
func TestTypes(t *testing.T) {
	text, err := os.ReadFile("index.d.ts")
	require.NoError(t, err)
	names := map[string]bool{}
	members(names, reflect.TypeFor[bundle.Card]())
	members(names, reflect.TypeFor[checker.Report]())
	members(names, reflect.TypeFor[checker.Question]())
	require.Greater(t, len(names), 40)
	for name := range names {
		require.Regexp(t, `\b`+name+`\??:`, string(text))
	}
}

// members lists the names of a structure's members as JSON has them, and of what is in it.
func members(out map[string]bool, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out[name] = true
		}
		if f.Tag.Get("json") != "-" {
			members(out, f.Type)
		}
	}
}

// TestNode builds the package, installs it in an empty folder and uses it there. make cross asks for it.
func TestNode(t *testing.T) {
	if os.Getenv("ZKLLMC_PLATFORMS") != "all" {
		t.Skip("make cross builds for JavaScript")
	}
	for _, tool := range []string{"node", "npm", "xz"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no " + tool)
		}
	}
	dir := t.TempDir()
	installed := filepath.Join(dir, "node_modules", "zkllmc")
	run := func(name string, args ...string) string {
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), "OUT="+installed)
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	run("sh", filepath.Join("..", "..", "scripts", "npm.sh"))
	run("npm", "pack", "--silent", "--pack-destination", dir, installed)
	packed, err := os.Stat(filepath.Join(dir, "zkllmc-0.0.0.tgz"))
	require.NoError(t, err)
	require.Less(t, packed.Size(), int64(1_500_000), "what is downloaded")
	program := filepath.Join(dir, "check.mjs")
	require.NoError(t, os.WriteFile(program, []byte(script), 0o600))
	out := run("node", program, handover.Sums(t), handover.Prompt)
	require.Equal(t, "all as it should be", strings.TrimSpace(out))
}
