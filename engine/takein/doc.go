// Package takein takes over what another program has written: the directory of a tenant of Prometheus, Cortex 1.21 or
// Mimir becomes a tenant of ours.
//
//	<source>/wal/00000012 ...              segments: read, from the one behind the checkpoint on
//	<source>/wal/checkpoint.00000011/      read
//	<source>/wbl/00000000 ...              out-of-order samples: read, and put where they belong
//	<source>/chunks_head/                  copies of what is in wal and wbl: not needed
//	<source>/chunk_snapshot.*/             the same
//	<source>/01H.../                       blocks: not taken over, said
//
// and so do the tenants of an ingester of Cortex's chunk storage (up to 1.10, -ingester.wal-dir), whose log and checkpoints
// lie in one directory together: chunkstorage_format.go draws them.
//
// The source is opened for reading only, and file by file: the library that wrote it repairs and cuts what it opens.
//
// # What is taken over
//
// What stock Prometheus would answer from its head after opening the directory: float samples, without those that are
// older than the newest block (they are in it) and those that were deleted (tombstones). The exception: of a series that was
// defined twice stock drops what stands before the second definition, because it must be in a block; here it is kept.
// Kinds that the engine does not store are counted and said: native histograms, exemplars, metadata, start timestamps,
// and records of a type that this version does not know.
//
// # In two passes
//
// The survey reads everything once: it finds damage before anything is written, learns the series and what was deleted,
// and holds the out-of-order samples in memory. The second pass reads the samples and gives them to an engine of
// its own, in the order of the log, each series' out-of-order samples where they belong. Memory is what the engine takes,
// and about twice the label bytes of the series.
//
// # All or nothing
//
//	<data>/@rekindle/import.tmp/<tenant>/     being written; any start, and the next import, removes it
//	    imported.json                         what was taken over and what was not
//	<data>/<tenant>/                          renamed when all is durable
//
// A crash leaves nothing, or the tenant whole. imported.json tells the next run with the same source that it is done,
// so that -ingester.import-dir can stay among the flags. A tenant that exists and was not imported from this source is never
// touched.
package takein
