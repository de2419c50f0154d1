// Command asm writes the kernels of package montgomery for amd64: go generate ./internal/montgomery. It is a module of its own, so that who
// builds or links zkllmc needs nothing of what generates assembly.
//
// Eight elements at a time: a 256-bit element is four words in memory, and in registers five limbs of 52 bits, each limb of the eight
// elements in one register. The multipliers look at the lowest 52 bits of their operands only, so that limbs may carry other bits above.
package main

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	words  = 4 // of 64 bits: an element in memory
	limbs  = 5 // of 52 bits: an element in registers
	vector = 64
	step   = words * vector // bytes of eight elements
)

// Where the constants of a modulus stand in its table, in words.
const (
	atModulus = 0         // q, in limbs
	atInverse = limbs     // −1/q mod 2^52
	atMask    = limbs + 1 // 2^52 − 1
	atLanes   = 8         // two permutations, eight words each
	atSigns   = 24        // the permutation that brings an operation's second operand to its lane
	atDouble  = 32        // 2q, in limbs
	atOffset  = 37        // 2^33
	atRuns    = 40        // the permutation that brings runs, of which eight stand in two vectors, to their lanes
)

func main() {
	mul()
	scale()
	lerp()
	dot()
	mulSplit()
	lerpSplit()
	axpySplit()
	fractions()
	ones()
	lerpPairs()
	for _, bits := range []int{16, 64} {
		for columns := 1; columns <= 2; columns++ {
			affine(bits, columns, false)
			affine(bits, columns, true)
		}
	}
	for columns := 1; columns <= 2; columns++ {
		pairs(columns)
		bound(columns)
		boundPairs(columns)
	}
	slopes()
	products()
	lower()
	raise()
	chords()
	Generate()
}

// element is an element of each lane, in limbs.
type element [limbs]VecVirtual

// kernel is what every kernel has.
type kernel struct {
	table GPVirtual
	lanes [2]VecVirtual
	mask  VecVirtual
	zero  VecVirtual
}

func newKernel(table GPVirtual, stores bool) *kernel {
	k := &kernel{table: table, zero: ZMM()}
	VPXORQ(k.zero, k.zero, k.zero)
	if !stores {
		return k
	}
	for i := range k.lanes {
		k.lanes[i] = ZMM()
		VMOVDQU64(k.at(atLanes+8*i), k.lanes[i])
	}
	k.mask = ZMM()
	VPBROADCASTQ(k.at(atMask), k.mask)
	return k
}

func (k *kernel) at(word int) Mem { return Mem{Base: k.table, Disp: 8 * word} }

// load reads eight elements, word by word. The order of the lanes is that of store.
func (k *kernel) load(from GPVirtual) (w [words]VecVirtual) {
	var z [words]VecVirtual
	for i := range z {
		z[i] = ZMM()
		VMOVDQU64(Mem{Base: from, Disp: vector * i}, z[i])
	}
	return apart(z)
}

// apart returns the words of eight elements that stand in pairs.
func apart(z [words]VecVirtual) (w [words]VecVirtual) {
	var t [words]VecVirtual
	for i := range z {
		t[i], w[i] = ZMM(), ZMM()
	}
	VPUNPCKLQDQ(z[1], z[0], t[0])
	VPUNPCKHQDQ(z[1], z[0], t[1])
	VPUNPCKLQDQ(z[3], z[2], t[2])
	VPUNPCKHQDQ(z[3], z[2], t[3])
	VSHUFI64X2(U8(0x88), t[2], t[0], w[0])
	VSHUFI64X2(U8(0x88), t[3], t[1], w[1])
	VSHUFI64X2(U8(0xdd), t[2], t[0], w[2])
	VSHUFI64X2(U8(0xdd), t[3], t[1], w[3])
	return w
}

// cut returns the limbs of words, shifted to the left by 0 or 4 bits. Above the limbs there are bits that do not belong to them.
func cut(w [words]VecVirtual, left int) (e element) {
	for i := range e {
		e[i] = ZMM()
	}
	if left == 0 {
		VMOVDQA64(w[0], e[0])
	} else {
		VPSLLQ(U8(left), w[0], e[0])
	}
	for i := 1; i < words; i++ {
		VPSHRDQ(U8(64-12*i-left), w[i], w[i-1], e[i])
	}
	VPSRLQ(U8(16-left), w[3], e[4])
	return e
}

// masked takes off what stands above the limbs.
func (k *kernel) masked(e element) element {
	for i := range limbs - 1 {
		VPANDQ(k.mask, e[i], e[i])
	}
	return e
}

func (k *kernel) zeros(n int) []VecVirtual {
	z := make([]VecVirtual, n)
	for i := range z {
		z[i] = ZMM()
		VMOVDQA64(k.zero, z[i])
	}
	return z
}

// addProduct adds a·b to ten columns.
func addProduct(t []VecVirtual, a, b element) {
	for i := range limbs {
		for j := range limbs {
			VPMADD52LUQ(b[j], a[i], t[i+j])
		}
		for j := range limbs {
			VPMADD52HUQ(b[j], a[i], t[i+j+1])
		}
	}
}

