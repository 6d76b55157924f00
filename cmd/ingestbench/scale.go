package main

import (
	"context"
	"fmt"
	"strconv"
)

// scaleUp measures the same with more and more series: what a sample and a series cost, and what restarts take.
func scaleUp(ctx context.Context, args []string) error {
	r, fs := newPeersRun("scale", "1000000,2000000,4000000,8000000", 12)
	out := fs.String("out", "", "path without extension for the report as text, JSON and page")
	return r.parse(fs, args, func() error {
		if err := r.each(ctx, func(bool) []peer { return []peer{rekindleOver(r.binary, "HTTP")} }); err != nil {
			return err
		}
		r.show.clear()
		return r.scaleReport().publish(*out)
	})
}

func (r *peersRun) scaleReport() *report {
	rep := newReport("Rekindle with more and more series")
	rep.note("%d scrapes over HTTP at full speed, then %d in %v each, %d samples a request. Then one more scrape at full speed, SIGKILL right behind its last answer, a start with default flags, a count of all samples, SIGTERM, and another start.",
		r.s.Scrapes, r.paced, r.pace, r.s.Request)
	g := grid{Title: "Costs, and as a multiple of the first line", Columns: append([]string{"series", "ns a new series", "×", "ns a sample", "×", "resident B a series", "×", "samples a second", "push p50, ms", "p99, ms", "max, ms"}, lockColumns...)}
	k := grid{Title: "Restarts", Columns: []string{"series", "ready after kill -9, s", "s a million series", "images MB", "images s", "log s", "samples replayed", "forecast s", "peak MB", "MB before", "acknowledged", "found", "clean stop, s", "start after it, s"}}
	first := &r.cases[0]
	for i := range r.cases {
		c := &r.cases[i]
		create, sample, bytes := c.Create.cpuPerSample()*1e9, c.Append.cpuPerSample()*1e9, float64(c.Resident)/float64(c.Series)
		p := latencies("", c.Pushes)
		g.add(append([]string{
			strconv.Itoa(c.Series), figure(create), figure(create / (first.Create.cpuPerSample() * 1e9)), figure(sample), figure(sample / (first.Append.cpuPerSample() * 1e9)),
			figure(bytes), figure(bytes / (float64(first.Resident) / float64(first.Series))), figure(float64(c.Append.Samples) / c.Append.Wall), p[2], p[3], p[5],
		}, locks(c.Before)...)...)
		m := func(name string) float64 { return c.After[name] }
		k.add(strconv.Itoa(c.Series), fmt.Sprintf("%.3f", c.Ready), figure(c.Ready/float64(c.Series)*1e6), figure(m("rekindle_recovery_image_bytes")/1e6), figure(m("rekindle_recovery_images_seconds")), figure(m("rekindle_recovery_log_seconds")),
			strconv.Itoa(int(m("rekindle_recovery_samples"))), fmt.Sprintf("%.3f", c.Before[metricForecast]), figure(float64(c.ReadyPeak)/1e6), figure(float64(c.Resident)/1e6),
			strconv.Itoa(c.Acked), strconv.Itoa(c.Found), figure(c.Stop), fmt.Sprintf("%.3f", c.Start))
	}
	rep.Tables = append(rep.Tables, g, k)
	line := func(name string, value func(*peerCase) float64) curve {
		cu := byPeer(r.cases, value)[0]
		cu.Name = name
		return cu
	}
	rep.Charts = append(rep.Charts,
		chart{Title: "Restart", X: "series", Y: "s", Curves: []curve{
			line("ready after kill -9", func(c *peerCase) float64 { return c.Ready }),
			line("start after a clean stop", func(c *peerCase) float64 { return c.Start }),
			line("clean stop", func(c *peerCase) float64 { return c.Stop }),
		}},
		chart{Title: "CPU", X: "series", Y: "ns", Curves: []curve{line("a sample", func(c *peerCase) float64 { return c.Append.cpuPerSample() * 1e9 })}},
		chart{Title: "Memory", X: "series", Y: "resident B a series", Curves: []curve{line("resident", func(c *peerCase) float64 { return float64(c.Resident) / float64(c.Series) })}})
	rep.Data = r.data()
	return rep
}
