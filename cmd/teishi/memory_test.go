package main

import "testing"

// Garbage gathers up to what is in use, and up to 24 MiB of it at least.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		inUse uint64
		want  int
	}{
		{2 << 20, 1200},
		{24 << 20, 100},
		{300 << 20, 100},
	} {
		if got := room(c.inUse); got != c.want {
			t.Errorf("room(%d) = %d, want %d", c.inUse, got, c.want)
		}
	}
}
