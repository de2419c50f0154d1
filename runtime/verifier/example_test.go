package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// successors is a circuit that whoever verifies builds himself, as generated code does: what is one more than each of three weights is told.
func successors() (*circuit.Family, error) {
	b := circuit.NewBuilder(circuit.Config{Name: "vectors: tiny", WeightBits: 4, WitnessBits: 4})
	w := b.Weight("w", 2, 3)
	more := b.Virtual("more", []int{3}, b.Times(1, "i->i i=3", w), b.Times(1, "->i i=3"))
	b.Lookup(b.TableOf("bits", func() [][]int64 { return [][]int64{{-2, -1, 0, 1, 2, 3}} }), more)
	gadget.Output(b, circuit.Port{Name: "more", Kind: circuit.Integers, Reveal: circuit.Values}, more)
	c, err := b.Finish()
	if err != nil {
		return nil, err
	}
	return circuit.NewFamily(c)
}

// ReadKey checks a model's key once; then each proof is verified against a statement that came with it, and against no other.
func ExampleReadKey() {
	file := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("..", "..", "internal", "format", "testdata", "tiny", name))
		if err != nil {
			log.Fatal(err)
		}
		return data
	}
	family, err := successors()
	if err != nil {
		log.Fatal(err)
	}
	key, err := verifier.ReadKey(context.Background(), family, function.Kind, file("model.vk"))
	if err != nil {
		log.Fatal(err)
	}
	statement, c, err := function.Decode(family, file("statement.bin"))
	if err != nil {
		log.Fatal(err)
	}
	proof := file("proof.bin")
	fmt.Println(statement.Ports, key.VerifyStatement(c, statement, proof))

	statement.Ports[0][1]++
	fmt.Println(statement.Ports, errors.Is(key.VerifyStatement(c, statement, proof), verifier.ErrRejected))
	// Output:
	// [[-1 -1 -1]] <nil>
	// [[-1 0 -1]] true
}
