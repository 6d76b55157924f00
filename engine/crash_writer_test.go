package engine_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// crashNow is the wall clock of the processes that are killed. Samples are older by some days.
var crashNow = engine.TestNow.Add(10 * 24 * time.Hour)

// clock is the time by which samples are made. It runs fast, and jumps between lives, so that block ranges end.
type clock struct{ ms atomic.Int64 }

func newClock(start time.Time) *clock {
	c := &clock{}
	c.ms.Store(start.UnixMilli())
	return c
}

func (c *clock) tick() int64          { return c.ms.Add(200) }
func (c *clock) jump(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// writer sends requests of its own series, one after another. What was sent when the process died it sends again to the
// next one, or gives up.
type writer struct {
	id     int
	tenant string
	rng    *rand.Rand
	model  *model
	clock  *clock

	twin bool          // sends every request twice at once
	bad  bool          // mixes in samples that must be refused
	lag  time.Duration // how far behind the others its samples are

	live    []*history
	made    int   // series so far
	newest  int64 // timestamp used
	pending *work
}

// work is a request on its way.
type work struct {
	request request
	parts   []part
	good    int // samples to be stored
	bad     int // samples to be refused
	created int // series that it may make, when it is sent
	again   bool
}

// part is what a request has for one series.
type part struct {
	h       *history
	samples []engine.Sample // to be stored
}

// writers of all kinds that the promises know, over the tenants.
func newWriters(rng *rand.Rand, m *model, c *clock, tenants int) []*writer {
	var out []*writer
	for i, w := range []writer{
		{twin: true}, {twin: true, bad: true}, {bad: true}, {}, {lag: 10 * time.Minute, twin: true}, {lag: 25 * time.Minute, bad: true},
	} {
		w.id, w.model, w.clock = i, m, c
		w.tenant = fmt.Sprintf("tenant-%d", i%tenants)
		w.rng = rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		out = append(out, &w)
	}
	return out
}

// next makes the next request: some of the writer's series, now and then a new one, one or a few samples each, and
// sometimes very many of one, so that chunks close.
func (w *writer) next() *work {
	x := &work{request: request{Op: "append", Tenant: w.tenant}}
	for len(w.live) < 4 || w.rng.IntN(3) == 0 {
		w.live = append(w.live, w.newSeries())
	}
	if len(w.live) > 40 {
		w.live = append(w.live[:0], w.live[1+w.rng.IntN(10):]...) // these get nothing any more
	}
	w.newest = max(w.newest, w.clock.tick()-w.lag.Milliseconds())
	first := len(w.live) - min(len(w.live), 3+w.rng.IntN(20))
	for _, h := range w.live[first:] {
		n := 1
		switch w.rng.IntN(300) {
		case 0:
			n = 150
		case 1, 2, 3:
			n = 10
		}
		w.add(x, h, n)
	}
	if w.bad {
		// A series of which nothing can be stored does not come into being.
		h := w.newSeries()
		x.request.Series = append(x.request.Series, requestSeries{h.key, []engine.Sample{w.tooNew()}})
		x.bad++
	}
	return x
}

func (w *writer) add(x *work, h *history, n int) {
	p := part{h: h}
	for range n {
		w.newest += 1 + w.rng.Int64N(5)
		p.samples = append(p.samples, engine.Sample{T: w.newest, V: w.value()})
	}
	x.parts = append(x.parts, p)
	x.good += n
	all := p.samples
	if w.bad && w.rng.IntN(3) == 0 {
		last := all[n-1]
		refused := []engine.Sample{{T: last.T, V: last.V ^ 1}, {T: last.T - 1, V: w.value()}, w.tooNew()}
		all = append(all[:n:n], refused[w.rng.IntN(3):]...)
		x.bad += len(all) - n
	}
	x.request.Series = append(x.request.Series, requestSeries{h.key, all})
}

func (w *writer) tooNew() engine.Sample {
	return engine.Sample{T: crashNow.Add(time.Hour).UnixMilli(), V: w.value()}
}

// value is of the kinds that compress well, badly and not at all.
func (w *writer) value() uint64 {
	switch w.rng.IntN(8) {
	case 0:
		return w.rng.Uint64()
	case 1:
		return 0x7ff0000000000002 // stale
	case 2, 3:
		return math.Float64bits(w.rng.Float64())
	}
	return math.Float64bits(float64(w.newest / 1000))
}

// namespaces are the values of a label that each series has.
var namespaces = []string{"default", "kube-system", "monitoring"}

func (w *writer) newSeries() *history {
	w.made++
	l := labels.FromStrings(
		"__name__", "metric_"+strconv.Itoa(w.made%7), "id", fmt.Sprintf("%d-%d", w.id, w.made),
		"namespace", namespaces[w.made%len(namespaces)], "pod", fmt.Sprintf("pod-%d-%x", w.made/5, w.made/5*7919),
	)
	h := &history{key: engine.KeyOf(l), labels: l.String()}
	w.model.series(w.tenant, h)
	return h
}

// writing is a writer with its connections to one process.
type writing struct {
	*writer
	v       *victim
	clients []*client
	dead    bool // there was no answer
}

func (w *writer) dial(v *victim) (*writing, error) {
	l := &writing{writer: w, v: v}
	for range 2 {
		c, err := v.dial()
		if err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (w *writing) close() {
	for _, c := range w.clients {
		c.conn.Close()
	}
}

// resend sends what the last process did not answer, or gives it up.
func (w *writing) resend() error {
	if w.pending == nil || w.rng.IntN(3) == 0 {
		w.pending = nil
		return nil
	}
	return w.send()
}

// write sends requests until the process ends.
func (w *writing) write() error {
	for {
		if w.pending == nil {
			w.pending = w.next()
		}
		if err := w.send(); err != nil || w.dead {
			return err
		}
		time.Sleep(time.Duration(w.rng.IntN(5)) * time.Millisecond)
	}
}

// send sends the pending request, and forgets it if it was answered. It returns what is wrong with the answer.
func (w *writing) send() error {
	x := w.pending
	x.created = 0
	for _, p := range x.parts {
		if !p.h.stored() {
			x.created++
		}
		p.h.send(p.samples)
	}
	n := 1
	if w.twin {
		n = 2
	}
	answers := make([]*response, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if a, err := w.clients[i].ask(&x.request); err == nil {
				answers[i] = &a
			}
		})
	}
	wg.Wait()
	stored, created, acks := 0, 0, 0
	for _, a := range answers {
		switch {
		case a == nil:
			w.dead = true
		case a.Unavailable != "" && w.v.mayRefuse():
		case a.Err != "" || a.Unavailable != "":
			return fmt.Errorf("writer %d: a good request was refused: %s%s", w.id, a.Err, a.Unavailable)
		default:
			acks++
			stored += a.Result.Stored
			created += a.Result.NewSeries
			if err := x.checkAnswer(a, w.twin); err != nil {
				return fmt.Errorf("writer %d: %w", w.id, err)
			}
		}
	}
	again := x.again
	x.again = true
	if acks == 0 {
		return nil
	}
	acked := 0
	for _, p := range x.parts {
		acked += p.h.ack()
	}
	w.model.acknowledged(acked)
	if acks < n {
		return nil
	}
	if stored > x.good || !again && stored != x.good || created > x.created || !again && created != x.created {
		return fmt.Errorf("writer %d: %d samples and %d new series were sent %d times at once (again: %t), %d and %d were stored",
			w.id, x.good, x.created, n, again, stored, created)
	}
	w.pending = nil
	return nil
}

// checkAnswer checks an answer by itself.
func (x *work) checkAnswer(a *response, twin bool) error {
	r := a.Result
	if r.Stored+r.Duplicates+r.Rejected != x.good+x.bad {
		return fmt.Errorf("%d samples sent, %d stored, %d were there, %d rejected", x.good+x.bad, r.Stored, r.Duplicates, r.Rejected)
	}
	// Of several samples of a series that were there already, all but the newest are out of order.
	if r.Rejected < x.bad || !twin && !x.again && r.Rejected != x.bad {
		return fmt.Errorf("%d of %d samples rejected, %d of them bad: %s", r.Rejected, x.good+x.bad, x.bad, a.Refused)
	}
	if (a.Refused != "") != (r.Rejected > 0) {
		return fmt.Errorf("%d samples rejected, and the answer says %q", r.Rejected, a.Refused)
	}
	return nil
}
