package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An archive has the files of a folder, programs among them.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), []byte("text"), 0o755))
	var archive bytes.Buffer
	require.NoError(t, write(&archive, dir))
	packed, err := gzip.NewReader(&archive)
	require.NoError(t, err)
	r := tar.NewReader(packed)
	head, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, folder+"/program", head.Name)
	require.Equal(t, int64(0o755), head.Mode)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
}

// A run says of every program whether it passed, with its figures or the end of what it said, and fails where one did.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.ErrorContains(t, run("out.json", ""), "in the folder of the archive")
	require.NoError(t, os.WriteFile("commit", []byte("0123\n"), 0o644))
	for _, p := range packages {
		text := "#!/bin/sh\necho 'BenchmarkMSM-2   	  3	 348213609 ns/op	 0.5 Gpoints/s	 6.000 launches/op'\n"
		if p.name == "points" {
			text = "#!/bin/sh\necho 'what went wrong'\nexit 3\n"
		}
		require.NoError(t, os.WriteFile(p.name, []byte(text), 0o755))
	}
	const prover = "#!/bin/sh\necho '{\"computed_by\": \"'$0'\"}'\n"
	for program, text := range map[string]string{"gpu": prover, "cpu": prover, "verifier": "#!/bin/sh\ntest $1 = accept || test -n \"$8\"\n"} {
		require.NoError(t, os.WriteFile(models[0].name+"-"+program, []byte(text), 0o755))
	}
	t.Setenv("PATH", "/bin:/usr/bin")
	require.ErrorContains(t, run("out.json", ""), "points  did not pass: see out.json")
	text, err := os.ReadFile("out.json")
	require.NoError(t, err)
	var r Report
	require.NoError(t, json.Unmarshal(text, &r))
	require.Equal(t, "0123", r.Commit)
	require.GreaterOrEqual(t, len(r.Results), len(packages))
	require.False(t, r.Results[1].Passed)
	require.Equal(t, "exit status 3", r.Results[1].Exit)
	require.Contains(t, r.Results[1].Output, "what went wrong")
	require.True(t, r.Results[4].Passed)
	require.Equal(t, map[string]float64{"ns/op": 348213609, "Gpoints/s": 0.5, "launches/op": 6}, r.Results[4].Benchmarks["MSM"])

	last := r.Results[len(r.Results)-1]
	require.True(t, last.Passed, last.Output)
	require.JSONEq(t, `{"computed_by": "./sums-gpu"}`, string(last.Reports["proof by the gpu"]))
	require.JSONEq(t, `{"computed_by": "./sums-cpu"}`, string(last.Reports["proof by the cpu"]))
	// One that has a name is run alone, and what a verifier refuses did not pass.
	require.NoError(t, os.WriteFile(models[0].name+"-verifier", []byte("#!/bin/sh\necho rejected >&2\nexit 1\n"), 0o755))
	require.ErrorContains(t, run("out.json", models[0].name), "sums  did not pass")
	text, err = os.ReadFile("out.json")
	require.NoError(t, err)
	r = Report{}
	require.NoError(t, json.Unmarshal(text, &r))
	require.Len(t, r.Results, 1)
	require.Contains(t, r.Results[0].Output, "rejected")
}
