package ptx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var errUnknown = errors.New("an unknown instruction")

// operands splits a list at the commas outside of braces.
func operands(s string) (list []string) {
	depth, from := 0, 0
	for i, c := range s {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			list, from = append(list, strings.TrimSpace(s[from:i])), i+1
		}
	}
	return append(list, strings.TrimSpace(s[from:]))
}

// elements are those of a vector, or the one operand.
func elements(s string) []string {
	if s, vector := strings.CutPrefix(s, "{"); vector {
		return operands(strings.TrimSuffix(s, "}"))
	}
	return []string{s}
}

// widths are the types of numbers, by their bits.
var widths = map[string]int{"8": 8, "16": 16, "32": 32, "64": 64}

// unsigned is the type of the same width without a sign.
func unsigned(kind string) string { return "u" + kind[1:] }

// binary are operators of two operands: of the type itself, or without a sign, where overflow is not to be undefined.
var binary = map[string]struct {
	format string
	signed bool
}{
	"add": {"%s + %s", false}, "sub": {"%s - %s", false}, "mul.lo": {"%s * %s", false}, "and": {"%s & %s", false}, "or": {"%s | %s", false}, "xor": {"%s ^ %s", false},
	"div": {"%s / %s", true}, "rem": {"%s %% %s", true},
}

// comparisons by their names.
var comparisons = map[string]string{"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

// carrying are the instructions with a carry flag, of 32 bits: what they compute of their operands, and whether the flag goes in and out.
var carrying = map[string]struct {
	format  string
	in, out bool
}{
	"add.cc": {"(u64)%s + %s", false, true}, "addc.cc": {"(u64)%s + %s", true, true}, "addc": {"(u64)%s + %s", true, false},
	"sub.cc": {"(u64)%s - %s", false, true}, "subc.cc": {"(u64)%s - %s", true, true}, "subc": {"(u64)%s - %s", true, false},
	"mad.lo.cc": {"(u64)(u32)(%s * %s) + %s", false, true}, "madc.lo.cc": {"(u64)(u32)(%s * %s) + %s", true, true}, "madc.lo": {"(u64)(u32)(%s * %s) + %s", true, false},
	"mad.hi.cc": {"(u64)upper(%s, %s) + %s", false, true}, "madc.hi.cc": {"(u64)upper(%s, %s) + %s", true, true}, "madc.hi": {"(u64)upper(%s, %s) + %s", true, false},
}

// parsed is an instruction: its name, in parts, the type that it ends with, what comes before that, and its operands.
type parsed struct {
	t          *translator
	name, stem string
	parts      []string
	kind       string
	bits       int // of the type
	args       []string
}

// instruction translates one.
func (t *translator) instruction(s string) (string, error) {
	name, rest, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(s, "\t", " "), "\n", " "), " ")
	in := &parsed{t: t, name: name, stem: name, parts: strings.Split(name, "."), args: operands(strings.TrimSpace(rest))}
	if last := len(in.parts) - 1; last > 0 {
		in.stem = strings.Join(in.parts[:last], ".")
	}
	in.kind = in.parts[len(in.parts)-1]
	in.bits = widths[strings.TrimLeft(in.kind, "bus")]
	for _, translate := range []func() (string, error){in.carries, in.operator, in.flow, in.ofOne, in.ofSeveral, in.wide} {
		if text, err := translate(); !errors.Is(err, errUnknown) {
			return text, err
		}
	}
	return "", errUnknown
}

// read is an operand as a value of a type, and set assigns to the first.
func (in *parsed) read(i int, as string) string { return in.t.operand(in.args[i], as) }

func (in *parsed) set(format string, values ...any) (string, error) {
	return in.t.set(in.args[0], fmt.Sprintf(format, values...)), nil
}

// carries translates what sets the carry or takes it in.
func (in *parsed) carries() (string, error) {
	c, ok := carrying[in.stem]
	if !ok || in.kind != "u32" {
		return "", errUnknown
	}
	var values []any
	for i := 1; i < len(in.args); i++ {
		values = append(values, in.read(i, "u32"))
	}
	value, flag, keep := fmt.Sprintf(c.format, values...), "+ cc", "sum_carry(cc, %s)"
	if strings.HasPrefix(in.stem, "sub") {
		flag, keep = "- cc", "borrow(cc, %s)"
	}
	if c.in {
		value += flag
	}
	if c.out {
		value = fmt.Sprintf(keep, value)
	}
	return in.set("%s", value)
}

