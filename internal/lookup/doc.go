// Package lookup proves all lookups of a circuit at once: tlookup (zkLLM, arXiv 2404.16109) in its inverse-free form, one sum of
// fractions (logUp, eprint 2022/1530) that is proved by the fraction tree (logUp-GKR, eprint 2023/1284). SPEC.md 9.
//
// # Statement
//
// For every lookup b of columns col_1, col_2, … into table T_b, every cell x of the columns' box is a line of the table:
// (col_1(x), col_2(x), …) = T_b[j] for some j. With the multiplicity m_T(j) of line j counted over all lookups into T,
//
//	Σ_b Σ_{x in the box}  1 / (β − f_b(x))   −   Σ_T Σ_j  m_T(j) / (β − f_T(j))   =   0,
//	f_b(x) = id_{T_b} + Σ_{i≥1} γ^i·col_i(x),      f_T(j) = id_T + Σ_{i≥1} γ^i·T_i(j).
//
// As rational functions in β and γ the two sides are equal exactly if the statement holds, because the ids are distinct and stand
// at γ⁰, which no column uses: with unequal lines, poles do not cancel. Multiplicities need no range, any field elements do,
// as long as the number of cells is below the characteristic.
//
// # Leaves
//
// The leaves p̃, q̃ are MLEs in n variables. A block of leaves per lookup and per table, aligned to its padded size:
//
//	in the box      p̃ = 1 or −m_T,   q̃ = β − f
//	elsewhere       p̃ = 0,           q̃ = 1        (padding of boxes, between and behind blocks)
//
// Columns and multiplicities vanish outside their box, so that these are identities between MLEs:
//
//	p̃ = Σ_b eq_b·valid_b − Σ_T eq_T·m_T,     q̃ = 1 + Σ_{b,T} eq_b·((β−1)·valid_b − id·valid_b − Σ_i γ^i·col_i)
//
// with eq_b the indicator of the block among the high variables. Children of node y are (y,0), (y,1), the lowest variable first:
// p_j(y) = p_{j+1}(y,0)·q_{j+1}(y,1) + p_{j+1}(y,1)·q_{j+1}(y,0), q_j(y) = q_{j+1}(y,0)·q_{j+1}(y,1); p_n = p̃, q_n = q̃.
//
// # Messages
//
// All are padded scalars; "=" lines are product checks that the channel collects. ← is a challenge.
//
//	   ← β, γ                                                    columns, tables' multiplicities are bound by now
//	1. root: a0, a1, b0, b1 = p_1(0), p_1(1), q_1(0), q_1(1); z, q, qi
//	       z = a0·b1,  −z = a1·b0,  q = b0·b1,  1 = q·qi         s := ()
//	for j = 1 … n−1, with a_b = p_j(b,s), b_b = q_j(b,s) bound:
//	   ← λ       F(y) = p(y,0)·q(y,1) + p(y,1)·q(y,0) + λ·q(y,0)·q(y,1), p and q of layer j+1
//	2. h∞, the coefficient of X² of h(X) = Σ_x eq(s,x)·F(X,x)
//	   ← ρ1      C := (1−ρ1)(a0+λb0) + ρ1(a1+λb1) + (ρ1²−ρ1)·h∞
//	3. for i = 2 … j, σ = s_{i−1}:  Δ = h(1)−h(0) and h∞ of h(X) = Σ_x eq(s_i…s_{j−1},x)·F(ρ1…ρ_{i−1},X,x)
//	   ← ρi      C := C + (ρi−σ)·Δ + (ρi²−ρi)·h∞
//	4. a0, a1, b0, b1 = p(0,s), p(1,s), q(0,s), q(1,s) of layer j+1 at s := (ρ1…ρj);  z
//	       z = (a0+λb0)·b1,  C − z = a1·b0
//	   ← μ       r = (μ, s)
//	(1−μ)a0 + μa1 = p̃(r),  (1−μ)b0 + μb1 = q̃(r)                  linear checks, when the caller has bound the columns at r
//
// # Why this order
//
// The root's q must have an inverse: (0,0) is a consistent tree of any false sum that has one zero denominator. λ comes after
// all four claims and z: a λ known before lets errors in p and q cancel. h∞ is bound before ρ1: ρ1 is the line challenge between
// the claims at b = 0 and 1, and whoever knows it chooses an h∞ that repairs any four false claims. The same holds for Δ, h∞ and
// ρi, and for the last claims and μ. The evaluations of the columns at r are bound before the next challenge, which batches them.
//
// # Soundness error
//
// With N = 2^n leaves, at most k columns and round challenges of 2^125: β and γ at most N·(k+1)/|F| (a polynomial of that degree
// vanishes); a layer 2/|F| for λ and 2j/2^125 for its rounds, each of degree 2; μ 1/|F|. Together below N·(k+1)/|F| + n²/2^125.
// Completeness fails where a denominator is zero: β is one of at most N values.
package lookup
