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

DEVICE Fraction operator+(const Fraction& a, const Fraction& b) { return Fraction{products(a.p, b.q, b.p, a.q), a.q * b.q}; }

// Kind says what is known of a leaf: that it is 0/1, for there is no cell; that its p is 1; or neither, for it has a multiplicity.
enum Kind { NO_CELL, UNIT, COUNTED };

// Stored is a layer that is stored.
struct Stored {
	const Scalar *p, *q;
	uint64_t n;

	METHOD Fraction at(uint64_t i) const { return i < n ? Fraction{load(p + i), load(q + i)} : no_fraction(); }
	METHOD Fraction pair(uint64_t i) const { return at(i) + at(i + 1); }
	METHOD Kind read(Fraction& f, uint64_t i) const {
		f = at(i);
		return COUNTED;
	}
};

// Side is an axis of a block of leaves: bits of the index of a leaf, and how many indices have a cell. The lowest comes first.
struct Side {
	uint64_t bits, extent;
};

// Leaf says what leaves from offset on, size of them, are made of: p is 1, or minus a cell of mult; q is the start of the same number and the sum of the
// columns' cells, each times its factor, which is that of the same number, of which 2^96 times is given.
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
		f.q = f.q + shifted(sum);
	}
	if (b.mult.cells == nullptr) return UNIT;
	Wide sum = Wide::zero();
	add_product(sum, words(shift()), cell(b.mult, cell_at));
	f.p = -shifted(sum);
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

// Computed is a layer some levels above the leaves, or above one that is stored, which is stored nowhere, with some of the lowest variables of its sumcheck fixed: of an entry, a child b
// of x, those of all indices that begin with x, weighted with eq of what they end in.
template <class Below> struct Computed {
	Below below;
	uint64_t levels;
	const Scalar* eq;
	uint64_t fixed;

	METHOD Fraction sum(uint64_t i) const;
	METHOD Fraction at(uint64_t i) const;
};

// sum adds up what is below an entry, those of one half of a subtree before those of the other.
template <class Below> METHOD Fraction Computed<Below>::sum(uint64_t i) const {
	if (levels == 0) return below.at(i);
	Fraction sums[MOST_LEVELS + 1];
	for (uint64_t k = 0; k >> levels == 0; k += 2) {
		Fraction f = below.pair((i << levels) + k);
		uint64_t level = 1;
		for (; (k >> level & 1) != 0; level++) f = sums[level] + f;
		sums[level] = f;
	}
	return sums[levels];
}

template <class Below> METHOD Fraction Computed<Below>::at(uint64_t i) const {
	if (fixed == 0) return sum(i);
	Fraction f = {Scalar::zero(), Scalar::zero()};
	ProductSum p = ProductSum::zero(), q = ProductSum::zero();
	for (uint64_t k = 0; k >> fixed == 0; k++) {
		uint64_t at = (((i >> 1) << fixed) + k) * 2 + (i & 1);
		Scalar weight = load(eq + k);
		Fraction one;
		Kind kind = COUNTED;
		if (levels == 0) {
			kind = below.read(one, at);
		} else {
			one = sum(at);
		}
		if (kind == NO_CELL) {
			f.q = f.q + weight;
			continue;
		}
		if (kind == UNIT) {
			f.p = f.p + weight;
		} else {
			add_product(p, weight, one.p);
		}
		add_product(q, weight, one.q);
	}
	return Fraction{f.p + reduced(p), f.q + reduced(q)};
}

// What is computed from leaves is computed from those of some blocks at a time, where there is no memory for the columns of all: of a layer the fractions that
// these are below, of rounds what these add to the sums.

// write writes the fractions from first up to n.
template <class Below> DEVICE void write(Scalar* p, Scalar* q, uint64_t first, uint64_t n, const Computed<Below>& from) {
	for (uint64_t i = first + thread_index(); i < n; i += thread_count()) {
		Fraction f = from.at(i);
		p[i] = f.p;
		q[i] = f.q;
	}
}

// write_layer writes the fractions from first up to n of the layer some levels above the leaves, or of these.
KERNEL(write_layer, Scalar* p, Scalar* q, uint64_t first, uint64_t n, uint64_t levels, LEAVES_PARAMETERS) {
	write(p, q, first, n, Computed<Leaves>{LEAVES, levels, nullptr, 0});
}

