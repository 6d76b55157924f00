package bench

import (
	"math/bits"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Workload is a cluster that is scraped. It holds no state, and is safe for concurrent use; what needs
// memory is in Feeder.
type Workload struct {
	p       Params
	targets int
	places  []place // one for each series of a target
	seconds float64 // a scrape interval
	ownMax  int     // the most bytes that a place adds to its target's part of a key
	jobAt   int     // where a target's job stands in its labels
}

// place is what distinguishes a series from the others of its target.
type place struct {
	name, route, status string
	head, tail          []byte // label fields of name, and of route and status, in canonical form
	values              Values
}

// New checks p, fills in defaults and makes its workload.
func New(p Params) (*Workload, error) {
	p.setDefaults()
	if err := p.validate(); err != nil {
		return nil, err
	}
	w := &Workload{
		p:       p,
		targets: (p.Series + p.SeriesPerTarget - 1) / p.SeriesPerTarget,
		places:  make([]place, p.SeriesPerTarget),
		seconds: p.Interval.Seconds(),
	}
	w.jobAt = slices.IndexFunc(targetLabels(p.Labels, 0, 0, w.targets), func(l labels.Label) bool { return l.Name == "job" })
	variants := len(routes) * len(statuses)
	for i := range w.places {
		l := &w.places[i]
		l.name = metricName(i / variants)
		l.route = routes[i%variants/len(statuses)]
		l.status = statuses[i%len(statuses)]
		l.head = appendLabel(nil, model.MetricNameLabel, l.name)
		l.tail = appendLabel(appendLabel(nil, "route", l.route), "status", l.status)
		l.values = p.Values.of(i)
		w.ownMax = max(w.ownMax, len(l.head)+len(l.tail))
	}
	return w, nil
}

// Params are those of New with the defaults filled in.
func (w *Workload) Params() Params { return w.p }

// Series is the number of series live at any time.
func (w *Workload) Series() int { return w.targets * w.p.SeriesPerTarget }

// Targets is the number of targets live at any time.
func (w *Workload) Targets() int { return w.targets }

// Created is the number of series that have had a sample once scrapes 0 to scrape are done.
func (w *Workload) Created(scrape int) int {
	n := 0
	for target := range w.targets {
		n += w.generation(target, scrape) - w.generation(target, 0) + 1
	}
	return n * w.p.SeriesPerTarget
}

// generation counts the pods that were in the target's place. Each target changes at its own moment, and
// never more than once between two scrapes.
func (w *Workload) generation(target, scrape int) int {
	perScrape := min(w.p.Churn*float64(w.p.Interval)/float64(time.Hour), 1)
	return int(float64(scrape)*perScrape + unit(mix(w.p.Seed^uint64(target))))
}

// Time is when a target is scraped, in milliseconds: at its own offset in the interval, without jitter, as
// Prometheus does it.
func (w *Workload) Time(target, scrape int) int64 {
	interval := uint64(w.p.Interval.Milliseconds())
	offset, _ := bits.Mul64(mix(w.p.Seed+uint64(target)*0x632be59bd9b4e019), interval)
	return w.p.Start + int64(uint64(scrape)*interval+offset)
}

// Value is the value at a scrape of the series at place i of a target.
func (w *Workload) Value(target, i, scrape int) float64 {
	id := uint64(w.generation(target, scrape)*w.targets+target)*uint64(len(w.places)) + uint64(i)
	return w.places[i].values.at(mix(w.p.Seed^id*0xd1342543de82ef95), scrape, w.seconds)
}

// appendLabel writes one label field of remote write 1.0, see engine.BatchSeries.Key.
func appendLabel(dst []byte, name, value string) []byte {
	dst = append(dst, 0x0a)
	dst = appendSize(dst, sizeField(len(name))+sizeField(len(value)))
	dst = appendBytesField(dst, 0x0a, name)
	return appendBytesField(dst, 0x12, value)
}
