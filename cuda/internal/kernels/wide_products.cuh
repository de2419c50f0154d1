// Sums of products for wide tensors: multiply_any of package products in 128 bits.
#pragma once

#include "int128.cuh"
#include "products.cuh"

// WideFactor is a factor, with its upper words if it is wide.
struct WideFactor {
	const void* cells;
	const int64_t* high;
	uint64_t size, from;
};

// multiply_wide adds coef·Σ Π factors to n cells, out and their upper words in high, as multiply_any does.
KERNEL(multiply_wide, int64_t* out, int64_t* high, uint64_t from, uint64_t n, const WideFactor* factors, uint64_t count, const Label* labels, uint64_t kept,
	uint64_t all, int64_t coef) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		uint64_t at = from, in[most_factors], rest = i;
		for (uint64_t f = 0; f < count; f++) in[f] = factors[f].from;
		for (uint64_t l = kept; l-- > 0;) {
			uint64_t index = rest % labels[l].extent;
			rest /= labels[l].extent;
			at += index * labels[l].out;
			for (uint64_t f = 0; f < count; f++) in[f] += index * labels[l].in[f];
		}
		uint64_t terms = 1;
		for (uint64_t l = kept; l < all; l++) terms *= labels[l].extent;
		Int128 sum = {0, 0};
		for (uint64_t k = 0; k < terms; k++) {
			Int128 product = {1, 0};
			for (uint64_t f = 0; f < count; f++) {
				uint64_t place = in[f], left = k;
				for (uint64_t l = all; l-- > kept;) {
					place += left % labels[l].extent * labels[l].in[f];
					left /= labels[l].extent;
				}
				int64_t v = cell(factors[f].cells, factors[f].size, place);
				product = product * (factors[f].high != nullptr ? joined(v, factors[f].high[place]) : widened(v));
			}
			sum = sum + product;
		}
		sum = joined(out[at], high[at]) + widened(coef) * sum;
		out[at] = (int64_t)sum.low;
		high[at] = split_high(sum);
	}
}