// reduce makes t·2^−260 mod q of ten columns, below t·2^−260 + q, in limbs that are not carried.
func (k *kernel) reduce(t []VecVirtual) (e element) {
	for i := range limbs {
		k.reduceOnce(t[i:])
	}
	copy(e[:], t[limbs:])
	return e
}

// reduceOnce adds the multiple m of q to columns that leaves nothing of the first one, which is carried to the second. That is ⌈t/2^52⌉ of the
// first column t, whatever m is: what m·q adds to its lowest 52 bits makes 2^52 of them, or nothing of nothing. The next step waits for the second
// column alone, so its terms come first, and not one behind the other.
func (k *kernel) reduceOnce(t []VecVirtual) {
	z := k.zeros(2)
	m, high := z[0], z[1]
	VPMADD52LUQ_BCST(k.at(atInverse), t[0], m)
	VPADDQ(k.mask, t[0], t[0])
	VPSRLQ(U8(52), t[0], t[0])
	VPADDQ(t[0], t[1], t[1])
	VPMADD52LUQ_BCST(k.at(atModulus+1), m, t[1])
	VPMADD52HUQ_BCST(k.at(atModulus), m, high)
	VPADDQ(high, t[1], t[1])
	for j := 2; j < limbs; j++ {
		VPMADD52LUQ_BCST(k.at(atModulus+j), m, t[j])
	}
	for j := 1; j < limbs; j++ {
		VPMADD52HUQ_BCST(k.at(atModulus+j), m, t[j+1])
	}
}

// carry brings limbs, which may be negative, below 2^52; the sign goes to the highest.
func (k *kernel) carry(e element) element {
	c := ZMM()
	for i := range limbs - 1 {
		VPSRAQ(U8(52), e[i], c)
		VPADDQ(c, e[i+1], e[i+1])
		VPANDQ(k.mask, e[i], e[i])
	}
	return e
}

// subtractIf subtracts q where that leaves no negative number, from carried limbs.
func (k *kernel) subtractIf(e element) element { return k.choose(e, k.minus(e, atModulus)) }

// minus returns e less the multiple of q that stands at a place of the table, carried.
func (k *kernel) minus(e element, at int) (d element) {
	for i := range d {
		d[i] = ZMM()
		VPSUBQ_BCST(k.at(at+i), e[i], d[i])
	}
	return k.carry(d)
}

// choose returns d where it is not negative, else e.
func (k *kernel) choose(e, d element) element {
	negative := K()
	VPMOVQ2M(d[limbs-1], negative)
	for i := range d {
		VPBLENDMQ(e[i], d[i], negative, e[i])
	}
	return e
}

// below carries limbs and takes off the greatest of some multiples of q, in ascending order, that leaves no negative number. None waits for
// another to be carried.
func (k *kernel) below(e element, multiples ...int) element {
	var less []element
	for _, at := range multiples {
		less = append(less, k.minus(e, at))
	}
	e = k.carry(e)
	for _, d := range less {
		e = k.choose(e, d)
	}
	return e
}

// store writes carried limbs as words.
func (k *kernel) store(e element, to GPVirtual) {
	for i, z := range k.together(e) {
		VMOVDQU64(z, Mem{Base: to, Disp: vector * i})
	}
}

// together returns eight elements in pairs, of carried limbs.
func (k *kernel) together(e element) (pairs [words]VecVirtual) {
	var w [words]VecVirtual
	for i := range w {
		w[i] = ZMM()
		VPSLLQ(U8(52-12*i), e[i+1], w[i])
		if i == 0 {
			VPORQ(e[0], w[0], w[0])
			continue
		}
		VPSRLQ(U8(12*i), e[i], e[i])
		VPORQ(e[i], w[i], w[i])
	}
	var t [words]VecVirtual
	for i := range 2 {
		t[i], t[i+2] = w[i], ZMM()
		VMOVDQA64(w[i], t[i+2])
		VPERMT2Q(w[i+2], k.lanes[0], t[i])
		VPERMT2Q(w[i+2], k.lanes[1], t[i+2])
	}
	for i := range 2 {
		pairs[2*i], pairs[2*i+1] = ZMM(), ZMM()
		VPUNPCKLQDQ(t[2*i+1], t[2*i], pairs[2*i])
		VPUNPCKHQDQ(t[2*i+1], t[2*i], pairs[2*i+1])
	}
	return pairs
}

// begin starts a kernel with these pointers and returns them; "n" counts elements, a multiple of eight.
func begin(name, doc string, pointers ...string) (table, n GPVirtual, p []GPVirtual) {
	TEXT(name, NOSPLIT, "func(table, "+strings.Join(pointers, ", ")+" *uint64, n int)")
	Doc(doc)
	Pragma("noescape")
	table, n = Load(Param("table"), GP64()).(GPVirtual), Load(Param("n"), GP64()).(GPVirtual)
	for _, s := range pointers {
		p = append(p, Load(Param(s), GP64()).(GPVirtual))
	}
	return table, n, p
}

