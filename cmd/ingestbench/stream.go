package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rekindledb/rekindle/bench"
)

// stream is a workload on its way to a server as remote write 1.0 messages, by several writers, each of whom waits for the
// answer to a request before it sends the next one. When the server dies it stops, and can go on where it was:
// what was not acknowledged is sent again, as a Prometheus does.
type stream struct {
	w                *bench.Workload
	writers, request int

	next  []int        // by writer: its next request, of all scrapes
	acked atomic.Int64 // samples

	// keep makes pushes remember when they were sent and how long they took.
	keep   bool
	pushes [][]push // by writer
}

// push is one request.
type push struct {
	at   time.Time // when it was due
	took float64   // seconds, from then on
}

func newStream(w *bench.Workload, s spec) *stream {
	return &stream{w: w, writers: s.Writers, request: s.Request, next: make([]int, s.Writers), pushes: make([][]push, s.Writers)}
}

// perScrape is how many requests a scrape takes. Each writer has as many, so that a series is always the same one's
// and its samples stay in order; the last ones may have nothing to send.
func (st *stream) perScrape() int {
	each := st.writers * st.request
	return (st.w.Series() + each - 1) / each * st.writers
}

// run sends what is before scrape end. With a pace above 0 a scrape takes that long, its requests spread evenly;
// else all is sent as fast as the server takes it. Requests that were due before it began are sent at once.
func (st *stream) run(ctx context.Context, s *server, end int, pace time.Duration, progress func(done float64)) error {
	g, ctx := errgroup.WithContext(ctx)
	to, err := s.sender(st.writers)
	if err != nil {
		return err
	}
	n, begin := st.perScrape(), time.Now()
	first := slices.Min(st.next) * st.writers
	for writer := range st.writers {
		g.Go(func() error {
			f := st.w.Feeder()
			var message, body []byte
			for ; ; st.next[writer]++ {
				number := st.next[writer]*st.writers + writer
				scrape, lo := number/n, number%n*st.request
				if scrape >= end {
					return nil
				}
				hi := min(lo+st.request, st.w.Series())
				if lo >= hi {
					continue
				}
				message = f.AppendV1(message[:0], scrape, lo, hi)
				body = to.encode(body, message)
				due := time.Now()
				if pace > 0 {
					due = begin.Add(time.Duration(float64(pace) * float64(number-first) / float64(n)))
					time.Sleep(time.Until(due))
				}
				if err := to.push(ctx, body); err != nil {
					return err
				}
				if st.keep {
					st.pushes[writer] = append(st.pushes[writer], push{due, time.Since(due).Seconds()})
				}
				st.acked.Add(int64(hi - lo))
				if writer == 0 {
					progress(float64(number-first) / float64(end*n-first))
				}
			}
		})
	}
	return errors.Join(g.Wait(), to.close())
}

// sent is how many samples were sent at least in part: those acknowledged, and one request of each writer.
func (st *stream) sent() int {
	return int(st.acked.Load()) + st.writers*st.request
}

// take returns what was kept, in the order in which it was due, and forgets it.
func (st *stream) take() []push {
	all := slices.Concat(st.pushes...)
	slices.SortFunc(all, func(a, b push) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	for i := range st.pushes {
		st.pushes[i] = st.pushes[i][:0]
	}
	return all
}
