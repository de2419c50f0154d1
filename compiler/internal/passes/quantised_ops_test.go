package passes

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// TestQuantisedOperators compares operators on quantised tensors with what they say: the operator on what the integers stand for, quantised.
func TestQuantisedOperators(t *testing.T) {
	const step, zero = 0.0101, 83 // of what the operators take
	var x []float64               // what the integers stand for
	for _, v := range cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") }) {
		x = append(x, math.Round(v/step)*step)
	}
	mean := func(v []float64) (s float64) {
		for _, y := range v {
			s += y / float64(len(v))
		}
		return s
	}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	for name, c := range map[string]struct {
		in    string
		attrs []*onnx.Attr
		want  func(i int) float64 // before it is quantised
	}{
		"QLinearAdd":               {"q s zx q s zx sy zy", nil, func(i int) float64 { return x[i] + x[i] }},
		"QLinearMul":               {"q s zx q s zx sy zy", nil, func(i int) float64 { return x[i] * x[i] }},
		"QLinearSigmoid":           {"q s zx sy zy", nil, func(i int) float64 { return sigmoid(x[i]) }},
		"QLinearLeakyRelu":         {"q s zx sy zy", []*onnx.Attr{attrFloat("alpha", 0.25)}, func(i int) float64 { return math.Max(x[i], x[i]/4) }},
		"QLinearReduceMean":        {"q s zx sy zy", []*onnx.Attr{attrInts("axes", 2)}, func(i int) float64 { return mean(x[8*i : 8*i+8]) }},
		"QLinearGlobalAveragePool": {"q s zx sy zy", nil, func(i int) float64 { return mean(x[8*i : 8*i+8]) }},
		"QLinearAveragePool":       {"q s zx sy zy", []*onnx.Attr{attrInts("kernel_shape", 8)}, func(i int) float64 { return mean(x[8*i : 8*i+8]) }},
		"QLinearConcat":            {"sy zy q s zx q sy zx", []*onnx.Attr{attrInt("axis", 1)}, func(i int) float64 { return slices.Concat(x, x)[i] * []float64{1, 0.0307 / step}[i/32] }},
		"QLinearWhere":             {"odd q s zx q sy zx sy zy", nil, func(i int) float64 { return x[i] * []float64{0.0307 / step, 1}[i%2] }},
		"QLinearSoftmax": {"q s zx sy zy", []*onnx.Attr{attrInt("axis", 1), attrInt("opset", 13)}, func(i int) float64 {
			sum := 0.0
			for k := i % 8; k < 32; k += 8 {
				sum += math.Exp(x[k])
			}
			return math.Exp(x[i]) / sum
		}},
		"QGemm": {"rows s zx w sy zw bias sy zy", []*onnx.Attr{attrFloat("alpha", 0.5), attrInt("transB", 1)}, func(i int) float64 {
			sum := 0.5 * step * 0.0307 * float64(100*(i%2)-7)
			for k := range 8 {
				sum += 0.5 * x[i/2*8+k] * 0.0307 * float64(k+8*(i%2)-5)
			}
			return sum
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := cellsOf(t, 18, func(m *model) {
				integers := func(name string, d onnx.DType, shape []int, cells ...int64) {
					m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: name, DType: d, Shape: shape, I: cells})
				}
				integers("zx", onnx.Uint8, nil, zero)
				integers("zy", onnx.Uint8, []int{1}, 41)
				integers("zw", onnx.Int8, nil, 5)
				integers("w", onnx.Int8, []int{2, 8}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
				integers("bias", onnx.Int32, []int{2}, -7, 93)
				integers("odd", onnx.Bool, []int{8}, 0, 1, 0, 1, 0, 1, 0, 1)
				m.floats("s", nil, step)
				m.floats("sy", nil, 0.0307)
				m.node("QuantizeLinear", "x s zx", "q")
				m.node("Reshape", "q [4,8]", "rows")
				m.node(name, c.in, "y", c.attrs...)
				m.g.Nodes[len(m.g.Nodes)-1].Domain = "com.microsoft"
				m.node("DequantizeLinear", "y 1", "real")
				m.node("Mul", "real 1", "z")
			})
			for i, y := range got {
				require.InDelta(t, math.Max(0, math.Min(255, math.Round(c.want(i)/0.0307)+41)), y, 1e-9, "cell %d", i)
			}
		})
	}
}

