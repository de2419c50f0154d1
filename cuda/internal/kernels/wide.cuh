// Sums of products, with one reduction for all of them: Σ c·e of integers and field elements, and Σ a·b of field elements.
#pragma once

#include "field.cuh"

// Wide is a sum that is not reduced: an integer with sign of 384 bits, which 2^66 products of 63 bits and of 254 fit.
struct Wide {
	static const int words = 12;
	uint32_t at[words];

	static METHOD Wide zero() { return Wide{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}; }
};

// add_word adds 2^(32·from)·c·e.
template <int from, class Sum> DEVICE void add_word(Sum& s, const Words& e, uint32_t c) {
	Carry carry;
	s.at[from] = mad_lo_cc(carry, e.at[0], c, s.at[from]);
	UNROLL for (int i = 1; i < 8; i++) s.at[from + i] = madc_lo_cc(carry, e.at[i], c, s.at[from + i]);
	UNROLL for (int i = from + 8; i < Sum::words - 1; i++) s.at[i] = addc_cc(carry, s.at[i], 0);
	s.at[Sum::words - 1] = addc(carry, s.at[Sum::words - 1], 0);
	add_cc(carry, 0, 0); // no carry enters the next chain
	UNROLL for (int i = 0; i < 8; i++) s.at[from + 1 + i] = madc_hi_cc(carry, e.at[i], c, s.at[from + 1 + i]);
	UNROLL for (int i = from + 9; i < Sum::words - 1; i++) s.at[i] = addc_cc(carry, s.at[i], 0);
	s.at[Sum::words - 1] = addc(carry, s.at[Sum::words - 1], 0);
}

// take_if subtracts 2^(32·from)·e if take is all ones, and nothing if it is zero.
template <int from> DEVICE void take_if(Wide& s, const Words& e, uint32_t take) {
	Carry borrow;
	s.at[from] = sub_cc(borrow, s.at[from], e.at[0] & take);
	UNROLL for (int i = 1; i < 8; i++) s.at[from + i] = subc_cc(borrow, s.at[from + i], e.at[i] & take);
	UNROLL for (int i = from + 8; i < Wide::words - 1; i++) s.at[i] = subc_cc(borrow, s.at[i], 0);
	s.at[Wide::words - 1] = subc(borrow, s.at[Wide::words - 1], 0);
}

// add_product adds c·e. A negative integer is the one without its sign, less 2 to the power of its bits.
DEVICE void add_product(Wide& s, const Words& e, int64_t c) {
	uint32_t negative = c < 0 ? 0xffffffff : 0;
	add_word<0>(s, e, (uint32_t)c);
	if (c == (int32_t)c) {
		take_if<1>(s, e, negative);
	} else {
		add_word<1>(s, e, (uint32_t)((uint64_t)c >> 32));
		take_if<2>(s, e, negative);
	}
}

// square_of_radix is 2^512 mod p, the order of the group: a product with it multiplies by 2^256.
DEVICE Scalar square_of_radix() { return Scalar{{0xf32cfc5b538afa89, 0xb5e71911d44501fb, 0x47ab1eff0a417ff6, 0x06d89f71cab8351f}}; }

// absolute takes the sign of a sum away, and says whether it was negative.
DEVICE bool absolute(Wide& s) {
	bool negative = s.at[Wide::words - 1] >> 31 != 0;
	if (negative) {
		Carry borrow;
		s.at[0] = sub_cc(borrow, 0, s.at[0]);
		UNROLL for (int i = 1; i < Wide::words - 1; i++) s.at[i] = subc_cc(borrow, 0, s.at[i]);
		s.at[Wide::words - 1] = subc(borrow, 0, s.at[Wide::words - 1]);
	}
	return negative;
}

// reduced is the sum as an element, in the form that the elements of its products had.
DEVICE Scalar reduced(Wide s) {
	bool negative = absolute(s);
	Words low, high;
	UNROLL for (int i = 0; i < 8; i++) {
		low.at[i] = s.at[i];
		high.at[i] = i + 8 < Wide::words ? s.at[i + 8] : 0;
	}
	// The second factors may be any integers below 2^256: the first are less than the modulus together.
	Scalar sum = products(Scalar::one(), element<ScalarModulus>(low), square_of_radix(), element<ScalarModulus>(high));
	return negative ? -sum : sum;
}

// clear adds multiples of the modulus that make the words from one up to another zero, the lowest first.
template <int from, int to, class Sum> DEVICE void clear(Sum& s) {
	if constexpr (from < to) {
		add_word<from>(s, modulus_words<ScalarModulus>(), s.at[from] * (uint32_t)ScalarModulus::negative_inverse);
		clear<from + 1, to>(s);
	}
}

// shift is 2^96.
DEVICE Scalar shift() { return Scalar{{0x0f54b1e88b28a9d6, 0xf21d65b8492b8e82, 0x16d553c691aba3c7, 0x1847e484355abfe0}}; }

// shifted is the sum divided by 2^96, of fewer than 2^32 products, in the form that the elements of these had: a multiple of the modulus is added that makes
// one word after the other zero, so that what is left is less than twice the modulus. That takes a fifth of what reduced does, for elements that
// were multiplied by 2^96 before.
DEVICE Scalar shifted(Wide s) {
	bool negative = absolute(s);
	clear<0, 3>(s);
	Words left;
	UNROLL for (int i = 0; i < 8; i++) left.at[i] = s.at[3 + i];
	Scalar sum = reduce_once<ScalarModulus>(left);
	return negative ? -sum : sum;
}

// SumByWords is a sum of products that is not reduced, of fewer than 2^36 products. Each takes the multiplications of words, about half of a product's.
struct SumByWords {
	static const int words = 17;
	uint32_t at[words];

	static METHOD SumByWords zero() { return SumByWords{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}; }
};

// add_words adds a·b, but for b's words before one.
template <int from> DEVICE void add_words(SumByWords& s, const Words& a, const Words& b) {
	if constexpr (from < 8) {
		add_word<from>(s, a, b.at[from]);
		add_words<from + 1>(s, a, b);
	}
}

DEVICE void add_product(SumByWords& s, const Scalar& a, const Scalar& b) { add_words<0>(s, words(a), words(b)); }

// reduced is the sum as an element: divided by 2^256 it has nine words.
DEVICE Scalar reduced(SumByWords s) {
	clear<0, 8>(s);
	Words low, high = {{s.at[16], 0, 0, 0, 0, 0, 0, 0}};
	UNROLL for (int i = 0; i < 8; i++) low.at[i] = s.at[8 + i];
	return products(Scalar::one(), element<ScalarModulus>(low), square_of_radix(), element<ScalarModulus>(high));
}

// ProductSum is the same for the processor where it multiplies limbs of 64 bits: reduced each time.
#if defined(__CUDACC__) || defined(CARRY_CHAINS)

typedef SumByWords ProductSum;

#else

struct ProductSum {
	Scalar sum;

	static METHOD ProductSum zero() { return ProductSum{Scalar::zero()}; }
};

DEVICE void add_product(ProductSum& s, const Scalar& a, const Scalar& b) { s.sum = s.sum + a * b; }

DEVICE Scalar reduced(const ProductSum& s) { return s.sum; }

#endif
