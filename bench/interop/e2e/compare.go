package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
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
func compare(want, got answer, adds bool) comparison {
	var c comparison
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[key]; !ok {
			c.differf("%s: missing, Prometheus has %d points from %s", key, len(want[key]), want[key][0].t)
			continue
		}
		c.comparePoints(key, want[key], got[key], adds)
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			c.differf("%s: Prometheus does not have it, here are %d points from %s", key, len(got[key]), got[key][0].t)
		}
	}
	return c
}

func (c *comparison) comparePoints(key string, want, got []point, adds bool) {
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || (len(want) > 0 && number(want[0].t) < number(got[0].t)):
			c.differf("%s at %s: missing, Prometheus says %s", key, want[0].t, want[0].v)
			want = want[1:]
			continue
		case len(want) == 0 || number(got[0].t) < number(want[0].t):
			c.differf("%s at %s: %s, Prometheus has nothing", key, got[0].t, got[0].v)
			got = got[1:]
			continue
		case want[0].v == got[0].v:
			c.points++
		case adds && near(number(want[0].v), number(got[0].v)):
			c.points++
			c.rounded++
		default:
			c.points++
			c.differf("%s at %s: %s, Prometheus says %s", key, want[0].t, got[0].v, want[0].v)
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
	say("%s: %d differences", title, n)
	for _, difference := range c.differences[:min(n, differencesShown)] {
		say("    %s", difference)
	}
}

func (c *comparison) differf(format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, args...))
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
