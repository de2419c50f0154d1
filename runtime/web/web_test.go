package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/handover"
)

// files reads what a customer got.
func files(t *testing.T) func(name string) []byte {
	dir := handover.Sums(t)
	return func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return data
	}
}

// ask sends a request, and returns status and answer.
func ask(h http.Handler, method, path, body string) (int, http.Header, map[string]any) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return w.Code, w.Header(), out
}

// body is a request as JSON.
func body(t *testing.T, members map[string]any) string {
	data, err := json.Marshal(members)
	require.NoError(t, err)
	return string(data)
}

// TestVerify answers every request with a report or a reason, and tells who observes.
func TestVerify(t *testing.T) {
	read := files(t)
	seen := map[string]int{}
	h, err := New(t.Context(), Options{
		Bundles: map[string][]byte{"sums": read("sums.bundle")}, IDs: map[string]string{"sums": string(read("model.id"))}, Body: 1 << 20,
		Observe: func(model, class string, _ time.Duration) { seen[model+"/"+class]++ },
	})
	require.NoError(t, err)
	st, proof := read("statement.bin"), read("proof.bin")
	for name, c := range map[string]struct {
		body            string
		status          int
		accepted, class any
		seen            string
	}{
		"a proof":            {body(t, map[string]any{"model": "sums", "statement": st, "proof": proof, "prompt": handover.Prompt}), 200, true, nil, "sums/"},
		"another prompt":     {body(t, map[string]any{"model": "sums", "statement": st, "proof": proof, "prompt": "1+1="}), 200, false, "prompt mismatch", "sums/prompt mismatch"},
		"a damaged proof":    {body(t, map[string]any{"model": "sums", "statement": st, "proof": read("damaged.bin")}), 200, false, "final argument", "sums/final argument"},
		"no proof":           {body(t, map[string]any{"model": "sums", "statement": st}), 200, false, "decoding", "sums/decoding"},
		"no such model":      {body(t, map[string]any{"model": "../sums", "statement": st, "proof": proof}), 404, nil, "model", "/model"},
		"no JSON":            {"proof", 400, nil, "request", "/request"},
		"no base64":          {`{"model": "sums", "proof": "?"}`, 400, nil, "request", "sums/request"},
		"a member too many":  {`{"model": "sums", "trusted": true}`, 400, nil, "request", "sums/request"},
		"a bracket behind":   {`{"model": "sums"}]`, 400, nil, "request", "sums/request"},
		"a prompt of null":   {`{"model": "sums", "prompt": null}`, 400, nil, "request", "sums/request"},
		"two prompts":        {`{"model": "sums", "prompt": "a", "PROMPT": "b"}`, 400, nil, "request", "sums/request"},
		"more than one":      {`{"model": "sums"}{}`, 400, nil, "request", "sums/request"},
		"more than is taken": {body(t, map[string]any{"model": "sums", "proof": bytes.Repeat([]byte{1}, 1<<20)}), 413, nil, "request", "/request"},
	} {
		before := seen[c.seen]
		status, header, got := ask(h, "POST", "/verify", c.body)
		require.Equal(t, c.status, status, "%s: %v", name, got)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		if c.status == 200 {
			require.Equal(t, c.accepted, got["accepted"], name)
			require.Equal(t, c.class, got["class"], name)
		} else {
			require.Equal(t, c.class, got["error"].(map[string]any)["class"], name)
		}
		require.Equal(t, before+1, seen[c.seen], "%s: %v", name, seen)
	}
	status, _, _ := ask(h, "GET", "/verify", "")
	require.Equal(t, http.StatusMethodNotAllowed, status)
	status, _, got := ask(h, "GET", "/models", "")
	require.Equal(t, 200, status)
	require.Equal(t, strings.TrimSpace(string(read("model.id"))), got["models"].(map[string]any)["sums"].(map[string]any)["model_id"])
}

// TestBusy tells a request to come again where as many proofs are checked as may be, and one that went away nothing.
func TestBusy(t *testing.T) {
	read := files(t)
	h, err := open(t.Context(), Options{Bundles: map[string][]byte{"sums": read("sums.bundle")}, IDs: map[string]string{"sums": string(read("model.id"))}, Wait: time.Millisecond})
	require.NoError(t, err)
	request := body(t, map[string]any{"model": "sums", "statement": read("statement.bin"), "proof": read("proof.bin")})
	h.slots <- struct{}{}
	gone, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	h.routes().ServeHTTP(w, httptest.NewRequestWithContext(gone, "POST", "/verify", strings.NewReader(request)))
	require.Contains(t, w.Body.String(), `"cancelled"`)
	status, header, got := ask(h.routes(), "POST", "/verify", request)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "busy", got["error"].(map[string]any)["class"])
	require.NotEmpty(t, header.Get("Retry-After"))
	<-h.slots
	for range cap(h.places) {
		h.places <- struct{}{}
	}
	status, _, got = ask(h.routes(), "POST", "/verify", "not even read")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "busy", got["error"].(map[string]any)["class"])
	for range cap(h.places) {
		<-h.places
	}
	status, _, got = ask(h.routes(), "POST", "/verify", request)
	require.Equal(t, 200, status)
	require.Equal(t, true, got["accepted"])
	require.Empty(t, h.slots)
	require.Empty(t, h.places)
}

// TestUntrusted opens no bundle without the ID that is trusted, and none of another model.
func TestUntrusted(t *testing.T) {
	read := files(t)
	for name, id := range map[string]string{"none": "", "another": strings.Repeat("0", 64), "half": "00"} {
		_, err := New(t.Context(), Options{Bundles: map[string][]byte{"sums": read("sums.bundle")}, IDs: map[string]string{"sums": id}})
		require.ErrorContains(t, err, "model sums: ", name)
	}
	_, err := New(t.Context(), Options{IDs: map[string]string{"other": strings.Repeat("0", 64)}})
	require.ErrorContains(t, err, "model other: there is an ID and no bundle")
}
