// What a prover commits to besides operations' results: the rules of hints, which stand beside the gadgets (runtime/gadget/hint,
// runtime/gadget/attention/hint). Boxes are listed, those that are read before those that are written; cells of the same number belong together.
#pragma once

#include "region.cuh"

// rounded is ⌊(v + 2^(shift−1)) / 2^shift⌋.
DEVICE int64_t rounded(int64_t v, uint64_t shift) { return (int64_t)((uint64_t)v + ((uint64_t)1 << shift >> 1)) >> shift; }

DEVICE Int128 quotient(const Region& r, const Walk* walks, uint64_t i, uint64_t shift) {
	if (r.high == nullptr) return widened(rounded(narrow(r, walks, i), shift));
	return (whole(r, walks, i) + Int128{(uint64_t)1 << shift >> 1, 0}) >> shift;
}

// shifted and low_bits are of numbers of 64 bits: any shift is allowed, and as many bits as there are below top.
DEVICE int64_t shifted(int64_t v, uint64_t n) { return v >> (n > 63 ? 63 : n); }
DEVICE int64_t low_bits(int64_t v, uint64_t bits) { return v & (((int64_t)1 << bits) - 1); }

// put_limbs writes limbs of radix bits, from limb first on; the last one has all that is left.
DEVICE void put_limbs(const Region* out, uint64_t count, const Walk* walks, uint64_t i, int64_t v, uint64_t first, uint64_t radix) {
	for (uint64_t k = 0; k < count; k++) {
		int64_t limb = shifted(v, (first + k) * radix);
		put(out[k], walks, i, k + 1 == count ? limb : low_bits(limb, radix));
	}
}

// put_excess writes the class of a quotient beyond y, and the limbs of how far it is beyond.
DEVICE void put_excess(const Region* out, uint64_t count, const Walk* walks, uint64_t i, const Int128& q, int64_t y, uint64_t first, uint64_t radix) {
	Int128 beyond = q - widened(y);
	int64_t side = beyond.high < 0 ? -1 : (beyond.low | (uint64_t)beyond.high) != 0 ? 1 : 0;
	put(out[0], walks, i, side);
	Int128 excess = beyond - widened(side);
	bool negative = excess.high < 0;
	if (negative) excess = widened(0) - excess;
	for (uint64_t k = 1; k < count; k++) {
		int64_t limb = (int64_t)(excess >> ((first + k - 1) * radix)).low;
		if (k + 1 < count) limb = low_bits(limb, radix);
		put(out[k], walks, i, negative ? (int64_t)(0 - (uint64_t)limb) : limb);
	}
}

// rescale_hint: boxes v, y.
KERNEL(rescale_hint, const Region* boxes, const Walk* walks, uint64_t n, uint64_t shift) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) put(boxes[1], walks, i, clamped(quotient(boxes[0], walks, i, shift), INT64_MIN, INT64_MAX));
}

// clamp_hint: boxes v, y, the class and the limbs of the excess; count is of all that are written.
KERNEL(clamp_hint, const Region* boxes, const Walk* walks, uint64_t n, uint64_t count, uint64_t shift, int64_t least, int64_t most, uint64_t first, uint64_t radix) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Int128 q = quotient(boxes[0], walks, i, shift);
		int64_t y = clamped(q, least, most);
		put(boxes[1], walks, i, y);
		put_excess(boxes + 2, count - 1, walks, i, q, y, first, radix);
	}
}

// wide_hint: boxes v, the digits of y, and if there are more, its class and the limbs of the excess.
KERNEL(wide_hint, const Region* boxes, const Walk* walks, uint64_t n, uint64_t count, uint64_t shift, int64_t least, int64_t most, uint64_t digits,
	uint64_t width, uint64_t first, uint64_t radix) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Int128 q = quotient(boxes[0], walks, i, shift);
		int64_t y = clamped(q, least, most);
		put_limbs(boxes + 1, digits, walks, i, y, 0, width);
		if (count > digits) put_excess(boxes + 1 + digits, count - digits, walks, i, q, y, first, radix);
	}
}

// limbs_hint: boxes v and its limbs but the lowest.
KERNEL(limbs_hint, const Region* boxes, const Walk* walks, uint64_t n, uint64_t count, uint64_t radix) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) put_limbs(boxes + 1, count, walks, i, narrow(boxes[0], walks, i), 1, radix);
}

