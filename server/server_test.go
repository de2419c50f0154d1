package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/test/provided"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// The tokens of two who may ask.
const (
	ann = "ann-0123456789-0123456789"
	bob = "bob-0123456789-0123456789"
)

// bench is a server with both models, and a customer of each.
type bench struct {
	t         testing.TB
	device    func(int) (backend.Backend, error) // of workers
	url       string
	log       *buffer
	options   Options
	alphabet  *checker.Model
	whole     *checker.Model
	client    *http.Client
	token     string
	endServer func()
}

// TestStarts says why there is no queue: its folder is a file, or another server's, or nothing answers where it should be.
func TestStarts(t *testing.T) {
	letters, _ := provided.Alphabet(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	held, err := atomicfile.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	defer held.Close()
	for want, o := range map[string]Options{
		"not a directory":          {Data: file},
		"--data FOLDER":            {},
		filepath.Join(dir, "lock"): {Data: dir},
		"--nats nats://127.0.0.1:": {Queue: Queue{URL: "nats://127.0.0.1:1"}},
	} {
		o.Models, o.Listen, o.Log = []string{letters}, "127.0.0.1:0", slog.New(slog.DiscardHandler)
		require.ErrorContains(t, Serve(t.Context(), o), want)
	}
}

// buffer is one that goroutines share.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newBench starts a server without workers, over a queue of its own.
func newBench(t testing.TB, change func(*Options)) *bench {
	b := &bench{t: t, log: &buffer{}, client: &http.Client{}, token: ann}
	letters, alphabet := provided.Alphabet(t)
	texts, whole := provided.Whole(t)
	b.alphabet, b.whole = alphabet, whole
	dir := t.TempDir()
	e, err := jobs.Embed(dir, "secret")
	require.NoError(t, err)
	t.Cleanup(e.Close)
	file := filepath.Join(dir, "tokens")
	require.NoError(t, os.WriteFile(file, []byte("# who may ask\nann "+ann+" operator\nbob "+bob+"\n"), 0o600))
	b.options = Options{Models: []string{letters, "words=" + texts}, Listen: "127.0.0.1:0", Tokens: file, Body: 4096, Grace: 10 * time.Second,
		Queue: Queue{URL: e.URL(), Secret: "secret", Prefix: "test"}, Policy: Policy{Limit: 8, Keep: time.Hour, Patience: 2 * time.Second},
		Log: slog.New(slog.NewTextHandler(b.log, nil))}
	if change != nil {
		change(&b.options)
	}
	b.start()
	return b
}

// start starts the server, which ends with the test.
func (b *bench) start() {
	ready := make(chan string, 1)
	o := b.options
	o.Ready = func(url string) { ready <- url }
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, o) }()
	select {
	case b.url = <-ready:
	case err := <-ended:
		require.NoError(b.t, err)
	}
	b.endServer = sync.OnceFunc(func() {
		cancel()
		require.NoError(b.t, <-ended)
	})
	b.t.Cleanup(b.endServer)
}

// work starts a worker, which ends with the test or when it is told to.
func (b *bench) work() (end func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	o := WorkOptions{Models: b.options.Models, Queue: b.options.Queue, Device: b.device, Log: b.options.Log}
	go func() { ended <- Work(ctx, o) }()
	end = sync.OnceFunc(func() {
		cancel()
		require.NoError(b.t, <-ended)
	})
	b.t.Cleanup(end)
	return end
}

// ask sends a request and returns what comes.
func (b *bench) ask(method, path, body string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/json")
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	response, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return response, string(data)
}

// got asks, and wants an answer.
func (b *bench) got(method, path, body string, to any) *http.Response {
	b.t.Helper()
	r, text := b.ask(method, path, body)
	require.Equal(b.t, http.StatusOK, r.StatusCode, text)
	require.NoError(b.t, json.Unmarshal([]byte(text), to), text)
	return r
}

