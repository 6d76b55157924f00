package takein

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rekindledb/rekindle/arena/disk"
)

// Report says what was taken over from one source, and what was not.
type Report struct {
	Tenant string    `json:"tenant"`
	Source string    `json:"source"` // absolute
	Time   time.Time `json:"time"`
	// Before is set, by the run that finds it, if an earlier run took it over. It is not stored.
	Before bool `json:"-"`

	Bytes   int64  `json:"bytes"` // read
	Series  uint64 `json:"series"`
	Samples uint64 `json:"samples"`
	// MinT and MaxT bound the samples' times, ms; both 0 without any.
	MinT int64 `json:"min_t"`
	MaxT int64 `json:"max_t"`
	// OutOfOrder are those of Samples that came from wbl.
	OutOfOrder uint64 `json:"out_of_order,omitempty"`

	// NotStored counts what the engine cannot store, by kind.
	NotStored map[string]uint64 `json:"not_stored,omitempty"`
	// Dropped counts float samples that stock Prometheus would not answer from its head either, by reason.
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	// Lost is what damage has cost, a line each.
	Lost []string `json:"lost,omitempty"`
	// Notes are other things that an operator should know.
	Notes []string `json:"notes,omitempty"`
}

// Reasons of Report.Dropped.
const (
	droppedInBlocks   = "in a block already"
	droppedDeleted    = "deleted"
	droppedDuplicate  = "duplicates"
	droppedConflict   = "another value stands at that time"
	droppedOutOfOrder = "out of order and not in wbl: in a block, or refused when they came"
	droppedNoSeries   = "of a series that nothing names"
	droppedBadLabels  = "of a series with labels that cannot be stored"
)

// Kinds of Report.NotStored.
const (
	kindHistogram      = "native histograms"
	kindFloatHistogram = "native float histograms"
	kindHistogramStale = "staleness markers of native histograms"
	kindExemplar       = "exemplars"
	kindMetadata       = "metadata"
	kindStart          = "start timestamps (the samples are stored without)"
)

func kindUnknown(typ byte) string { return fmt.Sprintf("records of unknown type %d", typ) }

func count(m *map[string]uint64, key string, n uint64) {
	if n == 0 {
		return
	}
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[key] += n
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	if r.Before {
		fmt.Fprintf(&b, "tenant %s was taken over from %s on %s already:\n", r.Tenant, r.Source, r.Time.Format(time.RFC3339))
	} else {
		fmt.Fprintf(&b, "tenant %s is taken over from %s:\n", r.Tenant, r.Source)
	}
	fmt.Fprintf(&b, "  %d series, %d float samples", r.Series, r.Samples)
	if r.Samples > 0 {
		fmt.Fprintf(&b, ", %s to %s", stamp(r.MinT), stamp(r.MaxT))
	}
	b.WriteString("\n")
	if r.OutOfOrder > 0 {
		fmt.Fprintf(&b, "  %d of them out of order, from wbl\n", r.OutOfOrder)
	}
	for _, k := range slices.Sorted(maps.Keys(r.NotStored)) {
		fmt.Fprintf(&b, "  NOT STORED: %d %s\n", r.NotStored[k], k)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Dropped)) {
		fmt.Fprintf(&b, "  not taken, as stock Prometheus would not: %d samples %s\n", r.Dropped[k], k)
	}
	for _, l := range r.Lost {
		fmt.Fprintf(&b, "  LOST: %s\n", l)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	return b.String()
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// reportFile is in the folder of a tenant that was taken over.
const reportFile = "imported.json"

// readReport returns the report in a tenant's folder, nil if there is none.
func readReport(fsys disk.FS, dir string) (*Report, error) {
	name := filepath.Join(dir, reportFile)
	b, err := disk.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("takein: read %s: %w", name, err)
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("takein: %s is damaged: %w", name, err)
	}
	return r, nil
}

func (r *Report) write(fsys disk.FS, dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFileAtomic(fsys, filepath.Join(dir, reportFile), append(b, '\n'))
}
