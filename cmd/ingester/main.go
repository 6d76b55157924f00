// Command ingester receives Prometheus remote write, keeps the newest samples in memory, on disk and within reach of PromQL,
// and is ready again in a fraction of a second after a crash. Run it with -help for its flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/prometheus/common/version"
)

// Exit codes. A supervisor that restarts what failed need not restart what was called wrongly.
const (
	exitOK     = 0
	exitFailed = 1 // could not start or had to stop
	exitUsage  = 2 // faults in flags or the settings file
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, which it survives like any kill.
	context.AfterFunc(ctx, stop)
	os.Exit(start(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := load(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "%v\n\ningester -help lists the flags.\n", err)
		return exitUsage
	case o.printVersion:
		fmt.Fprintln(stdout, version.Print("rekindle"))
		return exitOK
	}
	if o.checkConfig {
		o.check(stdout, args)
		return exitOK
	}
	logger := newLogger(stderr, o.Server.LogFormat, o.Server.LogLevel.String())
	for _, text := range o.warnings() {
		logger.Warn(text)
	}
	given, supervised, err := givenSockets()
	if err != nil {
		logger.Error("ingester ends: " + err.Error())
		return exitFailed
	}
	if o.supervise && !supervised {
		return supervise(ctx, o, given, args, logger)
	}
	o.given = given
	do := run
	if o.Target == targetFlusher {
		do = runFlusher
	}
	if err := do(ctx, o, logger, newStore(o, logger)); err != nil {
		for text := range strings.Lines(err.Error()) { // several may have gone wrong
			logger.Error("ingester ends: " + strings.TrimSpace(text))
		}
		return exitFailed
	}
	return exitOK
}
