package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/engine/takein"
	"github.com/rekindledb/rekindle/walio"
)

var importCommand = command{
	name: "import", args: "<source> -into <data dir> [-tenant <id>]",
	help: `take over a directory of Prometheus, Cortex or Mimir

The source is a directory of Prometheus (--storage.tsdb.path), of one tenant of Cortex 1.21 or Mimir, or a root with
such directories (-blocks-storage.tsdb.dir), which keep their names; or the -ingester.wal-dir of an ingester of Cortex's
chunk storage, up to 1.10, with all its tenants. Write-ahead log, checkpoint and out-of-order log are read; the source is
never changed, and must not be in use. What becomes of every kind of record is said: native histograms, exemplars,
metadata and blocks are counted and not taken over.

No ingester may run on the data directory meanwhile. A tenant appears in it when it is complete and durable; after an
interruption call the command again. One that was imported from the same source is left as it is.`,
	flags: func(fs *flag.FlagSet) func(context.Context, streams, []string) error {
		var in importer
		fs.StringVar(&in.into, "into", "", "data `directory` (-ingester.wal-dir) to import into; made if it is missing")
		fs.StringVar(&in.tenant, "tenant", "", "`id` of the tenant that a single directory becomes; \"anonymous\" is what an ingester without -auth.enabled reads")
		fs.BoolVar(&in.damaged, "damaged", false, "take what can be read of a damaged source; otherwise nothing is taken over then")
		fs.IntVar(&in.stripes, "tenant-stripes", 0, "parts of the new tenant, a power of two from 1 to 64; 0 is 8 for each core and at least 16, as with the ingester's flag -ingester.tenant-stripes")
		return in.run
	},
}

type importer struct {
	into, tenant string
	damaged      bool
	stripes      int
}

func (in *importer) run(ctx context.Context, io streams, args []string) error {
	source, err := one(args)
	if err != nil {
		return err
	}
	if in.into == "" {
		return fmt.Errorf("%w: -into is missing", errArguments)
	}
	if in.into, err = filepath.Abs(in.into); err != nil {
		return err
	}
	// Before anything is made: the source may not be what it is taken for.
	if err := takein.Check(source, in.tenant); err != nil {
		return err
	}
	hold, err := engine.Hold(disk.OS, in.into, "ingestctl import")
	if err != nil {
		return err
	}
	p := newProgress(io.err)
	reports, err := takein.Run(ctx, takein.Options{
		Source: source, Tenant: in.tenant, Damaged: in.damaged,
		Engine:   engine.Config{Dir: in.into, Stripes: in.stripes, Compression: walio.CompressionSnappy, Logger: io.log},
		Progress: func(what string, done, total int64) { p.say("%s: %s of %s", what, bytes(done), bytes(total)) },
	})
	for _, r := range reports {
		fmt.Fprint(io.out, r)
	}
	return errors.Join(err, hold.Close())
}
