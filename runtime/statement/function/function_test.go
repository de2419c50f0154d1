package function

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// model has a port of every kind and every view of each.
func model(t testing.TB) *circuit.Circuit {
	t.Helper()
	b := circuit.NewBuilder(circuit.Config{Name: "ports", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{2, 3}, Lo: -200, Hi: 300, Scale: 4, Reveal: circuit.Values})
	y := gadget.Input(b, "y", circuit.Port{Name: "y", Kind: circuit.Integers, Shape: []int{2, 3}, Lo: -2, Hi: 3, Reveal: circuit.Nothing})
	ids := gadget.Input(b, "ids", circuit.Port{Name: "ids", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Values})
	v := b.Virtual("v", []int{2, 3}, circuit.Product(b, 1, x, y), circuit.Scaled(b, 1, gadget.Embed(b, "e", ids, b.Weight("table", 4, 5, 3))))
	gadget.Output(b, circuit.Port{Name: "out", Kind: circuit.Reals, Scale: 3, Reveal: circuit.Values}, v)
	cube := b.Virtual("cube", []int{2, 3, 5}, b.Times(1, "td,dj->tdj t=2 d=3 j=5", v, b.Weight("head", 4, 3, 5)))
	gadget.Output(b, circuit.Port{Name: "class", Kind: circuit.Integers, Reveal: circuit.Argmax}, cube)
	gadget.Output(b, circuit.Port{Name: "hidden", Kind: circuit.Integers, Reveal: circuit.Nothing}, cube)
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// random is a statement about the circuit, true or not.
func random(c *circuit.Circuit, rnd *rand.Rand) *Statement {
	s := &Statement{Ports: make([][]int64, len(c.Ports))}
	for i := range c.Ports {
		p := &c.Ports[i]
		lo, hi := p.Lo, p.Hi
		if p.Reveal == circuit.Argmax {
			lo, hi = 0, int64(p.Shape[len(p.Shape)-1])-1
		}
		for range count(p) {
			s.Ports[i] = append(s.Ports[i], lo+rnd.Int64N(hi-lo+1))
		}
	}
	return s
}

// The verifier's evaluation is the MLE of the prover's dense tensor, for every view.
func TestEvalIsTheMLE(t *testing.T) {
	rnd, c := rand.New(rand.NewPCG(1, 2)), model(t)
	views := map[circuit.View]bool{}
	for range 30 {
		s := random(c, rnd)
		for i := range c.Tensors {
			id := circuit.ID(i)
			if c.Tensor(id).Kind != circuit.Public {
				continue
			}
			views[c.Tensor(id).View] = true
			dense := s.Public(c, id)
			point := make([]field.Element, circuit.ShapeBits(dense.Shape))
			for k := range point {
				point[k] = field.FromInt64(rnd.Int64())
			}
			if got, want := s.Eval(c, id, point), poly.EvalInts(dense.V, dense.Shape, point); got != want {
				t.Fatalf("tensor %s: the evaluations differ for %v", c.Tensor(id).Name, s.Ports)
			}
		}
	}
	if len(views) != 4 {
		t.Errorf("views %v", views)
	}
}

// What Check and Decode refuse, each next to a statement that they take.
func TestCheck(t *testing.T) {
	c := model(t)
	good := func() *Statement { return random(c, rand.New(rand.NewPCG(3, 4))) }
	for _, test := range []struct {
		name   string
		change func(s *Statement)
		want   error
	}{
		{"good", func(*Statement) {}, nil},
		{"least and greatest", func(s *Statement) { s.Ports[0][0], s.Ports[0][1], s.Ports[2][0], s.Ports[4][5] = -200, 300, 4, 4 }, nil},
		{"a real below its range", func(s *Statement) { s.Ports[0][0] = -201 }, ErrValue},
		{"a real beyond its range", func(s *Statement) { s.Ports[0][5] = 301 }, ErrValue},
		{"a negative id", func(s *Statement) { s.Ports[2][0] = -1 }, ErrValue},
		{"an id beyond the vocabulary", func(s *Statement) { s.Ports[2][1] = 5 }, ErrValue},
		{"an output beyond its bounds", func(s *Statement) { s.Ports[3][0] = c.Ports[3].Hi + 1 }, ErrValue},
		{"an index beyond the row", func(s *Statement) { s.Ports[4][0] = 5 }, ErrValue},
		{"a negative index", func(s *Statement) { s.Ports[4][0] = -1 }, ErrValue},
		{"a private input that is told", func(s *Statement) { s.Ports[1] = make([]int64, 6) }, ErrPrivate},
		{"a private output that is told", func(s *Statement) { s.Ports[5] = make([]int64, 30) }, ErrPrivate},
		{"an input that is missing", func(s *Statement) { s.Ports[0] = nil }, statement.ErrCount},
		{"one element too few", func(s *Statement) { s.Ports[0] = s.Ports[0][:5] }, statement.ErrCount},
		{"one element too many", func(s *Statement) { s.Ports[0] = append(s.Ports[0], 0) }, statement.ErrCount},
		{"values for an arg-max", func(s *Statement) { s.Ports[4] = make([]int64, 30) }, statement.ErrCount},
		{"a port too few", func(s *Statement) { s.Ports = s.Ports[:5] }, ErrPorts},
		{"a port too many", func(s *Statement) { s.Ports = append(s.Ports, nil) }, ErrPorts},
	} {
		s := good()
		test.change(s)
		if err := s.Check(c); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		if _, err := statement.Encode(c, s); !errors.Is(err, test.want) {
			t.Errorf("%s: Encode: %v", test.name, err)
		}
		if _, _, err := Decode(circuit.Single(c), file(c, s.Bytes())); (err == nil) != (test.want == nil) {
			t.Errorf("%s: Decode: %v", test.name, err)
		}
	}
	s := good()
	s.Ports[3], s.Ports[4] = nil, nil
	if err := s.CheckInput(c); err != nil {
		t.Errorf("outputs may be missing from an input: %v", err)
	}
	s.Ports[0][0] = 301
	if err := s.CheckInput(c); !errors.Is(err, ErrValue) {
		t.Errorf("an input out of its range: %v", err)
	}
}

// A statement of one kind is none of the other, whatever its bytes.
func TestKinds(t *testing.T) {
	text := witnesstest.Text{Name: "text", Length: 2, Vocab: 3, Reveal: circuit.Values, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	e := gadget.Embed(b, "e", text.Tokens(b), b.Weight("w", 4, 3, 3))
	b.Lookup(gadget.Range(b, -8, 7), e)
	text.Logits(b, e)
	c := witnesstest.Finish(t, b)
	s := &Statement{Ports: [][]int64{{0, 1}, make([]int64, 6)}}
	for _, err := range []error{s.Check(c), s.CheckInput(c)} {
		if !errors.Is(err, statement.ErrKind) {
			t.Error(err)
		}
	}
	if _, _, err := Decode(circuit.Single(c), file(c, s.Bytes())); !errors.Is(err, statement.ErrKind) {
		t.Error(err)
	}
	f := model(t)
	data := file(f, random(f, rand.New(rand.NewPCG(5, 6))).Bytes())
	data[format.HeaderSize] = 2
	if _, _, err := Decode(circuit.Single(f), data); !errors.Is(err, statement.ErrKind) {
		t.Error(err)
	}
}

// A statement that says another integer has another value at a point, for every element of every port; so has another point, whichever of
// its variables differs; and no view is like another of the same port.
func TestEvalTellsStatementsApart(t *testing.T) {
	rnd, c := rand.New(rand.NewPCG(7, 9)), model(t)
	s := random(c, rnd)
	for id := range c.Tensors {
		tensor := &c.Tensors[id]
		if tensor.Kind != circuit.Public {
			continue
		}
		point := make([]field.Element, circuit.ShapeBits(tensor.Shape))
		for k := range point {
			point[k] = field.FromInt64(rnd.Int64())
		}
		before := s.Eval(c, circuit.ID(id), point)
		for k, v := range point {
			point[k] = field.FromInt64(rnd.Int64())
			if s.Eval(c, circuit.ID(id), point) == before {
				t.Errorf("%s does not depend on variable %d", tensor.Name, k)
			}
			point[k] = v
		}
		for other := range c.Tensors {
			like := &c.Tensors[other]
			if like.Kind == circuit.Public && like.Port == tensor.Port && like.View != tensor.View && s.Eval(c, circuit.ID(other), point) == before {
				t.Errorf("%s and %s are alike", tensor.Name, like.Name)
			}
		}
		values := s.Ports[tensor.Port]
		for k, v := range values {
			values[k] = v + 1
			if v == c.Ports[tensor.Port].Hi || c.Ports[tensor.Port].Reveal == circuit.Argmax && v > 0 {
				values[k] = v - 1
			}
			if s.Eval(c, circuit.ID(id), point) == before {
				t.Errorf("%s: element %d may be %d or %d", tensor.Name, k, v, values[k])
			}
			values[k] = v
		}
	}
}

// A point of another length is a caller's defect: no value is made up for it.
func TestEvalAtAnotherLength(t *testing.T) {
	c := model(t)
	s := random(c, rand.New(rand.NewPCG(8, 9)))
	for id := range c.Tensors {
		tensor := &c.Tensors[id]
		for off := -1; tensor.Kind == circuit.Public && off <= 1; off += 2 {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s is evaluated at a point of %d variables too many", tensor.Name, off)
					}
				}()
				s.Eval(c, circuit.ID(id), make([]field.Element, circuit.ShapeBits(tensor.Shape)+off))
			}()
		}
	}
}

