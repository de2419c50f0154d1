// Package veil makes every message of the protocol hiding (SPEC.md 8; after Hyrax, eprint 2017/1132 §4, and compressed
// Σ-protocols, 2020/152). Protocol code is written once against a Channel and is zero-knowledge without further thought: the
// same function runs as prover, as verifier and as a dry run that only counts.
//
// Two kinds of message carry hidden values. A padded scalar w is sent as c = w + pad; the pads were committed to before the
// first message, as one vector, and the pad's index is the scalar's position in the circuit's message schedule. A vector is
// one Pedersen commitment over generators of its own. To the verifier a hidden value is a linear expression (Expr) in pads and
// committed entries, bound before any challenge that follows.
//
// While it walks the protocol the channel collects two kinds of checks on expressions, linear ones (e = 0) and products
// (z = x·y). Finish discharges all of them at once with the product block and the final argument (SPEC.md 12 and 13, final.go). A check
// that is registered is checked; the proof is accepted only by Finish.
//
// Errors are sticky: after one, messages yield zero values and Err reports it, so that protocol code need not test each read. The end of a
// prover's context is such an error: no message is computed any more, and the walk ends as fast as a verifier's.
package veil

import (
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/transcript"
)

// Errors of a channel.
var (
	// ErrRejected says that the final argument failed: some check that the protocol collected does not hold.
	ErrRejected = errors.New("proof rejected: the final argument does not verify")
	// ErrForbidden says that a challenge fell on a value for which the protocol is undefined.
	ErrForbidden = errors.New("proof rejected: forbidden challenge")
)

// Reader yields a proof's elements in order. It fails on non-canonical encodings and at the proof's end.
type Reader interface {
	Points(out []group.Affine) error // the next len(out) points; those of one message are asked for together
	Scalar() (field.Element, error)
}

// Writer takes a proof's elements in order.
type Writer interface {
	Point(p group.Affine)
	Scalar(s field.Element)
}

// Randomness yields the uniform field elements of a labelled stream. Streams of different labels are independent.
type Randomness interface {
	Uniform(label string, n int) []field.Element
}

type mode uint8

const (
	proving mode = iota + 1
	verifying
	counting
)

// Counts is the size of a proof's message schedule.
type Counts struct {
	Points, Scalars int // elements of the proof stream
	Pads            int // padded scalars among them
	Vectors         []int
	Products        int
	Linear          int
	Errors          []Error
}

// Error is one summand of the soundness error: a false claim survives a challenge of the stage with probability at most
// Degree/2^Bits.
type Error struct {
	Stage  string
	Degree int64 // the trees of large circuits have 2^N leaves, and more times a degree than an int of 32 bits holds
	Bits   int
}

// The sizes of the challenges' sets, as exponents of two, rounded down: a challenge of full size, a round challenge, a folding
// challenge.
const (
	FullBits  = 253
	ShortBits = 125
	FoldBits  = 127
)

// Channel carries one proof. It is not safe for concurrent use.
type Channel struct {
	mode mode
	tr   transcript.Source
	in   Reader
	out  Writer
	rnd  Randomness
	be   Backend
	err  error

	tamper Tamper // prover, tests only
	lists  group.Lists

	npads    int // declared before the first message
	segments []segment
	linear   []linear
	products []product
	defined  []Expr          // by position in segment Defined
	values   []field.Element // prover: of what is defined
	count    Counts
}

// segment is one committed vector with its own generators. Its commitment is Σ coefs·points.
type segment struct {
	name   string
	n      int
	gens   func() []group.Affine
	points []group.Affine
	coefs  []field.Element // nil: all ones
	values []field.Element // prover, but for openings
	held   backend.Vector  // prover, of openings
	blind  field.Element   // prover
}

// linear is the check expr + ⟨dense, segment seg⟩ = 0 (dense nil: absent).
type linear struct {
	stage string
	expr  Expr
	seg   int
	dense []field.Element
}

type product struct {
	stage   string
	x, y, z Expr
}

// Backend is what a prover's channel asks of a backend's run: see backend.Run.
type Backend interface {
	Err() error
	MSM(bases backend.Bases, scalars []field.Element) group.Affine
	Argument(mask []field.Element, segments []backend.Segment, form []field.Element, bases backend.Bases, U group.Affine) backend.Argument
}

// NewProver returns a channel that makes a proof with npads padded scalars, a number that a dry run has counted. It fails with the
// backend's error, which may be that its context has ended: before the next message, or round of a message, is computed.
func NewProver(tr transcript.Source, out Writer, rnd Randomness, be Backend, npads int) *Channel {
	return &Channel{mode: proving, tr: tr, out: out, rnd: rnd, be: be, npads: npads}
}

// NewVerifier returns a channel that checks a proof.
func NewVerifier(tr transcript.Source, in Reader) *Channel {
	return &Channel{mode: verifying, tr: tr, in: in}
}

