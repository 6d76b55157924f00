package ring

import (
	"math/rand/v2"
	"slices"
)

// normal sorts tokens and removes doubles, in place.
func normal(tokens []uint32) []uint32 {
	if len(tokens) == 0 {
		return nil
	}
	slices.Sort(tokens)
	return slices.Compact(tokens)
}

// Fit returns n of tokens, or all of them and as many random ones as n lacks, which no instance of the ring has.
// Stock Cortex cannot lower the number; here the greatest go.
func (d *Desc) Fit(tokens []uint32, n int) []uint32 {
	if len(tokens) >= n {
		return slices.Clone(tokens[:n])
	}
	taken := map[uint32]bool{}
	for _, in := range d.Instances {
		for _, t := range in.Tokens {
			taken[t] = true
		}
	}
	out := slices.Clone(tokens)
	for _, t := range out {
		taken[t] = true
	}
	for len(out) < n {
		if t := rand.Uint32(); !taken[t] {
			taken[t] = true
			out = append(out, t)
		}
	}
	return normal(out)
}

// Undisputed returns the tokens of id that it may keep: those that no other instance has, except where the other
// yields. A newcomer yields to everybody who is not leaving.
func (d *Desc) Undisputed(id string, tokens []uint32, newcomer bool) []uint32 {
	out := tokens
	for other, in := range d.Instances {
		if other == id || in.State == Left {
			continue
		}
		if newcomer && in.State == Leaving || !newcomer && !d.Yields(id, other) {
			continue
		}
		lost := func(t uint32) bool { _, found := slices.BinarySearch(in.Tokens, t); return found }
		if slices.ContainsFunc(out, lost) {
			out = slices.DeleteFunc(slices.Clone(out), lost)
		}
	}
	return out
}
