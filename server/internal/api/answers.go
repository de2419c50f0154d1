package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/zkllmc/zkllmc/server/internal/hosted"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// proofHeader has the name of the proof of a response.
const proofHeader = "Proof-Id"

// asked is a request for an answer.
type asked struct {
	m      *hosted.Model
	prompt []int64
	most   int
	stream bool
	usage  bool // in a chunk of its own
}

// common reads the members that requests for answers have.
func (h *Handler) common(p params) (*asked, error) {
	a := &asked{}
	var name string
	if err := p.read("model", &name, "a string"); err != nil {
		return nil, err
	}
	var err error
	if a.m, err = h.named(name); err != nil {
		return nil, err
	}
	var options struct {
		Usage bool `json:"include_usage"`
		// Obfuscation hides the lengths of tokens from who listens to an encrypted stream; this server's chunks are as long as they are.
		Obfuscation bool `json:"include_obfuscation"`
	}
	err = errors.Join(p.read("stream", &a.stream, "true or false"), p.read("stream_options", &options, "an object"))
	if err != nil {
		return nil, err
	}
	a.usage = options.Usage
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		var most *int
		if err := p.read(name, &most, "a number of tokens"); err != nil {
			return nil, err
		}
		if most == nil {
			continue
		}
		if *most < 1 {
			return nil, refused(name, "%s: want at least 1", name)
		}
		a.most = *most
	}
	return a, nil
}

// asked reads what both kinds of requests have, and the parameter that has the prompt; others are refused.
func (h *Handler) asked(c *call, prompt string) (*asked, json.RawMessage, error) {
	p, err := body(c)
	if err != nil {
		return nil, nil, err
	}
	a, err := h.common(p)
	if err != nil {
		return nil, nil, err
	}
	said := p.take(prompt)
	return a, said, p.rest()
}

func (h *Handler) completions(w http.ResponseWriter, c *call) error {
	a, prompt, err := h.asked(c, "prompt")
	if err != nil {
		return err
	}
	if a.prompt, err = tokensOf(a.m, prompt); err != nil {
		return err
	}
	return h.answer(w, c, a, completionFormat{})
}

// tokensOf reads a prompt: a text, or a list of token ids; or a list of one such.
func tokensOf(m *hosted.Model, prompt json.RawMessage) ([]int64, error) {
	var text string
	var ids []int64
	var list []json.RawMessage
	switch {
	case prompt == nil:
		return nil, refused("prompt", "prompt: it is missing")
	case json.Unmarshal(prompt, &text) == nil:
		return m.Encode(text)
	case json.Unmarshal(prompt, &ids) == nil:
		return ids, m.Check(ids)
	case json.Unmarshal(prompt, &list) == nil && len(list) == 1:
		if json.Unmarshal(list[0], &text) == nil || json.Unmarshal(list[0], &ids) == nil {
			return tokensOf(m, list[0])
		}
	}
	return nil, refused("prompt", "prompt: want one text, or the token ids of one")
}

func (h *Handler) chat(w http.ResponseWriter, c *call) error {
	a, messages, err := h.asked(c, "messages")
	if err != nil {
		return err
	}
	if a.prompt, err = a.m.Converse(messages); err != nil {
		return err
	}
	if h.o.Prompts {
		c.log("prompt", string(messages))
	}
	return h.answer(w, c, a, chatFormat{})
}

// proofObject is what responses tell of their proof.
type proofObject struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	URL    string `json:"url"`
}

func promised(id string) proofObject { return proofObject{id, string(jobs.Queued), "/v1/proofs/" + id} }

// usage counts tokens.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func usageOf(prompt, completion int) *usage { return &usage{prompt, completion, prompt + completion} }

