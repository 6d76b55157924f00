package engine

// Batch is one decoded write request: columns, no label structs. A decoder (rpc/wire) fills it, Append
// consumes it; both reuse its memory, so a Batch belongs to one request at a time.
//
// Series[i] owns Samples[Series[i].Lo:Series[i].Hi], in the order in which they arrived.
type Batch struct {
	// Source fills the batch when Append has let it in, so that it can ask what is known of a series (Expect). Without
	// one, the batch is as it will be stored.
	Source Source

	Series  []BatchSeries
	Samples []Sample

	// Metadata of metric families, kept in memory only.
	Metadata []Metadata

	// What came with the request and is not stored yet. Counted, reported, never silently dropped.
	Histograms, Exemplars int

	// Discarded series-level faults found by the decoder (bad labels): the samples under them are counted
	// here and the first fault's text is answered with 400 once the rest is stored. A fault without samples
	// has a text too, so InvalidText decides, not Invalid.
	Invalid     int
	InvalidText string
	// InvalidReason is the label value for cortex_discarded_samples_total.
	InvalidReason string
	// Discards is what the decoder refused, one entry a reason. Their Samples add up to Invalid.
	Discards []Discard

	// Scratch is where a decoder puts label bytes that it had to rewrite into canonical form, so that
	// Series[i].Key may point into it. A decoder must size it before taking slices of it, or keep offsets.
	Scratch []byte

	work appendWork
}

// Source is a request that is decoded when its turn has come.
type Source interface {
	// Fill resets b and fills it. Append returns its error as it is.
	Fill(b *Batch) error
}

// Fill decodes what Source holds, if there is one. Append does it.
func (b *Batch) Fill() error {
	if b.Source == nil {
		return nil
	}
	return b.Source.Fill(b)
}

// BatchSeries names one series of a request.
type BatchSeries struct {
	// Key is the series' label set in canonical form: the bytes of the label fields of a remote write 1.0
	// TimeSeries, that is for each label, sorted by name, no name twice, no empty name or value:
	//
	//	0x0a  uvarint(len of what follows)  0x0a uvarint(len name) name  0x12 uvarint(len value) value
	//
	// with minimal varints. Canonical bytes are the identity of a series: two label sets are equal if and
	// only if their keys are. A canonical 1.0 request is sliced without copying. Valid during the request.
	Key []byte
	// Lo and Hi are the range in Batch.Samples.
	Lo, Hi uint32
	// Known is what Batch.Expect said of the series; zero if nothing, or from a decoder that doesn't ask.
	Known Known

	// hash is xxhash64 (seed 0) of Key, where it was needed. It places the series and never identifies it.
	hash uint64
}

// Sample is a float sample: T in milliseconds since the epoch, V the bits of the float64, so that every
// NaN survives.
type Sample struct {
	T int64
	V uint64
}

// Metadata describes a metric family. Type is the protobuf enum of remote write 1.0 (UNKNOWN 0, COUNTER 1,
// GAUGE 2, HISTOGRAM 3, GAUGEHISTOGRAM 4, SUMMARY 5, INFO 6, STATESET 7). The bytes are valid during the
// request, like a series' Key: whoever keeps them copies them.
type Metadata struct {
	Family, Help, Unit []byte
	Type               uint8
}

// Discard counts what a decoder refused for one reason, by kind. Reason is the label value for
// cortex_discarded_samples_total, cortex_discarded_exemplars_total and cortex_discarded_metadata_total.
// Samples counts floats and histograms.
type Discard struct {
	Reason                       string
	Samples, Exemplars, Metadata int
}

// Reset empties b and keeps its memory.
func (b *Batch) Reset() {
	b.Series = b.Series[:0]
	b.Samples = b.Samples[:0]
	b.Metadata = b.Metadata[:0]
	b.Histograms, b.Exemplars = 0, 0
	b.Invalid, b.InvalidText, b.InvalidReason = 0, "", ""
	b.Discards = b.Discards[:0]
	b.Scratch = b.Scratch[:0]
	b.work.resolved, b.work.missed = 0, 0
}