// end closes a kernel's loop.
func end(n GPVirtual, moving ...GPVirtual) {
	for _, p := range moving {
		ADDQ(U32(step), p)
	}
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
}

func mul() {
	table, n, p := begin("mulKernel", "mulKernel stores a·b/2^256 in dst.", "dst", "a", "b")
	k := newKernel(table, true)
	Label("loop")
	a, b := cut(k.load(p[1]), 4), cut(k.load(p[2]), 0)
	t := k.zeros(2 * limbs)
	addProduct(t, a, b)
	k.store(k.below(k.reduce(t), atModulus), p[0])
	end(n, p...)
	VZEROUPPER()
	RET()
}

// broadcast loads the same element into every lane; its limbs stand at from.
func broadcast(from GPVirtual) (e element) {
	for i := range e {
		e[i] = ZMM()
		VPBROADCASTQ(Mem{Base: from, Disp: 8 * i}, e[i])
	}
	return e
}

func scale() {
	table, n, p := begin("scaleKernel", "scaleKernel stores a·c/2^256 in dst; c is one element, 16-fold and in limbs.", "dst", "a", "c")
	k, c := newKernel(table, true), broadcast(p[2])
	Label("loop")
	a := cut(k.load(p[1]), 0)
	t := k.zeros(2 * limbs)
	addProduct(t, a, c)
	k.store(k.below(k.reduce(t), atModulus), p[0])
	end(n, p[0], p[1])
	VZEROUPPER()
	RET()
}

// between returns lo + c·(hi − lo)/2^256. With q the difference is below 2q, the product below 1.4q and the sum below 2.4q.
func (k *kernel) between(lo, hi [words]VecVirtual, c element) element {
	return k.betweenLimbs(k.masked(cut(lo, 0)), k.masked(cut(hi, 0)), c)
}

func (k *kernel) betweenLimbs(lo, d, c element) element {
	for i := range d {
		VPSUBQ(lo[i], d[i], d[i])
		VPADDQ_BCST(k.at(atModulus+i), d[i], d[i])
	}
	d = k.carry(d)
	t := k.zeros(2 * limbs)
	addProduct(t, d, c)
	e := k.reduce(t)
	for i := range e {
		VPADDQ(lo[i], e[i], e[i])
	}
	return k.below(e, atModulus, atDouble)
}

func lerp() {
	table, n, p := begin("lerpKernel", "lerpKernel stores lo + c·(hi − lo)/2^256 in dst; c is one element, 16-fold and in limbs.", "dst", "lo", "hi", "c")
	k, c := newKernel(table, true), broadcast(p[3])
	Label("loop")
	k.store(k.between(k.load(p[1]), k.load(p[2]), c), p[0])
	end(n, p[:3]...)
	VZEROUPPER()
	RET()
}

// dot keeps ten columns apart. 32 products of eight lanes stay below 2^64, lanes summed up.
func dot() {
	table, n, p := begin("dotKernel", "dotKernel stores ten columns of Σ a·b; n is at most 256.", "sums", "a", "b")
	_ = table
	k := newKernel(table, false)
	t := k.zeros(2 * limbs)
	Label("loop")
	addProduct(t, cut(k.load(p[1]), 0), cut(k.load(p[2]), 0))
	end(n, p[1:]...)
	for i := 0; i < len(t); i += 2 {
		both, odd := ZMM(), ZMM()
		VPUNPCKLQDQ(t[i+1], t[i], both)
		VPUNPCKHQDQ(t[i+1], t[i], odd)
		VPADDQ(odd, both, both) // the sums of neighbouring lanes, of one column and the other in turns
		upper := YMM()
		VEXTRACTI64X4(U8(1), both, upper)
		VPADDQ(upper, both.AsY(), upper)
		last := XMM()
		VEXTRACTI64X2(U8(1), upper, last)
		VPADDQ(last, upper.AsX(), last)
		VMOVDQU64(last, Mem{Base: p[0], Disp: 8 * i})
	}
	VZEROUPPER()
	RET()
}

// What follows writes elements of even index to one place and those of odd index to another one.

// split is store for two places.
func (k *kernel) split(e element, even, odd GPVirtual) {
	for i, z := range k.together(e) {
		VMOVDQU64(z.AsY(), Mem{Base: even, Disp: vector / 2 * i})
		VEXTRACTI64X4(U8(1), z, Mem{Base: odd, Disp: vector / 2 * i})
	}
}

// endSplit is end for kernels of which some pointers move half as fast.
func endSplit(n GPVirtual, halves, moving []GPVirtual) {
	for _, p := range halves {
		ADDQ(U32(step/2), p)
	}
	end(n, moving...)
	VZEROUPPER()
	RET()
}