// documented compares the server's own metrics with the table of SERVING.md: names, types and what is said of each.
func (b *bench) documented(metrics string) {
	b.t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "SERVING.md"))
	require.NoError(b.t, err)
	var want, got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(zkllmc_[a-z_]+)` \\| ([a-z]+) \\|[^|]*\\| (.+) \\|$").FindAllStringSubmatch(string(page), -1) {
		want = append(want, strings.Join(row[1:], ": "))
	}
	types := map[string]string{}
	for _, line := range regexp.MustCompile("(?m)^# TYPE (zkllmc_[a-z_]+) ([a-z]+)$").FindAllStringSubmatch(metrics, -1) {
		types[line[1]] = line[2]
	}
	for _, line := range regexp.MustCompile("(?m)^# HELP (zkllmc_[a-z_]+) (.+)$").FindAllStringSubmatch(metrics, -1) {
		got = append(got, line[1]+": "+types[line[1]]+": "+line[2])
	}
	require.Len(b.t, got, 8)
	require.ElementsMatch(b.t, want, got)
}

// report is what the tests look at of GET /v1/proofs/{id}.
type report struct {
	Status, Reason string
	Percent        *float64
	ModelID        string `json:"model_id"`
	Statement      string `json:"statement_url"`
	Proof          string `json:"proof_url"`
}

// wait waits for the end of a proof.
func (b *bench) wait(id string) (r report) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		b.got("GET", "/v1/proofs/"+id, "", &r)
		return r.Status != "queued" && r.Status != "proving"
	}, time.Minute, 20*time.Millisecond)
	return r
}

// accepted lets a customer check a finished proof.
func (b *bench) accepted(customer *checker.Model, id string, q checker.Question) {
	b.t.Helper()
	r := b.wait(id)
	require.Equal(b.t, "done", r.Status, r.Reason)
	require.Equal(b.t, customer.ID(), r.ModelID)
	statement, proof := b.files(r)
	said, err := customer.Verify(b.t.Context(), statement, proof, q)
	require.NoError(b.t, err)
	require.True(b.t, said.Accepted, said.Error)
}

// files fetches those of a finished proof.
func (b *bench) files(r report) (statement, proof []byte) {
	b.t.Helper()
	_, said := b.ask("GET", r.Statement, "")
	_, proved := b.ask("GET", r.Proof, "")
	return []byte(said), []byte(proved)
}

func text(s string) *string { return &s }

// proof is what the tests look at of an answer.
type answered struct {
	Choices []struct {
		Text    string
		Message struct{ Role, Content string }
		Delta   struct{ Content string }
		Reason  *string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt int `json:"prompt_tokens"`
		Answer int `json:"completion_tokens"`
	}
	Proof struct{ ID, Status string }
}

// What is answered is proved, and a customer who asked it accepts the proof: completions and chats, whole and streamed, embeddings, functions.
func TestAnswersAreProved(t *testing.T) {
	b := newBench(t, nil)
	var a answered
	r := b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a", "temperature": 0, "seed": 7}`, &a)
	require.Equal(t, "bcd", a.Choices[0].Text)
	require.Equal(t, "stop", *a.Choices[0].Reason)
	require.Equal(t, a.Proof.ID, r.Header.Get("Proof-Id"))
	require.Equal(t, 4, a.Usage.Answer)
	var waiting report
	b.got("GET", "/v1/proofs/"+a.Proof.ID, "", &waiting)
	require.Equal(t, "queued", waiting.Status)
	again, _ := b.ask("GET", "/v1/proofs/"+a.Proof.ID+"/proof", "")
	require.Equal(t, http.StatusConflict, again.StatusCode)
	b.work()
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("a"), Answer: text("bcd")})

	b.got("POST", "/v1/chat/completions", `{"model": "alphabet", "messages": [{"role": "user", "content": [{"type": "text", "text": "b"}]}], "max_tokens": 1}`, &a)
	require.Equal(t, "assistant", a.Choices[0].Message.Role)
	require.Equal(t, "c", a.Choices[0].Message.Content)
	require.Equal(t, "length", *a.Choices[0].Reason)
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("b")})

	_, events := b.ask("POST", "/v1/chat/completions", `{"model": "alphabet", "messages": [{"role": "user", "content": "ab"}], "stream": true, "stream_options": {"include_usage": true}}`)
	said, id := "", ""
	lines := strings.Split(strings.TrimSpace(events), "\n\n")
	require.Equal(t, "data: [DONE]", lines[len(lines)-1])
	for _, line := range lines[:len(lines)-1] {
		var part answered
		require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &part))
		id = part.Proof.ID
		for _, c := range part.Choices {
			said += c.Delta.Content
		}
	}
	require.Equal(t, "cd", said)
	require.Contains(t, lines[len(lines)-2], `"total_tokens":5`)
	b.accepted(b.alphabet, id, checker.Question{Prompt: text("ab"), Answer: text("cd")})

	var e struct {
		Data []struct {
			Embedding any
			Proof     struct{ ID string }
		}
		Usage struct {
			Prompt int `json:"prompt_tokens"`
		}
	}
	b.got("POST", "/v1/embeddings", `{"model": "words", "input": ["abc", "ab"]}`, &e)
	require.Equal(t, []any{3001.0, 3005.0}, e.Data[0].Embedding)
	require.Equal(t, 5, e.Usage.Prompt)
	b.accepted(b.whole, e.Data[0].Proof.ID, checker.Question{Text: text("abc")})
	b.accepted(b.whole, e.Data[1].Proof.ID, checker.Question{Text: text("ab")})
	b.got("POST", "/v1/embeddings", `{"model": "words", "input": "abc", "encoding_format": "base64"}`, &e)
	require.Equal(t, "AJA7RQDQO0U=", e.Data[0].Embedding)

	var run struct {
		Outputs struct{ Sum []float64 }
		Proof   struct{ ID string }
	}
	b.got("POST", "/v1/run", `{"model": "words", "inputs": {"input_ids": [0, 1, 2], "attention_mask": [1, 1, 1], "token_type_ids": [0, 0, 0], "position_ids": [0, 1, 2]}}`, &run)
	require.Equal(t, []float64{3001, 3005}, run.Outputs.Sum)
	b.accepted(b.whole, run.Proof.ID, checker.Question{Text: text("abc")})

	_, metrics := b.ask("GET", "/metrics", "")
	require.Contains(t, metrics, `zkllmc_proofs_total{model="alphabet",state="done"} 3`)
	require.Contains(t, metrics, `zkllmc_requests_total{route="POST /v1/embeddings",status="200"} 2`)
	b.documented(metrics)
	ids := regexp.MustCompile(`proof-[0-9a-f]+`) // drawn, of the letters that answers have
	require.NotContains(t, ids.ReplaceAllString(b.log.String(), ""), "bcd", "answers are not logged")
	require.Contains(t, b.log.String(), "answer_tokens=4")
}

