// The group: y² = x³ − 17 over Coordinate (package internal/group). Points that are stored are affine, the neutral element being (0, 0); sums
// are in coordinates that need no inversion. Every formula's exceptions, the neutral element, equal points and opposite ones, are covered.
#pragma once

#include "field.cuh"

struct Affine {
	Coordinate x, y;
};

// Point is (x/zz, y/zzz) with zz³ = zzz²; the neutral element where zz = 0.
struct Point {
	Coordinate x, y, zz, zzz;
};

DEVICE bool is_neutral(const Affine& p) { return is_zero(p.x) && is_zero(p.y); }
DEVICE bool is_neutral(const Point& p) { return is_zero(p.zz); }

DEVICE Point neutral() { return Point{Coordinate::zero(), Coordinate::zero(), Coordinate::zero(), Coordinate::zero()}; }

DEVICE Point point(const Affine& p) {
	if (is_neutral(p)) return neutral();
	return Point{p.x, p.y, Coordinate::one(), Coordinate::one()};
}

DEVICE Affine negate_if(const Affine& p, bool negative) { return Affine{p.x, negative ? -p.y : p.y}; }

// tangent returns twice the point (x, y), whose denominators, if it has any, are multiplied in by whoever asks.
DEVICE Point tangent(const Coordinate& x, const Coordinate& y) {
	Coordinate u = twice(y), v = square(u), w = u * v, s = x * v, xx = square(x), m = twice(xx) + xx;
	Point r;
	r.x = square(m) - twice(s);
	r.y = products(m, s - r.x, w, -y);
	r.zz = v;
	r.zzz = w;
	return r;
}

// doubled returns 2·p. No point has y = 0: the group's order is odd.
DEVICE Point doubled(const Point& p) {
	Point r = tangent(p.x, p.y);
	r.zz = r.zz * p.zz; // 0 of the neutral element
	r.zzz = r.zzz * p.zzz;
	return r;
}

// chord returns the sum of two points with the x-coordinates x1 and x1 + dx, the y-coordinates y1 and y1 + dy over common denominators,
// which whoever asks multiplies in. dx is not 0.
DEVICE Point chord(const Coordinate& x1, const Coordinate& y1, const Coordinate& dx, const Coordinate& dy) {
	Coordinate dx2 = square(dx), dx3 = dx * dx2, q = x1 * dx2;
	Point r;
	r.x = square(dy) - dx3 - twice(q);
	r.y = products(dy, q - r.x, -y1, dx3);
	r.zz = dx2;
	r.zzz = dx3;
	return r;
}

OUTLINE Point twice(const Affine& p) { return is_neutral(p) ? neutral() : tangent(p.x, p.y); }

DEVICE Point operator+(const Point& p, const Affine& q) {
	if (is_neutral(q)) return p;
	if (is_neutral(p)) return point(q);
	Coordinate dx = q.x * p.zz - p.x, dy = q.y * p.zzz - p.y;
	if (is_zero(dx)) return is_zero(dy) ? twice(q) : neutral();
	Point r = chord(p.x, p.y, dx, dy);
	r.zz = r.zz * p.zz;
	r.zzz = r.zzz * p.zzz;
	return r;
}

OUTLINE Point operator+(const Point& p, const Point& q) {
	if (is_neutral(q)) return p;
	if (is_neutral(p)) return q;
	Coordinate x1 = p.x * q.zz, y1 = p.y * q.zzz, dx = q.x * p.zz - x1, dy = q.y * p.zzz - y1;
	if (is_zero(dx)) return is_zero(dy) ? doubled(p) : neutral();
	Point r = chord(x1, y1, dx, dy);
	r.zz = r.zz * p.zz * q.zz;
	r.zzz = r.zzz * p.zzz * q.zzz;
	return r;
}

// affine returns p, given 1/zzz, or anything for the neutral element: with z = zzz/zz it is (x/z², y/z³).
DEVICE Affine affine(const Point& p, const Coordinate& inverse_zzz) {
	if (is_neutral(p)) return Affine{Coordinate::zero(), Coordinate::zero()};
	return Affine{p.x * square(p.zz * inverse_zzz), p.y * inverse_zzz};
}

const int affine_run = 8; // points that share an inversion

// to_affine writes n points in affine coordinates. There is a thread for every affine_run of them.
KERNEL(to_affine, Affine* out, const Point* points, uint64_t n) {
	Coordinate before[affine_run], product = Coordinate::one();
	int count = 0;
	for (uint64_t i = thread_index(); i < n && count < affine_run; i += thread_count(), count++) {
		before[count] = product;
		if (!is_neutral(points[i])) product = product * points[i].zzz;
	}
	Coordinate inverted = inverse(product);
	while (count-- > 0) {
		uint64_t i = thread_index() + count * thread_count();
		Point p = load(points + i);
		out[i] = affine(p, inverted * before[count]);
		if (!is_neutral(p)) inverted = inverted * p.zzz;
	}
}

// times returns k·p, bit by bit.
OUTLINE Point times(const Point& p, uint64_t k) {
	int top = 63;
	while (top >= 0 && k >> top == 0) top--;
	Point r = neutral();
	for (int bit = top; bit >= 0; bit--) {
		r = doubled(r);
		if (k >> bit & 1) r = r + p;
	}
	return r;
}

// block_sum adds a point of every thread of the block, whose number is a power of two; the sum is that of thread 0.
DEVICE Point block_sum(const Point& mine) {
	SHARED(Point, sums, THREADS);
	sums[threadIdx.x] = mine;
	for (uint32_t half = blockDim.x / 2; half > 0; half /= 2) {
		BARRIER();
		if (threadIdx.x < half) sums[threadIdx.x] = sums[threadIdx.x] + sums[threadIdx.x + half];
	}
	return sums[threadIdx.x];
}
