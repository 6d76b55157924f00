package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/grafana/dskit/kv/memberlist"
	"github.com/grafana/dskit/server"

	"github.com/rekindledb/rekindle/engine"
)

// Config is everything that can be set, by flag or by -config.file. The shape of the YAML is Cortex's
// where Cortex has the setting.
type Config struct {
	Target       string `yaml:"target"`
	AuthEnabled  bool   `yaml:"auth_enabled"`
	NoAuthTenant string `yaml:"no_auth_tenant"`

	API         APIConfig           `yaml:"api"`
	Server      server.Config       `yaml:"server"`
	Distributor DistributorConfig   `yaml:"distributor"`
	Ingester    IngesterConfig      `yaml:"ingester"`
	Storage     StorageConfig       `yaml:"blocks_storage"`
	Limits      LimitsConfig        `yaml:"limits"`
	Querier     QuerierConfig       `yaml:"querier"`
	Flusher     FlusherConfig       `yaml:"flusher"`
	Memberlist  memberlist.KVConfig `yaml:"memberlist"`
}

// FlusherConfig is of -target=flusher.
type FlusherConfig struct {
	WALDir string `yaml:"wal_dir"`
	Exit   bool   `yaml:"exit_after_flush"`
}

// APIConfig is about paths.
type APIConfig struct {
	ChangeByGet bool `yaml:"change_by_get"`
}

// DistributorConfig holds what in Cortex the distributor decides about a request.
type DistributorConfig struct {
	MaxRecvMsgSize int `yaml:"max_recv_msg_size"`
}

// IngesterConfig is the ingester's own section.
type IngesterConfig struct {
	WAL        WALConfig        `yaml:"walconfig"`
	Lifecycler LifecyclerConfig `yaml:"lifecycler"`
	Instance   InstanceLimits   `yaml:"instance_limits"`
	Dialect    string           `yaml:"dialect"`
	Retries    int              `yaml:"max_transfer_retries"`
	AdoptDir   bool             `yaml:"adopt_dir"`
	ImportDir  string           `yaml:"import_dir"`
	Stripes    int              `yaml:"tenant_stripes"`
}

// WALConfig decides what survives a restart and at what cost.
type WALConfig struct {
	Enabled            bool          `yaml:"wal_enabled"`
	Dir                string        `yaml:"wal_dir"`
	Recover            bool          `yaml:"recover_from_wal"`
	CheckpointEnabled  bool          `yaml:"checkpoint_enabled"`
	CheckpointDuration time.Duration `yaml:"checkpoint_duration"`
	CheckpointMaxRate  int64         `yaml:"checkpoint_max_write_rate"`
	RestartTarget      time.Duration `yaml:"restart_target"`
	Sync               string        `yaml:"wal_sync"`
	SyncInterval       time.Duration `yaml:"wal_sync_interval"`
}

// InstanceLimits protect this process whatever the tenants do.
type InstanceLimits struct {
	MaxInflightPushRequests      int64 `yaml:"max_inflight_push_requests"`
	MaxInflightPushRequestsBytes int64 `yaml:"max_inflight_push_requests_bytes"`
}

// StorageConfig keeps the place that these settings have in Cortex's YAML.
type StorageConfig struct {
	TSDB struct {
		Dir              string `yaml:"dir"`
		WALCompression   string `yaml:"wal_compression_type"`
		WALCompressionOn bool   `yaml:"wal_compression_enabled"`
	} `yaml:"tsdb"`
}

// LimitsConfig is what a sample has to satisfy.
type LimitsConfig struct {
	CreationGracePeriod time.Duration `yaml:"creation_grace_period"`
}

// QuerierConfig bounds what queries may take.
type QuerierConfig struct {
	MaxConcurrent int           `yaml:"max_concurrent"`
	Timeout       time.Duration `yaml:"timeout"`
	MaxSamples    int           `yaml:"max_samples"`
	LookbackDelta time.Duration `yaml:"lookback_delta"`

	QueryIngestersWithin time.Duration `yaml:"query_ingesters_within"`
}

// Values of -ingester.wal-sync and -blocks-storage.tsdb.wal-compression-type.
const (
	syncInterval = "interval"
	syncAlways   = "always"

	compressionNone   = "none"
	compressionSnappy = "snappy"
	compressionZstd   = "zstd"

	dialectCortex = "cortex"
	dialectMimir  = "mimir"
)