// write_above writes n fractions of the layer some levels above one that is stored.
KERNEL(write_above, Scalar* p, Scalar* q, uint64_t n, uint64_t levels, const Scalar* below_p, const Scalar* below_q, uint64_t stored) {
	write(p, q, 0, n, Computed<Stored>{Stored{below_p, below_q, stored}, levels, nullptr, 0});
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

// The sumcheck of a layer is about pairs of neighbouring entries 2y and 2y + 1, the children of y. Several rounds are asked for together, those of K variables: for a
// group x of 2^K indices y it takes F(y) = p⁰q¹ + p¹q⁰ + λ·q⁰q¹, weighted with w(x), at all points of {0, 1, ∞}^K, where ∞ stands for the coefficient of the square. With these
// the processor knows the polynomials of all K rounds, whatever the challenges are. F is p⁰·q¹ + q⁰·(p¹ + λ·q¹), of four forms that are linear in every
// variable: at ∞ such a form is the difference of what it is at 1 and at 0.

// MOST_VARIABLES is how many rounds are asked for together at most.
#define MOST_VARIABLES 4

// Grid has the points of K variables, whose digits of base 3 are 0, 1 or, for ∞, 2; that of the first variable is the lowest. A block has a tile of groups
// at a time, of whose fractions each thread has one, and adds up at every point what some of them, a part, make.
template <int K> struct Grid {
	static const uint32_t points = 3 * Grid<K - 1>::points, fractions = 2 << K, groups = SUM_THREADS / fractions;
	static const uint32_t parts = SUM_THREADS / points < groups ? SUM_THREADS / points : groups;
};

template <> struct Grid<0> {
	static const uint32_t points = 1;
};

// place is the point of a grid where variables are the bits of y.
DEVICE uint32_t place(uint32_t y) {
	uint32_t at = 0;
	for (uint32_t digit = 1; y != 0; y >>= 1, digit *= 3) at += (y & 1) * digit;
	return at;
}

// extend works out what so many forms, of which the values at 0 and 1 are there, are where variables are ∞: one variable after the other.
template <int K> DEVICE void extend(Scalar* forms, uint32_t count) {
	uint32_t low = 1;
	UNROLL for (int i = 0; i < K; i++) {
		uint32_t each = low << (K - 1 - i);
		for (uint32_t t = threadIdx.x; t < count * each; t += SUM_THREADS) {
			uint32_t rest = t % each;
			Scalar* at = forms + t / each * Grid<K>::points + rest % low + 3 * low * place(rest / low);
			at[2 * low] = at[low] - at[0];
		}
		low *= 3;
		BARRIER();
	}
}

// Weight is eq(s, x) in two tables, of the lowest low_bits of x and of the others.
struct Weight {
	const Scalar *low, *high;
	uint64_t low_bits;

	METHOD Scalar at(uint64_t x) const { return load(low + (x & (((uint64_t)1 << low_bits) - 1))) * load(high + (x >> low_bits)); }
};

// window asks for the rounds of K variables, over the groups from first up to n, and writes the fractions that these are made of, up to kept.
template <int K, class Source>
DEVICE void window(Scalar* out, const Source& from, Scalar* p, Scalar* q, uint64_t kept, uint64_t first, uint64_t n, const Weight& weight, const Scalar& lambda) {
	typedef Grid<K> Own;
	SHARED(Scalar, forms, 4 * Own::groups * Own::points);
	SHARED(Scalar, weights, Own::groups);
	uint32_t t = threadIdx.x, point = t % Own::points, part = t / Own::points, group = t / Own::fractions, child = t % 2;
	Scalar ones = Scalar::zero(); // leaves have the numerator 1 nearly all, and at ∞ 0
	ProductSum sum = ProductSum::zero();
	for (uint64_t tile = first + blockIdx.x * Own::groups; tile < n; tile += gridDim.x * Own::groups) {
		uint64_t i = tile * Own::fractions + t;
		Fraction f = tile + group < n ? from.at(i) : no_fraction();
		if (tile + group < n && i < kept) {
			p[i] = f.p;
			q[i] = f.q;
		}
		if (t < Own::groups) weights[t] = tile + t < n ? weight.at(tile + t) : Scalar::zero();
		BARRIER();
		Scalar* form = forms + (4 * group + 2 * child) * Own::points + place(t % Own::fractions / 2); // p⁰ and w·q⁰, or w·q¹ and p¹ + λ·q¹
		Scalar weighted = weights[group] * f.q;
		form[0] = child == 0 ? f.p : weighted;
		form[Own::points] = child == 0 ? weighted : f.p + lambda * f.q;
		BARRIER();
		extend<K>(forms, 4 * Own::groups);
		for (uint32_t g = part; part < Own::parts && g < Own::groups; g += Own::parts) {
			const Scalar* at = forms + 4 * g * Own::points + point;
			add_product(sum, at[Own::points], at[3 * Own::points]);
			if (at[0] == Scalar::one()) {
				ones = ones + at[2 * Own::points];
			} else if (!is_zero(at[0])) {
				add_product(sum, at[0], at[2 * Own::points]);
			}
		}
	}
	BARRIER();
	forms[t] = ones + reduced(sum);
	add_up(forms, 1, Own::points, Own::parts, point, part);
	if (t < Own::points) out[Own::points * blockIdx.x + t] = forms[t];
}

DEVICE Fraction between(const Fraction& a, const Fraction& b, const Scalar& r) { return Fraction{a.p + r * (b.p - a.p), a.q + r * (b.q - a.q)}; }

// Fixed is what is left of a layer when two variables are fixed, the lower one to r. A variable that is fixed to r makes of the children 2y + b and 2y + 2 + b
// (1 − r) times the one and r times the other.
struct Fixed {
	Stored from;
	Scalar r, s;

	METHOD Fraction at(uint64_t i) const {
		uint64_t low = 8 * (i / 2) + i % 2;
		return between(between(from.at(low), from.at(low + 2), r), between(from.at(low + 4), from.at(low + 6), r), s);
	}
};

// What every window is given besides its fractions: the weights' two tables, in the memory of the device, and λ, by its limbs.
#define WINDOW_PARAMETERS const Scalar *low, const Scalar *high, uint64_t low_bits, uint64_t l0, uint64_t l1, uint64_t l2, uint64_t l3
#define WINDOW_WEIGHT (Weight{low, high, low_bits})
#define WINDOW_LAMBDA (Scalar{{l0, l1, l2, l3}})

// layer_window asks for two rounds of a layer that is stored.
KERNEL(layer_window, Scalar* out, const Scalar* p, const Scalar* q, uint64_t stored, uint64_t n, WINDOW_PARAMETERS) {
	window<2>(out, Stored{p, q, stored}, (Scalar*)nullptr, (Scalar*)nullptr, 0, 0, n, WINDOW_WEIGHT, WINDOW_LAMBDA);
}

// layer_bind_window fixes two variables, writes what is left and asks for the next two rounds.
KERNEL(layer_bind_window, Scalar* out, const Scalar* p, const Scalar* q, uint64_t stored, Scalar* bound_p, Scalar* bound_q, uint64_t bound, uint64_t n, WINDOW_PARAMETERS,
	uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t s0, uint64_t s1, uint64_t s2, uint64_t s3) {
	Fixed from = {Stored{p, q, stored}, Scalar{{r0, r1, r2, r3}}, Scalar{{s0, s1, s2, s3}}};
	window<2>(out, from, bound_p, bound_q, bound, 0, n, WINDOW_WEIGHT, WINDOW_LAMBDA);
}

// above_window asks for two rounds of what is computed from a layer that is stored, and writes that, up to kept.
KERNEL(above_window, Scalar* out, const Scalar* below_p, const Scalar* below_q, uint64_t stored, uint64_t levels, const Scalar* eq, uint64_t fixed, Scalar* p, Scalar* q,
	uint64_t kept, uint64_t n, WINDOW_PARAMETERS) {
	window<2>(out, Computed<Stored>{Stored{below_p, below_q, stored}, levels, eq, fixed}, p, q, kept, 0, n, WINDOW_WEIGHT, WINDOW_LAMBDA);
}

// computed_window_K asks for rounds of K variables of what is computed from leaves, and writes that, up to kept.
#define COMPUTED_WINDOW(name, vars)                                                                                                                             \
	KERNEL(name, Scalar* out, LEAVES_PARAMETERS, uint64_t levels, const Scalar* eq, uint64_t fixed, Scalar* p, Scalar* q, uint64_t kept, uint64_t first,        \
		uint64_t n, WINDOW_PARAMETERS) {                                                                                                                        \
		window<vars>(out, Computed<Leaves>{LEAVES, levels, eq, fixed}, p, q, kept, first, n, WINDOW_WEIGHT, WINDOW_LAMBDA);                                             \
	}
COMPUTED_WINDOW(computed_window_2, 2)
COMPUTED_WINDOW(computed_window_3, 3)
COMPUTED_WINDOW(computed_window_4, MOST_VARIABLES)
