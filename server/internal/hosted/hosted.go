// Package hosted holds the models of a server and of its workers: it reads a model's folder, answers, and proves. Circuits come from the
// model's circuit file, so that one program serves any model that was compiled, without its generated code.
package hosted

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// The files of a model: what compile wrote into its folder, and what setup wrote into the folder of its keys.
const (
	circuitFile   = "model.circuit"
	proverKeyFile = "prover.key"
	verifyingKey  = "model.vk"
	keysFolder    = "keys"
)

// Place says where a model is.
type Place struct {
	Name string // that requests give it; "": its own
	Dir  string // that compile wrote
	Keys string // the folder of prover.key and model.vk
}

// ParsePlace reads [NAME=]DIR[,KEYS].
func ParsePlace(text string) (Place, error) {
	p := Place{}
	name, rest, named := strings.Cut(text, "=")
	if !named {
		name, rest = "", text
	}
	dir, keys, _ := strings.Cut(rest, ",")
	if dir == "" || named && name == "" {
		return p, fmt.Errorf("model %q: want [NAME=]DIR[,KEYS]", text)
	}
	if keys == "" {
		keys = filepath.Join(dir, keysFolder)
	}
	return Place{name, dir, keys}, nil
}

// Model is a model that answers and is proved. It is safe for concurrent use.
type Model struct {
	Name   string
	ID     string // 64 hexadecimal digits
	Opened time.Time

	f         *circuit.Family
	key       *engine.Key
	vk        *verifier.Key
	vocab     tokens.Tokenizer // nil if there is none
	texts     *passage.Reader  // of a model that reads texts whole, else nil
	processor backend.Backend
	device    backend.Backend // that makes proofs; nil: the processor does
	failed    func(error)     // is told where it does not compute
}

// Open reads a model, whose prover key may be encrypted. Its keys have to be of one setup, with the circuits of the folder.
func Open(ctx context.Context, p Place, by *sealed.Opener) (*Model, error) {
	m, err := open(ctx, p, by)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", p.Dir, err)
	}
	return m, nil
}

func open(ctx context.Context, p Place, by *sealed.Opener) (*Model, error) {
	data, err := console.ReadArtefact(filepath.Join(p.Dir, circuitFile), format.MagicCircuit, bundle.MaxCircuit)
	if err != nil {
		return nil, fmt.Errorf("%w; the folder is one that 'zkllmc compile' wrote", err)
	}
	m := &Model{Name: p.Name, Opened: time.Now(), processor: cpu.New()}
	if m.f, err = circuits.Decode(ctx, data); err != nil {
		return nil, fmt.Errorf("%s: %w", circuitFile, err)
	}
	if m.Name == "" {
		m.Name = m.f.Shortest().Name
	}
	if err := m.readKeys(ctx, p.Keys, by); err != nil {
		return nil, err
	}
	return m, m.readVocabulary(p.Dir)
}

// readKeys reads the prover's key, and the verifying key, whose range proof whoever made it has verified.
func (m *Model) readKeys(ctx context.Context, dir string, by *sealed.Opener) error {
	name := filepath.Join(dir, proverKeyFile)
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%w; 'prover setup' of the model writes its keys", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	plain, size, err := by.Open(ctx, name, file, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if m.key, err = engine.OpenKey(m.f, plain, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.ID = fmt.Sprintf("%x", m.key.ModelID())
	name = filepath.Join(dir, verifyingKey)
	public, err := console.ReadArtefact(name, format.MagicVerifyingKey, bundle.MaxKey)
	if err != nil {
		return err
	}
	if m.vk, err = verifier.ReadPinnedKey(ctx, m.f, engine.Kind(m.f.Shortest()), public, m.key.ModelID()); err != nil {
		return fmt.Errorf("%s: %w; both keys are of one setup", name, err)
	}
	return nil
}

// readVocabulary reads the tokenizer, if there is one.
func (m *Model) readVocabulary(dir string) error {
	file, template, err := vocab.ReadFolder(dir)
	if err != nil || file == nil {
		return err
	}
	parse := func() (tokens.Tokenizer, error) { return vocab.Parse(file, template) }
	if g := m.f.Shortest().Generation; g != nil {
		m.vocab, err = reading.Vocabulary(g.Vocab, "", parse)
		return err
	}
	m.texts, err = passage.NewReader(m.f, parse)
	return err
}

// Continues says whether the model continues prompts; else it computes outputs of inputs.
func (m *Model) Continues() bool { return m.f.Shortest().Generation != nil }

// Reads says whether the model takes texts.
func (m *Model) Reads() bool { return m.vocab != nil || m.texts != nil }

// Positions are those of the longest circuit; 0 of a model of inputs and outputs.
func (m *Model) Positions() int {
	if g := m.f.Longest().Generation; g != nil {
		return g.Length
	}
	return 0
}

// Fault is an error of whoever asked, by the name of what he gave.
type Fault struct {
	Param string
	Err   error
}

func (f *Fault) Error() string { return f.Param + ": " + f.Err.Error() }

// Unwrap returns the error without the name.
func (f *Fault) Unwrap() error { return f.Err }

func faultf(param, text string, args ...any) error {
	return &Fault{param, fmt.Errorf(text, args...)}
}