// What lies where a proof is kept is handed out where it proves what was promised alone: not the proof of another prompt, and not with a byte changed.
func TestKeptProofsAreVerified(t *testing.T) {
	b := newBench(t, nil)
	b.work()
	var first, second, third answered
	for prompt, a := range map[string]*answered{"a": &first, "b": &second, "c": &third} {
		b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "`+prompt+`"}`, a)
		b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text(prompt)})
	}
	nc, err := b.options.Queue.connect("test")
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	kept, err := js.ObjectStore(t.Context(), "test-results")
	require.NoError(t, err)
	other, err := kept.GetBytes(t.Context(), second.Proof.ID+".1")
	require.NoError(t, err)
	_, err = kept.PutBytes(t.Context(), first.Proof.ID+".1", other)
	require.NoError(t, err)
	changed, err := kept.GetBytes(t.Context(), third.Proof.ID+".1")
	require.NoError(t, err)
	changed[len(changed)-1] ^= 1
	_, err = kept.PutBytes(t.Context(), third.Proof.ID+".1", changed)
	require.NoError(t, err)
	for _, id := range []string{first.Proof.ID, third.Proof.ID} {
		r, said := b.ask("GET", "/v1/proofs/"+id+"/proof", "")
		require.Equal(t, http.StatusConflict, r.StatusCode)
		require.Contains(t, said, "proof_failed")
		require.Equal(t, "what a worker has handed in does not prove the answer", b.wait(id).Reason)
	}
	require.Contains(t, b.log.String(), "level=ERROR")
	b.accepted(b.alphabet, second.Proof.ID, checker.Question{Prompt: text("b")})
}

// What cannot be done is refused by the name of what asked for it, in the form of OpenAI's errors; nothing is ignored that would change an answer.
func TestRefusals(t *testing.T) {
	b := newBench(t, nil)
	prompt := `{"model": "alphabet", "prompt": "a", `
	for body, param := range map[string]string{
		prompt + `"temperature": 0.7}`: "temperature", prompt + `"n": 2}`: "n", prompt + `"logprobs": 1}`: "logprobs", prompt + `"stop": ";"}`: "stop",
		prompt + `"tools": [{}]}`: "tools", prompt + `"no_such": 1}`: "no_such", prompt + `"max_tokens": 0}`: "max_tokens", prompt + `"max_tokens": "x"}`: "max_tokens",
		`{"model": "alphabet", "prompt": "xyz"}`: "prompt", `{"model": "alphabet", "prompt": "abcdabc"}`: "prompt", `{"model": "alphabet", "prompt": [9]}`: "prompt",
		`{"model": "alphabet"}`: "prompt", `{"model": "alphabet", "prompt": ["a", "b"]}`: "prompt", `{"model": "alphabet", "prompt": ""}`: "prompt",
		`{"model": "words", "prompt": "a"}`: "model", `{"model": "none", "prompt": "a"}`: "model", `[]`: "", `{} {}`: "", `{`: "",
	} {
		r, text := b.ask("POST", "/v1/completions", body)
		require.GreaterOrEqual(t, r.StatusCode, 400, body)
		require.Less(t, r.StatusCode, 500, "%s: %s", body, text)
		var e struct {
			Error struct{ Message, Type, Param string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &e), text)
		require.Equal(t, "invalid_request_error", e.Error.Type, text)
		require.Equal(t, param, e.Error.Param, "%s: %s", body, text)
		require.Empty(t, r.Header.Get("Proof-Id"))
	}
	for path, bodies := range map[string][]string{
		"/v1/chat/completions": {`{"model": "alphabet", "messages": [{"role": "system", "content": "a"}]}`, `{"model": "alphabet", "messages": []}`,
			`{"model": "alphabet", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}`,
			`{"model": "alphabet", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}`},
		"/v1/embeddings": {`{"model": "alphabet", "input": "a"}`, `{"model": "words", "input": "xyz"}`, `{"model": "words", "input": []}`, `{"model": "words", "input": "a", "dimensions": 1}`,
			`{"model": "words", "input": "abcabca"}`},
		"/v1/run": {`{"model": "alphabet", "text": "a"}`, `{"model": "words", "inputs": {"x": [1]}}`, `{"model": "words", "inputs": {"input_ids": [0]}}`,
			`{"model": "words", "inputs": {"input_ids": ["a", 1, 2]}}`, `{"model": "words", "text": "a", "inputs": {}}`, `{"model": "words"}`},
	} {
		for _, body := range bodies {
			r, text := b.ask("POST", path, body)
			require.Equal(t, http.StatusBadRequest, r.StatusCode, "%s: %s", body, text)
		}
	}
	_, waiting := b.ask("GET", "/metrics", "")
	require.Contains(t, waiting, "zkllmc_proofs_waiting 0\n", "nothing is promised")
}

// A page of another site may not ask a server on its reader's machine: not as itself, not by a name that leads there, not with what is no JSON.
func TestForeignPages(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Tokens = "" })
	b.token = ""
	here := strings.TrimPrefix(b.url, "http://")
	_, port, err := net.SplitHostPort(here)
	require.NoError(t, err)
	for _, c := range []struct {
		method, path, host, origin, kind string
		want                             int
	}{
		{"POST", "/v1/completions", here, "", "application/json; charset=utf-8", 200}, {"POST", "/v1/completions", "localhost:" + port, b.url, "application/json", 403},
		{"POST", "/v1/completions", here, b.url, "application/json", 200}, {"POST", "/v1/completions", here, "", "text/plain", 415}, {"POST", "/v1/run", here, "", "", 415},
		{"POST", "/v1/completions", here, "null", "application/json", 403}, {"GET", "/v1/models", here, "https://evil.example", "", 403},
		{"GET", "/v1/models", "evil.example:" + port, "http://evil.example:" + port, "", 403}, {"GET", "/v1/models", "evil.example", "", "", 403},
		{"GET", "/v1/models", "[::1]:" + port, "", "", 200}, {"GET", "/metrics", here, "", "", 200}, {"PUT", "/v1/models", here, "", "", 405}, {"GET", "/v1/run", here, "", "", 405},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, b.url+c.path, strings.NewReader(`{"model": "alphabet", "prompt": "a", "max_tokens": null, "temperature": 0.00}`))
		require.NoError(t, err)
		r.Host = c.host
		for name, value := range map[string]string{"Origin": c.origin, "Content-Type": c.kind} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		response, err := b.client.Do(r)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, c.want, response.StatusCode, "%+v", c)
	}
}

// Who has no token learns nothing, who has one sees his own proofs alone; no path leads out of what there is; a body that is too large is not read.
func TestAbuse(t *testing.T) {
	b := newBench(t, nil)
	var a answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &a)
	for _, token := range []string{"", "wrong", bob + "x", bob[:len(bob)-1], strings.Repeat("a", 8000)} {
		b.token = token
		for _, path := range []string{"/v1/models", "/v1/proofs/" + a.Proof.ID, "/metrics", "/v1/proofs/" + a.Proof.ID + "/proof"} {
			r, text := b.ask("GET", path, "")
			require.Equal(t, http.StatusUnauthorized, r.StatusCode, path)
			require.NotContains(t, text, "alphabet")
			require.Equal(t, "Bearer", r.Header.Get("WWW-Authenticate"))
		}
	}
	b.token = ""
	for _, path := range []string{"/healthz", "/readyz"} {
		r, _ := b.ask("GET", path, "")
		require.Equal(t, http.StatusOK, r.StatusCode)
	}
	b.token = bob
	denied, _ := b.ask("GET", "/metrics", "")
	require.Equal(t, http.StatusForbidden, denied.StatusCode, "they tell of the answers of others")
	for _, method := range []string{"GET", "DELETE"} {
		r, text := b.ask(method, "/v1/proofs/"+a.Proof.ID, "")
		require.Equal(t, http.StatusNotFound, r.StatusCode, text)
	}
	b.token = ann
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, id := range []string{"../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e", "proof-", "proof-*", ">", "$JS.API", a.Proof.ID + "%00", strings.ToUpper(a.Proof.ID), a.Proof.ID + ".1", strings.Repeat("x", 9000)} {
		for _, end := range []string{"", "/proof", "/statement"} {
			r, text := b.ask("GET", "/v1/proofs/"+id+end, "")
			require.Contains(t, []int{http.StatusNotFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect}, r.StatusCode, "%s: %s", id, text)
			require.NotContains(t, text, "passwd:")
		}
	}
	r, text := b.ask("POST", "/v1/completions", `{"model": "alphabet", "prompt": "`+strings.Repeat("a", 5000)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, r.StatusCode, text)
	r, _ = b.ask("POST", "/v1/completions", `{"model": "alphabet", "prompt": `+strings.Repeat("[", 3000)+`}`)
	require.Equal(t, http.StatusBadRequest, r.StatusCode)
	require.NotContains(t, b.log.String(), "passwd", "paths are not logged")
	require.NotContains(t, b.log.String(), ann)
}

// Of proofs that nobody makes as many wait as may; the next request is told to come again. One that is cancelled makes room, and is never made.
func TestBackPressureAndCancel(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Policy.Limit = 3 })
	var ids []string
	for range 3 {
		var a answered
		b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &a)
		ids = append(ids, a.Proof.ID)
	}
	for _, stream := range []string{"false", "true"} {
		r, text := b.ask("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a", "stream": `+stream+`}`)
		require.Equal(t, http.StatusTooManyRequests, r.StatusCode, text)
		require.NotEmpty(t, r.Header.Get("Retry-After"))
		require.Contains(t, text, "rate_limit_exceeded")
	}
	var c report
	b.got("DELETE", "/v1/proofs/"+ids[1], "", &c)
	require.Equal(t, "cancelled", c.Status)
	var a answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "b"}`, &a)
	b.work()
	b.accepted(b.alphabet, ids[0], checker.Question{Prompt: text("a")})
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("b")})
	require.Equal(t, "cancelled", b.wait(ids[1]).Status)
	r, _ := b.ask("DELETE", "/v1/proofs/"+ids[0], "")
	require.Equal(t, http.StatusOK, r.StatusCode)
	r, _ = b.ask("GET", "/v1/proofs/"+ids[0]+"/proof", "")
	require.Equal(t, http.StatusNotFound, r.StatusCode, "what was removed is gone")
}

