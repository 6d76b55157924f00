package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// count asks for the number of samples of the first scrapes, metric by metric.
func (m *measurement) count(ctx context.Context, s *server, scrapes int) (found int, err error) {
	at, window := m.span(scrapes)
	for _, name := range m.names() {
		n, err := s.query(ctx, "sum(count_over_time("+name+window+"))", at)
		if err != nil {
			return 0, err
		}
		found += int(n)
	}
	return found, nil
}

// compare counts, and holds the sum of each metric in the last scrape against what was sent. The values are whole
// numbers, so that their sum is exact and every single one counts.
func (m *measurement) compare(ctx context.Context, s *server, scrapes int) (found int, err error) {
	want := map[string]*float64{}
	_ = m.w.Feeder().Each(scrapes-1, 0, m.w.Series(), false, func(_ int, l labels.Labels, _ int64, v float64) error {
		name := l.Get(model.MetricNameLabel) // lives during the call
		sum := want[name]
		if sum == nil {
			sum = new(float64)
			want[strings.Clone(name)] = sum
		}
		*sum += v
		return nil
	})
	at, _ := m.span(scrapes)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, err := s.query(ctx, "sum("+name+")", at)
		if err != nil {
			return 0, err
		}
		if got != *want[name] {
			return 0, fmt.Errorf("sum(%s) is %v, sent was %v", name, got, *want[name])
		}
	}
	return m.count(ctx, s, scrapes)
}

// span is a moment behind the first scrapes, and the range before it that holds them all.
func (m *measurement) span(scrapes int) (at int64, window string) {
	length := int64(scrapes) * m.w.Params().Interval.Milliseconds()
	return m.w.Params().Start + length, fmt.Sprintf("[%dms]", length+1)
}

// names are the workload's metrics.
func (m *measurement) names() []string {
	all := map[string]bool{}
	_ = m.w.Feeder().Each(0, 0, m.w.Params().SeriesPerTarget, true, func(_ int, l labels.Labels, _ int64, _ float64) error {
		all[l.Get(model.MetricNameLabel)] = true
		return nil
	})
	return slices.Sorted(maps.Keys(all))
}
