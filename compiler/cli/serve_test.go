package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/test/provided"
)

// watched is what a process writes, and what waits for it.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

// find waits for the n-th match of an expression, and returns its first group.
func (w *watched) find(t *testing.T, expression string, n int) string {
	t.Helper()
	re, found := regexp.MustCompile(expression), ""
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		all := re.FindAllStringSubmatch(w.b.String(), -1)
		if len(all) < n {
			return false
		}
		found = all[n-1][1]
		return true
	}, time.Minute, 5*time.Millisecond, "%s", expression)
	return found
}

// Options that make no sense, or do not go together, are refused by their names before anything is read.
func TestServeRefusesOptions(t *testing.T) {
	for _, c := range [][]string{{"--workers", "-1"}, {"--requests", "0"}, {"--answers", "-1"}, {"--body", "-1"}, {"--slow", "-1s"}, {"--grace", "-1s"}, {"--drain", "-1s"}, {"--replicas", "3"}, {"--data", "x", "--nats", "nats://127.0.0.1:1"}, {"--identity", "-"}} {
		code, _, err := run(t, append([]string{"serve", "--model", "none"}, c...)...)
		require.Equal(t, console.Usage, code, "%v", c)
		require.Contains(t, err, c[0])
	}
}

// encrypted encrypts a file with a passphrase that is little work, and returns the file with the passphrase.
func encrypted(t *testing.T, name string) (passphrase string) {
	plain, err := os.ReadFile(name)
	require.NoError(t, err)
	r, err := age.NewScryptRecipient("correct horse")
	require.NoError(t, err)
	r.SetWorkFactor(4)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, r)
	require.NoError(t, err)
	_, err = w.Write(plain)
	require.NoError(t, errors.Join(err, w.Close()))
	require.NoError(t, os.WriteFile(name, out.Bytes(), 0o600))
	passphrase = filepath.Join(t.TempDir(), "passphrase")
	require.NoError(t, os.WriteFile(passphrase, []byte("correct horse\n"), 0o600))
	return passphrase
}

// Server and worker, as processes, are killed in the middle of jobs; those that were promised are made all the same, each once. The prover's key
// is encrypted: each worker gets the passphrase from its server.
func TestServerIsKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to speak of")
	}
	dir, customer := provided.Alphabet(t)
	passphrase := encrypted(t, filepath.Join(dir, "keys", "prover.key"))
	data := t.TempDir()
	var log *watched
	start := func() (*exec.Cmd, string) {
		c := command(t, "serve", "--model", dir, "--data", data, "--listen", "127.0.0.1:0", "--patience", "2s", "--passphrase-file", passphrase)
		log = &watched{}
		c.Stderr = log
		require.NoError(t, c.Start())
		return c, log.find(t, `url=(\S+)`, 1)
	}
	server, url := start()
	var ids []string
	ask := func() {
		r, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(`{"model": "alphabet", "prompt": "a"}`))
		require.NoError(t, err)
		defer r.Body.Close()
		require.Equal(t, http.StatusOK, r.StatusCode)
		ids = append(ids, r.Header.Get("Proof-Id"))
	}
	kill := func(pid string) {
		n, err := strconv.Atoi(pid)
		require.NoError(t, err)
		p, err := os.FindProcess(n)
		require.NoError(t, err)
		_ = p.Kill() // it may have ended
	}
	worker := log.find(t, `pid=(\d+)`, 1)
	ask()
	log.find(t, `msg=(proving)`, 1)
	kill(worker)
	log.find(t, `pid=(\d+)`, 2) // the server starts another
	ask()
	ask()
	log.find(t, `msg=(proving)`, 2)
	require.NoError(t, server.Process.Kill())
	_ = server.Wait()
	code, _, err := run(t, "serve", "--model", dir, "--data", t.TempDir(), "--listen", ":0")
	require.Equal(t, console.Usage, code)
	require.Contains(t, err, "--tokens")
	code, _, err = run(t, "serve", "--model", dir, "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	require.Equal(t, console.Unreadable, code)
	require.Contains(t, err, "prover.key: it is encrypted with a passphrase; --passphrase-file FILE names")

	server, url = start()
	get := func(path string) []byte {
		r, err := http.Get(url + path)
		require.NoError(t, err)
		defer r.Body.Close()
		data, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.StatusCode, "%s", data)
		return data
	}
	for _, id := range ids {
		require.Eventually(t, func() bool {
			var r struct{ Status, Reason string }
			require.NoError(t, json.Unmarshal(get("/v1/proofs/"+id), &r))
			require.NotEqual(t, "failed", r.Status, r.Reason)
			return r.Status == "done"
		}, time.Minute, 50*time.Millisecond)
		r, err := customer.Verify(t.Context(), get("/v1/proofs/"+id+"/statement"), get("/v1/proofs/"+id+"/proof"), checker.Question{})
		require.NoError(t, err)
		require.True(t, r.Accepted, r.Error)
	}
	require.NoError(t, server.Process.Signal(os.Interrupt))
	require.NoError(t, server.Wait(), "an interruption is how a server ends")
}
