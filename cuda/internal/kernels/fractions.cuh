// The fraction tree of lookups (SPEC.md 9): its leaves, which are computed from integers whenever they are needed, its layers, and the rounds of
// their sumchecks. Of a layer only the entries up to the last one that a block of leaves is under are stored: the others are 0/1.
#pragma once

#include "cells.cuh"
#include "share.cuh"
#include "wide.cuh"

struct Fraction {
	Scalar p, q;
};

DEVICE Fraction no_fraction() { return Fraction{Scalar::zero(), Scalar::one()}; }

DEVICE Fraction operator+(const Fraction& a, const Fraction& b) { return Fraction{a.p * b.q + b.p * a.q, a.q * b.q}; }

// Stored is a layer that is stored.
struct Stored {
	const Scalar *p, *q;
	uint64_t n;

	METHOD Fraction at(uint64_t i) const { return i < n ? Fraction{load(p + i), load(q + i)} : no_fraction(); }
};

// Side is an axis of a block of leaves: bits of the index of a leaf, and how many indices have a cell. The lowest comes first.
struct Side {
	uint64_t bits, extent;
};

// Leaf says what leaves from offset on, size of them, are made of: p is 1, or minus a cell of mult; q is the start of the same number and the sum of the
// columns' cells, each times its factor, which is that of the same number.
struct Leaf {
	uint64_t offset, size, first_side, sides, first_column, columns;
	Tensor mult; // nowhere if p is 1
};

// Leaves are those of blocks, of which there is one at least, by their offsets, which rise.
struct Leaves {
	const Leaf* blocks;
	uint64_t count;
	const Side* sides;
	const Tensor* columns;
	const Scalar *factors, *starts;

	METHOD Fraction at(uint64_t i) const;
};

METHOD Fraction Leaves::at(uint64_t i) const {
	uint64_t low = 0, high = count;
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;
		if (blocks[middle].offset <= i) {
			low = middle;
		} else {
			high = middle;
		}
	}
	Leaf b = blocks[low];
	uint64_t rest = i - b.offset, cell_at = 0, stride = 1;
	bool inside = i >= b.offset && rest < b.size;
	for (uint64_t s = b.first_side; s < b.first_side + b.sides; s++) {
		uint64_t index = rest & (((uint64_t)1 << sides[s].bits) - 1);
		rest >>= sides[s].bits;
		if (index >= sides[s].extent) inside = false;
		cell_at += index * stride;
		stride *= sides[s].extent;
	}
	if (!inside) return no_fraction();
	Fraction f = {Scalar::one(), starts[low]};
	if (b.columns > 0) {
		Wide sum = Wide::zero();
		for (uint64_t c = b.first_column; c < b.first_column + b.columns; c++) add_product(sum, words(factors[c]), cell(columns[c], cell_at));
		f.q = f.q + reduced(sum);
	}
	if (b.mult.cells != nullptr) {
		Wide sum = Wide::zero();
		add_product(sum, words(Scalar::one()), cell(b.mult, cell_at));
		f.p = -reduced(sum);
	}
	return f;
}

// add_leaves writes n fractions of the layer above the leaves.
KERNEL(add_leaves, Scalar* p, Scalar* q, uint64_t n, const Leaf* blocks, uint64_t count, const Side* sides, const Tensor* columns, const Scalar* factors,
	const Scalar* starts) {
	Leaves below = {blocks, count, sides, columns, factors, starts};
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Fraction f = below.at(2 * i) + below.at(2 * i + 1);
		p[i] = f.p;
		q[i] = f.q;
	}
}

// write_leaves writes the first n leaves.
KERNEL(write_leaves, Scalar* p, Scalar* q, uint64_t n, const Leaf* blocks, uint64_t count, const Side* sides, const Tensor* columns, const Scalar* factors,
	const Scalar* starts) {
	Leaves leaves = {blocks, count, sides, columns, factors, starts};
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Fraction f = leaves.at(i);
		p[i] = f.p;
		q[i] = f.q;
	}
}

// Layer is one of a tree: n fractions.
struct Layer {
	Scalar *p, *q;
	uint64_t n;
};

// add_layers writes layers from the first but one on, each the sums of pairs of the one before. Layers that are more than one block's are one launch each.
KERNEL(add_layers, const Layer* layers, uint64_t count) {
	for (uint64_t l = 1; l < count; l++) {
		Stored below = {layers[l - 1].p, layers[l - 1].q, layers[l - 1].n};
		for (uint64_t i = thread_index(); i < layers[l].n; i += thread_count()) {
			Fraction f = below.at(2 * i) + below.at(2 * i + 1);
			layers[l].p[i] = f.p;
			layers[l].q[i] = f.q;
		}
		BARRIER();
	}
}

// Children are those of two neighbouring entries y of a layer, 2x and 2x + 1, that its sumcheck is about: the fractions 4x to 4x + 3 of the
// layer below, or of what is left of it with variables fixed. A variable that is fixed to r makes of the children 2c + b those of the entries x:
// (1 − r)·child(4x + b) + r·child(4x + 2 + b).
struct Children {
	Fraction at[4];
};

template <class Source> DEVICE Children children(const Source& from, uint64_t x) {
	return Children{{from.at(4 * x), from.at(4 * x + 1), from.at(4 * x + 2), from.at(4 * x + 3)}};
}

DEVICE Fraction between(const Fraction& a, const Fraction& b, const Scalar& r) { return Fraction{a.p + r * (b.p - a.p), a.q + r * (b.q - a.q)}; }

