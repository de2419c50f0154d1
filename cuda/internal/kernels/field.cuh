// The two prime fields of the group: Scalar, whose modulus is the group's order (package internal/field), and Coordinate, the field of the
// points (package internal/group). An element is what it is there: four 64-bit limbs, least significant first, that hold e·2^256 mod p,
// always reduced, so that bytes are copied as they are and equal elements are equal bytes.
//
// A product is computed with limbs of 32 bits, which is what a GPU multiplies. The instructions that carry are in carry.cuh, for both
// compilers, so that the processor runs the same chains; where it needs no such test, it multiplies limbs of 64 bits, which is much faster.
#pragma once

#include "carry.cuh"

// ScalarModulus is the order of the group.
struct ScalarModulus {
	static METHOD constexpr uint64_t limb(int i) {
		return i == 0 ? 0x3c208c16d87cfd47 : i == 1 ? 0x97816a916871ca8d : i == 2 ? 0xb85045b68181585d : 0x30644e72e131a029;
	}
	static constexpr uint64_t negative_inverse = 0x87d20782e4866389; // −1/p mod 2^64
	// 2^256 mod p, the Montgomery form of 1.
	static METHOD constexpr uint64_t one(int i) {
		return i == 0 ? 0xd35d438dc58f0d9d : i == 1 ? 0x0a78eb28f5c70b3d : i == 2 ? 0x666ea36f7879462c : 0x0e0a77c19a07df2f;
	}
};

// CoordinateModulus is the modulus of the points' coordinates.
struct CoordinateModulus {
	static METHOD constexpr uint64_t limb(int i) {
		return i == 0 ? 0x43e1f593f0000001 : i == 1 ? 0x2833e84879b97091 : i == 2 ? 0xb85045b68181585d : 0x30644e72e131a029;
	}
	static constexpr uint64_t negative_inverse = 0xc2e1f593efffffff;
	static METHOD constexpr uint64_t one(int i) {
		return i == 0 ? 0xac96341c4ffffffb : i == 1 ? 0x36fc76959f60cd29 : i == 2 ? 0x666ea36f7879462e : 0x0e0a77c19a07df2f;
	}
};

// Field is an element modulo M, which has 254 bits: a sum of two elements fits 256 bits with room to spare.
template <class M> struct alignas(16) Field {
	uint64_t limb[4];

	static METHOD Field zero() { return Field{{0, 0, 0, 0}}; }
	static METHOD Field one() { return Field{{M::one(0), M::one(1), M::one(2), M::one(3)}}; }
};

typedef Field<ScalarModulus> Scalar;
typedef Field<CoordinateModulus> Coordinate;

template <class M> DEVICE bool is_zero(const Field<M>& a) { return (a.limb[0] | a.limb[1] | a.limb[2] | a.limb[3]) == 0; }

template <class M> DEVICE bool operator==(const Field<M>& a, const Field<M>& b) {
	return ((a.limb[0] ^ b.limb[0]) | (a.limb[1] ^ b.limb[1]) | (a.limb[2] ^ b.limb[2]) | (a.limb[3] ^ b.limb[3])) == 0;
}

// modulus_word is a limb of 32 bits of the modulus.
template <class M> DEVICE constexpr uint32_t modulus_word(int i) { return (uint32_t)(M::limb(i / 2) >> (32 * (i % 2))); }

// Words are the limbs of 32 bits of an element, or of an integer below 2^256.
struct Words {
	uint32_t at[8];
};

template <class M> DEVICE Words words(const Field<M>& a) {
	Words w;
	UNROLL for (int i = 0; i < 4; i++) {
		w.at[2 * i] = (uint32_t)a.limb[i];
		w.at[2 * i + 1] = (uint32_t)(a.limb[i] >> 32);
	}
	return w;
}

template <class M> DEVICE Field<M> element(const Words& w) {
	Field<M> a;
	UNROLL for (int i = 0; i < 4; i++) a.limb[i] = w.at[2 * i] | (uint64_t)w.at[2 * i + 1] << 32;
	return a;
}

// reduce_once subtracts the modulus from what is below twice that, unless it is reduced.
template <class M> DEVICE Field<M> reduce_once(const Words& a) {
	Carry c;
	Words d;
	d.at[0] = sub_cc(c, a.at[0], modulus_word<M>(0));
	UNROLL for (int i = 1; i < 8; i++) d.at[i] = subc_cc(c, a.at[i], modulus_word<M>(i));
	uint32_t smaller = subc(c, 0, 0); // all ones if the difference is negative
	UNROLL for (int i = 0; i < 8; i++) d.at[i] = smaller ? a.at[i] : d.at[i];
	return element<M>(d);
}