// TestQuantisedMasks quantises scores that are masked by the least float: steps are so coarse that what is masked weighs nothing, and all else the
// same. The mask is a constant, or one that an input says.
func TestQuantisedMasks(t *testing.T) {
	x := cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") })
	for name, build := range map[string]func(m *model){
		"pairs": func(m *model) {
			m.node("QuantizeLinear", "mask coarse top", "maskQ")
			m.node("QLinearAdd", "q s zx maskQ coarse top coarse top", "sumQ")
			m.g.Nodes[len(m.g.Nodes)-1].Domain = "com.microsoft"
			m.node("DequantizeLinear", "sumQ coarse top", "scores")
		},
		"a sum of a sum": func(m *model) {
			m.node("DequantizeLinear", "q s zx", "real")
			m.node("QuantizeLinear", "mask coarse top", "maskQ")
			m.node("DequantizeLinear", "maskQ coarse top", "mask2")
			m.node("Add", "real mask2", "masked")
			m.node("Add", "masked real", "sum")
			m.node("QuantizeLinear", "sum coarse top", "sumQ")
			m.node("DequantizeLinear", "sumQ coarse top", "scores")
		},
		"a choice": func(m *model) {
			m.node("DequantizeLinear", "q s zx", "real")
			m.node("Where", "open real -3.4028234663852886e+38", "chosen")
			m.node("QuantizeLinear", "chosen coarse top", "sumQ")
			m.node("DequantizeLinear", "sumQ coarse top", "scores")
		},
		"steps beyond the type": func(m *model) { // the lowest of them is -Inf in single precision
			m.node("DequantizeLinear", "q s zx", "real")
			m.node("QuantizeLinear", "mask fine top16", "maskQ")
			m.node("DequantizeLinear", "maskQ fine top16", "mask2")
			m.node("Add", "real mask2", "scores")
		},
	} {
		for _, by := range []string{"constant", "input"} {
			t.Run(name+" "+by, func(t *testing.T) {
				alone := name == "steps beyond the type" // and scores stay
				if alone && by == "input" {
					return
				}
				got := cellsOf(t, 18, func(m *model) {
					integers := func(name string, d onnx.DType, shape []int, cells ...int64) {
						m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: name, DType: d, Shape: shape, I: cells})
					}
					integers("zx", onnx.Uint8, nil, 83)
					integers("top", onnx.Uint8, nil, 255)
					integers("top16", onnx.Uint16, nil, 65535)
					integers("rows", onnx.Int64, []int{4, 1}, 1, 3, 5, 7)
					integers("columns", onnx.Int64, []int{1, 8}, 0, 1, 2, 3, 4, 5, 6, 7)
					m.floats("s", nil, 0.0101)
					m.floats("coarse", nil, 1.3344405750530544e+36)
					m.floats("fine", nil, 5.192376e+33)
					m.node("QuantizeLinear", "x s zx", "q")
					if by == "constant" {
						m.node("LessOrEqual", "columns rows", "open")
					} else {
						m.node("Greater", "x 0", "open")
					}
					m.node("Where", "open 0 -3.4028234663852886e+38", "mask")
					build(m)
					m.node("Softmax", "scores", "weights", attrInt("axis", -1))
					m.node("Mul", "weights x", "z")
				})
				open := func(i int) bool { return by == "constant" && i%8 <= 2*(i/8)+1 || by == "input" && x[i] > 0 }
				weight := func(i int) float64 {
					if alone {
						return math.Exp(math.Round(x[i]/0.0101) * 0.0101)
					}
					return 1
				}
				for i := range got {
					sum := 0.0
					for k := i / 8 * 8; k < i/8*8+8; k++ {
						if open(k) {
							sum += weight(k)
						}
					}
					want := 0.0
					if open(i) {
						want = x[i] * weight(i) / sum
					}
					if sum > 0 {
						require.InDelta(t, want, got[i], 1e-9, "cell %d", i)
					}
				}
			})
		}
	}
}

