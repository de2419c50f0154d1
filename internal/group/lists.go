package group

import "strconv"

// Lists yields the first n generators of a tag; where it is nil, they are derived.
type Lists func(tag string, n int) []Affine

// Generators are those of a tag.
func (l Lists) Generators(tag string, n int) []Affine {
	if l == nil {
		return Generators(tag, 0, n)
	}
	return l(tag, n)
}

// PadTag, RowTag and VecTag are the tags of the generators of pads, of rows of a width and of the k-th committed vector.
const PadTag = "pad"

func RowTag(width int) string { return "row/" + strconv.Itoa(width) }

func VecTag(k int) string { return "vec/" + strconv.Itoa(k) }

// Placeholders are lists of points that are no generators, nor on the curve, and take no time to derive: for whoever counts what is done with
// generators. As with those, the list of a tag is one, however often it is asked for, and no other tag's.
func Placeholders() Lists {
	known := map[string][]Affine{}
	return func(tag string, n int) []Affine {
		if len(known[tag]) < n {
			list := make([]Affine, n)
			list[0].X[0] = uint64(len(known) + 1)
			known[tag] = list
		}
		return known[tag][:n:n]
	}
}