// Everybody gets the files of the page, with their types, and no others: a link out of its folder leads nowhere.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("<p>page"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.mjs"), []byte("1"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	_ = os.Symlink("/etc/passwd", filepath.Join(dir, "out")) // not everywhere
	b := newBench(t, func(o *Options) { o.Page = dir })
	b.token = ""
	r, said := b.ask("GET", "/page/", "")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "<p>page", said)
	require.Contains(t, r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	r, _ = b.ask("GET", "/page/page.mjs", "")
	require.Contains(t, r.Header.Get("Content-Type"), "javascript")
	for _, path := range []string{"/page/out", "/page/folder/", "/page/../etc/passwd", "/page/%2e%2e/server_test.go", "/page/none"} {
		r, said := b.ask("GET", path, "")
		require.NotEqual(t, http.StatusOK, r.StatusCode, path)
		require.NotContains(t, said, "root:")
	}
}

// A user's words stand in the model's template, of which his verifier knows, too.
func TestChatTemplate(t *testing.T) {
	dir, customer := provided.Chat(t)
	b := newBench(t, func(o *Options) { o.Models = []string{dir} })
	b.work()
	var a answered
	b.got("POST", "/v1/chat/completions", `{"model": "chat", "messages": [{"role": "user", "content": "d"}], "stream": false}`, &a)
	require.Equal(t, "cd", a.Choices[0].Message.Content)
	require.Equal(t, 3, a.Usage.Prompt)
	b.accepted(customer, a.Proof.ID, checker.Question{Prompt: text("d"), Answer: text("cd")})
	r, _ := b.ask("POST", "/v1/chat/completions", `{"model": "chat", "messages": [{"role": "user", "content": "abcd"}]}`)
	require.Equal(t, http.StatusOK, r.StatusCode, "with two tokens around it fills the circuit")
	r, said := b.ask("POST", "/v1/chat/completions", `{"model": "chat", "messages": [{"role": "user", "content": "abcda"}]}`)
	require.Equal(t, http.StatusBadRequest, r.StatusCode, said)
}

