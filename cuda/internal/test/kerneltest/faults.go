package kerneltest

// by says which tests notice a fault: those of a package whose names match.
type by struct{ pkg, run string }

var (
	byChecks      = by{"./cuda/internal/test/emulator", "TestKernels"}
	byPoints      = by{"./cuda/internal/points", "TestCommit|TestMSM|TestFold|TestLay"}
	byProducts    = by{"./cuda/internal/products", "TestEinsum"}
	byFoldRows    = by{"./cuda", "TestConformance/.*/FoldRows"}
	byTables      = by{"./cuda", "TestConformance/.*/Tables"}
	byEvaluations = by{"./cuda", "TestConformance/.*/(EvalMany|Partials)"}
	byTrees       = by{"./cuda", "TestTree"}
	byFractions   = by{"./cuda", "TestConformance/.*/Fractions"}
	bySumcheck    = by{"./cuda", "TestConformance/.*/Sumcheck"}
	byArgument    = by{"./cuda", "TestConformance/.*/(Argument|MSM)"}
	byWitness     = by{"./cuda", "TestConformance/.*/(Einsum|Hint|Count|Parts)"}
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
	{"carry lost at the top of a reduction", "field.cuh", "		even[i + 1] = madc_hi_cc(c, a.at[i], b, even[i + 1]);\n	}\n	odd[7] = addc(c, odd[7], 0);", "		even[i + 1] = madc_hi_cc(c, a.at[i], b, even[i + 1]);\n	}", byChecks},
	{"another product's row twice", "field.cuh", "b.at[i + 1], false, &c, d.at[i + 1]);", "b.at[i + 1], false, &c, d.at[i]);", byChecks},
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
	{"no atomic count", "msm.cuh", "if (d != 0) atomic_add(counts", "if (d > 0) atomic_add(counts", byPoints},
	{"first bucket's line", "msm.cuh", "i = b == 0 ? 0 : ends[b - 1]; i < ends[b]; i++", "i = b == 0 ? 1 : ends[b - 1]; i < ends[b]; i++", byPoints},
	{"scalars of another sum", "msm.cuh", "atomic_add(next + bucket(i / size,", "atomic_add(next + bucket(0,", byPoints},
	{"points counted from the first on", "msm.cuh", "(i + shift) % points", "i % points", byPoints},
	{"weights of buckets", "msm.cuh", "times(above, from)", "times(above, from + 1)", byPoints},
	{"image of a point", "fold.cuh", "x[2] = -(x[0] + x[1]);", "x[2] = x[0] + x[1];", byPoints},
	{"misaligned load", "fold.cuh", "Affine unit = load(hi + i);", "Affine unit = *(const Affine*)((const char*)hi + 64 * i - i % 2);", byPoints},

	// Rows and products.
	{"overlapping boxes", "rows.cuh", "		BARRIER();\n		Box box", "		Box box", byPoints},
	{"cells of 16 bits without a sign", "cells.cuh", "((const int16_t*)t.cells)[i]", "((const uint16_t*)t.cells)[i]", byPoints},
	{"wide cell unnoticed", "rows.cuh", "if (v != (int32_t)v)", "if (v != (int64_t)(uint32_t)v && v != (int32_t)v)", byPoints},
	{"sums of 32 bits overflow", "products.cuh", "deepest = 256", "deepest = 512", byProducts},
	{"missing barrier after a tile", "products.cuh", "			BARRIER();\n		}\n		UNROLL", "		}\n		UNROLL", byProducts},
	{"missing barrier before a tile", "products.cuh", "			BARRIER();\n			for (uint32_t g", "			for (uint32_t g", byProducts},
	{"odd depth", "products.cuh", "if (k + 1 < depth) word |=", "word |=", byProducts},
	{"last column", "products.cuh", "if (row < rows && column < columns) {", "if (row < rows && column + 1 < columns) {", byProducts},
	{"upper bytes without a sign", "products.cuh", "dot2_upper_signed(q, h,", "dot2_upper(q, h,", byProducts},

	// Sums of integers and field elements.
	{"carry of another chain", "wide.cuh", "	add_cc(carry, 0, 0); // no carry enters the next chain\n", "", byFoldRows},
	{"negative sum", "wide.cuh", "element<ScalarModulus>(high));\n	return negative ? -sum : sum;", "element<ScalarModulus>(high));\n	return sum;", byFoldRows},
	{"negative integer", "wide.cuh", "take_if<1>(s, e, negative);", "take_if<1>(s, e, 0);", byFoldRows},
	{"negative integer of 64 bits", "wide.cuh", "take_if<2>(s, e, negative);", "take_if<2>(s, e, 0);", byEvaluations},
	{"upper words of integers", "wide.cuh", "if (c == (int32_t)c) {", "if (true) {", byEvaluations},
	{"negative sum that is divided", "wide.cuh", "	Scalar sum = reduce_once<ScalarModulus>(left);\n	return negative ? -sum : sum;", "	Scalar sum = reduce_once<ScalarModulus>(left);\n	return sum;", byChecks},
	{"sum that is divided and not reduced", "wide.cuh", "Scalar sum = reduce_once<ScalarModulus>(left);", "Scalar sum = element<ScalarModulus>(left);", byChecks},
	{"word cut off in place of made zero", "wide.cuh", "clear<0, 3>(s);", "clear<0, 2>(s);", byChecks},
	{"word of a sum of products that is not made zero", "wide.cuh", "clear<0, 8>(s);", "clear<0, 7>(s);", byChecks},
	{"highest word of a sum of products", "wide.cuh", "high = {{s.at[16], 0,", "high = {{0, 0,", byChecks},
	{"last row", "partial.cuh", "begin + run < to ? begin + run : to;", "begin + run < to ? begin + run : to - 1;", byFoldRows},
	{"bits of no label", "partial.cuh", "if ((entry & ~known) != 0) inside = false;", "", byEvaluations},
	{"index beyond an extent", "partial.cuh", "if (index >= kept[l].extent) inside = false;", "", byEvaluations},
	{"outer labels of other parts", "partial.cuh", "uint64_t k = part * task.run; inside", "uint64_t k = 0; inside", byEvaluations},
	{"last run of indices", "partial.cuh", "? (part + 1) * task.run : task.outer;", "? (part + 1) * task.run : task.outer - 1;", byEvaluations},

	// Vectors.
	{"missing barrier in a sum of field elements", "share.cuh", "		BARRIER();\n		if (p < left)", "		if (p < left)", bySumcheck},
	{"first block of a task", "share.cuh", "if (first[middle] <= blockIdx.x)", "if (first[middle] < blockIdx.x)", bySumcheck},
	{"extent of weights", "weights.cuh", "inside = at < h.extent;", "inside = at <= h.extent;", byTables},
	{"weights beyond a box", "weights.cuh", "bool inside = i >= t.offset && x >> t.bits == 0;", "bool inside = i >= t.offset;", byTables},
	{"point 1 is not left out", "sumcheck.cuh", "value = t == 0 ? next + step : value + step;", "value = value + step;", bySumcheck},
	{"step from point 0", "sumcheck.cuh", "value = from + k == 0 ? value + twice(step) : value + step;", "value = value + step;", bySumcheck},
	{"last index of a product", "sumcheck.cuh", "? (own.block + 1) * p.run : p.n;", "? (own.block + 1) * p.run : p.n - 1;", bySumcheck},
	{"bound to another point", "sumcheck.cuh", "v.out[i] = low + r * (load(v.from + 2 * i + 1) - low);", "v.out[i] = low + r * load(v.from + 2 * i + 1);", bySumcheck},

	{"halves of the other vector", "vector.cuh", "l[i] = load(l + i) + r * load(l + n + i);", "l[i] = r * load(l + i) + load(l + n + i);", byArgument},
	{"generators of a list before", "bases.cuh", "p = load(lists[l].points + (i - lists[l].at));", "p = load(lists[l].points + (i - lists[0].at));", byArgument},
	{"list without an end", "bases.cuh", "i >= lists[l].at && i - lists[l].at < lists[l].n", "i >= lists[l].at", byArgument},
	{"place of what is collected", "sumcheck.cuh", "out[v.at + i] = load(v.from + i);", "out[v.at] = load(v.from + i);", bySumcheck},

	// Fractions.
	{"leaves without a cell", "fractions.cuh", "if (index >= sides[s].extent) inside = false;", "", byFractions},
	{"sign of a multiplicity", "fractions.cuh", "f.p = -shifted(sum);", "f.p = shifted(sum);", byFractions},
	{"fractions beyond the stored ones", "fractions.cuh", "return i < n ? Fraction{load(p + i), load(q + i)} : no_fraction();", "return i < n ? Fraction{load(p + i), load(q + i)} : Fraction{Scalar::zero(), Scalar::zero()};", byFractions},
	{"missing barrier between layers", "fractions.cuh", "			layers[l].q[i] = f.q;\n		}\n		BARRIER();", "			layers[l].q[i] = f.q;\n		}", byFractions},
	{"last bound entry", "fractions.cuh", "if (tile + group < n && i < kept) {", "if (tile + group < n && i + 1 < kept) {", byFractions},
	{"children of the other half", "fractions.cuh", "8 * (i / 2) + i % 2", "8 * (i / 2) + 1 - i % 2", byFractions},
	{"challenges the other way round", "fractions.cuh", "between(between(from.at(low), from.at(low + 2), r), between(from.at(low + 4), from.at(low + 6), r), s)", "between(between(from.at(low), from.at(low + 2), s), between(from.at(low + 4), from.at(low + 6), s), r)", byFractions},
	{"difference that is a value", "fractions.cuh", "at[2 * low] = at[low] - at[0];", "at[2 * low] = at[low];", byFractions},
	{"missing barrier between variables", "fractions.cuh", "		low *= 3;\n		BARRIER();", "		low *= 3;", byFractions},
	{"missing barrier before forms", "fractions.cuh", "weight.at(tile + t) : Scalar::zero();\n		BARRIER();", "weight.at(tile + t) : Scalar::zero();", byFractions},
	{"missing barrier before sums", "fractions.cuh", "	BARRIER();\n	forms[t] = ones", "	forms[t] = ones", byFractions},
	{"numerators that are not one", "fractions.cuh", "} else if (!is_zero(at[0])) {", "} else if (false) {", byFractions},
	{"missing parts of a point", "fractions.cuh", "add_up(forms, 1, Own::points, Own::parts,", "add_up(forms, 1, Own::points, Own::parts - 1,", byFractions},
	{"combiner", "fractions.cuh", "f.p + lambda * f.q;", "f.p + f.q;", byFractions},
	{"groups without a weight", "fractions.cuh", "Scalar weighted = weights[group] * f.q", "Scalar weighted = weights[0] * f.q", byFractions},
	{"groups of other blocks", "fractions.cuh", "tile += gridDim.x * Own::groups", "tile += Own::groups", byFractions},
	{"weights of the upper half of a point", "fractions.cuh", "load(high + (x >> low_bits))", "load(high + (x >> low_bits & 1))", byFractions},

	{"fractions above leaves that are not there", "fractions.cuh", "uint64_t i = first + thread_index()", "uint64_t i = thread_index()", byTrees},
	{"groups above leaves that are not there", "fractions.cuh", "uint64_t tile = first + blockIdx.x", "uint64_t tile = blockIdx.x", byTrees},
	{"points of other digits", "fractions.cuh", "rest % low + 3 * low * place(rest / low)", "rest % low + 3 * low * (rest / low)", byTrees},
	{"sum above a layer that is stored", "fractions.cuh", "return at(i) + at(i + 1);", "return at(i) + at(i);", byTrees},
	{"entry of another child", "fractions.cuh", "<< fixed) + k) * 2 + (i & 1);", "<< fixed) + k) * 2;", byTrees},
	{"leaves below another entry", "fractions.cuh", "below.pair((i << levels) + k);", "below.pair((i << levels) + k / 2);", byTrees},
	{"sum of two leaves", "fractions.cuh", "return Fraction{a.q + b.q, a.q * b.q};", "return Fraction{a.q, a.q * b.q};", byTrees},
	{"leaf beside one without a cell", "fractions.cuh", "if (second == NO_CELL) return a;", "if (second == NO_CELL) return b;", byTrees},
	{"multiplicities taken for one in a sum", "fractions.cuh", "if (first == UNIT && second == UNIT)", "if (first != NO_CELL)", byTrees},
	{"weight of a leaf whose numerator is one", "fractions.cuh", "if (kind == UNIT) {\n			f.p = f.p + weight;", "if (kind == UNIT) {\n			f.p = f.p + one.p;", byTrees},
	{"weight of a leaf without a cell", "fractions.cuh", "			f.q = f.q + weight;\n			continue;", "			continue;", byTrees},
	{"sum of another level", "fractions.cuh", "(k >> level & 1) != 0; level++)", "(k >> level & 1) != 0 && level < 2; level++)", byTrees},
	{"weight of a fixed variable", "fractions.cuh", "add_product(q, weight, one.q);", "add_product(q, Scalar::one(), one.q);", byTrees},

	// Witnesses.
	{"rounded down", "hints.cuh", "return (int64_t)((uint64_t)v + ((uint64_t)1 << shift >> 1)) >> shift;", "return v >> shift;", byWitness},
	{"masked maximum", "hints.cuh", "		if (masked != 0 && narrow(boxes[1], walks, i % masked) != 0) continue;\n", "", byWitness},
	{"missing barrier before a maximum", "hints.cuh", "	BARRIER();\n	for (uint32_t k = 0; k < blockDim.x; k++)", "	for (uint32_t k = 0; k < blockDim.x; k++)", byWitness},
	{"highest limb cut", "hints.cuh", "put(out[k], walks, i, k + 1 == count ? limb : low_bits(limb, radix));", "put(out[k], walks, i, low_bits(limb, radix));", byWitness},
	{"order of lines", "lookups.cuh", "if (compared(columns, walks, count, i, table, order[middle]) < 0)", "if (compared(columns, walks, count, i, table, order[middle]) <= 0)", byWitness},
	{"carry lost in a sum of 128 bits", "int128.cuh", "(low < a.low ? 1 : 0)", "0", byWitness},
	{"shift of 64 bits", "int128.cuh", "if (n >= 64)", "if (n > 64)", byWitness},
	{"negative excess", "hints.cuh", "negative ? (int64_t)(0 - (uint64_t)limb) : limb", "limb", byWitness},
	{"line behind the last", "lookups.cuh", "found = line < lines && compared", "found = line < lines + 1 && compared", byWitness},
	{"lines of other columns", "lookups.cuh", "if (v != of) return v < of ? -1 : 1;", "if (v != of) return v < of ? -1 : c == 0 ? 1 : 0;", byWitness},
	{"sign of an upper word", "int128.cuh", "(int64_t)((uint64_t)high + (uint64_t)(v >> 63))", "high", byWitness},
	{"upper words of a product", "int128.cuh", "high_product(a.low, b.low) + ", "", byWitness},
	{"walk along an axis", "region.cuh", "at += i % walks[w].extent * walks[w].stride;", "at += i % walks[w].extent;", byWitness},
	{"upper words left behind", "region.cuh", "if (r.high != nullptr) r.high[at] = in[n + i];", "", byWitness},
	{"largest of a negative", "region.cuh", "(t.from[i] < 0 ? ~t.from[i] : t.from[i])", "(t.from[i] < 0 ? 0 : t.from[i])", byWitness},
}
