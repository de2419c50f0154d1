// Sums of products of integers, as a witness is made of: einsums, whose labels are numbered and have extents. Results are 64 bits, or 128, and so are
// all sums; who asks knows that they do not overflow.
#pragma once

#include "cells.cuh"
#include "int128.cuh"

// dot2 adds the products of two signed numbers of 16 bits, a's, and two of 8 bits, the lower or the upper two of b's, which have a sign or
// not.
#ifdef __CUDA_ARCH__
#define DOT2(name, half, type)                                                                              \
	DEVICE int32_t name(uint32_t a, uint32_t b, int32_t c) {                                                \
		int32_t d;                                                                                          \
		asm("dp2a." half ".s32." type " %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));               \
		return d;                                                                                           \
	}
DOT2(dot2_lower, "lo", "u32")
DOT2(dot2_upper, "hi", "u32")
DOT2(dot2_lower_signed, "lo", "s32")
DOT2(dot2_upper_signed, "hi", "s32")
#undef DOT2
#else
DEVICE int32_t dot2_lower(uint32_t a, uint32_t b, int32_t c) { return (int16_t)a * (uint8_t)b + (int16_t)(a >> 16) * (uint8_t)(b >> 8) + c; }
DEVICE int32_t dot2_upper(uint32_t a, uint32_t b, int32_t c) { return dot2_lower(a, b >> 16, c); }
DEVICE int32_t dot2_lower_signed(uint32_t a, uint32_t b, int32_t c) { return (int16_t)a * (int8_t)b + (int16_t)(a >> 16) * (int8_t)(b >> 8) + c; }
DEVICE int32_t dot2_upper_signed(uint32_t a, uint32_t b, int32_t c) { return dot2_lower_signed(a, b >> 16, c); }
#endif

// A block of multiply_short computes a tile of tile·tile sums, of which each of its 256 threads has four times four, tile_depth terms at a time.
const uint32_t tile = 64, tile_side = 16, tile_depth = 32;

// deepest is how many terms fit sums of 32 bits: a product of 16 and of 8 bits without a sign is at least −2^15·255.
const uint32_t deepest = 256;

// multiply_short adds coef·Σ_k a·b to the cells of out, for all batches, rows m and columns n: the cell of a is at its offsets of the batch, of m
// and of k, that of b at those of the batch, of n and of k, that of out at those of the batch, of m and of n. The offsets are lists, one after the
// other: of a's batches, rows and k; of b's batches, columns and k; of out's batches, rows and columns. An operand b is cut into
// bytes, whose products with a are summed in 32 bits. The grid has a block for every tile of columns, rows, and batch.
KERNEL(multiply_short, int64_t* out, const int16_t* a, const int16_t* b, const uint32_t* offsets, uint64_t batches, uint64_t rows, uint64_t columns,
	uint64_t depth, int64_t coef) {
	SHARED(uint32_t, pairs, tile_depth / 2 * tile);   // of a: two neighbours along k, for every row
	SHARED(uint32_t, lower, tile_depth / 4 * tile);   // of b: the lower bytes of four neighbours along k, for every column
	SHARED(uint32_t, upper, tile_depth / 4 * tile);   // and the upper ones
	const uint32_t *a_batch = offsets, *a_row = a_batch + batches, *a_k = a_row + rows, *b_batch = a_k + depth, *b_column = b_batch + batches,
				   *b_k = b_column + columns, *out_batch = b_k + depth, *out_row = out_batch + batches, *out_column = out_row + rows;
	uint32_t x = threadIdx.x % tile_side, y = threadIdx.x / tile_side;
	uint64_t first_column = (uint64_t)blockIdx.x * tile, first_row = (uint64_t)blockIdx.y * tile;
	for (uint64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
		int32_t low[4][4] = {}, high[4][4] = {};
		int64_t sum[4][4] = {};
		for (uint64_t from = 0; from < depth; from += tile_depth) {
			for (uint32_t i = threadIdx.x; i < tile_depth / 2 * tile; i += blockDim.x) {
				uint64_t row = first_row + i / (tile_depth / 2), k = from + i % (tile_depth / 2) * 2;
				uint32_t word = 0;
				if (row < rows) {
					const int16_t* at = a + a_batch[batch] + a_row[row];
					if (k < depth) word = (uint16_t)at[a_k[k]];
					if (k + 1 < depth) word |= (uint32_t)(uint16_t)at[a_k[k + 1]] << 16;
				}
				pairs[i % (tile_depth / 2) * tile + i / (tile_depth / 2)] = word;
			}
			for (uint32_t i = threadIdx.x; i < tile_depth / 4 * tile; i += blockDim.x) {
				uint64_t column = first_column + i % tile, k = from + i / tile * 4;
				uint32_t lows = 0, highs = 0;
				if (column < columns) {
					const int16_t* at = b + b_batch[batch] + b_column[column];
					for (uint32_t j = 0; j < 4 && k + j < depth; j++) {
						uint32_t v = (uint16_t)at[b_k[k + j]];
						lows |= (v & 255) << (8 * j);
						highs |= (v >> 8) << (8 * j);
					}
				}
				lower[i] = lows;
				upper[i] = highs;
			}
			BARRIER();
			for (uint32_t g = 0; g < tile_depth / 4; g++) {
				UNROLL for (uint32_t i = 0; i < 4; i++) {
					uint32_t p = pairs[2 * g * tile + y + tile_side * i], q = pairs[(2 * g + 1) * tile + y + tile_side * i];
					UNROLL for (uint32_t j = 0; j < 4; j++) {
						uint32_t l = lower[g * tile + x + tile_side * j], h = upper[g * tile + x + tile_side * j];
						low[i][j] = dot2_upper(q, l, dot2_lower(p, l, low[i][j]));
						high[i][j] = dot2_upper_signed(q, h, dot2_lower_signed(p, h, high[i][j]));
					}
				}
			}
			if ((from + tile_depth) % deepest == 0 || from + tile_depth >= depth) {
				UNROLL for (uint32_t i = 0; i < 4; i++) {
					UNROLL for (uint32_t j = 0; j < 4; j++) {
						sum[i][j] += low[i][j] + (int64_t)high[i][j] * 256;
						low[i][j] = high[i][j] = 0;
					}
				}
			}
			BARRIER();
		}
		UNROLL for (uint32_t i = 0; i < 4; i++) {
			UNROLL for (uint32_t j = 0; j < 4; j++) {
				uint64_t row = first_row + y + tile_side * i, column = first_column + x + tile_side * j;
				if (row < rows && column < columns) {
					int64_t* at = out + out_batch[batch] + out_row[row] + out_column[column];
					*at = (int64_t)((uint64_t)*at + (uint64_t)coef * (uint64_t)sum[i][j]);
				}
			}
		}
	}
}

// most_factors is how many factors a term has at most.
const uint32_t most_factors = 4;

// Factor is a factor of a term: its cells from from on, and the upper words if it is wide.
struct Factor {
	Tensor tensor;
	const int64_t* high;
	uint64_t from;
};

// Label is one of a term: its extent, and by how many cells its next index is further in the result, 0 if it is summed over, and in each
// factor.
struct Label {
	uint64_t extent, out, in[most_factors];
};

// Narrow are results of 64 bits, and Wider ones of 128, whose upper words are apart. Sums are without a sign, so that they may wrap around.
struct Narrow {
	typedef uint64_t Sum;
	int64_t* cells;

	static METHOD Sum number(int64_t v) { return (uint64_t)v; }
	static METHOD Sum read(const Factor& f, uint64_t at) { return number(cell(f.tensor, at)); }
	METHOD void add(uint64_t at, const Sum& sum) const { cells[at] = (int64_t)((uint64_t)cells[at] + sum); }
};

struct Wider {
	typedef Int128 Sum;
	int64_t *cells, *high;

	static METHOD Sum number(int64_t v) { return widened(v); }
	static METHOD Sum read(const Factor& f, uint64_t at) { return f.high != nullptr ? joined(cell(f.tensor, at), f.high[at]) : number(cell(f.tensor, at)); }
	METHOD void add(uint64_t at, const Sum& sum) const {
		Int128 all = joined(cells[at], high[at]) + sum;
		cells[at] = (int64_t)all.low;
		high[at] = split_high(all);
	}
};

// multiply adds coef·Σ Π factors to n cells of out, one for every index of the first kept of the labels, summed over all of the others.
template <class Result>
DEVICE void multiply(const Result& out, uint64_t from, uint64_t n, const Factor* factors, uint64_t count, const Label* labels, uint64_t kept, uint64_t all,
	int64_t coef) {
	typedef typename Result::Sum Sum;
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
		Sum sum = Result::number(0);
		for (uint64_t k = 0; k < terms; k++) {
			Sum product = Result::number(1);
			for (uint64_t f = 0; f < count; f++) {
				uint64_t place = in[f], left = k;
				for (uint64_t l = all; l-- > kept;) {
					place += left % labels[l].extent * labels[l].in[f];
					left /= labels[l].extent;
				}
				product = product * Result::read(factors[f], place);
			}
			sum = sum + product;
		}
		out.add(at, Result::number(coef) * sum);
	}
}

// multiply_any takes factors of any kind that are not wide, and is for what multiply_short does not take.
KERNEL(multiply_any, int64_t* out, uint64_t from, uint64_t n, const Factor* factors, uint64_t count, const Label* labels, uint64_t kept, uint64_t all,
	int64_t coef) {
	multiply(Narrow{out}, from, n, factors, count, labels, kept, all, coef);
}

// multiply_wide adds to a wide tensor: out, and its upper words in high.
KERNEL(multiply_wide, int64_t* out, int64_t* high, uint64_t from, uint64_t n, const Factor* factors, uint64_t count, const Label* labels, uint64_t kept,
	uint64_t all, int64_t coef) {
	multiply(Wider{out, high}, from, n, factors, count, labels, kept, all, coef);
}
