// Boxes of tensors' cells, as the steps of a witness read and write them: in row-major order of the box.
#pragma once

#include "cells.cuh"
#include "int128.cuh"
#include "share.cuh"

// Walk is how far it is to the next index of an axis of a box, the lowest axis first. Axes whose cells are neighbours are one.
struct Walk {
	uint64_t extent, stride;
};

// Region is a box of a tensor: cells from from on, and the upper words if it is wide.
struct Region {
	Tensor tensor;
	int64_t* high;
	uint64_t from, first_walk, walks;
};

// place is where cell i of a box is.
DEVICE uint64_t place(const Region& r, const Walk* walks, uint64_t i) {
	uint64_t at = r.from;
	for (uint64_t w = r.first_walk; w < r.first_walk + r.walks; w++) {
		if (w + 1 == r.first_walk + r.walks) return at + i * walks[w].stride;
		at += i % walks[w].extent * walks[w].stride;
		i /= walks[w].extent;
	}
	return at;
}

// narrow is a cell that is not a wide tensor's, or its lower word, and whole one that may be.
DEVICE int64_t narrow(const Region& r, const Walk* walks, uint64_t i) { return cell(r.tensor, place(r, walks, i)); }

DEVICE Int128 whole(const Region& r, const Walk* walks, uint64_t i) {
	uint64_t at = place(r, walks, i);
	int64_t v = cell(r.tensor, at);
	return r.high != nullptr ? joined(v, r.high[at]) : widened(v);
}

// put writes a cell of 8 bytes.
DEVICE void put(const Region& r, const Walk* walks, uint64_t i, int64_t v) { ((int64_t*)r.tensor.cells)[place(r, walks, i)] = v; }

// gather writes the cells of a box, and their upper words behind them.
KERNEL(gather, int64_t* out, const Region* box, const Walk* walks, uint64_t n) {
	Region r = box[0];
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		uint64_t at = place(r, walks, i);
		out[i] = cell(r.tensor, at);
		if (r.high != nullptr) out[n + i] = r.high[at];
	}
}

// scatter writes to the cells of a box, whose upper words come behind them.
KERNEL(scatter, const Region* box, const Walk* walks, const int64_t* in, uint64_t n) {
	Region r = box[0];
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		uint64_t at = place(r, walks, i);
		((int64_t*)r.tensor.cells)[at] = in[i];
		if (r.high != nullptr) r.high[at] = in[n + i];
	}
}

// split_words writes what stands in the place of a wide tensor, of which upper counts 2^62 times.
KERNEL(split_words, int64_t* lower, int64_t* upper, const int64_t* v, const int64_t* high, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		lower[i] = v[i] & (((int64_t)1 << 62) - 1);
		upper[i] = (int64_t)((uint64_t)high[i] << 2) + (v[i] >> 62);
	}
}

// Found is how many cells are not zero, or are something else, and which is the first: beyond all if none is.
struct Found {
	uint64_t count, first;
};

KERNEL(find_nonzero, Found* found, const Region* box, const Walk* walks, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Int128 v = whole(box[0], walks, i);
		if ((v.low | (uint64_t)v.high) == 0) continue;
		atomic_add(&found->count, (uint64_t)1);
		atomic_min(&found->first, i);
	}
}

// Settled are n cells of a tensor, as they are and as they are to be kept.
struct Settled {
	const int64_t* from;
	void* to;
	uint64_t size, n;
};

// measure makes most[t] the complement of the largest of v and −v−1 of all cells of tensor t, whose blocks are first[t] to first[t+1].
KERNEL(measure, uint64_t* most, const Settled* tensors, const uint64_t* first, uint64_t count, uint64_t run) {
	Share own = share(first, count);
	Settled t = tensors[own.task];
	uint64_t end = (own.block + 1) * run < t.n ? (own.block + 1) * run : t.n, size = 0;
	for (uint64_t i = own.block * run + threadIdx.x; i < end; i += blockDim.x) {
		uint64_t v = (uint64_t)(t.from[i] < 0 ? ~t.from[i] : t.from[i]);
		if (v > size) size = v;
	}
	atomic_min(most + own.task, ~size);
}

// shorten writes cells in fewer bytes.
KERNEL(shorten, const Settled* tensors, const uint64_t* first, uint64_t count, uint64_t run) {
	Share own = share(first, count);
	Settled t = tensors[own.task];
	uint64_t end = (own.block + 1) * run < t.n ? (own.block + 1) * run : t.n;
	for (uint64_t i = own.block * run + threadIdx.x; i < end; i += blockDim.x) {
		if (t.size == 2) {
			((int16_t*)t.to)[i] = (int16_t)t.from[i];
		} else {
			((int32_t*)t.to)[i] = (int32_t)t.from[i];
		}
	}
}
