package circuit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Family is one or more circuits of one model, its members, which differ in the length of their sequences. They declare the same weights,
// so that one commitment to them, one proof of their ranges and one pair of keys serve all members; a statement and its proof are about one
// member. It is immutable.
type Family struct {
	members []*Circuit // the shortest first
	digest  [32]byte
}

// ErrFamily says why circuits are no family, wrapped with what they differ in.
var ErrFamily = errors.New("the circuits are no family")

// NewFamily makes the family of finished circuits, the shortest first. It refuses circuits that are not of one model: they must have the
// same name, the same weights in the same order (name, shape, bounds) in rows of the same width, the same kind of statement, and ports that
// are alike but for their shapes and for the bounds of outputs. From each to the next no axis of a port becomes shorter and one becomes
// longer, so that no two have the same digest.
func NewFamily(members ...*Circuit) (*Family, error) {
	if len(members) == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrFamily)
	}
	for i, c := range members {
		switch {
		case c == nil || c.digest == [32]byte{}:
			return nil, fmt.Errorf("%w: circuit %d is not finished", ErrFamily, i)
		case i == 0:
			continue
		}
		err := members[0].sameModel(c)
		if err == nil {
			err = members[i-1].longer(c)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: circuit %s, %s and %s: %w", ErrFamily, c.Name, members[i-1].Extent(), c.Extent(), err)
		}
	}
	f := &Family{members: slices.Clone(members), digest: members[0].digest}
	if len(members) > 1 {
		f.digest = familyDigest(members)
	}
	return f, nil
}

// Single is the family of one circuit.
func Single(c *Circuit) *Family { return &Family{members: []*Circuit{c}, digest: c.digest} }

// familyDigest is the digest of several circuits. The encoding of a circuit begins with the length of a text and so with a zero byte: no
// circuit has the digest of a family.
func familyDigest(members []*Circuit) [32]byte {
	data := binary.BigEndian.AppendUint32([]byte("zkllmc family"), uint32(len(members)))
	for _, c := range members {
		data = append(data, c.digest[:]...)
	}
	return sha256.Sum256(data)
}

// sameModel says in what another circuit is not one of the same model.
func (c *Circuit) sameModel(d *Circuit) error {
	switch {
	case c.Name != d.Name:
		return fmt.Errorf("the names %q and %q", c.Name, d.Name)
	case c.WeightBits != d.WeightBits:
		return fmt.Errorf("weights in rows of 2^%d and 2^%d", c.WeightBits, d.WeightBits)
	case c.StatementKind() != d.StatementKind():
		return fmt.Errorf("statements that are %ss and %ss", c.StatementKind(), d.StatementKind())
	case c.Generation != nil && c.Generation.Pad != d.Generation.Pad:
		return fmt.Errorf("the pad tokens %d and %d", c.Generation.Pad, d.Generation.Pad)
	}
	if err := sameWeights(c.Weights(), d.Weights()); err != nil {
		return err
	}
	if len(c.Ports) != len(d.Ports) {
		return fmt.Errorf("%d and %d ports", len(c.Ports), len(d.Ports))
	}
	for i := range c.Ports {
		if !c.Ports[i].alike(&d.Ports[i]) {
			return fmt.Errorf("port %d, %s %q, is not alike", i, c.Ports[i].Side(), c.Ports[i].Name)
		}
	}
	return nil
}

func sameWeights(a, b []*Tensor) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d and %d weights", len(a), len(b))
	}
	for i, w := range a {
		if v := b[i]; w.Name != v.Name || !equalShape(w.Shape, v.Shape) || [2]int64{w.Lo, w.Hi} != [2]int64{v.Lo, v.Hi} {
			return fmt.Errorf("weight %d: %s %v in [%d, %d] and %s %v in [%d, %d]", i, w.Name, w.Shape, w.Lo, w.Hi, v.Name, v.Shape, v.Lo, v.Hi)
		}
	}
	return nil
}

// alike says whether two ports differ in their shapes alone, or of outputs in their bounds, which follow from how many terms a sum has. An
// id means the same to both, and so do the numbers that a port of reals holds.
func (p *Port) alike(q *Port) bool {
	return p.Name == q.Name && p.Out == q.Out && p.Kind == q.Kind && p.Scale == q.Scale && p.Reveal == q.Reveal &&
		len(p.Shape) == len(q.Shape) && (p.Out || p.Lo == q.Lo && p.Hi == q.Hi)
}

// longer refuses a circuit that is not longer than this one, of the same model.
func (c *Circuit) longer(d *Circuit) error {
	grows := false
	for i := range c.Ports {
		for a, n := range c.Ports[i].Shape {
			m := d.Ports[i].Shape[a]
			if m < n {
				return fmt.Errorf("%s %q becomes shorter", c.Ports[i].Side(), c.Ports[i].Name)
			}
			grows = grows || m > n
		}
	}
	if !grows {
		return errors.New("the second is not longer")
	}
	return nil
}

// Digest identifies the family: the digest of its member where there is one alone, else SHA-256 over all of theirs.
func (f *Family) Digest() [32]byte { return f.digest }

// Members lists the circuits, the shortest first.
func (f *Family) Members() []*Circuit { return slices.Clone(f.members) }

// Shortest returns the first member. What all members have alike can be learnt from it.
func (f *Family) Shortest() *Circuit { return f.members[0] }

// Longest returns the last member.
func (f *Family) Longest() *Circuit { return f.members[len(f.members)-1] }

// Member returns the member with the given digest, nil if there is none.
func (f *Family) Member(digest [32]byte) *Circuit {
	for _, c := range f.members {
		if c.digest == digest {
			return c
		}
	}
	return nil
}

// Smallest returns, of generations, the first member with at least as many positions; the longest where none has.
func (f *Family) Smallest(positions int) *Circuit {
	for _, c := range f.members {
		if c.Generation != nil && c.Generation.Length >= positions {
			return c
		}
	}
	return f.Longest()
}

// Positions lists the lengths of the members of generations, for people: "32, 64 or 128".
func (f *Family) Positions() string {
	var out []string
	for _, c := range f.members {
		if c.Generation != nil {
			out = append(out, strconv.Itoa(c.Generation.Length))
		}
	}
	if n := len(out); n > 1 {
		return strings.Join(out[:n-1], ", ") + " or " + out[n-1]
	}
	return strings.Join(out, "")
}

// Extent says, for people, what tells a circuit from the other members of its family: its positions, or the shapes of its inputs.
func (c *Circuit) Extent() string {
	if c.Generation != nil {
		return fmt.Sprintf("%d positions", c.Generation.Length)
	}
	var out []string
	for i := range c.Ports {
		if p := &c.Ports[i]; !p.Out {
			out = append(out, fmt.Sprintf("%s %v", p.Name, p.Shape))
		}
	}
	return strings.Join(out, ", ")
}

// Lines is what the command lines print of a family.
func (f *Family) Lines() string {
	if len(f.members) == 1 {
		return fmt.Sprintf("circuit   %x (%s)\n", f.digest, f.members[0].Name)
	}
	out := fmt.Sprintf("circuits  %x (%s), of them\n", f.digest, f.members[0].Name)
	for _, c := range f.members {
		out += fmt.Sprintf("circuit   %x (%s)\n", c.digest, c.Extent())
	}
	return out
}
