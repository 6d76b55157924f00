package bench

import (
	"math"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

func newWorkload(t testing.TB, p Params) *Workload {
	t.Helper()
	w, err := New(p)
	require.NoError(t, err)
	return w
}

type floatSample struct {
	labels string
	t      int64
	v      float64
}

// All forms in which a workload is handed out hold the same series, times and values: what Prometheus's own
// decoders read from the 1.0 and 2.0 bodies is what Each gives, and the keys of a Batch are the bytes that
// Prometheus itself writes for these labels. Shown for few labels, many labels, churn and mixed values.
func TestAllFormsHoldTheSameSamples(t *testing.T) {
	for _, p := range []Params{
		{Series: 120, SeriesPerTarget: 20},
		{Series: 70, SeriesPerTarget: 7, Labels: LabelsMin, Values: Gauges, Seed: 3},
		{Series: 500, SeriesPerTarget: 500, Labels: LabelsMax, Values: Mixed, Churn: 100, Seed: 4},
	} {
		w := newWorkload(t, p)
		f := w.Feeder()
		for scrape := range 5 {
			lo, hi := 3, w.Series()-2
			var want []floatSample
			require.NoError(t, f.Each(scrape, lo, hi, scrape == 0, func(_ int, l labels.Labels, at int64, v float64) error {
				require.Equal(t, w.p.Labels, l.Len())
				want = append(want, floatSample{l.String(), at, v})
				return nil
			}))
			require.Len(t, want, hi-lo)

			require.Equal(t, want, decodeV1(t, f.AppendV1(nil, scrape, lo, hi)))
			require.Equal(t, want, decodeV2(t, f.AppendV2(nil, scrape, lo, hi)))
			var b engine.Batch
			f.Batch(&b, scrape, lo, hi)
			require.Equal(t, want, decodeBatch(t, &b))
		}
	}
}

func decodeV1(t *testing.T, body []byte) (got []floatSample) {
	var request prompb.WriteRequest
	require.NoError(t, request.Unmarshal(body))
	b := labels.NewScratchBuilder(0)
	for _, series := range request.Timeseries {
		require.Len(t, series.Samples, 1)
		got = append(got, floatSample{series.ToLabels(&b, nil).String(), series.Samples[0].Timestamp, series.Samples[0].Value})
	}
	return got
}

func decodeV2(t *testing.T, body []byte) (got []floatSample) {
	var request writev2.Request
	require.NoError(t, request.Unmarshal(body))
	b := labels.NewScratchBuilder(0)
	for _, series := range request.Timeseries {
		require.Len(t, series.Samples, 1)
		l, err := series.ToLabels(&b, request.Symbols)
		require.NoError(t, err)
		got = append(got, floatSample{l.String(), series.Samples[0].Timestamp, series.Samples[0].Value})
	}
	return got
}

// A key is a TimeSeries message that holds only labels.
func decodeBatch(t *testing.T, b *engine.Batch) (got []floatSample) {
	builder := labels.NewScratchBuilder(0)
	for _, series := range b.Series {
		var message prompb.TimeSeries
		require.NoError(t, message.Unmarshal(series.Key))
		again, err := message.Marshal()
		require.NoError(t, err)
		require.Equal(t, again, series.Key)
		sample := b.Samples[series.Lo]
		got = append(got, floatSample{message.ToLabels(&builder, nil).String(), sample.T, math.Float64frombits(sample.V)})
	}
	return got
}

// No two series share a label set: not within a scrape, and under churn not with those that ended.
// Created says how many there have been.
func TestSeriesAreDistinct(t *testing.T) {
	w := newWorkload(t, Params{Series: 2000, SeriesPerTarget: 20, Churn: 30})
	f := w.Feeder()
	seen := map[string]bool{}
	var b engine.Batch
	for scrape := range 20 {
		f.Batch(&b, scrape, 0, w.Series())
		inScrape := map[uint64]bool{}
		for _, series := range b.Series {
			seen[string(series.Key)] = true
			inScrape[xxhash.Sum64(series.Key)] = true
		}
		require.Len(t, inScrape, w.Series())
		require.Len(t, seen, w.Created(scrape))
	}
	require.Greater(t, len(seen), 3*w.Series())
}

// The default workload has the weight that published figures refer to: about 315 bytes of remote write 1.0
// a sample, and chunks of 120 samples near 1.9 bytes a sample for counters and 7.5 for the two others.
// Counters of both kinds never fall.
func TestWeight(t *testing.T) {
	w := newWorkload(t, Params{Series: 50_000})
	f := w.Feeder()
	require.InDelta(t, 315, float64(len(f.AppendV1(nil, 7, 0, w.Series())))/float64(w.Series()), 10)

	for values, want := range map[Values]float64{Counters: 1.9, CPUSeconds: 7.5, Gauges: 7.5} {
		w := newWorkload(t, Params{Series: 1000, Values: values})
		size := 0
		for i := range w.Series() {
			chunk := chunkenc.NewXORChunk()
			appender, err := chunk.Appender()
			require.NoError(t, err)
			last := -1.0
			for scrape := range 120 {
				v := w.Value(i/500, i%500, scrape)
				appender.Append(0, w.Time(0, scrape), v)
				if values != Gauges {
					require.GreaterOrEqual(t, v, last, "%v fall", values)
				}
				last = v
			}
			size += len(chunk.Bytes())
		}
		require.InDelta(t, want, float64(size)/120/float64(w.Series()), 0.3, "bytes a sample of %v", values)
	}
}

// A Feeder that has seen a target allocates nothing for its samples.
func TestFeedingDoesNotAllocate(t *testing.T) {
	w := newWorkload(t, Params{Series: 1000})
	f := w.Feeder()
	var b engine.Batch
	var body []byte
	scrape := 0
	feed := func() {
		scrape++
		f.Batch(&b, scrape, 0, 500)
		body = f.AppendV1(body[:0], scrape, 0, 500)
		_ = f.Each(scrape, 0, 500, false, func(int, labels.Labels, int64, float64) error { return nil })
	}
	feed()
	require.Zero(t, testing.AllocsPerRun(10, feed))
}

// Wrong parameters are all named at once.
func TestParamsAreChecked(t *testing.T) {
	_, err := New(Params{Series: -1, SeriesPerTarget: -1, Labels: 2, Interval: 1, Churn: -1, Values: 9})
	require.ErrorContains(t, err, "series is -1")
	for _, text := range []string{"series per target", "labels is 2", "interval", "churn", "kind of values"} {
		require.ErrorContains(t, err, text)
	}
	var v Values
	require.NoError(t, v.Set("cpu"))
	require.Equal(t, CPUSeconds, v)
	require.ErrorContains(t, v.Set("none"), "counters, cpu, gauges, mixed")
}
