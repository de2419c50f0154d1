package veil

import (
	"crypto/rand"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/transcript"
)

// This file is the simulator of the zero-knowledge argument; simulate_test.go runs it. It stands inside the package because it needs
// the form, the target and the generators of the final argument. It asks for nothing that a verifier does not have.

// Programmed is a random oracle some of whose answers were chosen. Keys are the answers that the hash gives: of full size, so that a
// key names one state of the transcript with all that was absorbed before it. Everywhere else the answers are the hash's.
type Programmed struct {
	transcript.Source
	At map[field.Element]field.Element
}

// Challenge draws a challenge.
func (p *Programmed) Challenge(label string) field.Element {
	v := p.Source.Challenge(label)
	if to, ok := p.At[v]; ok {
		return to
	}
	return v
}

// Choices are all that the simulator draws. A proof hides what it must if these are uniform in real proofs too, because the rest of
// a proof follows from them.
type Choices interface {
	Point() group.Affine          // the next commitment
	Scalar() field.Element        // the next padded scalar, at last f(c) and g(c)
	E() field.Element             // the challenge e, chosen before D
	Masked(n int) []field.Element // z, in real proofs e·u + d, on every position
	Blinder() field.Element       // φ
}

// Uniform draws every choice from the operating system's randomness.
type Uniform struct{}

// Scalar returns a uniform field element.
func (Uniform) Scalar() field.Element {
	var raw [field.WideBytes]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	return field.Uniform(raw[:])
}

// Point returns a uniform group element.
func (u Uniform) Point() group.Affine {
	h, s := group.H(), u.Scalar()
	p := group.Mul(&h, &s)
	return group.ToAffine(&p)
}

// E is uniform, like the hash's answer.
func (u Uniform) E() field.Element { return u.Scalar() }

// Masked returns n uniform field elements.
func (u Uniform) Masked(n int) []field.Element {
	z := make([]field.Element, n)
	for i := range z {
		z[i] = u.Scalar()
	}
	return z
}

// Blinder is uniform.
func (u Uniform) Blinder() field.Element { return u.Scalar() }

// Simulation makes a proof: it is the Reader of a verifier's channel, whose elements it invents when they are asked for, and the
// random oracle of that channel, whose answer e it chooses. Everything before D is a commitment or a padded scalar and is uniform.
// D and t_D are the only elements that the final equation e·P + D = ⟨z, G⟩ + φ·H, e·t + t_D = ⟨z, L⟩ determines; the foldings L_k,
// R_k and the rest are computed from z, G and L as a prover computes them.
type Simulation struct {
	Programmed
	choices Choices
	out     Writer
	be      backend.Run
	ch      *Channel

	nu, theta, e field.Element
	seen         map[string]bool // the challenges that were drawn
	arg          *argument       // from the time when D is asked for
	z            []field.Element
	phi          field.Element
	fold         backend.Argument
	pair         []group.Affine // R_k, when L_k was taken
	rest         []field.Element
}

// Simulate writes a simulated proof to out. run walks the protocol; tr is its transcript with all that is public absorbed, or another
// programmed oracle, as of proofs that were simulated before. It returns the points at which the oracle was programmed, and what the
// verifier on this channel said.
func Simulate(
	tr transcript.Source, choices Choices, out Writer, be backend.Run, run func(*Channel) error,
) (map[field.Element]field.Element, error) {
	s := &Simulation{
		Programmed: Programmed{Source: tr, At: map[field.Element]field.Element{}},
		choices:    choices, out: out, be: be, seen: map[string]bool{},
	}
	s.ch = NewVerifier(s, s)
	return s.At, run(s.ch)
}

// Challenge notes what the final argument needs, and programs e.
func (s *Simulation) Challenge(label string) field.Element {
	v := s.Programmed.Challenge(label)
	s.seen[label] = true
	switch label {
	case "nu":
		s.nu = v
	case "theta":
		s.theta = v
	case "e":
		s.At[v] = s.e
		return s.e
	case "x":
		base := s.be.MSM(backend.From([]group.Affine{group.U()}), []field.Element{v})
		s.fold = s.be.Argument(s.z, nil, s.arg.form, s.arg.bases(), base)
	}
	return v
}

// ChallengeBytes draws the folding challenges, the only bytes that the protocol draws.
func (s *Simulation) ChallengeBytes(label string, n int) []byte {
	raw := s.Programmed.ChallengeBytes(label, n)
	s.fold.Fold(foldChallenge(raw))
	return raw
}

