package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// modelFlags are the flags that say how a model is compiled.
type modelFlags struct {
	name      string
	preset    string
	dims      []string
	lengths   []int
	calibrate []string
	public    []string
	private   []string
	inputs    []string
	reveal    []string
	ranges    []string
	statement string
	tokenizer string
	chat      string
	end       string
	words     tokens.Tokenizer // what the tokenizer's file holds, or nil
	plain     tokens.Tokenizer // the same without the template
	output    string
	fix       []string
	budget    int
	tolerance float64
	finer     int
	checked   bool // the command compares programs
}

func (m *modelFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.name, "name", "", "`NAME` of the model in code, keys and messages (default: from the file's name)")
	f.StringArrayVar(&m.dims, "dim", nil, "value of a symbolic dimension, as `NAME=N`, 0 for what has no positions, as a cache may (default: 1 for the first of several axes, the batch)")
	f.IntSliceVar(&m.lengths, "length", nil, "value `N[,N...]` of the symbolic dimension that is left, the length: each a circuit, all of them one model with one pair of keys, of which a proof takes the shortest that fits")
	f.StringArrayVar(&m.calibrate, "calibrate", nil, "`DATA` with inputs to choose scales from, and ranges that --range does not give: an ONNX test folder, npz, JSON, or texts for --tokenizer: a .txt file with a prompt per line, or a .jsonl file with {\"prompt\", \"answer\"} or {\"text\"} per line (default: pseudo-random elements, and a language model's own continuations)")
	f.StringArrayVar(&m.ranges, "range", nil, "range of an input of integers or of real numbers, as `NAME=LO:HI`; other elements are errors (ids are those of their table)")
	f.StringVar(&m.preset, "preset", "", "`KIND` of model, for what its inputs are where no other flag says it: decoder (attention_mask, position_ids and an empty past fixed, the output logits alone, of which the arg-max is revealed), encoder (masks and segments from 0 to 1, position_ids fixed) or vision (pictures from -3 to 3, private)")
	f.StringArrayVar(&m.public, "public", nil, "initializer `NAME` that everybody may see; it becomes part of the circuit")
	f.StringArrayVar(&m.private, "private", nil, "initializer `NAME` that is committed although it would be public")
	f.StringArrayVar(&m.inputs, "private-input", nil, "`NAME` of an input that proofs hide, or all")
	f.StringArrayVar(&m.reveal, "reveal", nil, "what a proof shows of the outputs, `WHAT` or NAME=WHAT: values (also called logits), argmax along the last axis, or nothing (default: values)")
	f.StringVar(&m.statement, "statement", "", "`KIND` of statements: generation (the model continues a prompt) or function (these inputs gave these outputs) (default: generation where the model is causal, from token ids to logits)")
	f.StringVar(&m.output, "logits", "", "graph output `NAME` to compile alone, where there are several")
	f.StringArrayVar(&m.fix, "fix", nil, "input that is fixed and public, as `INPUT=WHAT`: ones, zeros, arange (0, 1, … along the last axis), a number, or a file: a TensorProto (.pb), .npy, or .npz with an array of its name")
	m.registerBudget(c)
	f.IntVar(&m.finer, "finer", 0, fmt.Sprintf("`STEPS`, at most %d, by which roundings are finer from the outset than what suffices for most models; programs that are found too coarse get them anyway", quant.MostFiner))
	f.StringVar(&m.tokenizer, "tokenizer", "", "`FILE` (a Hugging Face tokenizer.json, JSON from character to id, or llama2.c's format) with which the generated commands read and show texts, of models that continue a prompt and of models that read a text whole (inputs input_ids, attention_mask, token_type_ids, position_ids); of the former its pad id becomes part of the circuit")
	f.StringVar(&m.chat, "chat", "", "`TEMPLATE` that makes a chat's first turn of a prompt, for a tokenizer.json: "+strings.Join(vocab.Names(), ", ")+", or a file (default: prompts are what the model reads)")
	f.StringVar(&m.end, "end-token", "", "`TOKEN` that ends an answer, for a tokenizer.json without --chat")
}

func (m *modelFlags) registerBudget(c *cobra.Command) {
	c.Flags().IntVar(&m.budget, "budget", 1, "`FACTOR` on what a model may cost the compiler (cells, work, memory); the limits follow from the size of its file and its length, and suffice for models that compute with their weights")
}

