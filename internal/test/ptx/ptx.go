// Package ptx translates PTX, what nvcc makes of CUDA kernels before a driver compiles it for one GPU, into C++ for the shim that runs kernels on
// the processor (cuda/internal/kernels/emulate). So nvcc's reading of the kernels and the instructions that they spell themselves run without a GPU. It
// knows the instructions that the kernels are made of, by the PTX ISA's description, and refuses all others.
package ptx

import (
	"fmt"
	"regexp"
	"strings"
)

// Translate returns all.cu, whose kernels are given as PTX, in C++ for the shim.
func Translate(ptx string) (string, error) {
	t := &translator{shared: map[string]int{}}
	t.out.WriteString(prelude)
	body, err := t.module(stripped(ptx))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&t.out, "static const char shared_place[] = \"shared\";\nstatic const size_t shared_bytes = %d;\n", max(16, t.sharedBytes))
	t.out.WriteString(t.declared.String())
	t.out.WriteString(body)
	return t.out.String(), nil
}

// prelude is what translated instructions call.
const prelude = `#include "platform.cuh"
#include <string.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64; typedef uint8_t b8; typedef uint16_t b16; typedef uint32_t b32; typedef uint64_t b64;
typedef int8_t s8; typedef int16_t s16; typedef int32_t s32; typedef int64_t s64; typedef bool pred;
template <class T> static inline T fetch(u64 at) { if (at % sizeof(T) != 0) __builtin_trap(); T v; memcpy(&v, (const void*)at, sizeof v); return v; }
template <class T> static inline void keep(u64 at, T v) { if (at % sizeof(T) != 0) __builtin_trap(); memcpy((void*)at, &v, sizeof v); }
static inline void aligned(u64 at, u64 bytes) { if (at % bytes != 0) __builtin_trap(); }
static inline u32 sum_carry(u32& cc, u64 sum) { cc = (u32)(sum >> 32); return (u32)sum; }
static inline u32 borrow(u32& cc, u64 difference) { cc = (u32)(difference >> 63); return (u32)difference; }
static inline u32 upper(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }
static inline s32 dot(u32 a, s32 x, s32 y, s32 c) { return (s32)((u32)((s16)a * x) + (u32)((s16)(a >> 16) * y) + (u32)c); }
template <class T> static inline T insert(T a, T b, u32 at, u32 n) { T mask = (n >= 8 * sizeof(T) ? ~(T)0 : ((T)1 << n) - 1) << at; return (b & ~mask) | (a << at & mask); }
`

type translator struct {
	out, declared strings.Builder
	shared        map[string]int // offsets
	sharedBytes   int
	function      string // that is translated
	kernel        bool
	registers     map[string]string // their types, by their prefix
}

// stripped is the text without comments.
func stripped(ptx string) string {
	lines := strings.Split(ptx, "\n")
	for i, line := range lines {
		if at := strings.Index(line, "//"); at >= 0 {
			lines[i] = line[:at]
		}
	}
	return strings.Join(lines, "\n")
}

var (
	sharedArray = regexp.MustCompile(`^\.shared\s+\.align\s+(\d+)\s+\.b8\s+(\S+)\[(\d+)\]$`)
	localArray  = regexp.MustCompile(`^\.local\s+\.align\s+(\d+)\s+\.b8\s+(\S+)\[(\d+)\]$`)
	entry       = regexp.MustCompile(`(?s)^\.visible\s+\.entry\s+(\S+?)\s*\((.*?)\)`)
	function    = regexp.MustCompile(`(?s)^\.func\s+(?:\(\.param\s+\.align\s+\d+\s+\.b8\s+func_retval0\[\d+\]\)\s*)?(\S+?)\s*\((.*?)\)`)
	registers   = regexp.MustCompile(`^\.reg\s+\.(\w+)\s+(%\w+?)(?:<(\d+)>)?$`)
	paramArray  = regexp.MustCompile(`^\.param\s+\.align\s+\d+\s+\.b8\s+(\w+)\[(\d+)\]$`)
	paramWord   = regexp.MustCompile(`^\.param\s+\.b(\d+)\s+(\w+)$`)
	guarded     = regexp.MustCompile(`(?s)^@(!?)(%\w+)\s+(.*)$`)
	call        = regexp.MustCompile(`(?s)^call\.uni\s+(?:\((\w+)\),\s*)?(\S+),\s*\((.*)\)$`)
	register    = regexp.MustCompile(`^%([a-z]+)\d+$`)
	address     = regexp.MustCompile(`^\[([%\w$]+)(?:\+(-?\d+))?\]$`)
)

