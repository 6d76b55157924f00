package main

import (
	"slices"
	"strconv"
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
