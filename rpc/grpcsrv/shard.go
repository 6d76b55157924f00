package grpcsrv

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/rpc/pb"
)

// Names of matchers that queriers add to say which part of the series they want. They are no labels: left among the
// matchers they would match nothing, silently.
const (
	cortexShard = "__CORTEX_SHARD_BY__" // value: base64 of a pb.ShardInfo
	mimirShard  = "__query_shard__"     // value: n_of_m, n from 1
)

// shard decides whether a series belongs to the part that is asked for.
type shard func(l labels.Labels) bool

func (has shard) of(l labels.Labels) bool { return has == nil || has(l) }

// cutShard takes the special matchers out of ms. A nil shard is all series.
func cutShard(ms []*labels.Matcher) ([]*labels.Matcher, shard, error) {
	var has shard
	var err error
	rest := slices.DeleteFunc(slices.Clone(ms), func(m *labels.Matcher) bool {
		if m.Type != labels.MatchEqual || m.Name != cortexShard && m.Name != mimirShard {
			return false
		}
		parse := parseCortexShard
		if m.Name == mimirShard {
			parse = parseMimirShard
		}
		one, parseErr := parse(m.Value)
		if parseErr != nil {
			err = fmt.Errorf("matcher %s: %w", m, parseErr)
		}
		before := has
		has = func(l labels.Labels) bool { return before.of(l) && one.of(l) }
		return true
	})
	return rest, has, err
}

// parseCortexShard: the hash is over name, 0xff, value, 0xff of each label that counts, in order, and the shard is its
// remainder.
func parseCortexShard(value string) (shard, error) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, err
	}
	var info pb.ShardInfo
	if err := info.Unmarshal(raw); err != nil {
		return nil, err
	}
	if info.Total < 1 {
		return nil, nil
	}
	var buf []byte
	return func(l labels.Labels) bool {
		buf = buf[:0]
		l.Range(func(l labels.Label) {
			if slices.Contains(info.Labels, l.Name) == info.By {
				buf = appendLabel(buf, l)
			}
		})
		return xxhash.Sum64(buf)%uint64(info.Total) == uint64(info.Index)
	}, nil
}

// parseMimirShard: the same hash over all labels, as Prometheus's labels.StableHash.
func parseMimirShard(value string) (shard, error) {
	first, last, ok := strings.Cut(value, "_of_")
	n, err := strconv.ParseUint(first, 10, 64)
	if !ok || err != nil {
		return nil, fmt.Errorf("want n_of_m")
	}
	m, err := strconv.ParseUint(last, 10, 64)
	if err != nil || n < 1 || n > m {
		return nil, fmt.Errorf("want n_of_m with 1 <= n <= m")
	}
	var buf []byte
	return func(l labels.Labels) bool {
		buf = buf[:0]
		l.Range(func(l labels.Label) { buf = appendLabel(buf, l) })
		return xxhash.Sum64(buf)%m == n-1
	}, nil
}

func appendLabel(dst []byte, l labels.Label) []byte {
	dst = append(dst, l.Name...)
	dst = append(dst, 0xff)
	dst = append(dst, l.Value...)
	return append(dst, 0xff)
}
