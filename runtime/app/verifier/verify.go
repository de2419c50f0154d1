package verifier

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	vk, id, pin, statement, proof, vocab string
	json, quiet, noSaturation, stats     bool
	asked                                console.Given
	inputs, outputs                      portFiles
}

// verifyReport is what verify --json prints.
type verifyReport struct {
	Accepted bool `json:"accepted"` // exit code 0
	// of a rejection: which check refused: `decoding`, `statement`, `final argument`, `protocol`, `model mismatch`, `circuit mismatch`,
	// `prompt mismatch`, `answer mismatch`, `text mismatch`, `input mismatch`, `output mismatch`, `saturation`; in JavaScript and over HTTP
	// also `question` (what was asked makes no sense of this model) and `unfinished` (an answer was given, and the proof is about its
	// beginning)
	Class        string `json:"class,omitempty"`
	Error        string `json:"error,omitempty"`         // why not accepted
	ModelID      string `json:"model_id,omitempty"`      // the ID that was given, hexadecimal
	Circuit      string `json:"circuit"`                 // digest of the circuit, hexadecimal
	NoSaturation bool   `json:"no_saturation,omitempty"` // true: the statement says, too, that no value was clamped
	*dialogue.Said
	Ports []portfile.Report `json:"ports,omitempty"` // of a function: what the statement says
	Asked *question         `json:"asked,omitempty"` // what the caller gave with `--prompt`, `--answer` and their like
	// times
	Seconds struct {
		ReadKey    float64 `json:"read_key"`   // to read the verifying key
		Generators float64 `json:"generators"` // to derive generators
		Verify     float64 `json:"verify"`     // to decode statement and proof and verify
		Total      float64 `json:"total"`      // all
	} `json:"seconds"`
	ProofBytes     int    `json:"proof_bytes"`     // size of the proof
	StatementBytes int    `json:"statement_bytes"` // size of the statement
	VKBytes        int    `json:"vk_bytes"`        // size of the verifying key
	Stats          *stats `json:"stats,omitempty"` // with `--stats`, where a statement was read
	machine.Usage
	expected map[int]expectation // of ports
	text     *passage.Text       // that the model reads whole; nil if none was given
	c        *circuit.Circuit    // which the statement is about, nil before it is known
}

