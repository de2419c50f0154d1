// Command asm writes the assembly of package matrix: go run . -out ../tile_amd64.s -stubs ../tile_amd64.go -pkg matrix.
package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rows and cols are those of a tile, as package matrix has them.
const (
	rows = 4
	cols = 16
	cell = 8 // bytes
)

func main() {
	build.ConstraintExpr("amd64")
	tile("tileAVX", 4, func() reg.VecVirtual { return build.YMM() })
	tile("tileAVX512", 8, func() reg.VecVirtual { return build.ZMM() })
	build.Generate()
}

// tile writes the function that adds to a tile the products of n steps, with vectors of so many lanes. A cell's products are added one
// after the other, each rounded before it is added: there is no fused instruction here on purpose. Two vectors of each of the rows are
// eight chains of sums, as many as two units with a latency of four keep busy.
func tile(name string, lanes int, vector func() reg.VecVirtual) {
	build.TEXT(name, build.NOSPLIT, "func(n int, a, b, c *float64)")
	build.Pragma("noescape")
	build.Doc(name + " is tilePortable with vectors of " + map[int]string{4: "four", 8: "eight"}[lanes] + " lanes.")
	b0, c := build.Load(build.Param("b"), build.GP64()), build.Load(build.Param("c"), build.GP64())
	for part := 0; part < cols; part += 2 * lanes {
		n, a := build.Load(build.Param("n"), build.GP64()), build.Load(build.Param("a"), build.GP64())
		b := build.GP64()
		build.LEAQ(operand.Mem{Base: b0, Disp: part * cell}, b)
		sums := [rows][2]reg.VecVirtual{}
		at := func(i, v int) operand.Mem { return operand.Mem{Base: c, Disp: (i*cols + part + v*lanes) * cell} }
		for i := range rows {
			for v := range 2 {
				sums[i][v] = vector()
				build.VMOVUPD(at(i, v), sums[i][v])
			}
		}
		loop, done := name+"Loop"+string(rune('A'+part/lanes)), name+"Done"+string(rune('A'+part/lanes))
		build.TESTQ(n, n)
		build.JE(operand.LabelRef(done))
		build.Label(loop)
		line := [2]reg.VecVirtual{vector(), vector()}
		for v := range 2 {
			build.VMOVUPD(operand.Mem{Base: b, Disp: v * lanes * cell}, line[v])
		}
		for i := range rows {
			factor := vector()
			build.VBROADCASTSD(operand.Mem{Base: a, Disp: i * cell}, factor)
			for v := range 2 {
				product := vector()
				build.VMULPD(line[v], factor, product)
				build.VADDPD(product, sums[i][v], sums[i][v])
			}
		}
		build.ADDQ(operand.U8(rows*cell), a)
		build.ADDQ(operand.U32(cols*cell), b)
		build.DECQ(n)
		build.JNE(operand.LabelRef(loop))
		build.Label(done)
		for i := range rows {
			for v := range 2 {
				build.VMOVUPD(sums[i][v], at(i, v))
			}
		}
	}
	build.VZEROUPPER()
	build.RET()
}