// serverDefaults are the settings of dskit's server whose own defaults don't suit an ingester: port 80
// needs privileges, and Cortex's distributors ping every 20 s and send messages of up to 16 MiB.
var serverDefaults = map[string]string{
	"server.http-listen-port":                           "8080",
	"server.grpc-max-recv-msg-size-bytes":               "104857600",
	"server.grpc-max-send-msg-size-bytes":               "104857600",
	"server.grpc-max-concurrent-streams":                "1000",
	"server.grpc.keepalive.min-time-between-pings":      "10s",
	"server.grpc.keepalive.ping-without-stream-allowed": "true",
	"server.grpc.num-workers":                           "100",   // stacks that have grown serve the next request too
	"server.http-write-timeout":                         "2m30s", // outlives -querier.timeout
}

// gossipDefaults keep a stop short whose peers are gone as well. With peers, good-byes take milliseconds.
var gossipDefaults = map[string]string{
	"memberlist.leave-timeout":                                   "1s",
	"memberlist.broadcast-timeout-for-local-updates-on-shutdown": "1s",
}

// RegisterFlags registers every flag and sets every default.
func (c *Config) RegisterFlags(f *flag.FlagSet) {
	withDefaults(f, c.Server.RegisterFlags, serverDefaults)

	f.StringVar(&c.Target, "target", targetAll, "What to be: all or ingester, which are the same; or flusher, which makes the data in -flusher.wal-dir safe and ends.")
	f.StringVar(&c.Flusher.WALDir, "flusher.wal-dir", "", "With -target=flusher, the data directory; empty means -ingester.wal-dir.")
	f.BoolVar(&c.Flusher.Exit, "flusher.exit-after-flush", true, "With -target=flusher, end when done; off, wait to be told.")
	f.BoolVar(&c.AuthEnabled, "auth.enabled", false, "Require the X-Scope-OrgID header, which names the tenant. When off, a request without the header belongs to -auth.no-auth-tenant; a header that is given counts either way.")
	f.BoolVar(&c.AuthEnabled, "auth.multitenancy-enabled", false, "Another name of -auth.enabled.")
	f.StringVar(&c.NoAuthTenant, "auth.no-auth-tenant", "anonymous", "Tenant of requests without an X-Scope-OrgID header when -auth.enabled is off.")

	f.BoolVar(&c.API.ChangeByGet, "api.change-by-get", true, "Answer GET on /flush, /shutdown, /ingester/mode and the like as POST, as Cortex does. Off, a crawler that reaches the port harms nothing.")
	withDefaults(f, c.Memberlist.RegisterFlags, gossipDefaults)
	f.IntVar(&c.Distributor.MaxRecvMsgSize, "distributor.max-recv-msg-size", 100<<20, "Largest remote write request, in bytes after decompression. Larger ones are refused before memory is taken for them.")

	c.Ingester.registerFlags(f)

	f.StringVar(&c.Storage.TSDB.Dir, "blocks-storage.tsdb.dir", "", "Cortex's data directory. If -ingester.wal-dir is not given, ours is beside it; what is in it is not read.")
	f.BoolVar(&c.Storage.TSDB.WALCompressionOn, "blocks-storage.tsdb.wal-compression-enabled", false, "Another name of -blocks-storage.tsdb.wal-compression-type=snappy.")
	f.StringVar(&c.Storage.TSDB.WALCompression, "blocks-storage.tsdb.wal-compression-type", compressionSnappy, "Compression of the write-ahead log: none, snappy or zstd. zstd writes fewer bytes and needs more CPU.")
	f.DurationVar(&c.Limits.CreationGracePeriod, "validation.create-grace-period", 10*time.Minute, "Samples further in the future than this are refused.")

	f.IntVar(&c.Querier.MaxConcurrent, "querier.max-concurrent", 20, "Queries that run at the same time; others wait.")
	f.DurationVar(&c.Querier.Timeout, "querier.timeout", 2*time.Minute, "A query that takes longer is ended.")
	f.IntVar(&c.Querier.MaxSamples, "querier.max-samples", 50e6, "Samples that one query may hold in memory; a query that needs more fails.")
	f.DurationVar(&c.Querier.QueryIngestersWithin, "querier.query-ingesters-within", 0, "How far back the cluster's queriers ask ingesters, as set there. 0 means without limit: questions over gRPC about labels of times before the oldest sample are then answered from all samples.")
	f.DurationVar(&c.Querier.LookbackDelta, "querier.lookback-delta", 5*time.Minute, "How far back a query looks for the newest sample of a series.")
}