// TestQuantisedBesideHuge quantises in small steps what a condition chooses instead of a huge number, or hides by adding one: where it stands, it
// keeps what it is.
func TestQuantisedBesideHuge(t *testing.T) {
	x := cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") })
	const zero = 83
	quantised := func(v, step float64) float64 {
		return step * (math.Max(0, math.Min(255, math.RoundToEven(float64(float32(v)/float32(step)))+zero)) - zero)
	}
	for name, c := range map[string]struct {
		build   func(m *model)
		steps   [2]float64 // of the two quantisers
		refused bool
	}{
		"a choice":                  {func(m *model) { m.node("Where", "open x huge", "y") }, [2]float64{0.01, 0.01}, false},
		"a choice in two steps":     {func(m *model) { m.node("Where", "open x huge", "y") }, [2]float64{0.01, 0.37}, false},
		"a choice in far steps":     {func(m *model) { m.node("Where", "open x huge", "y") }, [2]float64{1e-6, 1}, true},
		"a choice that is used":     {func(m *model) { m.node("Where", "open x huge", "chosen"); m.node("Mul", "chosen 0.5", "y") }, [2]float64{0.01, 0.01}, true},
		"a mask and a tiny number":  {func(m *model) { m.node("Add", "x mask", "masked"); m.node("Add", "masked 1e-14", "y") }, [2]float64{0.01, 0.01}, false},
		"a tiny number and a mask":  {func(m *model) { m.node("Add", "x 1e-14", "tiny"); m.node("Add", "mask tiny", "y") }, [2]float64{0.01, 0.01}, false},
		"a tiny number in the mask": {func(m *model) { m.node("Add", "x mask2", "y") }, [2]float64{0.01, 0.01}, false},
	} {
		for _, huge := range []float64{1e20, 1e30, math.MaxFloat32} {
			for _, sign := range []float64{-1, 1} {
				build := func(m *model) {
					m.floats("huge", nil, sign*huge)
					m.floats("steps", nil, c.steps[0])
					m.floats("steps2", nil, c.steps[1])
					m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "zero", DType: onnx.Uint8, I: []int64{zero}})
					m.node("Greater", "x 0", "open")
					m.node("Cast", "open", "m", attrInt("to", int64(onnx.Float32)))
					m.node("Sub", "1 m", "closed")
					m.node("Mul", "closed huge", "mask")
					m.node("Add", "closed 1e-60", "closed2")
					m.node("Mul", "closed2 huge", "mask2")
					c.build(m)
					for _, s := range []string{"steps", "steps2"} {
						m.node("QuantizeLinear", "y "+s+" zero", "q"+s)
						m.node("DequantizeLinear", "q"+s+" "+s+" zero", "real"+s)
					}
					m.node("Concat", "realsteps realsteps2", "z", attrInt("axis", 0))
				}
				if c.refused {
					m := newModel()
					build(m)
					_, err := Lower(m.finish("z"), Options{})
					require.ErrorContains(t, err, "it chooses a number beyond", name)
					continue
				}
				got := cellsOf(t, 18, build)
				for i, y := range got {
					v := x[i%len(x)]
					if v <= 0 {
						v = sign * huge
					}
					require.InDelta(t, quantised(v, c.steps[i/len(x)]), y, 1e-6, "%s beside %g, cell %d", name, sign*huge, i)
				}
			}
		}
	}
}

