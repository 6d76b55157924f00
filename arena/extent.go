package arena

import "slices"

// Run is a copy of neighbouring extents.
type Run struct {
	First uint32 // number of the first extent
	Data  []byte // a multiple of ExtentSize
}

// CopyDirty copies the extents that changed since slot (0 or 1) was last written, or all of them, into buf
// (reused, grown when it must) and marks them as unchanged for that slot. Data of the runs points into the
// returned buffer. A caller who then fails to write them must ask for all the next time.
func (a *Arena) CopyDirty(slot uint8, all bool, buf []byte, runs []Run) ([]byte, []Run) {
	n := int(a.Size() >> extentShift)
	dirty, bit := a.dirty[:n], uint8(1)<<slot
	if all {
		for i := range dirty {
			dirty[i] |= bit
		}
	}
	changed := 0
	for _, d := range dirty {
		changed += int(d & bit >> slot)
	}
	// A fresh buffer costs a page fault every 4 KiB, under the stripe's lock: grow ahead of need.
	if need := changed << extentShift; cap(buf) < need {
		buf = make([]byte, 0, need+need/4)
	}
	buf, runs = buf[:0], runs[:0]
	for i := 0; i < n; i++ {
		if dirty[i]&bit == 0 {
			continue
		}
		first := i
		for ; i < n && dirty[i]&bit != 0; i++ {
			dirty[i] &^= bit
		}
		at := len(buf)
		buf = append(buf, a.region.mem[first<<extentShift:i<<extentShift]...)
		runs = append(runs, Run{First: uint32(first), Data: slices.Clip(buf[at:])})
	}
	return buf, runs
}

// Changed is how many bytes CopyDirty would copy for the slot that needs more.
func (a *Arena) Changed() int {
	var n [2]int
	for _, d := range a.dirty[:a.Size()>>extentShift] {
		n[0] += int(d & 1)
		n[1] += int(d >> 1 & 1)
	}
	return max(n[0], n[1]) << extentShift
}

// Snapshot is the bytes an image taken now would hold. For tests and the walk; valid under the lock.
func (a *Arena) Snapshot() []byte { return a.region.mem[:a.Size():a.Size()] }