// A statement about a circuit that reveals nothing of its outputs claims nothing.
func TestVacuous(t *testing.T) {
	for reveal, want := range map[circuit.Reveal]error{circuit.Nothing: ErrVacuous, circuit.Values: nil} {
		b := circuit.NewBuilder(circuit.Config{Name: "vacuous", WeightBits: 4, WitnessBits: 4})
		x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{2}, Hi: 3, Reveal: circuit.Values})
		y := gadget.Rescale(b, "y", b.Virtual("v", []int{2}, circuit.Product(b, 1, x, b.Weight("w", 4, 2))), 1, -8, 7)
		gadget.Output(b, circuit.Port{Name: "out", Kind: circuit.Integers, Reveal: reveal}, y)
		c := witnesstest.Finish(t, b)
		if err := random(c, rand.New(rand.NewPCG(1, 1))).CheckClaim(c); !errors.Is(err, want) {
			t.Errorf("%v: got %v, want %v", reveal, err, want)
		}
	}
}

// What is filled in from outputs is all elements, or the first index of the maximum of each row.
func TestFill(t *testing.T) {
	c := model(t)
	s := &Statement{Ports: make([][]int64, len(c.Ports))}
	out := []int64{1, -2, 3, 4, 5, 6}
	s.Fill(c, 3, out)
	cube := make([]int64, 30)
	for i, best := range []int{0, 4, 2, 3, 1, 0} {
		cube[5*i+best] = int64(i)
	}
	s.Fill(c, 4, cube)
	s.Fill(c, 5, cube)
	if !slices.Equal(s.Ports[3], out) || !slices.Equal(s.Ports[4], []int64{0, 4, 2, 3, 1, 0}) || s.Ports[5] != nil {
		t.Errorf("%v", s.Ports)
	}
}

