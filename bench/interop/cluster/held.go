package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/rekindledb/rekindle/bench/interop/answers"
	"github.com/rekindledb/rekindle/bench/interop/proc"
)

// holding is which samples of a writer's series somebody has.
type holding struct {
	samples map[int64]*[loadSeries]bool // by timestamp
	wrong   int                         // samples with a value that nobody wrote
}

// holds asks for everything that a writer has written, a minute at a time: Cortex's own messages have limits.
func (w *writer) holds(ctx context.Context, a answers.API) (holding, error) {
	h := holding{samples: map[int64]*[loadSeries]bool{}}
	for at := w.began; at.Before(time.Now()); {
		at = at.Add(time.Minute)
		answer, err := a.Instant(ctx, w.metric+"[1m]", at)
		if err == nil {
			err = h.add(w, answer)
		}
		if err != nil {
			return h, err
		}
	}
	return h, nil
}

func (h *holding) add(w *writer, answer answers.Answer) error {
	for i := range loadSeries {
		for _, p := range answer[fmt.Sprintf(`{__name__=%q, series="%d"}`, w.metric, i)] {
			at, err := strconv.ParseFloat(p.T, 64)
			if err != nil {
				return err
			}
			v, err := strconv.ParseFloat(p.V, 64)
			if err != nil {
				return err
			}
			ms := int64(math.Round(at * 1000))
			if v != valueAt(i, ms) {
				h.wrong++
				continue
			}
			if h.samples[ms] == nil {
				h.samples[ms] = new([loadSeries]bool)
			}
			h.samples[ms][i] = true
		}
	}
	return nil
}

// parts is how many writes are not there with all samples.
func (h holding) parts() (n int) {
	for _, series := range h.samples {
		if *series != everySeries {
			n++
		}
	}
	return n
}

var everySeries = func() (all [loadSeries]bool) {
	for i := range all {
		all[i] = true
	}
	return all
}()

// account asks every ingester alone, and a user, what they hold of what was acknowledged, when the writer has ended.
//
//	user      every acknowledged sample
//	ingester  as many whole writes as the distributor counts that this ingester acknowledged. Of one that was under way when
//	          it was killed, and had no answer, there may be a part. Of others there may be parts with fewer replicas than
//	          ingesters; when states change: the distributor looks into the ring once for each series, and the ring may change
//	          meanwhile; and behind held sockets: requests wait there and come in at the same time, so that of one some
//	          samples are too late, which is refused
//	together  every acknowledged sample at as many ingesters as the distributor waits for
func (c *cluster) account(ctx context.Context, w *writer, acknowledged map[string]int, partsAllowed bool) error {
	quorum := c.replicas/2 + 1
	partsAllowed = partsAllowed || c.replicas < len(c.ingesters)
	user, err := w.holds(ctx, c.api(loadTenant))
	if err != nil {
		return err
	}
	if missing := w.missing(1, user); missing > 0 || user.wrong > 0 {
		return fmt.Errorf("%s: the query-frontend lacks %d acknowledged samples of %d, %d have another value", c.name, missing, loadSeries*len(w.mu.acked), user.wrong)
	}
	var all []holding
	for _, i := range c.ingesters {
		h, err := w.holds(ctx, i.api(loadTenant))
		if err != nil {
			return err
		}
		if h.wrong > 0 {
			return fmt.Errorf("%s: %s has %d samples with a value that nobody wrote", c.name, i.Name, h.wrong)
		}
		all = append(all, h)
		if want, known := acknowledged[i.Name]; known {
			parts := h.parts()
			proc.Say("%s: %s alone holds %d writes, %d of them in part; it acknowledged %d", c.name, i.Name, len(h.samples), parts, want)
			whole := len(h.samples)
			if !partsAllowed {
				whole -= parts
			}
			if whole < want {
				return fmt.Errorf("%s: %s acknowledged %d writes and holds %d, %d of them in part", c.name, i.Name, want, len(h.samples), parts)
			}
		}
	}
	if missing := w.missing(quorum, all...); missing > 0 {
		return fmt.Errorf("%s: %d acknowledged samples of %d are not at %d ingesters", c.name, missing, loadSeries*len(w.mu.acked), quorum)
	}
	proc.Say("%s: all %d acknowledged samples are at %d ingesters at least, and come back through the query-frontend", c.name, loadSeries*len(w.mu.acked), quorum)
	return nil
}

// missing is how many acknowledged samples fewer than n of these have.
func (w *writer) missing(n int, all ...holding) (missing int) {
	for _, at := range w.mu.acked {
		for i := range loadSeries {
			have := 0
			for _, h := range all {
				if s := h.samples[at]; s != nil && s[i] {
					have++
				}
			}
			if have < n {
				missing++
			}
		}
	}
	return missing
}

// api asks this ingester alone.
func (i *ingester) api(tenant string) answers.API {
	return answers.API{Base: "http://" + i.Addr + "/prometheus", Tenant: tenant}
}
