package main

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/record"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
	"github.com/rekindledb/rekindle/walio"
)

// recordNames are the types of records by their number, as tsdb/record has them.
var recordNames = map[byte]string{
	1: "Series", 2: "Samples", 3: "Tombstones", 4: "Exemplars", 6: "Metadata",
	7: "HistogramSamples", 8: "FloatHistogramSamples", 9: "CustomBucketsHistogramSamples", 10: "CustomBucketsFloatHistogramSamples",
}

func recordName(typ byte) string {
	if name, ok := recordNames[typ]; ok {
		return name
	}
	return fmt.Sprintf("record of type %d", typ)
}

func encodingOf(c *engine.ClosedChunk) chunkenc.Encoding { return chunkenc.Encoding(c.Encoding) }

// segmentLine sums a segment up.
func (in *inspector) segmentLine(path string) error {
	var (
		first, last uint64
		commits     int
		sum         walio.Totals
		faults      int
	)
	err := walio.Inspect(disk.OS, path, func(i *walio.Item) error {
		switch {
		case i.Fault != "":
			faults++
		case i.Segment != nil:
			in.segmentHead(i.Segment)
		case i.Commit != nil && !i.Commit.Copy:
			if commits++; commits == 1 {
				first = i.Commit.Commit
			}
			last = i.Commit.Commit
			c := i.Commit.Counts
			sum = walio.Totals{Series: sum.Series + c.Series, Samples: sum.Samples + c.Samples, Others: sum.Others + c.Others}
		}
		return nil
	})
	if err != nil {
		return err
	}
	in.printf("%d commits, %d to %d: %s", commits, first, last, totals(sum))
	if faults > 0 {
		in.printf(", %d FAULTS", faults)
	}
	in.printf("\n")
	return nil
}

func totals(t walio.Totals) string {
	s := fmt.Sprintf("%d series, %d samples", t.Series, t.Samples)
	if t.Others > 0 {
		s += fmt.Sprintf(", %d other records", t.Others)
	}
	return s
}

func (in *inspector) segmentHead(s *walio.SegmentInfo) {
	kind := "log"
	if s.Checkpoint {
		kind = fmt.Sprintf("names of %d series", s.Series)
	}
	in.printf("%s, segment %d, epoch %d, made for commit %d: ", kind, s.Num, s.Epoch, s.First)
}

// segment prints all items of a segment.
func (in *inspector) segment(path string) error {
	dec := record.NewDecoder(labels.NewSymbolTable(), quiet)
	return walio.Inspect(disk.OS, path, func(i *walio.Item) error {
		in.printf("%10d  ", i.Off)
		if i.Fault != "" {
			in.printf("FAULT: %s: ", i.Fault)
		}
		switch {
		case i.Segment != nil:
			in.segmentHead(i.Segment)
			in.printf("%v\n", i.Segment.Identity)
		case i.Commit != nil && i.Commit.Copy:
			in.printf("end of commit %d\n", i.Commit.Commit)
		case i.Commit != nil:
			c := i.Commit
			in.printf("commit %d, epoch %d, synced through %d, %d records: %s", c.Commit, c.Epoch, c.Synced, c.Records, totals(c.Counts))
			if c.Counts.Samples > 0 {
				in.printf(", %s to %s", formatTime(c.MinT), formatTime(c.MaxT))
			}
			if c.Salvaged {
				in.printf(", a part was lost, see the ledger")
			}
			in.printf("; before it %s\n", totals(c.Before))
		case i.Record != nil:
			r := i.Record
			in.printf("  %s, %d entries, %d bytes", recordName(r.Type), r.Entries, len(r.Data))
			if r.Packed != "" {
				in.printf(", %s %d", r.Packed, r.Stored)
			}
			in.printf("\n")
			if in.entries && i.Fault == "" {
				return in.recordEntries(&dec, r)
			}
		default:
			in.printf("%d bytes\n", i.End-i.Off)
		}
		return nil
	})
}

// recordEntries prints what is in a record; of kinds that the engine has no name for, the bytes.
func (in *inspector) recordEntries(dec *record.Decoder, r *walio.RecordInfo) error {
	switch record.Type(r.Type) {
	case record.Series:
		list, err := dec.Series(r.Data, nil)
		for _, s := range list {
			in.printf("%16s%d %s\n", "", s.Ref, s.Labels)
		}
		return err
	case record.Samples:
		list, err := dec.Samples(r.Data, nil)
		for _, s := range list {
			in.printf("%16s%d %s %s\n", "", s.Ref, formatTime(s.T), appendValue(nil, s.V))
		}
		return err
	}
	in.printf("%16s%x\n", "", r.Data)
	return nil
}