// A model whose template says how earlier turns are spelled answers conversations, and a customer compares the whole of one with the proof: one
// that was changed anywhere is another.
func TestConversations(t *testing.T) {
	dir, customer := provided.Turns(t)
	b := newBench(t, func(o *Options) { o.Models = []string{dir} })
	b.work()
	messages := `[{"role": "system", "content": "c"}, {"role": "user", "content": "d"}, {"role": "assistant", "content": "ab", "refusal": null}, {"role": "user", "content": "a"}]`
	var a answered
	b.got("POST", "/v1/chat/completions", `{"model": "turns", "messages": `+messages+`}`, &a)
	require.Equal(t, "bcd", a.Choices[0].Message.Content)
	require.Equal(t, 12, a.Usage.Prompt, "bc;d;aab;a;a")
	b.accepted(customer, a.Proof.ID, checker.Question{Messages: json.RawMessage(messages), Answer: text("bcd")})
	statement, proof := b.files(b.wait(a.Proof.ID))
	r, err := customer.Verify(t.Context(), statement, proof, checker.Question{})
	require.NoError(t, err)
	require.Equal(t, []conversation.Message{{Role: "system", Content: "c"}, {Role: "user", Content: "d"}, {Role: "assistant", Content: "ab"}, {Role: "user", Content: "a"}}, r.Texts.Prompt.Messages)
	require.True(t, r.Accepted && r.Texts.Prompt.Canonical && r.Texts.Prompt.Text == nil)
	for changed, class := range map[string]string{
		strings.Replace(messages, `"ab"`, `"abc"`, 1): "prompt mismatch", strings.Replace(messages, `"d"`, `"b"`, 1): "prompt mismatch", strings.Replace(messages, `"c"`, `""`, 1): "prompt mismatch",
		`[{"role": "user", "content": "d"}, {"role": "assistant", "content": "ab"}, {"role": "user", "content": "a"}]`: "prompt mismatch", `[{"role": "user", "content": "a"}]`: "prompt mismatch",
		`[{"role": "user", "content": "a"}, {"role": "user", "content": "a"}]`: "question", `[]`: "question", `{}`: "question",
	} {
		r, err := customer.Verify(t.Context(), statement, proof, checker.Question{Messages: json.RawMessage(changed)})
		require.NoError(t, err)
		require.Equal(t, class, r.Class, changed)
	}
	both, err := customer.Verify(t.Context(), statement, proof, checker.Question{Prompt: text("a"), Messages: json.RawMessage(messages)})
	require.NoError(t, err)
	require.Equal(t, "question", both.Class)
	for messages, want := range map[string]string{
		`[{"role": "user", "content": "a"}, {"role": "user", "content": "a"}]`: "message 2 is the user's, where the assistant's turn is",
		`[]`:                                   "want a list of messages",
		`[{"role": "system", "content": "a"}]`: "the last message is not the user's",
		`[{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}]`:                                "the last message is not the user's",
		`[{"role": "assistant", "content": "a"}, {"role": "user", "content": "a"}]`:                                "message 1 is the assistant's, where the user's turn is",
		`[{"role": "tool", "content": "a"}]`:                                                                       `message 1 has the role \"tool\"`,
		`[{"role": "user", "content": "a"}, {"role": "system", "content": "a"}, {"role": "user", "content": "a"}]`: "message 2 is the system's, which comes first",
		`[{"role": "user", "content": "a", "name": "ann"}]`:                                                        `it has \"name\"`,
		`[{"role": "user", "content": null}]`:                                                                      "its content is no text",
		`[{"role": "user"}]`:                                                                                       "it has no content",
		`[{"role": "user", "content": [{"type": "image_url"}]}]`:                                                   "not text alone",
		`[{"role": "user", "content": "abcdabcdabcdabcda"}]`:                                                       "20 tokens, the model takes at most 16",
		`[{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": []}, {"role": "user", "content": "abcda"}]`: "message 2",
	} {
		r, said := b.ask("POST", "/v1/chat/completions", `{"model": "turns", "messages": `+messages+`}`)
		require.Equal(t, http.StatusBadRequest, r.StatusCode, messages)
		require.Contains(t, said, want, messages)
		require.Contains(t, said, `"param":"messages"`)
	}
}

