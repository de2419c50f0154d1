// Command asm writes the kernels of package cpu for amd64: go generate ./internal/backend/cpu. It is a module of its own, so that who builds
// or links zkllmc needs nothing of what generates assembly.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	limbs  = 5 // of 52 bits: an element
	lanes  = 8 // of a register
	vector = 8 * lanes
	rows   = 4 // of a call of fold
)

func main() {
	for _, bits := range []int{16, 32, 64} {
		dot(bits)
		fold(bits)
	}
	Generate()
}

// offset is 2^51 in every lane.
func offset() VecVirtual {
	c := GP64()
	MOVQ(U64(1<<51), c)
	all := ZMM()
	VPBROADCASTQ(c, all)
	return all
}

// load reads eight integers and adds 2^51; all is or-ed with the sums.
func load(bits int, from Mem, plus, all VecVirtual) VecVirtual {
	v := ZMM()
	switch bits {
	case 16:
		VPMOVSXWQ(from, v)
		VPADDQ(plus, v, v)
	case 32:
		VPMOVSXDQ(from, v)
		VPADDQ(plus, v, v)
	case 64:
		VPADDQ(from, plus, v)
		VPORQ(v, all, all)
	}
	return v
}

func zero(n int) []VecVirtual {
	z := make([]VecVirtual, n)
	for i := range z {
		z[i] = ZMM()
		VPXORQ(z[i], z[i], z[i])
	}
	return z
}

// returnFar returns what the lanes of all have in common, or 0 where integers are short.
func returnFar(bits int, all VecVirtual) {
	if bits < 64 {
		VZEROUPPER()
		RET()
		return
	}
	upper := YMM()
	VEXTRACTI64X4(U8(1), all, upper)
	VPOR(all.AsY(), upper, upper)
	half := XMM()
	VEXTRACTI128(U8(1), upper, half)
	VPOR(upper.AsX(), half, half)
	lo, hi := GP64(), GP64()
	VMOVQ(half, lo)
	VPEXTRQ(U8(1), half, hi)
	ORQ(hi, lo)
	Store(lo, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func result(bits int) string {
	if bits < 64 {
		return ""
	}
	return " uint64"
}

// dot keeps low and high words of the products with each limb apart, ten sums in all.
func dot(bits int) {
	name := fmt.Sprintf("dotInt%d", bits)
	TEXT(name, NOSPLIT, fmt.Sprintf("func(acc *uint64, cells *int%d, planes *uint64, n int)%s", bits, result(bits)))
	Doc(name + " sums up for dotShort, with AVX-512 IFMA.")
	Pragma("noescape")
	acc, cells, planes, n := Load(Param("acc"), GP64()), Load(Param("cells"), GP64()), Load(Param("planes"), GP64()), Load(Param("n"), GP64())
	plus := offset()
	all := zero(1)[0]
	lo, hi := zero(limbs), zero(limbs)
	Label("loop")
	v := load(bits, Mem{Base: cells}, plus, all)
	for i := range limbs {
		e := ZMM()
		VMOVDQU64(Mem{Base: planes, Disp: vector * i}, e)
		VPMADD52LUQ(e, v, lo[i])
		VPMADD52HUQ(e, v, hi[i])
	}
	ADDQ(U32(bits), cells)
	ADDQ(U32(vector*limbs), planes)
	SUBQ(U8(lanes), n)
	JNE(LabelRef("loop"))
	for i := range limbs + 1 { // hi[i] counts as lo[i+1]
		sum := ZMM()
		VMOVDQU64(Mem{Base: acc, Disp: vector * i}, sum)
		if i < limbs {
			VPADDQ(lo[i], sum, sum)
		}
		if i > 0 {
			VPADDQ(hi[i-1], sum, sum)
		}
		VMOVDQU64(sum, Mem{Base: acc, Disp: vector * i})
	}
	returnFar(bits, all)
}

// fold keeps the limbs of four coefficients in registers, in every lane, and the six sums of eight columns.
func fold(bits int) {
	name := fmt.Sprintf("foldInt%d", bits)
	TEXT(name, NOSPLIT, fmt.Sprintf("func(acc *uint64, a, b, c, d *int%d, coef *uint64, n int)%s", bits, result(bits)))
	Doc(name + " sums up for foldShort, with AVX-512 IFMA.")
	Pragma("noescape")
	acc, n, coef := Load(Param("acc"), GP64()), Load(Param("n"), GP64()), Load(Param("coef"), GP64())
	var cells [rows]Register
	for i := range cells {
		cells[i] = Load(Param(string(rune('a'+i))), GP64())
	}
	plus := offset()
	all := zero(1)[0]
	var e [rows][limbs]VecVirtual
	for i := range e {
		for j := range e[i] {
			e[i][j] = ZMM()
			VPBROADCASTQ(Mem{Base: coef, Disp: 8 * (limbs*i + j)}, e[i][j])
		}
	}
	at := GP64()
	XORQ(at, at)
	var sum [limbs + 1]VecVirtual
	for j := range sum {
		sum[j] = ZMM()
	}
	Label("loop")
	for j := range sum {
		VMOVDQU64(Mem{Base: acc, Disp: vector * j}, sum[j])
	}
	for i := range cells {
		v := load(bits, Mem{Base: cells[i], Index: at, Scale: uint8(bits / 8)}, plus, all)
		for j := range limbs {
			VPMADD52LUQ(e[i][j], v, sum[j])
		}
		for j := range limbs {
			VPMADD52HUQ(e[i][j], v, sum[j+1])
		}
	}
	for j := range sum {
		VMOVDQU64(sum[j], Mem{Base: acc, Disp: vector * j})
	}
	ADDQ(U32(vector*(limbs+1)), acc)
	ADDQ(U8(lanes), at)
	CMPQ(at, n)
	JNE(LabelRef("loop"))
	returnFar(bits, all)
}