func (m *modelFlags) registerTolerance(c *cobra.Command) {
	m.checked = true
	c.Flags().Float64Var(&m.tolerance, "tolerance", quant.Tolerance, "up to which `PART` of the largest magnitude of an output its cells may differ")
}

// config makes the compiler's configuration of the flags.
func (m *modelFlags) config(a *app) (compiler.Config, error) {
	cfg := compiler.Config{Name: m.name, Preset: m.preset, Public: m.public, Private: m.private, Progress: a.progress, Done: a.done, Dump: dump(a), PrivateInputs: m.inputs, Statement: m.statement}
	if m.output != "" {
		cfg.Outputs = []string{m.output}
	}
	if cfg.Budget = m.budget; m.budget < 1 {
		return cfg, console.Usagef("--budget %d: it is a factor, 1 or more", m.budget)
	}
	if cfg.Tolerance = m.tolerance; m.tolerance != 0 && !(m.tolerance > 0 && m.tolerance <= 1) || m.checked && m.tolerance == 0 {
		return cfg, console.Usagef("--tolerance %g: it is a part, more than 0 and at most 1", m.tolerance)
	}
	if cfg.Finer = m.finer; m.finer < 0 || m.finer > quant.MostFiner {
		return cfg, console.Usagef("--finer %d: it is a number of steps, at most %d", m.finer, quant.MostFiner)
	}
	for _, read := range []func(*compiler.Config) error{m.fixed, m.ports, m.sizes, m.loadTokenizer} {
		if err := read(&cfg); err != nil {
			return cfg, err
		}
	}
	if err := m.room(cfg.Lengths); err != nil { // before the work, not after it
		return cfg, err
	}
	for _, path := range m.calibrate {
		inputs, err := m.readInputs(path)
		if err != nil {
			return cfg, err
		}
		cfg.Calibrate = append(cfg.Calibrate, inputs...)
	}
	return cfg, nil
}

// fixed reads --fix.
func (m *modelFlags) fixed(cfg *compiler.Config) error {
	for _, s := range m.fix {
		name, file, ok := strings.Cut(s, "=")
		if !ok {
			return console.Usagef("--fix %s: write --fix INPUT=WHAT", s)
		}
		if cfg.Fix == nil {
			cfg.Fix, cfg.Fixed = map[string]string{}, map[string]compiler.Data{}
		}
		_, data := cfg.Fixed[name]
		if _, twice := cfg.Fix[name]; twice || data {
			return console.Usagef("--fix %s is given twice", name)
		}
		if ext := filepath.Ext(file); ext != ".npy" && ext != ".npz" {
			cfg.Fix[name] = file
			continue
		}
		d, err := readArray(file, name)
		if err != nil {
			return err
		}
		cfg.Fixed[name] = d
	}
	return nil
}

// sizes reads --dim and --length.
func (m *modelFlags) sizes(cfg *compiler.Config) error {
	for _, d := range m.dims {
		name, value, ok := strings.Cut(d, "=")
		n, err := strconv.Atoi(value)
		if !ok || err != nil || n < 0 || name == "" {
			return console.Usagef("--dim %s: write --dim NAME=NUMBER", d)
		}
		if cfg.Dims == nil {
			cfg.Dims = map[string]int{}
		}
		if _, twice := cfg.Dims[name]; twice {
			return console.Usagef("--dim %s is given twice", name)
		}
		cfg.Dims[name] = n
	}
	cfg.Lengths = slices.Sorted(slices.Values(m.lengths))
	for i, n := range cfg.Lengths {
		if n < 1 || i > 0 && n == cfg.Lengths[i-1] {
			return console.Usagef("--length %d: lengths are numbers from 1 on, each given once", n)
		}
	}
	return nil
}

// drawn says on stderr, where no inputs were given to choose scales from, that they were drawn, and what of it.
func drawn(stderr io.Writer, r *compiler.Result, cfg compiler.Config) {
	if len(cfg.Calibrate) == 0 {
		fmt.Fprintf(stderr, "zkllmc: scales are chosen from %d pseudo-random inputs; where another one leads to greater magnitudes, they are clamped: choose from inputs of yours, --calibrate DATA\n", r.Scales.Samples)
	}
}

