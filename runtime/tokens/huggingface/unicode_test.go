package huggingface

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

var update = flag.Bool("update", false, "write tables.go anew from testdata/unicode.json.gz")

// libraryTables is what the library takes every code point for, as testdata/unicode.py asked it.
type libraryTables struct {
	Classes map[string]ranges `json:"classes"`
	Lower   map[string]string `json:"lower"`
}

func readTables(t *testing.T) (l libraryTables) {
	readStored(t, "unicode.json.gz", &l)
	require.NotEmpty(t, l.Classes)
	require.NotEmpty(t, l.Lower)
	return l
}

// readStored reads a compressed JSON file of testdata.
func readStored(t *testing.T, name string, into any) {
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	data, err := io.ReadAll(z)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// clusterTables are the tables of grapheme clusters that stand in testdata/graphemes.json.gz, by the name they have here.
var clusterTables = map[string]string{
	"clusterExtend": "extend", "clusterControl": "control", "clusterPrepend": "prepend", "joinPictographic": "pictographic",
	"joinConsonant": "consonant", "joinLinker": "linker", "joinExtend": "link extend", "joinRegional": "regional",
}

// each calls f for every code point but zero and the surrogates.
func each(f func(rune)) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if r < 0xd800 || r > 0xdfff {
			f(r)
		}
	}
}

// collect returns the code points that f holds for.
func collect(f func(rune) bool) (out ranges) {
	last := rune(-2)
	each(func(r rune) {
		switch {
		case !f(r):
			return
		case r == last+1:
			out[len(out)-1][1] = r
		default:
			out = append(out, [2]rune{r, r})
		}
		last = r
	})
	return out
}

// Every code point is of the classes that the library takes it for, has its small letter, and its normal forms: what has none in the
// library has none here, and the others have the one that Unicode never changes.
func TestUnicode(t *testing.T) {
	l := readTables(t)
	if *update {
		writeTables(t, l)
		return
	}
	for name, has := range map[string]func(rune) bool{
		"\\s": isSpace, "white": isSpace, "word": isWord, "numeric": isNumeric, "punctuation": isPunctuation, "accent": accent.has,
		"cleaned": func(r rune) bool { return cleaned(r) }, "bert accent": bertAccent.has,
	} {
		require.Equal(t, l.Classes[name], collect(has), name)
	}
	for _, name := range []string{"L", "N", "P", "S", "M", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd"} {
		require.Equal(t, l.Classes["\\p{"+name+"}"], collect(categories[name].has), name)
	}
	for name, c := range categories { // patterns have no way to say so
		require.Empty(t, c.less, name)
	}
	require.Equal(t, l.Classes["\\d"], collect(categories["Nd"].has))
	require.Equal(t, l.Classes["\\w"], collect(categories["w"].has))
	for name, form := range map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD} {
		f := normalForm(form)
		require.Equal(t, l.Classes[name], collect(func(r rune) bool { return f(string(r)) != string(r) }), name)
	}
	each(func(r rune) {
		want, ok := l.Lower[strconv.Itoa(int(r))]
		if !ok {
			want = string(r)
		}
		if got := lower(string(r)); got != want {
			t.Errorf("the small form of %U is %q, not %q", r, want, got)
		}
	})
}

// bases are Go's tables that classes are made of.
var bases = map[string]string{
	"L": "unicode.L", "N": "unicode.N", "P": "unicode.P", "S": "unicode.S", "M": "unicode.M", "Lu": "unicode.Lu", "Ll": "unicode.Ll",
	"Lt": "unicode.Lt", "Lm": "unicode.Lm", "Lo": "unicode.Lo", "Nd": "unicode.Nd",
	"w":           "unicode.L, unicode.M, unicode.Nd, unicode.Pc",
	"word":        "unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control",
	"numeric":     "unicode.N",
	"punctuation": "unicode.P",
	"accent":      "unicode.M",
	"bertAccent":  "unicode.Mn",
	"control":     "unicode.Cc, unicode.Cf, unicode.Co",
}

