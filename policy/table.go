package policy

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

const bucketSize = 16

type bucket[K comparable, V any] struct {
	owner  *edit
	depth  uint8 // how many top bits of the hash all its keys share
	n      uint8
	tags   [bucketSize]byte // low byte of each key's hash
	keys   [bucketSize]K
	values [bucketSize]V
	hashes [bucketSize]uint64 // for splitting only, so last
}

// table is a persistent hash table (extendible hashing): a directory of buckets of which an edit copies only those it
// writes, so that putting one key into a hundred thousand costs microseconds and never stops a reader.
// Callers bring the hash, which must be good in all its bits. The zero value is empty. Copying the struct forks it.
type table[K comparable, V any] struct {
	dir   []*bucket[K, V] // 1 << depth
	owner *edit           // of the directory
	depth uint8
	n     int
}

func (t *table[K, V]) get(hash uint64, key K) (V, bool) {
	if t.n != 0 {
		b := t.dir[hash>>(64-t.depth)]
		if i := b.find(byte(hash), key); i >= 0 {
			return b.values[i], true
		}
	}
	var zero V
	return zero, false
}

// find returns the slot of key, or -1. It compares eight tags at a time.
func (b *bucket[K, V]) find(tag byte, key K) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	pattern := uint64(tag) * low
	for base := 0; base < int(b.n); base += 8 {
		x := binary.LittleEndian.Uint64(b.tags[base:base+8]) ^ pattern
		for hit := (x - low) &^ x & high; hit != 0; hit &= hit - 1 {
			i := base + bits.TrailingZeros64(hit)>>3
			if i < int(b.n) && b.keys[i] == key {
				return i
			}
		}
	}
	return -1
}

// put stores the value under the key, over what was there.
func (t *table[K, V]) put(e *edit, hash uint64, key K, value V) {
	b := t.bucket(e, hash)
	if i := b.find(byte(hash), key); i >= 0 {
		b.values[i] = value
		return
	}
	for b.n == bucketSize {
		t.split(e, hash)
		b = t.bucket(e, hash)
	}
	b.add(hash, key, value)
	t.n++
}

// remove forgets the key.
func (t *table[K, V]) remove(e *edit, hash uint64, key K) {
	if t.n == 0 {
		return
	}
	b := t.bucket(e, hash)
	i := b.find(byte(hash), key)
	if i < 0 {
		return
	}
	b.n--
	last := b.n
	b.tags[i], b.keys[i], b.values[i], b.hashes[i] = b.tags[last], b.keys[last], b.values[last], b.hashes[last]
	var k K
	var v V
	b.tags[last], b.keys[last], b.values[last], b.hashes[last] = 0, k, v, 0
	t.n--
}

func (b *bucket[K, V]) add(hash uint64, key K, value V) {
	b.tags[b.n], b.keys[b.n], b.values[b.n], b.hashes[b.n] = byte(hash), key, value, hash
	b.n++
}

// bucket returns the hash's bucket, to be written by e.
func (t *table[K, V]) bucket(e *edit, hash uint64) *bucket[K, V] {
	if t.dir == nil {
		t.dir, t.owner, t.depth = []*bucket[K, V]{{owner: e, depth: 1}, {owner: e, depth: 1}}, e, 1
	}
	b := t.dir[hash>>(64-t.depth)]
	if b.owner == e {
		return b
	}
	fresh := *b
	fresh.owner = e
	e.made += int(unsafe.Sizeof(fresh))
	t.place(e, hash, &fresh)
	return &fresh
}

// place points every directory slot of the bucket that shares the hash's top bits at b.
func (t *table[K, V]) place(e *edit, hash uint64, b *bucket[K, V]) {
	if t.owner != e {
		t.dir = append([]*bucket[K, V](nil), t.dir...)
		e.made += len(t.dir) * int(unsafe.Sizeof(b))
		t.owner = e
	}
	span := uint64(1) << (t.depth - b.depth)
	first := hash >> (64 - t.depth) &^ (span - 1)
	for i := range span {
		t.dir[first+i] = b
	}
}

// split divides the hash's full bucket by one more bit, doubling the directory where it has none to give.
func (t *table[K, V]) split(e *edit, hash uint64) {
	full := t.bucket(e, hash)
	if full.depth == t.depth {
		double := make([]*bucket[K, V], 2*len(t.dir))
		for i, b := range t.dir {
			double[2*i], double[2*i+1] = b, b
		}
		t.dir, t.owner, t.depth = double, e, t.depth+1
	}
	depth := full.depth + 1
	halves := [2]*bucket[K, V]{{owner: e, depth: depth}, {owner: e, depth: depth}}
	e.made += 2 * int(unsafe.Sizeof(*full))
	for i := range int(full.n) {
		h := full.hashes[i]
		halves[h>>(64-depth)&1].add(h, full.keys[i], full.values[i])
	}
	prefix := hash >> (64 - depth) &^ 1
	for i, half := range halves {
		t.place(e, (prefix|uint64(i))<<(64-depth), half)
	}
}