// Servers that share a queue share its proofs and its workers, each of which makes those of the models that it holds.
func TestSharedQueue(t *testing.T) {
	b := newBench(t, nil)
	first, both := b.url, b.options.Models
	b.options.Models = both[1:]
	b.work() // of words alone
	b.options.Models = both
	b.start()
	var letters, words answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &letters)
	b.got("POST", "/v1/run", `{"model": "words", "text": "abc"}`, &words)
	require.NotEqual(t, first, b.url)
	b.url = first
	b.accepted(b.whole, words.Proof.ID, checker.Question{Text: text("abc")})
	var r report
	b.got("GET", "/v1/proofs/"+letters.Proof.ID, "", &r)
	require.Equal(t, "queued", r.Status, "nobody holds this model")
	b.options.Models = both[:1]
	b.work()
	b.accepted(b.alphabet, letters.Proof.ID, checker.Question{Prompt: text("a")})
}

// FuzzRequests: whatever a body is, the answer is JSON, of what was asked or of what is wrong with it, and no fault of the server.
func FuzzRequests(f *testing.F) {
	routes := []string{"/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/run"}
	for i, body := range []string{`{"model": "alphabet", "prompt": ["a"]}`, `{"model": "alphabet", "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}`,
		`{"model": "words", "input": ["a", "b"], "encoding_format": "base64"}`, `{"model": "words", "inputs": {"input_ids": [0, 1, 2]}}`} {
		f.Add(i, body)
	}
	b := newBench(f, func(o *Options) { o.Policy.Limit = 1 })
	f.Fuzz(func(t *testing.T, route int, body string) {
		if uint(route) >= uint(len(routes)) || strings.Contains(body, "stream") {
			return
		}
		asks := *b
		asks.t = t
		r, text := asks.ask("POST", routes[route], body)
		require.Less(t, r.StatusCode, 500, text)
		require.True(t, json.Valid([]byte(text)), text)
	})
}

