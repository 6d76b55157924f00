package main

import (
	_ "embed"
	"strings"
	"sync"
)

// knownArgument is one that Cortex has, whether this program does something with it or not.
type knownArgument struct {
	flag     string // without dashes; empty: YAML only
	yaml     string // path in the file, joined by dots; empty: flag only
	kind     string // bool, int, float, duration, string, list
	version  string // 1.10, 1.21, both, mimir
	standard string // Cortex's default
}

//go:embed cortex.tsv
var cortexArguments string

// known are Cortex's arguments. The list is read when an argument is given that is not one of ours.
var known = sync.OnceValue(func() (k struct {
	all    []knownArgument
	byFlag map[string]*knownArgument
	byYAML map[string]*knownArgument // paths of settings, and nil for the sections that they are in
},
) {
	k.byFlag, k.byYAML = map[string]*knownArgument{}, map[string]*knownArgument{}
	for line := range strings.Lines(cortexArguments) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 { // the heading
			continue
		}
		for i := range f[:2] {
			f[i] = strings.TrimPrefix(f[i], "-")
		}
		k.all = append(k.all, knownArgument{f[0], f[1], f[2], f[3], f[4]})
	}
	for i := range k.all {
		a := &k.all[i]
		k.byFlag[a.flag] = a
		k.byYAML[a.yaml] = a
		for path := a.yaml; ; {
			at := strings.LastIndexByte(path, '.')
			if at < 0 {
				break
			}
			path = path[:at]
			if _, there := k.byYAML[path]; !there {
				k.byYAML[path] = nil
			}
		}
	}
	return k
})

// reasons say why an argument of Cortex has no effect here, by the beginning of its flag or YAML path; the longest counts.
var reasons = []struct{ prefix, why string }{
	{"", "it belongs to another module of Cortex"},

	{"ingester.", "this ingester has no such part"},
	{"ingester.active-", "active series are those with a sample of the last ten minutes"},
	{"ingester.checkpoint-", "images are written instead"},
	{"ingester.chunk-", "chunks are Prometheus's, closed when they are full"},
	{"ingester.client.", "this ingester calls no other"},
	{"ingester.concurrent-flushes", noStorage},
	{"ingester.flush", noStorage + "; a clean stop writes images"},
	{"ingester.ignore-series-limit", noLimits},
	{"ingester.instance-limits.", "only the limits of pushes in progress are enforced"},
	{"ingester.max-", noLimits},
	{"ingester.max-chunk-", noStorage},
	{"ingester.max-stale-chunk-idle", noStorage},
	{"ingester.min-chunk-length", noStorage},
	{"ingester.out-of-order", "samples out of order are refused"},
	{"ingester.query-protection.", "queries are bounded by -querier.max-concurrent and -querier.max-samples"},
	{"ingester.rate-update-period", "rates are exponential averages over 67 s, updated with every push"},
	{"ingester.retain-period", noStorage},
	{"ingester.ring.", "a client of the ring decides this, not its member"},
	{"ingester.spread-flushes", noStorage},
	{"ingester.tokens-generator-strategy", "tokens are random"},
	{"ingester.ring.token-generation-strategy", "tokens are random"},
	{"ingester.upload-", noStorage},

	{"blocks-storage.", noStorage},
	{"blocks-storage.tsdb.", "there is no TSDB: see the flags that begin with -ingester.wal and -ingester.checkpoint"},
	{"blocks-storage.tsdb.block-", noStorage},
	{"blocks-storage.tsdb.flush-blocks-on-shutdown", noStorage + "; a clean stop writes images"},
	{"blocks-storage.tsdb.retention-period", noStorage},
	{"blocks-storage.tsdb.ship-", noStorage},
	{"chunk_store", noStorage},
	{"schema-config-file", noStorage},
	{"store.", noStorage},
	{"storage", noStorage},
	{"table_manager", noStorage},

	{"distributor.", "the distributor decides this"},
	{"distributor.replication-factor", "a client of the ring decides this, not its member"},
	{"distributor.zone-awareness-enabled", "a client of the ring decides this, not its member"},
	{"distributor.excluded-zones", "a client of the ring decides this, not its member"},
	{"ingester.lifecycler.ring.kvstore.dynamodb.", "a ring in DynamoDB cannot be joined"},
	{"consul.tls", "the client of Consul speaks HTTP without TLS"},
	{"flusher.", noStorage},
	{"frontend.", "the query frontend decides this"},
	{"http.", "both prefixes, /prometheus and /api/prom, are served"},
	{"limits.", noLimits},
	{"log.", "dskit's server has no such setting"},
	{"mem-ballast-size-bytes", "the data is not on the Go heap"},
	{"memberlist.", "this version of the gossip library has no such setting"},
	{"querier.", "the querier decides this"},
	{"runtime-config.", "there are no runtime overrides"},
	{"server.", "dskit's server has no such setting"},
	{"validation.", noLimits},
}

const (
	noStorage = "there is no long-term storage yet"
	noLimits  = "limits of tenants are not enforced yet"
)

// why says why an argument has no effect.
func (a *knownArgument) why() string {
	best := reasons[0]
	for _, r := range reasons {
		for _, name := range []string{a.flag, a.yaml} {
			if strings.HasPrefix(name, r.prefix) && len(r.prefix) > len(best.prefix) {
				best = r
			}
		}
	}
	return best.why
}

// module is the section of the YAML file that an argument is in, or what its flag begins with.
func (a *knownArgument) module() string {
	if a.yaml == "" {
		m, _, _ := strings.Cut(a.flag, ".")
		return strings.ReplaceAll(m, "-", "_")
	}
	m, _, _ := strings.Cut(a.yaml, ".")
	return m
}

func (a *knownArgument) name() string {
	if a.flag == "" {
		return a.yaml
	}
	return "-" + a.flag
}
