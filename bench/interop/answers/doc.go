// Package answers asks servers the same in PromQL and finds every difference. It knows the expressions, and when answers
// may be compared at all.
//
// # Why the answers can be compared exactly
//
// Prometheus sends what its own log holds: scraped samples, up and the scrape_ series, staleness markers,
// all with the timestamps that it stored itself. It begins with the samples that are newer than its start
// of remote writing, so the comparison begins a little later, and the first evaluation the longest look
// back of any expression after that. Servers print floats so that they read back to the same bits.
//
// Floating-point addition depends on order, and two databases hand their series to the engine in different
// orders. Expressions that add over several series are marked, and may differ by 1e-12 of the value. The
// report says how many did.
package answers
