package walio

import (
	"testing"
)

// What was committed comes back from the log: all of it, once, in order, for each stripe from its image's
// commit on; over several starts, with tiny segments and all compressions.
func TestWriteAndRecover(t *testing.T) {
	for _, comp := range []Compression{CompressionNone, CompressionSnappy, CompressionZstd} {
		d, src, w := newTestDir(t), newTestSource(), newWorkload(uint64(comp))
		var pos Position
		for start := range 3 {
			l := d.start(pos, src, func(o *Options) { o.Compression, o.SegmentSize = comp, pageSize })
			for range 40 {
				src.add(w.next(600)...)
				wait(t, l)
			}
			closeLog(t, l)
			res, rec := d.recover()
			d.check(src, rec, nil, res.LastCommit)
			if len(res.Losses) > 0 || res.TornBytes > 0 {
				t.Fatalf("start %d: losses %v, %d torn bytes in a log that was closed", start, res.Losses, res.TornBytes)
			}
			pos = res.Position
			if pos.Segment < 3 {
				t.Fatalf("only %d segments; the test wants several", pos.Segment)
			}
		}
		from := []uint64{pos.Commit / 2, 0, pos.Commit, pos.Commit / 3}
		_, rec := d.recover(func(o *RecoverOptions) { o.From = from })
		d.check(src, rec, from, pos.Commit)
	}
}
