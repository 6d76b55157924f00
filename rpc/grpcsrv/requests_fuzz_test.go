package grpcsrv

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rekindledb/rekindle/rpc/pb"
)

// Any bytes as any request: no panic, the bytes stay as they are, and where protobuf's own reader knows every field, both
// find the same, or ours says why not. (A known field of another wire type is an unknown one to that reader and an error to
// ours, as it is to Cortex's.)
func FuzzRequests(f *testing.F) {
	f.Add([]byte("\x08\x01\x10\x02\x1a\x08\x08\x02\x12\x01a\x1a\x01b\xca\x3e\x00"))
	f.Add([]byte("\x0a\x03job\x10\x01\x18\x02\x22\x0a\x0a\x08\x08\x03\x12\x01a\x1a\x01b\x28\x05"))
	f.Add([]byte("\x18\x05\x22\x08\x0a\x06\x12\x01a\x1a\x01b"))
	f.Add([]byte("\x0a\x03one\x12\x02\x0a\x00\x12\x02\x0a\x00\xc2\x3e\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		check := func(message string, err error, ours func() string, theirs func(m protoreflect.Message) string) {
			m := newMessage(message)
			if protoErr := proto.Unmarshal(raw, m); protoErr != nil || err != nil || !known(m) {
				return
			}
			require.Equal(t, theirs(m), ours(), message)
		}
		var q pb.QueryRequest
		for _, dialect := range []string{"QueryRequest", "MimirQueryRequest"} {
			check(dialect, q.Unmarshal(raw),
				func() string { return fmt.Sprintln(q.Start, q.End, q.Matchers) },
				func(m protoreflect.Message) string {
					return fmt.Sprintln(get(m, "start"), get(m, "end"), matchersOf(m))
				})
		}
		var c pb.CardinalityRequest
		check("CardinalityRequest", c.UnmarshalNamesAndValues(raw),
			func() string { return fmt.Sprintln(c.Matchers, c.Active) },
			func(m protoreflect.Message) string { return fmt.Sprintln(matchersOf(m), get(m, "method").Int() != 0) })
		check("CardinalityRequest", c.UnmarshalActive(raw),
			func() string { return fmt.Sprintln(c.Matchers, c.Histograms) },
			func(m protoreflect.Message) string { return fmt.Sprintln(matchersOf(m), get(m, "method").Int() != 0) })
		check("ValuesCardinalityRequest", c.UnmarshalValues(raw),
			func() string { return fmt.Sprintln(c.Names, c.Matchers, c.Active) },
			func(m protoreflect.Message) string {
				return fmt.Sprintln(list(m, "names"), matchersOf(m), get(m, "method").Int() != 0)
			})
		check("MimirUserStatsRequest", c.UnmarshalStats(raw),
			func() string { return fmt.Sprintln(c.Active) },
			func(m protoreflect.Message) string { return fmt.Sprintln(get(m, "method").Int() != 0) })
		var sets pb.MatcherSets
		check("MetricsForLabelMatchersRequest", sets.Unmarshal(raw),
			func() string { return fmt.Sprintln(sets.Start, sets.End, sets.Sets, sets.Limit) },
			func(m protoreflect.Message) string {
				all := make([][]*labels.Matcher, get(m, "sets").List().Len())
				for i := range all {
					all[i] = matchersOf(get(m, "sets", i).Message())
				}
				return fmt.Sprintln(get(m, "start"), get(m, "end"), all, get(m, "limit"))
			})
		var values pb.LabelValuesRequest
		check("LabelValuesRequest", values.Unmarshal(raw),
			func() string {
				return fmt.Sprintln(values.Name, values.Start, values.End, values.Matchers, values.Limit)
			},
			func(m protoreflect.Message) string {
				return fmt.Sprintln(get(m, "name"), get(m, "start"), get(m, "end"), matchersOf(get(m, "matchers").Message()), get(m, "limit"))
			})
		var names pb.LabelNamesRequest
		for _, dialect := range []string{"LabelNamesRequest", "MimirLabelNamesRequest"} {
			check(dialect, names.Unmarshal(raw),
				func() string { return fmt.Sprintln(names.Start, names.End, names.Matchers, names.Limit) },
				func(m protoreflect.Message) string {
					return fmt.Sprintln(get(m, "start"), get(m, "end"), matchersOf(get(m, "matchers").Message()), get(m, "limit"))
				})
		}
		var metadata pb.MetadataRequest
		check("MetricsMetadataRequest", metadata.Unmarshal(raw),
			func() string { return metadata.Metric },
			func(m protoreflect.Message) string { return get(m, "metric").String() })
		var shard pb.ShardInfo
		check("ShardInfo", shard.Unmarshal(raw),
			func() string {
				return fmt.Sprintln(shard.Index, shard.Total, shard.By, len(shard.Labels), shard.Labels)
			},
			func(m protoreflect.Message) string {
				l := list(m, "labels")
				return fmt.Sprintln(get(m, "index"), get(m, "total"), get(m, "by"), len(l), l)
			})
		var write pb.StreamWriteRequest
		check("StreamWriteRequest", write.Unmarshal(raw),
			func() string { return write.Tenant },
			func(m protoreflect.Message) string { return get(m, "tenant").String() })
		require.Equal(t, before, raw, "the message was written to")
	})
}

// known reports whether m holds no field that the schema does not have.
func known(m protoreflect.Message) bool {
	ok := len(m.GetUnknown()) == 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				ok = ok && known(v.List().Get(i).Message())
			}
		default:
			ok = ok && known(v.Message())
		}
		return ok
	})
	return ok
}

func matchersOf(m protoreflect.Message) []*labels.Matcher {
	l := get(m, "matchers").List()
	all := make([]*labels.Matcher, l.Len())
	for i := range all {
		one := l.Get(i).Message()
		all[i] = &labels.Matcher{Type: labels.MatchType(get(one, "type").Int()), Name: get(one, "name").String(), Value: get(one, "value").String()}
	}
	return all
}
