package circuit

import "fmt"

// What a hint takes, yields and is parameterised by, kind by kind. A gadget makes the hint by a struct's method Hint; the rule of the
// witness generator, which stands beside the gadget (runtime/gadget/hint, runtime/gadget/attention/hint), and the derivation of causality
// read it by the method of Hint with the kind's name. So the order of Hint.Params is said here alone. w is the radix of limbs, in bits.

// RescaleHint: y = ⌊(v + 2^(Shift-1)) / 2^Shift⌋.
type RescaleHint struct{ Shift int64 }

// ClampHint: y = min(max(q, Lo), Hi), q as of RescaleHint; its class κ, 1 above Hi, −1 below Lo, else 0; and the limbs First, First+1, …
// of the excess q − y − κ, which have its sign.
type ClampHint struct{ Shift, Lo, Hi, First, Radix int64 }

// WideHint: y as of ClampHint, in Digits limbs of Width bits, the top one with y's sign. If there are more results, they are y's class and
// the limbs of the excess, as of ClampHint.
type WideHint struct{ Shift, Lo, Hi, Digits, Width, First, Radix int64 }

// LimbsHint: the limbs 1, 2, … of v. Limb 0 is virtual.
type LimbsHint struct{ Radix int64 }

// TableHint: the value, in column Column, of the line whose argument, in column 0, is x; arguments are First, First+1, ….
type TableHint struct{ First, Column int64 }

// QuotientHint: the limbs 0, 1, … of ⌊Num/s⌋ (HintRecip), or of its root ⌊√(Num/s)⌋ (HintRsqrt).
type QuotientHint struct{ Num, Radix int64 }

// AttnHint is zkAttn's, see package attention: of scores s and a mask (or none) the limbs of M − Lo, d_lo, u, e, z_u, z_d. A masked score
// counts as one that is Offset lower. The table is that of the exponentials: lines 0, 1, … are the arguments with z_u = 1.
type AttnHint struct{ Shift, DBits, Offset, Lo, Limbs, Radix int64 }

// names are those of the kinds at the seam to a backend, which may compute what they yield.
var names = map[HintKind]string{
	HintRescale: "rescale", HintClamp: "clamp", HintLimbs: "limbs", HintTable: "table", HintRsqrt: "rsqrt", HintRecip: "recip", HintAttn: "attention",
	HintInput: "input", HintWide: "wide",
}

// String is the name of a kind, empty for one that there is not.
func (k HintKind) String() string { return names[k] }

// Reads says whether hints of the kind read their table.
func (h *Hint) Reads() bool { return h.Kind == HintTable || h.Kind == HintAttn }

func (p *RescaleHint) fields() []*int64 { return []*int64{&p.Shift} }
func (p *ClampHint) fields() []*int64   { return []*int64{&p.Shift, &p.Lo, &p.Hi, &p.First, &p.Radix} }
func (p *WideHint) fields() []*int64 {
	return []*int64{&p.Shift, &p.Lo, &p.Hi, &p.Digits, &p.Width, &p.First, &p.Radix}
}
func (p *LimbsHint) fields() []*int64    { return []*int64{&p.Radix} }
func (p *TableHint) fields() []*int64    { return []*int64{&p.First, &p.Column} }
func (p *QuotientHint) fields() []*int64 { return []*int64{&p.Num, &p.Radix} }
func (p *AttnHint) fields() []*int64 {
	return []*int64{&p.Shift, &p.DBits, &p.Offset, &p.Lo, &p.Limbs, &p.Radix}
}

// Hint is the hint of y.
func (p RescaleHint) Hint(v, y ID) Hint {
	return Hint{Kind: HintRescale, In: []ID{v}, Out: []ID{y}, Params: write(p.fields())}
}

// Hint is the hint of y, its class and the limbs of the excess.
func (p ClampHint) Hint(v, y, class ID, limbs []ID) Hint {
	return Hint{Kind: HintClamp, In: []ID{v}, Out: append([]ID{y, class}, limbs...), Params: write(p.fields())}
}

// Hint is the hint of the digits of y, and of what there is behind them: its class and the limbs of the excess. The number of digits is
// theirs.
func (p WideHint) Hint(v ID, digits []ID, clamp ...ID) Hint {
	p.Digits = int64(len(digits))
	return Hint{Kind: HintWide, In: []ID{v}, Out: append(append([]ID{}, digits...), clamp...), Params: write(p.fields())}
}

// Hint is the hint of the limbs above the lowest.
func (p LimbsHint) Hint(v ID, limbs []ID) Hint {
	return Hint{Kind: HintLimbs, In: []ID{v}, Out: limbs, Params: write(p.fields())}
}

