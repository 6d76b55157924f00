package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// latency measures pushes at the pace of scrapes: without images, with them, and while all series close a chunk,
// because a block range ends.
func (r *imagesRun) latency(ctx context.Context) error {
	scrapes := max(int(r.latencyFor/r.pace), 1)
	g := grid{Title: fmt.Sprintf("Pushes of %d samples, a scrape in %v, in ms", r.s.Request, r.pace), Columns: append(latencyColumns, "> 5 ms in server", "> 10 ms", "images")}
	c := chart{Title: "Pushes", X: "s", Y: "ms", Log: true, MarkName: "an image was published, with images on"}
	for _, one := range []struct {
		name     string
		boundary int
		flags    []string
	}{
		{"no images", 0, []string{"-ingester.checkpoint-enabled=false"}},
		{"images", 0, nil},
		{"images, all chunks close", r.s.Scrapes + scrapes/2, nil},
	} {
		if err := r.placed(r.s.Scrapes+scrapes, one.boundary); err != nil {
			return err
		}
		s, err := r.serve(ctx, fmt.Sprintf("latency-%d", len(g.Rows)), one.flags...)
		if err != nil {
			return err
		}
		pushes, watched, err := r.pushes(ctx, s, scrapes)
		s.kill()
		if err != nil {
			return err
		}
		first, last := watched[0], watched[len(watched)-1]
		row := latencies(one.name, pushes)
		for _, le := range []string{"0.005", "0.01"} {
			row = append(row, strconv.Itoa(int(slowPushes(last, le)-slowPushes(first, le))))
		}
		g.add(append(row, strconv.Itoa(int(last.Metrics[metricImages]-first.Metrics[metricImages])))...)
		c.Curves = append(c.Curves, latencyCurve(one.name, first.At, pushes))
		if one.boundary == 0 {
			c.Marks = append(c.Marks, imageMarks(watched)...)
		}
	}
	r.rep.Tables, r.rep.Charts = append(r.rep.Tables, g), append(r.rep.Charts, c)
	return nil
}

// slowPushes is how many took longer than le by the server's own clock: what the sender waits for beyond that was not the
// server's work but the machine's, which has both to run.
func slowPushes(w watched, le string) (n float64) {
	for name, v := range w.Metrics {
		switch {
		case !strings.Contains(name, `route="api_v1_push"`):
		case strings.HasPrefix(name, "cortex_request_duration_seconds_count"):
			n += v
		case strings.HasPrefix(name, "cortex_request_duration_seconds_bucket") && strings.Contains(name, `le="`+le+`"`):
			n -= v
		}
	}
	return n
}

// pushes fills a server, lets it come to rest, and sends scrapes at the pace.
func (r *imagesRun) pushes(ctx context.Context, s *server, scrapes int) ([]push, []watched, error) {
	st := newStream(r.w, r.s)
	if err := st.run(ctx, s, r.s.Scrapes, 0, r.progress("fill")); err != nil {
		return nil, nil, err
	}
	time.Sleep(min(r.pace, 3*time.Second)) // for images that are being taken
	st.keep = true
	w := startWatch(ctx, s, 200*time.Millisecond)
	err := st.run(ctx, s, r.s.Scrapes+scrapes, r.pace, r.progress("pushes"))
	return st.take(), w.stop(), err
}

// imageMarks are the moments, in seconds since the first sample, by which more images had been published.
func imageMarks(samples []watched) (marks []float64) {
	for i := 1; i < len(samples); i++ {
		if samples[i].Metrics[metricImages] > samples[i-1].Metrics[metricImages] {
			marks = append(marks, samples[i].At.Sub(samples[0].At).Seconds())
		}
	}
	return marks
}
