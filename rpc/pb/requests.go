package pb

import (
	"errors"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"
)

// Times are milliseconds since the epoch, both ends inclusive. Matchers of one list are and-ed.

// QueryRequest asks for the chunks of series.
//
//	start=1 end=2 int64, matchers=3 repeated LabelMatcher, streaming_chunks_batch_size=100 uint64 (Mimir)
type QueryRequest struct {
	Start, End int64
	Matchers   []*labels.Matcher
	// BatchSize above 0 asks for Mimir's form of the answer, with at most so many series in a message of chunks.
	BatchSize uint64
}

// Unmarshal reads r from m and keeps nothing of it.
func (r *QueryRequest) Unmarshal(m []byte) error {
	*r = QueryRequest{}
	return each("QueryRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Start, err = f.int64()
		case 2:
			r.End, err = f.int64()
		case 3:
			r.Matchers, err = f.appendMatcher(r.Matchers)
		case 100:
			r.BatchSize, err = f.varint()
		}
		return err
	})
}

// MatcherSets asks for what satisfies one of several lists of matchers: ExemplarQueryRequest and
// MetricsForLabelMatchersRequest.
//
//	start=1 end=2 int64, sets=3 repeated LabelMatchers, limit=4 int64 (the latter only)
type MatcherSets struct {
	Start, End int64
	Sets       [][]*labels.Matcher
	Limit      int64
}

// Unmarshal reads r from m and keeps nothing of it.
func (r *MatcherSets) Unmarshal(m []byte) error {
	*r = MatcherSets{}
	return each("request of matcher sets", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Start, err = f.int64()
		case 2:
			r.End, err = f.int64()
		case 3:
			var set []*labels.Matcher
			set, err = f.appendMatchers(nil)
			r.Sets = append(r.Sets, set)
		case 4:
			r.Limit, err = f.int64()
		}
		return err
	})
}

// LabelValuesRequest asks for the values of a label.
//
//	label_name=1 string, start=2 end=3 int64, matchers=4 LabelMatchers, limit=5 int64
type LabelValuesRequest struct {
	Name       string
	Start, End int64
	Matchers   []*labels.Matcher
	Limit      int64
}

// Unmarshal reads r from m and keeps nothing of it.
func (r *LabelValuesRequest) Unmarshal(m []byte) error {
	*r = LabelValuesRequest{}
	return each("LabelValuesRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Name, err = f.string()
		case 2:
			r.Start, err = f.int64()
		case 3:
			r.End, err = f.int64()
		case 4:
			r.Matchers, err = f.appendMatchers(r.Matchers)
		case 5:
			r.Limit, err = f.int64()
		}
		return err
	})
}

// LabelNamesRequest asks for the names of labels.
//
//	start=1 end=2 int64, limit and matchers: 3 and 4 in Cortex, 4 and 3 in Mimir, told apart by their wire types
type LabelNamesRequest struct {
	Start, End int64
	Matchers   []*labels.Matcher
	Limit      int64
}

// Unmarshal reads r from m and keeps nothing of it.
func (r *LabelNamesRequest) Unmarshal(m []byte) error {
	*r = LabelNamesRequest{}
	return each("LabelNamesRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Start, err = f.int64()
		case 2:
			r.End, err = f.int64()
		case 3, 4:
			if f.typ == protowire.VarintType {
				r.Limit, err = f.int64()
			} else {
				r.Matchers, err = f.appendMatchers(r.Matchers)
			}
		}
		return err
	})
}

// MetadataRequest is MetricsMetadataRequest. Its two limits are not read: the querier applies them to what it merged, and
// ingesters that each choose other families would give it less than it may show. Cortex does so by default, too
// (-ingester.skip-metadata-limits); and what is 1 in Cortex's requests is -1 in Mimir's.
//
//	limit=1 limit_per_metric=2, metric=3 string
type MetadataRequest struct {
	Metric string // empty: all
}

// Unmarshal reads r from m and keeps nothing of it.
func (r *MetadataRequest) Unmarshal(m []byte) error {
	*r = MetadataRequest{}
	return each("MetricsMetadataRequest", m, func(f field) (err error) {
		if f.num == 3 {
			r.Metric, err = f.string()
		}
		return err
	})
}

// matcherTypes are LabelMatcher's types by number.
var matcherTypes = [...]labels.MatchType{labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp}

// appendMatchers appends what a LabelMatchers holds.
//
//	matchers=1 repeated LabelMatcher
func (f field) appendMatchers(dst []*labels.Matcher) ([]*labels.Matcher, error) {
	m, err := f.bytes()
	if err != nil {
		return dst, err
	}
	err = each("LabelMatchers", m, func(f field) (err error) {
		if f.num == 1 {
			dst, err = f.appendMatcher(dst)
		}
		return err
	})
	return dst, err
}

// appendMatcher appends a LabelMatcher.
//
//	type=1 enum, name=2 value=3 string
func (f field) appendMatcher(dst []*labels.Matcher) ([]*labels.Matcher, error) {
	m, err := f.bytes()
	if err != nil {
		return dst, err
	}
	var typ uint64
	var name, value string
	err = each("LabelMatcher", m, func(f field) (err error) {
		switch f.num {
		case 1:
			typ, err = f.varint()
		case 2:
			name, err = f.string()
		case 3:
			value, err = f.string()
		}
		return err
	})
	switch {
	case err != nil:
		return dst, err
	case typ >= uint64(len(matcherTypes)):
		return dst, errors.New("invalid matcher type")
	}
	matcher, err := labels.NewMatcher(matcherTypes[typ], name, value)
	if err != nil {
		return dst, err
	}
	return append(dst, matcher), nil
}