// TestBesideHuge compares what is left of cells beside numbers in sums with which they would be lost.
func TestBesideHuge(t *testing.T) {
	x := cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") })
	for _, huge := range []float64{-1e30, 1e30, -math.MaxFloat32, math.MaxFloat32} {
		for name, want := range map[string]func(v float64) float64{
			"Max": func(v float64) float64 { return math.Max(v, huge) },
			"Min": func(v float64) float64 { return math.Min(v, huge) },
			"Where": func(v float64) float64 {
				if v > 0 {
					return v
				}
				return huge
			},
		} {
			got := cellsOf(t, 18, func(m *model) {
				m.floats("huge", nil, huge)
				if name != "Where" {
					m.node(name, "x huge", "z")
					return
				}
				far := "Add"
				if huge > 0 { // a sum would be refused
					far = "Max"
				}
				m.node("Greater", "x 0", "open")
				m.node(far, "x huge", "y")
				m.node("Where", "open x y", "z")
			})
			for i, y := range got {
				require.InDelta(t, want(x[i]), y, 1e-9+1e-12*math.Abs(want(x[i])), "%s with %g, cell %d", name, huge, i)
			}
		}
	}
}

// TestChosenBesideHuge compares choices beside huge numbers that the file has, or that are computed, in every spelling of a choice.
func TestChosenBesideHuge(t *testing.T) {
	x := cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") })
	each := func(f func(v float64) float64) (out []float64) {
		for _, v := range x {
			out = append(out, f(v))
		}
		return out
	}
	open := func(v, otherwise float64) float64 {
		if v > 0 {
			return v
		}
		return otherwise
	}
	for name, c := range map[string]struct {
		build func(m *model)
		want  func(huge float64) []float64
	}{
		"Where of a tensor": {
			func(m *model) { m.node("Where", "open x full", "z") },
			func(huge float64) []float64 { return each(func(v float64) float64 { return open(v, huge) }) },
		},
		"Where of a product": {
			func(m *model) { m.node("Mul", "x huge", "y"); m.node("Where", "open x y", "z") },
			func(huge float64) []float64 { return each(func(v float64) float64 { return open(v, v*huge) }) },
		},
		"Where of a Where, and a sum": {
			func(m *model) {
				m.node("Where", "open x full", "y")
				m.node("Where", "open y x", "chosen")
				m.node("Add", "chosen 0.5", "z")
			},
			func(float64) []float64 { return each(func(v float64) float64 { return v + 0.5 }) },
		},
		"a sum of products": {
			func(m *model) {
				m.node("Mul", "x bits", "kept")
				m.node("Mul", "closed huge", "off")
				m.node("Mul", "off x", "far")
				m.node("Add", "kept far", "z")
			},
			func(huge float64) []float64 { return each(func(v float64) float64 { return open(v, v*huge) }) },
		},
		"ScatterElements": {
			func(m *model) { m.node("ScatterElements", "row ids column", "z", attrInt("axis", 1)) },
			func(huge float64) []float64 { return append(every(x, 8, 0), huge) },
		},
		"OneHot": {
			func(m *model) {
				m.node("Cast", "open", "which", attrInt("to", int64(onnx.Int64)))
				m.node("OneHot", "which 2 pair", "z")
			},
			func(huge float64) (out []float64) {
				for _, v := range x {
					out = append(out, []float64{huge, 0.25}[btoi(v <= 0)], []float64{huge, 0.25}[btoi(v > 0)])
				}
				return out
			},
		},
		"Pad": {
			func(m *model) { m.node("Pad", "column [0,1,0,0] huge", "z") },
			func(huge float64) []float64 { return append([]float64{huge}, every(x, 8, 0)...) },
		},
		"PRelu": {
			func(m *model) { m.node("PRelu", "x huge", "z") },
			func(huge float64) []float64 { return each(func(v float64) float64 { return open(v, v*huge) }) },
		},
		"LogSoftmax": {
			func(m *model) {
				m.node("Where", "open x full", "y")
				m.node("LogSoftmax", "y", "z")
			},
			func(huge float64) (out []float64) {
				for row := range slices.Chunk(x, 8) {
					top, sum := max(huge, slices.Max(row)), 0.0
					for _, v := range row {
						sum += math.Exp(open(v, huge) - top)
					}
					for _, v := range row {
						out = append(out, open(v, huge)-top-math.Log(sum))
					}
				}
				return out
			},
		},
		"Clip of what is huge": {
			func(m *model) {
				m.node("Mul", "closed huge", "off")
				m.node("Add", "x off", "y")
				m.node("Clip", "y -1e7 1e7", "z")
			},
			func(huge float64) []float64 {
				return each(func(v float64) float64 { return open(v, math.Copysign(1e7, huge)) })
			},
		},
	} {
		for _, huge := range []float64{-1e20, 1e30, -math.MaxFloat32} {
			got := cellsOf(t, 18, func(m *model) {
				m.floats("huge", nil, huge)
				m.floats("full", []int{4, 8}, slices.Repeat([]float64{huge}, 32)...)
				m.floats("row", []int{1, 5}, slices.Repeat([]float64{huge}, 5)...)
				m.floats("pair", []int{2}, huge, 0.25)
				m.node("Greater", "x 0", "open")
				m.node("Cast", "open", "bits", attrInt("to", int64(onnx.Float32)))
				m.node("Sub", "1 bits", "closed")
				m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "first", DType: onnx.Int64, I: []int64{0}})
				m.node("Gather", "x first", "column", attrInt("axis", 2))
				c.build(m)
			})
			for i, want := range c.want(huge) {
				require.InDelta(t, want, got[i], 1e-9+1e-12*math.Abs(want), "%s with %g, cell %d", name, huge, i)
			}
		}
	}
}

