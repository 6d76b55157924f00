package main

import "strconv"

func (r *reading) report() *report {
	rep := newReport("What queries take")
	rep.note("%d series with 10 labels, %d samples of each. Rekindle's engine and Prometheus's TSDB, in processes of their own one "+
		"after the other, asked through Prometheus's PromQL engine and storage interfaces; chunks as QueryStream gets them. Both "+
		"gave the same answers. A ratio is ours to theirs; milliseconds, CPU that of the process.", r.w.Series(), r.s.Scrapes)
	rep.Tables = append(rep.Tables, r.quiet())
	if r.s.Read.Rate > 0 {
		rep.note("Then the same while %d samples a second come in, %d a request: how long pushes take, from when they are due.", r.s.Read.Rate, r.s.Request)
		rep.Tables = append(rep.Tables, r.loaded())
	}
	names := make([]string, len(r.questions))
	for i, q := range r.questions {
		names[i] = q.Name
	}
	rep.Data = struct {
		Run                  spec
		Questions            []string
		Rekindle, Prometheus readFigures
	}{r.s, names, r.Rekindle, r.Prometheus}
	return rep
}

// quiet has a row for each question.
func (r *reading) quiet() grid {
	g := grid{Title: "Nobody pushes", Columns: []string{
		"", "Rekindle", "Prometheus", "ratio", "aim", "p99", "Prometheus", "CPU", "Prometheus", "ratio", "heap MB", "Prometheus", "runs", "Prometheus",
	}}
	for i, q := range r.questions {
		o, p := r.Rekindle.Quiet[i], r.Prometheus.Quiet[i]
		aim := "1"
		if q.Wide {
			aim = "0.5"
		}
		g.add(q.Name, figure(o.P50*1e3), figure(p.P50*1e3), figure(o.P50/p.P50), aim, figure(o.P99*1e3), figure(p.P99*1e3),
			figure(o.CPU*1e3), figure(p.CPU*1e3), figure(o.CPU/p.CPU), figure(o.Bytes/1e6), figure(p.Bytes/1e6), strconv.Itoa(o.Runs), strconv.Itoa(p.Runs))
	}
	return g
}

// loaded says how much longer a question takes while samples come in, and how long pushes take meanwhile. CPU and
// heap are left out: they are those of the pushes too.
func (r *reading) loaded() grid {
	g := grid{Title: "While samples come in", Columns: []string{
		"", "Rekindle", "p99", "to quiet", "push p99", "max", "Prometheus", "p99", "to quiet", "push p99", "max",
	}}
	pushes := func(p pushTiming) []string { return []string{figure(p.P99 * 1e3), figure(p.Max * 1e3)} }
	row := func(name string, cells func(f *readFigures) []string) {
		g.add(append(append([]string{name}, cells(&r.Rekindle)...), cells(&r.Prometheus)...)...)
	}
	for i, q := range r.questions {
		row(q.Name, func(f *readFigures) []string {
			l := f.Loaded[i]
			return append([]string{figure(l.P50 * 1e3), figure(l.P99 * 1e3), figure(l.P99 / f.Quiet[i].P99)}, pushes(f.PushByQuestion[i])...)
		})
	}
	none := []string{"", "", ""}
	row("all questions", func(f *readFigures) []string { return append(none[:3:3], pushes(f.PushAsked)...) })
	row("nobody asks", func(f *readFigures) []string { return append(none[:3:3], pushes(f.PushAlone)...) })
	return g
}
