// Sums of products of integers and field elements: Σ c·e, with one reduction for all of them.
#pragma once

#include "field.cuh"

// Wide is a sum that is not reduced: an integer with sign of 384 bits, which 2^66 products of 63 bits and of 254 fit.
struct Wide {
	static const int words = 12;
	uint32_t at[words];

	static METHOD Wide zero() { return Wide{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}; }
};

// add_word adds 2^(32·from)·c·e.
template <int from> DEVICE void add_word(Wide& s, const Words& e, uint32_t c) {
	Carry carry;
	s.at[from] = mad_lo_cc(carry, e.at[0], c, s.at[from]);
	UNROLL for (int i = 1; i < 8; i++) s.at[from + i] = madc_lo_cc(carry, e.at[i], c, s.at[from + i]);
	UNROLL for (int i = from + 8; i < Wide::words - 1; i++) s.at[i] = addc_cc(carry, s.at[i], 0);
	s.at[Wide::words - 1] = addc(carry, s.at[Wide::words - 1], 0);
	add_cc(carry, 0, 0); // no carry enters the next chain
	UNROLL for (int i = 0; i < 8; i++) s.at[from + 1 + i] = madc_hi_cc(carry, e.at[i], c, s.at[from + 1 + i]);
	UNROLL for (int i = from + 9; i < Wide::words - 1; i++) s.at[i] = addc_cc(carry, s.at[i], 0);
	s.at[Wide::words - 1] = addc(carry, s.at[Wide::words - 1], 0);
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
	// The second factor of a product may be any integer below 2^256.
	Scalar sum = products(Scalar::one(), element<ScalarModulus>(low), square_of_radix(), element<ScalarModulus>(high));
	return negative ? -sum : sum;
}

// shift is 2^96.
DEVICE Scalar shift() { return Scalar{{0x0f54b1e88b28a9d6, 0xf21d65b8492b8e82, 0x16d553c691aba3c7, 0x1847e484355abfe0}}; }

// shifted is the sum divided by 2^96, of fewer than 2^32 products, in the form that the elements of these had: a multiple of the modulus is added that makes
// one word after the other zero, so that what is left is less than twice the modulus. That takes a fifth of what reduced does, for elements that
// were multiplied by 2^96 before.
DEVICE Scalar shifted(Wide s) {
	bool negative = absolute(s);
	Words modulus = modulus_words<ScalarModulus>();
	add_word<0>(s, modulus, s.at[0] * (uint32_t)ScalarModulus::negative_inverse);
	add_word<1>(s, modulus, s.at[1] * (uint32_t)ScalarModulus::negative_inverse);
	add_word<2>(s, modulus, s.at[2] * (uint32_t)ScalarModulus::negative_inverse);
	Words left;
	UNROLL for (int i = 0; i < 8; i++) left.at[i] = s.at[3 + i];
	Scalar sum = reduce_once<ScalarModulus>(left);
	return negative ? -sum : sum;
}
