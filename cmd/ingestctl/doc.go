// Command ingestctl looks into the files of an ingester, and moves data in and out of them.
//
//	ingestctl stat    <path>                    count series, samples and bytes
//	ingestctl dump    <path>                    all samples as OpenMetrics text
//	ingestctl export  <path> <target>           a directory that Prometheus, Cortex and Mimir open
//
// A path is a data directory (-ingester.wal-dir), the folder of one tenant in it, or a copy of one.
//
// # Nothing is changed
//
// What these commands print or write is what an ingester would have after a start: they let the engine recover the
// directory, repairs included, on a file system that keeps every change to itself (arena/disk/overlay). That takes the
// memory that the ingester itself would take.
//
// A directory that a process holds is refused, because it changes while it is read. The lock is not taken: a tool must
// not keep an ingester from starting. If one starts meanwhile, the command says that its result means nothing and fails.
package main
