package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// settled are flags of the documents that this version takes and does nothing with. Each one that is
// given is answered with one warning.
var settled = []struct{ name, why string }{
	{"ingester.max-transfer-retries", "this version hands nothing over; with the WAL on that is the documented behaviour"},
}

// options is a command line that made sense.
type options struct {
	Config
	printVersion bool
	warnings     []string // one a flag that has no effect
}

// load turns a command line into options: defaults, under -config.file, under flags. The error names
// every fault found. flag.ErrHelp means that help was asked for.
func load(args []string) (*options, error) {
	o := new(options)
	fs, file := o.flagSet()
	err := parseAll(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil, err
	}
	if path := *file; path != "" {
		// The file goes between the defaults and the flags, so both are set again.
		o = new(options)
		fs, _ = o.flagSet()
		fileErr := o.readFile(path)
		err = errors.Join(fileErr, parseAll(fs, args))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, s := range settled {
		if given[s.name] {
			o.warnings = append(o.warnings, fmt.Sprintf("-%s has no effect: %s", s.name, s.why))
		}
	}
	return o, errors.Join(err, o.Validate())
}

func (o *options) flagSet() (fs *flag.FlagSet, file *string) {
	fs = flag.NewFlagSet("ingester", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	file = fs.String("config.file", "", "YAML file of settings. Flags win over it.")
	fs.BoolVar(&o.printVersion, "version", false, "Print the version and exit.")
	o.RegisterFlags(fs)
	for _, s := range settled {
		fs.String(s.name, "", "Accepted, no effect: "+s.why+".")
	}
	return fs, file
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

func (o *options) readFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-config.file: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&o.Config); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("-config.file %s: %w", path, err)
	}
	return nil
}

func usage(w io.Writer) {
	fmt.Fprint(w, `Usage: ingester [flags]

Receives Prometheus remote write, answers PromQL, and is back in a fraction of a second after a crash,
with every acknowledged sample. Without flags it listens on port 8080 and keeps its data in ./data.

Flags:
`)
	var o options
	fs, _ := o.flagSet()
	fs.SetOutput(w)
	fs.PrintDefaults()
}
