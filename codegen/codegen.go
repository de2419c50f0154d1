// Package codegen prints a plan as Go code: the circuit, a verifier, a prover and their two commands, as files in memory. It also
// runs a plan directly (BuildCircuit), which gives the circuit that the printed code builds, and so its digest.
package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	. "github.com/dave/jennifer/jen" //lint:ignore ST1001 jennifer reads as the code that it renders

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// SourceFile is one generated file, its path relative to the output folder, with slashes. A file that is too large to be held has no Data:
// Write writes it, the same every time.
type SourceFile struct {
	Path  string
	Data  []byte
	Write func(io.Writer) error `json:"-"`
}

// Target says where the code will stand.
type Target struct {
	ImportPath  string // of the output folder
	Vocab       []byte // file of the tokenizer for the commands, or nil
	Template    []byte // of a tokenizer.json, or nil; see package huggingface
	HuggingFace bool   // the file is a tokenizer.json
}

// Generate prints the plans of a family, the shortest first, which BuildFamily makes of them. Files are in a fixed order and depend on the
// arguments only.
func Generate(plans []*plan.Plan, f *circuit.Family, o Target) ([]SourceFile, error) {
	first := f.Shortest() // what is asked of it all circuits have alike
	g := &generator{o: o, circuitPath: path.Join(o.ImportPath, "circuit"), kindPath: functionPath, textsPath: textsPath, name: first.Name}
	if first.Generation != nil {
		g.kindPath, g.textsPath, g.private = generationPath, askedPath, first.Generation.Private
	} else if o.Vocab != nil {
		reader, err := passage.Of(f)
		if err != nil {
			return nil, err
		}
		g.whole, g.private = true, reader.Hidden()
	}
	data, err := circuits.Encode(f)
	if err != nil {
		return nil, err
	}
	g.files = append(g.files, SourceFile{Path: CircuitFile, Data: data})
	newCircuitPackage(plans, f.Digest()).generate(g)
	g.add("verifier/verifier.go", g.verifier())
	g.add("prover/prover.go", g.prover())
	list := nodes(plans, f)
	g.add("cmd/prover/main.go", g.command("prover", proverApp, len(list) > 0))
	if len(list) > 0 {
		g.files = append(g.files, SourceFile{Path: "cmd/prover/" + nodesFile, Data: list})
	}
	g.add("cmd/prover/"+deviceFile, g.device())
	g.add("cmd/verifier/main.go", g.command("verifier", verifierApp, false))
	if o.Vocab != nil {
		g.add("vocab/vocab.go", g.vocab())
		g.files = append(g.files, SourceFile{Path: "vocab/" + o.vocabFile(), Data: o.Vocab})
		if o.Template != nil {
			g.files = append(g.files, SourceFile{Path: vocab.Folder + "/" + vocab.TemplateFile, Data: o.Template})
		}
	}
	return g.files, g.err
}

type generator struct {
	o           Target
	circuitPath string
	kindPath    string // of the package of the statements' kind
	name        string
	textsPath   string // of the package that verifies proofs of texts
	whole       bool   // the model reads a text whole, and continues none
	private     bool   // the prompt is hidden, or what tells of such a text
	files       []SourceFile
	err         error
}

func (g *generator) add(name string, f *File) {
	var b bytes.Buffer
	err := f.Render(&b)
	src := b.Bytes()
	if err == nil {
		src, err = format.Source(g.groupImports(src))
	}
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("codegen: %s: %w", name, err)
	}
	g.files = append(g.files, SourceFile{Path: name, Data: src})
}

var (
	importBlock = regexp.MustCompile(`(?s)\nimport \(\n(.*?)\n\)\n`)
	importPath  = regexp.MustCompile(`"([^"]*)"`)
)

// groupImports puts the standard library's imports before the others, which jennifer sorts into one block.
func (g *generator) groupImports(src []byte) []byte {
	m := importBlock.FindSubmatchIndex(src)
	if m == nil {
		return src
	}
	var std, others []string
	for _, line := range strings.Split(string(src[m[2]:m[3]]), "\n") {
		p := importPath.FindStringSubmatch(line)[1]
		if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") || strings.HasPrefix(p, g.o.ImportPath+"/") {
			others = append(others, line)
		} else {
			std = append(std, line)
		}
	}
	if len(std) > 0 && len(others) > 0 {
		std = append(std, "")
	}
	block := strings.Join(append(std, others...), "\n")
	return slices.Concat(src[:m[2]], []byte(block), src[m[3]:])
}

func (g *generator) file(folder, name, text string) *File {
	f := NewFilePathName(path.Join(g.o.ImportPath, folder), name)
	f.HeaderComment(header)
	packageDoc(f, text)
	importNames(f)
	for _, p := range []string{"circuit", "vocab"} {
		f.ImportName(path.Join(g.o.ImportPath, p), p)
	}
	return f
}

