// Integers of 128 bits, modulo 2^128: what cells of wide tensors are.
#pragma once

#include "platform.cuh"

struct Int128 {
	uint64_t low;
	int64_t high;
};

DEVICE Int128 widened(int64_t v) { return Int128{(uint64_t)v, v >> 63}; }

// joined is v + 2^64·high, as cells of wide tensors are stored; split_high is that high.
DEVICE Int128 joined(int64_t v, int64_t high) { return Int128{(uint64_t)v, (int64_t)((uint64_t)high + (uint64_t)(v >> 63))}; }
DEVICE int64_t split_high(const Int128& a) { return (int64_t)((uint64_t)a.high - (uint64_t)((int64_t)a.low >> 63)); }

DEVICE Int128 operator+(const Int128& a, const Int128& b) {
	uint64_t low = a.low + b.low;
	return Int128{low, (int64_t)((uint64_t)a.high + (uint64_t)b.high + (low < a.low ? 1 : 0))};
}

DEVICE Int128 operator-(const Int128& a, const Int128& b) {
	return Int128{a.low - b.low, (int64_t)((uint64_t)a.high - (uint64_t)b.high - (a.low < b.low ? 1 : 0))};
}

DEVICE Int128 operator*(const Int128& a, const Int128& b) {
	return Int128{a.low * b.low, (int64_t)(high_product(a.low, b.low) + (uint64_t)a.high * b.low + a.low * (uint64_t)b.high)};
}

// operator>> rounds down.
DEVICE Int128 operator>>(const Int128& a, uint64_t n) {
	if (n == 0) return a;
	if (n >= 64) return Int128{(uint64_t)(a.high >> (n >= 127 ? 63 : n - 64)), a.high >> 63};
	return Int128{a.low >> n | (uint64_t)a.high << (64 - n), a.high >> n};
}

DEVICE bool operator<(const Int128& a, const Int128& b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }

// clamped is the integer of 64 bits from least to most that is nearest.
DEVICE int64_t clamped(const Int128& a, int64_t least, int64_t most) {
	return a < widened(least) ? least : widened(most) < a ? most : (int64_t)a.low;
}
