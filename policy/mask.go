package policy

import "math/bits"

// mask is a set of up to 256 numbers.
type mask [4]uint64

// everything has every number.
var everything = mask{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

func (m *mask) set(i uint8)      { m[i>>6] |= 1 << (i & 63) }
func (m *mask) has(i uint8) bool { return m[i>>6]>>(i&63)&1 != 0 }

func (m mask) and(o mask) mask { return mask{m[0] & o[0], m[1] & o[1], m[2] & o[2], m[3] & o[3]} }
func (m mask) or(o mask) mask  { return mask{m[0] | o[0], m[1] | o[1], m[2] | o[2], m[3] | o[3]} }
func (m mask) not(o mask) mask {
	return mask{m[0] &^ o[0], m[1] &^ o[1], m[2] &^ o[2], m[3] &^ o[3]}
}
func (m mask) empty() bool { return m[0]|m[1]|m[2]|m[3] == 0 }

// meets reports whether the two sets share a number.
func (m *mask) meets(o *mask) bool {
	return m[0]&o[0]|m[1]&o[1]|m[2]&o[2]|m[3]&o[3] != 0
}

// each calls yield for every number in the set, least first, until it returns false.
func (m mask) each(yield func(uint8) bool) {
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			if !yield(uint8(w<<6 + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}