func mulSplit() {
	table, n, p := begin("mulSplitKernel", "mulSplitKernel stores a·b/2^256, split.", "even", "odd", "a", "b")
	k := newKernel(table, true)
	Label("loop")
	t := k.zeros(2 * limbs)
	addProduct(t, cut(k.load(p[2]), 4), cut(k.load(p[3]), 0))
	k.split(k.below(k.reduce(t), atModulus), p[0], p[1])
	endSplit(n, p[:2], p[2:])
}

func lerpSplit() {
	table, n, p := begin("lerpSplitKernel", "lerpSplitKernel stores lo + c·(hi − lo)/2^256, split; c is one element, 16-fold and in limbs.",
		"even", "odd", "lo", "hi", "c")
	k, c := newKernel(table, true), broadcast(p[4])
	Label("loop")
	k.split(k.between(k.load(p[2]), k.load(p[3]), c), p[0], p[1])
	endSplit(n, p[:2], p[2:4])
}

// axpySplit adds a to a product below 1.2q.
func axpySplit() {
	table, n, p := begin("axpySplitKernel", "axpySplitKernel stores a + c·b/2^256, split; c is one element, 16-fold and in limbs.", "even", "odd", "a", "b", "c")
	k, c := newKernel(table, true), broadcast(p[4])
	Label("loop")
	t := k.zeros(2 * limbs)
	addProduct(t, cut(k.load(p[3]), 0), c)
	e := k.reduce(t)
	a := k.masked(cut(k.load(p[2]), 0))
	for i := range e {
		VPADDQ(a[i], e[i], e[i])
	}
	k.split(k.below(e, atModulus, atDouble), p[0], p[1])
	endSplit(n, p[:2], p[2:4])
}

// fractions adds fractions. The sum of two products, one factor of each 16-fold, is below 1.4q after the reduction.
func fractions() {
	table, n, p := begin("fractionsKernel", "fractionsKernel stores p0·q1 + p1·q0 and q0·q1, each over 2^256, split.",
		"pEven", "pOdd", "qEven", "qOdd", "p0", "p1", "q0", "q1")
	k := newKernel(table, true)
	Label("loop")
	t := k.zeros(2 * limbs)
	q1 := cut(k.load(p[7]), 4)
	addProduct(t, cut(k.load(p[4]), 0), q1)
	q0 := cut(k.load(p[6]), 0)
	addProduct(t, cut(k.load(p[5]), 4), q0)
	k.split(k.below(k.reduce(t), atModulus), p[0], p[1])
	t = k.zeros(2 * limbs)
	addProduct(t, q0, q1)
	k.split(k.below(k.reduce(t), atModulus), p[2], p[3])
	endSplit(n, p[:4], p[4:])
}

func ones() {
	table, n, p := begin("onesKernel", "onesKernel stores q1 + q0 and q0·q1/2^256, split.", "pEven", "pOdd", "qEven", "qOdd", "q0", "q1")
	k := newKernel(table, true)
	Label("loop")
	x, y := k.load(p[4]), k.load(p[5])
	a, b := k.masked(cut(x, 0)), k.masked(cut(y, 0))
	sum := element{}
	for i := range sum {
		sum[i] = ZMM()
		VPADDQ(a[i], b[i], sum[i])
	}
	k.split(k.below(sum, atModulus), p[0], p[1])
	t := k.zeros(2 * limbs)
	addProduct(t, a, cut(k.load(p[5]), 4))
	k.split(k.below(k.reduce(t), atModulus), p[2], p[3])
	endSplit(n, p[:4], p[4:])
}

// neighbours reads sixteen elements and returns those of even index and those of odd index.
func neighbours(from GPVirtual) (even, odd element) {
	half := func(immediate int) element {
		var z [words]VecVirtual
		for i := range z {
			first := ZMM()
			z[i] = ZMM()
			VMOVDQU64(Mem{Base: from, Disp: 2 * vector * i}, first)
			VSHUFI64X2(U8(immediate), Mem{Base: from, Disp: 2*vector*i + vector}, first, z[i])
		}
		return cut(apart(z), 0)
	}
	return half(0x44), half(0xee)
}

func lerpPairs() {
	table, n, p := begin("lerpPairsKernel", "lerpPairsKernel stores a[2i] + c·(a[2i+1] − a[2i])/2^256; c is one element, 16-fold and in limbs.", "dst", "a", "c")
	k, c := newKernel(table, true), broadcast(p[2])
	Label("loop")
	even, odd := neighbours(p[1])
	k.store(k.betweenLimbs(k.masked(even), k.masked(odd), c), p[0])
	ADDQ(U32(2*step), p[1])
	end(n, p[0])
	VZEROUPPER()
	RET()
}

