package main

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// watch reads a server's figures at an interval, in the background.
type watch struct {
	samples []watched
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// watched is what a server had done at a moment, since its start.
type watched struct {
	At       time.Time
	Calls    int64   // bytes given to write calls by the process
	Dirty    int64   // bytes of the page cache: see writtenBy
	Device   int64   // bytes, by everybody, to the disk that its data is on
	CPU      float64 // seconds
	Resident int64
	Metrics  map[string]float64
}

func look(ctx context.Context, s *server) (watched, error) {
	values, err := s.metrics(ctx)
	w := watched{At: time.Now(), Device: writtenToDevice(s.dir), CPU: cpuTimeOf(s.pid), Resident: memoryOf(s.pid).Resident, Metrics: values}
	w.Calls, w.Dirty = writtenBy(s.pid)
	return w, err
}

func startWatch(ctx context.Context, s *server, every time.Duration) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel}
	w.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if one, err := look(ctx, s); err == nil {
				w.samples = append(w.samples, one)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return w
}

func (w *watch) stop() []watched {
	w.cancel()
	w.done.Wait()
	return w.samples
}

// Names of the ingester's metrics.
const (
	metricImages     = "cortex_ingester_checkpoint_creations_total"
	metricImageBytes = "cortex_ingester_checkpoint_logged_bytes_total"
	metricLogBytes   = "cortex_ingester_wal_logged_bytes_total"
	metricTail       = "rekindle_restart_tail_samples"
	metricForecast   = "rekindle_restart_forecast_seconds"
	metricHold       = "rekindle_image_hold_seconds"
	metricHoldCPU    = "rekindle_image_hold_cpu_seconds"
	metricLocks      = "rekindle_image_lock_seconds_count"
	metricLocks1ms   = `rekindle_image_lock_seconds_bucket{le="0.001"}`
)

// lockColumns are what locks returns.
var lockColumns = []string{"longest lock for an image, ms", "most CPU in one, ms", "locks", "above 1 ms"}

// locks is how long stripes were locked for images, by an ingester's metrics.
func locks(m map[string]float64) []string {
	return []string{figure(m[metricHold] * 1e3), figure(m[metricHoldCPU] * 1e3), strconv.Itoa(int(m[metricLocks])), strconv.Itoa(int(m[metricLocks] - m[metricLocks1ms]))}
}

// rate is a curve of MB/s, of windows of some length that begin with each sample, and the mean and the greatest of them.
func rate(samples []watched, window time.Duration, value func(watched) float64) (points [][2]float64, mean, most float64) {
	if len(samples) < 2 {
		return nil, 0, 0
	}
	first, last := samples[0], samples[len(samples)-1]
	mean = (value(last) - value(first)) / last.At.Sub(first.At).Seconds() / 1e6
	end := 0
	for _, s := range samples {
		for end < len(samples) && samples[end].At.Sub(s.At) < window-window/50 {
			end++
		}
		if end == len(samples) {
			break
		}
		v := (value(samples[end]) - value(s)) / samples[end].At.Sub(s.At).Seconds() / 1e6
		points = append(points, [2]float64{s.At.Sub(first.At).Seconds(), v})
		most = max(most, v)
	}
	return points, mean, most
}
