// Package strictjson reads JSON that a verdict hangs on, which everybody has to read alike. encoding/json takes the last of several members of
// one name, and names in any case, and U+FFFD for what is no text: what one program shows a person another would compare with something else.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrTwice says that an object has two members of one name, or of names that differ in case alone.
var ErrTwice = errors.New("two members have one name")

// Unmarshal is json.Unmarshal, and refuses members that v does not have, objects with two members of one name whatever its case, anything
// behind the value, bytes that are no UTF-8 and halves of surrogate pairs. Where it returns an error v may be filled in.
func Unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there are bytes behind its end")
	}
	if !utf8.Valid(data) || halves(data) {
		return errors.New("a text in it is no Unicode")
	}
	return unique(data)
}

// halves says whether JSON escapes a half of a surrogate pair without the other. Backslashes stand in texts alone.
func halves(data []byte) bool {
	unit := func(at int) rune { // the one that is escaped there, −1 if none is
		if at+6 > len(data) || data[at] != '\\' || data[at+1] != 'u' {
			return -1
		}
		v, err := strconv.ParseUint(string(data[at+2:at+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(v)
	}
	for at := 0; at < len(data); at++ {
		if data[at] != '\\' {
			continue
		}
		r := unit(at)
		switch {
		case !utf16.IsSurrogate(r):
			at++ // what is escaped may be a backslash
		case utf16.DecodeRune(r, unit(at+6)) == unicode.ReplacementChar:
			return true
		default:
			at += 11
		}
	}
	return false
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
