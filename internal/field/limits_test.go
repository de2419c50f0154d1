package field

import "testing"

// Too few bytes are no uniform element.
func TestUniformOfFewBytes(t *testing.T) {
	for _, n := range []int{0, 32, WideBytes - 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes are accepted", n)
				}
			}()
			Uniform(make([]byte, n))
		}()
	}
	Uniform(make([]byte, WideBytes))
}
