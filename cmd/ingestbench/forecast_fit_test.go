package main

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Factors that made the sums are found again, those that are 0 included.
func TestFit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	want := []float64{15e-3, 30e-9, 40e-9, 0, 1200e-9}
	var rows [][]float64
	var y []float64
	for range 30 {
		samples := rng.Float64() * 5e6
		names := rng.Float64() * 1e6
		series := rng.Float64() * names
		row := []float64{1, samples*(1+rng.Float64()) + names, samples, names, series}
		sum := 0.0
		for k, f := range want {
			sum += f * row[k]
		}
		rows, y = append(rows, row), append(y, sum)
	}
	got := fit(rows, y)
	for k := range want {
		require.InDelta(t, want[k], got[k], max(want[k]*0.02, 1e-9), "factor %d", k)
	}
}