func (c *IngesterConfig) registerFlags(f *flag.FlagSet) {
	w := &c.WAL
	f.BoolVar(&w.Enabled, "ingester.wal-enabled", true, "Write what is ingested to the write-ahead log before it is acknowledged. When off, data is in memory only.")
	f.StringVar(&w.Dir, "ingester.wal-dir", defaultDir, "Directory of the write-ahead log, images and chunk files. It belongs to one process and should be on a volume that outlives it.")
	f.BoolVar(&w.Recover, "ingester.recover-from-wal", true, "Recover the data in -ingester.wal-dir at start, even when -ingester.wal-enabled is off. When off, existing data is moved to @aside in that directory and the process starts empty.")
	f.BoolVar(&w.CheckpointEnabled, "ingester.checkpoint-enabled", true, "Write images of memory to disk, so that a restart replays only the end of the log.")
	f.DurationVar(&w.CheckpointDuration, "ingester.checkpoint-duration", 5*time.Minute, "Longest time between two images of the same part of memory. They are written earlier when -ingester.restart-target asks for it.")
	f.Int64Var(&w.CheckpointMaxRate, "ingester.checkpoint-max-write-rate", 0, "Bytes per second that writing images may take of the disk. 0 means no cap. A low cap can make restarts longer than -ingester.restart-target.")
	f.DurationVar(&w.RestartTarget, "ingester.restart-target", 0, "Time that a restart may need to replay the log; images are written as often as this needs. 0 means as long as reading the images takes, and 200ms at least.")
	f.StringVar(&w.Sync, "ingester.wal-sync", syncInterval, "When an acknowledged write is safe from a power cut: interval (at most twice -ingester.wal-sync-interval later) or always (before it is acknowledged). Either is safe from a killed process at once.")
	f.DurationVar(&w.SyncInterval, "ingester.wal-sync-interval", 100*time.Millisecond, "How often the log is synced to disk with -ingester.wal-sync=interval.")

	c.Lifecycler.registerFlags(f)
	f.IntVar(&c.Retries, "ingester.max-transfer-retries", 10, "With -ingester.wal-enabled=false, how often a stopping ingester tries to hand its data over to a PENDING one. After that it writes images to -ingester.wal-dir and fails. 0 means that it hands nothing over.")
	f.StringVar(&c.Dialect, "ingester.dialect", dialectCortex, "What the callers are, where the wire does not tell: cortex or mimir.")
	f.IntVar(&c.Stripes, "ingester.tenant-stripes", 0, "Parts that a tenant made from now on is divided into, a power of two from 1 to 64; 0 is 8 for each core and at least 16. Parts are written to, imaged and recovered in parallel; each takes some 30 KiB once it has series, so thousands of small tenants want 1.")
	f.StringVar(&c.ImportDir, "ingester.import-dir", "", "Take over a directory of Prometheus, Cortex or Mimir at start: that of one tenant, which becomes -auth.no-auth-tenant, or one that holds tenants' directories, which keep their names. It is only read. What was taken over once is left as it is, so the flag can stay; a tenant that exists for another reason is an error.")
	f.BoolVar(&c.AdoptDir, "ingester.adopt-dir", false, "Take over a data directory that belongs to another instance id.")

	f.Int64Var(&c.Instance.MaxInflightPushRequests, "ingester.instance-limits.max-inflight-push-requests", 30000, "Push requests in progress at the same time; more get 503. 0 means no limit.")
	f.Int64Var(&c.Instance.MaxInflightPushRequestsBytes, "ingester.instance-limits.max-inflight-push-requests-bytes", 512<<20, "Memory of the push requests in progress, in bytes; more get 503. 0 means no limit.")
}

// withDefaults registers the flags of a library, some of them with other defaults.
func withDefaults(f *flag.FlagSet, register func(*flag.FlagSet), defaults map[string]string) {
	own := flag.NewFlagSet("", flag.ContinueOnError)
	register(own)
	own.VisitAll(func(fl *flag.Flag) {
		if v, ok := defaults[fl.Name]; ok {
			if err := fl.Value.Set(v); err != nil {
				panic(fmt.Sprintf("default of -%s: %v", fl.Name, err)) // a constant of this file
			}
		}
		f.Var(fl.Value, fl.Name, fl.Usage)
	})
}

