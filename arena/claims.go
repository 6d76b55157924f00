package arena

import "slices"

// Claims says which bytes of an arena have an owner, in units of 8 bytes. A walk over an arena of unknown origin
// enters every block that it finds: two that share a byte cannot both be what they seem, and a store into one of them
// would change the other.
type Claims struct {
	a   *Arena
	set []uint64
}

// NewClaims returns the claims of an arena of which nothing is claimed yet but the first extent, which is header and
// root.
func NewClaims(a *Arena) Claims {
	return Claims{a: a, set: make([]uint64, a.Size()>>refShift/64)}
}

// Add claims n bytes at r. It reports whether they lie inside the arena and were free.
func (c Claims) Add(r Ref, n uint64) bool {
	if n == 0 || !c.a.Contains(r, n) {
		return false
	}
	first, last := uint64(r), uint64(r)+(n-1)>>refShift
	head, tail := ^uint64(0)<<(first%64), ^uint64(0)>>(63-last%64)
	i, j := first/64, last/64
	if i == j {
		mask := head & tail
		taken := c.set[i] & mask
		c.set[i] |= mask
		return taken == 0
	}
	taken := c.set[i]&head | c.set[j]&tail
	c.set[i] |= head
	c.set[j] |= tail
	for i++; i < j; i++ {
		taken |= c.set[i]
		c.set[i] = ^uint64(0)
	}
	return taken == 0
}

// AddSpan claims what AllocSpan gave for n bytes.
func (c Claims) AddSpan(r Ref, n uint64) bool {
	return uint64(r)%(ExtentSize>>refShift) == 0 && c.Add(r, roundUp(n, ExtentSize))
}

// AddChains claims the blocks of chains, of which last are the last ones, and overwrites both slices. It goes through all
// chains at once, a block further in each, because most blocks have to come from memory. It returns -1, or which chain
// has a block that does not lie inside the arena or was not free, or leads on behind its first.
func (c Claims) AddChains(last []Ref, blocks []int) (bad int) {
	for left := true; left; {
		left = false
		for k, r := range last {
			if blocks[k] == 0 {
				continue
			}
			if r%blockUnits != 0 || !c.Add(r, BlockSize) {
				return k
			}
			last[k] = *At[Ref](c.a, r)
			blocks[k]--
			left = true
		}
	}
	return slices.IndexFunc(last, func(r Ref) bool { return r != 0 })
}

// AddFree claims what the arena will hand out: the rests of spans, freed spans and free blocks.
func (c Claims) AddFree() bool {
	h := c.a.header()
	for _, cur := range h.cur {
		if cur.next < cur.end && !c.Add(Ref(cur.next>>refShift), cur.end-cur.next) {
			return false
		}
	}
	for _, s := range h.spans {
		if s.size > 0 && !c.Add(Ref(s.first)<<(extentShift-refShift), uint64(s.size)<<extentShift) {
			return false
		}
	}
	if h.layout == 1 {
		return c.addFree1()
	}
	for r := h.free; r != 0; r = *At[Ref](c.a, r) {
		if !c.Add(r, BlockSize) {
			return false
		}
	}
	return true
}
