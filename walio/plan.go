package walio

import (
	"cmp"
	"math"
	"slices"
)

// plan is the one log that recovery makes of the segments on disk: which extents are replayed, in which
// order, what is missing, and where the log ends.
type plan struct {
	segments []*segmentScan
	// extents are ascending by commit and do not overlap.
	extents []extent
	// maxSynced: up to here a missing commit is damage, beyond it the torn end of an unclean stop.
	maxSynced uint64
	// end is the last commit of the log. What stands in the files beyond is cut off.
	end    uint64
	gaps   []gap
	fenced uint64 // commits ignored because a greater epoch had taken over
}

// gap is a range of commits that should be there and are not.
type gap struct {
	commitRange
	prev, next *extent // neighbours, nil without one
	seg        *segmentScan
}

// makePlan decides from the scans alone. from is the greatest commit that all images contain.
func makePlan(segments []*segmentScan, from, syncedElsewhere uint64) *plan {
	p := &plan{segments: segments, maxSynced: syncedElsewhere}
	if len(segments) > 0 && segments[0].header != nil {
		// What stood in segments before the first one was cut, and only what is durable is cut.
		p.maxSynced = max(p.maxSynced, segments[0].header.first-1)
	}
	fences := epochStarts(segments)
	for _, seg := range segments {
		var mine []extent
		for _, e := range seg.extents {
			e, cut := e.below(fences.limit(e.epoch))
			p.fenced += cut
			if e.first > e.last {
				continue
			}
			p.maxSynced = max(p.maxSynced, e.synced)
			mine = append(mine, e)
		}
		p.merge(mine)
	}
	p.findEnd(from)
	return p
}

// below returns e without the commits from limit on, and how many those were. Where in the file the rest
// ends is not known then; decoding stops by number.
func (e extent) below(limit uint64) (extent, uint64) {
	if e.last < limit {
		return e, 0
	}
	cut := e.last - max(limit, e.first) + 1
	e.last, e.trimmed = limit-1, true
	return e, cut
}

// starting returns e without the commits below first.
func (e extent) starting(first uint64) extent {
	if first > e.first {
		e.first, e.trimmed = first, true
	}
	return e
}

// epochFences hold the first commit of each epoch.
type epochFences map[uint64]uint64

func epochStarts(segments []*segmentScan) epochFences {
	fences := epochFences{}
	note := func(epoch, first uint64) {
		if old, ok := fences[epoch]; !ok || first < old {
			fences[epoch] = first
		}
	}
	for _, seg := range segments {
		if seg.header != nil {
			note(seg.header.epoch, seg.header.first)
		}
		for _, e := range seg.extents {
			note(e.epoch, e.first)
		}
	}
	return fences
}

// limit returns the first commit that belongs to a greater epoch.
func (f epochFences) limit(epoch uint64) uint64 {
	limit := uint64(math.MaxUint64)
	for other, first := range f {
		if other > epoch {
			limit = min(limit, first)
		}
	}
	return limit
}

// merge adds the extents of the next segment. A commit that stands twice was written again after a failed
// sync (heal); the copies are equal. The later segment normally holds all of it, and the earlier one should
// have been cut back. If the process died while it was writing again, the earlier one holds more.
func (p *plan) merge(mine []extent) {
	if len(mine) == 0 {
		return
	}
	slices.SortStableFunc(mine, func(a, b extent) int { return cmp.Compare(a.first, b.first) })
	intact := func(e extent) bool { return !e.damaged }
	damaged := func(e extent) bool { return e.damaged }
	old := p.extents
	if ascending(append(old[max(len(old)-1, 0):len(old):len(old)], mine...)) {
		p.extents = append(old, mine...)
		return
	}
	first, second := mine, old
	if lastOf(old) > lastOf(mine) {
		first, second = old, mine
	}
	var merged []extent
	for _, list := range [...][]extent{keep(first, intact), keep(second, intact), keep(first, damaged), keep(second, damaged)} {
		for _, e := range list {
			merged = insert(merged, e)
		}
	}
	p.extents = merged
}

// ascending says that no commit is in list twice.
func ascending(list []extent) bool {
	for i := 1; i < len(list); i++ {
		if list[i].first <= list[i-1].last {
			return false
		}
	}
	return true
}

func keep(list []extent, cond func(extent) bool) []extent {
	var out []extent
	for _, e := range list {
		if cond(e) {
			out = append(out, e)
		}
	}
	return out
}

func lastOf(list []extent) uint64 {
	last := uint64(0)
	for _, e := range list {
		last = max(last, e.last)
	}
	return last
}

// insert adds those commits of e that list does not have yet. list is ascending and stays so.
func insert(list []extent, e extent) []extent {
	for i := 0; i <= len(list) && e.first <= e.last; i++ {
		if i < len(list) && list[i].last < e.first {
			continue
		}
		// Everything before i lies below e.
		if i == len(list) || list[i].first > e.last {
			return slices.Insert(list, i, e)
		}
		if e.first < list[i].first {
			part := e
			part.last, part.trimmed = list[i].first-1, true
			list = slices.Insert(list, i, part)
			i++
		}
		e = e.starting(list[i].last + 1)
	}
	return list
}

// findEnd walks the extents in order, notes what is missing and finds where the log ends: at the first gap
// or damaged commit that nothing says was durable.
func (p *plan) findEnd(from uint64) {
	pos := from
	var prev *extent
	for i := range p.extents {
		e := &p.extents[i]
		if e.last <= pos {
			prev = e
			continue
		}
		if e.first > pos+1 {
			missing := commitRange{pos + 1, e.first - 1}
			if missing.last > p.maxSynced {
				p.endAt(i, pos, prev)
				return
			}
			p.gaps = append(p.gaps, gap{missing, prev, e, e.seg})
		}
		if e.damaged && e.first > p.maxSynced {
			p.endAt(i, e.first-1, prev)
			return
		}
		pos, prev = e.last, e
	}
	p.endAt(len(p.extents), pos, prev)
}

// endAt ends the log before extent i, at commit last. What is known to have been durable beyond is lost.
func (p *plan) endAt(i int, last uint64, prev *extent) {
	p.extents, p.end = p.extents[:i], last
	if p.maxSynced > last {
		g := gap{commitRange: commitRange{last + 1, p.maxSynced}, prev: prev}
		if prev != nil {
			g.seg = prev.seg
		}
		p.gaps = append(p.gaps, g)
	}
}

// inSegment returns the extents of seg that belong to the log, in commit order.
func (p *plan) inSegment(seg *segmentScan) []extent {
	return keep(p.extents, func(e extent) bool { return e.seg == seg })
}