// affine computes base + Σ c·v of elements and integers v, which enter as v + 2^51. The coefficients are 2^52-fold, so that one step of the
// reduction is enough; it leaves less than q for itself and each column, with the base at most 4q. The base makes up for the offsets. A bit above
// the lowest 52 of what is returned tells that an integer does not fit.
func affine(bits, columns int, quarters bool) {
	name, doc := fmt.Sprintf("affine%dx%d", columns, bits), "one behind the other"
	outputs := []string{"dst"}
	if quarters {
		name, doc, outputs = name+"Quarters", "split by their index mod 4", []string{"dst0", "dst1", "dst2", "dst3"}
	}
	cols := []string{"col0", "col1"}[:columns]
	TEXT(name, NOSPLIT, fmt.Sprintf("func(table, %s, constants *uint64, %s *int%d, n int) uint64", strings.Join(outputs, ", "), strings.Join(cols, ", "), bits))
	Doc(name + " stores sums for Affine, " + doc + ".")
	Pragma("noescape")
	param := func(s string) GPVirtual { return Load(Param(s), GP64()).(GPVirtual) }
	table, n, constants := param("table"), param("n"), param("constants")
	k := newKernel(table, true)
	var out, col []GPVirtual
	for _, s := range outputs {
		out = append(out, param(s))
	}
	for _, s := range cols {
		col = append(col, param(s))
	}
	offset, far := offsetOf(), ZMM()
	VPXORQ(far, far, far)
	Label("loop")
	values := make([]VecVirtual, columns)
	for c := range values {
		v := ZMM()
		if values[c] = v; bits == 16 {
			VPMOVSXWQ(Mem{Base: col[c]}, v)
			VPADDQ(offset, v, v)
		} else {
			VPADDQ(Mem{Base: col[c]}, offset, v)
			VPORQ(v, far, far)
		}
		VPERMQ(U8(0xd8), v, v) // to the lanes of store
	}
	e := k.subtractIf(k.below(k.linear(constants, 0, values...), atDouble))
	if !quarters {
		k.store(e, out[0])
		ADDQ(U32(step), out[0])
	} else {
		k.quarters(e, out)
	}
	for _, c := range col {
		ADDQ(U32(bits), c)
	}
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	bitsOf(far)
}

// linear adds a base and coefficients, whose limbs stand at a word one behind the other, times offset integers. The limbs are not carried.
func (k *kernel) linear(constants GPVirtual, word int, values ...VecVirtual) (e element) {
	at := func(word int) Mem { return Mem{Base: constants, Disp: 8 * word} }
	t := k.zeros(limbs + 1)
	for c, v := range values {
		for j := range limbs {
			VPMADD52LUQ_BCST(at(word+limbs*(c+1)+j), v, t[j])
		}
		for j := range limbs {
			VPMADD52HUQ_BCST(at(word+limbs*(c+1)+j), v, t[j+1])
		}
	}
	k.reduceOnce(t)
	copy(e[:], t[1:])
	for j := range e {
		VPADDQ_BCST(at(word+j), e[j], e[j])
	}
	return e
}

// quarters writes elements to four places by their index mod 4, which move on.
func (k *kernel) quarters(e element, to []GPVirtual) {
	for i, z := range k.together(e) { // elements 2i and 2i + 1
		VMOVDQU64(z.AsY(), Mem{Base: to[2*i%4], Disp: step / 8 * (i / 2)})
		VEXTRACTI64X4(U8(1), z, Mem{Base: to[2*i%4+1], Disp: step / 8 * (i / 2)})
	}
	for _, p := range to {
		ADDQ(U32(step/4), p)
	}
}

// offsetOf is 2^51 in every lane.
func offsetOf() VecVirtual {
	offset, half := ZMM(), GP64()
	MOVQ(U64(1<<51), half)
	VPBROADCASTQ(half, offset)
	return offset
}

// part is the i-th of four integers of 16 bits in every lane.
func part(v VecVirtual, i int) VecVirtual {
	x := ZMM()
	if i < 3 {
		VPSLLQ(U8(48-16*i), v, x)
		v = x
	}
	VPSRAQ(U8(48), v, x)
	return x
}

// runs begins a kernel over one or two columns of integers of 16 bits. Of these, sums, products and sums of two products are below 2^33,
// by which they are offset. Their sums with coefficients below q add up to less than q/2^14, so that with what the reduction leaves and
// the base they stay below 3q.
func runs(name, doc string, columns int, outputs ...string) (k *kernel, out, col []GPVirtual, constants, n GPVirtual) {
	cols := []string{"col0", "col1"}[:columns]
	TEXT(name, NOSPLIT, fmt.Sprintf("func(table, %s, constants *uint64, %s *int16, n int)", strings.Join(outputs, ", "), strings.Join(cols, ", ")))
	Doc(name + " " + doc)
	Pragma("noescape")
	param := func(s string) GPVirtual { return Load(Param(s), GP64()).(GPVirtual) }
	k = newKernel(param("table"), true)
	for _, s := range outputs {
		out = append(out, param(s))
	}
	for _, s := range cols {
		col = append(col, param(s))
	}
	return k, out, col, param("constants"), param("n")
}

