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

// instruction translates one.
func (t *translator) instruction(s string) (string, error) {
	name, rest, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(s, "\t", " "), "\n", " "), " ")
	parts, args := strings.Split(name, "."), operands(strings.TrimSpace(rest))
	kind := parts[len(parts)-1]
	stem := strings.Join(parts[:len(parts)-1], ".")
	if len(parts) == 1 {
		stem = name
	}
	read := func(i int, as string) string { return t.operand(args[i], as) }
	if c, ok := carrying[stem]; ok {
		if kind != "u32" {
			return "", errUnknown
		}
		var values []any
		for i := 1; i < len(args); i++ {
			values = append(values, read(i, "u32"))
		}
		value, flag, keep := fmt.Sprintf(c.format, values...), "+ cc", "sum_carry(cc, %s)"
		if strings.HasPrefix(stem, "sub") {
			flag, keep = "- cc", "borrow(cc, %s)"
		}
		if c.in {
			value += flag
		}
		if c.out {
			value = fmt.Sprintf(keep, value)
		}
		return t.set(args[0], value), nil
	}
	if b, ok := binary[stem]; ok {
		if kind == "pred" {
			return t.set(args[0], fmt.Sprintf(b.format, read(1, "pred"), read(2, "pred"))), nil
		}
		as := kind
		if !b.signed {
			as = unsigned(kind)
		}
		return t.set(args[0], "("+kind+")("+fmt.Sprintf(b.format, read(1, as), read(2, as))+")"), nil
	}
	bits := widths[strings.TrimLeft(kind, "bus")]
	switch parts[0] {
	case "ret":
		return "return;\n", nil
	case "bra":
		return fmt.Sprintf("goto %s;\n", label(args[0])), nil
	case "bar":
		if name != "bar.sync" || args[0] != "0" {
			return "", errUnknown
		}
		return "BARRIER();\n", nil
	case "ld", "st":
		return t.memory(parts, args)
	case "atom", "red":
		return t.atomic(parts, args)
	case "cvta":
		switch {
		case slices.Contains(parts, "shared") && slices.Contains(parts, "to"):
			return t.set(args[0], read(1, "u64")+" - shared_base"), nil
		case slices.Contains(parts, "shared"):
			return t.set(args[0], "shared_base + "+read(1, "u64")), nil
		}
		return t.set(args[0], read(1, "u64")), nil
	case "mov":
		return t.move(kind, args)
	case "not":
		if kind == "pred" {
			return t.set(args[0], "!"+read(1, "pred")), nil
		}
		return t.set(args[0], "~"+read(1, kind)), nil
	case "neg":
		return t.set(args[0], "0 - "+read(1, unsigned(kind))), nil
	case "abs":
		return t.set(args[0], fmt.Sprintf("%s < 0 ? 0 - %s : %s", read(1, kind), read(1, unsigned(kind)), read(1, unsigned(kind)))), nil
	case "min", "max":
		compare := map[string]string{"min": "<", "max": ">"}[parts[0]]
		return t.set(args[0], fmt.Sprintf("%s %s %s ? %s : %s", read(1, kind), compare, read(2, kind), read(1, kind), read(2, kind))), nil
	case "shl":
		return t.set(args[0], fmt.Sprintf("%s >= %d ? 0 : %s << (%s %% %d)", read(2, "u32"), bits, read(1, unsigned(kind)), read(2, "u32"), bits)), nil
	case "shr":
		value := fmt.Sprintf("%s >> (%s >= %d ? %d : %s)", read(1, kind), read(2, "u32"), bits, bits-1, read(2, "u32")) // the sign alone is left
		if kind[0] != 's' {
			value = fmt.Sprintf("%s >= %d ? 0 : %s", read(2, "u32"), bits, value)
		}
		return t.set(args[0], value), nil
	case "selp":
		return t.set(args[0], fmt.Sprintf("%s ? %s : %s", read(3, "pred"), read(1, kind), read(2, kind))), nil
	case "setp":
		operator, ok := comparisons[parts[1]]
		if !ok || len(parts) != 3 {
			return "", errUnknown
		}
		return t.set(args[0], fmt.Sprintf("%s %s %s", read(1, kind), operator, read(2, kind))), nil
	case "cvt":
		if len(parts) != 3 {
			return "", errUnknown
		}
		return t.set(args[0], fmt.Sprintf("(%s)(%s)", parts[1], read(1, parts[2]))), nil
	case "bfi":
		return t.set(args[0], fmt.Sprintf("insert<%s>(%s, %s, %s, %s)", unsigned(kind), read(1, kind), read(2, kind), read(3, "u32"), read(4, "u32"))), nil
	case "dp2a":
		if len(parts) != 4 || parts[2] != "s32" {
			return "", errUnknown
		}
		shift, of := map[string]int{"lo": 0, "hi": 16}[parts[1]], map[string]string{"u32": "u8", "s32": "s8"}[parts[3]]
		return t.set(args[0], fmt.Sprintf("dot(%s, (%s)(%s >> %d), (%s)(%s >> %d), %s)", read(1, "u32"), of, read(2, "u32"), shift, of, read(2, "u32"), shift+8, read(3, "s32"))), nil
	}
	double := map[string]string{"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}[kind]
	switch stem {
	case "mul.wide":
		return t.set(args[0], fmt.Sprintf("(%s)%s * %s", double, read(1, kind), read(2, kind))), nil
	case "mad.wide":
		return t.set(args[0], fmt.Sprintf("(%s)((%s)%s * %s) + %s", unsigned(double), double, read(1, kind), read(2, kind), read(3, unsigned(double)))), nil
	case "mul.hi":
		if kind == "u64" {
			return t.set(args[0], fmt.Sprintf("(u64)((unsigned __int128)%s * %s >> 64)", read(1, kind), read(2, kind))), nil
		}
		return t.set(args[0], fmt.Sprintf("(%s)%s * %s >> %d", double, read(1, kind), read(2, kind), bits)), nil
	case "mad.lo":
		return t.set(args[0], fmt.Sprintf("%s * %s + %s", read(1, unsigned(kind)), read(2, unsigned(kind)), read(3, unsigned(kind)))), nil
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
