package engine_test

import (
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rekindledb/rekindle/arena/disk/faultfs"
)

// phase is a part of a process's life.
type phase uint8

const (
	starting phase = iota // from its first instruction until it has recovered
	checking              // while the parent looks at what is there; nobody is killed
	running               // while writers write
	stopping              // while it stops, because it was asked to
)

// killPoint is a place where the process is killed: a point of Config.crash, operations on files, or, if neither
// is given, a moment that the parent chooses.
type killPoint struct {
	group string // row of the table
	name  string
	phase phase
	hook  string
	kinds faultfs.Kind
	path  string
	most  int // it is one of the first so many occurrences

	first   bool // it comes first in a directory
	trouble bool // it counts from where the log fails
}

// chosen says that the parent chooses the moment.
func (p *killPoint) chosen() bool { return p.hook == "" && p.kinds == 0 }

const (
	groupCopy    = "copy"
	groupImage   = "image write"
	groupPublish = "publish"
	groupCut     = "log cut"
	groupRecover = "recovery"
	groupFail    = "log that failed"
	groupOther   = "elsewhere"
)

// groups are in the order of the table, each with its part of the kills.
var groups = []struct {
	name string
	part float64
}{
	{groupCopy, 0.14},
	{groupImage, 0.14},
	{groupPublish, 0.14},
	{groupCut, 0.14},
	{groupRecover, 0.14},
	{groupFail, 0.1},
	{groupOther, 0.2}, // and what rounding leaves
}

var killPoints = []killPoint{
	{group: groupCopy, name: "before the copy of a stripe", phase: running, hook: "copy", most: 8},
	{group: groupCopy, name: "after the copy, before its commit is written", phase: running, hook: "copied", most: 8},

	{group: groupImage, name: "before an image is written", phase: running, hook: "write", most: 8},
	{group: groupImage, name: "in the writing of a slot", phase: running, kinds: faultfs.Write, path: "images/*", most: 40},
	{group: groupImage, name: "before the walk over a slot", phase: running, hook: "written", most: 8},
	{group: groupImage, name: "at the sync of a slot", phase: running, kinds: faultfs.Sync, path: "images/*", most: 6},
	{group: groupImage, name: "at the sync of a chunk file", phase: running, kinds: faultfs.Sync, path: "chunks/*", most: 2},

	{group: groupPublish, name: "before a publication", phase: running, hook: "publish", most: 8},
	{group: groupPublish, name: "in the writing of the catalogue", phase: running, kinds: faultfs.Write, path: "catalogue", most: 10},
	{group: groupPublish, name: "at the sync of the catalogue", phase: running, kinds: faultfs.Sync, path: "catalogue", most: 6},
	{group: groupPublish, name: "after a publication", phase: running, hook: "published", most: 8},

	{group: groupCut, name: "before the log is cut", phase: running, hook: "cut", most: 4},
	{group: groupCut, name: "in the writing of checkpoint.N", phase: running, kinds: faultfs.Mutations, path: "checkpoint.*/*", most: 8},
	{group: groupCut, name: "in the publication of checkpoint.N", phase: running, kinds: faultfs.Mutations, path: "wal/checkpoint.*", most: 8},
	{group: groupCut, name: "at the removal of a segment", phase: running, kinds: faultfs.Remove, path: "wal/[0-9]*", most: 3},

	{group: groupRecover, name: "in the reading of images", phase: starting, kinds: faultfs.Read, path: "images/*", most: 12},
	{group: groupRecover, name: "after the images", phase: starting, hook: "recover-images", most: 2},
	{group: groupRecover, name: "in the replay", phase: starting, hook: "replay", most: 4},
	{group: groupRecover, name: "after the log", phase: starting, hook: "recover-log", most: 2},
	{group: groupRecover, name: "in the repair of the log", phase: starting, kinds: faultfs.Mutations, path: "wal/*", most: 4},
	{group: groupRecover, name: "at any change of a file", phase: starting, kinds: faultfs.Mutations, most: 30},
	{group: groupRecover, name: "before the first commit", phase: starting, hook: "start", most: 2},
	{group: groupRecover, name: "at any moment of the start", phase: starting},

	{group: groupFail, name: "before it is written again", phase: running, kinds: faultfs.Create, path: "wal/[0-9]*", most: 2, trouble: true},
	{group: groupFail, name: "while it is written again", phase: running, kinds: faultfs.Write | faultfs.Sync, path: "wal/[0-9]*", most: 4, trouble: true},
	{group: groupFail, name: "when the failed segment is cut back", phase: running, kinds: faultfs.Truncate, path: "wal/[0-9]*", most: 1, trouble: true},

	anyMoment,
	{group: groupOther, name: "in the writing of a commit", phase: running, kinds: faultfs.Write, path: "wal/[0-9]*", most: 300},
	{group: groupOther, name: "in a clean stop", phase: stopping, kinds: faultfs.Mutations, most: 25},
	{group: groupOther, name: "at the creation of a segment", phase: running, kinds: faultfs.Create, path: "wal/[0-9]*", most: 4},
	{group: groupOther, name: "in the writing of chunk files", phase: running, kinds: faultfs.Mutations, path: "chunks/*", most: 4},
	{group: groupOther, name: "at the sync of a segment", phase: running, kinds: faultfs.Sync, path: "wal/[0-9]*", most: 10},
	{group: groupOther, name: "in the creation of tenants", phase: running, kinds: faultfs.Mutations, most: 30, first: true},
	{group: groupOther, name: "in the first start of a directory", phase: starting, kinds: faultfs.Mutations, most: 15, first: true},
}

