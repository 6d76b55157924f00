package ring

import (
	"cmp"
	"slices"
)

// Ownership returns the part of the key space of each instance that has tokens, 1 is all of it. A token owns the keys from
// the token before it, which belongs to that one, up to its own, and the first those behind the last.
func (d *Desc) Ownership() map[string]float64 {
	type owned struct {
		token uint32
		id    string
	}
	var all []owned
	for id, in := range d.Instances {
		for _, t := range in.Tokens {
			all = append(all, owned{t, id})
		}
	}
	slices.SortFunc(all, func(a, b owned) int { return cmp.Compare(a.token, b.token) })
	parts := map[string]float64{}
	for i, o := range all {
		before := all[(i+len(all)-1)%len(all)].token
		size := float64(o.token - before) // wraps round, as the ring does
		if len(all) == 1 {
			size = 1 << 32
		}
		parts[o.id] += size / (1 << 32)
	}
	return parts
}