// verifier is the library that a service imports.
func (g *generator) verifier() *File {
	f := g.file("verifier", "verifier", fmt.Sprintf("Package verifier checks proofs about %s. It links no prover.", g.name))
	doc(f, "VerifyingKey is what a verifier knows of the model: the commitment to its weights, whose range proof has been checked.\nIt is safe for concurrent use.")
	fields := []Code{Id("key").Op("*").Qual(verifierPath, "Key")}
	if g.texts() {
		fields = append(fields, Id("texts").Op("*").Qual(g.textsPath, "Verifier"))
	}
	f.Type().Id("VerifyingKey").Struct(fields...)
	g.readKey(f)
	f.Comment("ModelID identifies the circuits and the weights.")
	method(f, "ModelID").Params().Index(Lit(32)).Byte().Block(Return(Id("k").Dot("key").Dot("ModelID").Call()))
	doc(f, "ParseModelID reads a model ID as 'verifier accept' prints and saves it.")
	f.Func().Id("ParseModelID").Params(Id("text").String()).Params(Index(Lit(32)).Byte(), Error()).Block(Return(Qual(verifierPath, "ParseModelID").Call(Id("text"))))
	proved := []Code{List(Id("statement"), Id("proof")).Index().Byte()}
	checks(f, "key", "Verify", "VerifyContext", "accepts the proof of a statement, or says why not.", proved, "statement", "proof")
	switch {
	case !g.texts():
	case g.whole:
		checks(f, "texts", "VerifyText", "VerifyText", `accepts the proof that the outputs of the statement are what the model makes of the text, or says why not. The text is
encoded as the prover encodes it.`,
			append([]Code{Id("text").String()}, proved...), "text", "statement", "proof")
	case g.private:
		checks(f, "texts", "VerifyAnswer", "VerifyAnswer", `accepts the proof that the model answers so, as text, and ends there, or says why not; the prompt is private, and
whoever proves chose it. errors.Is(err, asked.ErrUnfinished) where all holds but that the answer ends.`,
			append([]Code{Id("answer").String()}, proved...), "answer", "statement", "proof")
	default:
		checks(f, "texts", "VerifyText", "VerifyText", `accepts the proof that the model answers the prompt with the answer, both as texts, and ends there, or says why not.
Texts are encoded as the prover encodes them: give what was asked and told. errors.Is(err, asked.ErrUnfinished) where all holds but
that the answer ends.`,
			append([]Code{List(Id("prompt"), Id("answer")).String()}, proved...), "prompt", "answer", "statement", "proof")
	}
	return f
}

// texts says whether the verifier compares texts with what is proved: not where proofs hide them.
func (g *generator) texts() bool { return g.o.Vocab != nil && !(g.whole && g.private) }

// readKey prints the functions that read a verifying key.
func (g *generator) readKey(f *File) {
	doc(f, "ReadVerifyingKey decodes and checks a verifying key. Compare its ModelID with one that you trust: a key says nothing about who\nmade it.")
	f.Func().Id("ReadVerifyingKey").Params(Id("data").Index().Byte()).Params(Op("*").Id("VerifyingKey"), Error()).Block(
		Return(Id("ReadVerifyingKeyContext").Call(Qual("context", "Background").Call(), Id("data"))))
	fail := If(Err().Op("!=").Nil()).Block(Return(Nil(), Err()))
	body := []Code{
		List(Id("family"), Err()).Op(":=").Qual(g.circuitPath, "Build").Call(), fail,
		List(Id("key"), Err()).Op(":=").Qual(verifierPath, "ReadKey").Call(Id("ctx"), Id("family"), Qual(g.kindPath, "Kind"), Id("data")), fail,
	}
	result := []Code{Id("key").Op(":").Id("key")}
	if g.texts() {
		tokenizer := Qual(path.Join(g.o.ImportPath, "vocab"), "Tokenizer")
		body = append(body, List(Id("texts"), Err()).Op(":=").Qual(g.textsPath, "NewVerifier").Call(Id("family"), Id("key"), tokenizer), fail)
		result = append(result, Id("texts").Op(":").Id("texts"))
	}
	doc(f, "ReadVerifyingKeyContext is ReadVerifyingKey, given up with the context's error when that ends.")
	f.Func().Id("ReadVerifyingKeyContext").Params(Id("ctx").Qual("context", "Context"), Id("data").Index().Byte()).Params(Op("*").Id("VerifyingKey"), Error()).Block(
		append(body, Return(Op("&").Id("VerifyingKey").Values(result...), Nil()))...)
}

func method(f *File, name string) *Statement {
	return f.Func().Params(Id("k").Op("*").Id("VerifyingKey")).Id(name)
}