var anyMoment = killPoint{group: groupOther, name: "at any moment", phase: running}

// killOrder says where one process dies.
type killOrder struct {
	Point killOrderPoint
	// Skip is how many occurrences of the point go by.
	Skip int
	// How, at an operation on a file: before it, after it, or torn after Tear bytes.
	How  string
	Tear int
	// Linger is how long the others go on between the point and the kill: what they are answered meanwhile
	// must be true.
	Linger time.Duration
	// Trouble is what the log meets before. Occurrences of the point count from there.
	Trouble *trouble
}

// trouble makes some operations on segments fail.
type trouble struct {
	Kinds       faultfs.Kind
	Skip, Times int
	Full        bool // as on a full disk, else as on a broken one
	Tear        int
}

func (t *trouble) rule() *faultfs.Rule {
	r := &faultfs.Rule{Kinds: t.Kinds, Path: "wal/[0-9]*", Skip: t.Skip, Times: t.Times, Err: syscall.EIO, Tear: t.Tear}
	if t.Full {
		r.Err = syscall.ENOSPC
	}
	return r
}

// killOrderPoint is a killPoint as it is told to the child.
type killOrderPoint struct {
	Phase phase
	Hook  string
	Kinds faultfs.Kind
	Path  string
}

func (p *killPoint) order(rng *rand.Rand) killOrder {
	o := killOrder{Point: killOrderPoint{p.phase, p.hook, p.kinds, p.path}, How: "before"}
	if p.most > 0 {
		o.Skip = rng.IntN(p.most)
	}
	if p.kinds != 0 {
		o.How = []string{"before", "after"}[rng.IntN(2)]
	}
	if p.kinds&faultfs.Write != 0 && p.kinds&^faultfs.Mutations == 0 && rng.IntN(3) > 0 {
		o.How, o.Tear = "torn", []int{0, 1, 6, 40, 100, 300, 1000, 4096, 40_000}[rng.IntN(9)]
	}
	if p.trouble {
		o.Trouble = &trouble{
			Kinds: []faultfs.Kind{faultfs.Write, faultfs.Sync, faultfs.Write | faultfs.Sync}[rng.IntN(3)],
			Skip:  rng.IntN(40), Times: 1 + rng.IntN(3), Full: rng.IntN(2) == 0, Tear: []int{0, rng.IntN(100), rng.IntN(3000)}[rng.IntN(3)],
		}
	}
	if p.phase != starting {
		o.Linger = []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond}[rng.IntN(4)]
	}
	return o
}

// killer ends its own process where it was told to.
type killer struct {
	order killOrder
	tell  func(event) // what the parent learns before

	mu            sync.Mutex
	phase         phase
	left          int // occurrences of the hook that go by
	rule          *faultfs.Rule
	fault         *faultfs.Rule // of the trouble
	failed, dying sync.Once
}

func newKiller(order killOrder, tell func(event)) *killer {
	k := &killer{order: order, tell: tell}
	p := order.Point
	k.rule = &faultfs.Rule{Kinds: p.Kinds, Path: p.Path, Skip: order.Skip, Times: 1}
	switch order.How {
	case "before":
		k.rule.Before = func(op faultfs.Op) { k.kill(op.String()) }
	case "torn":
		// Other operations than writes are left undone.
		k.rule.Err, k.rule.Tear = io.ErrShortWrite, order.Tear
		fallthrough
	case "after":
		k.rule.After = func(op faultfs.Op, _ error) { k.kill(order.How + " " + op.String()) }
	}
	k.fault = &faultfs.Rule{}
	if order.Trouble != nil {
		k.fault = order.Trouble.rule()
		k.fault.After = func(faultfs.Op, error) { k.failed.Do(k.rule.Arm) }
	}
	k.enter(starting)
	return k
}

// enter begins a phase of the process.
func (k *killer) enter(p phase) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.phase = p
	k.left = k.order.Skip
	if k.order.Point.Kinds != 0 && p == k.order.Point.Phase && k.order.Trouble == nil {
		k.rule.Arm()
	} else {
		k.rule.Clear()
	}
	if p == running {
		k.fault.Arm()
	} else {
		k.fault.Clear()
	}
}

func (k *killer) current() phase {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.phase
}

// at is called at the points of Config.crash.
func (k *killer) at(point string) {
	k.mu.Lock()
	hit := point == k.order.Point.Hook && k.phase == k.order.Point.Phase
	if hit {
		k.left--
	}
	hit = hit && k.left < 0
	k.mu.Unlock()
	if hit {
		k.kill(point)
	}
}

// kill does not return, also not to those who come after the first.
func (k *killer) kill(where string) {
	k.dying.Do(func() {
		time.Sleep(k.order.Linger)
		k.tell(event{Kind: eventKilled, Text: where})
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	select {}
}
