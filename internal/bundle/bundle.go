// Package bundle reads and writes bundles: one archive with all that a customer needs to check proofs about a model. A bundle is a ZIP archive
// of a few files with fixed names. Nothing in it is secret, and nothing is believed because it stands there: circuits and verifying key
// give the model's ID, which whoever checks proofs compares with the one that he trusts; tokenizer and card are the sender's word.
package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/strictjson"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Card says what a bundle's model is, for people. Its sender wrote it.
type Card struct {
	Version      int    `json:"version"`                // of the card: 1
	Name         string `json:"name"`                   // of the model
	Architecture string `json:"architecture,omitempty"` // `--architecture`
	About        string `json:"about,omitempty"`        // `--about`
	ModelID      string `json:"model_id"`               // as `verifier accept` prints it
	Circuit      string `json:"circuit"`                // digest of the circuit; of several lengths that of all
	Statements   string `json:"statement_kind"`         // generation or function
	Hidden       Hidden `json:"hidden"`                 // what proofs hide
	Ports        []Port `json:"ports"`                  // inputs and outputs
	// from `--precision`: the integer program against the float model, as `check --json` has it
	Precision *Precision `json:"precision,omitempty"`
	Tokenizer string     `json:"tokenizer_sha256,omitempty"` // of the tokenizer's file
	Template  string     `json:"template_sha256,omitempty"`  // of the template's
	MadeBy    string     `json:"made_by,omitempty"`          // `--made-by`
	MadeAt    string     `json:"made_at"`                    // date, YYYY-MM-DD
	MadeWith  string     `json:"made_with"`                  // version of zkllmc
}

// Hidden counts what proofs hide.
type Hidden struct {
	Weights int64    `json:"weights"`           // number of private weights
	Inputs  []string `json:"inputs,omitempty"`  // private inputs
	Outputs []string `json:"outputs,omitempty"` // private outputs
}

// Precision is how the integer program compares with the float model, as check --json prints it.
type Precision struct {
	OK        bool    `json:"ok"`        // it is precise enough
	Tolerance float64 `json:"tolerance"` // up to which part of an output's largest magnitude its cells may differ
	Inputs    int     `json:"inputs"`    // inputs that were compared
	// of a language model, as the members up to `precision.clear_agree`: positions of all inputs
	Positions int     `json:"positions,omitempty"`
	MaxError  float64 `json:"max_error,omitempty"`  // largest difference of a logit
	MaxLogit  float64 `json:"max_logit,omitempty"`  // largest logit of the float model, in magnitude
	Top1Agree int     `json:"top1_agree,omitempty"` // positions with the same best token
	// positions where the two best logits of the float model differ by more than 0.05
	Clear      int      `json:"clear_positions,omitempty"`
	ClearAgree int      `json:"clear_agree,omitempty"` // those with the same best token
	Outputs    []Output `json:"outputs,omitempty"`     // of any other model: its outputs
}

// Output compares an output.
type Output struct {
	Name        string  `json:"name"`                   // of the output
	MaxError    float64 `json:"max_error"`              // largest difference of a cell
	MaxValue    float64 `json:"max_value"`              // largest magnitude of a cell of the float model
	LeastCosine float64 `json:"least_cosine,omitempty"` // least cosine of the angle between a row and that of the float model
}

// Port says what a statement tells of an input or output.
type Port struct {
	Name     string `json:"name"`     // of the port
	Side     string `json:"side"`     // input or output
	Elements string `json:"elements"` // ids, integers, booleans or reals
	Shape    []int  `json:"shape"`    // at the longest length
	Reveals  string `json:"reveals"`  // values, argmax or nothing
}

// Bundle is what an archive holds.
type Bundle struct {
	Card      Card
	Circuit   []byte // a circuit file
	Key       []byte // a verifying key
	Tokenizer []byte // a tokenizer.json or a vocabulary; nil if there is none
	Template  []byte // of a chat model; nil if there is none
}

// The names of the files in an archive, in the order in which Write writes them.
const (
	cardFile      = "card.json"
	circuitFile   = "model.circuit"
	keyFile       = "model.vk"
	tokenizerFile = "tokenizer"
	templateFile  = "template.json"
)

// The largest files that a bundle holds, and the largest archive, in bytes.
const (
	MaxCard      = 1 << 20
	MaxCircuit   = 1 << 28
	MaxKey       = 1 << 29
	MaxTokenizer = tokens.MaxFile
	MaxTemplate  = 1 << 20
	Limit        = 1 << 30
)

var limits = map[string]int64{cardFile: MaxCard, circuitFile: MaxCircuit, keyFile: MaxKey, tokenizerFile: MaxTokenizer, templateFile: MaxTemplate}

// ErrBundle says why an archive is no bundle.
var ErrBundle = errors.New("not a bundle")

