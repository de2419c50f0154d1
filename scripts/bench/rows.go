package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/zkllmc/zkllmc/internal/export"
)

// row is a model to measure.
type row struct {
	name, what string
	heavy      bool // more than some seconds and some hundred megabytes: measured when asked for alone
	ezkl       bool // small enough that EZKL is tried on it
	// model says where the model lies, after making it if need be, and which flags compile takes; no file: it is not here.
	model func(ctx context.Context, o options, dir string) (file string, flags []string, err error)
}

var rows = []row{
	{name: "stories260K", what: "the trained model stories260K, 32 positions", model: stories},
	{name: "tiny", what: "GPT-2's architecture, 1 layer of width 64, 4 positions", ezkl: true, model: gpt2(export.Config{Layers: 1, Width: 64, Heads: 4, Vocabulary: 65, Length: 4})},
	{name: "nano", what: "GPT-2's architecture, 4 layers of width 64, 64 positions", ezkl: true, model: gpt2(export.Config{Layers: 4, Width: 64, Heads: 4, Vocabulary: 65, Length: 64})},
	{name: "gpt2", what: "GPT-2 small, 64 positions", heavy: true, model: gpt2(export.Config{Layers: 12, Width: 768, Heads: 12, Vocabulary: 50257, Length: 64})},
	{name: "gpt2-256", what: "GPT-2 small, 256 positions", heavy: true, model: gpt2(export.Config{Layers: 12, Width: 768, Heads: 12, Vocabulary: 50257, Length: 256})},
	{name: "smollm2", what: "SmolLM2-135M-Instruct, 64 positions", heavy: true, model: given},
	{name: "block", what: "a layer of LLaMA-2-7B, 128 positions, from hidden states to hidden states", heavy: true, model: block},
}

// describeRows lists the rows for people.
func describeRows() string {
	var s strings.Builder
	for _, r := range rows {
		note := ""
		if r.heavy {
			note = " (minutes and gigabytes)"
		}
		fmt.Fprintf(&s, "  %-12s %s%s\n", r.name, r.what, note)
	}
	return strings.TrimSuffix(s.String(), "\n")
}

// light are the rows that take little.
func light() (names []string) {
	for _, r := range rows {
		if !r.heavy {
			names = append(names, r.name)
		}
	}
	return names
}

func stories(_ context.Context, o options, _ string) (file string, flags []string, err error) {
	return here(filepath.Join(o.stories, export.ModelFile)), argmax, nil
}

// argmax reveals the best token of each position.
var argmax = []string{"--reveal", "argmax"}

// given is the model of the command line; its scales are chosen from what lies beside it.
func given(_ context.Context, o options, _ string) (file string, flags []string, err error) {
	if o.model == "" {
		return "", nil, nil
	}
	flags = append([]string{"--length", "64"}, argmax...)
	if name := here(filepath.Join(o.model, "tokenizer.json")); name != "" {
		flags = append(flags, "--tokenizer", name, "--chat", "smollm2")
		if name := here(filepath.Join(o.model, "calibrate.jsonl")); name != "" {
			flags = append(flags, "--calibrate", name)
		}
	}
	return here(filepath.Join(o.model, export.ModelFile)), flags, nil
}

// here is the name of a file that there is.
func here(file string) string {
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

func gpt2(c export.Config) func(context.Context, options, string) (string, []string, error) {
	return func(ctx context.Context, _ options, dir string) (string, []string, error) {
		c.Seed = 1
		m, err := export.GPT2(c)
		if err != nil {
			return "", nil, err
		}
		return filepath.Join(dir, export.ModelFile), argmax, m.Write(ctx, dir, true)
	}
}

// block is a layer of LLaMA-2-7B, whose hidden states have the range that those of trained models seldom leave.
func block(ctx context.Context, _ options, dir string) (file string, flags []string, err error) {
	m, err := export.LLaMA(export.Config{Layers: 1, Width: 4096, Heads: 32, MLP: 11008, Vocabulary: 32000, Length: 128, Block: true, Seed: 1})
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(dir, export.ModelFile), []string{"--range", "hidden_states=-8:8"}, m.Write(ctx, dir, true)
}
