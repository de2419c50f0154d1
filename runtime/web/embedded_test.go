package web

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/handover"
)

// service is a program of somebody else's, in a module of its own, that serves the handler beside its own and asks it about two proofs.
const service = `package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/zkllmc/zkllmc/runtime/web"
)

func main() {
	read := func(name string) []byte {
		data, err := os.ReadFile(os.Args[1] + "/" + name)
		if err != nil {
			panic(err)
		}
		return data
	}
	checks, err := web.New(context.Background(), web.Options{
		Bundles: map[string][]byte{"sums": read("sums.bundle")},
		IDs:     map[string]string{"sums": strings.TrimSpace(string(read("model.id")))},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/proofs/", http.StripPrefix("/proofs", checks))
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, proof := range []string{"proof.bin", "damaged.bin"} {
		body, err := json.Marshal(map[string]any{"model": "sums", "statement": read("statement.bin"), "proof": read(proof), "prompt": os.Args[2]})
		if err != nil {
			panic(err)
		}
		answer, err := http.Post(server.URL+"/proofs/verify", "application/json", bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		var report struct {
			Accepted bool
			Class    string
		}
		if err := json.NewDecoder(answer.Body).Decode(&report); err != nil {
			panic(err)
		}
		answer.Body.Close()
		fmt.Println(answer.StatusCode, report.Accepted, report.Class)
	}
}
`

// A module of somebody else's, which requires nothing but this one, serves the handler.
func TestAnotherModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.go": service, "go.sum": string(sum),
		"go.mod": "module example.com/service\n\ngo 1.26.8\n\nrequire github.com/zkllmc/zkllmc v0.0.0\n\nreplace github.com/zkllmc/zkllmc => " + root + "\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	c := exec.Command("go", "run", ".", handover.Sums(t), handover.Prompt)
	c.Dir, c.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "200 true \n200 false final argument\n", string(out))
}
