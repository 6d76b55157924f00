// Package walio is the log of one tenant: group commit, segments, parallel replay, repair, and the ledger of
// what damage has cost. What it is for fits in one sentence: an acknowledged sample is never lost.
//
// The files are in Prometheus's format (tsdb/wlog, tsdb/record), so its tools read them. Writer and reader are
// ours: the stock writer acknowledges into a torn page after a full disk, ignores failed syncs when it changes
// segments and never syncs the directory; the stock reader takes a zeroed page for padding and ends at the
// first damage.
//
// Words: a record is one entry of the format; a commit is a numbered group of records that is written with one
// write and acknowledged together; a segment is a file of whole commits; torn is what a stop left unfinished
// at the end, damage is what was whole once. Commit numbers count from 1, and "up to c" includes c.
//
// # Files
//
//	<tenant>/wal/00000007               segments, numbered without holes; the newest is never removed
//	<tenant>/wal/checkpoint.00000006/   names of the live series; covers the segments up to 6
//	<tenant>/wal/*.tmp                  unfinished; Recover removes them
//	<tenant>/ledger.jsonl               one Loss a line
//
// # Segments and fragments
//
// A segment consists of pages of 32 KiB. A record is cut into fragments so that none crosses a page; what is
// left of a page with less room than a fragment header is zero. Numbers of the framing are big-endian.
//
//	0      1        3         7
//	+------+--------+---------+--------------+
//	| type | length | CRC-32C | data         |
//	+------+--------+---------+--------------+
//
//	type     bits 0-2: 1 a whole record, 2 its first, 3 a middle, 4 its last fragment; bit 3: the record is
//	         compressed by Snappy, bit 4: by zstd (the same in all its fragments); bits 5-7 are zero
//	length   of data, in bytes
//	CRC-32C  of data, Castagnoli. It does not cover type and length: the hashes below do
//
// The first byte of a record, decompressed, is its type: 1 Series, 2 Samples, 3 Tombstones, 4 Exemplars,
// 6 Metadata, 7 to 10 histograms, as in tsdb/record, and two of our own, which stock readers skip:
//
// # Commit header, type 0xf0
//
// It begins every commit, is never compressed, and consists of
//
//	byte 0       0xf0
//	byte 1       version of this layout: 1. A reader that does not know it refuses the log
//	byte 2       flags: bit 0 this is the copy at the end; bit 1 recovery saved only a part of this commit, and
//	             the ledger has the rest; other bits are zero
//	uvarint      generation of the tenant
//	uvarint      epoch of the writer: the greater one wins (see "Fencing")
//	uvarint      commit number
//	uvarint      commit number minus the greatest commit known to be durable ("synced through") when this was built; at least 1
//	3 uvarint    series, float samples and other records in this commit
//	3 uvarint    the same of all commits before it (running totals)
//	varint       least time of its float samples, ms; 0 without any
//	uvarint      greatest time minus least time
//	uvarint      n, the number of records that follow
//	n × 4 bytes  little-endian: the low half of the xxhash64 of each of them, decompressed
//	8 bytes      little-endian: xxhash64 of all bytes before
//
// The n records follow: all Series records, then the others in the order in which they happened. If n > 1 the
// header stands once more at the end, with flag bit 0, so that damage to either copy costs no record. About 40
// bytes for a commit of one request. Samples records hold at most 4000 samples, Series records about 64 KiB:
// one damaged spot costs one record. All stripes share records, one stripe after another; a record per stripe
// would nearly double the log under small commits.
//
// Commit 10, with two samples of the series 64 and 128, uncompressed, at the beginning of a page:
//
//	010021 025cb704  f00100 01010a01 000200 001200 80a0abfef962 00 01 18de8519 0db4445491be3d6f
//	010026 bc2d6fd3  02 0000000000000040 0000018bcfe56800  00 00 3ff0000000000000  8001 00 4000000000000000
//
// A commit is valid if its header's sum is right and it is followed by n records with these hashes in this
// order. A record is valid by itself if it stands behind a valid header, or before its valid copy, and has a
// hash that is still expected: that is how a part of a damaged commit is saved. A record of a type that is
// not listed above is damage, never skipped.
//
// # Segment header, type 0xf1
//
// It is the first record of every segment, never compressed:
//
//	byte 0       0xf1
//	byte 1       version: 1
//	byte 2       kind: 0 a segment of the log, 1 of a checkpoint
//	uvarint+     size of the tenant's name and the name
//	4 uvarint    generation, stripes, hash, layout of references: Identity. Others are refused
//	3 uvarint    epoch of the writer; number of this segment; first commit that it was made for
//	uvarint      s, the number of stripes in a checkpoint, else 0
//	s × 8 bytes  big-endian: the greatest series index of each stripe in this segment and those before it
//	8 bytes      big-endian: the number of series in this segment and those before it; 0 in the log
//	8 bytes      little-endian: xxhash64 of all bytes before
//
// # Where the log ends
//
// Commits are ordered by number, wherever they stand; each number is taken once. Let S be the greatest commit
// that anything says was durable: a "synced through" in any header, an image, the catalogue, the beginning of
// the first segment.
//
//	a commit up to S is missing or damaged    damage. What follows is kept, intact records of a damaged commit
//	                                          too; the ledger gets a Loss
//	the first one beyond S is missing or      the torn end of an unclean stop. The log ends before it. What
//	damaged                                   follows was written without what it builds on: cut off
//
// After Recover the files hold exactly the log that was replayed. A tail is cut with ftruncate; a segment with
// damage inside is replaced, under its own number, by its intact commits; a missing one by an empty one. What is
// cut or replaced is kept aside. So a stock reader meets no error at any time after a start.
//
// # The life of a commit
//
//	committer                                             syncer
//	  take the waiters so far (round)
//	  Source.Drain: entries -> records
//	  compress, hash, header; retain
//	  [new segment: create, sync directory]
//	  one WriteAt                      -- dirty -->         wait for the interval
//	  answer the round (SyncInterval)                       Sync every file with unsynced commits
//	                                                        synced = written then; release what was retained
//	                                                        answer the rounds (SyncAlways, or lagging)
//
// Whoever calls Wait while a commit is being built belongs to the next one: the drain may have passed his
// stripe. An empty commit is answered like a full one, after all before it: the duplicate that a request
// found in memory may be another request's sample that is not written yet.
//
// In class interval an acknowledged commit is in the page cache and survives the process. If the oldest unsynced
// commit is older than two intervals, acknowledgements wait for the sync: a power cut takes no more than that.
//
// # Failure
//
//	working --(a write, create, or sync failed)--> failed --(heal)--> working
//
// While failed, nothing is answered but errors and nothing is drained. A failed sync may have dropped pages of
// commits that were acknowledged, and the next sync would call that good. So heal writes everything since the last
// good sync again, with the same numbers, to a new segment, syncs it, and only then cuts the failed segments
// back to what is durable. It tries again by itself, with pauses that double. A process that dies in between
// leaves commits twice; Recover takes the better copy of each and removes the other (a second Series record
// of one series makes Prometheus drop the samples between the two). A process that dies of a failed sync
// leaves pages that are called clean and are not on the disk: Recover writes the unsynced tail over itself
// before it syncs it.
//
// # Fencing
//
// A process that was frozen while another one took over still has its files open and writes when it wakes. Every
// start has a greater epoch; commits of a smaller epoch are ignored from the first commit of a greater one on.
//
// # Cut and checkpoint
//
// Segments whose commits all images contain are removed once checkpoint.N names every live series: stock tools
// need the names, and so does a stripe whose images are lost. A checkpoint's segments are made like the log's,
// with numbers of their own for their commits. The next checkpoint links them and adds one for the series
// created since, so its cost is that of the new series; it is written whole when half of what it names is dead.
//
// # Recovery, in two passes
//
// The first pass reads framing and headers of all segments that may matter, in parallel, and makes a plan: S,
// duplicates, gaps, the end. The second one goes in rounds: stretches of the log, up to Window samples together, are
// decoded to columns, in parallel, and then handed to the Handler, the stripes in parallel. Samples, brought together by
// stripe, and the keys of series lie in one array outside the Go heap; a stripe gets ranges of it. That array is the
// memory that replay takes. Then losses go to the ledger, and files are repaired. Nothing is changed before, so it may be cancelled or killed at any time;
// and nothing needs disk space but the repair of damage.
//
// # Locks and goroutines
//
//	Log.cutting   one Cut at a time; held during its I/O, and while that is paced
//	Log.syncing   held while files are synced and while healing
//	Log.mu        all state that several goroutines see; no I/O under it but closing files
//
// in this order. Source.Drain is called with none of them held. Start owns two goroutines, Close ends both.
package walio
