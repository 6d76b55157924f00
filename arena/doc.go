// Package arena keeps a stripe's series in one reserved range of addresses that no garbage collector
// walks and whose bytes, written to a file and read back, mean the same again.
//
// # References
//
// Nothing in an arena is a Go pointer. A Ref is an offset from the arena's base in units of 8 bytes:
//
//	Ref   uint32, 0 = nil, address = base + Ref*8, so that an arena can grow to 32 GiB
//
// # Extents, and what an image needs
//
// The range is cut into extents of 4096 bytes (ExtentSize). Whoever stores into an arena calls Touch (or
// uses a method here that does), which marks the extents as changed for both image slots; a Copy takes
// what changed since one slot was last written. An image is therefore the extents [0, Size()), and writing
// one costs what changed, not what exists. Two regions, one for what changes with every scrape and one that
// only grows, fall out of it by placing things by purpose: each purpose fills its own spans of extents.
//
//	extent 0                     1..
//	+--------+------------------+-----------+-----------+-----------+----
//	| Header | root (client's)  | records   | chunks    | labels    | ...      spans, one purpose each
//	+--------+------------------+-----------+-----------+-----------+----
//	0        rootOffset         4096                                     End  ...  reserved, not committed
//
// # Lifetimes
//
// Records, labels and lists are never freed one by one: an arena with many dead series is copied to a fresh
// one. Whole spans are, when a table or an index has been replaced by one of twice the size; they serve any
// purpose. Open chunks are made of blocks of one size, which never become anything else:
//
//	0      4                                    64
//	+------+------------------------------------+
//	| prev | the client's                       |     a block; one cache line, and it lies in one
//	+------+------------------------------------+
//
// prev is the Ref of the block before it in its chunk, 0 in the first; of a free block, that of the next free one. So a
// whole chunk is freed by one store. The block freed last is given out first, as it is the likeliest to be in the cache;
// when none is free they come from their spans in order, so that those of series that are born together lie side by side.
//
// # Concurrency
//
// An Arena has no lock; its stripe has one. Label bytes never change once written, so that they may be read
// without the lock by whoever learnt their Ref under it.
//
// Under the race detector arenas are ordinary Go memory, because the detector sees nothing in mapped memory.
package arena
