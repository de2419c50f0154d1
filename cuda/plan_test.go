package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// peaked is a device whose greatest use of memory is counted.
type peaked struct {
	device.Device
	used, peak int64
	sizes      map[device.Pointer]int64
}

func (d *peaked) Alloc(bytes int64) (device.Pointer, error) {
	p, err := d.Device.Alloc(bytes)
	if err == nil {
		d.sizes[p] = bytes
		d.used += bytes
		d.peak = max(d.peak, d.used)
	}
	return p, err
}

func (d *peaked) Free(p device.Pointer) error {
	d.used -= d.sizes[p]
	return d.Device.Free(p)
}

// What is planned for a proof is what it takes: launches and synchronisations as they are, of memory no less and not much more.
func TestPlan(t *testing.T) {
	k, in := small(t, 3, 4)
	d := &peaked{Device: kerneltest.OpenQuick(t, emulator.Config{Seed: 4, Memory: 1 << 30}), sizes: map[device.Pointer]int64{}}
	_, err := prove(t.Context(), k, in, cuda.Over(d, cuda.UsualTail))
	require.NoError(t, err)
	took := d.Counters()
	end(t, k, in)
	plan, err := cuda.Plan(t.Context(), k.Family().Shortest(), cost.Devices[0], 1<<30)
	require.NoError(t, err)
	all := plan.Total()
	require.Equal(t, []any{took.Launches, took.Syncs, took.Down}, []any{all.Launches, all.Syncs, all.Down})
	require.InEpsilon(t, took.Up, all.Up, 0.01, "challenges have more digits, or fewer")
	t.Logf("peak %d, planned %d", d.peak, all.Peak)
	require.GreaterOrEqual(t, all.Peak, d.peak)
	require.Less(t, float64(all.Peak), 1.25*float64(d.peak))
	require.Equal(t, []string{"session", "witness", "commit witness", "lookups", "einsum waves", "openings", "final argument"},
		names(plan.Stages))
	require.Greater(t, all.Field, int64(1000))
	require.Greater(t, all.LikelySeconds, all.LeastSeconds)
}

func names(stages []cost.Stage) (out []string) {
	for _, s := range stages {
		out = append(out, s.Name)
	}
	return out
}
