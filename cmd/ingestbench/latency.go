package main

import (
	"slices"
	"strconv"
	"time"
)

var latencyColumns = []string{"", "pushes", "p50", "p99", "p99.9", "max"}

func latencies(name string, pushes []push) []string {
	took := make([]float64, len(pushes))
	for i, p := range pushes {
		took[i] = p.took * 1e3
	}
	slices.Sort(took)
	return []string{name, strconv.Itoa(len(took)), figure(quantile(took, .5)), figure(quantile(took, .99)), figure(quantile(took, .999)), figure(quantile(took, 1))}
}

// quantile of sorted values; 0 if there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// latencyCurve is a dot for each push: when it was due, in seconds since a moment, and how many ms it took from then on.
func latencyCurve(name string, since time.Time, pushes []push) curve {
	c := curve{Name: name, Dots: true}
	for _, p := range pushes {
		c.Points = append(c.Points, [2]float64{p.at.Sub(since).Seconds(), p.took * 1e3})
	}
	return c
}
