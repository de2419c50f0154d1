package kernels

// Packages whose tests notice faults.
const (
	byChecks   = "./cuda/emulator"
	byPoints   = "./cuda/points"
	byProducts = "./cuda/products"
)

// faults are ones that kernels have had, here or elsewhere, or could have without anything else noticing: one is planted at a time.
var faults = []fault{
	// Arithmetic.
	{"carry lost in a sum", "field.cuh", "a.at[i] = addc_cc(c, a.at[i], b.at[i]);", "a.at[i] = i == 4 ? add_cc(c, a.at[i], b.at[i]) : addc_cc(c, a.at[i], b.at[i]);", byChecks},
	{"carry lost in the top of a sum", "field.cuh", "a.at[7] = addc(c, a.at[7], b.at[7]);", "a.at[7] = a.at[7] + b.at[7];", byChecks},
	{"borrow not paid back", "field.cuh", "a.at[7] = addc(c, a.at[7], modulus_word<M>(7) & negative);", "a.at[7] = a.at[7] + (modulus_word<M>(7) & negative);", byChecks},
	{"not reduced", "field.cuh", "d.at[i] = smaller ? a.at[i] : d.at[i];", "d.at[i] = smaller || a.at[7] == modulus_word<M>(7) ? a.at[i] : d.at[i];", byChecks},
	{"carry lost between the halves of a product", "field.cuh", "even[0] = add_cc(c, even[0], odd[1]);", "even[0] = even[0] + odd[1], add_cc(c, 0, 0);", byChecks},
	{"carry lost at the top of a row", "field.cuh", "			even[i + 1] = madc_hi_cc(c, a.at[i], b, even[i + 1]);\n		}\n		odd[7] = addc(c, odd[7], 0);", "			even[i + 1] = madc_hi_cc(c, a.at[i], b, even[i + 1]);\n		}", byChecks},
	{"carry lost at the top of a reduction", "field.cuh", "		even[i + 1] = madc_hi_cc(c, modulus_word<M>(i), m, even[i + 1]);\n	}\n	odd[7] = addc(c, odd[7], 0);", "		even[i + 1] = madc_hi_cc(c, modulus_word<M>(i), m, even[i + 1]);\n	}", byChecks},
	{"carry lost in the last sum of a product", "field.cuh", "sum.at[7] = addc(c, even[7], 0);", "sum.at[7] = even[7];", byChecks},
	{"inverse of another power", "field.cuh", "(bit < 64 ? 2 : 0)", "(bit < 1 ? 2 : 0)", byChecks},

	// The group.
	{"equal points", "curve.cuh", "if (is_zero(dx)) return is_zero(dy) ? twice(q) : neutral();", "", byChecks},
	{"equal points of two sums", "curve.cuh", "if (is_zero(dx)) return is_zero(dy) ? doubled(p) : neutral();", "if (is_zero(dx)) return neutral();", byChecks},
	{"opposite points", "curve.cuh", "return is_zero(dy) ? doubled(p) : neutral();", "return doubled(p);", byChecks},
	{"neutral point added", "curve.cuh", "	if (is_neutral(q)) return p;\n	if (is_neutral(p)) return point(q);", "	if (is_neutral(p)) return point(q);", byChecks},
	{"sum begins with a neutral point", "curve.cuh", "	if (is_neutral(q)) return p;\n	if (is_neutral(p)) return q;", "	if (is_neutral(q)) return p;", byChecks},
	{"neutral point shares an inversion", "curve.cuh", "if (!is_neutral(points[i])) product = product * points[i].zzz;", "product = product * points[i].zzz;", byChecks},
	{"missing barrier in a block's sum", "curve.cuh", "		BARRIER();\n		if (threadIdx.x < half)", "		if (half > 16) BARRIER();\n		if (threadIdx.x < half)", byChecks},
	{"last run of points left out", "curve.cuh", "i < n && count < affine_run;", "i < n && count < affine_run - 1;", byChecks},

	// Sums of points.
	{"highest digit cut", "commit.cuh", "s + 1 < places ? ((v + digits) & mask) - digits : v;", "((v + digits) & mask) - digits;", byPoints},
	{"digit's sign", "commit.cuh", "- 1), d < 0);", "- 1), v < 0);", byPoints},
	{"end of a row left out", "commit.cuh", "run = (width + parts - 1) / parts;", "run = width / parts;", byPoints},
	{"row read beyond its end", "commit.cuh", "(part + 1) * run < width ? (part + 1) * run : width;", "(part + 1) * run;", byPoints},
	{"window's lowest bit", "msm.cuh", "if (l < 3 && at % 64 != 0)", "if (l < 2 && at % 64 != 0)", byPoints},
	{"missing barrier in a running sum", "msm.cuh", "		BARRIER();\n		sums[threadIdx.x] += below;", "		sums[threadIdx.x] += below;", byPoints},
	{"no atomic count", "msm.cuh", "if (d != 0) atomic_add(counts + ((uint64_t)w << (bits - 1)) + (d < 0 ? -d : d) - 1, (uint32_t)1);", "if (d > 0) atomic_add(counts + ((uint64_t)w << (bits - 1)) + d - 1, (uint32_t)1);", byPoints},
	{"first bucket's line", "msm.cuh", "i = b == 0 ? 0 : ends[b - 1]; i < ends[b]; i++", "i = b == 0 ? 1 : ends[b - 1]; i < ends[b]; i++", byPoints},
	{"weights of buckets", "msm.cuh", "times(above, from)", "times(above, from + 1)", byPoints},
	{"image of a point", "fold.cuh", "x[2] = -(x[0] + x[1]);", "x[2] = x[0] + x[1];", byPoints},
	{"misaligned load", "fold.cuh", "Affine unit = load(hi + i);", "Affine unit = *(const Affine*)((const char*)hi + 64 * i - i % 2);", byPoints},

	// Rows and products.
	{"overlapping boxes", "rows.cuh", "		BARRIER();\n		Box box", "		Box box", byPoints},
	{"cells of 16 bits without a sign", "rows.cuh", "((const int16_t*)cells)[i]", "((const uint16_t*)cells)[i]", byPoints},
	{"wide cell unnoticed", "rows.cuh", "if (v != (int32_t)v)", "if (v != (int64_t)(uint32_t)v && v != (int32_t)v)", byPoints},
	{"sums of 32 bits overflow", "products.cuh", "deepest = 256", "deepest = 512", byProducts},
	{"missing barrier after a tile", "products.cuh", "			BARRIER();\n		}\n		UNROLL", "		}\n		UNROLL", byProducts},
	{"missing barrier before a tile", "products.cuh", "			BARRIER();\n			for (uint32_t g", "			for (uint32_t g", byProducts},
	{"odd depth", "products.cuh", "if (k + 1 < depth) word |=", "word |=", byProducts},
	{"last column", "products.cuh", "if (row < rows && column < columns) {", "if (row < rows && column + 1 < columns) {", byProducts},
	{"upper bytes without a sign", "products.cuh", "dot2_upper_signed(q, h,", "dot2_upper(q, h,", byProducts},
}
