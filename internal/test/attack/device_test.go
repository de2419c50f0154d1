package attack

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/emulated"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// Provers that compute on a GPU and lie are refused as all are: here one lie of every other attack, on an emulated GPU; with ZKLLMC_BACKEND=emulated
// (make emulate) all tests of this package are about such provers.
func TestProversOnADevice(t *testing.T) {
	device, err := emulated.Open(1)
	if errors.Is(err, emulated.ErrNoCompiler) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func(before backend.Backend) {
		processor = before
		require.NoError(t, device.Close())
	}(processor)
	processor = device
	u, tried := kept(t, "rescale on a device", stages["rescale"]), 0 // one whose key is nobody else's: a key keeps the device that it was opened on
	before := device.Device().Launches
	u.control(t)
	require.Greater(t, device.Device().Launches, before+50, "the control: the device proves")
	for _, s := range sections() {
		for _, a := range s.attacks {
			if a.lies == nil {
				continue
			}
			lies := a.lies(t, u)
			if len(lies) == 0 {
				continue
			}
			if tried++; tried%2 == 1 {
				assert.NoError(t, u.try(lies[0]), "%s: %s", a.name, lies[0].what)
			}
		}
	}
	require.GreaterOrEqual(t, tried, 20)
}
