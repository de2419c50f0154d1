// Instructions that carry: of a GPU, and what they mean for all other compilers. A chain is a sequence of calls with one Carry, none of
// which may be left out. Names are those of PTX: cc sets the carry, c takes it in.
#pragma once

#include "platform.cuh"

#ifdef __CUDA_ARCH__

// Carry is the processor's own flag. Statements in between never touch it: compilers use no instruction that sets it but through these.
struct Carry {};

#define CHAIN2(name, op)                                                       \
	DEVICE uint32_t name(Carry, uint32_t a, uint32_t b) {                      \
		uint32_t r;                                                            \
		asm volatile(op " %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));            \
		return r;                                                              \
	}
#define CHAIN3(name, op)                                                       \
	DEVICE uint32_t name(Carry, uint32_t a, uint32_t b, uint32_t d) {          \
		uint32_t r;                                                            \
		asm volatile(op " %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(d)); \
		return r;                                                              \
	}
CHAIN2(add_cc, "add.cc.u32")
CHAIN2(addc_cc, "addc.cc.u32")
CHAIN2(addc, "addc.u32")
CHAIN2(sub_cc, "sub.cc.u32")
CHAIN2(subc_cc, "subc.cc.u32")
CHAIN2(subc, "subc.u32")
CHAIN3(mad_lo_cc, "mad.lo.cc.u32")
CHAIN3(madc_lo_cc, "madc.lo.cc.u32")
CHAIN3(madc_hi_cc, "madc.hi.cc.u32")
CHAIN3(madc_hi, "madc.hi.u32")
#undef CHAIN2
#undef CHAIN3

#else

// Carry is the flag: the carry of a sum, or the borrow of a difference.
struct Carry {
	uint32_t flag = 2; // set by nobody yet
};

// chain takes the carry of a chain in, or not, and sets it, or ends the chain: then a carry is lost, which must be none.
DEVICE uint32_t chain(Carry& c, uint64_t sum, bool in, bool out) {
	if (in) sum += c.flag;
	c.flag = out ? (uint32_t)(sum >> 32) : 2;
	return (uint32_t)sum;
}
DEVICE uint32_t low(uint32_t a, uint32_t b) { return a * b; }
DEVICE uint32_t high(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }

DEVICE uint32_t add_cc(Carry& c, uint32_t a, uint32_t b) { return chain(c, (uint64_t)a + b, false, true); }
DEVICE uint32_t addc_cc(Carry& c, uint32_t a, uint32_t b) { return chain(c, (uint64_t)a + b, true, true); }
DEVICE uint32_t addc(Carry& c, uint32_t a, uint32_t b) { return chain(c, (uint64_t)a + b, true, false); }
DEVICE uint32_t mad_lo_cc(Carry& c, uint32_t a, uint32_t b, uint32_t d) { return chain(c, (uint64_t)low(a, b) + d, false, true); }
DEVICE uint32_t madc_lo_cc(Carry& c, uint32_t a, uint32_t b, uint32_t d) { return chain(c, (uint64_t)low(a, b) + d, true, true); }
DEVICE uint32_t madc_hi_cc(Carry& c, uint32_t a, uint32_t b, uint32_t d) { return chain(c, (uint64_t)high(a, b) + d, true, true); }
DEVICE uint32_t madc_hi(Carry& c, uint32_t a, uint32_t b, uint32_t d) { return chain(c, (uint64_t)high(a, b) + d, true, false); }

// minus is chain for differences: the flag is the borrow.
DEVICE uint32_t minus(Carry& c, uint32_t a, uint32_t b, bool in, bool out) {
	uint64_t d = (uint64_t)a - b - (in ? c.flag : 0);
	c.flag = out ? (uint32_t)(d >> 63) : 2;
	return (uint32_t)d;
}
DEVICE uint32_t sub_cc(Carry& c, uint32_t a, uint32_t b) { return minus(c, a, b, false, true); }
DEVICE uint32_t subc_cc(Carry& c, uint32_t a, uint32_t b) { return minus(c, a, b, true, true); }
DEVICE uint32_t subc(Carry& c, uint32_t a, uint32_t b) { return minus(c, a, b, true, false); }

#endif

DEVICE uint32_t mul_lo(uint32_t a, uint32_t b) { return a * b; }
DEVICE uint32_t mul_hi(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }
