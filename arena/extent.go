package arena

// Run is a copy of neighbouring extents.
type Run struct {
	First uint32 // number of the first extent
	Data  []byte // a multiple of ExtentSize
}

// Changed is how many bytes a Copy for the slot that needs more would have now.
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
