package cuda_test

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// peaked is a device whose greatest use of memory is counted.
type peaked struct {
	device.Device
	used, peak int64
	kept       int64 // what was copied to make room
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

func (d *peaked) Keep(bytes int64) []byte {
	d.kept += bytes
	return d.Device.Keep(bytes)
}

func (d *peaked) Free(p device.Pointer) error {
	d.used -= d.sizes[p]
	return d.Device.Free(p)
}

// proved makes a proof with some memory, and compares what it took with its plan: launches and synchronisations as they are, of memory no more, and nearly as
// much.
func proved(t *testing.T, k *engine.Key, in *engine.Input, budget int64) (proof []byte, all cost.Stage) {
	t.Helper()
	d := &peaked{Device: kerneltest.OpenQuick(t, emulator.Config{Seed: uint64(budget), Memory: budget}), sizes: map[device.Pointer]int64{}}
	proof, err := prove(t.Context(), k, in, cuda.Over(d, cuda.AllOnDevice))
	require.NoError(t, err)
	took := d.Counters()
	end(t, k, in)
	plan, err := cuda.PlanFor(t.Context(), k.Family().Shortest(), cost.Devices[0], budget, cuda.AllOnDevice)
	require.NoError(t, err)
	all = plan.Total()
	t.Logf("within %d: peak %d, planned %d; %d launches, %d synchronisations", budget, d.peak, all.Peak, took.Launches, took.Syncs)
	require.Equal(t, []any{took.Launches, took.Syncs, took.Down - d.kept}, []any{all.Launches, all.Syncs, all.Down - all.Kept})
	require.GreaterOrEqual(t, all.Kept, d.kept, "cells may take fewer bytes than their ranges ask for")
	require.InEpsilon(t, took.Up, all.Up, 0.01, "challenges have more digits, or fewer")
	require.LessOrEqual(t, d.peak, budget)
	require.GreaterOrEqual(t, all.Peak, d.peak)
	require.Less(t, float64(all.Peak), 1.25*float64(d.peak))
	require.Equal(t, []string{"session", "witness", "commit witness", "lookups", "einsum waves", "openings", "final argument"},
		names(plan.Stages))
	require.Greater(t, all.Field, int64(1000))
	require.Greater(t, all.LikelySeconds, all.LeastSeconds)
	return proof, all
}

// A proof that has less memory is the same, and made otherwise; what is planned is what it takes, with any memory. With too little the plan fails, as the
// proof does.
func TestMemory(t *testing.T) {
	k, in := small(t, 3, 4)
	want, most := proved(t, k, in, 1<<30)
	least := leastMemory(t, k, most.Peak)
	var made [2]int64
	var kept int64
	for _, budget := range []int64{most.Peak / 2, least} {
		proof, all := proved(t, k, in, budget)
		require.Equal(t, want, proof)
		require.NotEqual(t, [3]int64{most.Field, most.Up, most.Kept}, [3]int64{all.Field, all.Up, all.Kept}, "the control: it is made otherwise")
		made, kept = [2]int64{all.Field, all.Up}, all.Kept
	}
	require.Positive(t, kept, "the control: tensors made room")
	require.NotEqual(t, [2]int64{most.Field, most.Up}, made, "the control: with the least memory it is made otherwise")
	_, err := prove(t.Context(), k, in, cuda.Over(kerneltest.OpenQuick(t, emulator.Config{Memory: most.Peak / 20}), cuda.AllOnDevice))
	require.ErrorIs(t, err, device.ErrMemory)
	require.Greater(t, least, most.Peak/20)
}

// leastMemory is about as little as a proof can be made with that takes so much if there is enough.
func leastMemory(t *testing.T, k *engine.Key, most int64) int64 {
	const step = 1 << 10
	return step * int64(sort.Search(int(most/step), func(n int) bool {
		_, err := cuda.PlanFor(t.Context(), k.Family().Shortest(), cost.Devices[0], int64(n)*step, cuda.AllOnDevice)
		return err == nil
	}))
}

func names(stages []cost.Stage) (out []string) {
	for _, s := range stages {
		out = append(out, s.Name)
	}
	return out
}

// scarce is a device that says that it has less memory left than it has: none, with what is idle, or so many bytes.
type scarce struct {
	device.Device
	left int64
}

func (d scarce) Info() (device.Info, error) {
	info, err := d.Device.Info()
	if info.Free = d.left; d.left == 0 {
		info.Free = -1 << 30
	}
	return info, err
}

// full is a device of which no memory of so many bytes or more is to be had: nobody is told before.
type full struct {
	device.Device
	most    int64
	refused int
}

func (d *full) Alloc(bytes int64) (device.Pointer, error) {
	if bytes > d.most {
		d.refused++
		return 0, device.ErrMemory
	}
	return d.Device.Alloc(bytes)
}

// A tree whose layers are not stored is the same: no more of them than there must be, or no more than there turns out to be memory for. Where columns may make room
// they are there for some leaves at a time.
func TestTree(t *testing.T) {
	d := kerneltest.OpenQuick(t, emulator.Config{Seed: 6})
	shapes := [][]int{{3, 5, 7}, {256}, {33}, {4, 4}}
	t.Run("scarce", func(t *testing.T) {
		d := &launching{Device: scarce{Device: d}, of: map[string]int{}}
		conformance.Tree(t, reference.New(), cuda.Over(d, cuda.AllOnDevice), 10, shapes...)
		require.Greater(t, d.of["write_layer"], 5+2*2, "the control: of five trees two were built in parts")
		for vars := 2; vars <= 4; vars++ {
			require.Positive(t, d.of[fmt.Sprintf("computed_window_%d", vars)], "the control: rounds of %d variables", vars)
		}
	})
	t.Run("short", func(t *testing.T) { // of what is bound one part is stored after the other
		parts, of := 0, map[string]int{}
		for left := int64(-1 << 14); left < 0; left += 1 << 11 {
			d := &launching{Device: scarce{d, left}, of: of, launched: func(l device.Launch) {
				if strings.HasPrefix(l.Kernel, "computed_window") && l.Args[10] != 0 && l.Args[13] > 0 {
					parts++
				}
			}}
			conformance.Tree(t, reference.New(), cuda.Over(d, cuda.AllOnDevice), 10, shapes...)
		}
		require.Positive(t, parts, "the control")
		require.Positive(t, of["write_above"], "the control: layers above one that is stored")
		require.Greater(t, of["above_window"], of["write_above"], "the control: with variables fixed, too")
	})
	t.Run("refused", func(t *testing.T) {
		d := &full{Device: d, most: 1 << 13}
		conformance.Tree(t, reference.New(), cuda.Over(d, cuda.AllOnDevice), 10, shapes...)
		require.Greater(t, d.refused, 3, "the control")
	})
}

// launching is a device that counts the launches of every kernel.
type launching struct {
	device.Device
	of       map[string]int
	launched func(device.Launch) // told of each, if there is any
}

func (d *launching) Launch(l device.Launch) error {
	if d.of[l.Kernel]++; d.launched != nil {
		d.launched(l)
	}
	return d.Device.Launch(l)
}

// On a device that says it has no memory left a proof is the same: the vectors of a sumcheck are made anew for every round, those of some instances at a time. So are
// sumchecks alone.
func TestScarce(t *testing.T) {
	k, in := small(t, 3, 4)
	want, err := prove(t.Context(), k, in, reference.New())
	require.NoError(t, err)
	d := kerneltest.OpenQuick(t, emulator.Config{Seed: 9})
	launches := func(d device.Device) map[string]int {
		counted := &launching{Device: d, of: map[string]int{}}
		proof, err := prove(t.Context(), k, in, cuda.Over(counted, cuda.AllOnDevice))
		require.NoError(t, err)
		require.Equal(t, want, proof)
		end(t, k, in)
		return counted.of
	}
	much, little := launches(d), launches(scarce{Device: d})
	for _, kernel := range []string{"write_layer", "computed_window_2", "partials", "weights", "product_sums", "bind_lowest", "combine"} {
		require.Greater(t, little[kernel], much[kernel], kernel)
	}
	conformance.Computed(t, reference.New(), cuda.Over(scarce{Device: d}, cuda.AllOnDevice))
}

// Tables of generators' multiples stay for the next proof where there is memory, and make room where there is not; proofs are the same.
func TestTablesMakeRoom(t *testing.T) {
	k, in := small(t, 3, 4)
	want, most := proved(t, k, in, 1<<30)
	for budget, made := range map[int64]int{1 << 30: 1, leastMemory(t, k, most.Peak): 2} {
		d := &launching{Device: kerneltest.OpenQuick(t, emulator.Config{Seed: 4, Memory: budget}), of: map[string]int{}}
		be := cuda.Over(d, cuda.AllOnDevice)
		for range 2 {
			proof, err := prove(t.Context(), k, in, be)
			require.NoError(t, err)
			require.Equal(t, want, proof)
		}
		end(t, k, in)
		require.Equal(t, made, d.of["multiples"], "within %d", budget)
	}
}
