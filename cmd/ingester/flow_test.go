package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/prompb"
)

// flow is senders that push steadily to an ingester until it takes no more, and then to the next one, like a distributor. Every
// request is a sample of each series of a batch. What is refused is sent again until it is acknowledged, or there is no next.
type flow struct {
	*testing.T
	began   time.Time
	stop    atomic.Bool
	senders sync.WaitGroup
	acked   []atomic.Int64 // requests, by batch
}

const (
	batchSeries = 2000
	flowSenders = 2
	flowStep    = 100 * time.Millisecond // between the timestamps of a series
)

func startFlow(t *testing.T, series int, to, next *instance) *flow {
	f := &flow{T: t, began: time.Now().Truncate(time.Second), acked: make([]atomic.Int64, series/batchSeries)}
	for sender := range flowSenders {
		f.senders.Go(func() {
			to, next := to, next
			for n := 0; ; n++ {
				for batch := sender; batch < len(f.acked); batch += flowSenders {
					body := f.body(batch, n)
					for !pushed(to, body) {
						if next == nil || f.stop.Load() {
							return
						}
						to = next
						time.Sleep(10 * time.Millisecond)
					}
					f.acked[batch].Add(1)
					if f.stop.Load() {
						return
					}
				}
			}
		})
	}
	t.Cleanup(f.end)
	return f
}

// body is request n of a batch. Each sample's value is its timestamp.
func (f *flow) body(batch, n int) []byte {
	at := f.began.Add(time.Duration(n) * flowStep).UnixMilli()
	var w prompb.WriteRequest
	for k := range batchSeries {
		w.Timeseries = append(w.Timeseries, prompb.TimeSeries{
			Labels:  []prompb.Label{{Name: "__name__", Value: "load"}, {Name: "batch", Value: strconv.Itoa(batch)}, {Name: "series", Value: strconv.Itoa(k)}},
			Samples: []prompb.Sample{{Timestamp: at, Value: float64(at) / 1000}},
		})
	}
	b, err := w.Marshal()
	if err != nil {
		panic(err) // nothing that can be sent
	}
	return s2.EncodeSnappy(nil, b)
}

func pushed(to *instance, body []byte) bool {
	resp, err := http.Post(to.url+"api/v1/push", "", bytes.NewReader(body))
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// await waits until so many more requests of each batch are acknowledged.
func (f *flow) await(more int64) {
	f.Helper()
	before := make([]int64, len(f.acked))
	for batch := range before {
		before[batch] = f.acked[batch].Load()
	}
	eventually(f.T, patience, "pushes are acknowledged", func() (bool, string) {
		for batch := range before {
			if n := f.acked[batch].Load(); n < before[batch]+more {
				return false, fmt.Sprintf("%d of batch %d, before %d", n, batch, before[batch])
			}
		}
		return true, ""
	})
}

func (f *flow) end() {
	f.stop.Store(true)
	f.senders.Wait()
}

// isAt compares what an ingester has with what was acknowledged: of each series of a batch all samples, and perhaps one of the
// request that was not.
func (f *flow) isAt(p *process) {
	f.Helper()
	at := f.began.Add(9 * time.Minute)
	p.expect(f.T, "count(load!=timestamp(load))", at, `"result":[]`)
	total := int64(0)
	for batch := range f.acked {
		n := f.acked[batch].Load()
		total += n * batchSeries
		of := fmt.Sprintf(`count_over_time(load{batch="%d"}[10m])`, batch)
		p.expect(f.T, fmt.Sprintf("count(%s>=%d<=%d)", of, n, n+1), at, fmt.Sprintf(`"%d"]`, batchSeries))
	}
	f.Logf("all %d acknowledged samples of %d series are there", total, len(f.acked)*batchSeries)
}
