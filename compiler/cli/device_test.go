package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
)

// inspect plans for a device that it knows, and for some of its memory; of a model, since a folder has no circuit to read.
func TestInspectDevice(t *testing.T) {
	model := needSums(t)
	code, out, stderr := run(t, "inspect", model, "--calibrate", sums, "--device", "h100", "--memory", "2GB", "--json")
	require.Equal(t, console.OK, code, stderr)
	var report manifest
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, "h100", report.Plan.Device.Name)
	require.Equal(t, int64(2e9), report.Plan.Budget)
	all := report.Plan.Total()
	require.Greater(t, all.Launches, 500)
	require.Less(t, all.Peak, report.Plan.Budget)
	code, out, stderr = run(t, "inspect", model, "--calibrate", sums, "--device", "h200")
	require.Equal(t, console.OK, code, stderr)
	require.Regexp(t, `within 141\.0 GB; .* times are extrapolated`, out)
	for _, flags := range [][]string{{"--device", "abacus"}, {"--memory", "2GB"}, {"--device", "h100", "--memory", "much"}} {
		code, _, stderr = run(t, append([]string{"inspect", model}, flags...)...)
		require.Equal(t, console.Usage, code, stderr)
	}
	code, _, stderr = run(t, "inspect", t.TempDir(), "--device", "h100")
	require.Equal(t, console.Usage, code, stderr)
	require.Contains(t, stderr, "is a folder")
}
