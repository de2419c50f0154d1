package api

import (
	"math"
	"net/http"
	"path"
	"time"

	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// proofReport is what is told of a proof.
type proofReport struct {
	ID         string   `json:"id"`
	Object     string   `json:"object"`
	Model      string   `json:"model"`
	ModelID    string   `json:"model_id"`
	Status     string   `json:"status"` // queued, proving, done, failed or cancelled
	Created    int64    `json:"created"`
	Changed    int64    `json:"changed"`
	Percent    *float64 `json:"percent,omitempty"`      // of the proof that is done, while it is made
	Left       *float64 `json:"seconds_left,omitempty"` // about, where that is known
	Reason     string   `json:"reason,omitempty"`       // why it failed
	Circuit    string   `json:"circuit,omitempty"`
	Statement  string   `json:"statement_url,omitempty"`
	Proof      string   `json:"proof_url,omitempty"`
	Bytes      int      `json:"proof_bytes,omitempty"`
	StatementN int      `json:"statement_bytes,omitempty"`
	Seconds    float64  `json:"seconds,omitempty"` // that making it took
}

func reportOf(r *jobs.Record) proofReport {
	out := proofReport{ID: r.ID, Object: "proof", Model: r.Model, ModelID: r.ModelID, Status: string(r.State), Created: r.Created.Unix(), Changed: r.Changed.Unix(), Reason: r.Reason}
	if r.State == jobs.Proving {
		percent := math.Floor(float64(100 * r.Share)) // that and whole seconds is what a person needs: see SECURITY.md on times
		out.Percent = &percent
		if r.Left > 0 {
			left := math.Ceil(max(0, r.Left-time.Since(r.Changed).Seconds()))
			out.Left = &left
		}
	}
	if r.Result != nil && r.State == jobs.Done {
		url := "/v1/proofs/" + r.ID
		out.Circuit, out.Statement, out.Proof = r.Result.Circuit, url+"/statement", url+"/proof"
		out.Bytes, out.StatementN, out.Seconds = r.Result.ProofBytes, r.Result.StatementBytes, r.Result.Seconds
	}
	return out
}

// record returns the record of the proof that a path names. That of somebody else is none.
func (h *Handler) record(c *call) (*jobs.Record, error) {
	r, err := h.o.Store.Get(c.Context(), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if r.Owner != c.owner {
		return nil, jobs.ErrUnknown
	}
	c.log("proof", r.ID)
	return r, nil
}

func (h *Handler) proof(w http.ResponseWriter, c *call) error {
	r, err := h.record(c)
	if err != nil {
		return err
	}
	if !r.State.Final() {
		w.Header().Set("Retry-After", "1")
	}
	return answer(w, http.StatusOK, reportOf(r))
}

// cancel ends a proof that is not finished, and removes one that is.
func (h *Handler) cancel(w http.ResponseWriter, c *call) error {
	r, err := h.record(c)
	if err != nil {
		return err
	}
	final := r.State.Final()
	if r, err = h.o.Store.Cancel(c.Context(), r.ID); err != nil {
		return err
	}
	report := reportOf(r)
	if final || r.State != jobs.Cancelled {
		return answer(w, http.StatusOK, map[string]any{"id": r.ID, "object": "proof", "deleted": true})
	}
	return answer(w, http.StatusOK, report)
}

// file sends a statement or a proof.
func (h *Handler) file(w http.ResponseWriter, c *call) error {
	r, err := h.record(c)
	if err != nil {
		return err
	}
	if r.State != jobs.Done {
		return &problem{status: http.StatusConflict, retry: 1, Type: invalid, Code: "proof_" + string(r.State), Message: "the proof is " + string(r.State) + "; GET /v1/proofs/{id} says how far it is"}
	}
	statement, proof, err := h.o.Store.Result(c.Context(), r)
	if err != nil {
		return err
	}
	data, name := proof, "proof"
	if path.Base(c.URL.Path) == "statement" {
		data, name = statement, "statement"
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.bin"`)
	return send(w, http.StatusOK, "application/octet-stream", data)
}