template <class M> DEVICE Field<M> operator+(const Field<M>& x, const Field<M>& y) {
	Words a = words(x), b = words(y);
	Carry c;
	a.at[0] = add_cc(c, a.at[0], b.at[0]);
	UNROLL for (int i = 1; i < 7; i++) a.at[i] = addc_cc(c, a.at[i], b.at[i]);
	a.at[7] = addc(c, a.at[7], b.at[7]);
	return reduce_once<M>(a);
}

template <class M> DEVICE Field<M> operator-(const Field<M>& x, const Field<M>& y) {
	Words a = words(x), b = words(y);
	Carry c;
	a.at[0] = sub_cc(c, a.at[0], b.at[0]);
	UNROLL for (int i = 1; i < 8; i++) a.at[i] = subc_cc(c, a.at[i], b.at[i]);
	uint32_t negative = subc(c, 0, 0);
	a.at[0] = add_cc(c, a.at[0], modulus_word<M>(0) & negative);
	UNROLL for (int i = 1; i < 7; i++) a.at[i] = addc_cc(c, a.at[i], modulus_word<M>(i) & negative);
	a.at[7] = addc(c, a.at[7], modulus_word<M>(7) & negative);
	return element<M>(a);
}

template <class M> DEVICE Field<M> operator-(const Field<M>& x) { return Field<M>::zero() - x; }

template <class M> DEVICE Field<M> twice(const Field<M>& x) { return x + x; }

// modulus_words are its limbs of 32 bits.
template <class M> DEVICE Words modulus_words() {
	Words w;
	UNROLL for (int i = 0; i < 8; i++) w.at[i] = modulus_word<M>(i);
	return w;
}

// add_row adds b·a to an integer of two halves, as product_row has it.
DEVICE void add_row(uint32_t (&even)[8], uint32_t (&odd)[8], const Words& a, uint32_t b) {
	Carry c;
	odd[0] = mad_lo_cc(c, a.at[1], b, odd[0]);
	odd[1] = madc_hi_cc(c, a.at[1], b, odd[1]);
	UNROLL for (int i = 2; i < 8; i += 2) {
		odd[i] = madc_lo_cc(c, a.at[i + 1], b, odd[i]);
		odd[i + 1] = madc_hi_cc(c, a.at[i + 1], b, odd[i + 1]);
	}
	even[0] = mad_lo_cc(c, a.at[0], b, even[0]);
	even[1] = madc_hi_cc(c, a.at[0], b, even[1]);
	UNROLL for (int i = 2; i < 8; i += 2) {
		even[i] = madc_lo_cc(c, a.at[i], b, even[i]);
		even[i + 1] = madc_hi_cc(c, a.at[i], b, even[i + 1]);
	}
	odd[7] = addc(c, odd[7], 0);
}

// product_row adds b·a to an integer T and divides it by 2^32 after it added a multiple of the modulus that makes that exact. T is
// even + 2^32·odd, of 8 limbs each; the products of a's even limbs enter the one, those of its odd limbs the other, so that no chain
// waits for another's carries. On entry odd still has the place that even had before the last division: its limb 0 is zero and the others
// stand one lower. Another product d·c enters T, too, if there is one. T stays below twice the modulus after a division, or below three times it with another
// product, which is less than 2^256, so that no chain but those of even, whose carry goes to the top of odd, ends with a carry.
template <class M>
DEVICE void product_row(uint32_t (&even)[8], uint32_t (&odd)[8], const Words& a, uint32_t b, bool first, const Words* other = nullptr, uint32_t d = 0) {
	Carry c;
	if (first) {
		UNROLL for (int i = 0; i < 8; i += 2) {
			even[i] = mul_lo(a.at[i], b);
			even[i + 1] = mul_hi(a.at[i], b);
			odd[i] = mul_lo(a.at[i + 1], b);
			odd[i + 1] = mul_hi(a.at[i + 1], b);
		}
	} else {
		even[0] = add_cc(c, even[0], odd[1]);
		UNROLL for (int i = 0; i < 6; i += 2) {
			odd[i] = madc_lo_cc(c, a.at[i + 1], b, odd[i + 2]);
			odd[i + 1] = madc_hi_cc(c, a.at[i + 1], b, odd[i + 3]);
		}
		odd[6] = madc_lo_cc(c, a.at[7], b, 0);
		odd[7] = madc_hi(c, a.at[7], b, 0);
		even[0] = mad_lo_cc(c, a.at[0], b, even[0]);
		even[1] = madc_hi_cc(c, a.at[0], b, even[1]);
		UNROLL for (int i = 2; i < 8; i += 2) {
			even[i] = madc_lo_cc(c, a.at[i], b, even[i]);
			even[i + 1] = madc_hi_cc(c, a.at[i], b, even[i + 1]);
		}
		odd[7] = addc(c, odd[7], 0);
	}
	if (other != nullptr) add_row(even, odd, *other, d);
	add_row(even, odd, modulus_words<M>(), even[0] * (uint32_t)M::negative_inverse);
}