// NewCounter returns a channel that sends nothing and counts messages. Challenges come from tr.
func NewCounter(tr transcript.Source) *Channel { return &Channel{mode: counting, tr: tr} }

// Tamper changes messages before they are padded, committed to, absorbed and sent; the prover goes on from the changed values.
// Tests play lying provers with it. Vectors and padded scalars are seen as hidden values, other messages as they are sent.
type Tamper interface {
	Scalars(label string, values []field.Element)
	Points(label string, points []group.Affine)
}

// Tampered installs t on a prover's channel. Nothing but tests calls it, so that no program links it.
func Tampered(c *Channel, t Tamper) { c.tamper = t }

// Rehearse makes a prover's channel take generators from lists that are none. What it sends then is no proof.
func Rehearse(c *Channel, lists group.Lists) { c.lists = lists }

// Generators are the first n of a tag.
func (c *Channel) Generators(tag string, n int) []group.Affine { return c.lists.Generators(tag, n) }

func (c *Channel) tamperScalars(label string, values []field.Element) {
	if c.tamper != nil {
		c.tamper.Scalars(label, values)
	}
}

// Proving says whether the fill functions of messages are called: on the prover's side, up to the first error. Once it is false it stays
// so, and what a prover has begun while it was true is not gone on with.
func (c *Channel) Proving() bool {
	if c.mode != proving {
		return false
	}
	if c.err == nil {
		c.err = c.be.Err()
	}
	return c.err == nil
}

// Counts returns what was sent so far.
func (c *Channel) Counts() Counts { return c.count }

// Charge adds a summand to the soundness error. Stages charge what their challenges cost where they draw them.
func (c *Channel) Charge(stage string, degree int64, bits int) {
	if degree > 0 {
		c.count.Errors = append(c.count.Errors, Error{Stage: stage, Degree: degree, Bits: bits})
	}
}

// Err returns the first error.
func (c *Channel) Err() error { return c.err }

// Fail records an error unless there is one.
func (c *Channel) Fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Open commits to the pads, the first message of every proof that hides something.
func (c *Channel) Open() {
	if len(c.segments) != 0 {
		c.Fail(errors.New("veil: the pads are committed to once, before every vector"))
		return
	}
	c.segments = append(c.segments, segment{name: "pads", gens: func() []group.Affine { return c.Generators(group.PadTag, c.npads) }})
	s := &c.segments[0]
	if c.Proving() {
		s.n = c.npads
		s.values = c.rnd.Uniform("pads", c.npads)
	}
	c.commit(s, "pads")
}

// commit sends the commitment of a segment.
func (c *Channel) commit(s *segment, label string) {
	if c.Proving() {
		s.blind = c.rnd.Uniform("blinder "+s.name, 1)[0]
		sum := c.be.MSM(backend.From(s.gens()[:len(s.values)]), s.values)
		s.points = group.Blind(nil, []group.Affine{sum}, []field.Element{s.blind})
	}
	s.points = c.Points(label, 1, func() []group.Affine { return s.points })
}

// Points sends n group elements that are hiding by themselves (commitments).
func (c *Channel) Points(label string, n int, fill func() []group.Affine) []group.Affine {
	c.count.Points += n
	points := make([]group.Affine, n)
	switch c.mode {
	case proving:
		if !c.Proving() {
			break
		}
		copy(points, fill())
		if c.tamper != nil {
			c.tamper.Points(label, points)
		}
		for i := range points {
			c.out.Point(points[i])
		}
	case verifying:
		if c.err != nil {
			break
		}
		if err := c.in.Points(points); err != nil {
			c.Fail(fmt.Errorf("%s: %w", label, err))
			clear(points)
		}
	}
	c.tr.AbsorbPoints(label, points)
	return points
}

// clear sends n field elements as they are: masked or uniform ones.
func (c *Channel) clear(label string, n int, fill func() []field.Element) []field.Element {
	return c.send(label, n, func() []field.Element {
		values := append([]field.Element(nil), fill()...)
		c.tamperScalars(label, values)
		return values
	})
}

// send sends n field elements.
func (c *Channel) send(label string, n int, fill func() []field.Element) []field.Element {
	c.count.Scalars += n
	values := make([]field.Element, n)
	switch c.mode {
	case proving:
		if !c.Proving() {
			break
		}
		copy(values, fill())
		for i := range values {
			c.out.Scalar(values[i])
		}
	case verifying:
		for i := range values {
			if c.err != nil {
				break
			}
			v, err := c.in.Scalar()
			if err != nil {
				c.Fail(fmt.Errorf("%s: %w", label, err))
			}
			values[i] = v
		}
	}
	c.tr.AbsorbScalars(label, values)
	return values
}

