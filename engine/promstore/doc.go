// Package promstore shows the engine's data to Prometheus's own code: PromQL, the HTTP API of web/api/v1 and
// remote read run unchanged on top of a Queryable.
//
// # How a query goes through
//
//	Querier(mint, maxt)            remembers the range, touches nothing
//	Select(ctx, hints, matchers)   Source.SelectPart: matchers resolved, chunk bytes copied out under the stripes'
//	                               locks, once, here; then sharded, sorted and limited as the hints ask
//	SeriesSet.Next, At             walks the list; ends with the context's error when the query is cancelled
//	Series.Iterator                decodes the copied bytes in place, trimmed to the range: floats with package xor,
//	                               some ahead, other encodings with chunkenc
//
// After Select nothing refers to the engine: no lock is held while PromQL computes, and a slow reader never delays a
// write.
//
// What is not looked at is not fetched. The series API gets no chunks. A selector without a range in an instant query
// needs each series' last sample only; that it is PromQL who asks is said by Engine, since the same hints mean
// everything when they come by remote read.
//
// # Answers are Prometheus's
//
// Where tsdb's querier does something that is not obvious from the interfaces, this one does the same:
//
//   - Hints narrow the range: samples outside [hints.Start, hints.End] are not returned even when they lie inside the
//     querier's. One difference: tsdb lets hints reach beyond the querier's range inside chunks that overlap it, here
//     the querier's range is a bound, as the interface says.
//   - DisableTrimming returns the overlapping chunks whole.
//   - A series is returned when one of its chunks overlaps the range, even if the range falls into a gap between two
//     samples; its iterator is then empty. PromQL drops such series, the series API counts them.
//   - Select without matchers selects nothing.
//   - A trimmed chunk that is asked for as a chunk is encoded anew; one that lies inside the range is passed on as it is.
//
// Whatever chunk encoding the Source returns is decoded; floats have a faster way.
package promstore
