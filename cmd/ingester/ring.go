package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	gokit "github.com/go-kit/log"
	"github.com/grafana/dskit/dns"
	"github.com/grafana/dskit/flagext"
	"github.com/grafana/dskit/kv"
	"github.com/grafana/dskit/kv/codec"
	"github.com/grafana/dskit/kv/consul"
	"github.com/grafana/dskit/kv/memberlist"
	"github.com/grafana/dskit/netutil"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rekindledb/rekindle/rpc/lifecycle"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// LifecyclerConfig is who this instance is in the ring, and how it moves through it.
type LifecyclerConfig struct {
	Ring RingConfig `yaml:"ring"`

	NumTokens        int                 `yaml:"num_tokens"`
	HeartbeatPeriod  time.Duration       `yaml:"heartbeat_period"`
	ObservePeriod    time.Duration       `yaml:"observe_period"`
	JoinAfter        time.Duration       `yaml:"join_after"`
	MinReady         time.Duration       `yaml:"min_ready_duration"`
	InterfaceNames   flagext.StringSlice `yaml:"interface_names"`
	FinalSleep       time.Duration       `yaml:"final_sleep"`
	TokensFile       string              `yaml:"tokens_file_path"`
	Zone             string              `yaml:"availability_zone"`
	UnregisterOnStop bool                `yaml:"unregister_on_shutdown"`
	CheckRingHealth  bool                `yaml:"readiness_check_ring_health"`
	Addr             string              `yaml:"address"`
	Port             int                 `yaml:"port"`
	ID               string              `yaml:"id"`
}

// RingConfig is where the ring is and how it is looked at.
type RingConfig struct {
	KVStore          kv.Config     `yaml:"kvstore"`
	HeartbeatTimeout time.Duration `yaml:"heartbeat_timeout"`
	DetailedMetrics  bool          `yaml:"detailed_metrics_enabled"`
}

const storeInMemory = "inmemory"

// mimirNames are Mimir's names of flags, without their prefix -ingester.ring., by ours.
var mimirNames = map[string]string{
	"store":                       "ring.store",
	"prefix":                      "ring.prefix",
	"heartbeat-timeout":           "ring.heartbeat-timeout",
	"heartbeat-period":            "ingester.heartbeat-period",
	"num-tokens":                  "ingester.num-tokens",
	"tokens-file-path":            "ingester.tokens-file-path",
	"observe-period":              "ingester.observe-period",
	"min-ready-duration":          "ingester.min-ready-duration",
	"final-sleep":                 "ingester.final-sleep",
	"unregister-on-shutdown":      "ingester.unregister-on-shutdown",
	"readiness-check-ring-health": "ingester.readiness-check-ring-health",
	"instance-id":                 "ingester.lifecycler.ID",
	"instance-addr":               "ingester.lifecycler.addr",
	"instance-port":               "ingester.lifecycler.port",
	"instance-interface-names":    "ingester.lifecycler.interface",
	"instance-availability-zone":  "ingester.availability-zone",
}

func (c *LifecyclerConfig) registerFlags(f *flag.FlagSet) {
	f.IntVar(&c.NumTokens, "ingester.num-tokens", 128, "Tokens of this instance: its share of the series, relative to the others'.")
	f.DurationVar(&c.HeartbeatPeriod, "ingester.heartbeat-period", 5*time.Second, "How often the instance says in the ring that it lives. 0 means never.")
	f.DurationVar(&c.ObservePeriod, "ingester.observe-period", 0, "How long a joining instance waits whether another one has its tokens. Useful with memberlist.")
	f.DurationVar(&c.JoinAfter, "ingester.join-after", 0, "How long an instance without tokens waits before it makes its own.")
	f.DurationVar(&c.MinReady, "ingester.min-ready-duration", 0, "How long an instance is a member of the ring before /ready says so. Slows roll-outs down.")
	c.InterfaceNames = flagext.StringSlice{"eth0", "en0"}
	f.Var(&c.InterfaceNames, "ingester.lifecycler.interface", "Network interface whose address goes into the ring; repeat it for more, the first that has one counts. Private ones if none does.")
	f.DurationVar(&c.FinalSleep, "ingester.final-sleep", 0, "Pause before a stop ends, so that the last metrics are scraped. Queries are answered meanwhile.")
	f.StringVar(&c.TokensFile, "ingester.tokens-file-path", "", "File in which the instance remembers its tokens and mode. Empty means tokens.json in -ingester.wal-dir, or none with -ingester.wal-enabled=false.")
	f.StringVar(&c.Zone, "ingester.availability-zone", "", "Zone of this instance.")
	f.BoolVar(&c.UnregisterOnStop, "ingester.unregister-on-shutdown", false, "Leave the ring when stopping. Off, the entry stays LEAVING, and a restart moves no series.")
	f.BoolVar(&c.CheckRingHealth, "ingester.readiness-check-ring-health", false, "Let /ready wait for all other instances to be ACTIVE and healthy.")
	f.StringVar(&c.Addr, "ingester.lifecycler.addr", "", "Address in the ring. Empty means that of -ingester.lifecycler.interface.")
	f.IntVar(&c.Port, "ingester.lifecycler.port", 0, "Port in the ring. 0 means -server.grpc-listen-port.")
	f.StringVar(&c.ID, "ingester.lifecycler.ID", "", "Id of this instance. Stored in the data directory at first start, the host name if empty; a directory of another id is refused.")

	r := &c.Ring
	f.DurationVar(&r.HeartbeatTimeout, "ring.heartbeat-timeout", time.Minute, "An instance whose last heartbeat is older counts as unhealthy. 0 means never.")
	f.BoolVar(&r.DetailedMetrics, "ring.detailed-metrics-enabled", true, "Export metrics of each member of the ring.")
	own := flag.NewFlagSet("", flag.ContinueOnError)
	r.KVStore.Store = storeInMemory
	r.KVStore.RegisterFlagsWithPrefix("", "collectors/", own)
	own.VisitAll(func(fl *flag.Flag) {
		f.Var(fl.Value, fl.Name, fl.Usage)
		if !strings.HasPrefix(fl.Name, "ring.") {
			f.Var(fl.Value, mimirPrefix+fl.Name, "Another name of -"+fl.Name+".")
		}
	})
	f.Lookup("ring.store").Usage = "Where the ring is: consul, etcd, memberlist, multi, or inmemory, which is a ring of this instance alone."
	for theirs, name := range mimirNames {
		f.Var(f.Lookup(name).Value, mimirPrefix+theirs, "Another name of -"+name+".")
	}
}