// Points invents the next commitments, D, L_k and R_k.
func (s *Simulation) Points(out []group.Affine) error {
	for i := range out {
		out[i] = s.point()
	}
	return nil
}

func (s *Simulation) point() group.Affine {
	var p group.Affine
	switch {
	case !s.seen["theta"]:
		p = s.choices.Point()
	case s.arg == nil:
		p = s.start()
	case s.pair == nil:
		l, r := s.fold.Round()
		p, s.pair = l, []group.Affine{r}
	default:
		p, s.pair = s.pair[0], nil
	}
	s.out.Point(p)
	return p
}

// start chooses e, z and φ, and returns D = ⟨z, G⟩ + φ·H − e·P.
func (s *Simulation) start() group.Affine {
	s.arg = assembled(s.ch, s.nu, s.theta)
	s.e, s.z, s.phi = s.choices.E(), s.choices.Masked(s.arg.n), s.choices.Blinder()
	m := newMSM(s.arg.n)
	m.add(group.H(), s.phi)
	for i, g := range s.arg.generators() {
		m.add(g, s.z[i])
	}
	var v field.Element
	for i := range s.ch.segments {
		seg := &s.ch.segments[i]
		for j := range seg.points {
			v.Mul(&s.e, &s.arg.weight[i])
			v.Neg(&v)
			if seg.coefs != nil {
				v.Mul(&v, &seg.coefs[j])
			}
			m.add(seg.points[j], v)
		}
	}
	return s.be.MSM(backend.From(m.points), m.scalars)
}

// Scalar invents the next padded scalar, t_D = ⟨z, L⟩ − e·t, φ, or an element of the rest.
func (s *Simulation) Scalar() (field.Element, error) {
	var v field.Element
	switch {
	case s.arg == nil:
		v = s.choices.Scalar()
	case !s.seen["e"]:
		v.Mul(&s.e, &s.arg.target)
		inner := field.InnerProduct(s.z, s.arg.form)
		v.Sub(&inner, &v)
	case !s.seen["x"]:
		v = s.phi
	default:
		if s.rest == nil {
			s.rest = s.fold.Rest()
		}
		v, s.rest = s.rest[0], s.rest[1:]
	}
	s.out.Scalar(v)
	return v, nil
}

// Opened are the choices that a simulator would have made to give a prover's proof.
type Opened struct {
	Proof Reader        // the proof's elements; those before D are taken
	Real  field.Element // its e
	Z     []field.Element
	Phi   field.Element
}

// Open computes the choices of a proof that the prover's channel c has finished. rnd yields the same streams again, e is the
// challenge that was drawn, proof the elements that were sent.
func Open(c *Channel, rnd Randomness, nu, theta, e field.Element, proof Reader) *Opened {
	p := &prover{argument: assembled(c, nu, theta)}
	c.rnd = rnd
	p.start()
	o := &Opened{Proof: proof, Real: e, Z: make([]field.Element, p.n), Phi: p.blinder(e)[0]}
	copy(o.Z, p.d)
	for s := range c.segments {
		seg, scale, v := &c.segments[s], e, field.Element{}
		scale.Mul(&scale, &p.weight[s])
		values := seg.values
		if seg.held != nil {
			values = c.be.(backend.Run).Values(seg.held)
		}
		for i := range values {
			z := &o.Z[p.offset[s]+i]
			z.Add(z, v.Mul(&scale, &values[i]))
		}
	}
	return o
}

// Point is the proof's.
func (o *Opened) Point() group.Affine {
	var p [1]group.Affine
	if err := o.Proof.Points(p[:]); err != nil {
		panic(err)
	}
	return p[0]
}

// Scalar is the proof's.
func (o *Opened) Scalar() field.Element {
	v, err := o.Proof.Scalar()
	if err != nil {
		panic(err)
	}
	return v
}

// E is the proof's.
func (o *Opened) E() field.Element { return o.Real }

// Masked is the combined vector, scaled and masked.
func (o *Opened) Masked(int) []field.Element { return o.Z }

// Blinder is the proof's φ.
func (o *Opened) Blinder() field.Element { return o.Phi }

// assembled is the argument of a channel.
func assembled(c *Channel, nu, theta field.Element) *argument {
	a := c.arrange(theta)
	a.assemble(nu)
	return a
}