// reveals are the words of --reveal.
var reveals = map[string]string{"values": "values", "logits": "values", "argmax": "argmax", "nothing": "nothing"}

// ports reads the flags about inputs and outputs.
func (m *modelFlags) ports(cfg *compiler.Config) error {
	for _, s := range m.reveal {
		name, word := "", s
		if i := strings.LastIndexByte(s, '='); i >= 0 {
			name, word = s[:i], s[i+1:]
		}
		what, ok := reveals[word]
		if _, twice := cfg.Reveal[name]; !ok || twice {
			return console.Usagef("--reveal %s: write --reveal WHAT or --reveal NAME=WHAT, once per output; WHAT is values (or logits), argmax or nothing", s)
		}
		if cfg.Reveal == nil {
			cfg.Reveal = map[string]string{}
		}
		cfg.Reveal[name] = what
	}
	for _, s := range m.ranges {
		i := strings.LastIndexByte(s, '=')
		lo, hi, ok := strings.Cut(s[i+1:], ":")
		x, errLo := strconv.ParseFloat(lo, 64)
		y, errHi := strconv.ParseFloat(hi, 64)
		if i < 1 || !ok || errLo != nil || errHi != nil || !(x <= y) || math.IsInf(x, 0) || math.IsInf(y, 0) {
			return console.Usagef("--range %s: write --range NAME=LO:HI with two numbers, the smaller first", s)
		}
		if cfg.Ranges == nil {
			cfg.Ranges = map[string]compiler.Range{}
		}
		name := s[:i]
		if _, twice := cfg.Ranges[name]; twice {
			return console.Usagef("--range %s is given twice", name)
		}
		cfg.Ranges[name] = compiler.Range{Lo: x, Hi: y}
	}
	if k := cfg.Statement; k != "" && k != "generation" && k != "function" {
		return console.Usagef("--statement %s: it is generation or function", k)
	}
	return nil
}

func (m *modelFlags) loadTokenizer(cfg *compiler.Config) error {
	switch {
	case m.chat != "" && m.end != "":
		return console.Usagef("--end-token %s: the template of --chat says what ends an answer", m.end)
	case m.tokenizer == "" && (m.chat != "" || m.end != ""):
		return console.Usagef("--chat and --end-token are about the tokenizer.json that --tokenizer names")
	case m.tokenizer == "":
		return nil
	}
	var err error
	if cfg.Vocab, err = atomicfile.Read(m.tokenizer, tokens.MaxFile); err != nil {
		return console.Unusable(err)
	}
	if cfg.Template, err = m.template(); err != nil {
		return console.Unusable(err)
	}
	if m.plain, err = vocab.Parse(cfg.Vocab, nil); err != nil {
		return console.Unusable(fmt.Errorf("%s: %w", m.tokenizer, err))
	}
	if m.words = m.plain; cfg.Template != nil {
		if m.words, err = vocab.Parse(cfg.Vocab, cfg.Template); err != nil { // for the template: the file is read already
			from := "--chat " + m.chat
			if m.end != "" {
				from = "--end-token " + m.end
			}
			return console.Unusable(fmt.Errorf("%s: %w", from, err))
		}
	}
	if pad, ok := m.words.Pad(); ok {
		cfg.Pad = pad
	}
	return nil
}

// maxTemplate is the largest template that is read.
const maxTemplate = 1 << 20

// template returns the named template, the one in a file, or what --end-token says.
func (m *modelFlags) template() ([]byte, error) {
	if m.end != "" {
		return vocab.EndAlone(m.end), nil
	}
	if m.chat == "" {
		return nil, nil
	}
	if data, ok := vocab.Template(m.chat); ok {
		return data, nil
	}
	data, err := atomicfile.Read(m.chat, maxTemplate)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("--chat %s: it is neither a file nor a template's name (%s)", m.chat, strings.Join(vocab.Names(), ", "))
	}
	return data, err
}

// dump prints the program after the pass that ZKLLMC_DUMP names, or after every pass for "all".
func dump(a *app) func(pass, text string) {
	want := os.Getenv("ZKLLMC_DUMP")
	if want == "" {
		return nil
	}
	return func(pass, text string) {
		if want == pass || want == "all" {
			fmt.Fprintf(a.err, "--- after %s\n%s", pass, text)
		}
	}
}
