package engine

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The forecast says what a restart would take if the process died now. It is made of the work that the restart
// would find (restartWork, counted all the time), of what such work takes (constants below, of one core), and of
// how fast this machine is by comparison (restartSpeed, measured at every start and kept in the directory). The page
// cache counts as warm: that is what a process leaves that dies, and not what a machine leaves.

// What parts of a restart take on one core, in nanoseconds. Measured by "ingestbench forecast", which prints them, on an AMD
// EPYC with 2 cores. They are where the learning begins: what they are wrong by, a few starts of a directory correct.
const (
	restartImageByte = 0.89 // read, hashed and walked
	restartEntry     = 26   // of the log, decoded, whether or not an image has it
	restartSample    = 31   // applied
	restartName      = 280  // of a series, decoded, whether or not an image has the series
	restartSeries    = 920  // made
	restartLogByte   = 7    // of a log of samples, all of which are applied
)

const (
	// restartProcess is what happens before Open: the program is loaded, flags are read, ports opened.
	restartProcess = 22 * time.Millisecond
	// restartLog is what a log takes that is short, but not empty.
	restartLog = 7 * time.Millisecond
	// restartRest is what a start takes besides images and log before it was measured: locks, the catalogue, a
	// new epoch, files to be synced.
	restartRest = 5 * time.Millisecond
)

// restartWork is what a restart has to do.
type restartWork struct {
	imageBytes int64
	entries    int64 // of the log behind the oldest image
	names      int64 // of series, among them
	samples    int64 // of them, those that their stripe's image does not have
	series     int64 // to make
}

// images and log are what the work takes at a speed of 1.
func (w restartWork) images(stripes int) time.Duration {
	return time.Duration(float64(w.imageBytes) * restartImageByte / restartCores(stripes))
}

func (w restartWork) log(stripes int) time.Duration {
	if w.entries == 0 {
		return 0
	}
	ns := float64(w.entries)*restartEntry + float64(w.names)*restartName + float64(w.samples)*restartSample + float64(w.series)*restartSeries
	return restartLog + time.Duration(ns/restartCores(stripes))
}

func restartCores(stripes int) float64 { return float64(min(runtime.GOMAXPROCS(0), stripes)) }

// restartSpeed is how long parts of a restart take here, as a multiple of what the constants say.
type restartSpeed struct {
	Images observed `json:"images"`
	Log    observed `json:"log"`
	Rest   observed `json:"rest"`
}

// images and log say how long something takes here that takes d by the constants. A machine that is slow at the one
// is likely to be slow at the other, as long as that was not seen.
func (s *restartSpeed) images(d time.Duration) time.Duration { return s.Images.or(s.Log).of(d) }
func (s *restartSpeed) log(d time.Duration) time.Duration    { return s.Log.or(s.Images).of(d) }
func (s *restartSpeed) rest() time.Duration                  { return s.Rest.of(restartRest) }

// learn takes a start into account.
func (s *restartSpeed) learn(r *Restart, expected Restart) {
	before := *s
	s.Images = before.Images.or(before.Log).after(r.Images, expected.Images)
	s.Log = before.Log.or(before.Images).after(r.Log, expected.Log)
	s.Rest = before.Rest.after(r.Rest, restartRest)
}

// observed is a factor, and how well it is known: the sum of the weights of what was seen.
type observed struct {
	Factor float64 `json:"factor"`
	Weight float64 `json:"weight"`
}

const (
	// observedPrior is the weight of the constants, observedMost that of all starts before one, so that it counts for a
	// fifth at least; a start may have been disturbed by others.
	observedPrior = 0.25
	observedMost  = 3.75
	// observedStep is the most that a start counts for, as a logarithm, if there were others before: a third more or less
	// than they say. One that took three times as long met something that the next one will not.
	observedStep = 0.3
	// observedHalf is how long something must take to have half the weight of what takes long.
	observedHalf = 30 * time.Millisecond
)

// or is o, or if nothing was seen of that, the factor of another one, unseen.
func (o observed) or(other observed) observed {
	if o.Weight == 0 && other.Weight > 0 {
		o.Factor = other.Factor
	}
	return o
}

func (o observed) of(d time.Duration) time.Duration {
	if o.Factor <= 0 {
		return d
	}
	return time.Duration(float64(d) * o.Factor)
}

// after returns the factor moved towards what was seen now, more if there was more to see.
func (o observed) after(took, expected time.Duration) observed {
	if expected <= 0 {
		return o
	}
	before := 1.0
	if o.Factor > 0 {
		before = o.Factor
	}
	d := max(took, expected)
	weight := float64(d) / float64(d+observedHalf)
	share := weight / (observedPrior + min(o.Weight, observedMost) + weight)
	step := math.Log(max(float64(took)/float64(expected), 0.01) / before)
	if o.Weight > 0 {
		step = min(max(step, -observedStep), observedStep)
	}
	return observed{before * math.Exp(share*step), min(o.Weight, observedMost) + weight}
}

// Restart is how long a restart takes, by phase; Rest is what is neither. What comes before Open is not in it.
type Restart struct{ Images, Log, Rest time.Duration }

// Total is the sum.
func (r Restart) Total() time.Duration { return r.Images + r.Log + r.Rest }

