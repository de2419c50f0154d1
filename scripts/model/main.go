// Command model writes transformers of any size as ONNX files, with drawn weights, to measure with what nobody has to download.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/export"
)

func main() {
	ctx, stop := console.Interrupts()
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	root := &cobra.Command{
		Use:   "model",
		Short: "Write a transformer of any size as an ONNX file with drawn weights",
		Long: `Writes a transformer as PyTorch's exporter would: DIR/model.onnx, and the weights in DIR/model.onnx.data. Weights are drawn with --seed, of
the magnitudes that training starts from: norm gains near 1, matrices, embeddings and biases with the deviation 0.02, matrices that
write into the residual stream with 0.02/sqrt(2·layers). The model has learned nothing; it costs what a trained one of its size costs.
The same flags give the same bytes. Weights are written as they are drawn, whatever their size in little memory.`,
		Example: `  go run ./scripts/model gpt2 -o build/models/gpt2                                   # GPT-2 small, 0.5 GB
  go run ./scripts/model gpt2 --layers 4 --width 64 --heads 4 --vocabulary 65 -o build/models/nano
  go run ./scripts/model llama --block --length 128 -o build/models/block            # a layer of LLaMA-2-7B, 0.8 GB
  go run ./scripts/model llama --layers 32 --length 128 --half -o build/models/7b    # all of LLaMA-2-7B, 13.5 GB`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(gpt2(), llama())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	return root.ExecuteContext(ctx)
}

func gpt2() *cobra.Command {
	c := export.Config{}
	cmd := command("gpt2", "GPT-2's architecture; GPT-2 small without flags", &c, export.GPT2)
	cmd.Long = `A language model of GPT-2's architecture: LayerNorm, learned positions, one matrix for queries, keys and values, GELU, biases, and the
embedding as the last matrix. Without flags it has the size of GPT-2 small (124 million parameters, 0.5 GB) at 64 positions.`
	f := cmd.Flags()
	f.IntVar(&c.Layers, "layers", 12, "number of layers")
	f.IntVar(&c.Width, "width", 768, "width of the hidden state, a multiple of the heads")
	f.IntVar(&c.Heads, "heads", 12, "heads of attention")
	f.IntVar(&c.MLP, "mlp", 0, "width between the matrices of an MLP (default four times --width)")
	f.IntVar(&c.Vocabulary, "vocabulary", 50257, "number of tokens")
	f.IntVar(&c.Length, "length", 64, "positions of the graph")
	return cmd
}

func llama() *cobra.Command {
	c := export.Config{}
	cmd := command("llama", "LLaMA-2's architecture; one layer of the 7-billion-parameter model without flags", &c, export.LLaMA)
	cmd.Long = `A language model of LLaMA-2's architecture: RMSNorm, rotary positions, SiLU-gated MLPs, no biases, embedding and last matrix apart. Without
flags it has one layer of the widths of LLaMA-2-7B, at 64 positions (1.9 GB, most of it embedding and last matrix); --layers 32 makes
all of it, --block leaves embedding, last norm and last matrix out: a function of hidden states.`
	f := cmd.Flags()
	f.IntVar(&c.Layers, "layers", 1, "number of layers; LLaMA-2-7B has 32")
	f.IntVar(&c.Width, "width", 4096, "width of the hidden state, a multiple of the heads")
	f.IntVar(&c.Heads, "heads", 32, "heads of queries")
	f.IntVar(&c.KVHeads, "kv-heads", 0, "heads of keys and values, which queries share (default as many as --heads)")
	f.IntVar(&c.MLP, "mlp", 11008, "width between the matrices of an MLP")
	f.IntVar(&c.Vocabulary, "vocabulary", 32000, "number of tokens")
	f.IntVar(&c.Length, "length", 64, "positions of the graph")
	f.BoolVar(&c.Half, "half", false, "weights and activations in 16 bits, norms in 32, as the checkpoints of LLaMA-2")
	f.BoolVar(&c.Block, "block", false, "layers alone, from hidden states to hidden states")
	f.BoolVar(&c.Shared, "shared", false, "tables of positions once for all layers, whatever their size")
	return cmd
}

// command is what both architectures have in common.
func command(use, short string, c *export.Config, build func(export.Config) (*export.Model, error)) *cobra.Command {
	var dir string
	var force bool
	cmd := &cobra.Command{Use: use + " -o DIR", Short: short, Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m, err := build(*c)
		if err != nil {
			return err
		}
		if err := m.Write(cmd.Context(), dir, force); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d weights, %d bytes of them in %s\n", filepath.Join(dir, export.ModelFile), m.Weights(), m.Bytes(), export.DataFile)
		return err
	}
	f := cmd.Flags()
	f.StringVarP(&dir, "out", "o", "", "folder to write to")
	f.BoolVar(&force, "force", false, "replace files that are there")
	f.Uint64Var(&c.Seed, "seed", 1, "draws the weights")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err)
	}
	return cmd
}