// Validate reports every fault, not only the first.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Target == targetAll || c.Target == targetIngester || c.Target == targetFlusher, "-target=%q is not in this program: %s, %s and %s are", c.Target, targetAll, targetIngester, targetFlusher)
	w := c.Ingester.WAL
	check(w.Dir != "", "-ingester.wal-dir must name a directory")
	check(w.CheckpointDuration > 0, "-ingester.checkpoint-duration=%v must be above 0", w.CheckpointDuration)
	check(w.CheckpointMaxRate >= 0, "-ingester.checkpoint-max-write-rate=%d must not be negative", w.CheckpointMaxRate)
	check(w.RestartTarget >= 0, "-ingester.restart-target=%v must not be below 0", w.RestartTarget)
	check(w.Sync == syncInterval || w.Sync == syncAlways, "-ingester.wal-sync=%q must be %s or %s", w.Sync, syncInterval, syncAlways)
	check(c.Ingester.ImportDir == "" || w.Enabled && w.Recover, "-ingester.import-dir needs -ingester.wal-enabled and -ingester.recover-from-wal: what is imported is recovered from the disk")
	n := c.Ingester.Stripes
	check(n >= 0 && n <= 64 && n&(n-1) == 0, "-ingester.tenant-stripes=%d must be a power of two from 1 to 64, or 0", n)
	check(w.SyncInterval > 0, "-ingester.wal-sync-interval=%v must be above 0", w.SyncInterval)

	c.Ingester.Lifecycler.validate(check)
	check(c.Ingester.Retries >= 0, "-ingester.max-transfer-retries=%d must not be negative", c.Ingester.Retries)
	check(c.Ingester.Dialect == dialectCortex || c.Ingester.Dialect == dialectMimir, "-ingester.dialect=%q must be %s or %s", c.Ingester.Dialect, dialectCortex, dialectMimir)
	if err := c.Memberlist.Validate(); err != nil {
		check(false, "-memberlist: %w", err)
	}

	switch z := c.Storage.TSDB.WALCompression; z {
	case "", compressionNone, compressionSnappy, compressionZstd:
	default:
		check(false, "-blocks-storage.tsdb.wal-compression-type=%q must be %s, %s or %s", z, compressionNone, compressionSnappy, compressionZstd)
	}
	if err := engine.ValidTenant(c.NoAuthTenant); err != nil {
		check(false, "-auth.no-auth-tenant: %w", err)
	}
	check(c.Limits.CreationGracePeriod > 0, "-validation.create-grace-period=%v must be above 0", c.Limits.CreationGracePeriod)
	check(c.Querier.MaxConcurrent > 0, "-querier.max-concurrent=%d must be above 0", c.Querier.MaxConcurrent)
	check(c.Querier.Timeout > 0, "-querier.timeout=%v must be above 0", c.Querier.Timeout)
	check(c.Querier.MaxSamples > 0, "-querier.max-samples=%d must be above 0", c.Querier.MaxSamples)
	check(c.Querier.LookbackDelta > 0, "-querier.lookback-delta=%v must be above 0", c.Querier.LookbackDelta)

	recv, bytes := int64(c.Distributor.MaxRecvMsgSize), c.Ingester.Instance.MaxInflightPushRequestsBytes
	check(recv > 0, "-distributor.max-recv-msg-size=%d must be above 0", recv)
	// A request holds its body and its decompressed body. Were the limit below both, a request of legal
	// size would be answered 503 for ever.
	check(bytes == 0 || bytes >= 2*recv, "-ingester.instance-limits.max-inflight-push-requests-bytes=%d must be at least twice -distributor.max-recv-msg-size=%d, or 0", bytes, recv)
	check(c.Ingester.Instance.MaxInflightPushRequests >= 0, "-ingester.instance-limits.max-inflight-push-requests=%d must not be negative", c.Ingester.Instance.MaxInflightPushRequests)

	for name, port := range map[string]int{"http": c.Server.HTTPListenPort, "grpc": c.Server.GRPCListenPort} {
		check(port >= 0 && port <= 65535, "-server.%s-listen-port=%d is not a port", name, port)
	}
	check(c.Server.LogFormat == "logfmt" || c.Server.LogFormat == "json", "-log.format=%q must be logfmt or json", c.Server.LogFormat)
	if err := c.Server.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
