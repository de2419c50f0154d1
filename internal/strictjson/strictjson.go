// Package strictjson reads JSON that a verdict hangs on, which everybody has to read alike. encoding/json takes the last of several members of
// one name, and names in any case: what one program shows a person another would compare with something else.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// ErrTwice says that an object has two members of one name, or of names that differ in case alone.
var ErrTwice = errors.New("two members have one name")

// Unmarshal is json.Unmarshal, and refuses members that v does not have, objects with two members of one name whatever its case, and anything
// behind the value. Where it returns an error v may be filled in.
func Unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there are bytes behind its end")
	}
	return unique(data)
}

// NoNull refuses an object with a member that is null, where that would be taken for one that says something.
func NoNull(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if string(members[name]) == "null" {
			return fmt.Errorf("%q is null: leave it out where nothing is to be compared", name)
		}
	}
	return nil
}

// open is an object or a list that is being read.
type open struct {
	names map[string]bool // of an object so far; nil of a list
	named bool            // the next token is a member's value, not its name
}

// unique looks for objects with two members of one name, at any depth.
func unique(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var stack []open
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, open{names: map[string]bool{}})
			continue
		case json.Delim('['):
			stack = append(stack, open{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 {
			continue
		}
		in := &stack[len(stack)-1]
		if in.names == nil || in.named { // a value has ended
			in.named = false
			continue
		}
		name := token.(string) // of a member: the decoder lets nothing else pass
		if in.names[folded(name)] {
			return fmt.Errorf("%w: %q", ErrTwice, name)
		}
		in.names[folded(name)], in.named = true, true
	}
}

// folded is a name that stands for all that differ from it in case alone.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return least
	}, name)
}
