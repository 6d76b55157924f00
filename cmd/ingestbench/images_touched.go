package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/s2"
)

// touched measures what an image of everything takes when a part of the series got one sample since the last one:
// neighbours, which are those of some targets, or series spread over all of them.
func (r *imagesRun) touched(ctx context.Context) error {
	if err := r.placed(20, 0); err != nil {
		return err
	}
	// Images are taken for their age alone.
	const stripes = 32
	s, err := r.serve(ctx, "touched", "-ingester.restart-target=1h", "-ingester.checkpoint-duration=2s", fmt.Sprintf("-ingester.tenant-stripes=%d", stripes))
	if err != nil {
		return err
	}
	defer s.kill()
	g := grid{Title: "What an image of everything takes, MB", Columns: []string{"series with a sample", "of which", "image", "bytes a series touched", "written to the disk", "made dirty in the page cache"}}
	scrape := 0
	for _, part := range []struct {
		name  string
		every int // series
		share float64
	}{{"all", 1, 1}, {"all", 1, 1}, {"10 %, of some targets", 1, .1}, {"10 %, of all targets", 10, 1}, {"1 %, of some targets", 1, .01}, {"1 %, of all targets", 100, 1}} {
		var before, after watched
		n := 0
		// Each of the two slots needs what changed since it was written: the third time both know the same.
		for range 3 {
			if before, err = look(ctx, s); err != nil {
				return err
			}
			if n, err = r.touch(ctx, s, scrape, int(part.share*float64(r.w.Series())), part.every); err != nil {
				return err
			}
			scrape++
			if after, err = r.imaged(ctx, s); err != nil {
				return err
			}
		}
		d := func(name string) float64 { return after.Metrics[name] - before.Metrics[name] }
		// Each stripe has been imaged twice, to both slots, so that the log could be cut.
		rounds := d(metricImages) / stripes
		per := func(all float64) float64 { return all / rounds }
		image := per(d(metricImageBytes))
		if scrape == 3 {
			continue // series were made
		}
		g.add(part.name, strconv.Itoa(n), figure(image/1e6), figure(image/float64(n)),
			figure(per(float64(after.Device-before.Device)-d(metricLogBytes))/1e6), figure(per(float64(after.Dirty-before.Dirty)-d(metricLogBytes))/1e6))
	}
	r.rep.Tables = append(r.rep.Tables, g)
	r.rep.note("The page cache is kept in folios of up to megabytes on this kernel, and /proc counts each as a whole when a page of it is written. What the disk gets is what counts; that figure is everybody's.")
	return nil
}

// touch sends a sample for every so many of the first series of a scrape.
func (r *imagesRun) touch(ctx context.Context, s *server, scrape, end, every int) (n int, err error) {
	f := r.w.Feeder()
	var message, body []byte
	for i := 0; i < end; i += every {
		message = f.AppendV1(message, scrape, i, i+1)
		if n++; n%r.s.Request == 0 || i+every >= end {
			body = s2.EncodeSnappy(body[:cap(body)], message)
			if err := s.push(ctx, http.DefaultClient, body); err != nil {
				return n, err
			}
			message = message[:0]
		}
	}
	return n, nil
}

// imaged waits until images hold everything and no more are taken.
func (r *imagesRun) imaged(ctx context.Context, s *server) (watched, error) {
	var last watched
	for quiet := 0; quiet < 8; quiet++ {
		time.Sleep(500 * time.Millisecond)
		w, err := look(ctx, s)
		if err != nil {
			return w, err
		}
		if w.Metrics[metricTail] > 0 || w.Metrics[metricImages] != last.Metrics[metricImages] {
			quiet = 0
		}
		last = w
	}
	return last, nil
}
