package main

import (
	"bufio"
	"context"
	"os"

	"github.com/rekindledb/rekindle/bench"
)

// child does what a spec says and tells the parent about it on standard output. It ends when the parent
// writes a line or closes its standard input; if it gets the chance, that is.
func child(ctx context.Context, orders string) error {
	s, err := readSpec(orders)
	if err != nil {
		return err
	}
	if err := obey(ctx, s); err != nil {
		// The parent says it, once.
		tell(event{Error: err.Error()})
	}
	return nil
}

func obey(ctx context.Context, s spec) error {
	w, err := bench.New(s.Workload)
	if err != nil {
		return err
	}
	tell(event{Phase: "open"})
	st, err := openStore(ctx, s)
	if err != nil {
		return err
	}
	tell(event{Ready: &readyEvent{processMemory(), cpuTime()}})
	if s.Load {
		l := newLoader(s, w, st)
		loaded, err := l.load(ctx)
		if err != nil {
			return err
		}
		tell(event{Loaded: loaded})
		if s.Read != nil {
			figures, err := l.readAll(ctx)
			if err != nil {
				return err
			}
			tell(event{Read: figures})
		}
	}
	if s.Check {
		tell(event{Phase: "read back"})
		found, err := w.Check(ctx, st.queryable(), s.Scrapes)
		if err != nil {
			return err
		}
		tell(event{Found: &found})
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return st.close()
}
