// Package api is the HTTP interface of a server: that of OpenAI's for language models, with a proof for every answer.
package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/strictjson"
	"github.com/zkllmc/zkllmc/server/internal/hosted"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// Options say what a handler serves, and what it lets requests take. What is 0 has a default.
type Options struct {
	Models   []*hosted.Model
	Store    *jobs.Store
	Access   *Access       // nil: everybody
	Local    string        // without tokens, the host that is listened on where only this machine may ask; "": requests may name any host
	Limit    int           // unfinished proofs; 256
	Body     int64         // bytes of a request; 8 MiB
	Requests int           // at a time; 256
	Answers  int           // answers that are computed at a time; 2
	Slow     time.Duration // how long an answer may take, and a client to read a part of it; 10 min and 30 s
	Prompts  bool          // log prompts and answers
	Page     fs.FS         // files for everybody, below /page/; nil: none
	Log      *slog.Logger
}

func (o *Options) defaults() {
	if o.Limit <= 0 {
		o.Limit = 256
	}
	if o.Body <= 0 {
		o.Body = 8 << 20
	}
	if o.Requests <= 0 {
		o.Requests = 256
	}
	if o.Answers <= 0 {
		o.Answers = 2
	}
	if o.Slow <= 0 {
		o.Slow = 10 * time.Minute
	}
}

// longestWrite is how long a client may take to read what was written to it.
const longestWrite = 30 * time.Second

// Handler answers requests. It is safe for concurrent use.
type Handler struct {
	o        Options
	mux      *http.ServeMux
	places   chan struct{} // requests that are read or answered
	answers  chan struct{} // answers that are computed
	reserved atomic.Int64  // proofs that are going to be asked for
	closing  atomic.Bool
	metrics  *metrics

	mu       sync.Mutex
	verified map[[sha256.Size]byte]bool // digests of proofs
}

// New returns a handler.
func New(o Options) *Handler {
	o.defaults()
	h := &Handler{o: o, mux: http.NewServeMux(), places: make(chan struct{}, o.Requests), answers: make(chan struct{}, o.Answers), verified: map[[sha256.Size]byte]bool{}}
	h.metrics = newMetrics(h)
	h.open("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error { return text(w, http.StatusOK, "ok\n") })
	h.open("GET /readyz", h.ready)
	h.route("GET /metrics", func(w http.ResponseWriter, r *call) error {
		if !r.operator { // they tell how long the answers of others are
			return &problem{status: http.StatusForbidden, Type: "permission_error", Message: "metrics are for the token of an operator"}
		}
		h.metrics.ServeHTTP(w, r.Request)
		return nil
	})
	h.route("GET /v1/models", h.models)
	h.route("GET /v1/models/{model}", h.model)
	h.route("POST /v1/completions", h.completions)
	h.route("POST /v1/chat/completions", h.chat)
	h.route("POST /v1/embeddings", h.embeddings)
	h.route("POST /v1/run", h.run)
	h.route("GET /v1/proofs/{id}", h.proof)
	h.route("DELETE /v1/proofs/{id}", h.cancel)
	h.route("GET /v1/proofs/{id}/statement", h.file)
	h.route("GET /v1/proofs/{id}/proof", h.file)
	if o.Page != nil {
		files := http.StripPrefix("/page", http.FileServerFS(unlisted{o.Page}))
		h.open("GET /page/", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
			files.ServeHTTP(w, r)
			return nil
		})
	}
	h.open("/", func(w http.ResponseWriter, r *http.Request) error {
		if methods := h.methods(r); methods != nil {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			return &problem{status: http.StatusMethodNotAllowed, Type: invalid, Message: "want the method " + strings.Join(methods, " or ")}
		}
		return &problem{status: http.StatusNotFound, Type: invalid, Message: "there is nothing here; the interface is below /v1"}
	})
	return h
}

// methods lists those that the path of a request is answered for.
func (h *Handler) methods(r *http.Request) (out []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := h.mux.Handler(other); strings.HasPrefix(pattern, method+" ") {
			out = append(out, method)
		}
	}
	return out
}

// unlisted are files of which no folder is listed: one without an index.html is not there.
type unlisted struct{ fs.FS }

func (u unlisted) Open(name string) (fs.File, error) {
	if info, err := fs.Stat(u.FS, name); err != nil {
		return nil, err
	} else if info.IsDir() {
		if _, err := fs.Stat(u.FS, path.Join(name, "index.html")); err != nil {
			return nil, err
		}
	}
	return u.FS.Open(name)
}

