package export

import (
	"errors"
	"fmt"
	"math"
)

// Config is the size of a transformer.
type Config struct {
	Layers     int
	Width      int // of the hidden state
	Heads      int // of queries
	KVHeads    int // of keys and values, for LLaMA; 0: as many as of queries
	MLP        int // between the matrices of the MLP; 0: four times the width
	Vocabulary int
	Length     int // positions
	Seed       uint64

	Half  bool // LLaMA with weights and activations of 16 bits, norms in 32
	Block bool // LLaMA's layers alone, from hidden states to hidden states

	Shared bool // tables of positions are one for all layers, as other exporters have it: PyTorch's writes large ones anew at each use
}

// head is the width of a head.
func (c *Config) head() int { return c.Width / c.Heads }

// residual is the deviation of matrices that write into the residual stream, which all layers add to.
func (c *Config) residual() float64 { return deviation / math.Sqrt(float64(2*c.Layers)) }

// complete fills in what follows from the rest, and says what cannot be.
func (c *Config) complete() error {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.MLP == 0 {
		c.MLP = 4 * c.Width
	}
	for _, v := range []struct {
		name  string
		value int
	}{{"layers", c.Layers}, {"the width", c.Width}, {"heads", c.Heads}, {"heads of keys and values", c.KVHeads}, {"the width of the MLP", c.MLP},
		{"the vocabulary", c.Vocabulary}, {"the length", c.Length}} {
		if v.value < 1 || v.value > math.MaxInt32 {
			return fmt.Errorf("%s: %d, between 1 and 2^31-1 is possible", v.name, v.value)
		}
	}
	switch {
	case c.Width%c.Heads != 0:
		return fmt.Errorf("a width of %d is not a multiple of %d heads", c.Width, c.Heads)
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%d heads of queries cannot share %d of keys and values evenly", c.Heads, c.KVHeads)
	case c.Length < 2:
		return errors.New("a length of 1 is exported in another spelling; 2 is the least")
	}
	return nil
}
