package faultfs

import (
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Faults is a file system with faults. It is safe for concurrent use.
type Faults struct {
	inner disk.FS
	rules atomic.Pointer[[]*Rule] // replaced, never changed
	add   sync.Mutex              // one Add at a time
}

var _ disk.FS = (*Faults)(nil)

// Inject puts rules between the program and a file system.
func Inject(inner disk.FS, rules ...*Rule) *Faults {
	f := &Faults{inner: inner}
	f.rules.Store(new([]*Rule))
	f.Add(rules...)
	return f
}

// Add puts more rules behind those that are there. They hold for open files as well.
func (f *Faults) Add(rules ...*Rule) {
	for _, r := range rules {
		r.check()
	}
	f.add.Lock()
	defer f.add.Unlock()
	old := *f.rules.Load()
	all := append(old[:len(old):len(old)], rules...)
	f.rules.Store(&all)
}

func (f *Faults) begin(op Op) action {
	a := action{op: op}
	for _, r := range *f.rules.Load() {
		if !r.acts(&a.op) {
			continue
		}
		if r.Delay > 0 {
			time.Sleep(r.Delay)
		}
		if r.Before != nil {
			r.Before(op)
		}
		if r.Err != nil && a.err == nil {
			a.err, a.tear, a.late = r.Err, r.Tear, r.Late
		}
		if r.After != nil {
			a.after = append(a.after, r.After)
		}
	}
	return a
}

func (f *Faults) open(kind Kind, name string, open func(string) (disk.File, error)) (disk.File, error) {
	a := f.begin(Op{Kind: kind, Name: name})
	var inner disk.File
	var err error
	if !a.skip() {
		inner, err = open(name)
	}
	if err = a.end(err); err != nil {
		if inner != nil {
			inner.Close()
		}
		return nil, err
	}
	return &file{inner, f}, nil
}

func (f *Faults) Open(name string) (disk.File, error) {
	return f.open(Open, name, f.inner.Open)
}

func (f *Faults) Create(name string) (disk.File, error) {
	return f.open(Create, name, f.inner.Create)
}

func (f *Faults) OpenRW(name string) (disk.File, error) {
	return f.open(OpenRW, name, f.inner.OpenRW)
}

func (f *Faults) MkdirAll(name string, perm fs.FileMode) error {
	a := f.begin(Op{Kind: MkdirAll, Name: name})
	var err error
	if !a.skip() {
		err = f.inner.MkdirAll(name, perm)
	}
	return a.end(err)
}

// one does an operation that has one name and nothing else.
func (f *Faults) one(kind Kind, name string, do func(string) error) error {
	a := f.begin(Op{Kind: kind, Name: name})
	var err error
	if !a.skip() {
		err = do(name)
	}
	return a.end(err)
}

func (f *Faults) Remove(name string) error    { return f.one(Remove, name, f.inner.Remove) }
func (f *Faults) RemoveAll(name string) error { return f.one(RemoveAll, name, f.inner.RemoveAll) }
func (f *Faults) SyncDir(name string) error   { return f.one(SyncDir, name, f.inner.SyncDir) }

func (f *Faults) two(kind Kind, from, to string, do func(from, to string) error) error {
	a := f.begin(Op{Kind: kind, Name: from, To: to})
	var err error
	if !a.skip() {
		err = do(from, to)
	}
	return a.end(err)
}

func (f *Faults) Rename(from, to string) error { return f.two(Rename, from, to, f.inner.Rename) }
func (f *Faults) Link(from, to string) error   { return f.two(Link, from, to, f.inner.Link) }

// ask does an operation that changes nothing and has an answer.
func ask[T any](f *Faults, kind Kind, name string, do func(string) (T, error)) (answer T, err error) {
	a := f.begin(Op{Kind: kind, Name: name})
	if !a.skip() {
		answer, err = do(name)
	}
	if err = a.end(err); err != nil {
		return *new(T), err
	}
	return answer, nil
}

func (f *Faults) ReadDir(name string) ([]fs.DirEntry, error) {
	return ask(f, ReadDir, name, f.inner.ReadDir)
}

func (f *Faults) Stat(name string) (fs.FileInfo, error) { return ask(f, Stat, name, f.inner.Stat) }
func (f *Faults) Free(name string) (uint64, error)      { return ask(f, Free, name, f.inner.Free) }

// Lock never holds a lock of which the caller does not know.
func (f *Faults) Lock(name string) (io.Closer, error) {
	a := f.begin(Op{Kind: Lock, Name: name})
	var held io.Closer
	var err error
	if !a.skip() {
		held, err = f.inner.Lock(name)
	}
	if err = a.end(err); err != nil {
		if held != nil {
			held.Close()
		}
		return nil, err
	}
	return held, nil
}