// file is what an attacker would write.
func file(c *circuit.Circuit, body []byte) []byte {
	w := format.NewWriter(format.MagicStatement, c.Digest())
	w.Raw(body)
	return w.Bytes()
}

// FuzzDecode: what is decoded is valid and has this one encoding.
func FuzzDecode(f *testing.F) {
	c := model(f)
	f.Add(random(c, rand.New(rand.NewPCG(7, 8))).Bytes())
	f.Add([]byte{number})
	f.Add([]byte{number, 8, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, body []byte) {
		data := file(c, body)
		s, _, err := Decode(circuit.Single(c), data)
		if err != nil {
			if s != nil {
				t.Fatal("a statement beside an error")
			}
			return
		}
		if err := s.Check(c); err != nil {
			t.Fatal(err)
		}
		if again, err := statement.Encode(c, s); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("two encodings of one statement: %v", err)
		}
	})
}

// A file that differs in one bit is refused, or the one encoding of another statement; one that is cut or longer is refused.
func TestEveryBitMatters(t *testing.T) {
	c := model(t)
	valid := file(c, random(c, rand.New(rand.NewPCG(9, 10))).Bytes())
	for i := range 8 * len(valid) {
		data := bytes.Clone(valid)
		data[i/8] ^= 1 << (i % 8)
		if s, _, err := Decode(circuit.Single(c), data); err == nil && !bytes.Equal(file(c, s.Bytes()), data) {
			t.Fatalf("byte %d, bit %d: two encodings of one statement", i/8, i%8)
		}
	}
	for n := range valid {
		if _, _, err := Decode(circuit.Single(c), valid[:n]); err == nil {
			t.Fatalf("%d of %d bytes are accepted", n, len(valid))
		}
	}
	if _, _, err := Decode(circuit.Single(c), append(valid, 0)); !errors.Is(err, statement.ErrFormat) {
		t.Fatalf("a trailing byte: %v", err)
	}
}

// Of a circuit with a hint of which it is not known whether it clamps no statement says that nothing was clamped; without the claim there
// is one.
func TestUnknownClamps(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "unknown", WeightBits: 4, WitnessBits: 4})
	w := b.Weight("w", 4, 2)
	y := b.Witness("y", 0, 1, 2)
	b.Lookup(gadget.Range(b, 0, 1), y)
	b.Hint(circuit.Hint{Kind: 77, In: []circuit.ID{w}, Out: []circuit.ID{y}})
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	s := &Statement{Ports: [][]int64{{0, 1}}}
	if err := s.Check(c); err != nil {
		t.Error(err)
	}
	s.NoSaturation = true
	if err := s.Check(c); !errors.Is(err, statement.ErrKind) {
		t.Errorf("a claim about clamps that are not known is answered with %v", err)
	}
}
