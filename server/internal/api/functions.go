package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"

	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/server/internal/hosted"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// mostTexts is how many texts a request for embeddings may have: each gets a proof.
const mostTexts = 16

// embedding is one as OpenAI's interface has them, with the proof of it.
type embedding struct {
	Object    string      `json:"object"`
	Index     int         `json:"index"`
	Embedding any         `json:"embedding"` // numbers, or their bytes as base64
	Proof     proofObject `json:"proof"`
}

func (h *Handler) embeddings(w http.ResponseWriter, c *call) error {
	p, err := body(c)
	if err != nil {
		return err
	}
	var name, encoding string
	if err := p.read("model", &name, "a string"); err != nil {
		return err
	}
	m, err := h.named(name)
	if err != nil {
		return err
	}
	if err := p.read("encoding_format", &encoding, "float or base64"); err != nil {
		return err
	}
	if encoding != "" && encoding != "float" && encoding != "base64" {
		return refused("encoding_format", "encoding_format: want float or base64")
	}
	input := p.take("input")
	if err := p.rest(); err != nil {
		return err
	}
	var texts []string
	var one string
	if json.Unmarshal(input, &one) == nil {
		texts = []string{one}
	} else if json.Unmarshal(input, &texts) != nil || len(texts) == 0 {
		return refused("input", "input: want a text, or a list of texts")
	}
	if len(texts) > mostTexts {
		return refused("input", "input: %d texts at most, for each gets a proof", mostTexts)
	}
	return h.embed(w, c, m, texts, encoding == "base64")
}

// embed computes embeddings, asks for their proofs, and says both. Where it fails in the middle nobody is told of the proofs before, which are
// cancelled.
func (h *Handler) embed(w http.ResponseWriter, c *call, m *hosted.Model, texts []string, packed bool) (err error) {
	var inputs []map[int][]int64
	read := 0
	for _, text := range texts {
		in, n, err := m.Text(text)
		if err != nil {
			return err
		}
		inputs = append(inputs, in)
		read += n
	}
	if h.o.Prompts {
		c.log("texts", texts)
	}
	release, err := h.reserve(c.Context(), len(inputs))
	if err != nil {
		return err
	}
	defer release()
	var data []embedding
	defer func() {
		for _, e := range data {
			if err != nil {
				_, _ = h.o.Store.Cancel(context.WithoutCancel(c.Context()), e.Proof.ID)
			}
		}
	}()
	for i, in := range inputs {
		outputs, id, err := h.compute(c, m, in)
		if err != nil {
			return err
		}
		data = append(data, embedding{Object: "embedding", Index: i, Proof: promised(id)})
		v, err := vector(outputs)
		if err != nil {
			return err
		}
		if data[i].Embedding = v; packed {
			data[i].Embedding = bytesOf(v)
		}
	}
	w.Header().Set(proofHeader, data[0].Proof.ID)
	return respond(w, http.StatusOK, map[string]any{
		"object": "list", "data": data, "model": m.Name, "usage": map[string]int{"prompt_tokens": read, "total_tokens": read}, "proof": data[0].Proof,
	})
}

// compute runs a function and asks for its proof.
func (h *Handler) compute(c *call, m *hosted.Model, inputs map[int][]int64) ([]portfile.Report, string, error) {
	ctx, cancel := context.WithTimeout(c.Context(), h.o.Slow)
	defer cancel()
	free, err := h.slot(ctx)
	if err != nil {
		return nil, "", err
	}
	defer free()
	outputs, promised, err := m.Run(ctx, inputs)
	if err != nil {
		return nil, "", err
	}
	id := jobs.NewID()
	c.log("model", m.Name, "proof", id)
	return outputs, id, h.promise(c, m, id, promised, &hosted.Job{Inputs: inputs})
}

// vector is the one output of a model of embeddings: numbers in a row.
func vector(outputs []portfile.Report) ([]float64, error) {
	const want = "model: it has no output that is one vector; /v1/run tells its outputs"
	if len(outputs) != 1 {
		return nil, refused("model", want)
	}
	long := 0
	for _, n := range outputs[0].Shape {
		if n > 1 {
			long++
		}
	}
	v := outputs[0].Values
	if long > 1 || outputs[0].Reveals != "values" {
		return nil, refused("model", want)
	}
	var out []float64
	for json.Unmarshal(v, &out) != nil {
		var inner []json.RawMessage
		if json.Unmarshal(v, &inner) != nil || len(inner) != 1 {
			return nil, refused("model", want)
		}
		v, out = inner[0], nil
	}
	return out, nil
}

// bytesOf writes numbers as clients that save bandwidth ask for them: float32, little-endian, in base64.
func bytesOf(v []float64) string {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (h *Handler) run(w http.ResponseWriter, c *call) error {
	p, err := body(c)
	if err != nil {
		return err
	}
	var name string
	var words *string
	var given map[string]json.RawMessage
	if err := p.read("model", &name, "a string"); err != nil {
		return err
	}
	m, err := h.named(name)
	if err != nil {
		return err
	}
	if err := p.read("inputs", &given, "an object of numbers in nested lists, by the names of inputs"); err != nil {
		return err
	}
	if err := p.read("text", &words, "a text"); err != nil {
		return err
	}
	if err := p.rest(); err != nil {
		return err
	}
	var inputs map[int][]int64
	switch {
	case words != nil && given != nil:
		return refused("text", "text: it makes all inputs; leave inputs out")
	case words != nil:
		inputs, _, err = m.Text(*words)
	default:
		inputs, err = m.Inputs(given)
	}
	if err != nil {
		return err
	}
	release, err := h.reserve(c.Context(), 1)
	if err != nil {
		return err
	}
	defer release()
	reports, id, err := h.compute(c, m, inputs)
	if err != nil {
		return err
	}
	outputs := map[string]json.RawMessage{}
	for _, o := range reports {
		outputs[o.Name] = o.Values
	}
	w.Header().Set(proofHeader, id)
	return respond(w, http.StatusOK, map[string]any{"object": "run", "model": m.Name, "outputs": outputs, "proof": promised(id)})
}