// operator translates operators of two operands.
func (in *parsed) operator() (string, error) {
	b, ok := binary[in.stem]
	if !ok {
		return "", errUnknown
	}
	if in.kind == "pred" {
		return in.set(b.format, in.read(1, "pred"), in.read(2, "pred"))
	}
	as := in.kind
	if !b.signed {
		as = unsigned(in.kind)
	}
	return in.set("%s", "("+in.kind+")("+fmt.Sprintf(b.format, in.read(1, as), in.read(2, as))+")")
}

// flow translates what moves control and data.
func (in *parsed) flow() (string, error) {
	switch in.parts[0] {
	case "ret":
		return "return;\n", nil
	case "bra":
		return fmt.Sprintf("goto %s;\n", label(in.args[0])), nil
	case "bar":
		if in.name != "bar.sync" || in.args[0] != "0" {
			return "", errUnknown
		}
		return "BARRIER();\n", nil
	case "ld", "st":
		return in.t.memory(in.parts, in.args)
	case "atom", "red":
		return in.t.atomic(in.parts, in.args)
	case "cvta":
		switch {
		case slices.Contains(in.parts, "shared") && slices.Contains(in.parts, "to"):
			return in.set("%s", in.read(1, "u64")+" - shared_base")
		case slices.Contains(in.parts, "shared"):
			return in.set("%s", "shared_base + "+in.read(1, "u64"))
		}
		return in.set("%s", in.read(1, "u64"))
	}
	return "", errUnknown
}

// ofOne translates operations on one value.
func (in *parsed) ofOne() (string, error) {
	switch in.parts[0] {
	case "mov":
		return in.t.move(in.kind, in.args)
	case "not":
		if in.kind == "pred" {
			return in.set("%s", "!"+in.read(1, "pred"))
		}
		return in.set("%s", "~"+in.read(1, in.kind))
	case "neg":
		return in.set("%s", "0 - "+in.read(1, unsigned(in.kind)))
	case "abs":
		return in.set("%s < 0 ? 0 - %s : %s", in.read(1, in.kind), in.read(1, unsigned(in.kind)), in.read(1, unsigned(in.kind)))
	}
	return "", errUnknown
}

// ofSeveral translates operations on several.
func (in *parsed) ofSeveral() (string, error) {
	switch in.parts[0] {
	case "min", "max":
		compare := map[string]string{"min": "<", "max": ">"}[in.parts[0]]
		return in.set("%s %s %s ? %s : %s", in.read(1, in.kind), compare, in.read(2, in.kind), in.read(1, in.kind), in.read(2, in.kind))
	case "shl":
		return in.set("%s >= %d ? 0 : %s << (%s %% %d)", in.read(2, "u32"), in.bits, in.read(1, unsigned(in.kind)), in.read(2, "u32"), in.bits)
	case "shr":
		value := fmt.Sprintf("%s >> (%s >= %d ? %d : %s)", in.read(1, in.kind), in.read(2, "u32"), in.bits, in.bits-1, in.read(2, "u32")) // the sign alone is left
		if in.kind[0] != 's' {
			value = fmt.Sprintf("%s >= %d ? 0 : %s", in.read(2, "u32"), in.bits, value)
		}
		return in.set("%s", value)
	case "selp":
		return in.set("%s ? %s : %s", in.read(3, "pred"), in.read(1, in.kind), in.read(2, in.kind))
	case "setp":
		operator, ok := comparisons[in.parts[1]]
		if !ok || len(in.parts) != 3 {
			return "", errUnknown
		}
		return in.set("%s %s %s", in.read(1, in.kind), operator, in.read(2, in.kind))
	case "cvt":
		if len(in.parts) != 3 {
			return "", errUnknown
		}
		return in.set("(%s)(%s)", in.parts[1], in.read(1, in.parts[2]))
	case "bfi":
		return in.set("insert<%s>(%s, %s, %s, %s)", unsigned(in.kind), in.read(1, in.kind), in.read(2, in.kind), in.read(3, "u32"), in.read(4, "u32"))
	case "dp2a":
		if len(in.parts) != 4 || in.parts[2] != "s32" {
			return "", errUnknown
		}
		shift, of := map[string]int{"lo": 0, "hi": 16}[in.parts[1]], map[string]string{"u32": "u8", "s32": "s8"}[in.parts[3]]
		return in.set("dot(%s, (%s)(%s >> %d), (%s)(%s >> %d), %s)", in.read(1, "u32"), of, in.read(2, "u32"), shift, of, in.read(2, "u32"), shift+8, in.read(3, "s32"))
	}
	return "", errUnknown
}

