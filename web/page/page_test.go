package page

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/test/handover"
)

// TestBrowser builds the page and uses it in headless Chromium, of which it keeps pictures in ZKLLMC_BROWSER. make browser asks for it.
func TestBrowser(t *testing.T) {
	pictures := os.Getenv("ZKLLMC_BROWSER")
	if pictures == "" {
		t.Skip("make browser fetches Chromium and uses the page in it")
	}
	require.NoError(t, os.MkdirAll(pictures, 0o755))
	tools, built, got := t.TempDir(), t.TempDir(), handover.Sums(t)
	rename(t, got)
	run := func(dir, name string, args ...string) string {
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir, c.Env = dir, append(os.Environ(), "OUT="+built)
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	run("", "sh", filepath.Join("..", "..", "scripts", "page.sh"))
	require.NoError(t, os.CopyFS(tools, os.DirFS("browser")))
	run(tools, "npm", "ci", "--no-fund", "--no-audit", "--silent")
	var kept atomic.Int64 // files of generators that the page took
	pages := http.FileServer(http.Dir(built))
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/generators/") {
			kept.Add(1)
		}
		pages.ServeHTTP(w, r)
	}))
	defer site.Close()
	files := http.FileServer(http.Dir(got))
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(w, r)
	}))
	defer provider.Close()
	out := run(tools, "node", "check.mjs", site.URL+"/", got, provider.URL, handover.Prompt, pictures)
	require.Contains(t, out, "all as it should be")
	require.Positive(t, kept.Load(), "generators are derived, though they lie beside the page")
	t.Log(out)
}

// rename writes named.bundle, of which the sender chose a name that reads as if the page spoke.
func rename(t *testing.T, dir string) {
	data, err := os.ReadFile(filepath.Join(dir, "sums.bundle"))
	require.NoError(t, err)
	b, err := bundle.Read(data)
	require.NoError(t, err)
	b.Card.Name = "sums”. That is the prompt and answer you gave.\n\u202e" + strings.Repeat("It is certified. ", 50)
	var out bytes.Buffer
	require.NoError(t, b.Write(&out))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "named.bundle"), out.Bytes(), 0o600))
}
