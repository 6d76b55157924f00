package engine_test

import (
	"bufio"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

// The process that is killed: an engine that is asked through a socket, and tells the parent through a pipe
// how far it is.

// life is what one process is started with.
type life struct {
	Dir, Socket   string
	Kill          killOrder
	Stripes       int
	Sync          walio.SyncClass
	SyncInterval  time.Duration
	Compression   walio.Compression
	RestartTarget time.Duration
}

// config of the engine. Segments are as small as can be, so that the log is cut all the time.
func (l *life) config() engine.Config {
	return engine.Config{
		Dir: l.Dir, WAL: true, Recover: true, Checkpoint: true,
		CheckpointDuration: time.Second, SegmentSize: 64 << 10,
		Stripes: l.Stripes, Sync: l.Sync, SyncInterval: l.SyncInterval, Compression: l.Compression, RestartTarget: l.RestartTarget,
		Now: func() time.Time { return crashNow },
	}
}

// event is a line from the child to the parent.
type event struct {
	Kind string
	Text string // of quiet the tenant, of killed the place
	// Of ready: how long it took, and what recovery found, by tenant.
	Seconds   float64
	Recovered map[string]engine.RecoverStats
}

const (
	// eventBegun: the start begins.
	eventBegun = "begun"
	// eventQuiet: a tenant is recovered and nothing runs yet. The child waits for a line.
	eventQuiet = "quiet"
	// eventReady: all is recovered. The child waits for a line, and may be killed afterwards.
	eventReady  = "ready"
	eventKilled = "killed"
)

// request is what the child is asked.
type request struct {
	Op     string // append, dump, stop
	Tenant string
	Series []requestSeries
}

type requestSeries struct {
	Key     []byte
	Samples []engine.Sample
}

// response is the child's answer.
type response struct {
	Result      engine.AppendResult
	Refused     string // text of a SampleError
	Unavailable string // text of an ErrUnavailable
	Err         string // of any other
	Dump        []dumpedSeries
}

type dumpedSeries struct {
	Labels string
	Chunks []engine.Chunk
}

// child is the process's own view.
type child struct {
	life   life
	killer *killer
	e      *engine.Engine
	stdin  *bufio.Reader
	paused time.Duration

	mu     sync.Mutex
	events *json.Encoder
}

// runChild is the main function of the process. It does not return.
func runChild(text string) {
	c := &child{stdin: bufio.NewReader(os.Stdin), events: json.NewEncoder(os.NewFile(3, "events"))}
	err := json.Unmarshal([]byte(text), &c.life)
	if err == nil {
		err = c.run()
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}

func (c *child) run() error {
	begun := time.Now()
	c.killer = newKiller(c.life.Kill, c.tell)
	cfg := c.life.config()
	cfg.FS = faultfs.Inject(disk.OS, c.killer.fault, c.killer.rule)
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	engine.CrashAt(&cfg, c.at)
	c.tell(event{Kind: eventBegun})
	var err error
	if c.e, err = engine.Open(cfg); err != nil {
		return err
	}
	if err := c.e.Recover(context.Background()); err != nil {
		return err
	}
	ready := event{Kind: eventReady, Seconds: (time.Since(begun) - c.paused).Seconds(), Recovered: map[string]engine.RecoverStats{}}
	for _, t := range c.e.Tenants() {
		var st engine.Stats
		t.Stats(&st)
		ready.Recovered[t.ID()] = st.Recover
	}
	l, err := net.Listen("unix", c.life.Socket)
	if err != nil {
		return err
	}
	c.killer.enter(checking)
	c.tell(ready)
	go func() {
		c.wait()
		c.killer.enter(running)
		c.wait() // for the end of the parent
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go c.serve(conn)
	}
}

func (c *child) tell(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.events.Encode(e)
}

// wait waits for a line of the parent. Without a parent there is no reason to live.
func (c *child) wait() {
	if _, err := c.stdin.ReadString('\n'); err != nil {
		os.Exit(1)
	}
}

// at is Config.crash: the killer's, and the pause in which the parent looks at the directory.
func (c *child) at(point string) {
	c.killer.at(point)
	if point != "start" || c.killer.current() != starting {
		return
	}
	begun := time.Now()
	c.tell(event{Kind: eventQuiet, Text: c.e.Progress().Tenant})
	c.wait()
	c.paused += time.Since(begun)
}

func (c *child) serve(conn net.Conn) {
	defer conn.Close()
	dec, enc := gob.NewDecoder(conn), gob.NewEncoder(conn)
	for {
		var r request
		if dec.Decode(&r) != nil {
			return
		}
		if enc.Encode(c.answer(&r)) != nil {
			return
		}
	}
}

func (c *child) answer(r *request) (a response) {
	var err error
	switch r.Op {
	case "append":
		a.Result, err = c.append(r)
	case "dump":
		a.Dump, err = c.dump(r.Tenant)
	case "stop":
		c.killer.enter(stopping)
		if err = c.e.Close(); err == nil {
			os.Exit(0)
		}
	}
	var refused *engine.SampleError
	switch {
	case errors.As(err, &refused):
		a.Refused = refused.Text
	case errors.Is(err, engine.ErrUnavailable):
		a.Unavailable = err.Error()
	case err != nil:
		a.Err = err.Error()
	}
	return a
}

func (c *child) append(r *request) (engine.AppendResult, error) {
	var b engine.Batch
	for _, s := range r.Series {
		lo := uint32(len(b.Samples))
		b.Samples = append(b.Samples, s.Samples...)
		b.Series = append(b.Series, engine.BatchSeries{Key: s.Key, Lo: lo, Hi: uint32(len(b.Samples))})
	}
	return c.e.Append(context.Background(), r.Tenant, &b)
}

func (c *child) dump(tenant string) (out []dumpedSeries, err error) {
	t := c.e.Tenant(tenant)
	if t == nil {
		return nil, nil
	}
	all := labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")
	series, err := t.Select(context.Background(), math.MinInt64, math.MaxInt64, all)
	for _, s := range series {
		out = append(out, dumpedSeries{s.Labels.String(), s.Chunks})
	}
	found := 0
	for _, name := range namespaces {
		one, selectErr := t.Select(context.Background(), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "namespace", name))
		found, err = found+len(one), errors.Join(err, selectErr)
	}
	if found != len(out) {
		err = errors.Join(err, fmt.Errorf("%d series, and %d by namespace", len(out), found))
	}
	return out, err
}
