// The fraction tree of lookups (SPEC.md 9): its leaves, which are computed from integers whenever they are needed, its layers, of which the lowest are
// computed from leaves, too, where there is no memory for them, and the rounds of their sumchecks. Of a layer only the entries up to the last one that a block of leaves is under are stored: the others are 0/1.
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

// Kind says what is known of a leaf: that it is 0/1, for there is no cell; that its p is 1; or neither, for it has a multiplicity.
enum Kind { NO_CELL, UNIT, COUNTED };

// Leaves are those of blocks, of which there is one at least, by their offsets, which rise.
struct Leaves {
	const Leaf* blocks;
	uint64_t count;
	const Side* sides;
	const Tensor* columns;
	const Scalar *factors, *starts;

	METHOD Kind read(Fraction& f, uint64_t i) const;
	METHOD Fraction at(uint64_t i) const;
	METHOD Fraction pair(uint64_t i) const;
};

METHOD Kind Leaves::read(Fraction& f, uint64_t i) const {
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
	if (!inside) {
		f = no_fraction();
		return NO_CELL;
	}
	f = Fraction{Scalar::one(), starts[low]};
	if (b.columns > 0) {
		Wide sum = Wide::zero();
		for (uint64_t c = b.first_column; c < b.first_column + b.columns; c++) add_product(sum, words(factors[c]), cell(columns[c], cell_at));
		f.q = f.q + reduced(sum);
	}
	if (b.mult.cells == nullptr) return UNIT;
	Wide sum = Wide::zero();
	add_product(sum, words(Scalar::one()), cell(b.mult, cell_at));
	f.p = -reduced(sum);
	return COUNTED;
}

METHOD Fraction Leaves::at(uint64_t i) const {
	Fraction f;
	read(f, i);
	return f;
}

// pair is the sum of the leaves i and i + 1. Nearly all have p = 1, and 1/a + 1/b = (a + b)/ab takes one product in place of three.
METHOD Fraction Leaves::pair(uint64_t i) const {
	Fraction a, b;
	Kind first = read(a, i), second = read(b, i + 1);
	if (second == NO_CELL) return a;
	if (first == NO_CELL) return b;
	if (first == UNIT && second == UNIT) return Fraction{a.q + b.q, a.q * b.q};
	return a + b;
}

// What every kernel is given that computes leaves.
#define LEAVES_PARAMETERS const Leaf *blocks, uint64_t count, const Side *sides, const Tensor *columns, const Scalar *factors, const Scalar *starts
#define LEAVES (Leaves{blocks, count, sides, columns, factors, starts})

// MOST_LEVELS is how many layers above the leaves are computed from them.
#define MOST_LEVELS 16

// Computed is a layer some levels above the leaves, which is stored nowhere, with some of the lowest variables of its sumcheck fixed: of an entry, a child b
// of x, those of all indices that begin with x, weighted with eq of what they end in.
struct Computed {
	Leaves leaves;
	uint64_t levels;
	const Scalar* eq;
	uint64_t fixed;

	METHOD Fraction sum(uint64_t i) const;
	METHOD Fraction at(uint64_t i) const;
};

// sum adds up the leaves below an entry, those of one half of a subtree before those of the other.
METHOD Fraction Computed::sum(uint64_t i) const {
	if (levels == 0) return leaves.at(i);
	Fraction sums[MOST_LEVELS + 1];
	for (uint64_t k = 0; k >> levels == 0; k += 2) {
		Fraction f = leaves.pair((i << levels) + k);
		uint64_t level = 1;
		for (; (k >> level & 1) != 0; level++) f = sums[level] + f;
		sums[level] = f;
	}
	return sums[levels];
}