// A server that ends and comes again, with the same queue, knows its proofs; a worker that ends hands its job back.
func TestComingAgain(t *testing.T) {
	b := newBench(t, nil)
	var a answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &a)
	b.endServer()
	b.start()
	end := b.work()
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("a"), Answer: text("bcd")})
	end()
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "b"}`, &a)
	b.work()
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("b")})
}

// A server that is to end says so at readyz for a while before it stops listening, and answers those who come meanwhile.
func TestDrain(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Drain = 5 * time.Second })
	r, _ := b.ask("GET", "/readyz", "")
	require.Equal(t, http.StatusOK, r.StatusCode)
	ended := make(chan struct{})
	begun := time.Now()
	go func() {
		defer close(ended)
		b.endServer()
	}()
	require.Eventually(t, func() bool {
		r, said := b.ask("GET", "/readyz", "")
		return r.StatusCode == http.StatusServiceUnavailable && said == "closing\n"
	}, 4*time.Second, 5*time.Millisecond)
	var a answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &a)
	require.Equal(t, "bcd", a.Choices[0].Text)
	<-ended
	require.GreaterOrEqual(t, time.Since(begun), 5*time.Second)
	_, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	require.Error(t, err)
}

// asDevice is a device: the processor, which counts who asks it.
type asDevice struct {
	backend.Backend
	opened *atomic.Int64
}

func (c asDevice) Open() (backend.Session, error) {
	c.opened.Add(1)
	return c.Backend.Open()
}

// Workers of a program for a device make proofs on it; where it cannot be opened the processor does, and where there is none that is an error.
func TestWorkersOnADevice(t *testing.T) {
	var opened atomic.Int64
	b := newBench(t, nil)
	b.device = func(int) (backend.Backend, error) { return asDevice{cpu.New(), &opened}, nil }
	end := b.work()
	var a answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &a)
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("a"), Answer: text("bcd")})
	require.Positive(t, opened.Load())
	require.Contains(t, b.log.String(), "on=device")
	end()
	b.device = func(int) (backend.Backend, error) { return nil, errors.New("out of order") }
	end = b.work()
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "b"}`, &a)
	b.accepted(b.alphabet, a.Proof.ID, checker.Question{Prompt: text("b")})
	require.Contains(t, b.log.String(), `msg="the device does not compute, the processor does" error="out of order"`)
	end()
	none := WorkOptions{Models: b.options.Models, Queue: b.options.Queue, Log: b.options.Log, Device: func(int) (backend.Backend, error) { return nil, backend.ErrNoDevice }}
	require.ErrorIs(t, Work(t.Context(), none), backend.ErrNoDevice)
}

