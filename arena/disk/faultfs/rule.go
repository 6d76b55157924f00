package faultfs

import (
	"fmt"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Kind is a kind of operation, or with | a set of them. They are named after the methods of disk.FS, disk.File
// and disk.Mapping.
type Kind uint32

const (
	Open Kind = 1 << iota
	Create
	OpenRW
	MkdirAll
	Remove
	RemoveAll
	Rename
	Link
	ReadDir
	Stat
	SyncDir
	Lock
	Free
	Read  // File.ReadAt
	Write // File.WriteAt
	Close
	Size
	Truncate
	Sync
	Allocate
	Map
	SyncRange
	Unmap

	// Mutations are the operations that change what is on the disk or make it durable.
	Mutations = Create | MkdirAll | Remove | RemoveAll | Rename | Link | SyncDir | Write | Truncate | Sync | Allocate | SyncRange
)

var kindNames = [...]string{
	"open", "create", "openrw", "mkdirall", "remove", "removeall", "rename", "link", "readdir", "stat", "syncdir",
	"lock", "free", "read", "write", "close", "size", "truncate", "sync", "allocate", "map", "syncrange", "unmap",
}

func (k Kind) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Op is one operation as a hook sees it.
type Op struct {
	Kind Kind
	Name string // of the file or directory; for a file's methods the name it was opened by
	To   string // the new name of Rename and Link
	Off  int64  // of Read, Write, SyncRange
	Size int64  // bytes of Read, Write, SyncRange; the new size of Truncate and Allocate; the size of Map
}

func (op Op) String() string {
	switch {
	case op.To != "":
		return fmt.Sprintf("%v %s to %s", op.Kind, op.Name, op.To)
	case op.Kind&(Read|Write|SyncRange) != 0:
		return fmt.Sprintf("%v %s [%d,%d)", op.Kind, op.Name, op.Off, op.Off+op.Size)
	case op.Kind&(Truncate|Allocate|Map) != 0:
		return fmt.Sprintf("%v %s to %d", op.Kind, op.Name, op.Size)
	}
	return fmt.Sprintf("%v %s", op.Kind, op.Name)
}

// Rule says which operations are meddled with and how. The zero rule matches all of them and does nothing but
// count. A rule is not changed any more once it was handed to Inject, except through its methods, which may be
// called at any time. Several rules may act on one operation; the first error counts.
type Rule struct {
	// Kinds are the operations that match. Default: all.
	Kinds Kind
	// Path is a pattern (path.Match) for the last elements of the name, as many as it has itself: "*.tmp" or
	// "wal/*" or "images/07.?". Rename and Link match by either name. Default: all.
	Path string
	// Skip is how many matching operations go ahead before the rule acts. Default: 0.
	Skip int
	// Times is on how many operations the rule acts. Default: 0, all until Clear.
	Times int

	// Err is returned, wrapped in a fs.PathError, in place of doing the operation. Default: none. The files
	// and mappings of a failed Close or Unmap are closed and unmapped all the same.
	Err error
	// Tear makes a Write that fails write so many of its bytes before. Default: 0.
	Tear int
	// Late makes an operation that fails happen all the same. Default: false.
	Late bool
	// Delay is how long the operation waits before it begins. Default: 0.
	Delay time.Duration
	// Before is called before the operation, After when it is done, with what it is going to return. They run
	// in the goroutine of the operation, hold no lock, and may use the file system.
	Before func(Op)
	After  func(Op, error)

	seen, fired atomic.Int64
	off         atomic.Bool
}

// Clear ends what the rule does. It goes on counting what it sees.
func (r *Rule) Clear() { r.off.Store(true) }

// Arm starts the rule afresh, with its counts at zero.
func (r *Rule) Arm() {
	r.seen.Store(0)
	r.fired.Store(0)
	r.off.Store(false)
}

// Seen is the number of operations that matched, Fired the number of those on which the rule acted.
func (r *Rule) Seen() int  { return int(r.seen.Load()) }
func (r *Rule) Fired() int { return int(r.fired.Load()) }

// acts counts op and tells whether it is one to act on.
func (r *Rule) acts(op *Op) bool {
	if r.Kinds != 0 && r.Kinds&op.Kind == 0 || r.Path != "" && !r.matches(op.Name) && !r.matches(op.To) {
		return false
	}
	n := r.seen.Add(1) - 1
	if r.off.Load() || n < int64(r.Skip) || r.Times > 0 && n >= int64(r.Skip)+int64(r.Times) {
		return false
	}
	r.fired.Add(1)
	return true
}

func (r *Rule) matches(name string) bool {
	name = filepath.ToSlash(name)
	start := len(name)
	for range strings.Count(r.Path, "/") + 1 {
		if start <= 0 {
			return false
		}
		start = strings.LastIndexByte(name[:start], '/')
	}
	ok, _ := path.Match(r.Path, name[start+1:])
	return ok
}

// check refuses what is a mistake in the test.
func (r *Rule) check() {
	if _, err := path.Match(r.Path, ""); err != nil {
		panic(fmt.Sprintf("faultfs: rule with path %q: %v", r.Path, err))
	}
	if r.Err == nil && (r.Tear != 0 || r.Late) {
		panic("faultfs: rule with Tear or Late and no Err: a short operation always reports an error")
	}
}

// Every yields copies of r of which the first begins to act with the first operation that r would act on, the next
// with the second, and so on, and the number of that operation. It ends after the first run of the loop in which
// it never came. So a scenario is put through every fault of a kind, alone (Times: 1) or for good (Times: 0):
//
//	for n, fault := range faultfs.Every(&faultfs.Rule{Kinds: faultfs.Mutations, Times: 1, Err: unix.EIO}) {
//		fsys := faultfs.Inject(faultfs.NewMem(), fault)
//		…
//	}
func Every(r *Rule) iter.Seq2[int, *Rule] {
	return func(yield func(int, *Rule) bool) {
		for n := 0; ; n++ {
			one := &Rule{
				Kinds: r.Kinds, Path: r.Path, Skip: r.Skip + n, Times: r.Times,
				Err: r.Err, Tear: r.Tear, Late: r.Late,
				Delay: r.Delay, Before: r.Before, After: r.After,
			}
			if !yield(n, one) || one.Fired() == 0 {
				return
			}
		}
	}
}

// action is what the rules make of one operation.
type action struct {
	op    Op
	err   error
	tear  int
	late  bool
	after []func(Op, error)
}

// skip tells that the operation must not happen.
func (a *action) skip() bool { return a.err != nil && !a.late }

// end turns the outcome of the operation into what the caller gets.
func (a *action) end(err error) error {
	if a.err != nil {
		err = &fs.PathError{Op: a.op.Kind.String(), Path: a.op.Name, Err: a.err}
	}
	for _, f := range a.after {
		f(a.op, err)
	}
	return err
}