// wide translates products of which the upper half counts, or that are added.
func (in *parsed) wide() (string, error) {
	double := map[string]string{"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}[in.kind]
	switch in.stem {
	case "mul.wide":
		return in.set("(%s)%s * %s", double, in.read(1, in.kind), in.read(2, in.kind))
	case "mad.wide":
		return in.set("(%s)((%s)%s * %s) + %s", unsigned(double), double, in.read(1, in.kind), in.read(2, in.kind), in.read(3, unsigned(double)))
	case "mul.hi":
		if in.kind == "u64" {
			return in.set("(u64)((unsigned __int128)%s * %s >> 64)", in.read(1, in.kind), in.read(2, in.kind))
		}
		return in.set("(%s)%s * %s >> %d", double, in.read(1, in.kind), in.read(2, in.kind), in.bits)
	case "mad.lo":
		return in.set("%s * %s + %s", in.read(1, unsigned(in.kind)), in.read(2, unsigned(in.kind)), in.read(3, unsigned(in.kind)))
	}
	return "", errUnknown
}

// move translates mov: of numbers, and of two to one or one to two.
func (t *translator) move(kind string, args []string) (string, error) {
	to, from := elements(args[0]), elements(args[1])
	switch {
	case len(to) == 2 && kind == "b64":
		return t.set(to[0], t.operand(args[1], "u64")) + t.set(to[1], t.operand(args[1], "u64")+" >> 32"), nil
	case len(from) == 2 && kind == "b64":
		return t.set(args[0], fmt.Sprintf("%s | %s << 32", t.operand(from[0], "u64"), t.operand(from[1], "u64"))), nil
	case len(to) == 2 && kind == "b32":
		return t.set(to[0], t.operand(args[1], "u32")) + t.set(to[1], t.operand(args[1], "u32")+" >> 16"), nil
	case len(from) == 2 && kind == "b32":
		return t.set(args[0], fmt.Sprintf("%s | %s << 16", t.operand(from[0], "u32"), t.operand(from[1], "u32"))), nil
	case len(to) == 1 && len(from) == 1:
		return t.set(args[0], t.operand(args[1], kind)), nil
	}
	return "", errUnknown
}

// memory translates ld and st, of one value or of a vector that lies at a multiple of its size.
func (t *translator) memory(parts, args []string) (string, error) {
	kind, space, store := parts[len(parts)-1], "generic", parts[0] == "st"
	for _, p := range parts[1 : len(parts)-1] {
		switch p {
		case "global", "local", "shared", "param":
			space = p
		case "v2", "v4", "nc":
		default:
			return "", errUnknown
		}
	}
	values, where := elements(args[0]), args[1]
	if store {
		values, where = elements(args[1]), args[0]
	}
	at, err := t.at(where, space)
	if err != nil {
		return "", err
	}
	text := "{ const u64 at = " + at + ";\n"
	if len(values) > 1 {
		text += fmt.Sprintf("aligned(at, %d * sizeof(%s));\n", len(values), kind)
	}
	for i, v := range values {
		if store {
			text += fmt.Sprintf("keep<%s>(at + %d * sizeof(%s), %s);\n", kind, i, kind, t.operand(v, kind))
		} else {
			text += fmt.Sprintf("const %s v%d = fetch<%s>(at + %d * sizeof(%s));\n", kind, i, kind, i, kind)
		}
	}
	if !store { // a register may be the address
		for i, v := range values {
			text += t.set(v, fmt.Sprintf("v%d", i))
		}
	}
	return text + "}\n", nil
}

// atomic translates atom and red on global memory.
func (t *translator) atomic(parts, args []string) (string, error) {
	if len(parts) != 4 || parts[1] != "global" {
		return "", errUnknown
	}
	to, kind := "", parts[3]
	if parts[0] == "atom" {
		to, args = args[0], args[1:]
	}
	at, err := t.at(args[0], "global")
	if err != nil {
		return "", err
	}
	value := ""
	switch parts[2] {
	case "add":
		value = fmt.Sprintf("atomic_add((%s*)(%s), %s)", unsigned(kind), at, t.operand(args[1], unsigned(kind)))
	case "min":
		if kind != "u64" {
			return "", errUnknown
		}
		return fmt.Sprintf("atomic_min((uint64_t*)(%s), %s);\n", at, t.operand(args[1], kind)), nil // no kernel reads what was there
	default:
		return "", errUnknown
	}
	if to == "" || to == "_" {
		return value + ";\n", nil
	}
	return t.set(to, value), nil
}