// TestMasksThatAreLifted compares softmaxes of scores with huge constants that do not mask, because something else takes them off again.
func TestMasksThatAreLifted(t *testing.T) {
	x := cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") })
	weights := func(scores []float64) (out []float64) {
		sum := 0.0
		for _, s := range scores {
			sum += math.Exp(s)
		}
		for _, s := range scores {
			out = append(out, math.Exp(s)/sum)
		}
		return out
	}
	for _, huge := range []float64{1e9, 1e30, math.MaxFloat32} {
		got := cellsOf(t, 18, func(m *model) {
			m.floats("row", []int{1, 5}, slices.Repeat([]float64{-huge}, 5)...)
			m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "first", DType: onnx.Int64, I: []int64{0}})
			m.node("Gather", "x first", "column", attrInt("axis", 2))
			m.node("ScatterElements", "row ids column", "scores", attrInt("axis", 1))
			m.node("Softmax", "scores", "z")
		})
		require.InDeltaSlice(t, append(weights(every(x, 8, 0)), 0), got, 1e-9, "scattered into %g", -huge)
		got = cellsOf(t, 18, func(m *model) {
			m.floats("huge", nil, huge)
			m.node("Greater", "x 0", "open")
			m.node("Cast", "open", "bits", attrInt("to", int64(onnx.Float32)))
			m.node("Mul", "bits huge", "on")
			m.node("Sub", "on huge", "mask")
			m.node("Add", "x mask", "scores")
			m.node("Softmax", "scores", "z")
		})
		for row := range 4 {
			scores := slices.Clone(x[8*row : 8*row+8])
			for i, v := range scores {
				if v <= 0 {
					scores[i] = -huge
				}
			}
			require.InDeltaSlice(t, weights(scores), got[8*row:8*row+8], 1e-9, "row %d masked by m·%g − %g", row, huge, huge)
		}
	}
}

// TestInfiniteConstants refuses infinite cells that nothing masks by.
func TestInfiniteConstants(t *testing.T) {
	m := newModel()
	m.floats("far", []int{1, 4, 8}, slices.Repeat([]float64{math.Inf(-1)}, 32)...)
	m.node("Concat", "x far", "both", attrInt("axis", 1))
	m.node("ReduceMax", "both [1]", "top")
	m.node("Tanh", "top", "z")
	_, err := Lower(m.finish("z"), Options{})
	require.ErrorContains(t, err, "which is not finite and no mask of a Softmax either")
}
