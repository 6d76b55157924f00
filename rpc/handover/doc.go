// Package handover moves what a leaving ingester holds in memory to a fresh one, as Cortex 1.10 does with its write-ahead log
// off: series by series over cortex.Ingester/TransferChunks. Either side may be Cortex 1.10 itself.
//
//	leaver, LEAVING                               receiver, PENDING
//	finds a PENDING instance in the ring
//	TransferChunks, tenant "-1"            ──►    JOINING
//	a message a series                     ──►    stored
//	half-close                             ──►    takes the leaver's tokens, ACTIVE
//	                                       ◄──    empty answer
//	leaves the ring, ends
//
// # Message
//
//	TimeSeriesChunk   1  from_ingester_id  string
//	                  2  user_id           string, the tenant
//	                  3  labels            repeated LabelPair{1 name, 2 value}, by name
//	                  4  chunks            repeated Chunk, all of the series, ascending
//	Chunk             1  start             int64, ms, of the first sample
//	                  2  end               int64, ms, of the last
//	                  3  encoding          3 Bigchunk, 4 PrometheusXorChunk; what we send is 4
//	                  4  data
//
//	PrometheusXorChunk  a chunk as Prometheus's XOR encoding has it
//	Bigchunk            uint16 n, then n times uint16 size and size bytes of such a chunk, of at most 120 samples;
//	                    little-endian; what follows is not looked at
//
// A series with a chunk in any other encoding ends the transfer, and none of its samples are stored. What came before is kept:
// the leaver tries again, and what it sends twice is known. Samples may be as old as they like.
package handover