// Write writes the archive: the same bytes for the same bundle. It fills in the digests of the card.
func (b *Bundle) Write(w io.Writer) error {
	b.Card.Tokenizer, b.Card.Template = sum(b.Tokenizer), sum(b.Template)
	card, err := json.MarshalIndent(b.Card, "", "  ")
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	for _, f := range []struct {
		name   string
		data   []byte
		method uint16
	}{
		{cardFile, append(card, '\n'), zip.Deflate}, {circuitFile, b.Circuit, zip.Store}, {keyFile, b.Key, zip.Store},
		{tokenizerFile, b.Tokenizer, zip.Deflate}, {templateFile, b.Template, zip.Deflate},
	} {
		if f.data == nil {
			continue
		}
		if n := int64(len(f.data)); n > limits[f.name] {
			return fmt.Errorf("%s has %d bytes, at most %d fit a bundle", f.name, n, limits[f.name])
		}
		out, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: f.method}) // no time, so that the bytes are the same
		if err == nil {
			_, err = out.Write(f.data)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}

// sum is the digest of a file in hexadecimal, empty for none.
func sum(data []byte) string {
	if data == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// Read reads an archive. Errors wrap ErrBundle.
func Read(data []byte) (*Bundle, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%w, or only a part of one: 'zkllmc bundle' makes them (%w)", ErrBundle, err)
	}
	b := &Bundle{}
	into := map[string]*[]byte{cardFile: new([]byte), circuitFile: &b.Circuit, keyFile: &b.Key, tokenizerFile: &b.Tokenizer, templateFile: &b.Template}
	for _, f := range z.File {
		to, ok := into[f.Name]
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: it holds %q", ErrBundle, f.Name)
		case *to != nil:
			return nil, fmt.Errorf("%w: it holds %s twice", ErrBundle, f.Name)
		}
		if *to, err = content(f); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrBundle, f.Name, err)
		}
	}
	for _, name := range []string{cardFile, circuitFile, keyFile} {
		if *into[name] == nil {
			return nil, fmt.Errorf("%w: it holds no %s", ErrBundle, name)
		}
	}
	if b.Template != nil && b.Tokenizer == nil {
		return nil, fmt.Errorf("%w: it holds a template and no tokenizer", ErrBundle)
	}
	if err := b.readCard(*into[cardFile]); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBundle, cardFile, err)
	}
	return b, nil
}

// readCard reads the card, and compares its digests with the files.
func (b *Bundle) readCard(data []byte) error {
	if err := strictjson.Unmarshal(data, &b.Card); err != nil {
		return err
	}
	switch {
	case b.Card.Version != cardVersion:
		return fmt.Errorf("version %d, want %d", b.Card.Version, cardVersion)
	case b.Card.MadeAt != "" && !isDate(b.Card.MadeAt):
		return fmt.Errorf("made_at is %q, want YYYY-MM-DD", b.Card.MadeAt)
	case b.Card.Tokenizer != sum(b.Tokenizer) || b.Card.Template != sum(b.Template):
		return errors.New("it names another tokenizer or template than the bundle holds")
	}
	return nil
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// cardVersion changes where a field's meaning does.
const cardVersion = 1

// content unpacks a file. What its header says of its size is compared with what comes, and never allocated.
func content(f *zip.File) ([]byte, error) {
	limit := limits[f.Name]
	if f.UncompressedSize64 > uint64(limit) {
		return nil, fmt.Errorf("%d bytes are more than %d", f.UncompressedSize64, limit)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit+1))
}

// Agrees compares what a card says of circuits with them.
func (c *Card) Agrees(f *circuit.Family) error {
	want := *c
	want.Describe(f)
	switch {
	case want.Circuit != c.Circuit:
		return fmt.Errorf("circuit %s, the card says %s", want.Circuit, c.Circuit)
	case want.Statements != c.Statements:
		return fmt.Errorf("statements are %ss, the card says %ss", want.Statements, c.Statements)
	case want.Hidden.Weights != c.Hidden.Weights || !slices.Equal(want.Hidden.Inputs, c.Hidden.Inputs) || !slices.Equal(want.Hidden.Outputs, c.Hidden.Outputs):
		return fmt.Errorf("hidden are %v, the card says %v", want.Hidden, c.Hidden)
	case !slices.EqualFunc(want.Ports, c.Ports, Port.equal):
		return fmt.Errorf("the ports are %v, the card says %v", want.Ports, c.Ports)
	}
	return nil
}

func (p Port) equal(q Port) bool {
	return p.Name == q.Name && p.Side == q.Side && p.Elements == q.Elements && slices.Equal(p.Shape, q.Shape) && p.Reveals == q.Reveals
}

// Describe fills in what follows from the circuits.
func (c *Card) Describe(f *circuit.Family) {
	c.Version, c.Circuit, c.Statements = cardVersion, fmt.Sprintf("%x", f.Digest()), f.Shortest().StatementKind()
	c.Hidden, c.Ports = Hidden{}, nil
	for _, w := range f.Shortest().Weights() {
		c.Hidden.Weights += int64(circuit.Size(w.Shape))
	}
	for i := range f.Longest().Ports {
		p := &f.Longest().Ports[i]
		c.Ports = append(c.Ports, Port{Name: p.Name, Side: p.Side(), Elements: p.Kind.String(), Shape: p.Shape, Reveals: p.Reveal.String()})
		switch {
		case p.Public():
		case p.Out:
			c.Hidden.Outputs = append(c.Hidden.Outputs, p.Name)
		default:
			c.Hidden.Inputs = append(c.Hidden.Inputs, p.Name)
		}
	}
}