// Close lets readyz say that no more requests should come.
func (h *Handler) Close() { h.closing.Store(true) }

// Changed is to be told of every record that changes.
func (h *Handler) Changed(r *jobs.Record) { h.metrics.changed(r) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// call is a request with what is noted of it.
type call struct {
	*http.Request
	owner    string
	operator bool
	note     []any // for the log
}

func (c *call) log(args ...any) { c.note = append(c.note, args...) }

// route answers requests of those who may ask.
func (h *Handler) route(pattern string, f func(http.ResponseWriter, *call) error) {
	h.handle(pattern, func(w http.ResponseWriter, c *call) error {
		who, ok := h.o.Access.of(c.Request)
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			unread(w)
			return &problem{status: http.StatusUnauthorized, Type: "authentication_error", Code: "invalid_api_key", Message: "a bearer token is needed, and none of those that are known was sent"}
		}
		c.owner, c.operator = who.name, who.operator || h.o.Local != ""
		c.log("owner", who.name)
		select {
		case h.places <- struct{}{}: // before the body is in memory
			defer func() { <-h.places }()
		default:
			unread(w)
			return busy(1, "too many requests at a time")
		}
		c.Body = http.MaxBytesReader(w, c.Body, h.o.Body)
		return f(w, c)
	})
}

// unread says that the body of a request is not going to be read, for which the server would wait before it sends the answer.
func unread(w http.ResponseWriter) { w.Header().Set("Connection", "close") }

// open answers requests of everybody.
func (h *Handler) open(pattern string, f func(http.ResponseWriter, *http.Request) error) {
	h.handle(pattern, func(w http.ResponseWriter, c *call) error { return f(w, c.Request) })
}

// handle measures, logs, and tells errors. Paths are not logged: whoever asks writes what he likes there.
func (h *Handler) handle(pattern string, f func(http.ResponseWriter, *call) error) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		_ = http.NewResponseController(w).SetWriteDeadline(begin.Add(h.o.Slow + longestWrite))
		out := &recorder{ResponseWriter: w}
		c := &call{Request: r}
		err := guarded(func() error {
			if err := h.foreign(r); err != nil {
				unread(out)
				return err
			}
			return f(out, c)
		})
		if err != nil {
			p := h.problem(err)
			if p.status == http.StatusInternalServerError {
				c.log("error", err.Error())
			}
			if !out.begun {
				p.write(out)
			}
		}
		took := time.Since(begin)
		h.metrics.answered(pattern, out.status, took)
		if pattern != "GET /healthz" && pattern != "GET /readyz" && pattern != "GET /metrics" {
			h.o.Log.Info("request", append([]any{"route", pattern, "status", out.status, "seconds", took.Seconds(), "from", r.RemoteAddr}, c.note...)...)
		}
	})
}

// foreign refuses what a page of another site lets a browser send. Without tokens any page could ask a server on its reader's machine: as itself,
// which the header Origin tells, or by a name of its own that leads to that machine, which Host tells.
func (h *Handler) foreign(r *http.Request) error {
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return &problem{status: http.StatusForbidden, Type: invalid, Code: "foreign_origin", Message: "pages of other sites may not ask"}
		}
	}
	if h.o.Local == "" {
		return nil
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost") || strings.EqualFold(host, h.o.Local) {
		return nil
	}
	return &problem{status: http.StatusForbidden, Type: invalid, Code: "foreign_host", Message: "without tokens a server is asked by an address of this machine, or as localhost"}
}

