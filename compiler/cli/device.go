package cli

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/console/commands"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// deviceFlags say for which GPU a plan is asked for.
type deviceFlags struct {
	name, memory, enlarged string
	layers                 int
}

func (f *deviceFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "device", "", "also print what a proof takes of a GPU: a100, h100 or h200 by `NAME`")
	c.Flags().StringVar(&f.memory, "memory", "", "with --device: plan for this `SIZE` of memory, 24GB say, instead of the device's")
	c.Flags().StringVar(&f.enlarged, "enlarged", "", "with --device: plan for `FILE.onnx`, the same model at more positions, with the scales of MODEL.onnx")
	c.Flags().IntVar(&f.layers, "layers", 0, "with --device: plan for `N` of the repeated layers, the others being as the last")
}

// device is the one that is asked for, and how much of its memory, 0 for all.
func (f *deviceFlags) device() (of cost.Device, budget int64, err error) {
	if f.name == "" {
		if f.memory != "" || f.enlarged != "" || f.layers != 0 {
			return of, 0, console.Usagef("--memory, --enlarged and --layers are about a --device")
		}
		return of, 0, nil
	}
	if of, err = cost.DeviceOf(f.name); err != nil {
		return of, 0, console.Usagef("--device: %w", err)
	}
	if f.memory != "" {
		bytes, err := commands.Memory(f.memory)
		if err != nil || bytes > 1<<62 {
			return of, 0, cmp.Or(err, console.Usagef("--memory %s is more than any device has", f.memory))
		}
		budget = int64(bytes)
	}
	return of, budget, nil
}
