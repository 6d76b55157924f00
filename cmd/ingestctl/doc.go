// Command ingestctl looks into the files of an ingester, and moves data in and out of them.
//
//	ingestctl verify  <path>                    check every byte
//	ingestctl inspect <path>                    print what stands in the files
//	ingestctl stat    <path>                    count series, samples and bytes
//	ingestctl dump    <path>                    all samples as OpenMetrics text
//	ingestctl export  <path> <target>           a directory that Prometheus, Cortex and Mimir open
//	ingestctl import  <source> -into <dir>      take over a directory of Prometheus, Cortex or Mimir
//	ingestctl cut     -dry-run <path>           what a cut of the log would remove, and why
//
// A path is a data directory (-ingester.wal-dir), the folder of one tenant in it, or a copy of one. verify and inspect
// take a single file, too.
//
// # Nothing is changed
//
// All commands but export and import only read. What stat, dump and export print or write is what an ingester would have after a start: they let the engine recover
// the directory, repairs included, on a file system that keeps every change to itself (arena/disk/overlay). That takes
// the memory that the ingester itself would take. verify has only the log recovered so, and drops what is replayed.
//
// A directory that a process holds is refused, because it changes while it is read; inspect, and verify of a single
// file, say that it is a moving target and go on. The lock is not taken, but for import: a tool must not keep an
// ingester from starting. If one starts meanwhile, the command says that its result means nothing and fails.
package main
