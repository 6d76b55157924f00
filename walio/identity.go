package walio

import "fmt"

// Identity says whose log a directory holds. Every segment repeats it in its first record, so that a
// file of another tenant, or of another generation of the same tenant, is never replayed by mistake.
type Identity struct {
	Tenant string
	// Generation changes whenever references change their meaning: other stripes, other hash, other layout.
	Generation uint64
	// Stripes is the number of stripes, a power of two from 1 to 64. A series reference is
	// index*Stripes + stripe.
	Stripes uint32
	// HashID names the hash that places a series in a stripe, RefLayout the layout of references. walio
	// only compares them.
	HashID, RefLayout uint32
}

func (id Identity) validate() error {
	switch {
	case id.Tenant == "":
		return fmt.Errorf("walio: identity without a tenant")
	case len(id.Tenant) > tenantSizeMax:
		return fmt.Errorf("walio: tenant name of %d bytes, the limit is %d", len(id.Tenant), tenantSizeMax)
	case id.Stripes == 0 || id.Stripes > stripesMax || id.Stripes&(id.Stripes-1) != 0:
		return fmt.Errorf("walio: %d stripes, want a power of two from 1 to %d", id.Stripes, stripesMax)
	}
	return nil
}

func (id Identity) String() string {
	return fmt.Sprintf("tenant %q generation %d (%d stripes, hash %d, references %d)",
		id.Tenant, id.Generation, id.Stripes, id.HashID, id.RefLayout)
}

// Position is where a log ends and how it goes on. Recover returns it; Start continues from it. The zero
// Position is an empty log. The engine may raise Commit and Segment when an image or the
// catalogue knows greater ones; it must never lower them.
type Position struct {
	// Commit is the greatest commit number used so far. The next commit is Commit+1.
	Commit uint64
	// Segment is the number of the segment to create next.
	Segment int
	// Totals are what all commits up to Commit held.
	Totals Totals

	segments   []finishedSegment
	checkpoint checkpointState
}

// Totals count what a tenant's log has held since the generation began. Every commit carries them, which
// is how the loss behind a gap is known exactly.
type Totals struct {
	Series, Samples, Others uint64
}

// load is what the entries take in a round of the replay, in samples. A series with its key is as large as some of
// them: 512 bytes.
func (t Totals) load() uint64 { return t.Samples + seriesLoad*t.Series }

const seriesLoad = 32

func (t Totals) plus(u Totals) Totals {
	return Totals{t.Series + u.Series, t.Samples + u.Samples, t.Others + u.Others}
}

// finishedSegment is a segment that gets no more commits.
type finishedSegment struct {
	num  int
	last uint64 // greatest commit number in it or in a segment before it
	size int64
}
