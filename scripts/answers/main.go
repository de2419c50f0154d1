// Command answers compares what a prover answers to prompts with what a float model answered, token by token: DIR/answers.json, which
// models/smollm2 writes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/console"
)

func main() {
	prover := flag.String("prover", filepath.Join("build", "smollm2", "bin", "prover"), "prover of the compiled model")
	key := flag.String("key", filepath.Join("build", "smollm2", "run", "keys", "prover.key"), "its key")
	flag.Parse()
	ctx, stop := console.Interrupts()
	defer stop()
	if err := run(ctx, os.Stdout, flag.Args(), ask(*prover, *key)); err != nil {
		fmt.Fprintln(os.Stderr, "answers:", err)
		os.Exit(1)
	}
}

// reference is an element of answers.json: a prompt with its tokens, and the answer, to its end or as far as it was followed.
type reference struct {
	Prompt string  `json:"prompt"`
	Tokens []int64 `json:"prompt_ids"`
	Answer []int64 `json:"answer_ids"`
}

// answered is what this program reads of the prover's report, see REPORTS.md.
type answered struct {
	Tokens []int64 `json:"prompt_tokens"`
	Answer []int64 `json:"answer_tokens"`
}

// ask lets a prover answer a prompt with at most so many tokens.
func ask(prover, key string) func(context.Context, string, int) (answered, error) {
	return func(ctx context.Context, prompt string, most int) (got answered, err error) {
		cmd := exec.CommandContext(ctx, prover, "run", "--json", "--key", key, "--prompt", prompt, "--max", strconv.Itoa(most))
		out, err := cmd.Output()
		if err != nil {
			if exit, ok := err.(*exec.ExitError); ok {
				err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
			}
			return got, err
		}
		return got, json.Unmarshal(out, &got)
	}
}

// run compares the answers of one file. An answer that goes on or stops elsewhere than the reference differs from it.
func run(ctx context.Context, out io.Writer, args []string, ask func(context.Context, string, int) (answered, error)) error {
	if len(args) != 1 {
		return fmt.Errorf("one folder with answers.json is wanted, and there are %d", len(args))
	}
	file := filepath.Join(args[0], "answers.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var references []reference
	if err := json.Unmarshal(data, &references); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	same, tokens := 0, 0
	for _, r := range references {
		got, err := ask(ctx, r.Prompt, len(r.Answer))
		if err != nil {
			return fmt.Errorf("%q: %w", r.Prompt, err)
		}
		verdict := differs(r, got)
		if verdict == "" {
			verdict = "equal"
			same++
		}
		tokens += len(r.Answer)
		fmt.Fprintf(out, "%s: %d tokens, %s\n", r.Prompt, len(r.Answer), verdict)
	}
	fmt.Fprintf(out, "%d of %d answers are equal token by token, %d tokens\n", same, len(references), tokens)
	if same < len(references) || same == 0 {
		return fmt.Errorf("%d answers differ", len(references)-same)
	}
	return nil
}

// differs says where an answer is another than the reference, "" if nowhere.
func differs(want reference, got answered) string {
	if !slices.Equal(want.Tokens, got.Tokens) {
		return fmt.Sprintf("the prompt has the tokens %v, not %v", got.Tokens, want.Tokens)
	}
	for i, id := range want.Answer {
		if i == len(got.Answer) {
			return fmt.Sprintf("ends after %d", i)
		}
		if got.Answer[i] != id {
			return fmt.Sprintf("token %d is %d, not %d", i, got.Answer[i], id)
		}
	}
	if more := len(got.Answer) - len(want.Answer); more > 0 {
		return fmt.Sprintf("goes on for %d", more)
	}
	return ""
}
