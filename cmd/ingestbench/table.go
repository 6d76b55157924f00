package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is a line of the table: the same quantity of both systems. Less is better in every row. 0 means that it
// was not measured.
type row struct {
	Name                 string
	Unit                 string
	Rekindle, Prometheus float64
}

// rows compares the two systems. What the requests of one scrape cannot show is left out.
func (m *measurement) rows() []row {
	ours, theirs := m.Rekindle, m.Prometheus
	series := float64(ours.Loaded.Create.Samples)
	var rows []row
	add := func(name, unit string, ours, theirs float64) { rows = append(rows, row{name, unit, ours, theirs}) }

	add("CPU a new series", "ns", ours.Loaded.Create.cpuPerSample()*1e9, theirs.Loaded.Create.cpuPerSample()*1e9)
	add("log a new series", "B", float64(m.LogCreate.LogBytes)/series, float64(theirs.Loaded.Create.LogBytes)/series)
	if ours.Loaded.Append.Samples > 0 {
		add("CPU a sample appended", "ns", ours.Loaded.Append.cpuPerSample()*1e9, theirs.Loaded.Append.cpuPerSample()*1e9)
		add("log a sample", "B", float64(m.Log.LogBytes)/float64(m.Log.Samples), float64(theirs.Loaded.Append.LogBytes)/float64(theirs.Loaded.Append.Samples))
		add("push, median", "ms", ours.Loaded.Append.P50*1e3, theirs.Loaded.Append.P50*1e3)
		add("push, 99th percentile", "ms", ours.Loaded.Append.P99*1e3, theirs.Loaded.Append.P99*1e3)
	}
	if m.HTTPCreate.CPU > 0 {
		add("CPU a new series over HTTP", "ns", m.HTTPCreate.cpuPerSample()*1e9, 0)
	}
	if m.HTTPAppend.CPU > 0 {
		add("CPU a sample over HTTP", "ns", m.HTTPAppend.cpuPerSample()*1e9, 0)
	}
	if m.GRPCCreate.CPU > 0 {
		add("CPU a new series over gRPC", "ns", m.GRPCCreate.cpuPerSample()*1e9, 0)
	}
	if m.GRPCAppend.CPU > 0 {
		add("CPU a sample over gRPC", "ns", m.GRPCAppend.cpuPerSample()*1e9, 0)
	}
	add("Go heap a series", "B", float64(ours.Loaded.Heap)/series, float64(theirs.Loaded.Heap)/series)
	add("resident memory a series", "B", ours.Loaded.perSeries(), theirs.Loaded.perSeries())
	add("replay of the same log: ready after", "s", ours.Replay.Seconds, theirs.Replay.Seconds)
	add("replay of the same log: CPU", "s", ours.Replay.CPU, theirs.Replay.CPU)
	add("replay of the same log: peak memory a series", "B", float64(ours.Replay.Memory.Peak)/series, float64(theirs.Replay.Memory.Peak)/series)
	add("start after kill -9: ready after", "s", ours.Kill.Seconds, theirs.Kill.Seconds)
	add("start after kill -9: CPU", "s", ours.Kill.CPU, theirs.Kill.CPU)
	add("clean stop", "s", ours.Stop, theirs.Stop)
	add("start after a clean stop: ready after", "s", ours.Start.Seconds, theirs.Start.Seconds)
	for _, v := range m.Variants {
		// A workload is rounded up to whole targets, so that its number of series is its own.
		add("resident memory a series: "+v.Name, "B", v.Rekindle.perSeries(), v.Prometheus.perSeries())
	}
	return rows
}

// printTable writes rows for people.
func printTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tRekindle\tPrometheus\t\tratio\t")
	for _, r := range rows {
		ratio := ""
		if r.Prometheus > 0 {
			ratio = figure(r.Rekindle / r.Prometheus)
		}
		fmt.Fprintf(t, "%-46s\t%s\t%s\t%s\t%s\t\n", r.Name, figure(r.Rekindle), figure(r.Prometheus), r.Unit, ratio)
	}
	return t.Flush()
}

// figure prints three digits that mean something.
func figure(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// printBench writes rows as go test -bench does, for benchstat.
func printBench(w io.Writer, m *measurement, rows []row) {
	p := m.s.Workload
	for _, system := range []string{rekindle, prometheus} {
		fmt.Fprintf(w, "BenchmarkIngest/system=%s/series=%d/target=%d/values=%s/scrapes=%d 1", system, p.Series, p.SeriesPerTarget, p.Values, m.s.Scrapes)
		for _, r := range rows {
			v := r.Rekindle
			if system == prometheus {
				v = r.Prometheus
			}
			if v == 0 {
				continue
			}
			fmt.Fprintf(w, " %g %s-%s", v, strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(r.Name), r.Unit)
		}
		fmt.Fprintln(w)
	}
}
