// Tensors of integers folded along some of their labels: Σ Π weights · cell.
#pragma once

#include "cells.cuh"
#include "share.cuh"
#include "wide.cuh"

// Kept is a label that the result has: its indices are bits of the result's index, from bit from on. The next index is stride cells further.
struct Kept {
	uint64_t from, bits, extent, stride;
};

// Folded is a label that the result does not have, with the weights of its indices.
struct Folded {
	uint64_t extent, stride;
	const Scalar* weights;
};

// Partial is one tensor's. Of the folded labels the first, inner, is summed up without reducing anything; the others together have outer indices, of which a
// block does run. A block does outs entries of the result, a power of two, and has SUM_THREADS/outs threads for each. Neighbouring threads have
// neighbouring entries, or the same one and neighbouring cells if across is not 0. Blocks of the same outer indices write to entries further
// parts from out on.
struct Partial {
	Tensor cells;
	Scalar* out;
	uint64_t bits, first_kept, kept, first_folded, folded, outer, run, outs, across;
};

KERNEL(partials, const Partial* tasks, const Kept* kept, const Folded* folded, const uint64_t* first, uint64_t count) {
	SHARED(Scalar, sums, SUM_THREADS);
	Share own = share(first, count);
	Partial task = tasks[own.task];
	uint32_t outs = (uint32_t)task.outs, parts = SUM_THREADS / outs, o = threadIdx.x % outs, p = threadIdx.x / outs;
	if (task.across != 0) {
		o = threadIdx.x / parts;
		p = threadIdx.x % parts;
	}
	uint64_t groups = (((uint64_t)1 << task.bits) + outs - 1) / outs, entry = own.block % groups * outs + o, part = own.block / groups;
	uint64_t at = 0, known = 0; // the bits that labels have
	bool inside = entry >> task.bits == 0;
	for (uint64_t l = task.first_kept; l < task.first_kept + task.kept; l++) {
		uint64_t mask = ((uint64_t)1 << kept[l].bits) - 1, index = entry >> kept[l].from & mask;
		if (index >= kept[l].extent) inside = false;
		known |= mask << kept[l].from;
		at += index * kept[l].stride;
	}
	if ((entry & ~known) != 0) inside = false;
	Scalar sum = Scalar::zero();
	uint64_t end = (part + 1) * task.run < task.outer ? (part + 1) * task.run : task.outer;
	Folded inner = folded[task.first_folded];
	for (uint64_t k = part * task.run; inside && k < end; k++) {
		uint64_t from = at;
		uint32_t rest = (uint32_t)k;
		Scalar weight = Scalar::one();
		for (uint64_t l = task.first_folded + 1; l < task.first_folded + task.folded; l++) {
			uint32_t extent = (uint32_t)folded[l].extent, index = rest % extent;
			rest /= extent;
			from += index * folded[l].stride;
			weight = weight * folded[l].weights[index];
		}
		Wide wide = Wide::zero();
		for (uint64_t i = p; i < inner.extent; i += parts) add_product(wide, words(load(inner.weights + i)), cell(task.cells, from + i * inner.stride));
		sum = sum + weight * reduced(wide);
	}
	sums[p * outs + o] = sum;
	add_up(sums, 1, outs, parts, o, p);
	if (p == 0 && entry >> task.bits == 0) task.out[(part << task.bits) + entry] = sums[o];
}

// fold_rows writes the sums of scaled rows of width cells, those from from to to, column by column; blockIdx.y is one of parts of the rows, whose sums
// stand width entries further.
KERNEL(fold_rows, Scalar* out, const int32_t* rows, const Scalar* coefs, uint64_t from, uint64_t to, uint64_t width) {
	uint64_t run = (to - from + gridDim.y - 1) / gridDim.y, begin = from + blockIdx.y * run, end = begin + run < to ? begin + run : to;
	for (uint64_t j = thread_index(); j < width; j += thread_count()) {
		Wide sum = Wide::zero();
		for (uint64_t r = begin; r < end; r++) add_product(sum, words(load(coefs + r)), rows[r * width + j]);
		out[blockIdx.y * width + j] = reduced(sum);
	}
}

// Parts are vectors of n entries, one after the other, whose sum is asked for.
struct Parts {
	Scalar* out;
	const Scalar* from;
	uint64_t n, count;
};

// PARTS_RUN is how many entries a block does.
#define PARTS_RUN 256

KERNEL(sum_parts, const Parts* lists, const uint64_t* first, uint64_t count) {
	Share own = share(first, count);
	Parts l = lists[own.task];
	for (uint64_t i = own.block * PARTS_RUN + threadIdx.x; i < (own.block + 1) * PARTS_RUN && i < l.n; i += blockDim.x) {
		Scalar sum = load(l.from + i);
		for (uint64_t k = 1; k < l.count; k++) sum = sum + load(l.from + k * l.n + i);
		l.out[i] = sum;
	}
}