// guarded turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// recorder remembers the status that was sent.
type recorder struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (r *recorder) WriteHeader(status int) {
	r.status, r.begun = status, true
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if !r.begun {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// problem is an error as OpenAI's interface writes it.
type problem struct {
	status  int
	retry   int    // seconds after which to come again; 0: not said
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"param,omitempty"`
	Code    string `json:"code,omitempty"`
}

// invalid is the type of errors of whoever asked.
const invalid = "invalid_request_error"

func (p *problem) Error() string { return p.Message }

func (p *problem) write(w http.ResponseWriter) {
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retry))
	}
	_ = respond(w, p.status, map[string]any{"error": p})
}

func busy(retry int, message string) *problem {
	return &problem{status: http.StatusTooManyRequests, retry: retry, Type: "rate_limit_error", Code: "rate_limit_exceeded", Message: message + "; come again later"}
}

// refused is the problem of a parameter.
func refused(param, format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, Type: invalid, Param: param, Message: fmt.Sprintf(format, args...)}
}

// problem says what an error means to whoever asked. What is none of his business is not in it.
func (h *Handler) problem(err error) *problem {
	var p *problem
	var fault *hosted.Fault
	var large *http.MaxBytesError
	var wrong *engine.Refusal
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &fault):
		return refused(fault.Param, "%s", fault.Error())
	case errors.As(err, &large):
		return &problem{status: http.StatusRequestEntityTooLarge, Type: invalid, Message: fmt.Sprintf("the request has more than %d bytes", large.Limit)}
	case errors.Is(err, jobs.ErrUnknown):
		return &problem{status: http.StatusNotFound, Type: invalid, Param: "id", Code: "proof_not_found", Message: jobs.ErrUnknown.Error()}
	case errors.Is(err, jobs.ErrFull):
		return busy(h.metrics.patience(), "too many proofs are waiting")
	case errors.Is(err, jobs.ErrLarge):
		return &problem{status: http.StatusRequestEntityTooLarge, Type: invalid, Message: "the inputs are too large for the queue of proofs"}
	case errors.As(err, &wrong):
		return refused("", "%v", wrong)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &problem{status: http.StatusServiceUnavailable, retry: 1, Type: "server_error", Message: "the request was given up"}
	}
	return &problem{status: http.StatusInternalServerError, Type: "server_error", Message: "internal error"}
}

// respond writes JSON.
func respond(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return send(w, status, "application/json", append(data, '\n'))
}

func text(w http.ResponseWriter, status int, s string) error {
	return send(w, status, "text/plain; charset=utf-8", []byte(s))
}

// send writes a body, which the client has to read in some time.
func send(w http.ResponseWriter, status int, kind string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longestWrite))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not take it went away
	return nil
}

func (h *Handler) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	switch {
	case h.closing.Load():
		return text(w, http.StatusServiceUnavailable, "closing\n")
	case h.o.Store.Ready(ctx) != nil:
		return text(w, http.StatusServiceUnavailable, "the queue of proofs does not answer\n")
	}
	return text(w, http.StatusOK, "ready\n")
}

// named returns the model of a name.
func (h *Handler) named(name string) (*hosted.Model, error) {
	i := slices.IndexFunc(h.o.Models, func(m *hosted.Model) bool { return m.Name == name })
	if i < 0 {
		return nil, &problem{status: http.StatusNotFound, Type: invalid, Param: "model", Code: "model_not_found", Message: "there is no such model; GET /v1/models lists those there are"}
	}
	return h.o.Models[i], nil
}

// modelObject is a model as OpenAI's interface lists it, and what proofs about it are of.
type modelObject struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Created   int64  `json:"created"`
	OwnedBy   string `json:"owned_by"`
	ModelID   string `json:"model_id"` // of proofs
	Kind      string `json:"kind"`     // generation or function
	Positions int    `json:"positions,omitempty"`
}

func object(m *hosted.Model) modelObject {
	kind := "function"
	if m.Continues() {
		kind = "generation"
	}
	return modelObject{m.Name, "model", m.Opened.Unix(), "zkllmc", m.ID, kind, m.Positions()}
}

func (h *Handler) models(w http.ResponseWriter, _ *call) error {
	list := []modelObject{}
	for _, m := range h.o.Models {
		list = append(list, object(m))
	}
	return respond(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

func (h *Handler) model(w http.ResponseWriter, c *call) error {
	m, err := h.named(c.PathValue("model"))
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, object(m))
}

// body reads the JSON object of a request. It has to be called that: a browser asks before it sends JSON to another site, and not before it sends a
// text.
func body(c *call) (params, error) {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &problem{status: http.StatusUnsupportedMediaType, Type: invalid, Message: "want the header Content-Type: application/json"}
	}
	data, err := io.ReadAll(c.Body)
	if err != nil {
		return nil, err
	}
	p := params{}
	switch err := strictjson.Unmarshal(data, &p); {
	case errors.Is(err, strictjson.ErrTwice):
		return nil, refused("", "the request: %v", err)
	case err != nil || p == nil:
		return nil, refused("", "the request is no JSON object")
	}
	return p, nil
}
