package ring

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grafana/dskit/kv/memberlist"
)

var _ memberlist.Mergeable = (*Desc)(nil)

// Merge implements memberlist.Mergeable with the rules of the package comment: other goes into d, and what
// that changed is returned, nil if nothing. local says that other is a whole ring that a compare-and-set made of d.
func (d *Desc) Merge(other memberlist.Mergeable, local bool) (memberlist.Mergeable, error) {
	return d.merge(other, local, time.Now())
}

func (d *Desc) merge(other memberlist.Mergeable, local bool, now time.Time) (memberlist.Mergeable, error) {
	o, ok := other.(*Desc)
	if !ok && other != nil {
		return nil, fmt.Errorf("ring: merge a %T into a ring", other)
	}
	if o == nil {
		return nil, nil
	}
	var changed []string
	newTokens := false
	for id, in := range o.Instances {
		if in.State == Left {
			in.Tokens = nil
		}
		mine, there := d.Instances[id]
		switch {
		case !there || in.Timestamp > mine.Timestamp:
			newTokens = newTokens || !slices.Equal(mine.Tokens, in.Tokens)
		case in.Timestamp == mine.Timestamp && in.State == Left && mine.State != Left:
		default:
			continue
		}
		d.Instances[id] = in
		changed = append(changed, id)
	}
	if local {
		for id, in := range d.Instances {
			if _, there := o.Instances[id]; there || in.State == Left {
				continue
			}
			// The tombstone is of now: older news of the instance may still be under way. Were it older than the entry,
			// others would ignore it.
			in.State, in.Tokens, in.Timestamp = Left, nil, max(now.Unix(), in.Timestamp)
			d.Instances[id] = in
			changed = append(changed, id)
		}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	if newTokens {
		d.resolve()
	}
	change := NewDesc()
	for _, id := range changed {
		change.Instances[id] = d.Instances[id]
	}
	return change, nil
}

// resolve gives each token to one instance.
func (d *Desc) resolve() {
	owner := map[uint32]string{}
	losers := map[string]bool{}
	for id, in := range d.Instances {
		for _, t := range in.Tokens {
			first, taken := owner[t]
			switch {
			case !taken:
				owner[t] = id
			case d.Yields(first, id):
				owner[t] = id
				losers[first] = true
			default:
				losers[id] = true
			}
		}
	}
	for id := range losers {
		in := d.Instances[id]
		in.Tokens = slices.DeleteFunc(slices.Clone(in.Tokens), func(t uint32) bool { return owner[t] != id })
		d.Instances[id] = in
	}
}

// Yields reports whether instance a gives a token up that b has too.
func (d *Desc) Yields(a, b string) bool {
	aLeaves, bLeaves := d.Instances[a].State == Leaving, d.Instances[b].State == Leaving
	if aLeaves != bLeaves {
		return aLeaves
	}
	return a > b
}

// MergeContent implements memberlist.Mergeable: the ids in the ring.
func (d *Desc) MergeContent() []string { return slices.Collect(maps.Keys(d.Instances)) }

// RemoveTombstones implements memberlist.Mergeable: those from before the limit, all if it is zero.
func (d *Desc) RemoveTombstones(limit time.Time) (total, removed int) {
	for id, in := range d.Instances {
		switch {
		case in.State != Left:
		case limit.IsZero() || time.Unix(in.Timestamp, 0).Before(limit):
			delete(d.Instances, id)
			removed++
		default:
			total++
		}
	}
	return total, removed
}

// Clone implements memberlist.Mergeable. Slices are shared: nobody writes to them.
func (d *Desc) Clone() memberlist.Mergeable {
	return &Desc{Instances: maps.Clone(d.Instances), unknown: d.unknown}
}
