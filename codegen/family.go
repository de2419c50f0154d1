package codegen

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	. "github.com/dave/jennifer/jen" //lint:ignore ST1001 jennifer reads as the code that it renders

	"github.com/zkllmc/zkllmc/internal/format/constants"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// circuitPackage writes the package of the circuits of a family: circuit.go with what they share, and the builder of the one there is, or a
// file for each of several.
type circuitPackage struct {
	digest  string // of the family
	cells   [][]int64
	members []*circuitFile
	limits  []signed
}

func newCircuitPackage(plans []*plan.Plan, digest [32]byte) *circuitPackage {
	c := &circuitPackage{digest: hex.EncodeToString(digest[:])}
	number := map[string]int{} // of a constant's cells
	for _, p := range plans {
		var cells []int
		for _, t := range p.Constants {
			key := string(constants.Encode([][]int64{t.Values}))
			if _, ok := number[key]; !ok {
				number[key] = len(c.cells)
				c.cells = append(c.cells, t.Values)
			}
			cells = append(cells, number[key])
		}
		suffix, table := "", ""
		if len(plans) > 1 {
			suffix = strconv.Itoa(p.Length)
		}
		if p.Layers != plans[0].Layers || !reflect.DeepEqual(p.Columns, plans[0].Columns) {
			table = suffix
		}
		m := newCircuitFile(p, suffix, table, cells)
		c.members = append(c.members, m)
		for _, l := range m.limits {
			if !slices.Contains(c.limits, l) {
				c.limits = append(c.limits, l)
			}
		}
	}
	slices.Sort(c.limits)
	return c
}

// generate adds the package's files.
func (c *circuitPackage) generate(g *generator) {
	data := constants.Encode(c.cells)
	single := len(c.members) == 1
	main := c.file(g.circuitPath, true)
	c.shared(main, constants.Sum(data))
	if single {
		c.members[0].render(main)
	}
	g.add("circuit/circuit.go", main)
	for _, m := range c.members {
		if !single {
			f := c.file(g.circuitPath, false)
			m.render(f)
			g.add("circuit/length"+m.suffix+".go", f)
		}
		if m.err != nil && g.err == nil {
			g.err = m.err
		}
	}
	g.files = append(g.files, SourceFile{Path: "circuit/constants.bin", Data: data})
}

func (c *circuitPackage) file(importPath string, main bool) *File {
	f := NewFilePathName(importPath, "circuit")
	f.HeaderComment(header)
	importNames(f)
	if main {
		packageDoc(f, fmt.Sprintf("Package circuit is what a proof about %s proves: the integer program of the model as tensors and lookups.\n\n", c.name())+circuitDoc)
		f.Anon("embed")
	}
	return f
}

func (c *circuitPackage) name() string { return c.members[0].p.Config.Name }

// shared writes what all circuits need: names, limits, the layer table if they have one, and Build.
func (c *circuitPackage) shared(f *File, sum string) {
	first := c.members[0]
	f.Comment("The runtime interface that this code was generated for; with another runtime it does not compile.")
	f.Const().Id("_").Op("=").Qual(versionPath, "V1")
	defs := []Code{
		Id("Name").Op("=").Lit(c.name()),
	}
	if first.p.Layers > 0 {
		defs = append(defs, Id("Layers").Op("=").Lit(first.p.Layers))
	}
	what := "the circuit"
	if len(c.members) > 1 {
		what = "the circuits"
	}
	defs = append(defs,
		Comment("Digest identifies "+what+"; Build compares it.").Line().Id("Digest").Op("=").Lit(c.digest),
		Comment("constantsDigest is the SHA-256 of constants.bin.").Line().Id("constantsDigest").Op("=").Lit(sum))
	f.Comment("What " + what + map[bool]string{true: " is", false: " are"}[len(c.members) == 1] + " for.")
	f.Const().Defs(defs...)
	if len(c.limits) > 0 {
		var defs []Code
		for _, l := range c.limits {
			defs = append(defs, List(Id(l.lo()), Id(l.hi())).Op("=").List(Lit(-1).Op("<<").Lit(int(l)-1), Lit(1).Op("<<").Lit(int(l)-1).Op("-").Lit(1)))
		}
		f.Comment("Limits of signed integers of as many bits.")
		f.Const().Defs(defs...)
	}
	f.Comment("//go:embed constants.bin")
	f.Var().Id("constantsFile").Index().Byte()
	if len(first.p.Columns) > 0 {
		first.layerTable(f)
	}
	c.build(f)
}

// build writes the function that makes the family.
func (c *circuitPackage) build(f *File) {
	fail := If(Err().Op("!=").Nil()).Block(Return(Nil(), Err()))
	values := "_"
	if len(c.cells) > 0 {
		values = "values"
	}
	if len(c.members) == 1 {
		f.Comment("Build declares the circuit and checks that it is the one that was compiled.")
	} else {
		f.Comment("Build declares the circuits, the shortest first, and checks that they are those that were compiled.")
	}
	f.Func().Id("Build").Params().Params(Op("*").Qual(circuitPath, "Family"), Error()).BlockFunc(func(g *Group) {
		g.List(Id(values), Err()).Op(":=").Qual(circuitPath, "Constants").Call(Id("constantsFile"), Id("constantsDigest"))
		g.Add(fail)
		var members []Code
		for _, m := range c.members {
			cells := Nil()
			if len(m.p.Constants) > 0 {
				cells = Id(values)
			}
			member := Id("c" + m.suffix)
			members = append(members, member)
			g.List(member, Err()).Op(":=").Id(m.builder()).Call(cells)
			g.Add(fail)
		}
		g.List(Id("f"), Err()).Op(":=").Qual(circuitPath, "NewFamily").Call(members...)
		g.Add(fail)
		g.If(Id("got").Op(":=").Id("f").Dot("Digest").Call(), Qual("encoding/hex", "EncodeToString").Call(Id("got").Index(Op(":"))).Op("!=").Id("Digest")).Block(
			Return(Nil(), Qual("fmt", "Errorf").Call(Lit("circuit %s has digest %x, want %s: the runtime builds another circuit than the compiler did"), Id("Name"), Id("got"), Id("Digest"))))
		g.Return(Id("f"), Nil())
	})
}