// module translates everything.
func (t *translator) module(text string) (string, error) {
	var body, statement strings.Builder
	depth := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		now := strings.TrimSpace(statement.String())
		switch {
		case c == '{' && (now == "" || depth == 0):
			if depth == 0 {
				head, err := t.head(now)
				if err != nil {
					return "", err
				}
				body.WriteString(head)
			} else {
				body.WriteString("{\n")
			}
			depth++
			statement.Reset()
		case c == '}' && now == "":
			depth--
			body.WriteString("}\n")
		case c == ':' && depth > 0:
			fmt.Fprintf(&body, "%s:;\n", label(now))
			statement.Reset()
		case c == ';' || c == '\n' && depth == 0 && ofLine(now):
			line, err := t.statement(now)
			if err != nil {
				return "", fmt.Errorf("ptx: %s: %q: %w", t.function, now, err)
			}
			body.WriteString(line)
			statement.Reset()
		default:
			statement.WriteByte(c)
		}
	}
	return body.String(), nil
}

// ofLine says whether a directive ends with its line.
func ofLine(s string) bool {
	return strings.HasPrefix(s, ".version") || strings.HasPrefix(s, ".target") || strings.HasPrefix(s, ".address_size")
}

func label(name string) string { return strings.ReplaceAll(name, "$", "L") }

// head begins a kernel or a function. Parameters of kernels are words, those of functions addresses of what was passed.
func (t *translator) head(text string) (string, error) {
	kernel := entry.FindStringSubmatch(text)
	m := kernel
	if m == nil {
		if m = function.FindStringSubmatch(text); m == nil {
			return "", fmt.Errorf("ptx: what is %q?", text)
		}
	}
	t.function, t.kernel, t.registers = m[1], kernel != nil, map[string]string{}
	var params []string
	for _, p := range strings.Split(m[2], ",") {
		if words := strings.Fields(p); len(words) > 0 {
			params = append(params, "u64 "+words[len(words)-1])
		}
	}
	const begin = " {\nu32 cc = 0;\nconst u64 shared_base = (u64)emulate::shared(shared_place, shared_bytes);\n"
	if t.kernel {
		return fmt.Sprintf("KERNEL(%s, %s)", m[1], strings.Join(params, ", ")) + begin, nil
	}
	result := fmt.Sprintf("static void %s(%s)", m[1], strings.Join(append([]string{"u64 func_retval0"}, params...), ", "))
	fmt.Fprintf(&t.declared, "%s;\n", result)
	return result + begin, nil
}

