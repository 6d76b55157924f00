package pb

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rekindledb/rekindle/engine"
)

// AppendString appends a field of a string: LabelValuesResponse and LabelNamesResponse are nothing but label_values=1 and
// label_names=1.
func AppendString(dst []byte, num protowire.Number, s string) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

func appendVarint(dst []byte, num protowire.Number, v uint64) []byte {
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

func appendDouble(dst []byte, num protowire.Number, v float64) []byte {
	dst = protowire.AppendTag(dst, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(dst, math.Float64bits(v))
}

// appendSize begins a field that holds a message of size bytes. All fields that it is used for have numbers below 16.
func appendSize(dst []byte, num protowire.Number, size int) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(size))
}

// sizeBytes is the size of a field that holds n bytes and whose number is below 16.
func sizeBytes(n int) int { return 1 + protowire.SizeBytes(n) }

func sizeVarint(v uint64) int { return 1 + protowire.SizeVarint(v) }

// AppendMetadata appends what a family says of itself to a MetricsMetadataResponse.
//
//	metadata=1 repeated MetricMetadata: type=1 enum, metric_family_name=2 help=4 unit=5 string
func AppendMetadata(dst []byte, family string, d engine.Description) []byte {
	typ := uint64(d.Type)
	dst = appendSize(dst, 1, sizeVarint(typ)+sizeBytes(len(family))+sizeBytes(len(d.Help))+sizeBytes(len(d.Unit)))
	dst = appendVarint(dst, 1, typ)
	dst = AppendString(dst, 2, family)
	dst = AppendString(dst, 4, d.Help)
	return AppendString(dst, 5, d.Unit)
}

// UserStats is UserStatsResponse: what a tenant has and sends. Rates are samples a second.
//
//	ingestion_rate=1 double, num_series=2 uint64, api_ingestion_rate=3 rule_ingestion_rate=4 double, active_series=5 uint64
type UserStats struct {
	Series, Active    uint64
	APIRate, RuleRate float64
}

// Append appends s as a message.
func (s UserStats) Append(dst []byte) []byte {
	dst = appendDouble(dst, 1, s.APIRate+s.RuleRate)
	dst = appendVarint(dst, 2, s.Series)
	dst = appendDouble(dst, 3, s.APIRate)
	dst = appendDouble(dst, 4, s.RuleRate)
	return appendVarint(dst, 5, s.Active)
}

// AppendUserIDStats appends a tenant's stats to a UsersStatsResponse.
//
//	stats=1 repeated UserIDStatsResponse: user_id=1 string, data=2 UserStatsResponse
func AppendUserIDStats(dst []byte, tenant string, s UserStats) []byte {
	data := s.Append(nil)
	dst = appendSize(dst, 1, sizeBytes(len(tenant))+sizeBytes(len(data)))
	dst = AppendString(dst, 1, tenant)
	dst = appendSize(dst, 2, len(data))
	return append(dst, data...)
}
