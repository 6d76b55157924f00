package answers

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// tolerance is how far, relative to the value, answers may be apart when an expression adds over series.
const tolerance = 1e-12

// comparison is the outcome for one expression or for many.
type comparison struct {
	points      int // compared
	rounded     int // of these, equal only within tolerance
	differences []string
}

// compare finds every series and point that is not the same in both answers.
func compare(want, got Answer, adds bool) comparison {
	var c comparison
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[key]; !ok {
			c.differf("%s: missing, Prometheus has %d points from %s", key, len(want[key]), want[key][0].T)
			continue
		}
		c.comparePoints(key, want[key], got[key], adds)
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			c.differf("%s: Prometheus does not have it, here are %d points from %s", key, len(got[key]), got[key][0].T)
		}
	}
	return c
}

func (c *comparison) comparePoints(key string, want, got []Point, adds bool) {
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || (len(want) > 0 && number(want[0].T) < number(got[0].T)):
			c.differf("%s at %s: missing, Prometheus says %s", key, want[0].T, want[0].V)
			want = want[1:]
			continue
		case len(want) == 0 || number(got[0].T) < number(want[0].T):
			c.differf("%s at %s: %s, Prometheus has nothing", key, got[0].T, got[0].V)
			got = got[1:]
			continue
		case same(want[0].V, got[0].V):
			c.points++
		case adds && near(number(want[0].V), number(got[0].V)):
			c.points++
			c.rounded++
		default:
			c.points++
			c.differf("%s at %s: %s, Prometheus says %s", key, want[0].T, got[0].V, want[0].V)
		}
		want, got = want[1:], got[1:]
	}
}

// add takes another comparison's outcome into this one.
func (c *comparison) add(other comparison) {
	c.points += other.points
	c.rounded += other.rounded
	c.differences = append(c.differences, other.differences...)
}

// show prints what differs, if anything does.
func (c *comparison) show(title string) {
	n := len(c.differences)
	if n == 0 {
		return
	}
	proc.Say("%s: %d differences", title, n)
	for _, difference := range c.differences[:min(n, differencesShown)] {
		proc.Say("    %s", difference)
	}
}

func (c *comparison) differf(format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, args...))
}

// same compares the bits. Servers print the same number in different ways.
func same(a, b string) bool {
	return a == b || math.Float64bits(number(a)) == math.Float64bits(number(b)) && !math.IsNaN(number(a))
}

func near(a, b float64) bool {
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

// number reads what a server printed. What is no number equals nothing.
func number(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return f
}
