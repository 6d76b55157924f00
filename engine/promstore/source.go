package promstore

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/engine"
)

// Source is where the series come from: one tenant of the engine.
//
// Ranges are milliseconds, both ends inclusive. Matchers are and-ed and mean what they mean in Prometheus: a label that
// a series does not have is the empty string. Every method returns ctx.Err() soon after ctx is done.
type Source interface {
	// Select returns the series that match all of ms, in any order, each with the chunks that overlap
	// [mint, maxt]. The caller owns the answer, including the slices in it.
	Select(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error)

	// SelectPart returns the series that Select does, with a part of their chunks: what is left out is not needed.
	SelectPart(ctx context.Context, part engine.Part, mint, maxt int64, ms ...*labels.Matcher) ([]engine.Series, error)

	// LabelNames returns the names of the labels of all matching series, all series if ms is empty; sorted, at
	// most limit of them unless limit is 0. Nothing if no data at all lies in the range; whether a single series
	// has data in it need not be looked at.
	LabelNames(ctx context.Context, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error)

	// LabelValues returns the values that label name has in matching series, all series if ms is empty; sorted,
	// at most limit of them unless limit is 0. The empty value is not one of them. The range as in LabelNames.
	LabelValues(ctx context.Context, name string, mint, maxt int64, limit int, ms ...*labels.Matcher) ([]string, error)
}
