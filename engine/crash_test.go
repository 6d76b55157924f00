package engine_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

// A process with an engine is killed with SIGKILL again and again, at chosen points and at any moment, while writers
// write: some send everything twice at once, some mix in samples that must be refused, some are late; new series all
// the time. After each kill the next process starts, everything is read and compared with what the writers know
// (which this process keeps, so that it survives): what was acknowledged is there, once, in order; nothing is there that
// was not sent. And Prometheus's own reader opens the directory of each start and finds what the log holds.
//
// REKINDLE_CRASH_KILLS is the number of kills (make crash: 200), REKINDLE_CRASH_SEED repeats the choices of a run.
func TestCrash(t *testing.T) {
	if text := os.Getenv(childVariable); text != "" {
		runChild(text)
	}
	kills, seed := 25, uint64(time.Now().UnixNano())
	for name, set := range map[string]func(n uint64){
		"REKINDLE_CRASH_KILLS": func(n uint64) { kills = int(n) },
		"REKINDLE_CRASH_SEED":  func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			require.NoError(t, err, name)
			set(n)
		}
	}
	t.Logf("REKINDLE_CRASH_SEED=%d", seed)
	c := &campaign{t: t, rng: rand.New(rand.NewPCG(seed, 0)), killed: map[string]int{}}
	todo := c.plan(kills)
	for len(todo) > 0 {
		n := min(len(todo), killsPerDirectory)
		c.directory(todo[:n])
		todo = todo[n:]
	}
	t.Log(c.table())
}

const (
	killsPerDirectory = 25
	// runMax is how long a process is given, while writers write, to reach the point where it shall die, at the
	// first try; at the second it is twice as long. triesMax is how often it is tried.
	runMax   = 3 * time.Second
	triesMax = 8
	// hangMax is how long a process may take in all.
	hangMax = time.Minute
	// startKill and runKill are the times in which this process kills the other at any moment.
	startKill = 25 * time.Millisecond
	runKill   = 400 * time.Millisecond
)

// campaign is one run of the test.
type campaign struct {
	t   *testing.T
	rng *rand.Rand

	// Of the directory.
	dir     string
	tenants int
	model   *model
	writers []*writer
	clock   *clock
	story   []string // of its processes, for the message when something is wrong

	// The table.
	lives, stops int
	missed       int            // lives that did not come to their point
	killed       map[string]int // by group and by point
	acked        int
	replayed     uint64
	starts       []float64 // seconds
	stock        int       // directories read by Prometheus's reader
	stockCut     int       // of them after a cut
}

// plan chooses the points of n kills: each group gets its part, and all points of a group the same.
func (c *campaign) plan(n int) []*killPoint {
	byGroup := map[string][]*killPoint{}
	for i := range killPoints {
		p := &killPoints[i]
		byGroup[p.group] = append(byGroup[p.group], p)
	}
	var out []*killPoint
	draw := func(group string, n int) {
		points := byGroup[group]
		c.rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		for i := range n {
			out = append(out, points[i%len(points)])
		}
	}
	for _, g := range groups[:len(groups)-1] {
		draw(g.name, int(math.Ceil(g.part*float64(n))))
	}
	draw(groupOther, max(0, n-len(out)))
	c.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:n]
}

