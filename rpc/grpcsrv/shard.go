package grpcsrv

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// shard decides whether a series, given by its key, belongs to the part that is asked for. Several goroutines ask it.
type shard func(key []byte) bool

func (has shard) of(key []byte) bool { return has == nil || has(key) }

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
		has = func(key []byte) bool { return before.of(key) && one.of(key) }
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
	return func(key []byte) bool {
		h := hashes.Get().(*xxhash.Digest)
		defer hashes.Put(h)
		h.Reset()
		for name, value := range pb.Labels(key) {
			if info.By == slices.ContainsFunc(info.Labels, func(l string) bool { return l == string(name) }) {
				hashLabel(h, name, value)
			}
		}
		return h.Sum64()%uint64(info.Total) == uint64(info.Index)
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
	return func(key []byte) bool {
		h := hashes.Get().(*xxhash.Digest)
		defer hashes.Put(h)
		h.Reset()
		for name, value := range pb.Labels(key) {
			hashLabel(h, name, value)
		}
		return h.Sum64()%m == n-1
	}, nil
}

var hashes = sync.Pool{New: func() any { return xxhash.New() }}

var separator = []byte{0xff}

func hashLabel(h *xxhash.Digest, name, value []byte) {
	// A hash's Write never fails.
	_, _ = h.Write(name)
	_, _ = h.Write(separator)
	_, _ = h.Write(value)
	_, _ = h.Write(separator)
}
