package verifier

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// acceptReport is what accept --json prints.
type acceptReport struct {
	Accepted bool `json:"accepted"` // exit code 0
	// of a rejection: which check refused: `decoding`, `statement`, `final argument`, `protocol`, `model mismatch`, `circuit mismatch`,
	// `prompt mismatch`, `answer mismatch`, `text mismatch`, `input mismatch`, `output mismatch`, `saturation`; in JavaScript and over HTTP
	// also `question` (what was asked makes no sense of this model) and `unfinished` (an answer was given, and the proof is about its
	// beginning)
	Class   string `json:"class,omitempty"`
	Error   string `json:"error,omitempty"`    // why not accepted
	ModelID string `json:"model_id,omitempty"` // the model's ID, hexadecimal, if it is accepted
	Circuit string `json:"circuit"`            // digest of the circuit, hexadecimal; where there are several that of all
	// times
	Seconds struct {
		Generators float64 `json:"generators"` // to derive generators
		Verify     float64 `json:"verify"`     // to decode and verify the range proof
		Total      float64 `json:"total"`      // both
	} `json:"seconds"`
	VKBytes int `json:"vk_bytes"` // size of the verifying key
	machine.Usage
}

// accept verifies the range proof of a verifying key.
func (a *app) accept(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("accept", flag.ContinueOnError)
	save, force, asJSON := fs.String("save", "", ""), fs.Bool("force", false, ""), fs.Bool("json", false, "")
	quiet := fs.Bool("quiet", false, "")
	files, help, err := a.parse(fs, args)
	if err != nil || help {
		return err
	}
	if len(files) == 0 && a.m.Key != nil {
		files = []string{""}
	}
	if len(files) != 1 {
		return console.Usagef("accept: %d files given, want one verifying key", len(files))
	}
	if *save != "" {
		if err := savable(*save, files[0], *force); err != nil {
			return err
		}
	}
	r, err := console.Interruptible(ctx, func() (r acceptReport, err error) { err = a.acceptKey(ctx, &r, files[0], *quiet); return r, err })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && *save != "" {
		err = a.saveID(ctx, *save, r.ModelID, *force)
	}
	if err == nil && *quiet && !*asJSON {
		fmt.Fprintln(a.stdout, r.ModelID)
		return nil
	}
	return a.showAccept(&r, *asJSON, err)
}

func (a *app) acceptKey(ctx context.Context, r *acceptReport, name string, quiet bool) error {
	own := name == ""
	name, data, err := a.keyFile(name)
	if err != nil {
		return err
	}
	r.VKBytes = len(data)
	if pieces := protocol.Pieces(a.f); pieces > 1 && !quiet { // else it takes a moment
		fmt.Fprintf(a.stderr, "verifier: derives generators and verifies the range proof, %d pieces: some seconds …\n", pieces)
	}
	begin := time.Now()
	a.generators()
	r.Seconds.Generators = time.Since(begin).Seconds()
	key, err := verifier.ReadKey(ctx, a.f, a.kind(), data)
	r.Seconds.Total = time.Since(begin).Seconds()
	r.Seconds.Verify = r.Seconds.Total - r.Seconds.Generators
	if err != nil {
		return keyFailure(name, data, err)
	}
	id := key.ModelID()
	if own {
		if err := a.named(id); err != nil {
			return err
		}
	}
	r.Accepted, r.ModelID = true, fmt.Sprintf("%x", id)
	return nil
}

func (a *app) saveID(ctx context.Context, name, id string, force bool) error {
	err := atomicfile.Write(ctx, name, []byte(id+"\n"), atomicfile.Options{Mode: 0o644, Replace: force})
	return console.WriteFailure(name, err)
}

// showAccept prints the report and returns the error of the run.
func (a *app) showAccept(r *acceptReport, asJSON bool, err error) error {
	r.Circuit, r.Usage = fmt.Sprintf("%x", a.f.Digest()), machine.Now()
	if asJSON {
		r.Class, r.Error = explain(err)
		return cmp.Or(err, a.printJSON(r))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s  every weight lies in its declared range\nmodel ID  %s\n%s", a.accepted, r.ModelID, a.f.Lines())
	fmt.Fprintf(a.stdout, "time      generators %.2f s, decode and verify %.2f s\n", r.Seconds.Generators, r.Seconds.Verify)
	return nil
}

// generators derives the generators of the rows, which have nothing to do with a key, so that they are timed on their own.
func (a *app) generators() {
	for _, c := range a.f.Members() {
		group.Row(1 << c.WeightBits)
		group.Row(1 << c.WitnessBits)
	}
}

// explain returns class and text of an error for a report.
func explain(err error) (class, text string) {
	if err == nil {
		return "", ""
	}
	var f *console.Failure
	if errors.As(err, &f) {
		class = f.Class
	}
	return class, err.Error()
}