// writeTables writes tables.go.
func writeTables(t *testing.T, l libraryTables) {
	known := map[string]*unicode.RangeTable{}
	maps.Copy(known, unicode.Categories)
	maps.Copy(known, unicode.Properties)
	var b bytes.Buffer
	b.WriteString("package huggingface\n\n// Code generated from testdata/unicode.json.gz by go test -run TestUnicode -update. DO NOT EDIT.\n\nimport \"unicode\"\n\n")
	printed := func(name, library string, drop func(rune) bool) string {
		var tables []*unicode.RangeTable
		for _, id := range strings.Split(bases[name], ", ") {
			tables = append(tables, known[strings.TrimPrefix(id, "unicode.")])
			require.NotNil(t, tables[len(tables)-1], id)
		}
		want := l.Classes[library]
		more := collect(func(r rune) bool { return !drop(r) && want.has(r) && !unicode.In(r, tables...) })
		less := collect(func(r rune) bool { return !drop(r) && !want.has(r) && unicode.In(r, tables...) })
		return fmt.Sprintf("class{\n[]*unicode.RangeTable{%s},\n%s,\n%s,\n}", bases[name], code(more), code(less))
	}
	never := func(rune) bool { return false }
	b.WriteString("// The classes that pre-tokenizers, normalizers and added tokens look at.\nvar (\n")
	for _, c := range []struct {
		name, library string
		drop          func(rune) bool
	}{
		{"word", "word", never}, {"numeric", "numeric", never}, {"punctuation", "punctuation", asciiPunctuation}, {"accent", "accent", never},
		{"bertAccent", "bert accent", never}, {"control", "cleaned", func(r rune) bool { return r == 0xfffd || r == '\t' || r == '\n' || r == '\r' }},
	} {
		fmt.Fprintf(&b, "%s = %s\n", c.name, printed(c.name, c.library, c.drop))
	}
	b.WriteString(")\n\n// categories are what patterns name by \\p{…}, and \\w.\nvar categories = map[string]*class{\n")
	for _, name := range []string{"L", "N", "P", "S", "M", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "w"} {
		library := "\\p{" + name + "}"
		if name == "w" {
			library = "\\w"
		}
		fmt.Fprintf(&b, "%q: %s,\n", name, strings.Replace(printed(name, library, never), "class{", "{", 1))
	}
	b.WriteString("}\n\n// unnormalized are the characters that the library's normal forms do not know: those without one, and marks.\n")
	accents := l.Classes["accent"]
	fmt.Fprintf(&b, "var unnormalized = %s\n\n", code(collect(func(r rune) bool {
		one := string(r)
		return unicode.IsMark(r) && !accents.has(r) || norm.NFKD.String(one) != one && !l.Classes["NFKD"].has(r) || norm.NFD.String(one) != one && !l.Classes["NFD"].has(r)
	})))
	clusters := map[string]ranges{}
	readStored(t, "graphemes.json.gz", &clusters)
	b.WriteString("// What grapheme clusters depend on.\nvar (\n")
	for _, name := range slices.Sorted(maps.Keys(clusterTables)) {
		require.NotEmpty(t, clusters[clusterTables[name]], name)
		fmt.Fprintf(&b, "%s = %s\n", name, code(clusters[clusterTables[name]]))
	}
	b.WriteString(")\n\n// lowercase are the small letters that Go does not know.\nvar lowercase = map[rune]rune{\n")
	each(func(r rune) {
		if small, ok := l.Lower[strconv.Itoa(int(r))]; ok && small != string(unicode.ToLower(r)) && r != 'İ' {
			require.Len(t, []rune(small), 1)
			fmt.Fprintf(&b, "%#x: %#x,\n", r, []rune(small)[0])
		}
	})
	b.WriteString("}\n")
	out, err := format.Source(b.Bytes())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("tables.go", out, 0o644))
}

// code prints ranges, some on every line.
func code(s ranges) string {
	if len(s) == 0 {
		return "nil"
	}
	out := "ranges{\n"
	for part := range slices.Chunk(s, 6) {
		for _, x := range part {
			out += fmt.Sprintf("{%#x, %#x}, ", x[0], x[1])
		}
		out += "\n"
	}
	return out + "}"
}
