// Package grpcsrv is the service cortex.Ingester over gRPC, as Cortex 1.21's distributors, queriers and rulers call it.
//
// # Methods
//
//	Push                                       unary            a WriteRequest
//	PushStream                                 bidirectional    one answer for each StreamWriteRequest
//	QueryStream                                server streams   chunks of series
//	QueryExemplars                             unary            none: exemplars are not stored
//	LabelValues, LabelNames                    unary            and as streams of batches: ...Stream
//	MetricsForLabelMatchers                    unary            and as a stream of batches: ...Stream
//	MetricsMetadata, UserStats, AllUserStats   unary
//	TransferChunks                             client streams   a hand-over, see rpc/handover
//
// and, for Mimir's queriers,
//
//	LabelNamesAndValues, LabelValuesCardinality, ActiveSeries   server streams
//
// Which of the two asks shows in the requests: in Mimir's QueryRequest the size of a batch is above 0, and its answer has
// another form then; the fields of LabelNamesRequest that are swapped have different types; and the limits of
// MetricsMetadataRequest, which cannot be told apart, are left to the querier. Others, Query of Cortex 1.10 and Mimir's
// experiments, are Unimplemented.
//
// Messages are the caller's bytes: codec hands them to the methods as they came, rpc/wire walks those of pushes, rpc/pb
// reads and writes the others.
//
// # What a call goes through
//
//	message   received and decompressed by grpc-go, at most -server.grpc-max-recv-msg-size-bytes   ResourceExhausted
//	tenant    from x-scope-orgid                                                                   Unknown
//	admission pushes: requests in progress, and their bytes                                        Unavailable
//	gate      the engine is recovering (pushes wait up to a second) or stopping, or, pushes, the
//	          instance is not ACTIVE in the ring                                                   Unavailable
//	decode                                                                                         400
//	engine
//
// # Statuses
//
// A distributor counts an error as the client's if its code divided by 100 is 4, and then the sender drops the request; any
// other code makes the sender repeat it. So bad data is always 400, and our own trouble never is:
//
//	OK           stored, and as safe as the log's class promises
//	400          malformed message, or some samples were bad: the rest is stored and as safe as after OK
//	Unavailable  recovery, stop, overload, failed disk
//	Canceled     the caller went away first; DeadlineExceeded likewise
//	Unknown      no tenant, or one that cannot be; labels that are not sorted, which no distributor sends whose memory is
//	             in order; anything else
//
// 400 is written as weaveworks' httpgrpc does: the code itself is 400, the message is the text, and one detail of type
// httpgrpc.HTTPResponse holds both. PushStream answers with HTTP codes in its messages: 200, 400, or 500.
package grpcsrv
