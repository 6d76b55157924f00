package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

var began = time.Now()

// Say prints a line of the test's report, with the time since its start.
func Say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

// Discard removes the directory of a test that went well. Of one that failed it says where it is.
func Discard(dir string, failed error) error {
	if failed == nil {
		return os.RemoveAll(dir)
	}
	Say("data and logs are kept in %s", dir)
	return failed
}

// Sleep ends early, with an error, when ctx does.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return errors.New("interrupted")
	case <-time.After(d):
		return nil
	}
}