METHOD Fraction Computed::at(uint64_t i) const {
	if (fixed == 0) return sum(i);
	Fraction f = {Scalar::zero(), Scalar::zero()};
	for (uint64_t k = 0; k >> fixed == 0; k++) {
		uint64_t at = (((i >> 1) << fixed) + k) * 2 + (i & 1);
		Scalar weight = load(eq + k);
		Fraction one;
		Kind kind = COUNTED;
		if (levels == 0) {
			kind = leaves.read(one, at);
		} else {
			one = sum(at);
		}
		if (kind == NO_CELL) {
			f.q = f.q + weight;
			continue;
		}
		f.p = f.p + (kind == UNIT ? weight : weight * one.p);
		f.q = f.q + weight * one.q;
	}
	return f;
}

// What is computed from leaves is computed from those of some blocks at a time, where there is no memory for the columns of all: of a layer the fractions that
// these are below, of rounds what these add to the sums.

// write_layer writes the fractions from first up to n of the layer some levels above the leaves, or of these.
KERNEL(write_layer, Scalar* p, Scalar* q, uint64_t first, uint64_t n, uint64_t levels, LEAVES_PARAMETERS) {
	Computed from = {LEAVES, levels, nullptr, 0};
	for (uint64_t i = first + thread_index(); i < n; i += thread_count()) {
		Fraction f = from.at(i);
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

// Along is a summand along a variable of its children: where it is 0, where it is 1, and the coefficient of its square.
struct Along {
	Scalar none, one, square;
};

DEVICE Along along(const Children& c, const Scalar& lambda) {
	Fraction a = {c.at[2].p - c.at[0].p, c.at[2].q - c.at[0].q}, b = {c.at[3].p - c.at[1].p, c.at[3].q - c.at[1].q};
	return Along{summand(c.at[0], c.at[1], lambda), summand(c.at[2], c.at[3], lambda), summand(a, b, lambda)};
}

DEVICE Children operator-(const Children& a, const Children& b) {
	Children d;
	UNROLL for (int k = 0; k < 4; k++) d.at[k] = Fraction{a.at[k].p - b.at[k].p, a.at[k].q - b.at[k].q};
	return d;
}

// WINDOW_SUMS is how many sums two rounds take together.
#define WINDOW_SUMS 8

// Window is what two rounds ask for, the second for every challenge of the first: Σ_x w(x)·F(X, Y, x), of which the variables X and Y are the two rounds'.
// Of F(X, 0) and of F(X, 1) there is the step from X = 0 to 1 and the coefficient of X²; then the step of F(0, Y), and the coefficient of Y², itself
// along X: at 0, at 1, and its coefficient of X².
struct Window {
	Scalar sums[WINDOW_SUMS];

	METHOD void add(const Children& none, const Children& one, const Scalar& lambda, const Scalar& weight);
};

METHOD void Window::add(const Children& none, const Children& one, const Scalar& lambda, const Scalar& weight) {
	Along a = along(none, lambda), b = along(one, lambda), c = along(one - none, lambda);
	sums[0] = sums[0] + weight * (a.one - a.none);
	sums[1] = sums[1] + weight * (b.one - b.none);
	sums[2] = sums[2] + weight * a.square;
	sums[3] = sums[3] + weight * b.square;
	sums[4] = sums[4] + weight * (b.none - a.none);
	sums[5] = sums[5] + weight * c.none;
	sums[6] = sums[6] + weight * c.one;
	sums[7] = sums[7] + weight * c.square;
}

DEVICE Window no_window() {
	Window w;
	UNROLL for (int k = 0; k < WINDOW_SUMS; k++) w.sums[k] = Scalar::zero();
	return w;
}

// write_window adds up the block's windows.
DEVICE void write_window(Scalar* out, const Window& own) {
	SHARED(Scalar, sums, WINDOW_SUMS* SUM_THREADS);
	UNROLL for (int k = 0; k < WINDOW_SUMS; k++) sums[k * SUM_THREADS + threadIdx.x] = own.sums[k];
	add_up(sums, WINDOW_SUMS, 1, SUM_THREADS, 0, threadIdx.x);
	if (threadIdx.x == 0) {
		for (int k = 0; k < WINDOW_SUMS; k++) out[WINDOW_SUMS * blockIdx.x + k] = sums[k * SUM_THREADS];
	}
}

// window asks for two rounds, over the indices x from first up to n.
template <class Source> DEVICE void window(Scalar* out, const Source& from, uint64_t first, uint64_t n, const Weight& weight, const Scalar& lambda) {
	Window own = no_window();
	for (uint64_t x = first + thread_index(); x < n; x += thread_count()) own.add(children(from, 2 * x), children(from, 2 * x + 1), lambda, weight.at(x));
	write_window(out, own);
}

// fixed is the fraction i of what is left when two variables are fixed, the lower one to r.
template <class Source> DEVICE Fraction fixed(const Source& from, uint64_t i, const Scalar& r, const Scalar& s) {
	uint64_t at = 8 * (i / 2) + i % 2;
	return between(between(from.at(at), from.at(at + 2), r), between(from.at(at + 4), from.at(at + 6), r), s);
}

// bind_window fixes two variables, writes what is left, the fractions from 8·first up to bound, and asks for the next two rounds.
template <class Source>
DEVICE void bind_window(Scalar* out, const Source& from, Scalar* p, Scalar* q, uint64_t first, uint64_t bound, const Weight& weight, const Scalar& lambda, const Scalar& r,
	const Scalar& s) {
	Window own = no_window();
	for (uint64_t x = first + thread_index(); 8 * x < bound; x += thread_count()) {
		Children next[2];
		for (uint64_t k = 0; k < 8; k++) {
			Fraction f = fixed(from, 8 * x + k, r, s);
			next[k / 4].at[k % 4] = f;
			if (8 * x + k < bound) {
				p[8 * x + k] = f.p;
				q[8 * x + k] = f.q;
			}
		}
		own.add(next[0], next[1], lambda, weight.at(x));
	}
	write_window(out, own);
}

// What every window is given besides its fractions: the weights' two tables, in the memory of the device, and λ, by its limbs; and what variables are
// fixed to, by theirs.
#define WINDOW_PARAMETERS const Scalar *low, const Scalar *high, uint64_t low_bits, uint64_t l0, uint64_t l1, uint64_t l2, uint64_t l3
#define WINDOW_WEIGHT (Weight{low, high, low_bits})
#define WINDOW_LAMBDA (Scalar{{l0, l1, l2, l3}})
#define FIXED_PARAMETERS uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t s0, uint64_t s1, uint64_t s2, uint64_t s3
#define FIXED_TO (Scalar{{r0, r1, r2, r3}}), (Scalar{{s0, s1, s2, s3}})

KERNEL(layer_window, Scalar* out, const Scalar* p, const Scalar* q, uint64_t stored, uint64_t n, WINDOW_PARAMETERS) {
	window(out, Stored{p, q, stored}, 0, n, WINDOW_WEIGHT, WINDOW_LAMBDA);
}

KERNEL(computed_window, Scalar* out, LEAVES_PARAMETERS, uint64_t levels, const Scalar* eq, uint64_t fixed, uint64_t first, uint64_t n, WINDOW_PARAMETERS) {
	window(out, Computed{LEAVES, levels, eq, fixed}, first, n, WINDOW_WEIGHT, WINDOW_LAMBDA);
}

KERNEL(layer_bind_window, Scalar* out, const Scalar* p, const Scalar* q, uint64_t stored, Scalar* bound_p, Scalar* bound_q, uint64_t bound, WINDOW_PARAMETERS,
	FIXED_PARAMETERS) {
	bind_window(out, Stored{p, q, stored}, bound_p, bound_q, 0, bound, WINDOW_WEIGHT, WINDOW_LAMBDA, FIXED_TO);
}

KERNEL(computed_bind_window, Scalar* out, LEAVES_PARAMETERS, uint64_t levels, const Scalar* eq, uint64_t fixed, Scalar* bound_p, Scalar* bound_q,
	uint64_t first, uint64_t bound, WINDOW_PARAMETERS, FIXED_PARAMETERS) {
	bind_window(out, (Computed{LEAVES, levels, eq, fixed}), bound_p, bound_q, first, bound, WINDOW_WEIGHT, WINDOW_LAMBDA, FIXED_TO);
}