// statement translates a directive or an instruction.
func (t *translator) statement(s string) (string, error) {
	if m := sharedArray.FindStringSubmatch(s); m != nil {
		var align, bytes int
		fmt.Sscan(m[1], &align)
		fmt.Sscan(m[3], &bytes)
		t.sharedBytes = (t.sharedBytes + align - 1) / align * align
		t.shared[m[2]] = t.sharedBytes
		t.sharedBytes += bytes
		return "", nil
	}
	if m := localArray.FindStringSubmatch(s); m != nil {
		return fmt.Sprintf("alignas(%s) u8 %s[%s];\n", m[1], m[2], m[3]), nil
	}
	if m := registers.FindStringSubmatch(s); m != nil {
		if m[3] == "" {
			return fmt.Sprintf("%s %s;\n", m[1], strings.TrimPrefix(m[2], "%")), nil
		}
		t.registers[strings.TrimPrefix(m[2], "%")] = m[1]
		return fmt.Sprintf("%s %s_[%s];\n", m[1], strings.TrimPrefix(m[2], "%"), m[3]), nil
	}
	if m := paramArray.FindStringSubmatch(s); m != nil {
		return fmt.Sprintf("alignas(16) u8 %s[%s];\n", m[1], m[2]), nil
	}
	if m := paramWord.FindStringSubmatch(s); m != nil {
		return fmt.Sprintf("alignas(16) u8 %s[%s / 8];\n", m[2], m[1]), nil
	}
	for _, skipped := range []string{".version", ".target", ".address_size", ".reg .b32 temp_param_reg", ".pragma"} {
		if strings.HasPrefix(s, skipped) {
			return "", nil
		}
	}
	if strings.HasPrefix(s, ".") {
		return "", fmt.Errorf("an unknown directive")
	}
	if m := guarded.FindStringSubmatch(s); m != nil {
		inner, err := t.statement(m[3])
		return fmt.Sprintf("if (%s%s) { %s}\n", m[1], t.operand(m[2], "pred"), inner), err
	}
	if m := call.FindStringSubmatch(s); m != nil {
		args := []string{"0"}
		if m[1] != "" {
			args[0] = "(u64)" + m[1]
		}
		for _, p := range strings.Split(m[3], ",") {
			args = append(args, "(u64)"+strings.TrimSpace(p))
		}
		return fmt.Sprintf("%s(%s);\n", m[2], strings.Join(args, ", ")), nil
	}
	return t.instruction(s)
}

// operand reads one, as a type.
func (t *translator) operand(s, as string) string {
	s = strings.TrimSpace(s)
	if special, ok := map[string]string{
		"%tid.x": "threadIdx.x", "%tid.y": "threadIdx.y", "%tid.z": "threadIdx.z", "%ctaid.x": "blockIdx.x", "%ctaid.y": "blockIdx.y", "%ctaid.z": "blockIdx.z",
		"%ntid.x": "blockDim.x", "%ntid.y": "blockDim.y", "%ntid.z": "blockDim.z", "%nctaid.x": "gridDim.x", "%nctaid.y": "gridDim.y", "%nctaid.z": "gridDim.z",
	}[s]; ok {
		return special
	}
	if offset, ok := t.shared[s]; ok {
		return fmt.Sprintf("(%s)%d", as, offset)
	}
	if strings.HasPrefix(s, "__local_depot") {
		return fmt.Sprintf("(%s)%s", as, s)
	}
	if s[0] == '%' {
		return fmt.Sprintf("(%s)%s", as, t.place(s))
	}
	if strings.HasPrefix(s, "-") {
		return fmt.Sprintf("(%s)(%sLL)", as, s)
	}
	return fmt.Sprintf("(%s)(%sULL)", as, s)
}

// place is a register as a variable.
func (t *translator) place(s string) string {
	s = strings.TrimSpace(s)
	if m := register.FindStringSubmatch(s); m != nil && t.registers[m[1]] != "" {
		return fmt.Sprintf("%s_[%s]", m[1], strings.TrimPrefix(s[1:], m[1]))
	}
	return strings.TrimPrefix(s, "%")
}

// set assigns to a register, whose own width extends what is assigned.
func (t *translator) set(to, value string) string {
	kind := "u64"
	if m := register.FindStringSubmatch(strings.TrimSpace(to)); m != nil && t.registers[m[1]] != "" {
		kind = t.registers[m[1]]
	}
	return fmt.Sprintf("%s = (%s)(%s);\n", t.place(to), kind, value)
}

// at is an address in a space of the memory, which is one for all but what a block shares.
func (t *translator) at(s, space string) (string, error) {
	m := address.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return "", fmt.Errorf("an unknown address %q", s)
	}
	base, offset := m[1], "0"
	if m[2] != "" {
		offset = m[2]
	}
	switch _, symbol := t.shared[base]; {
	case base[0] == '%' && space == "shared":
		base = "shared_base + " + t.operand(base, "u64")
	case base[0] == '%':
		base = t.operand(base, "u64")
	case symbol:
		base = "shared_base + " + t.operand(base, "u64")
	case space == "param" && t.kernel && strings.Contains(base, "_param_"):
		base = "(u64)&" + base
	default: // memory of this function, or the address of a parameter's
		base = "(u64)" + base
	}
	return fmt.Sprintf("%s + (%s)", base, offset), nil
}