// tailSince says from where a stripe's newest image needs the log. Written by the imager and the start.
type tailSince struct {
	bytes atomic.Int64 // size of the newest image, 0 without one
	next  atomic.Int64 // the index of the next series, as of that image
	entry atomic.Int64 // Tenant.logged, as of that image
	name  atomic.Int64 // the series that the tenant had made, as of that image
	at    atomic.Int64 // when it was copied, Unix time in ns; of an earlier process's image, when this one read it
}

func (s *tailSince) set(bytes, next int64, at time.Time) {
	s.bytes.Store(bytes)
	s.next.Store(next)
	s.at.Store(at.UnixNano())
}

// log notes where in the log the image stands.
func (s *tailSince) log(entry, name int64) {
	s.entry.Store(entry)
	s.name.Store(name)
}

// imageBytes is what the newest images of all stripes have.
func (t *Tenant) imageBytes() (n int64) {
	for i := range t.stripes {
		n += t.stripes[i].since.bytes.Load()
	}
	return n
}

// restartWork counts what a restart of the tenant would find.
func (t *Tenant) restartWork() (w restartWork) {
	if t.wal == nil {
		return w
	}
	w.imageBytes = t.imageBytes()
	logged, created := t.logged.Load(), t.counts.created.Load()
	entry, name := logged, created
	for i := range t.stripes {
		s := &t.stripes[i]
		tail := s.tail.Load() + s.imaging.Load()
		if tail == 0 {
			continue // its image is moved on in the catalogue, with the log
		}
		w.series += s.tailSeries()
		w.samples += tail
		entry, name = min(entry, s.since.entry.Load()), min(name, s.since.name.Load())
	}
	w.samples = max(w.samples-w.series, 0)
	w.entries, w.names = logged-entry, created-name
	return w
}

// tailCost is what replaying the stripe's tail takes on one core, in ns. The log is read from the oldest image on, and
// images are taken one after another, so that twice as many entries are read as the stripes need.
func (s *stripe) tailCost() float64 {
	tail := s.tail.Load()
	if tail == 0 {
		return 0
	}
	return float64(tail)*(2*restartEntry+restartSample) + float64(s.tailSeries())*restartSeries
}

// tailSeries is how many series the newest image does not have.
func (s *stripe) tailSeries() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		return 0
	}
	return max(int64(s.root.next)-max(s.since.next.Load(), 1), 0)
}

// tailBudget is the cost of tails whose replay takes the restart target, cautiously.
func (t *Tenant) tailBudget() float64 {
	const caution = 1.3
	t.e.forecast.Lock()
	speed := t.e.forecast.speed
	t.e.forecast.Unlock()
	return float64(t.restartTarget()) * restartCores(len(t.stripes)) / float64(speed.log(caution*1000)) * 1000
}

// restartTargetMin is the least that the log may take if it may take as long as the images.
const restartTargetMin = 200 * time.Millisecond

// restartTarget is how long replaying the tenant's log may take.
func (t *Tenant) restartTarget() time.Duration {
	if d := t.e.cfg.RestartTarget; d > 0 {
		return d
	}
	return max(restartWork{imageBytes: t.imageBytes()}.images(len(t.stripes)), restartTargetMin)
}

// forecast holds what is known about restarts: the last one, and the speed that all so far have shown.
type forecast struct {
	sync.Mutex
	last   Restart
	speed  restartSpeed
	failed int // starts in a row, this one included until it is ready
}

func (f *forecast) begin(s startFile) {
	f.Lock()
	defer f.Unlock()
	f.speed, f.failed = s.Speed, s.Failed
}

// LastRestart is how long this start took.
func (e *Engine) LastRestart() Restart {
	e.forecast.Lock()
	defer e.forecast.Unlock()
	return e.forecast.last
}

// FailedStarts is how many starts in a row before this one did not become ready.
func (e *Engine) FailedStarts() int {
	e.forecast.Lock()
	defer e.forecast.Unlock()
	return max(e.forecast.failed-1, 0)
}

// Forecast is how long it would take, from the start of the process, until everything that is held now can be
// queried again, if the process died now.
func (e *Engine) Forecast() time.Duration {
	e.forecast.Lock()
	speed := e.forecast.speed
	e.forecast.Unlock()
	d := restartProcess + speed.rest()
	for _, t := range e.Tenants() {
		w := t.restartWork()
		d += speed.images(w.images(len(t.stripes))) + speed.log(w.log(len(t.stripes)))
	}
	return d
}

// learn notes how long this start took, all tenants together.
func (e *Engine) learn(total time.Duration) {
	var r, expected Restart
	for _, t := range e.Tenants() {
		w := restartWork{
			imageBytes: t.recovered.ImageBytes, entries: t.recovered.Entries, names: t.recovered.Names,
			samples: int64(t.recovered.Samples), series: int64(t.recovered.Series),
		}
		r.Images += t.recovered.Images
		r.Log += t.recovered.Replay
		expected.Images += w.images(len(t.stripes))
		expected.Log += w.log(len(t.stripes))
	}
	r.Rest = max(total-r.Images-r.Log, 0)
	e.forecast.Lock()
	defer e.forecast.Unlock()
	e.forecast.last = r
	e.forecast.speed.learn(&r, expected)
}