// Scalars sends n padded scalars and returns their expressions. fill, called on the prover's side only, gives the values.
func (c *Channel) Scalars(label string, n int, fill func() []field.Element) []Expr {
	first := c.count.Pads
	c.count.Pads += n
	if c.mode == proving && c.count.Pads > c.npads {
		c.Fail(fmt.Errorf("veil: %s needs pad %d of %d", label, c.count.Pads, c.npads))
		return make([]Expr, n)
	}
	sent := c.send(label, n, func() []field.Element {
		values := append([]field.Element(nil), fill()...)
		c.tamperScalars(label, values)
		for i := range values {
			values[i].Add(&values[i], &c.segments[0].values[first+i])
		}
		return values
	})
	var minus field.Element
	minus.SetOne()
	minus.Neg(&minus)
	exprs := make([]Expr, n)
	for i := range exprs {
		exprs[i] = Expr{Const: sent[i], Terms: []Term{{W: Wire{Seg: 0, Pos: first + i}, C: minus}}}
	}
	return exprs
}

// Vector commits to n hidden values and returns their expressions.
func (c *Channel) Vector(label string, n int, fill func() []field.Element) []Expr {
	if n == 0 {
		return nil
	}
	k := len(c.count.Vectors)
	c.count.Vectors = append(c.count.Vectors, n)
	s := segment{name: fmt.Sprintf("vector %d", k), n: n, gens: func() []group.Affine { return c.Generators(group.VecTag(k), n) }}
	if c.Proving() {
		s.values = append([]field.Element(nil), fill()...)
		if len(s.values) != n {
			c.Fail(fmt.Errorf("veil: %s has %d values, want %d", label, len(s.values), n))
			s.values = make([]field.Element, n)
		}
		c.tamperScalars(label, s.values)
	}
	c.commit(&s, label)
	c.segments = append(c.segments, s)
	exprs := make([]Expr, n)
	for i := range exprs {
		exprs[i] = FromWire(Wire{Seg: len(c.segments) - 1, Pos: i})
	}
	return exprs
}

// Opening is a vector whose commitment both sides compute from points that were sent before: Σ Coefs·Points over Gens.
type Opening struct {
	Name   string
	N      int
	Gens   func() []group.Affine // the N generators, asked for by whoever computes with them: a dry run does not
	Points []group.Affine
	Coefs  []field.Element
	Held   backend.Vector // prover: the vector
	Blind  field.Element  // prover
}

// Inner adds the check ⟨weights, vector⟩ = value on an opening. The weights are asked for by whoever computes with them: a dry run does not.
func (c *Channel) Inner(stage string, o Opening, weights func() []field.Element, value Expr) {
	c.segments = append(c.segments, segment{
		name: o.Name, n: o.N, gens: o.Gens,
		points: o.Points, coefs: o.Coefs, held: o.Held, blind: o.Blind,
	})
	var minus field.Element
	minus.SetOne()
	minus.Neg(&minus)
	c.count.Linear++
	check := linear{stage: stage, expr: value.Scale(minus), seg: len(c.segments) - 1}
	if c.mode != counting {
		check.dense = weights()
	}
	c.linear = append(c.linear, check)
}

// Zero adds the check e = 0.
func (c *Channel) Zero(stage string, e Expr) {
	c.count.Linear++
	c.linear = append(c.linear, linear{stage: stage, expr: e})
}

// Product adds the check z = x·y. All three must have been sent, or be expressions of what was sent, by now.
func (c *Channel) Product(stage string, x, y, z Expr) {
	c.count.Products++
	c.products = append(c.products, product{stage: stage, x: x, y: y, z: z})
}

// Define names an expression of what was sent by now: the result has the same value and one wire at most. Expressions that share
// parts, written out, may double in length with every step of a computation; of named parts each stays as short as its step. Names
// are nothing but notation: assemble replaces them by what they stand for, all of them in one reverse sweep.
func (c *Channel) Define(e Expr) Expr {
	if len(e.Terms) <= 1 {
		return e
	}
	if c.Proving() {
		c.values = append(c.values, c.Value(e))
	}
	c.defined = append(c.defined, e)
	return FromWire(Wire{Seg: Defined, Pos: len(c.defined) - 1})
}

// Value returns the value of an expression; only the prover can.
func (c *Channel) Value(e Expr) field.Element {
	v := e.Const
	var t field.Element
	for _, term := range e.Terms {
		values := c.values
		if term.W.Seg != Defined {
			values = c.segments[term.W.Seg].values
		}
		t.Mul(&term.C, &values[term.W.Pos])
		v.Add(&v, &t)
	}
	return v
}

// Challenge draws a full-size challenge.
func (c *Channel) Challenge(label string) field.Element { return c.tr.Challenge(label) }

// Short draws a sumcheck round challenge.
func (c *Channel) Short(label string) field.Element { return c.tr.Short(label) }