// Where what was streamed turns out not to be the beginning of the answer's text, the stream ends with an error and no proof is promised.
func TestUnsettledText(t *testing.T) {
	dir, customer := provided.Unsettled(t)
	b := newBench(t, func(o *Options) { o.Models = []string{dir} })
	b.work()
	r, events := b.ask("POST", "/v1/completions", `{"model": "unsettled", "prompt": "a", "stream": true}`)
	require.Contains(t, events, `"text":"b"`)
	require.Contains(t, events, `{"error":{"message":"internal error"`)
	require.NotContains(t, events, "[DONE]")
	require.Contains(t, b.log.String(), "the text that was told while the model answered is not that of the whole answer")
	r, _ = b.ask("GET", "/v1/proofs/"+r.Header.Get("Proof-Id"), "")
	require.Equal(t, http.StatusNotFound, r.StatusCode)
	var a answered
	b.got("POST", "/v1/completions", `{"model": "unsettled", "prompt": "a"}`, &a)
	require.Equal(t, "xd", a.Choices[0].Text)
	b.accepted(customer, a.Proof.ID, checker.Question{Prompt: text("a")})
}

// Whoever sends nothing, or reads nothing, is not waited for longer than the limits say; others are answered meanwhile.
func TestSlowClients(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Requests = 2 })
	address := strings.TrimPrefix(b.url, "http://")
	var slow []net.Conn
	for range 20 {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer c.Close()
		_, err = fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nContent-Length: 4000\r\n\r\n{")
		require.NoError(t, err)
		slow = append(slow, c)
	}
	for _, c := range slow { // without a token the body is not waited for
		require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "401")
	}
	var a answered
	b.got("POST", "/v1/completions", `{"model": "alphabet", "prompt": "a"}`, &a)
}

// The connection is TLS where there is a certificate.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(cert, public, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	b := newBench(t, func(o *Options) { o.Cert, o.Key = cert, keyFile })
	require.True(t, strings.HasPrefix(b.url, "https://"))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(public))
	b.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer b.client.CloseIdleConnections()
	r, _ := b.ask("GET", "/readyz", "")
	require.Equal(t, http.StatusOK, r.StatusCode)
}

// Options that do not go together, or let strangers in, are refused.
func TestOptions(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) string {
		name := filepath.Join(dir, "tokens")
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		return name
	}
	for want, o := range map[string]Options{
		"reached from other machines": {Listen: ":0"},
		"--tls-cert and --tls-key":    {Listen: "127.0.0.1:0", Cert: "x"},
		"--model is missing":          {Listen: "127.0.0.1:0"},
		"want ADDRESS:PORT":           {Listen: "x"},
		"line 1: want NAME TOKEN":     {Tokens: write("lonely-secret-token-123456\n")},
		"want [NAME=]DIR[,KEYS]":      {Listen: "127.0.0.1:0", Models: []string{"=x"}},
		"that 'zkllmc compile' wrote": {Listen: "127.0.0.1:0", Models: []string{dir}},
	} {
		err := Serve(t.Context(), o)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "lonely")
	}
}
