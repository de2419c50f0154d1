// Package web answers HTTP requests to check proofs. A service mounts the handler beside its own:
//
//	checks, err := web.New(ctx, web.Options{Bundles: map[string][]byte{"sums": bundle}, IDs: map[string]string{"sums": id}})
//	mux.Handle("/proofs/", http.StripPrefix("/proofs", checks))
//
// POST /verify takes JSON: model, statement and proof (base64), and of prompt, answer, text and no_saturation what is to be compared. It answers
// with a report, the members of 'verifier verify --json', with status 200 whether the proof is accepted or not: look at "accepted". GET
// /models lists the models' cards. Whatever is not answered so has a status of its own and {"error": {"class": …, "message": …}}. Nothing of
// a request is kept or logged. Limits to how slowly a request may come are the server's (http.Server.ReadTimeout).
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/strictjson"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Options say what a handler checks, and what it lets requests take. What is 0 has a default.
type Options struct {
	Bundles map[string][]byte // what 'zkllmc bundle' wrote, by the name that requests give the model
	IDs     map[string]string // the models' IDs that are trusted, 64 hexadecimal digits, by the same names; never what came with a bundle
	Body    int64             // bytes of a request; 8 MiB
	Checks  int               // proofs that are checked at a time; 1
	Waiting int               // requests that are read or wait besides; 8. Further ones are told to come again
	Wait    time.Duration     // how long one waits before it is told to come again; 5 s
	// Observe, which may be nil, is told of each request that was answered: the model's name, as far as there is one, the class of the
	// error ("" for a proof that was accepted), and how long it took. It may be called by several goroutines.
	Observe func(model, class string, took time.Duration)
}

// request is the body of POST /verify. Statement and proof are base64, as encoding/json writes bytes. What of the rest is given is compared
// with the statement, as verify --prompt, --answer, --text and --no-saturation do; null is refused.
type request struct {
	Model     string `json:"model"`
	Statement []byte `json:"statement"`
	Proof     []byte `json:"proof"`
	checker.Question
}

// handler checks proofs about some models.
type handler struct {
	o      Options
	models map[string]*checker.Model
	slots  chan struct{} // proofs that are checked
	places chan struct{} // requests in memory
}

// New opens the bundles and returns the handler, which is safe for concurrent use. Bundles of other models than the trusted ones are refused.
func New(ctx context.Context, o Options) (http.Handler, error) {
	h, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	return h.routes(), nil
}

func open(ctx context.Context, o Options) (*handler, error) {
	if o.Body <= 0 {
		o.Body = 8 << 20
	}
	if o.Waiting <= 0 {
		o.Waiting = 8
	}
	if o.Checks <= 0 {
		o.Checks = 1
	}
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	h := &handler{o: o, models: map[string]*checker.Model{}, slots: make(chan struct{}, o.Checks), places: make(chan struct{}, o.Checks+o.Waiting)}
	for name := range o.IDs {
		if o.Bundles[name] == nil {
			return nil, fmt.Errorf("model %s: there is an ID and no bundle", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Bundles)) {
		id, err := verifier.ParseModelID(o.IDs[name])
		if err == nil {
			h.models[name], err = checker.Open(ctx, o.Bundles[name], &id)
		}
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", name, err)
		}
	}
	return h, nil
}

func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /verify", h.verify)
	mux.HandleFunc("GET /models", h.list)
	return mux
}

// problem is an answer that is no report.
type problem struct {
	status  int
	Class   string `json:"class"`
	Message string `json:"message"`
}

func (h *handler) list(w http.ResponseWriter, _ *http.Request) {
	cards := map[string]bundle.Card{}
	for name, m := range h.models {
		cards[name] = m.Card
	}
	answer(w, http.StatusOK, map[string]any{"models": cards})
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	var q request
	report, p := h.check(w, r, &q)
	model := ""
	if h.models[q.Model] != nil {
		model = q.Model
	}
	if p != nil {
		if p.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		answer(w, p.status, map[string]any{"error": p})
		h.o.Observe(model, p.Class, time.Since(begin))
		return
	}
	answer(w, http.StatusOK, report)
	h.o.Observe(model, report.Class, time.Since(begin))
}

var busy = problem{http.StatusServiceUnavailable, "busy", "too many proofs are being checked; come again"}

// check reads a request and checks its proof.
func (h *handler) check(w http.ResponseWriter, r *http.Request, q *request) (checker.Report, *problem) {
	select {
	case h.places <- struct{}{}: // before the body is in memory
		defer func() { <-h.places }()
	default:
		return checker.Report{}, &busy
	}
	if p := h.read(w, r, q); p != nil {
		return checker.Report{}, p
	}
	wait, cancel := context.WithTimeout(r.Context(), h.o.Wait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-wait.Done():
		if err := r.Context().Err(); err != nil {
			return checker.Report{}, cancelled(err)
		}
		return checker.Report{}, &busy
	}
	report, err := h.models[q.Model].Verify(r.Context(), q.Statement, q.Proof, q.Question)
	if err != nil {
		return report, cancelled(err)
	}
	return report, nil
}

// cancelled is what nobody waits for.
func cancelled(err error) *problem {
	return &problem{http.StatusServiceUnavailable, "cancelled", err.Error()}
}

// read decodes a request.
func (h *handler) read(w http.ResponseWriter, r *http.Request, q *request) *problem {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.o.Body))
	if err == nil {
		err = strictjson.Unmarshal(body, q)
	}
	if err == nil {
		err = strictjson.NoNull(body)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &problem{http.StatusRequestEntityTooLarge, "request", fmt.Sprintf("the request has more than %d bytes", large.Limit)}
	case err != nil:
		return &problem{http.StatusBadRequest, "request", "the request is no JSON object of model, statement and proof: " + err.Error()}
	}
	if h.models[q.Model] == nil {
		return &problem{http.StatusNotFound, "model", fmt.Sprintf("there is no model %q", q.Model)}
	}
	return nil
}

// answer writes JSON. What cannot be written any more went away.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
