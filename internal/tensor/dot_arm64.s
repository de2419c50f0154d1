#include "textflag.h"

// The assembler has no names for the instructions that lengthen lanes. d += n·m for the lower four lanes of 16 bits, and for the upper ones;
// d is the sums of neighbouring lanes of 32 bits of n; d is the sums of the two lanes of n and of m.
#define SMLAL(m, n, d) WORD $(0x0E608000 | (m)<<16 | (n)<<5 | (d))
#define SMLAL2(m, n, d) WORD $(0x4E608000 | (m)<<16 | (n)<<5 | (d))
#define SADDLP(n, d) WORD $(0x4EA02800 | (n)<<5 | (d))
#define ADDP(m, n, d) WORD $(0x4EE0BC00 | (m)<<16 | (n)<<5 | (d))

// One row of a against the four of b, in the sums s, s+1, s+2, s+3.
#define ROW(s) \
	SMLAL(16, 20, s); SMLAL(17, 20, s+1); SMLAL(18, 20, s+2); SMLAL(19, 20, s+3); \
	SMLAL2(16, 20, s); SMLAL2(17, 20, s+1); SMLAL2(18, 20, s+2); SMLAL2(19, 20, s+3)

// The four sums of a row as integers of 64 bits, stored.
#define STORE(s) \
	SADDLP(s, 16); SADDLP(s+1, 17); SADDLP(s+2, 18); SADDLP(s+3, 19); \
	ADDP(17, 16, 16); ADDP(19, 18, 17); \
	VST1.P [V16.B16, V17.B16], 32(R0)

// func dotNEON(dst *int64, a *int16, aStride int, b *int16, bStride, n int)
TEXT ·dotNEON(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD a+8(FP), R1
	MOVD aStride+16(FP), R9
	MOVD b+24(FP), R5
	MOVD bStride+32(FP), R10
	MOVD n+40(FP), R11
	ADD  R9<<1, R1, R2
	ADD  R9<<1, R2, R3
	ADD  R9<<1, R3, R4
	ADD  R10<<1, R5, R6
	ADD  R10<<1, R6, R7
	ADD  R10<<1, R7, R8
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	VEOR V8.B16, V8.B16, V8.B16
	VEOR V9.B16, V9.B16, V9.B16
	VEOR V10.B16, V10.B16, V10.B16
	VEOR V11.B16, V11.B16, V11.B16
	VEOR V12.B16, V12.B16, V12.B16
	VEOR V13.B16, V13.B16, V13.B16
	VEOR V14.B16, V14.B16, V14.B16
	VEOR V15.B16, V15.B16, V15.B16

loop:
	VLD1.P 16(R5), [V16.B16]
	VLD1.P 16(R6), [V17.B16]
	VLD1.P 16(R7), [V18.B16]
	VLD1.P 16(R8), [V19.B16]
	VLD1.P 16(R1), [V20.B16]
	ROW(0)
	VLD1.P 16(R2), [V20.B16]
	ROW(4)
	VLD1.P 16(R3), [V20.B16]
	ROW(8)
	VLD1.P 16(R4), [V20.B16]
	ROW(12)
	SUBS $8, R11
	BNE  loop
	STORE(0)
	STORE(4)
	STORE(8)
	STORE(12)
	RET