const mimirPrefix = "ingester.ring."

func (c *LifecyclerConfig) validate(check func(ok bool, format string, args ...any)) {
	check(c.NumTokens > 0, "-ingester.num-tokens=%d must be above 0", c.NumTokens)
	for name, d := range map[string]time.Duration{
		"ingester.heartbeat-period": c.HeartbeatPeriod, "ingester.observe-period": c.ObservePeriod, "ingester.join-after": c.JoinAfter,
		"ingester.min-ready-duration": c.MinReady, "ingester.final-sleep": c.FinalSleep, "ring.heartbeat-timeout": c.Ring.HeartbeatTimeout,
	} {
		check(d >= 0, "-%s=%v must not be negative", name, d)
	}
	switch s := c.Ring.KVStore.Store; s {
	case "consul", "etcd", "memberlist", "multi", storeInMemory:
	default:
		check(false, "-ring.store=%q must be consul, etcd, memberlist, multi or inmemory", s)
	}
	check(c.Ring.HeartbeatTimeout == 0 || c.HeartbeatPeriod < c.Ring.HeartbeatTimeout, "-ingester.heartbeat-period=%v must be below -ring.heartbeat-timeout=%v", c.HeartbeatPeriod, c.Ring.HeartbeatTimeout)
}

// address is host:port of this instance's gRPC, for others to call. In a ring that nobody else sees any will do.
func (c *LifecyclerConfig) address(listen net.Addr, logger gokit.Logger) (string, error) {
	port := c.Port
	if tcp, ok := listen.(*net.TCPAddr); ok && port == 0 {
		port = tcp.Port
	}
	host := c.Addr
	if host == "" {
		var err error
		host, err = netutil.GetFirstAddressOf(c.InterfaceNames, logger, false)
		if err != nil {
			host, err = netutil.GetFirstAddressOf(netutil.PrivateNetworkInterfaces(logger), logger, false)
		}
		if err != nil && c.Ring.KVStore.Store == storeInMemory {
			host, err = "127.0.0.1", nil
		}
		if err != nil {
			return "", fmt.Errorf("find an address for the ring on the interfaces %s: %w; give -ingester.lifecycler.addr", c.InterfaceNames.String(), err)
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// membership is this instance's place in the ring, and what it needs to keep it.
type membership struct {
	*lifecycle.Lifecycler
	gossip *memberlist.KVInitService // does nothing unless the store is memberlist
	close  io.Closer
}

// newMembership makes the client of the store. Nothing is asked of it before Start.
func newMembership(o *options, listen net.Addr, logger *slog.Logger, reg prometheus.Registerer) (*membership, error) {
	l, log := &o.Ingester.Lifecycler, gokit.Logger(newSeldom(goKit{logger}))
	addr, err := l.address(listen, log)
	if err != nil {
		return nil, err
	}
	m := &membership{close: io.NopCloser(nil)}
	gossip := o.Memberlist
	gossip.Codecs = []codec.Codec{ring.Codec{}}
	resolver := dns.NewProvider(dns.GolangResolverType, 0, log, prometheus.WrapRegistererWith(prometheus.Labels{"component": "memberlist"}, prometheus.WrapRegistererWithPrefix("cortex_", reg)))
	m.gossip = memberlist.NewKVInitService(&gossip, log, resolver, reg)

	store := l.Ring.KVStore
	store.MemberlistKV = m.gossip.GetMemberlistKV
	if store.Store == storeInMemory { // kv's own is one for all rings of the process
		store.Mock, m.close = consul.NewInMemoryClient(ring.Codec{}, log, nil)
	}
	client, err := kv.NewClient(store, ring.Codec{}, kv.RegistererWithKVName(prometheus.WrapRegistererWithPrefix("cortex_", reg), "ingester-lifecycler"), log)
	if err != nil {
		return nil, fmt.Errorf("make the client of the ring's store (-ring.store=%s): %w", store.Store, err)
	}
	dir := o.Ingester.WAL.Dir
	tokens := l.TokensFile
	if tokens == "" && o.Ingester.WAL.Enabled {
		tokens = filepath.Join(dir, "tokens.json")
	}
	m.Lifecycler = lifecycle.New(lifecycle.Config{
		Addr: addr, Zone: l.Zone, KV: client, TokensFile: tokens, MarkerFile: filepath.Join(dir, "shutdown-requested.txt"),
		NumTokens: l.NumTokens, HeartbeatPeriod: l.HeartbeatPeriod, HeartbeatTimeout: l.Ring.HeartbeatTimeout,
		JoinAfter: l.JoinAfter, ObservePeriod: l.ObservePeriod, MinReady: l.MinReady, CheckRingHealth: l.CheckRingHealth,
		ReadOnlyFlag: o.Ingester.Dialect == dialectMimir, Logger: logger,
	})
	return m, nil
}
