package ir

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestOpTable demands of every entry the functions that its stages need, and of every operation of the integer program the place where
// its uniqueness is argued.
func TestOpTable(t *testing.T) {
	for _, i := range Ops() {
		switch {
		case i.Meaning == "" || i.Shape == "" || i.Scale == "" || i.check == nil:
			t.Errorf("%s: an entry says what an operation means, its shapes and scales, and checks them", i.Op)
		case i.Is(StageFloat) != (i.float != nil) || i.Is(StageInt) != (i.integer != nil):
			t.Errorf("%s: its meanings are not those of its stages %v", i.Op, i.Stages)
		case i.Is(StageFloat) && !i.Is(StagePrim):
			t.Errorf("%s: what has a real meaning may stand in a primitive graph", i.Op)
		case i.Is(StageInt) && (i.bound == nil || i.Unique == ""):
			t.Errorf("%s: an integer operation has bounds and an argument for its uniqueness", i.Op)
		case i.Elementwise && (i.Outputs != 1 || i.MinIn < 1):
			t.Errorf("%s: elementwise with %d outputs and %d inputs", i.Op, i.Outputs, i.MinIn)
		}
	}
}

// ARCHITECTURE.md says how many operations a float graph is made of.
func TestArchitectureCountsOperations(t *testing.T) {
	n := 0
	for _, i := range Ops() {
		if i.Is(StageFloat) {
			n++
		}
	}
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("float meaning: %d operations\n", n); !strings.Contains(string(text), want) {
		t.Errorf("ARCHITECTURE.md lacks %q", want)
	}
}
