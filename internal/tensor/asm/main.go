// Command asm writes the kernels of package tensor for amd64: go generate ./internal/tensor. It is a module of its own, so that who builds
// or links zkllmc needs nothing of what generates assembly.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tile is the number of rows of either operand of a call.
const tile = 4

func main() {
	vnni()
	avx2()
	Generate()
}

// rows are four rows of one operand: their addresses are at most base + 3·stride.
type rows struct{ base, stride, triple GPVirtual }

// load takes a pointer and a stride in cells of two bytes.
func load(name string) rows {
	r := rows{GP64(), GP64(), GP64()}
	Load(Param(name), r.base)
	Load(Param(name+"Stride"), r.stride)
	ADDQ(r.stride, r.stride)
	LEAQ(Mem{Base: r.stride, Index: r.stride, Scale: 2}, r.triple)
	return r
}

// row is the place of the next cells of a row.
func (r rows) row(i int) Mem {
	switch i {
	case 0:
		return Mem{Base: r.base}
	case 3:
		return Mem{Base: r.base, Index: r.triple, Scale: 1}
	}
	return Mem{Base: r.base, Index: r.stride, Scale: uint8(i)}
}

func signature(name, with string) {
	TEXT(name, NOSPLIT, "func(dst *int64, a *int16, aStride int, b *int16, bStride, n int)")
	Doc(fmt.Sprintf("%s is dotPortable with %s.", name, with))
	Pragma("noescape")
}

// loop runs the body for n cells, width at a time.
func loop(width int, a, b rows, n Register, name string, body func()) {
	Label(name)
	body()
	ADDQ(U8(2*width), a.base)
	ADDQ(U8(2*width), b.base)
	SUBQ(U8(width), n)
	JNE(LabelRef(name))
}

// vnni keeps the sixteen sums in sixteen registers of sixteen lanes.
func vnni() {
	signature("dotVNNI", "AVX-512 VNNI")
	a, b, n, dst := load("a"), load("b"), GP64(), GP64()
	Load(Param("n"), n)
	Load(Param("dst"), dst)
	var sum [tile][tile]VecVirtual
	for i := range sum {
		for j := range sum[i] {
			sum[i][j] = ZMM()
			VPXORD(sum[i][j], sum[i][j], sum[i][j])
		}
	}
	var right [tile]VecVirtual
	for j := range right {
		right[j] = ZMM()
	}
	left := ZMM()
	loop(32, a, b, n, "vnni", func() {
		for j := range right {
			VMOVDQU16(b.row(j), right[j])
		}
		for i := range sum {
			VMOVDQU16(a.row(i), left)
			for j := range right {
				VPDPWSSD(right[j], left, sum[i][j])
			}
		}
	})
	for i := range sum {
		store512(Mem{Base: dst, Disp: 8 * tile * i}, sum[i])
	}
	VZEROUPPER()
	RET()
}

// store512 adds the lanes of four sums, as integers of 64 bits, and stores the four.
func store512(dst Mem, sum [tile]VecVirtual) {
	var wide [tile]VecVirtual // eight lanes each
	for j := range sum {
		wide[j] = ZMM()
		upper, high := YMM(), ZMM()
		VEXTRACTI64X4(U8(1), sum[j], upper)
		VPMOVSXDQ(upper, high)
		VPMOVSXDQ(sum[j].AsY(), wide[j])
		VPADDQ(high, wide[j], wide[j])
	}
	first, second := pairs(wide[0], wide[1], ZMM), pairs(wide[2], wide[3], ZMM)
	even, odd := ZMM(), ZMM() // of every sum, the lanes 0+1 and 4+5, and the others
	VSHUFI64X2(U8(0x88), second, first, even)
	VSHUFI64X2(U8(0xdd), second, first, odd)
	VPADDQ(odd, even, even)
	VSHUFI64X2(U8(0xd8), even, even, even)
	half := YMM()
	VEXTRACTI64X4(U8(1), even, half)
	VPADDQ(half, even.AsY(), half)
	VMOVDQU(half, dst)
}

// pairs adds neighbouring lanes: x's in the even lanes, y's in the odd ones.
func pairs(x, y VecVirtual, register func() VecVirtual) VecVirtual {
	even, odd := register(), register()
	VPUNPCKLQDQ(y, x, even)
	VPUNPCKHQDQ(y, x, odd)
	VPADDQ(odd, even, even)
	return even
}

// avx2 has registers for eight sums, of two rows of b: it runs twice.
func avx2() {
	signature("dotAVX2", "AVX2")
	for half := range 2 {
		a, b, n, dst := load("a"), load("b"), GP64(), GP64()
		Load(Param("n"), n)
		Load(Param("dst"), dst)
		if half == 1 {
			LEAQ(b.row(2), b.base)
		}
		var sum [tile][2]VecVirtual
		for i := range sum {
			for j := range sum[i] {
				sum[i][j] = YMM()
				VPXOR(sum[i][j], sum[i][j], sum[i][j])
			}
		}
		loop(16, a, b, n, fmt.Sprint("avx2half", half), func() {
			right := [2]VecVirtual{YMM(), YMM()}
			for j := range right {
				VMOVDQU(b.row(j), right[j])
			}
			for i := range sum {
				left := YMM()
				VMOVDQU(a.row(i), left)
				for j := range right {
					product := YMM()
					VPMADDWD(right[j], left, product)
					VPADDD(product, sum[i][j], sum[i][j])
				}
			}
		})
		for i := range sum {
			store256(Mem{Base: dst, Disp: 8*tile*i + 16*half}, sum[i])
		}
	}
	VZEROUPPER()
	RET()
}

// store256 is store512 for two sums of eight lanes.
func store256(dst Mem, sum [2]VecVirtual) {
	var wide [2]VecVirtual
	for j := range sum {
		wide[j] = YMM()
		upper, high := XMM(), YMM()
		VEXTRACTI128(U8(1), sum[j], upper)
		VPMOVSXDQ(upper, high)
		VPMOVSXDQ(sum[j].AsX(), wide[j])
		VPADDQ(high, wide[j], wide[j])
	}
	both := pairs(wide[0], wide[1], YMM)
	half := XMM()
	VEXTRACTI128(U8(1), both, half)
	VPADDQ(half, both.AsX(), half)
	VMOVDQU(half, dst)
}