// halves_joined is what a product's rows leave.
DEVICE Words halves_joined(const uint32_t (&even)[8], const uint32_t (&odd)[8]) {
	Words sum;
	Carry c;
	sum.at[0] = add_cc(c, even[0], odd[1]);
	UNROLL for (int i = 1; i < 7; i++) sum.at[i] = addc_cc(c, even[i], odd[i + 1]);
	sum.at[7] = addc(c, even[7], 0);
	return sum;
}

// product_by_words is x·y, row by row: after each the two halves of T change their roles.
template <class M> DEVICE Field<M> product_by_words(const Field<M>& x, const Field<M>& y) {
	Words a = words(x), b = words(y);
	uint32_t even[8], odd[8];
	UNROLL for (int i = 0; i < 8; i += 2) {
		product_row<M>(even, odd, a, b.at[i], i == 0);
		product_row<M>(odd, even, a, b.at[i + 1], false);
	}
	return reduce_once<M>(halves_joined(even, odd));
}

// products_by_words is x·y + z·w, with one reduction for both: it takes as many instructions as one product and a half. What is left is (x·y + z·w)/2^256
// and the modulus at most, less than 1.4 times it; of y and w that are not reduced, less than twice it if x + z is less than it.
template <class M> DEVICE Field<M> products_by_words(const Field<M>& x, const Field<M>& y, const Field<M>& z, const Field<M>& w) {
	Words a = words(x), b = words(y), c = words(z), d = words(w);
	uint32_t even[8], odd[8];
	UNROLL for (int i = 0; i < 8; i += 2) {
		product_row<M>(even, odd, a, b.at[i], i == 0, &c, d.at[i]);
		product_row<M>(odd, even, a, b.at[i + 1], false, &c, d.at[i + 1]);
	}
	return reduce_once<M>(halves_joined(even, odd));
}

#if defined(__CUDACC__) || defined(CARRY_CHAINS)

template <class M> DEVICE Field<M> operator*(const Field<M>& x, const Field<M>& y) { return product_by_words(x, y); }

// products is x·y + z·w.
template <class M> DEVICE Field<M> products(const Field<M>& x, const Field<M>& y, const Field<M>& z, const Field<M>& w) { return products_by_words(x, y, z, w); }

#else

// Of 64-bit limbs, for the processor.
template <class M> DEVICE Field<M> operator*(const Field<M>& x, const Field<M>& y) {
	typedef unsigned __int128 Double;
	uint64_t t[5] = {0, 0, 0, 0, 0};
	for (int i = 0; i < 4; i++) {
		Double s = 0;
		for (int j = 0; j < 4; j++) {
			s += (Double)x.limb[j] * y.limb[i] + t[j];
			t[j] = (uint64_t)s;
			s >>= 64;
		}
		t[4] += (uint64_t)s; // T is below 2p, so that the product's top and this limb fit
		uint64_t m = t[0] * M::negative_inverse;
		s = ((Double)m * M::limb(0) + t[0]) >> 64;
		for (int j = 1; j < 4; j++) {
			s += (Double)m * M::limb(j) + t[j];
			t[j - 1] = (uint64_t)s;
			s >>= 64;
		}
		s += t[4];
		t[3] = (uint64_t)s;
		t[4] = (uint64_t)(s >> 64);
	}
	return reduce_once<M>(words(Field<M>{{t[0], t[1], t[2], t[3]}}));
}

template <class M> DEVICE Field<M> products(const Field<M>& x, const Field<M>& y, const Field<M>& z, const Field<M>& w) { return x * y + z * w; }

#endif

template <class M> DEVICE Field<M> square(const Field<M>& x) { return x * x; }

// inverse is x^(p−2), and 0 for 0.
template <class M> OUTLINE Field<M> inverse(const Field<M>& x) {
	Field<M> r = Field<M>::one();
	for (int bit = 253; bit >= 0; bit--) {
		r = square(r);
		uint64_t e = M::limb(bit / 64) - (bit < 64 ? 2 : 0); // no limb borrows: the lowest are large
		if (e >> (bit % 64) & 1) r = r * x;
	}
	return r;
}
