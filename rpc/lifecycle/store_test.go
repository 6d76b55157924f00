package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
	"github.com/rekindledb/rekindle/rpc/ring"
)

var errAway = errors.New("the store is away")

// store is a key-value store of one key that holds bytes, so that nobody shares memory through it. While it is away calls
// hang until their context ends, as those of etcd do, and then for deaf, as those of Consul.
type store struct {
	deaf time.Duration

	mu    sync.Mutex
	value []byte
	away  bool
	cas   int // successful writes
}

func (s *store) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *store) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *store) get() any {
	if s.value == nil {
		return nil
	}
	v, err := ring.Codec{}.Decode(s.value)
	if err != nil {
		panic(err)
	}
	return v
}

func (s *store) CAS(ctx context.Context, _ string, f func(any) (any, bool, error)) error {
	if s.isAway() {
		<-ctx.Done()
		time.Sleep(s.deaf)
		return errors.Join(errAway, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out, _, err := f(s.get())
	if err != nil || out == nil {
		return err
	}
	s.cas++
	s.value, err = ring.Codec{}.Encode(out)
	return err
}

func (s *store) Get(ctx context.Context, _ string) (any, error) {
	if s.isAway() {
		<-ctx.Done()
		return nil, errAway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(), nil
}

func (*store) List(context.Context, string) ([]string, error)              { return nil, errAway }
func (*store) Delete(context.Context, string) error                        { return errAway }
func (*store) WatchKey(context.Context, string, func(any) bool)            {}
func (*store) WatchPrefix(context.Context, string, func(string, any) bool) {}

// edit changes the ring as another program would.
func (s *store) edit(f func(*ring.Desc)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := ring.Of(s.get())
	f(d)
	s.value, _ = ring.Codec{}.Encode(d)
}

func (s *store) entry(id string) (ring.Instance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, there := ring.Of(s.get()).Instances[id]
	return in, there
}

// bench is a store, a disk and virtual time, and what is started on them.
type bench struct {
	*testing.T
	store *store
	fs    *faultfs.Mem
}

func inBench(t *testing.T, f func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, store: &store{}, fs: faultfs.NewMem()}
		if err := b.fs.MkdirAll("/data", 0o755); err != nil {
			t.Fatal(err)
		}
		f(b)
	})
}

// start runs an instance until it is killed.
func (b *bench) start(id string, change ...func(*Config)) *Lifecycler {
	b.Helper()
	cfg := Config{
		Addr: id + ":9095", Zone: "zone-a", KV: b.store, FS: b.fs, TokensFile: "/data/" + id + ".json", MarkerFile: "/data/" + id + ".shutdown",
		NumTokens: 8, HeartbeatPeriod: 5 * time.Second, HeartbeatTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&cfg)
	}
	l := New(cfg)
	if err := l.Start(id); err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
	return l
}

// member is start and join.
func (b *bench) member(id string, change ...func(*Config)) *Lifecycler {
	b.Helper()
	l := b.start(id, change...)
	if err := l.Join(b.Context()); err != nil {
		b.Fatal(err)
	}
	return l
}

// expect compares the state of an entry, and that it has n tokens.
func (b *bench) expect(id string, state ring.State, n int) ring.Instance {
	b.Helper()
	in, there := b.store.entry(id)
	if !there || in.State != state || len(in.Tokens) != n {
		b.Fatalf("%s is %s with %d tokens (there: %v), want %s with %d", id, in.State, len(in.Tokens), there, state, n)
	}
	return in
}
