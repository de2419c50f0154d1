package circuits

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
)

// Limits of what a file makes a reader hold: maxItems times some 8 bytes. An integer is an item; what takes more counts as more.
const (
	maxItems   = 1 << 26
	maxText    = 1 << 16
	listItems  = 3  // the header of a slice
	largeItems = 32 // a table, a tensor, a port, a term, a hint: their structures here and what the builder derives of them
)

// Limits of what a file's circuits are, far beyond those of models. What the builder derives is not linear in all of it, and a verifier's
// work is not bounded by the size of the file alone: some bytes are a tensor of any size.
const (
	maxWidth   = 18      // of rows, as a logarithm: generators of 2^18 columns take two seconds
	maxRows    = 1 << 21 // of all weights, and of all witnesses: 64 MiB of a key, or of a proof
	maxPorts   = 1 << 10
	maxViews   = 8 // of a port
	maxColumns = 16
	maxLabels  = 64 // of a term
	maxFactors = 32 // of a term
	maxConst   = 64 // terms of a tensor that have no factor
)

// decoder reads what encoder writes. After an error all further reads yield zeros.
type decoder struct {
	ctx   context.Context
	in    *bufio.Reader
	items int // read so far
	err   error
	pool  []circuit.Table
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 1<<16) }

// broken is the error for what deflate makes of damaged bytes.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return format.ErrTruncated
	}
	return fmt.Errorf("%w: %w", format.ErrEncoding, err)
}

func (d *decoder) fail(why string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", format.ErrEncoding, fmt.Sprintf(why, args...))
	}
}

func (d *decoder) int() int64 {
	if d.err != nil {
		return 0
	}
	d.charge(1)
	v, err := binary.ReadVarint(d.in)
	if err != nil {
		d.err = broken(err)
		return 0
	}
	return v
}

// charge counts items.
func (d *decoder) charge(n int) {
	before := d.items
	if d.items += n; d.items > maxItems {
		d.fail("it holds more than circuits may, %d integers", maxItems)
	}
	if before>>16 != d.items>>16 && d.err == nil {
		d.err = d.ctx.Err()
	}
}

// small reads an integer from lo to hi, which fit an int of 32 bits.
func (d *decoder) small(what string, lo, hi int64) int {
	v := d.int()
	if d.err == nil && (v < lo || v > hi) {
		d.fail("%s is %d, want %d to %d", what, v, lo, hi)
		return int(lo)
	}
	return int(v)
}

// list reads the length of a list. Nothing is allocated for it: lists grow with what is read.
func (d *decoder) list(what string) int { return d.small("the length of "+what, 0, maxItems) }

