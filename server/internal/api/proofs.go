package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/zkllmc/zkllmc/server/internal/hosted"
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
	if _, _, err = h.checked(c, r); err != nil && !errors.Is(err, errElsewhere) {
		return err
	}
	if !r.State.Final() {
		w.Header().Set("Retry-After", "1")
	}
	return respond(w, http.StatusOK, reportOf(r))
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
		return respond(w, http.StatusOK, map[string]any{"id": r.ID, "object": "proof", "deleted": true})
	}
	return respond(w, http.StatusOK, report)
}

// errElsewhere says that a proof is of a model that other servers of the queue have.
var errElsewhere = &problem{status: http.StatusConflict, Type: invalid, Code: "proof_elsewhere", Message: "this server does not hold the model any more, and cannot verify the proof"}

// mostChecked is how many digests of verified proofs are remembered.
const mostChecked = 1 << 14

// checked returns the files of a proof that is done, verified and compared with what was promised. What does not hold makes the proof one that
// failed, and r says so. That a worker verifies what it makes is not enough: others may write where it is kept.
func (h *Handler) checked(c *call, r *jobs.Record) (statement, proof []byte, err error) {
	if r.State != jobs.Done {
		return nil, nil, nil
	}
	i := slices.IndexFunc(h.o.Models, func(m *hosted.Model) bool { return m.ID == r.ModelID })
	if i < 0 {
		return nil, nil, errElsewhere
	}
	statement, proof, err = h.o.Store.Result(c.Context(), r)
	if errors.Is(err, jobs.ErrChanged) {
		return nil, nil, h.refute(c, r, err)
	}
	if err != nil {
		return nil, nil, err
	}
	of := sha256.New()
	_, _ = fmt.Fprintf(of, "%s %s %s %d ", r.ID, r.ModelID, r.Promised, len(statement))
	of.Write(statement)
	of.Write(proof)
	digest := [sha256.Size]byte(of.Sum(nil))
	h.mu.Lock()
	known := h.verified[digest]
	h.mu.Unlock()
	if known {
		return statement, proof, nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), h.o.Slow)
	defer cancel()
	free, err := h.slot(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer free()
	switch err := h.o.Models[i].Verify(ctx, statement, proof, r.Promised); {
	case errors.Is(err, hosted.ErrNotProved):
		return nil, nil, h.refute(c, r, err)
	case err != nil:
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.verified) >= mostChecked {
		clear(h.verified) // they are verified again
	}
	h.verified[digest] = true
	return statement, proof, nil
}

// refute makes a proof that does not hold one that failed. What it says to whoever asked holds nothing of what lies there.
func (h *Handler) refute(c *call, r *jobs.Record, err error) error {
	h.o.Log.Error("a proof that a worker has handed in does not hold", "proof", r.ID, "model", r.Model, "error", err)
	return h.o.Store.Refute(c.Context(), r, hosted.ErrNotProved.Error())
}

// file sends a statement or a proof.
func (h *Handler) file(w http.ResponseWriter, c *call) error {
	r, err := h.record(c)
	if err != nil {
		return err
	}
	statement, proof, err := h.checked(c, r)
	if err != nil {
		return err
	}
	if r.State != jobs.Done {
		return &problem{status: http.StatusConflict, retry: 1, Type: invalid, Code: "proof_" + string(r.State), Message: "the proof is " + string(r.State) + "; GET /v1/proofs/{id} says how far it is"}
	}
	data, name := proof, "proof"
	if path.Base(c.URL.Path) == "statement" {
		data, name = statement, "statement"
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.bin"`)
	return send(w, http.StatusOK, "application/octet-stream", data)
}
