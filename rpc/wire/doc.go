// Package wire turns the bodies of remote write requests into engine batches.
//
// A body is walked once and nothing is built from it: samples go straight into the batch's column, and a
// series' labels stay where they are. That works because the identity of a series is the bytes that its
// labels have in a remote write 1.0 request, in canonical form:
//
//	0      1      2      3      4           4+n    5+n    6+n       6+n+v
//	+------+------+------+------+-----------+------+------+-----------+
//	| 0x0a | size | 0x0a |  n   | name      | 0x12 |  v   | value     |   and so on for each label
//	+------+------+------+------+-----------+------+------+-----------+
//
// sorted by name, no name twice, no empty name or value, size, n and v in the least number of bytes. Senders
// write exactly that, so a series is checked, hashed and passed on without copying a byte. Those of a 1.0 request that
// come in the order of the scrape before need not even be checked: their bytes are compared with those of the series
// that the engine expects next (Batch.Expect), which also finds it. What is not canonical but means a label set all the
// same (labels in another order, labels between samples, empty values, unknown fields, long varints) is collected, sorted
// and written to Batch.Scratch. The key of a 2.0 series is always written there, from its symbols.
//
// # What is accepted
//
// The bytes that Prometheus's own receiver accepts, no others, and with the same meaning; the tests compare
// the two on any input. One difference: of native histograms and exemplars, which are counted and not stored,
// only the outermost fields are looked at. A body that is no such message is an *Error and stores nothing.
// Of the fields that other dialects put into the same message, Cortex's Source 2 is read if it is a varint; the others
// (skip_label_name_validation 1000, Ref 1001, discard_out_of_order 1002; Mimir: 1001 as a bool) are passed over by their
// wire type.
//
// A series whose labels are bad is left out and counted in Batch.Discards, and the rest of the request is
// stored. Reasons and texts are Cortex's. In this order:
//
//	missing_metric_name         no label __name__, as for Cortex's and Prometheus's receivers; with
//	                            Options.Nameless only if there is no label at all
//	metric_name_invalid         its value is not UTF-8
//	max_label_names_per_series  more labels than Options.MaxLabelNames
//	label_invalid               an empty name, or one that is not UTF-8; any UTF-8 is a name
//	label_name_too_long         Options.MaxNameLength
//	label_value_invalid         a value is not UTF-8; not in Cortex, which stores what no query can name
//	label_value_too_long        Options.MaxValueLength
//	duplicate_label_names       the same name twice
//	labels_size_bytes_exceeded  a key above Options.MaxKeySize
//
// and, of 2.0 requests only, symbol_ref_invalid (a reference to a symbol that is not there, or an odd number
// of them) before all others and series_without_samples after them. Labels with an empty value are dropped
// before that: they mean the same as no label. Metadata over Options.MaxMetadataLength, or without a name, is
// counted and fails nothing.
//
// # What a hostile body can do
//
// It costs time in proportion to its size and memory up to the limits. The size that a Snappy block declares
// is checked before anything is allocated: against Options.MaxMessageSize, and against what a block of its
// length can hold at all. Columns of the batch stop at Options.MaxBatchSize, which a body of samples of two
// bytes, or one that names a long symbol in each of a million series, would pass otherwise. There is no
// recursion. Whatever fails leaves the batch empty.
package wire
