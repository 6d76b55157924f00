package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// options is a command line that made sense.
type options struct {
	Config
	printVersion, checkConfig, expandEnv, supervise bool

	given *sockets // that the process was started with; nil: none

	file     []string         // settings of -config.file that are in force, as paths
	mapped   []string         // what was done for an argument that has another name or shape here
	ignored  []*knownArgument // given, and without effect
	sections []string         // of the file, of other modules
}

// load turns a command line into options: defaults, under -config.file, under flags. The error names
// every fault found. flag.ErrHelp means that help was asked for.
func load(args []string) (*options, error) {
	o := new(options)
	fs, file := o.flagSet(args)
	err := parseAll(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil, err
	}
	if path := *file; path != "" {
		// The file goes between the defaults and the flags, so both are set again.
		expand := o.expandEnv
		o = new(options)
		fs, _ = o.flagSet(args)
		fileErr := o.readFile(path, expand)
		err = errors.Join(fileErr, parseAll(fs, args))
	}
	return o, errors.Join(err, o.settle(), o.Validate())
}

func (o *options) flagSet(args []string) (fs *flag.FlagSet, file *string) {
	fs = flag.NewFlagSet("ingester", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	file = fs.String("config.file", "", "YAML file of settings. Flags win over it.")
	fs.BoolVar(&o.expandEnv, "config.expand-env", false, "Replace ${NAME} and ${NAME:default} in -config.file by environment variables.")
	fs.BoolVar(&o.supervise, "supervise", false, "Run the ingester as a child that is started again at once when it dies, and hold its sockets meanwhile: who connects then waits and is not refused. For a pod's process 1, where nobody else restarts it in less than seconds.")
	fs.BoolVar(&o.printVersion, "version", false, "Print the version and exit.")
	fs.BoolVar(&o.checkConfig, "check-config", false, "Print which of the arguments given are honoured, mapped and ignored, and exit.")
	o.RegisterFlags(fs)
	o.acceptKnown(fs, args)
	return fs, file
}

// acceptKnown makes flags of those arguments that are Cortex's and have no effect here.
func (o *options) acceptKnown(fs *flag.FlagSet, args []string) {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name == "" || fs.Lookup(name) != nil {
			continue
		}
		a := known().byFlag[name]
		switch {
		case a == nil:
			continue // parsing will say so
		case a.kind == "bool":
			fs.Bool(name, false, "")
		default:
			fs.String(name, "", "")
		}
		o.ignored = append(o.ignored, a)
	}
}

// parseAll goes on behind a fault, where package flag stops, and returns all of them.
func parseAll(fs *flag.FlagSet, args []string) error {
	var errs []error
	for {
		err := fs.Parse(args)
		args = fs.Args()
		switch {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err != nil:
			errs = append(errs, err)
			// The value of a flag that nobody knows is not a fault of its own.
			unknown := strings.HasPrefix(err.Error(), "flag provided but not defined")
			if unknown && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:]
			}
		case len(args) == 0:
			return errors.Join(errs...)
		case args[0] == "true" || args[0] == "false":
			errs = append(errs, fmt.Errorf("unexpected argument %q: a switch is written -flag=%[1]s", args[0]))
			args = args[1:]
		default:
			errs = append(errs, fmt.Errorf("unexpected argument %q", args[0]))
			args = args[1:]
		}
	}
}

// warnings are for the log: one line for each reason, whatever the number of arguments.
func (o *options) warnings() []string {
	lines := slices.Clone(o.mapped)
	byReason := map[string][]string{}
	for _, a := range o.ignored {
		why := a.why()
		byReason[why] = append(byReason[why], a.name())
	}
	for _, s := range o.sections {
		byReason[reasons[0].why] = append(byReason[reasons[0].why], s+":")
	}
	for _, why := range slices.Sorted(maps.Keys(byReason)) {
		lines = append(lines, "no effect: "+strings.Join(byReason[why], ", ")+": "+why)
	}
	return lines
}

// check prints what became of each argument.
func (o *options) check(w io.Writer, args []string) {
	fmt.Fprintln(w, "Honoured:")
	fs, _ := new(options).flagSet(args)
	_ = parseAll(fs, args) // it went well before
	fs.Visit(func(f *flag.Flag) {
		if !slices.ContainsFunc(o.ignored, func(a *knownArgument) bool { return a.flag == f.Name }) {
			fmt.Fprintf(w, "  -%s=%s\n", f.Name, f.Value)
		}
	})
	for _, path := range o.file {
		fmt.Fprintf(w, "  %s (file)\n", path)
	}
	fmt.Fprintln(w, "Mapped:")
	for _, text := range o.mapped {
		fmt.Fprintf(w, "  %s\n", text)
	}
	fmt.Fprintln(w, "Ignored:")
	for _, a := range o.ignored {
		fmt.Fprintf(w, "  %s: %s\n", a.name(), a.why())
	}
	for _, s := range o.sections {
		fmt.Fprintf(w, "  %s: (file) %s\n", s, reasons[0].why)
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, `Usage: ingester [flags]

Receives Prometheus remote write, answers PromQL, and is back in a fraction of a second after a crash,
with every acknowledged sample. Without flags it listens on port 8080 and keeps its data in ./data.
Flags of Cortex that are not listed are accepted and have no effect; -check-config says which those are.

Flags:
`)
	var o options
	fs, _ := o.flagSet(nil)
	fs.SetOutput(w)
	fs.PrintDefaults()
}