// directory is the life of one data directory: the kills, then a clean stop and a start that must find the same.
func (c *campaign) directory(points []*killPoint) {
	dir, err := os.MkdirTemp("", "crash")
	require.NoError(c.t, err)
	defer func() {
		if c.t.Failed() {
			c.t.Logf("the files are in %s", dir)
		} else {
			os.RemoveAll(dir)
		}
	}()
	c.dir, c.tenants = dir, 1+c.rng.IntN(2)
	c.story = nil
	c.model, c.clock = newModel(), newClock(engine.TestNow)
	c.writers = newWriters(c.rng, c.model, c.clock, c.tenants)
	stripes := 1 << c.rng.IntN(4)
	targets := []time.Duration{10 * time.Microsecond, time.Millisecond}
	if stripes >= 4 {
		targets = append(targets, time.Second) // images come by the checkpoint duration alone, one a stripe a second
	}
	try := func(p *killPoint, n int) bool {
		order := p.order(c.rng)
		order.Skip /= n // perhaps it does not come so often
		return c.life(p, n, life{
			Dir: filepath.Join(dir, "data"), Socket: filepath.Join(dir, "socket"), Kill: order, Stripes: stripes,
			Sync:          []walio.SyncClass{walio.SyncInterval, walio.SyncAlways}[c.rng.IntN(2)],
			SyncInterval:  []time.Duration{5 * time.Millisecond, 100 * time.Millisecond}[c.rng.IntN(2)],
			Compression:   []walio.Compression{walio.CompressionNone, walio.CompressionSnappy, walio.CompressionZstd}[c.rng.IntN(3)],
			RestartTarget: targets[c.rng.IntN(len(targets))],
		})
	}
	slices.SortStableFunc(points, func(a, b *killPoint) int { return boolInt(b.first) - boolInt(a.first) })
	for _, p := range points {
		n := 1
		for ; !try(p, n); n++ {
			require.Less(c.t, n, triesMax, "no process dies %s", p.name)
		}
	}
	try(&cleanStop, 1)
	try(&cleanStop, 1)
	c.acked += c.model.acked
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cleanStop kills nobody.
var cleanStop = killPoint{name: "clean stop", phase: stopping}

// life is the life of one process, the n-th that shall end at p. It returns whether it did.
func (c *campaign) life(p *killPoint, n int, l life) bool {
	c.lives++
	v := spawn(c.t, l)
	defer time.AfterFunc(hangMax, v.quit).Stop()
	fail := func(err error) {
		v.kill()
		_, ended := v.end()
		c.t.Fatalf("process %d, to end %s: %v\n%+v\n%s\nbefore:\n%s", c.lives, p.name, errors.Join(err, ended), l, &v.stderr, strings.Join(c.story, "\n"))
	}
	inStart := p.chosen() && p.phase == starting
	begun := func() {
		if inStart {
			time.AfterFunc(c.within(startKill)/time.Duration(n), v.kill)
		}
	}
	stock := map[string]*engine.StockView{}
	up := v.start(begun, func(tenant string) {
		view, err := engine.ReadStock(filepath.Join(l.Dir, tenant))
		if err != nil {
			fail(fmt.Errorf("the reader of Prometheus on %s: %w", tenant, err))
		}
		stock[tenant] = view
	})
	if up && !inStart {
		if err := c.check(v, stock); err != nil {
			fail(err)
		}
		if err := c.write(v, p, time.Duration(n)*runMax); err != nil {
			fail(err)
		}
	}
	killed, err := v.end()
	if err != nil {
		fail(err)
	}
	c.story = append(c.story, fmt.Sprintf("process %d, to end %s: killed %t (%s) %+v\n%s", c.lives, p.name, killed, v.killed, l, &v.stderr))
	reached := killed && (v.killed != "" || p.chosen() && !(inStart && up))
	switch {
	case !killed:
		c.stops++
		return p == &cleanStop
	case !reached:
		c.missed++
		p = &anyMoment
	}
	c.killed[p.group]++
	c.killed[p.name]++
	return reached
}

func (c *campaign) within(d time.Duration) time.Duration {
	return time.Duration(c.rng.Int64N(int64(d)))
}

// check is made of a process that has just started, before anything is sent to it.
func (c *campaign) check(v *victim, stock map[string]*engine.StockView) error {
	c.starts = append(c.starts, v.ready.Seconds)
	for tenant, r := range v.ready.Recovered {
		if r.Unknown+r.Misplaced+r.Stale != 0 || r.Losses != 0 {
			return fmt.Errorf("%s: the replay contradicts the image, or something is lost: %+v", tenant, r)
		}
		c.replayed += r.Samples
	}
	for tenant := range c.model.tenants {
		ours, err := v.dump(tenant)
		if err != nil {
			return err
		}
		if err := c.model.check(tenant, ours); err != nil {
			return err
		}
		theirs := stock[tenant]
		if theirs == nil {
			if len(ours) > 0 {
				return fmt.Errorf("%s was there before it was recovered", tenant)
			}
			continue
		}
		if err := theirs.Compare(ours); err != nil {
			return err
		}
		c.stock++
		c.stockCut += boolInt(theirs.Cut)
	}
	return nil
}

// write lets the writers write until the process ends, and sees to it that it does.
func (c *campaign) write(v *victim, p *killPoint, most time.Duration) error {
	var errs []error
	var writings []*writing
	for _, w := range c.writers {
		x, err := w.dial(v)
		if err != nil {
			return err
		}
		defer x.close()
		writings = append(writings, x)
	}
	each := func(do func(*writing) error) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, x := range writings {
			wg.Go(func() {
				if err := do(x); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					v.kill()
				}
			})
		}
		wg.Wait()
	}
	moment := c.within(runKill)
	v.proceed()
	switch {
	case p.phase == stopping:
		defer time.AfterFunc(moment, v.stop).Stop()
	case p.phase == starting || p.chosen():
		defer time.AfterFunc(moment, v.kill).Stop()
	}
	defer c.deadline(v, most)()
	each((*writing).resend)
	c.clock.jump(15 * time.Minute)
	each((*writing).write)
	return errors.Join(errs...)
}

// deadline ends a process that does not come to its end. One that answers nobody any more is asked where it hangs.
func (c *campaign) deadline(v *victim, most time.Duration) (stop func()) {
	end := time.AfterFunc(most, v.kill)
	hangs := time.AfterFunc(most/2, func() {
		before := c.model.total()
		time.Sleep(most / 4)
		if c.model.total() == before {
			v.quit()
		}
	})
	return func() { end.Stop(); hangs.Stop() }
}

// table is what was done.
func (c *campaign) table() string {
	var b strings.Builder
	total := 0
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%-50s %5d", "killed: "+g.name, c.killed[g.name])
		total += c.killed[g.name]
		for i := range killPoints {
			if p := &killPoints[i]; p.group == g.name && c.killed[p.name] > 0 {
				fmt.Fprintf(&b, "\n    %-46s %5d", p.name, c.killed[p.name])
			}
		}
	}
	slices.Sort(c.starts)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(&b, "\n%-50s "+format, append([]any{name}, values...)...)
	}
	row("killed in all", "%5d", total)
	row("lives that did not come to their point", "%5d", c.missed)
	row("stopped cleanly", "%5d", c.stops)
	row("starts that were not killed, all well", "%5d", len(c.starts))
	row("    seconds: median, greatest", "%5.3f %5.3f", c.starts[len(c.starts)/2], c.starts[len(c.starts)-1])
	row("    samples replayed", "%5d", c.replayed)
	row("directories read by Prometheus's reader", "%5d", c.stock)
	row("    of them after the log was cut", "%5d", c.stockCut)
	row("samples acknowledged, all there, once", "%5d", c.acked)
	return b.String()
}
