package cpu

//go:generate go run -C asm . -out ../ints_amd64.s -pkg cpu

//go:noescape
func dotInt16(acc *uint64, cells *int16, planes *uint64, n int)

//go:noescape
func dotInt32(acc *uint64, cells *int32, planes *uint64, n int)

//go:noescape
func dotInt64(acc *uint64, cells *int64, planes *uint64, n int) uint64

//go:noescape
func foldInt16(acc *uint64, a, b, c, d *int16, coef *uint64, n int)

//go:noescape
func foldInt32(acc *uint64, a, b, c, d *int32, coef *uint64, n int)

//go:noescape
func foldInt64(acc *uint64, a, b, c, d *int64, coef *uint64, n int) uint64

// dotKernel adds the products of cells, a multiple of eight, with the limbs of as many weights. It says whether a cell does not fit.
func dotKernel[T integers](acc *[(limbs + 1) * lanes]uint64, cells []T, planes []uint64) (far bool) {
	if len(cells) == 0 {
		return false
	}
	switch c := any(cells).(type) {
	case []int16:
		dotInt16(&acc[0], &c[0], &planes[0], len(c))
	case []int32:
		dotInt32(&acc[0], &c[0], &planes[0], len(c))
	case []int64:
		far = dotInt64(&acc[0], &c[0], &planes[0], len(c))>>limbBits != 0
	}
	return far
}

// foldKernel adds the products of the first n cells of four rows, n a multiple of eight, with the limbs of their weights. It says whether a
// cell does not fit.
func foldKernel[T integers](acc []uint64, rows *[foldRows][]T, coef *[foldRows * limbs]uint64, n int) (far bool) {
	switch r := any(rows).(type) {
	case *[foldRows][]int16:
		foldInt16(&acc[0], &r[0][0], &r[1][0], &r[2][0], &r[3][0], &coef[0], n)
	case *[foldRows][]int32:
		foldInt32(&acc[0], &r[0][0], &r[1][0], &r[2][0], &r[3][0], &coef[0], n)
	case *[foldRows][]int64:
		far = foldInt64(&acc[0], &r[0][0], &r[1][0], &r[2][0], &r[3][0], &coef[0], n)>>limbBits != 0
	}
	return far
}