// reserve keeps a place in the queue of proofs, for a request whose answer is not known yet. The place is to be given back when the proof
// is promised or not.
func (h *Handler) reserve(ctx context.Context, n int) (release func(), err error) {
	reserved := h.reserved.Add(int64(n))
	release = func() { h.reserved.Add(int64(-n)) }
	waiting, err := h.o.Store.Waiting(ctx)
	if err == nil && waiting+int(reserved) > h.o.Limit {
		err = jobs.ErrFull
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// slot waits for one of the answers that are computed at a time.
func (h *Handler) slot(ctx context.Context) (release func(), err error) {
	select {
	case h.answers <- struct{}{}:
		return func() { <-h.answers }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// promise asks for a proof. Where it returns nil there will be one.
func (h *Handler) promise(c *call, m *hosted.Model, id, promised string, job *hosted.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), longestPromise)
	defer cancel()
	return h.o.Store.Submit(ctx, &jobs.Record{ID: id, Model: m.Name, ModelID: m.ID, Owner: c.owner, Promised: promised}, job)
}

// longestPromise is how long the queue may take to write a job down.
const longestPromise = 20 * time.Second

// answer lets the model answer, asks for the proof, and says both.
func (h *Handler) answer(w http.ResponseWriter, c *call, a *asked, f format) error {
	release, err := h.reserve(c.Context(), 1)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(c.Context(), h.o.Slow)
	defer cancel()
	free, err := h.slot(ctx)
	if err != nil {
		return err
	}
	defer free()
	id := jobs.NewID()
	c.log("model", a.m.Name, "proof", id, "prompt_tokens", len(a.prompt))
	w.Header().Set(proofHeader, id)
	r := &response{f: f, model: a.m.Name, proof: promised(id), created: time.Now().Unix()}
	var events *stream
	var said func(string)
	if a.stream {
		events = begin(w, cancel)
		events.event(r.chunk(f.opening(), nil))
		said = func(text string) { events.event(r.chunk(f.delta(text), nil)) }
	}
	got, err := a.m.Answer(ctx, a.prompt, a.most, said)
	if err == nil {
		err = h.promise(c, a.m, id, a.m.Promised(a.prompt, got.Tokens), &hosted.Job{Prompt: a.prompt, Answer: got.Tokens})
	}
	if err != nil {
		if a.stream {
			events.fail(h.problem(err))
		} else {
			w.Header().Del(proofHeader)
		}
		return err
	}
	c.log("answer_tokens", len(got.Tokens))
	if h.o.Prompts {
		c.log("answer", got.Text)
	}
	h.metrics.tokens.Add(float64(len(got.Tokens)))
	reason := "length"
	if got.Finished {
		reason = "stop"
	}
	counts := usageOf(len(a.prompt), len(got.Tokens))
	if !a.stream {
		return respond(w, http.StatusOK, r.whole(got.Text, reason, counts))
	}
	events.event(r.chunk(f.closing(), &reason))
	if a.usage {
		events.event(r.counts(counts))
	}
	events.done()
	return events.err
}

// response is what all objects of one response have.
type response struct {
	f       format
	model   string
	proof   proofObject
	created int64
}

// completion is an answer, or a part of it, as OpenAI's interface has them.
type completion struct {
	ID      string      `json:"id"`
	Object  string      `json:"object"`
	Created int64       `json:"created"`
	Model   string      `json:"model"`
	Choices []any       `json:"choices"`
	Usage   *usage      `json:"usage,omitempty"`
	Proof   proofObject `json:"proof"`
}

func (r *response) of(object string, choices ...any) completion {
	if choices == nil {
		choices = []any{}
	}
	return completion{ID: r.f.prefix() + strings.TrimPrefix(r.proof.ID, "proof-"), Object: object, Created: r.created, Model: r.model, Choices: choices, Proof: r.proof}
}

func (r *response) whole(text, reason string, u *usage) completion {
	c := r.of(r.f.object(false), r.f.choice(text, reason))
	c.Usage = u
	return c
}

// chunk is a part of a streamed answer; nil members say nothing.
func (r *response) chunk(part map[string]any, reason *string) completion {
	part["index"], part["finish_reason"], part["logprobs"] = 0, reason, nil
	return r.of(r.f.object(true), part)
}

func (r *response) counts(u *usage) completion {
	c := r.of(r.f.object(true))
	c.Usage = u
	return c
}

// format is in what chats differ from completions.
type format interface {
	prefix() string
	object(streamed bool) string
	choice(text, reason string) any
	opening() map[string]any
	delta(text string) map[string]any
	closing() map[string]any
}

type completionFormat struct{}

func (completionFormat) prefix() string     { return "cmpl-" }
func (completionFormat) object(bool) string { return "text_completion" }
func (completionFormat) choice(text, reason string) any {
	return map[string]any{"index": 0, "text": text, "logprobs": nil, "finish_reason": reason}
}
func (completionFormat) opening() map[string]any          { return map[string]any{"text": ""} }
func (completionFormat) delta(text string) map[string]any { return map[string]any{"text": text} }
func (completionFormat) closing() map[string]any          { return map[string]any{"text": ""} }

type chatFormat struct{}

func (chatFormat) prefix() string { return "chatcmpl-" }
func (chatFormat) object(streamed bool) string {
	if streamed {
		return "chat.completion.chunk"
	}
	return "chat.completion"
}
func (chatFormat) choice(text, reason string) any {
	message := map[string]any{"role": "assistant", "content": text, "refusal": nil}
	return map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": reason}
}
func (chatFormat) opening() map[string]any {
	return map[string]any{"delta": map[string]any{"role": "assistant", "content": ""}}
}
func (chatFormat) delta(text string) map[string]any {
	return map[string]any{"delta": map[string]any{"content": text}}
}
func (chatFormat) closing() map[string]any { return map[string]any{"delta": map[string]any{}} }

// stream writes server-sent events. After an error it writes nothing more, and the work is given up.
type stream struct {
	w      http.ResponseWriter
	out    *http.ResponseController
	cancel func()
	err    error
}

func begin(w http.ResponseWriter, cancel func()) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, out: http.NewResponseController(w), cancel: cancel}
}

func (s *stream) event(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return
	}
	s.line(string(data))
}

func (s *stream) line(data string) {
	if s.err != nil {
		return
	}
	_ = s.out.SetWriteDeadline(time.Now().Add(longestWrite))
	if _, s.err = fmt.Fprintf(s.w, "data: %s\n\n", data); s.err == nil {
		s.err = s.out.Flush()
	}
	if s.err != nil {
		s.cancel()
	}
}

func (s *stream) fail(p *problem) { s.event(map[string]any{"error": p}) }

func (s *stream) done() { s.line("[DONE]") }