// pairs computes, of denominators K + f·v + g·w, the sums and the products of neighbours: they are linear in sums and products of integers.
func pairs(columns int) {
	k, out, col, constants, n := runs(fmt.Sprintf("pairs%dQuarters", columns), "stores linear sums for Pairs, split by their index mod 4.", columns,
		"p0", "p1", "p2", "p3", "q0", "q1", "q2", "q3")
	Label("loop")
	var ints [][2]VecVirtual
	for _, c := range col {
		v := ZMM()
		VPMOVZXDQ(Mem{Base: c}, v)
		VPERMQ(U8(0xd8), v, v) // to the lanes of store
		ints = append(ints, [2]VecVirtual{part(v, 0), part(v, 1)})
		ADDQ(U32(vector/2), c)
	}
	sums := k.sumsOf(ints)
	all := append(slices.Clone(sums), k.productsOf(ints)...)
	k.quarters(k.below(k.linear(constants, 0, sums...), atModulus, atDouble), out[:4])
	k.quarters(k.below(k.linear(constants, limbs*(1+columns), all...), atModulus, atDouble), out[4:])
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// sumsOf returns offset sums of neighbouring integers in one column or two.
func (k *kernel) sumsOf(ints [][2]VecVirtual) (sums []VecVirtual) {
	for _, v := range ints {
		sum := ZMM()
		VPADDQ(v[0], v[1], sum)
		sums = append(sums, k.offset(sum))
	}
	return sums
}

// productsOf returns their offset products.
func (k *kernel) productsOf(ints [][2]VecVirtual) []VecVirtual {
	product := func(a, b VecVirtual) VecVirtual {
		x := ZMM()
		VPMULDQ(a, b, x)
		return x
	}
	first := k.offset(product(ints[0][0], ints[0][1]))
	if len(ints) == 1 {
		return []VecVirtual{first}
	}
	cross := product(ints[0][0], ints[1][1])
	VPADDQ(product(ints[0][1], ints[1][0]), cross, cross)
	return []VecVirtual{first, k.offset(cross), k.offset(product(ints[1][0], ints[1][1]))}
}

// offset adds 2^33, see runs.
func (k *kernel) offset(x VecVirtual) VecVirtual {
	VPADDQ_BCST(k.at(atOffset), x, x)
	return x
}

// boundPairs computes linear sums over pairs of neighbours of a run of eight integers: the first pair and the third, and the second and the fourth.
func boundPairs(columns int) {
	k, out, col, constants, n := runs(fmt.Sprintf("boundPairs%dSplit", columns), "stores linear sums for BoundPairs, the last two of them split.", columns,
		"sum", "other", "even0", "odd0", "even1", "odd1")
	Label("loop")
	order := ZMM()
	VMOVDQU64(k.at(atRuns), order)
	var first, second []VecVirtual // halves of runs, in the lanes of store
	for _, c := range col {
		halves := [2]VecVirtual{ZMM(), ZMM()}
		VMOVDQU64(Mem{Base: c}, halves[0])
		VMOVDQU64(Mem{Base: c, Disp: vector}, halves[1])
		a, b := ZMM(), ZMM()
		VPUNPCKLQDQ(halves[1], halves[0], a)
		VPUNPCKHQDQ(halves[1], halves[0], b)
		VPERMQ(a, order, a)
		VPERMQ(b, order, b)
		first, second = append(first, a), append(second, b)
		ADDQ(U32(2*vector), c)
	}
	pairsOf := func(c int, v []VecVirtual) (ints [][2]VecVirtual) {
		for _, x := range v {
			ints = append(ints, [2]VecVirtual{part(x, 2*c), part(x, 2*c+1)})
		}
		return ints
	}
	sums := func(c int) []VecVirtual { return inTurns(k.sumsOf(pairsOf(c, first)), k.sumsOf(pairsOf(c, second))) }
	all := func(c int) []VecVirtual {
		lo, hi := pairsOf(c, first), pairsOf(c, second)
		return append(inTurns(k.sumsOf(lo), k.sumsOf(hi)), inTurns(k.productsOf(lo), k.productsOf(hi))...)
	}
	atQ := limbs * (1 + 2*columns)
	atG := atQ + limbs*(1+2*(3*columns-1))
	reduced := func(word int, values []VecVirtual) element {
		return k.below(k.linear(constants, word, values...), atModulus, atDouble)
	}
	k.store(reduced(0, sums(0)), out[0]) // what follows computes sums again: there are not registers enough to keep them
	k.split(reduced(atQ, all(0)), out[2], out[3])
	values := all(1)
	k.store(reduced(atG, values), out[1])
	k.split(reduced(atQ, values), out[4], out[5])
	for i, p := range out {
		if i < 2 {
			ADDQ(U32(step), p)
		} else {
			ADDQ(U32(step/2), p)
		}
	}
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// inTurns takes from one list and the other in turns.
func inTurns(a, b []VecVirtual) (all []VecVirtual) {
	for i := range a {
		all = append(all, a[i], b[i])
	}
	return all
}

// bound computes linear sums of every first and third, and of every second and fourth integer of four.
func bound(columns int) {
	k, out, col, constants, n := runs(fmt.Sprintf("bound%dSplit", columns), "stores linear sums for Bound, split.", columns, "even0", "odd0", "even1", "odd1")
	Label("loop")
	var ints []VecVirtual
	for _, c := range col {
		v := ZMM()
		VMOVDQU64(Mem{Base: c}, v)
		VPERMQ(U8(0xd8), v, v) // to the lanes of store
		ints = append(ints, v)
		ADDQ(U32(vector), c)
	}
	for half := range 2 {
		var values []VecVirtual
		for _, v := range ints {
			values = append(values, k.offset(part(v, half)), k.offset(part(v, half+2)))
		}
		even, odd := out[2*half], out[2*half+1]
		k.split(k.below(k.linear(constants, 0, values...), atModulus, atDouble), even, odd)
		ADDQ(U32(step/2), even)
		ADDQ(U32(step/2), odd)
	}
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// bitsOf returns what the lanes have in common.
func bitsOf(all VecVirtual) {
	upper := YMM()
	VEXTRACTI64X4(U8(1), all, upper)
	VPORQ(all.AsY(), upper, upper)
	half := XMM()
	VEXTRACTI64X2(U8(1), upper, half)
	VPORQ(upper.AsX(), half, half)
	lo, hi := GP64(), GP64()
	VMOVQ(half, lo)
	VPEXTRQ(U8(1), half, hi)
	ORQ(hi, lo)
	Store(lo, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// Additions of points. In what follows an element may stand for itself times 2^260 (it is 16-fold: the shift of its words costs nothing), so
// that a product of two such is one again, and one of such an element and another is of the other kind. Limbs that only kernels see are kept
// as planes: eight lanes of each of five limbs, carried, of numbers below 84q = 2^260 that are not reduced.

// Places of an operation, in 32-bit words: dst[d] = a[a] ± b[b], minus where b is a complement.
const (
	opD = iota
	opA
	opB
	opWords
)

const (
	plane  = limbs * vector // bytes of eight elements
	opsRun = 8 * 4 * opWords
	pointY = 32 // bytes from a point's x to its y
)

// address returns the byte offset of the point that an operation names.
func address(ops GPVirtual, lane, word int) GPVirtual {
	r := GP64()
	MOVLQSX(Mem{Base: ops, Disp: 4 * (opWords*lane + word)}, r)
	if word == opB {
		sign := GP64()
		MOVQ(r, sign)
		SARQ(U8(63), sign)
		XORQ(sign, r)
	}
	SHLQ(U8(6), r)
	return r
}

// gather reads a coordinate of eight points.
func gather(points, ops GPVirtual, word, coordinate int) [words]VecVirtual {
	var z [words]VecVirtual
	for i := range z {
		lo, hi := address(ops, 2*i, word), address(ops, 2*i+1, word)
		half := YMM()
		z[i] = ZMM()
		VMOVDQU64(Mem{Base: points, Index: lo, Scale: 1, Disp: coordinate}, half)
		VINSERTI64X4(U8(1), Mem{Base: points, Index: hi, Scale: 1, Disp: coordinate}, half.AsZ(), z[i])
	}
	return apart(z)
}

// scatter writes a coordinate of eight points, of carried limbs.
func (k *kernel) scatter(e element, points, ops GPVirtual, coordinate int) {
	for i, z := range k.together(e) {
		lo, hi := address(ops, 2*i, opD), address(ops, 2*i+1, opD)
		VMOVDQU64(z.AsY(), Mem{Base: points, Index: lo, Scale: 1, Disp: coordinate})
		VEXTRACTI64X4(U8(1), z, Mem{Base: points, Index: hi, Scale: 1, Disp: coordinate})
	}
}

// subtract sets e = e − f + m where m is the multiple of q at a place of the table; the limbs are not carried.
func (k *kernel) subtract(e, f element, at int) element {
	for i := range e {
		VPSUBQ(f[i], e[i], e[i])
		VPADDQ_BCST(k.at(at+i), e[i], e[i])
	}
	return e
}

// sixteenfold shifts limbs, which need not be carried and are not on return.
func sixteenfold(e element) (f element) {
	for i := range e {
		f[i] = ZMM()
		VPSLLQ(U8(4), e[i], f[i])
	}
	return f
}

// put writes carried limbs as planes.
func put(e element, to GPVirtual) {
	for i := range e {
		VMOVDQU64(e[i], Mem{Base: to, Disp: vector * i})
	}
}

func get(from GPVirtual) (e element) {
	for i := range e {
		e[i] = ZMM()
		VMOVDQU64(Mem{Base: from, Disp: vector * i}, e[i])
	}
	return e
}

// addProductOf is addProduct with a factor in memory, as planes.
func addProductOf(t []VecVirtual, a element, b GPVirtual) {
	for i := range limbs {
		for j := range limbs {
			VPMADD52LUQ(Mem{Base: b, Disp: vector * j}, a[i], t[i+j])
		}
		for j := range limbs {
			VPMADD52HUQ(Mem{Base: b, Disp: vector * j}, a[i], t[i+j+1])
		}
	}
}

// slopes is the beginning of additions by chords: differences of abscissas, 16-fold, and of ordinates, as planes.
func slopes() {
	table, n, p := begin("slopesKernel", "slopesKernel stores 16(b.x − a.x + q) and ±b.y − a.y + q or 2q of operations, as planes.", "den", "num", "a", "b", "ops")
	den, num, a, b, ops := p[0], p[1], p[2], p[3], p[4]
	k := newKernel(table, true)
	signs := ZMM()
	VMOVDQU64(k.at(atSigns), signs)
	Label("loop")
	d := k.masked(cut(gather(b, ops, opB, 0), 0))
	d = k.subtract(d, k.masked(cut(gather(a, ops, opA, 0), 0)), atModulus)
	put(k.carry(sixteenfold(d)), den)

	first, second, minus := ZMM(), YMM(), K()
	VMOVDQU64(Mem{Base: ops}, first)
	VMOVDQU64(Mem{Base: ops, Disp: vector}, second)
	VPERMT2D(second.AsZ(), signs, first)
	VPMOVD2M(first, minus)
	y := k.masked(cut(gather(b, ops, opB, pointY), 0))
	for i := range y {
		q := ZMM()
		VPBROADCASTQ(k.at(atModulus+i), q)
		VPSUBQ(y[i], q, minus, y[i])
	}
	y = k.subtract(y, k.masked(cut(gather(a, ops, opA, pointY), 0)), atModulus)
	put(k.carry(y), num)

	ADDQ(U32(plane), den)
	ADDQ(U32(plane), num)
	ADDQ(U32(opsRun), ops)
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func products() {
	table, n, p := begin("productsKernel", "productsKernel stores a·b/2^260 in dst; all are planes.", "dst", "a", "b")
	k := newKernel(table, true)
	Label("loop")
	t := k.zeros(2 * limbs)
	addProductOf(t, get(p[1]), p[2])
	put(k.carry(k.reduce(t)), p[0])
	for _, x := range p {
		ADDQ(U32(plane), x)
	}
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// lower multiplies with 2^256, that is divides by 16 what stands for itself times 2^260.
func lower() {
	table, _, p := begin("lowerKernel", "lowerKernel stores a sixteenth of eight elements, given as planes.", "dst", "a")
	k := newKernel(table, true)
	e := get(p[1])
	top := ZMM()
	one := GP64()
	MOVQ(U64(1<<(256-4*52)), one)
	VPBROADCASTQ(one, top)
	t := k.zeros(2 * limbs)
	for i := range limbs { // 2^256 has the highest limb only
		VPMADD52LUQ(top, e[i], t[i+limbs-1])
		VPMADD52HUQ(top, e[i], t[i+limbs])
	}
	k.store(k.subtractIf(k.below(k.reduce(t), atDouble)), p[0])
	VZEROUPPER()
	RET()
}

func raise() {
	table, _, p := begin("raiseKernel", "raiseKernel stores eight elements, 16-fold, as planes.", "dst", "a")
	k := newKernel(table, true)
	put(k.masked(cut(k.load(p[1]), 4)), p[0])
	VZEROUPPER()
	RET()
}

// chords is the end of additions: with s = num/den, x = s² − a.x − b.x and y = s(a.x − x) − a.y. As q²/2^260 is 0.012q, s is below 1.2q for an
// inverse below 8q, s² below 1.3q, s(a.x − x + q) below 1.5q, and x and y below 4q before q is subtracted.
func chords() {
	table, n, p := begin("chordsKernel", "chordsKernel stores the sums of operations, given numerators and inverses of the slopes as planes.",
		"num", "inv", "dst", "a", "b", "ops")
	num, inv, dst, a, b, ops := p[0], p[1], p[2], p[3], p[4], p[5]
	k := newKernel(table, true)
	Label("loop")
	t := k.zeros(2 * limbs)
	addProductOf(t, get(num), inv)
	s := k.reduce(t)
	by16 := k.carry(sixteenfold(s))
	s = k.carry(s)
	t = k.zeros(2 * limbs)
	addProduct(t, s, by16)
	x := k.reduce(t)
	ax := k.masked(cut(gather(a, ops, opA, 0), 0))
	x = k.subtract(x, ax, atModulus)
	x = k.subtract(x, k.masked(cut(gather(b, ops, opB, 0), 0)), atModulus)
	x = k.subtractIf(k.below(x, atDouble))
	z := k.carry(k.subtract(ax, x, atModulus))
	k.scatter(x, dst, ops, 0)
	t = k.zeros(2 * limbs)
	addProduct(t, z, by16)
	y := k.reduce(t)
	y = k.subtract(y, k.masked(cut(gather(a, ops, opA, pointY), 0)), atModulus)
	k.scatter(k.subtractIf(k.below(y, atDouble)), dst, ops, pointY)

	ADDQ(U32(plane), num)
	ADDQ(U32(plane), inv)
	ADDQ(U32(opsRun), ops)
	SUBQ(U8(8), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
