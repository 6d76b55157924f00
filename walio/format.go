package walio

import "errors"

// Framing, as tsdb/wlog has it.
const (
	pageSize           = 32 << 10
	fragmentHeaderSize = 7

	fragmentEnd    = 0 // the rest of the page is empty
	fragmentFull   = 1
	fragmentFirst  = 2
	fragmentMiddle = 3
	fragmentLast   = 4

	fragmentTypeMask = 0x07
	flagSnappy       = 0x08
	flagZstd         = 0x10
	// Bits 5 to 7 are zero. Stock readers do not look at them; ours treats a set one as damage, because
	// the checksum of a fragment does not cover its header.
	fragmentReserved = 0xe0
)

// Record types: the first byte of a record. 1 to 13 are those of tsdb/record.
const (
	recordSeries     = 1
	recordSamples    = 2
	recordTombstones = 3
	recordExemplars  = 4
	recordMetadata   = 6

	recordHistograms            = 7
	recordFloatHistograms       = 8
	recordCustomHistograms      = 9
	recordCustomFloatHistograms = 10

	// Ours. Stock readers skip them.
	recordCommit  = 0xf0
	recordSegment = 0xf1
)

// Limits. Everything that is read has one before memory is taken for it.
const (
	// recordSizeMax is the aim for the uncompressed size of a Series record, and with samplesPerRecord
	// (at most 84000 bytes, 48000 as a rule) for Samples records: one damaged spot costs one record.
	recordSizeMax    = 64 << 10
	samplesPerRecord = 4000
	// recordDecodedMax bounds what a record may claim to decompress to. A single series of 64 KiB of labels
	// and a commit header of a very large commit both stay far below.
	recordDecodedMax = 64 << 20

	stripesMax    = 64
	tenantSizeMax = 1 << 10
	refBits       = 40
)

const formatVersion = 1

var (
	// ErrFailed is wrapped by the error of Wait, WaitSynced and Err while the log cannot accept. The log
	// heals by itself; callers answer 503 and let the sender retry.
	ErrFailed = errors.New("walio: the log is failed")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("walio: the log is closed")
	// ErrForeign says that the directory holds another tenant's or generation's log. Look which volume is mounted.
	ErrForeign = errors.New("walio: the log belongs to another tenant or generation")
	// ErrFenced says that a process with a greater epoch has taken over the directory.
	ErrFenced = errors.New("walio: the directory was taken over by another process")
	// ErrVersion says that a newer version of this program wrote the log.
	ErrVersion = errors.New("walio: the log has a newer format than this program reads")
)
