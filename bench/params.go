package bench

import (
	"errors"
	"fmt"
	"time"
)

// Limits of Params.Labels. Below the least, series of a target could not be told apart.
const (
	LabelsMin = 6
	LabelsMax = 30
)

// Params shape a Workload. The zero value of a field other than Seed and Churn is replaced by its default.
type Params struct {
	// Series that are live at any time. Default 1,000,000. Rounded up to whole targets.
	Series int
	// SeriesPerTarget decides how much of a label set repeats: 500 is a busy application pod, 100 a small
	// one, 20 a sidecar. Default 500.
	SeriesPerTarget int
	// Labels of each series, the name included: 6 to 30. Default 10.
	Labels int
	// Interval between two scrapes of a target. Default 15s.
	Interval time.Duration
	// Churn is the share of the targets that is replaced in an hour: 0 none, 1 each of them once. Default 0.
	Churn float64
	// Values is the kind of the samples' values, which decides how well they compress. Default Counters.
	Values Values
	// Seed of everything that looks random.
	Seed uint64
	// Start is the time of the first scrape in milliseconds. Default: 2026-01-01 00:00 UTC, a block boundary.
	Start int64
}

const defaultStart = 1767225600000

func (p *Params) setDefaults() {
	if p.Series == 0 {
		p.Series = 1_000_000
	}
	if p.SeriesPerTarget == 0 {
		p.SeriesPerTarget = 500
	}
	if p.Labels == 0 {
		p.Labels = 10
	}
	if p.Interval == 0 {
		p.Interval = 15 * time.Second
	}
	if p.Start == 0 {
		p.Start = defaultStart
	}
}

func (p *Params) validate() error {
	var errs []error
	if p.Series < 1 {
		errs = append(errs, fmt.Errorf("bench: series is %d, want at least 1", p.Series))
	}
	if p.SeriesPerTarget < 1 {
		errs = append(errs, fmt.Errorf("bench: series per target is %d, want at least 1", p.SeriesPerTarget))
	}
	if p.Labels < LabelsMin || p.Labels > LabelsMax {
		errs = append(errs, fmt.Errorf("bench: labels is %d, want %d to %d", p.Labels, LabelsMin, LabelsMax))
	}
	if p.Interval < time.Millisecond {
		errs = append(errs, fmt.Errorf("bench: interval is %v, want at least 1ms", p.Interval))
	}
	if p.Churn < 0 {
		errs = append(errs, fmt.Errorf("bench: churn is %v, want 0 or more", p.Churn))
	}
	if p.Values >= valuesEnd {
		errs = append(errs, fmt.Errorf("bench: no such kind of values: %d", p.Values))
	}
	return errors.Join(errs...)
}
