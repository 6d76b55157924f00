package main

import (
	"fmt"
	"math"
	"slices"
)

// fitted are the parts of a restart as the ingester's model knows them, measured anew from the restarts of a run: what
// the constants of engine/forecast.go should be on this machine.
func fitted(cases []forecastCase, cores int) grid {
	g := grid{Title: "What the parts took; work on one core", Columns: []string{"part", "took"}}
	var process, rest, images, log []float64
	var work [][]float64
	for i := range cases {
		c := &cases[i]
		phase := func(name string) float64 { return c.Work[`rekindle_restart_last_seconds{phase="`+name+`"}`] }
		v := func(name string) float64 { return c.Work["rekindle_recovery_"+name] }
		process = append(process, c.Ready-phase("images")-phase("log")-phase("rest"))
		rest = append(rest, phase("rest"))
		if bytes := v("image_bytes"); bytes > 20e6 {
			images = append(images, phase("images")/bytes*float64(cores))
		}
		if took := phase("log"); took > 0 && v("entries") > 0 {
			log = append(log, took)
			work = append(work, []float64{1, v("entries"), v("samples"), v("names"), v("series")})
		}
	}
	ms := func(name string, seconds float64) { g.add(name, fmt.Sprintf("%.0f ms", seconds*1e3)) }
	ms("restartProcess", middle(process))
	ms("restartRest", middle(rest))
	g.add("restartImageByte", fmt.Sprintf("%.2f ns", middle(images)*1e9))
	f := fit(work, log)
	ms("restartLog", f[0])
	for i, name := range []string{"restartEntry", "restartSample", "restartName", "restartSeries"} {
		g.add(name, fmt.Sprintf("%.0f ns", f[i+1]*1e9*float64(cores)))
	}
	return g
}

func middle(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return quantile(v, .5)
}

// fit returns factors, none negative, with which the sums of each row come as near to y as they can, relative to it.
func fit(rows [][]float64, y []float64) []float64 {
	const columns = 5
	factors := make([]float64, columns)
	// One factor after the other is set to the best, with the others as they are. It converges, slowly: the columns
	// resemble each other.
	left := func(i, without int) float64 {
		v := y[i]
		for k, f := range factors {
			if k != without {
				v -= f * rows[i][k]
			}
		}
		return v
	}
	for range 20000 {
		for k := range factors {
			var dot, square float64
			for i := range rows {
				x := rows[i][k] / y[i]
				dot += x * left(i, k) / y[i]
				square += x * x
			}
			if square > 0 {
				factors[k] = math.Max(dot/square, 0)
			}
		}
	}
	return factors
}
