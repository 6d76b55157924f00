package grpcsrv

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schema is the messages of cortex.Ingester as Cortex 1.21 defines them. protobuf's own dynamic messages, made from it, are
// the other side in these tests: they share no code with ours.
const schema = `
LabelPair                       name=1 bytes, value=2 bytes
Sample                          value=1 double, timestamp_ms=2 int64
Exemplar                        labels=1 []LabelPair, value=2 double, timestamp_ms=3 int64
TimeSeries                      labels=1 []LabelPair, samples=2 []Sample, exemplars=3 []Exemplar
MetricMetadata                  type=1 int32, metric_family_name=2 string, help=4 string, unit=5 string
BufRef
WriteRequest                    timeseries=1 []TimeSeries, source=2 int32, metadata=3 []MetricMetadata, skip_label_name_validation=1000 bool, ref=1001 BufRef, discard_out_of_order=1002 bool
WriteResponse                   code=1 int32, message=2 string
StreamWriteRequest              tenant=1 string, request=2 WriteRequest, ref=1000 BufRef
LabelMatcher                    type=1 int32, name=2 string, value=3 string
LabelMatchers                   matchers=1 []LabelMatcher
QueryRequest                    start=1 int64, end=2 int64, matchers=3 []LabelMatcher, ref=1001 BufRef
Chunk                           start=1 int64, end=2 int64, encoding=3 int32, data=4 bytes
TimeSeriesChunk                 from_ingester_id=1 string, user_id=2 string, labels=3 []LabelPair, chunks=4 []Chunk
QueryStreamResponse             chunkseries=1 []TimeSeriesChunk
ExemplarQueryRequest            start=1 int64, end=2 int64, sets=3 []LabelMatchers
ExemplarQueryResponse           timeseries=1 []TimeSeries
LabelValuesRequest              name=1 string, start=2 int64, end=3 int64, matchers=4 LabelMatchers, limit=5 int64
LabelValuesResponse             values=1 []string
LabelNamesRequest               start=1 int64, end=2 int64, limit=3 int64, matchers=4 LabelMatchers
MimirLabelNamesRequest          start=1 int64, end=2 int64, matchers=3 LabelMatchers, limit=4 int64
LabelNamesResponse              names=1 []string
MetricsForLabelMatchersRequest  start=1 int64, end=2 int64, sets=3 []LabelMatchers, limit=4 int64
Metric                          labels=1 []LabelPair
MetricsForLabelMatchersResponse metric=1 []Metric
MetricsMetadataRequest          limit=1 int64, limit_per_metric=2 int64, metric=3 string
MetricsMetadataResponse         metadata=1 []MetricMetadata
UserStatsRequest
UserStatsResponse               ingestion_rate=1 double, num_series=2 uint64, api_ingestion_rate=3 double, rule_ingestion_rate=4 double, active_series=5 uint64, loaded_blocks=6 uint64
UserIDStatsResponse             user_id=1 string, data=2 UserStatsResponse
UsersStatsResponse              stats=1 []UserIDStatsResponse
MimirQueryRequest               start=1 int64, end=2 int64, matchers=3 []LabelMatcher, batch=100 uint64
MimirStreamSeries               labels=1 []LabelPair, chunk_count=2 int64
MimirStreamChunks               index=1 uint64, chunks=2 []Chunk
MimirQueryStreamResponse        series=3 []MimirStreamSeries, end=4 bool, chunks=5 []MimirStreamChunks
CardinalityRequest              matchers=1 []LabelMatcher, method=2 int32
LabelValues                     name=1 string, values=2 []string
LabelNamesAndValuesResponse     items=1 []LabelValues
ValuesCardinalityRequest        names=1 []string, matchers=2 []LabelMatcher, method=3 int32
ValueCount                      value=1 string, series=2 uint64
ValueCounts                     name=1 string, counts=2 []ValueCount
ValuesCardinalityResponse       items=1 []ValueCounts
MimirUserStatsRequest           method=1 int32
ShardInfo                       index=1 int64, total=2 int64, by=3 bool, labels=4 []string
HTTPResponse                    code=1 int32, body=3 bytes
`

var kinds = map[string]descriptorpb.FieldDescriptorProto_Type{
	"bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES, "string": descriptorpb.FieldDescriptorProto_TYPE_STRING,
	"double": descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, "bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	"int32": descriptorpb.FieldDescriptorProto_TYPE_INT32, "int64": descriptorpb.FieldDescriptorProto_TYPE_INT64,
	"uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64,
}

var messages = func() protoreflect.MessageDescriptors {
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("ingester.proto"), Package: proto.String("c"), Syntax: proto.String("proto3")}
	for line := range strings.Lines(strings.TrimSpace(schema)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		m := &descriptorpb.DescriptorProto{Name: &name}
		for one := range strings.SplitSeq(rest, ",") {
			if one = strings.TrimSpace(one); one == "" {
				continue
			}
			left, typ, _ := strings.Cut(one, " ")
			fieldName, number, _ := strings.Cut(left, "=")
			n, err := strconv.Atoi(number)
			if err != nil {
				panic(err)
			}
			f := &descriptorpb.FieldDescriptorProto{Name: &fieldName, Number: proto.Int32(int32(n)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
			if element, ok := strings.CutPrefix(typ, "[]"); ok {
				typ, f.Label = element, descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
			}
			if kind, ok := kinds[typ]; ok {
				f.Type = kind.Enum()
			} else {
				f.Type, f.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".c."+typ)
			}
			m.Field = append(m.Field, f)
		}
		file.MessageType = append(file.MessageType, m)
	}
	d, err := protodesc.NewFile(file, nil)
	if err != nil {
		panic(err)
	}
	return d.Messages()
}()

func newMessage(name string) *dynamicpb.Message {
	return dynamicpb.NewMessage(messages.ByName(protoreflect.Name(name)))
}

// encode makes a message out of JSON.
func encode(t testing.TB, name, json string, args ...any) []byte {
	t.Helper()
	m := newMessage(name)
	require.NoError(t, protojson.Unmarshal(fmt.Appendf(nil, json, args...), m), json)
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

// decode reads messages of one kind, each of which is whole, as one: that is what it means to append them.
func decode(t testing.TB, name string, all ...[]byte) *dynamicpb.Message {
	t.Helper()
	m := newMessage(name)
	for _, b := range all {
		require.NoError(t, proto.UnmarshalOptions{Merge: true}.Unmarshal(b, m))
	}
	require.True(t, known(m), "unknown fields in %s", m)
	return m
}

// get follows a path of field names and list indexes.
func get(m protoreflect.Message, path ...any) protoreflect.Value {
	v := protoreflect.ValueOfMessage(m)
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.Message().Get(v.Message().Descriptor().Fields().ByName(protoreflect.Name(p)))
		case int:
			v = v.List().Get(p)
		}
	}
	return v
}

// list returns a list of strings.
func list(m protoreflect.Message, field string) (all []string) {
	l := get(m, field).List()
	for i := range l.Len() {
		all = append(all, l.Get(i).String())
	}
	return all
}

// labelsOf writes a list of LabelPair as a="b",c="d".
func labelsOf(m protoreflect.Message) string {
	l := get(m, "labels").List()
	var all []string
	for i := range l.Len() {
		all = append(all, fmt.Sprintf("%s=%q", get(l.Get(i).Message(), "name").Bytes(), get(l.Get(i).Message(), "value").Bytes()))
	}
	return strings.Join(all, ",")
}