// checks prints a method that verifies and the same with a context, which call a method of a field.
func checks(f *File, field, name, with, text string, params []Code, args ...string) {
	ids := []Code{Id("ctx")}
	for _, a := range args {
		ids = append(ids, Id(a))
	}
	doc(f, name+" "+text)
	method(f, name).Params(params...).Error().Block(
		Return(Id("k").Dot(name + "Context").Call(append([]Code{Qual("context", "Background").Call()}, ids[1:]...)...)))
	doc(f, name+"Context is "+name+", given up with the context's error when that ends.")
	method(f, name+"Context").Params(append([]Code{Id("ctx").Qual("context", "Context")}, params...)...).Error().Block(
		Return(Id("k").Dot(field).Dot(with).Call(ids...)))
}

func (g *generator) prover() *File {
	f := g.file("prover", "prover", fmt.Sprintf("Package prover makes proofs about %s.", g.name))
	f.Comment("ReadKey decodes a prover key, which the command's setup writes. It holds the weights: keep it secret.")
	f.Func().Id("ReadKey").Params(Id("data").Index().Byte()).Params(Op("*").Qual(proverPath, "Key"), Error()).Block(
		List(Id("family"), Err()).Op(":=").Qual(g.circuitPath, "Build").Call(),
		If(Err().Op("!=").Nil()).Block(Return(Nil(), Err())),
		Return(Qual(proverPath, "ReadKey").Call(Id("family"), Id("data"))))
	return f
}

// command is the main package of the prover or the verifier, with the list of nodes or without.
func (g *generator) command(name, app string, listed bool) *File {
	f := g.file("cmd/"+name, "main", fmt.Sprintf("Command %s is the %s of %s; run it with --help.", name, name, g.name))
	model := []Code{Id("Name").Op(":").Qual(g.circuitPath, "Name"), Id("Build").Op(":").Qual(g.circuitPath, "Build")}
	if g.o.Vocab != nil {
		model = append(model, Id("Vocab").Op(":").Qual(path.Join(g.o.ImportPath, "vocab"), "Tokenizer"))
	}
	if listed {
		f.Anon("embed")
		doc(f, "nodes says of which ONNX node each tensor is that may be clamped.\n")
		f.Comment("//go:embed " + nodesFile)
		f.Var().Id("nodes").String()
		model = append(model, Id("Nodes").Op(":").Id("nodes"))
	}
	of := Qual(app, "Model").Values(model...)
	if app == proverApp {
		f.Line()
		doc(f, "model is what is proved; "+deviceFile+" adds what computes.")
		f.Var().Id("model").Op("=").Add(of)
		f.Line()
		of = Id("model")
	}
	f.Func().Id("main").Params().Block(
		Qual("os", "Exit").Call(Qual(app, "Main").Call(of, Qual("os", "Args").Index(Lit(1), Empty()))))
	return f
}

// deviceFile is a file of the prover's main package.
const deviceFile = "device.go"

// device is the file of the prover's main package that links the GPU backend where the prover is built for it.
func (g *generator) device() *File {
	f := NewFilePathName(path.Join(g.o.ImportPath, "cmd/prover"), "main")
	f.HeaderComment(header)
	f.HeaderComment("//go:build " + cudaTag)
	importNames(f)
	doc(f, "A prover that is built with the tag "+cudaTag+" makes keys and proofs on the first GPU.\n")
	f.Func().Id("init").Params().Block(Id("model").Dot("Device").Op("=").Qual(cudaPath, "Open"))
	return f
}

// CircuitFile holds the circuits, for verifiers that were not generated for the model.
const CircuitFile = "model.circuit"

// vocabFile names the file of the tokenizer.
func (o Target) vocabFile() string {
	if o.HuggingFace {
		return vocab.HuggingFile
	}
	return vocab.VocabularyFile
}

// vocab is the package with the tokenizer's file. It alone says what reads it, so that a verifier links no more than that.
func (g *generator) vocab() *File {
	f := g.file("vocab", "vocab", "Package vocab holds the tokenizer with which the commands read and show texts.")
	f.Anon("embed")
	embed := func(name, file string) {
		doc(f, fmt.Sprintf("%s is the content of %s.\n", name, file))
		f.Comment("//go:embed " + file)
		f.Var().Id(name).Index().Byte()
	}
	embed("File", g.o.vocabFile())
	parse := Qual(tokensPath, "Parse").Call(Id("File"))
	if g.o.HuggingFace {
		template := Nil()
		if g.o.Template != nil {
			embed("Template", vocab.TemplateFile)
			template = Id("Template")
		}
		parse = Qual(huggingfacePath, "Parse").Call(Id("File"), template)
	}
	doc(f, "Tokenizer reads the file.")
	f.Func().Id("Tokenizer").Params().Params(Qual(tokensPath, "Tokenizer"), Error()).Block(Return(parse))
	return f
}
