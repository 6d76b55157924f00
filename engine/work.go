package engine

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// workAlone is how long a request works on one core before others join: to wake them costs a few microseconds.
	workAlone = 30 * time.Microsecond
	// workShared is how many series are so many that others join at once.
	workShared = 1000
	// workFew is how many are so few that the time need not be looked at, which takes as long as a stripe without any.
	workFew = 30
	// workLook is how many stripes lie between two looks.
	workLook = 4
)

// work calls what worker makes for every stripe, on several cores if there is enough to do: size is the number of
// series, 0 if it is not known. Each core has a worker of its own.
func (t *Tenant) work(ctx context.Context, size int, worker func() func(i int, s *stripe) error) error {
	var (
		next atomic.Int32
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	stop := int32(len(t.stripes))
	one := func(do func(int, *stripe) error) bool {
		i := next.Add(1) - 1
		if i >= stop || ctx.Err() != nil {
			return false
		}
		if err := do(int(i), &t.stripes[i]); err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
			next.Store(stop)
			return false
		}
		return true
	}
	mayJoin := size == 0 || size > workFew
	join := func() {
		mayJoin = false
		for range min(runtime.GOMAXPROCS(0), len(t.stripes)) - 1 {
			wg.Go(func() {
				for do := worker(); one(do); {
				}
			})
		}
	}
	if size >= workShared {
		join()
	}
	begin := time.Now()
	do := worker()
	for i := 0; one(do); i++ {
		if mayJoin && i%workLook == 0 && time.Since(begin) > workAlone {
			join()
		}
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// eachStripe calls f for every stripe, several at a time, and stops at the first error.
func (t *Tenant) eachStripe(ctx context.Context, f func(i int, s *stripe) error) error {
	return t.work(ctx, workShared, func() func(int, *stripe) error { return f })
}
