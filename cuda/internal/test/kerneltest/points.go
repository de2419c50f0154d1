package kerneltest

import (
	"math/big"
	"math/rand"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/group"
)

// Points draws points; every third is neutral, or one that was drawn before, or such a one's opposite.
func Points(r *rand.Rand, n int) []group.Affine {
	out := make([]group.Affine, n)
	base := group.Row(64)
	for i := range out {
		switch r.Intn(9) {
		case 0:
		case 1:
			out[i] = out[r.Intn(i+1)]
		case 2:
			out[i].Neg(&out[r.Intn(i+1)])
		default:
			out[i] = base[r.Intn(len(base))]
		}
	}
	return out
}

// times returns k·p.
func times(p group.Affine, k uint64) (out group.Affine) {
	return *out.ScalarMultiplication(&p, new(big.Int).SetUint64(k))
}

// plus returns a + b.
func plus(a, b group.Affine) (out group.Affine) { return *out.Add(&a, &b) }

// pointOperations is how many results there are of each pair of points.
const pointOperations = 5

// points compares sums of points: of all pairs of a few, of which some are equal, opposite or neutral.
func points(t require.TestingT, d device.Device) {
	r := rand.New(rand.NewSource(3))
	few := append([]group.Affine{{}}, group.Row(3)...)
	few = append(few, times(few[1], 2), times(few[1], 4))
	for _, p := range few[1:] {
		few = append(few, *new(group.Affine).Neg(&p))
	}
	var a, b []group.Affine
	var k []uint64
	for _, p := range few {
		for _, q := range few {
			a, b, k = append(a, p), append(b, q), append(k, []uint64{0, 1, 2, 3, 4, r.Uint64()}[r.Intn(6)])
		}
	}
	with(t, d, func(m *memory) {
		out := room[group.Affine](m, pointOperations*len(a))
		m.launch("check_points", 2, 64, out, put(m, a), put(m, b), put(m, k), len(a))
		got := get[group.Affine](m, out, pointOperations*len(a))
		for i := range a {
			ka, kb := times(a[i], k[i]), times(b[i], k[i])
			want := [pointOperations]group.Affine{plus(a[i], b[i]), plus(ka, kb), plus(a[i], a[i]), kb, plus(ka, b[i])}
			for o := range want {
				require.Equal(m, want[o], got[pointOperations*i+o], "operation %d of %v, %v, %d", o, a[i], b[i], k[i])
			}
		}
		for _, threads := range []int{1, 2, 64, 256} {
			list := Points(r, 2*threads)
			out := room[group.Affine](m, 2)
			m.launch("check_block_sum", 2, threads, out, put(m, list))
			var want [2]group.Affine
			for i, p := range list {
				want[i/threads] = plus(want[i/threads], p)
			}
			require.Equal(m, want[:], get[group.Affine](m, out, 2), "%d threads", threads)
		}
		// Points that share inversions with neutral ones, as many as threads take together and one fewer.
		for _, n := range []int{8 * 16, 8*16 - 1, 3, 17} {
			list := Points(r, n)
			sums := make([][4]group.Coordinate, n)
			for i, p := range list {
				var z, zz, zzz group.Coordinate
				z.SetUint64(r.Uint64())
				zz.Square(&z)
				zzz.Mul(&zz, &z)
				sums[i] = [4]group.Coordinate{z, zz, {}, {}} // a neutral one
				if !p.IsInfinity() {
					sums[i] = [4]group.Coordinate{*z.Mul(&zz, &p.X), *new(group.Coordinate).Mul(&zzz, &p.Y), zz, zzz}
				}
			}
			out := room[group.Affine](m, n)
			m.launch("to_affine", 2, 8, out, put(m, sums), n)
			require.Equal(m, list, get[group.Affine](m, out, n), "%d points", n)
		}
	})
}
