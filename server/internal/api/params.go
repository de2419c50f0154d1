package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// params are the members of a request. Whoever reads one takes it out; what is left in the end is refused, and nothing is ignored but what
// cannot change an answer.
type params map[string]json.RawMessage

// take returns a member; nil if it is missing or null.
func (p params) take(name string) json.RawMessage {
	v := p[name]
	delete(p, name)
	if v = bytes.TrimSpace(v); bytes.Equal(v, []byte("null")) {
		return nil
	}
	return v
}

// read decodes a member, if there is one; what says what it has to be.
func (p params) read(name string, to any, what string) error {
	v := p.take(name)
	if v == nil || json.Unmarshal(v, to) == nil {
		return nil
	}
	return refused(name, "%s: want %s", name, what)
}

// neutral are the values of parameters that leave the greedy answer as it is, which is the one that can be proved; numbers stand for all spellings of them. nil stands for any.
var neutral = map[string][]string{
	"temperature": {"0"}, "n": {"1"}, "best_of": {"1"}, "top_p": {"1"}, "presence_penalty": {"0"}, "frequency_penalty": {"0"},
	"logit_bias": {"{}"}, "logprobs": {"false"}, "top_logprobs": {"0"}, "stop": {"[]"}, "echo": {"false"}, "suffix": {`""`}, "tools": {"[]"}, "functions": {"[]"},
	"tool_choice": {`"none"`, `"auto"`}, "function_call": {`"none"`, `"auto"`}, "parallel_tool_calls": {"true", "false"}, "response_format": {`{"type":"text"}`},
	"modalities": {`["text"]`}, "store": {"false"}, "seed": nil, "user": nil, "metadata": nil, "safety_identifier": nil,
}

// why says why others are refused.
var why = map[string]string{
	"temperature": "answers are greedy, since a proof shows that each token is the model's best; leave it out or give 0",
	"n":           "there is one greedy answer; leave it out or give 1", "best_of": "there is one greedy answer; leave it out or give 1",
	"logprobs": "proofs tell tokens, and no probabilities", "top_logprobs": "proofs tell tokens, and no probabilities",
	"stop": "an answer that is cut off is not the model's; give max_tokens", "tools": "the template of the model knows no tools",
	"store": "nothing is stored but the proof",
}

// same compares JSON, numbers as such.
func same(a, b string) bool {
	var x, y float64
	return a == b || json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y && a != "null" && b != "null"
}

// rest refuses what nobody has taken, unless it changes no answer.
func (p params) rest() error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		values, known := neutral[name]
		if !known {
			return refused(name, "%s: this server has no such parameter", name)
		}
		v := p.take(name)
		var compact bytes.Buffer
		if v == nil || values == nil || json.Compact(&compact, v) == nil && slices.ContainsFunc(values, func(w string) bool { return same(w, compact.String()) }) {
			continue
		}
		reason := why[name]
		if reason == "" {
			reason = "it is not supported, for the answer that is proved is the model's own, greedy one; leave it out"
		}
		return refused(name, "%s: %s", name, reason)
	}
	return nil
}