// summand is p⁰q¹ + p¹q⁰ + λ·q⁰q¹.
DEVICE Scalar summand(const Fraction& a, const Fraction& b, const Scalar& lambda) { return a.p * b.q + (b.p + lambda * b.q) * a.q; }

// Weight is eq(s, x) in two tables, of the lowest low_bits of x and of the others.
struct Weight {
	const Scalar *low, *high;
	uint64_t low_bits;

	METHOD Scalar at(uint64_t x) const { return load(low + (x & (((uint64_t)1 << low_bits) - 1))) * load(high + (x >> low_bits)); }
};

// Round is what a round asks for: Σ_x w(x)·(F(x, 1) − F(x, 0)), and the same of the coefficient of X² of F(x, X).
struct Round {
	Scalar delta, inf;

	METHOD void add(const Children& c, const Scalar& lambda, const Scalar& weight);
};

METHOD void Round::add(const Children& c, const Scalar& lambda, const Scalar& weight) {
	Scalar one = summand(c.at[2], c.at[3], lambda), none = summand(c.at[0], c.at[1], lambda);
	Fraction a = {c.at[2].p - c.at[0].p, c.at[2].q - c.at[0].q}, b = {c.at[3].p - c.at[1].p, c.at[3].q - c.at[1].q};
	delta = delta + weight * (one - none);
	inf = inf + weight * summand(a, b, lambda);
}

// write_round adds up the block's rounds.
DEVICE void write_round(Scalar* out, const Round& own) {
	SHARED(Scalar, sums, 2 * SUM_THREADS);
	sums[threadIdx.x] = own.delta;
	sums[SUM_THREADS + threadIdx.x] = own.inf;
	add_up(sums, 2, 1, SUM_THREADS, 0, threadIdx.x);
	if (threadIdx.x == 0) {
		out[2 * blockIdx.x] = sums[0];
		out[2 * blockIdx.x + 1] = sums[SUM_THREADS];
	}
}

// round asks for a round over n indices x.
template <class Source> DEVICE void round(Scalar* out, const Source& from, uint64_t n, const Weight& weight, const Scalar& lambda) {
	Round own = {Scalar::zero(), Scalar::zero()};
	for (uint64_t x = thread_index(); x < n; x += thread_count()) own.add(children(from, x), lambda, weight.at(x));
	write_round(out, own);
}

// bind_round fixes a variable to r, writes what is left, bound fractions, and asks for the next round.
template <class Source>
DEVICE void bind_round(Scalar* out, const Source& from, Scalar* p, Scalar* q, uint64_t bound, const Weight& weight, const Scalar& lambda, const Scalar& r) {
	Round own = {Scalar::zero(), Scalar::zero()};
	for (uint64_t x = thread_index(); 4 * x < bound; x += thread_count()) {
		Children next;
		UNROLL for (uint64_t half = 0; half < 2; half++) {
			Children c = children(from, 2 * x + half);
			next.at[2 * half] = between(c.at[0], c.at[2], r);
			next.at[2 * half + 1] = between(c.at[1], c.at[3], r);
		}
		UNROLL for (uint64_t k = 0; k < 4; k++) {
			if (4 * x + k < bound) {
				p[4 * x + k] = next.at[k].p;
				q[4 * x + k] = next.at[k].q;
			}
		}
		own.add(next, lambda, weight.at(x));
	}
	write_round(out, own);
}

// What every round is given besides its fractions: the weights' two tables, in the memory of the device, and λ, by its limbs.
#define ROUND_PARAMETERS const Scalar *low, const Scalar *high, uint64_t low_bits, uint64_t l0, uint64_t l1, uint64_t l2, uint64_t l3
#define ROUND_WEIGHT (Weight{low, high, low_bits})
#define ROUND_LAMBDA (Scalar{{l0, l1, l2, l3}})

KERNEL(layer_round, Scalar* out, const Scalar* p, const Scalar* q, uint64_t stored, uint64_t n, ROUND_PARAMETERS) {
	round(out, Stored{p, q, stored}, n, ROUND_WEIGHT, ROUND_LAMBDA);
}

KERNEL(leaves_round, Scalar* out, const Leaf* blocks, uint64_t count, const Side* sides, const Tensor* columns, const Scalar* factors, const Scalar* starts,
	uint64_t n, ROUND_PARAMETERS) {
	round(out, Leaves{blocks, count, sides, columns, factors, starts}, n, ROUND_WEIGHT, ROUND_LAMBDA);
}

KERNEL(layer_bind_round, Scalar* out, const Scalar* p, const Scalar* q, uint64_t stored, Scalar* bound_p, Scalar* bound_q, uint64_t bound, ROUND_PARAMETERS,
	uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3) {
	bind_round(out, Stored{p, q, stored}, bound_p, bound_q, bound, ROUND_WEIGHT, ROUND_LAMBDA, Scalar{{r0, r1, r2, r3}});
}

KERNEL(leaves_bind_round, Scalar* out, const Leaf* blocks, uint64_t count, const Side* sides, const Tensor* columns, const Scalar* factors,
	const Scalar* starts, Scalar* bound_p, Scalar* bound_q, uint64_t bound, ROUND_PARAMETERS, uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3) {
	bind_round(out, Leaves{blocks, count, sides, columns, factors, starts}, bound_p, bound_q, bound, ROUND_WEIGHT, ROUND_LAMBDA, Scalar{{r0, r1, r2, r3}});
}
