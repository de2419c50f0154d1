package ptx

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is a kernel with some instructions.
func module(instructions string) string {
	return fmt.Sprintf(`
.version 7.8
.target sm_90
.address_size 64
.visible .entry probe(
	.param .u64 probe_param_0
)
.maxntid 256, 1, 1
{
	.reg .pred 	%%p<3>;
	.reg .b32 	%%r<9>;
	.reg .b64 	%%rd<5>;
	%s
$L__BB0_1:
	ret;
}
`, instructions)
}

// Instructions that carry take the flag in and set it as their names say; signs, widths and guards are those of the types.
func TestTranslate(t *testing.T) {
	for ptx, want := range map[string]string{
		"add.cc.u32 %r1, %r2, %r3;":                 "r_[1] = (b32)(sum_carry(cc, (u64)(u32)r_[2] + (u32)r_[3]));",
		"addc.u32 %r1, %r2, 0;":                     "r_[1] = (b32)((u64)(u32)r_[2] + (u32)(0ULL)+ cc);",
		"subc.cc.u32 %r1, %r2, %r3;":                "r_[1] = (b32)(borrow(cc, (u64)(u32)r_[2] - (u32)r_[3]- cc));",
		"madc.hi.cc.u32 %r1, %r2, %r3, %r4;":        "r_[1] = (b32)(sum_carry(cc, (u64)upper((u32)r_[2], (u32)r_[3]) + (u32)r_[4]+ cc));",
		"@!%p1 bra $L__BB0_1;":                      "if (!(pred)p_[1]) { goto LL__BB0_1;\n}",
		"shr.s64 %rd1, %rd2, 8;":                    "rd_[1] = (b64)((s64)rd_[2] >> ((u32)(8ULL) >= 64 ? 63 : (u32)(8ULL)));",
		"cvt.s64.s32 %rd1, %r2;":                    "rd_[1] = (b64)((s64)((s32)r_[2]));",
		"setp.lt.s32 %p1, %r1, -1;":                 "p_[1] = (pred)((s32)r_[1] < (s32)(-1LL));",
		"dp2a.hi.s32.u32 %r1, %r2, %r3, %r4;":       "dot((u32)r_[2], (u8)((u32)r_[3] >> 16), (u8)((u32)r_[3] >> 24), (s32)r_[4])",
		"ld.global.v2.u64 {%rd1, %rd2}, [%rd3+16];": "{ const u64 at = (u64)rd_[3] + (16);\naligned(at, 2 * sizeof(u64));",
		"ld.param.u64 %rd1, [probe_param_0];":       "const u64 at = (u64)&probe_param_0 + (0);",
		"mov.u32 %r1, %tid.x;":                      "r_[1] = (b32)(threadIdx.x);",
	} {
		text, err := Translate(module(ptx))
		require.NoError(t, err, ptx)
		require.Contains(t, text, want, ptx)
		require.Contains(t, text, "KERNEL(probe, u64 probe_param_0) {")
	}
}

// What is not known is refused, and not left out.
func TestUnknown(t *testing.T) {
	for _, ptx := range []string{
		"add.cc.u64 %rd1, %rd2, %rd3;", "ld.volatile.global.u32 %r1, [%rd1];", "setp.eq.and.s32 %p1, %r1, %r2, %p2;", "bar.sync 1;", "bar.warp.sync 1;",
		"atom.shared.add.u32 %r1, [%r2], 1;", "cvt.rni.s32.f32 %r1, %r2;", "shfl.sync.idx.b32 %r1, %r2, %r3, 31, -1;", ".const .b8 c[4];", "ld.global.u32 %r1, [%rd1-%rd2];",
	} {
		_, err := Translate(module(ptx))
		require.ErrorContains(t, err, "ptx: probe", ptx)
	}
}
