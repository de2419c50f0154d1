package cpu

import "github.com/zkllmc/zkllmc/internal/backend"

func (r *run) Tables(tables []backend.Table) []backend.Vector {
	out := make([]backend.Vector, len(tables))
	r.pool.run(len(tables), func(_, k int) {
		if eq := alone(&tables[k]); eq != nil {
			out[k] = &vector{from: eq}
			return
		}
		table := make(vec, 1<<tables[k].Bits)
		for i := range tables[k].Terms {
			w := &tables[k].Terms[i]
			if weights := r.weights(w.Axes); w.Offset == 0 && len(weights) == len(table) && len(tables[k].Terms) == 1 {
				if table = weights; !w.Scale.IsOne() {
					scaleVec(table, table, &w.Scale)
				}
			} else {
				at := table[w.Offset:][:len(weights)]
				scaleVec(weights, weights, &w.Scale)
				addVec(at, at, weights)
			}
		}
		out[k] = &vector{vec: table}
	})
	return out
}

// alone is a table that is nothing but an eq table; nil if it is another one.
func alone(t *backend.Table) source {
	if len(t.Terms) != 1 {
		return nil
	}
	w := &t.Terms[0]
	if t.Bits == 0 || len(w.Axes) != 1 || w.Offset != 0 || !w.Scale.IsOne() || w.Axes[0].Extent != 1<<t.Bits || len(w.Axes[0].Point) != t.Bits {
		return nil
	}
	return newEq(w.Axes[0].Point)
}

// weights is the product of the eq tables of axes, filled up to powers of two by zeros.
func (r *run) weights(axes []backend.Axis) vec {
	out := vec{one()}
	for i := range axes {
		eq := r.eqTable(axes[i].Point)
		clear(eq[axes[i].Extent:])
		if len(out) == 1 && out[0].IsOne() {
			out = eq // times one
			continue
		}
		next := make(vec, len(out)*len(eq))
		for i := range eq[:axes[i].Extent] {
			scaleVec(next[i*len(out):(i+1)*len(out)], out, &eq[i])
		}
		out = next
	}
	return out
}

// eqChunk is the size, as a logarithm, of the pieces in which an eq table is made: they stay in the first-level cache.
const eqChunk = 9

// eqTable is eqTable, piece by piece.
func (r *run) eqTable(s vec) vec {
	if len(s) <= eqChunk {
		return eqTable(s)
	}
	out, high := make(vec, 1<<len(s)), r.eqTable(s[eqChunk:])
	r.chunks(len(high), 16, func(_, lo, hi int) {
		low := eqTable(s[:eqChunk])
		for i := lo; i < hi; i++ {
			scaleVec(out[i<<eqChunk:(i+1)<<eqChunk], low, &high[i])
		}
	})
	return out
}
