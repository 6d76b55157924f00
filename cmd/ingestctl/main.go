package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes. 1 and 2 are verify's alone, so that a script can tell them from a command that could not do its work.
const (
	exitOK     = 0
	exitTorn   = int(torn)
	exitDamage = int(damage)
	exitFailed = 3 // what was asked for could not be done, or was asked wrongly
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is one of the tool's commands.
type command struct {
	name, args, help string
	// flags registers the command's flags and returns what it does with the arguments that are left.
	flags func(fs *flag.FlagSet) func(ctx context.Context, io streams, args []string) error
}

// streams is where a command prints to: results to out, all else to err.
type streams struct {
	out, err io.Writer
	log      *slog.Logger
}

var commands = []command{
	verifyCommand, inspectCommand, statCommand, dumpCommand, exportCommand, importCommand, cutCommand,
}

// exitCode is an error that says no more than how to exit.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return exitFailed
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		usage(stdout)
		return exitOK
	}
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, args, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "ingestctl: there is no command %q\n\n", name)
	usage(stderr)
	return exitFailed
}

func (c command) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("ingestctl "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	do := c.flags(fs)
	rest, err := parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		c.usage(stdout, fs)
		return exitOK
	}
	if err == nil {
		err = do(ctx, streams{stdout, stderr, logger(stderr)}, rest)
	}
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errArguments):
		fmt.Fprintf(stderr, "ingestctl %s: %v\n\n", c.name, err)
		c.usage(stderr, fs)
	default:
		fmt.Fprintf(stderr, "ingestctl %s: %v\n", c.name, err)
	}
	return exitFailed
}

// parse takes flags before and behind arguments: package flag stops at the first argument.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, fmt.Errorf("%w: %w", errArguments, err)
		}
		if args = fs.Args(); len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// errArguments says that the command line makes no sense; the usage follows.
var errArguments = errors.New("wrong arguments")

func usage(w io.Writer) {
	fmt.Fprintln(w, "Usage: ingestctl <command> [flags] <path>\n\nLooks into the files of an ingester, and moves data in and out. Only import writes into a data directory.\n\nCommands:")
	for _, c := range commands {
		line, _, _ := strings.Cut(c.help, "\n")
		fmt.Fprintf(w, "  %-8s %-34s %s\n", c.name, c.args, line)
	}
	fmt.Fprintln(w, "\ningestctl <command> -help says more.")
}

func (c command) usage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "Usage: ingestctl %s %s\n\n%s\n", c.name, c.args, c.help)
	n := 0
	fs.VisitAll(func(*flag.Flag) { n++ })
	if n > 0 {
		fmt.Fprintln(w, "\nFlags:")
		fs.SetOutput(w)
		fs.PrintDefaults()
	}
}

// logger prints what the engine warns of, without times: it is part of the answer.
func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
