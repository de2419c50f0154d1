package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// commandsPage is the page of all commands.
const commandsPage = "docs/commands.md"

// programs are those whose help texts are stored, compared with what they print by tests beside them.
var programs = []struct{ name, about, file string }{
	{"zkllmc", "The compiler, and what a provider does with its models afterwards.", "compiler/cli/testdata/help.txt"},
	{"prover", "The generated prover of a model, `bin/prover` in these pages.", "runtime/app/prover/testdata/prover.help.txt"},
	{"verifier", "The generated verifier of a model, `bin/verifier` in these pages; `zkllmc-verifier` has the same commands behind `--bundle FILE` or\n`--circuit FILE`. The model of this example is called bigram.",
		"runtime/app/prover/testdata/verifier.help.txt"},
	{"zkllmc-verifier", "The verifier of all models, by their bundles.", "cmd/zkllmc-verifier/testdata/help.txt"},
}

// commands returns the page of all commands.
func commands(root string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(`# Commands

What every program says of itself. ` + "`make generate`" + ` writes this page out of the programs' help texts. What ` + "`--json`" + ` prints, member by member,
is in [REPORTS.md](../REPORTS.md), written out of the code; what a server answers over HTTP in [SERVING.md](../SERVING.md).
`)
	for _, p := range programs {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.file)))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", p.name, p.about)
		for _, text := range strings.Split("\n"+string(data), "\n$ ")[1:] {
			line, help, _ := strings.Cut(text, "\n")
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), p.name+" help "); ok {
				fmt.Fprintf(&out, "\n### %s %s\n", p.name, command)
			}
			fmt.Fprintf(&out, "\n```text\n%s\n```\n", strings.TrimRight(help, "\n"))
		}
	}
	return out.Bytes(), nil
}
