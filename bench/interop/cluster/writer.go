package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"github.com/rekindledb/rekindle/bench/interop/proc"
)

const (
	loadTenant  = "load"
	loadSeries  = 200
	loadPeriod  = 50 * time.Millisecond
	loadTimeout = 5 * time.Second // more than the distributor gives an ingester
)

// writer sends steadily to a distributor, one request after the other, and records what was acknowledged. What fails is not sent
// again: a write is one request with a sample of every series, all with a timestamp that no other write has.
type writer struct {
	url    string
	metric string
	began  time.Time // before its first timestamp

	mu struct {
		sync.Mutex
		acked   []int64 // timestamps
		failed  []failure
		slowest time.Duration // of those acknowledged
	}
	stop context.CancelFunc
	done chan struct{}
}

type failure struct {
	at   time.Time
	text string
}

// valueAt is what every reader expects.
func valueAt(series int, at int64) float64 { return float64(series) + float64(at%100_000)/8 }

func startWriter(ctx context.Context, c *cluster, metric string) *writer {
	w := &writer{url: "http://" + c.distributor.Addr + "/api/v1/push", metric: metric, began: time.Now().Add(-time.Millisecond), done: make(chan struct{})}
	ctx, w.stop = context.WithCancel(ctx)
	go w.run(ctx)
	return w
}

func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(loadPeriod)
	defer tick.Stop()
	for last := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		at := max(time.Now().UnixMilli(), last+1)
		last = at
		begin := time.Now()
		err := w.write(at)
		w.mu.Lock()
		if err == nil {
			w.mu.acked = append(w.mu.acked, at)
			w.mu.slowest = max(w.mu.slowest, time.Since(begin))
		} else {
			w.mu.failed = append(w.mu.failed, failure{time.Now(), err.Error()})
		}
		w.mu.Unlock()
	}
}

// write is not ended by the end of the load: an answer that nobody waits for would be neither one nor the other.
func (w *writer) write(at int64) error {
	var req prompb.WriteRequest
	for i := range loadSeries {
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
			Labels:  []prompb.Label{{Name: "__name__", Value: w.metric}, {Name: "series", Value: strconv.Itoa(i)}},
			Samples: []prompb.Sample{{Value: valueAt(i, at), Timestamp: at}},
		})
	}
	plain, err := req.Marshal()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(snappy.Encode(nil, plain)))
	if err != nil {
		return err
	}
	post.Header.Set("Content-Encoding", "snappy")
	post.Header.Set("Content-Type", "application/x-protobuf")
	post.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	post.Header.Set("X-Scope-OrgID", loadTenant)
	resp, err := http.DefaultClient.Do(post)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %.300s", resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

// counts are how many writes were acknowledged and how many failed until now.
func (w *writer) counts() (acked, failed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.acked), len(w.mu.failed)
}

// failuresSince returns those behind the first n.
func (w *writer) failuresSince(n int) []failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.failed[n:]
}

// flowing waits until so many more writes were acknowledged.
func (w *writer) flowing(ctx context.Context, n int) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, _ := w.counts()
	for {
		now, _ := w.counts()
		if now-before >= n {
			return nil
		}
		if proc.Sleep(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("only %d writes were acknowledged in %v", now-before, patience)
		}
	}
}

// end stops the load and waits for the last answer.
func (w *writer) end() {
	w.stop()
	<-w.done
}
