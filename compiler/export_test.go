package compiler

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/export"
)

// Models with drawn weights are compiled and proved as exports of PyTorch are: GPT-2, LLaMA with shared keys and values, in 16 bits, and a
// layer alone, a function of hidden states.
func TestDrawnModels(t *testing.T) {
	small := export.Config{Layers: 1, Width: 16, Heads: 2, Vocabulary: 20, Length: 4, Seed: 1}
	for name, c := range map[string]struct {
		build  func(export.Config) (*export.Model, error)
		change func(c *export.Config)
		config Config
	}{
		"gpt2":  {export.GPT2, func(*export.Config) {}, Config{}},
		"llama": {export.LLaMA, func(c *export.Config) { c.KVHeads, c.MLP, c.Half = 1, 24, true }, Config{}},
		"block": {export.LLaMA, func(c *export.Config) { c.Block = true }, Config{Ranges: map[string]Range{"hidden_states": {Lo: -4, Hi: 4}}}},
	} {
		t.Run(name, func(t *testing.T) {
			size := small
			c.change(&size)
			m, err := c.build(size)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, m.Write(context.Background(), dir, false))
			r, err := compileFile(context.Background(), filepath.Join(dir, export.ModelFile), narrow(c.config))
			require.NoError(t, err)
			require.Equal(t, name != "block", r.Circuit.Generation != nil)
			require.NoError(t, r.Prove(context.Background()))
		})
	}
}