// root is ⌊√v⌋.
DEVICE int64_t root(int64_t v) {
	if (v == 0) return 0;
	uint64_t bits = 0;
	while ((uint64_t)v >> bits != 0) bits++;
	int64_t r = (int64_t)1 << ((bits + 1) / 2);
	for (;;) {
		int64_t next = (r + v / r) / 2;
		if (next >= r) return r;
		r = next;
	}
}

// quotient_hint: boxes s and the limbs of ⌊numerator/s⌋, or of its root; of 0 where s is not positive. The numerator is not negative.
KERNEL(quotient_hint, const Region* boxes, const Walk* walks, uint64_t n, uint64_t count, int64_t numerator, uint64_t radix, uint64_t rooted) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		int64_t s = narrow(boxes[0], walks, i), q = s < 1 ? 0 : numerator / s;
		put_limbs(boxes + 1, count, walks, i, rooted != 0 ? root(q) : q, 0, radix);
	}
}

// table_hint: boxes x and y, the value of the line whose argument is x; arguments begin with first. bad becomes the number of a cell that is none.
KERNEL(table_hint, const Region* boxes, const Walk* walks, uint64_t n, void* arguments, uint64_t arguments_size, void* values, uint64_t values_size,
	uint64_t lines, int64_t first, uint64_t* bad) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		int64_t x = narrow(boxes[0], walks, i);
		uint64_t line = (uint64_t)x - (uint64_t)first;
		if (line < lines && cell(Tensor{arguments, arguments_size}, line) == x) {
			put(boxes[1], walks, i, cell(Tensor{values, values_size}, line));
		} else {
			atomic_min(bad, i);
		}
	}
}

// attention_hint: boxes of the scores, in rows of n, and of the mask, masked cells of it or 0; of the limbs of each row's maximum M, those of d_lo, u, e,
// z_u and z_d. A block does a row. bad becomes the number of a row that is masked throughout.
KERNEL(attention_hint, const Region* boxes, const Walk* walks, uint64_t n, uint64_t masked, uint64_t limbs, uint64_t shift, uint64_t low, uint64_t offset,
	int64_t least, uint64_t radix, void* exponentials, uint64_t size, uint64_t* bad) {
	SHARED(int64_t, tops, THREADS);
	SHARED(uint32_t, any, THREADS);
	uint64_t row = blockIdx.x, from = row * n;
	int64_t top = 0;
	uint32_t found = 0;
	for (uint64_t i = from + threadIdx.x; i < from + n; i += blockDim.x) {
		int64_t v = rounded(narrow(boxes[0], walks, i), shift);
		if (masked != 0 && narrow(boxes[1], walks, i % masked) != 0) continue;
		if (found == 0 || v > top) top = v;
		found = 1;
	}
	tops[threadIdx.x] = top;
	any[threadIdx.x] = found;
	BARRIER();
	for (uint32_t k = 0; k < blockDim.x; k++) {
		if (any[k] != 0 && (found == 0 || tops[k] > top)) {
			top = tops[k];
			found = 1;
		}
	}
	if (found == 0) atomic_min(bad, row);
	const Region* out = boxes + 2 + limbs;
	if (threadIdx.x == 0) put_limbs(boxes + 2, limbs, walks, row, (int64_t)((uint64_t)top - (uint64_t)least), 0, radix);
	for (uint64_t i = from + threadIdx.x; i < from + n; i += blockDim.x) {
		int64_t v = rounded(narrow(boxes[0], walks, i), shift);
		if (masked != 0 && narrow(boxes[1], walks, i % masked) != 0) v = (int64_t)((uint64_t)v - offset);
		int64_t d = (int64_t)((uint64_t)top - (uint64_t)v), lower = low_bits(d, low), upper = shifted(d, low);
		put(out[0], walks, i, lower);
		put(out[1], walks, i, upper);
		put(out[2], walks, i, upper == 0 ? cell(Tensor{exponentials, size}, (uint64_t)lower) : 0);
		put(out[3], walks, i, upper == 0 ? 1 : 0);
		put(out[4], walks, i, upper == 0 && lower == 0 ? 1 : 0);
	}
}
