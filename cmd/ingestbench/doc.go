// Command ingestbench measures Rekindle's engine and Prometheus's TSDB on the same input in one run, and
// prints a table with ratios. Figures of one machine move by a fifth between runs; ratios of one run do not.
//
//	ingestbench            the table
//	ingestbench demo       one minute: a million series, kill -9, restart, query
//	ingestbench read       what queries take, beside Prometheus's head
//	ingestbench restart    killed and stopped under load: until ready, and is everything there
//	ingestbench forecast   what restarts were said to take, and what they took
//	ingestbench images     what keeping restarts short costs: bytes, and waiting pushes
//	ingestbench cgroup     restarts with hardly more memory than before
//	ingestbench peers      the same stream to Prometheus, Cortex and VictoriaMetrics as servers
//	ingestbench scale      more and more series
//
// All but the first two write a report with -out: text, JSON, and a page with drawings. What follows is about the table.
//
// # What is measured, and what is not
//
// Each system runs in processes of its own, children of the one that prints. A child is killed with SIGKILL
// or asked to stop, and another one recovers what it left. Both systems are called through their Go API:
// Prometheus as its remote write receiver calls it, by labels and without references, each request one
// appender and one Commit; Rekindle with a request's canonical label bytes, hashing included, each request
// one Append that returns when the samples are in the log. Decoding a request body is in neither figure. The
// rows "over HTTP" are of the ingester's binary, from the socket to the log: ingestbench peers
// puts it beside other servers.
//
// CPU is that of the whole process, garbage collection, log and images included, less what the workload
// itself takes, which is measured beforehand in the same process. Several writers push at once, because
// senders do. Each writer has its own share of the series and sends the scrapes in order, as fast as it can.
//
// The log of the first run, which wrote no images, is replayed by both systems: it is in a format that both
// read. After each restart all samples are read back and held against what was sent; a run in which one is
// missing or wrong fails and prints no table.
//
// Memory is that of the process, the benchmark's own few megabytes included: resident as the system ran,
// and the Go heap that was live after a collection.
//
// Prometheus runs with its server's defaults: GOGC=75, Snappy in the log. Its compactions are off, because
// Rekindle writes no blocks in a benchmark either.
package main