func (d *decoder) text() string {
	n := d.small("the length of a text", 0, maxText)
	d.charge(n / 8)
	if d.err != nil || n == 0 {
		return ""
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(d.in, b); err != nil {
		d.err = broken(err)
		return ""
	}
	return string(b)
}

// shown reads a name that reaches people's screens: of a circuit or a port.
func (d *decoder) shown() string {
	s := d.text()
	if !shows(s) {
		d.fail("the name %.40q has characters that do not show", s)
		return ""
	}
	return s
}

// shows says whether a text has nothing but characters that show, and spaces.
func shows(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// many reads a list by its elements.
func many[T any](d *decoder, what string, read func() T) []T { return few(d, what, maxItems, read) }

// few is many of at most so many elements.
func few[T any](d *decoder, what string, most int64, read func() T) []T {
	d.charge(listItems)
	n := d.small("the number of "+what, 0, most)
	out := make([]T, 0, min(n, 64))
	for range n {
		v := read()
		if d.err != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (d *decoder) shape() []int {
	return many(d, "a shape", func() int { return d.small("an extent", 0, math.MaxInt32) })
}

func (d *decoder) axes() [][]int { return many(d, "axes", d.shape) }

func (d *decoder) id() circuit.ID { return circuit.ID(d.small("a tensor", -1, math.MaxInt32)) }

func (d *decoder) ids() []circuit.ID { return many(d, "tensors", d.id) }

func (d *decoder) cells() []int64 {
	last := int64(0)
	return many(d, "cells", func() int64 { last += d.int(); return last })
}

// family reads the tables, then n circuits.
func (d *decoder) family(n int) ([]*circuit.Circuit, error) {
	d.pool = many(d, "tables", func() circuit.Table {
		d.charge(largeItems)
		return circuit.Table{Name: d.text(), Cols: few(d, "columns", maxColumns, d.cells)}
	})
	members := make([]*circuit.Circuit, 0, n)
	for range n {
		c, err := d.circuit()
		if err != nil {
			return nil, err
		}
		members = append(members, c)
	}
	return members, nil
}

// circuit declares a circuit to a builder, and finishes it.
func (d *decoder) circuit() (*circuit.Circuit, error) {
	if err := d.ctx.Err(); err != nil {
		return nil, err
	}
	cfg := circuit.Config{Name: d.shown(), WeightBits: d.small("a width", 0, maxWidth), WitnessBits: d.small("a width", 0, maxWidth)}
	r := &replay{decoder: d, b: circuit.NewBuilder(cfg)}
	if pad := d.int(); pad >= 0 {
		r.b.Generation(pad)
	}
	r.ports = few(d, "ports", maxPorts, r.port)
	r.views = make([]int, len(r.ports))
	r.bits = [2]int{cfg.WeightBits, cfg.WitnessBits}
	r.tables = many(d, "tables", func() int { return d.small("a table", 0, int64(len(d.pool)-1)) })
	if r.state() == nil {
		r.tensors()
	}
	if r.state() == nil {
		r.constraints()
	}
	if err := r.state(); err != nil {
		return nil, err
	}
	return r.b.Finish()
}

// replay is the declaration of one circuit.
type replay struct {
	*decoder
	b        *circuit.Builder
	ports    []circuit.Port
	declared int // ports that the builder knows
	tables   []int
	made     int // tables that the builder has
	views    []int
	bits     [2]int // widths of rows of weights and of witnesses, as logarithms
	rows     [2]int
}

// state is the first error, of the file or of the builder.
func (r *replay) state() error {
	if r.err != nil {
		return r.err
	}
	return r.b.Err()
}

func (r *replay) port() circuit.Port {
	r.charge(largeItems)
	p := circuit.Port{Name: r.shown(), Out: r.small("the side of a port", 0, 1) == 1}
	p.Kind = circuit.Element(r.small("a kind of elements", 0, math.MaxUint8))
	p.Scale = r.small("a scale", math.MinInt16, math.MaxInt16)
	p.Reveal = circuit.Reveal(r.small("what is revealed", 0, math.MaxUint8))
	p.T = r.id()
	if !p.Out {
		p.Shape, p.Lo, p.Hi = r.shape(), r.int(), r.int()
	}
	return p
}

// declare declares ports up to one that a tensor shows, in their order. An output's tensor stands before whatever shows it.
func (r *replay) declare(upTo int) {
	for ; r.declared < upTo && r.state() == nil; r.declared++ {
		if p := r.ports[r.declared]; p.Out {
			r.b.Output(p, p.T)
		} else {
			r.b.Input(p)
		}
	}
}

// tensors declares the tensors, and the ports between them.
func (r *replay) tensors() {
	n := r.list("the tensors")
	for i := 0; i < n && r.state() == nil; i++ {
		if err := r.ctx.Err(); err != nil {
			r.err = err
			return
		}
		r.tensor()
		if r.state() == nil && r.b.Tensors() != i+1 {
			r.fail("tensor %d stands out of order", i)
		}
	}
	if r.state() == nil && r.made != len(r.tables) {
		r.fail("%d tables have no multiplicities", len(r.tables)-r.made)
	}
	r.declare(len(r.ports))
	for i, p := range r.ports {
		if r.state() == nil && !p.Out {
			r.b.Carry(i, p.T)
		}
	}
}

func (r *replay) tensor() {
	r.charge(largeItems)
	kind := circuit.Kind(r.small("a kind of tensor", 0, int64(circuit.Affine)))
	if r.err != nil {
		return
	}
	if kind == multiplicities {
		r.table()
		return
	}
	name := r.text()
	switch kind {
	case circuit.Weight:
		shape, lo, hi := r.shape(), r.int(), r.int()
		r.commit(0, shape)
		if width := bits.Len64(uint64(max(hi, 0))) + 1; r.err == nil && width <= 16 && hi >= 0 && lo == -hi-1 {
			r.b.Weight(name, width, shape...)
		} else {
			r.fail("weight %s lies in [%d, %d], which no number of bits is", name, lo, hi)
		}
	case circuit.Witness:
		shape, lo, hi := r.shape(), r.int(), r.int()
		r.commit(1, shape)
		r.b.Witness(name, lo, hi, shape...)
	case circuit.Public:
		r.view(name)
	case circuit.Const:
		shape, cells := r.shape(), r.cells()
		if r.err == nil {
			r.b.Const(name, cells, shape...)
		}
	case circuit.Affine:
		r.affine(name)
	case circuit.Virtual:
		r.virtual(name)
	}
}

// commit counts rows of commitments, of weights (0) or witnesses (1).
func (r *replay) commit(class int, shape []int) {
	cells := int64(1)
	for _, d := range shape {
		if cells *= int64(d); cells > math.MaxInt32 {
			return // the builder refuses it
		}
	}
	if r.rows[class] += int(cells>>r.bits[class]) + 1; r.rows[class] > maxRows {
		r.fail("its tensors have more than %d rows", maxRows)
	}
}

// table makes the next of the circuit's tables, and so its multiplicities.
func (r *replay) table() {
	if r.made == len(r.tables) {
		r.fail("multiplicities of more than %d tables", r.made)
		return
	}
	t := r.pool[r.tables[r.made]]
	for _, col := range t.Cols { // the builder copies them
		r.charge(len(col))
	}
	if len(t.Cols) > 0 {
		r.commit(1, []int{len(t.Cols[0])})
	}
	if r.err != nil {
		return
	}
	if got := r.b.TableOf(t.Name, func() [][]int64 { return t.Cols }); r.b.Err() == nil && got != r.made {
		r.fail("table %s stands twice", t.Name)
	}
	r.made++
}

func (r *replay) view(name string) {
	view := circuit.View(r.small("a view", 0, math.MaxUint8))
	port := r.small("a port", 0, int64(len(r.ports)-1))
	if r.err == nil {
		if r.views[port]++; r.views[port] > maxViews {
			r.fail("port %s has more than %d views", r.ports[port].Name, maxViews)
		}
	}
	if r.err == nil {
		r.declare(port + 1)
	}
	if r.state() == nil {
		r.b.View(name, view, port)
	}
}

func (r *replay) affine(name string) {
	shape, equation := r.shape(), r.cells()
	switch {
	case r.err != nil:
	case len(equation) != len(shape)+1:
		r.fail("affine tensor %s has %d axes and %d numbers", name, len(shape), len(equation))
	default:
		r.b.Affine(name, circuit.Linear(equation[0], equation[1:]), shape...)
	}
}

func (r *replay) virtual(name string) {
	shape, why := r.shape(), r.text()
	lo, hi := int64(0), int64(0)
	if why != "" {
		lo, hi = r.int(), r.int()
	}
	terms, alone := many(r.decoder, "terms", r.term), 0
	for _, t := range terms {
		if len(t.Factors) == 0 {
			alone++
		}
	}
	switch {
	case r.err != nil:
	case alone > maxConst:
		r.fail("tensor %s has %d terms without factors, want at most %d", name, alone, maxConst)
	case why != "":
		r.b.VirtualBound(name, shape, lo, hi, why, terms...)
	default:
		r.b.Virtual(name, shape, terms...)
	}
}

func (r *replay) term() circuit.Term {
	r.charge(largeItems)
	t := circuit.Term{Coef: r.int()}
	t.Extents = few(r.decoder, "labels", maxLabels, func() int { return r.small("an extent", 0, math.MaxInt32) })
	t.Out = r.axes()
	t.Factors = few(r.decoder, "factors", maxFactors, func() circuit.Factor {
		return circuit.Factor{T: r.id(), Axes: r.axes()}
	})
	return t
}

// constraints declares lookups, zero-checks and hints.
func (r *replay) constraints() {
	n := r.list("the lookups")
	for i := 0; i < n && r.state() == nil; i++ {
		table, cols := r.small("a table", 0, math.MaxInt32), r.ids()
		if r.err == nil {
			r.b.Lookup(table, cols...)
		}
	}
	for _, id := range r.ids() {
		r.b.Zero(id)
	}
	n = r.list("the hints")
	for i := 0; i < n && r.state() == nil; i++ {
		r.charge(largeItems)
		h := circuit.Hint{Kind: circuit.HintKind(r.small("a kind of hint", 0, math.MaxUint8)), In: r.ids(), Out: r.ids(), Params: r.cells()}
		h.Table = r.small("a table", 0, math.MaxInt32)
		if r.err == nil {
			r.b.Hint(h)
		}
	}
}