// Hint is the hint of the value y of x in a table.
func (p TableHint) Hint(table int, x, y ID) Hint {
	return Hint{Kind: HintTable, In: []ID{x}, Out: []ID{y}, Params: write(p.fields()), Table: table}
}

// Hint is the hint of the limbs of a quotient (HintRecip) or of its root (HintRsqrt).
func (p QuotientHint) Hint(kind HintKind, s ID, limbs []ID) Hint {
	return Hint{Kind: kind, In: []ID{s}, Out: limbs, Params: write(p.fields())}
}

// Hint is the hint of zkAttn; the number of limbs is theirs.
func (p AttnHint) Hint(table int, s, mask ID, limbs []ID, dlo, u, e, zu, zd ID) Hint {
	p.Limbs = int64(len(limbs))
	out := append(append([]ID{}, limbs...), dlo, u, e, zu, zd)
	return Hint{Kind: HintAttn, In: []ID{s, mask}, Out: out, Params: write(p.fields()), Table: table}
}

// Rescale reads a HintRescale; false if it has other parameters.
func (h *Hint) Rescale() (p RescaleHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// Clamp reads a HintClamp; false if it has other parameters.
func (h *Hint) Clamp() (p ClampHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// Wide reads a HintWide; false if it has other parameters.
func (h *Hint) Wide() (p WideHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// Limbs reads a HintLimbs; false if it has other parameters.
func (h *Hint) Limbs() (p LimbsHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// Lookup reads a HintTable; false if it has other parameters.
func (h *Hint) Lookup() (p TableHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// Quotient reads a HintRsqrt or HintRecip; false if it has other parameters.
func (h *Hint) Quotient() (p QuotientHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// Attn reads a HintAttn; false if it has other parameters.
func (h *Hint) Attn() (p AttnHint, ok bool) {
	ok = read(h.Params, p.fields())
	return p, ok
}

// write is the list of parameters as a hint has it.
func write(fields []*int64) []int64 {
	out := make([]int64, len(fields))
	for i, f := range fields {
		out[i] = *f
	}
	return out
}

// read fills the fields from such a list, if it has as many.
func read(params []int64, fields []*int64) bool {
	if len(params) != len(fields) {
		return false
	}
	for i, f := range fields {
		*f = params[i]
	}
	return true
}

// maxHintShift is the largest right shift and the largest radix, in bits, of a hint.
const maxHintShift = 61

// checkParams refuses parameters that a rule of the witness generator cannot use. A kind that it does not know it leaves to the generator.
func (c *Circuit) checkParams(h *Hint) error {
	shift, radix, column, digits, ok := int64(0), int64(0), int64(0), int64(1), true
	switch h.Kind {
	case HintRescale:
		var p RescaleHint
		p, ok = h.Rescale()
		shift = p.Shift
	case HintClamp:
		var p ClampHint
		p, ok = h.Clamp()
		shift, radix = p.Shift, p.Radix
	case HintWide:
		var p WideHint
		p, ok = h.Wide()
		shift, radix, digits = p.Shift, max(p.Width, p.Radix), p.Digits
		if p.Width < 0 || p.Radix < 0 {
			radix = -1
		}
	case HintLimbs:
		var p LimbsHint
		p, ok = h.Limbs()
		radix = p.Radix
	case HintTable:
		var p TableHint
		p, ok = h.Lookup()
		column = p.Column
	case HintRsqrt, HintRecip:
		var p QuotientHint
		p, ok = h.Quotient()
		radix = p.Radix
	case HintAttn:
		var p AttnHint
		p, ok = h.Attn()
		shift, radix = p.Shift, p.Radix
	}
	switch table := h.Reads(); {
	case !ok:
		return fmt.Errorf("%d parameters are not as many as a hint of kind %d has", len(h.Params), h.Kind)
	case shift < 0 || shift > maxHintShift || radix < 0 || radix > maxHintShift:
		return fmt.Errorf("a shift by %d bits and limbs of %d, want at most %d", shift, radix, maxHintShift)
	case digits < 1 || digits > int64(len(h.Out)):
		return fmt.Errorf("%d limbs are not among its %d results", digits, len(h.Out))
	case table && (h.Table < 0 || h.Table >= len(c.Tables)):
		return fmt.Errorf("there is no table %d", h.Table)
	case table && (column < 0 || column >= int64(len(c.Tables[h.Table].Cols))):
		return fmt.Errorf("table %s has no column %d", c.Tables[h.Table].Name, column)
	}
	return nil
}