// verify verifies one proof.
func (a *app) verify(ctx context.Context, args []string) error {
	o, help, err := a.verifyFlags(args)
	if err != nil || help {
		return err
	}
	r, err := console.Interruptible(ctx, func() (r verifyReport, err error) {
		if err := a.readAhead(o); err != nil {
			return r, err
		}
		vocab, err := a.vocabulary(o.vocab)
		var files map[int]string
		if err == nil {
			files, err = a.compared(o.inputs, o.outputs)
		}
		if err == nil {
			r.text, err = a.text(o.asked, files)
		}
		if err == nil {
			r.Asked, err = a.question(o.asked, vocab)
		}
		if err == nil {
			err = a.verifyFiles(ctx, o, vocab, files, &r)
		}
		return r, err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o.stats && r.c != nil {
		var failed error
		if r.Stats, failed = statsOf(r.c); failed != nil && err == nil {
			err = failed
		}
	}
	return a.showVerify(&r, &o, err)
}

func (a *app) verifyFlags(args []string) (o verifyOptions, help bool, err error) {
	fs := flag.NewFlagSet("verify", flag.ContinueOnError)
	fs.StringVar(&o.vk, "vk", "", "")
	fs.StringVar(&o.id, "id", "", "")
	fs.StringVar(&o.pin, "pin", "", "")
	fs.StringVar(&o.statement, "statement", "", "")
	fs.StringVar(&o.proof, "proof", "", "")
	fs.StringVar(&o.vocab, "vocab", "", "")
	fs.BoolVar(&o.json, "json", false, "")
	fs.BoolVar(&o.quiet, "quiet", false, "")
	fs.BoolVar(&o.noSaturation, "no-saturation", false, "")
	fs.BoolVar(&o.stats, "stats", false, "")
	fs.Var(&o.inputs, "input", "")
	fs.Var(&o.outputs, "output", "")
	for _, name := range console.TextFlags() {
		fs.String(name, "", "")
	}
	rest, help, err := a.parse(fs, args)
	if err == nil && !help {
		o.asked, err = given(fs)
	}
	switch {
	case err != nil || help:
	case len(rest) > 0:
		err = console.Usagef("verify: unexpected argument %q; files are given with flags", rest[0])
	case console.ReadOnce(o.standard()...) != nil:
		err = console.Usagef("verify: %w", console.ReadOnce(o.standard()...))
	case o.id != "" && o.pin != "":
		err = console.Usagef("verify: give only one of --id and --pin")
	case len(o.missing(a.m.Key != nil)) > 0:
		err = console.Usagef("verify: missing: %s", strings.Join(o.missing(a.m.Key != nil), ", "))
	case o.id == "" && o.pin == "":
		err = console.Usagef("verify: one of --id and --pin is needed; 'verifier accept' checks a model and prints its ID")
	}
	return o, help, err
}

// standard lists the flags that take the standard input.
func (o verifyOptions) standard() (out []string) {
	for _, f := range [...][2]string{{"--vk", o.vk}, {"--pin", o.pin}, {"--statement", o.statement}, {"--proof", o.proof}} {
		if f[1] == console.Stdin {
			out = append(out, f[0])
		}
	}
	out = append(out, o.asked.Standard()...)
	for _, f := range slices.Concat(o.inputs, o.outputs) {
		if name, file, _ := strings.Cut(f, "="); file == console.Stdin {
			out = append(out, name)
		}
	}
	return out
}

// readAhead reads what comes through a pipe to its end, before any file is opened: whoever writes into the pipe may be
// a prover that has yet to write the others.
func (a *app) readAhead(o verifyOptions) error {
	if a.stdin == nil || len(o.standard()) == 0 {
		return nil
	}
	most := max(keyLimit(a.f), proofLimit(a.f), statementLimit(a.f), maxID, console.MaxText)
	for i := range a.f.Longest().Ports {
		most = max(most, portfile.MaxSize(told(&a.f.Longest().Ports[i])))
	}
	data, err := io.ReadAll(io.LimitReader(a.stdin, most+1)) // who reads a.stdin looks at the limit of its kind
	if err != nil {
		return &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("standard input: %w", err)}
	}
	a.stdin = bytes.NewReader(data)
	return nil
}

// missing lists the flags without which nothing can be verified and which were not given. There may be a key without a flag.
func (o verifyOptions) missing(key bool) []string {
	var out []string
	for _, f := range [...][2]string{{"--vk", o.vk}, {"--statement", o.statement}, {"--proof", o.proof}} {
		if f[1] == "" && !(key && f[0] == "--vk") {
			out = append(out, f[0])
		}
	}
	return out
}

// verifyFiles reads the files and verifies the proof in them. Other files are those with what ports are compared with.
func (a *app) verifyFiles(ctx context.Context, o verifyOptions, vocab tokens.Tokenizer, others map[int]string, r *verifyReport) error {
	id, err := a.pinned(o.id, o.pin)
	if err != nil {
		return err
	}
	r.ModelID = fmt.Sprintf("%x", id)
	var vk []byte
	own := o.vk == ""
	if o.vk, vk, err = a.keyFile(o.vk); err != nil {
		return err
	}
	encoded, err := a.read("statement", o.statement, format.MagicStatement, statementLimit(a.f))
	if err != nil {
		return err
	}
	proof, err := a.read("proof", o.proof, format.MagicProof, proofLimit(a.f))
	if err != nil {
		return err
	}
	o.statement, o.proof = console.Shown(o.statement, "input"), console.Shown(o.proof, "input")
	r.VKBytes, r.StatementBytes, r.ProofBytes = len(vk), len(encoded), len(proof)
	if _, c, err := format.NewMemberReader(encoded, format.MagicStatement, a.f); err == nil {
		if r.c = c; len(others) > 0 {
			if r.expected, err = expected(a.f, c, others, a.stdin); err != nil {
				return err
			}
		}
	}
	st, err := a.verifyBytes(ctx, o, id, vk, encoded, proof, r)
	if err == nil && own {
		err = a.named(id)
	}
	if r.NoSaturation = err == nil && st.Unsaturated(); err == nil && o.noSaturation && !r.NoSaturation {
		err = &console.Failure{Code: console.Rejected, Class: "saturation", Err: errSaturation}
	}
	switch st := st.(type) {
	case *generation.Statement:
		r.Said = dialogue.SaidOf(r.c, vocab, st)
		if err == nil {
			err = compare(r, st, vocab)
		}
	case *function.Statement:
		if r.Ports = portfile.Reports(r.c, st); err == nil {
			err = cmp.Or(compareText(r, st), comparePorts(r, st))
		}
	}
	return err
}

var errSaturation = errors.New("the proof holds, but its statement does not say that no value was clamped, as --no-saturation demands")

// verifyBytes does the work and notes its times. The statement is returned as soon as it is decoded.
func (a *app) verifyBytes(ctx context.Context, o verifyOptions, id [32]byte, vk, encoded, proof []byte, r *verifyReport) (statement.Statement, error) {
	begin := time.Now()
	defer func() { r.Seconds.Total = time.Since(begin).Seconds() }()
	a.generators()
	rows := time.Now()
	key, err := verifier.ReadPinnedKey(ctx, a.f, a.kind(), vk, id)
	if err != nil {
		return nil, keyFailure(o.vk, vk, err)
	}
	read := time.Now()
	r.Seconds.ReadKey = read.Sub(rows).Seconds()
	if r.c != nil { // else it will not come to a proof
		if err := key.Prepare(r.c); err != nil {
			return nil, err
		}
	}
	derived := time.Now()
	r.Seconds.Generators = rows.Sub(begin).Seconds() + derived.Sub(read).Seconds()
	defer func() { r.Seconds.Verify = time.Since(derived).Seconds() }()
	st, c, err := a.kind().Decode(a.f, encoded)
	if err != nil {
		return nil, statementFailure(o.statement, encoded, err)
	}
	if err := key.VerifyStatementContext(ctx, c, st, proof); err != nil {
		if claimless(err) {
			return st, statementFailure(o.statement, encoded, err)
		}
		return st, a.proofFailure(o, key.ModelID(), c, proof, err)
	}
	return st, nil
}

// showVerify prints the report and returns the error of the run.
func (a *app) showVerify(r *verifyReport, o *verifyOptions, err error) error {
	digest, of := a.f.Digest(), a.m.Name
	if r.c != nil {
		digest = r.c.Digest()
		if len(a.f.Members()) > 1 {
			of += ", " + r.c.Extent()
		}
	}
	r.Accepted, r.Circuit, r.Usage = err == nil, fmt.Sprintf("%x", digest), machine.Now()
	if o.json {
		r.Class, r.Error = explain(err)
		return cmp.Or(err, a.printJSON(r))
	}
	if err != nil {
		return err
	}
	if o.quiet {
		return nil
	}
	fmt.Fprintf(a.stdout, "%s  %s\nmodel ID  %s\ncircuit   %s (%s)\n", a.accepted, r.shown(), r.ModelID, r.Circuit, of)
	if a.c.Generation != nil {
		a.showTexts(r)
	} else {
		showPorts(a.stdout, r)
	}
	if r.NoSaturation {
		fmt.Fprintln(a.stdout, "clamped   nothing: every value is the rounded one")
	}
	fmt.Fprintf(a.stdout, "time      read key %.2f s, generators %.2f s, decode and verify %.2f s\n",
		r.Seconds.ReadKey, r.Seconds.Generators, r.Seconds.Verify)
	fmt.Fprintf(a.stdout, "size      proof %d bytes, verifying key %d bytes\n", r.ProofBytes, r.VKBytes)
	r.Stats.show(a.stdout)
	return nil
}
