package wire

import (
	"fmt"

	"github.com/rekindledb/rekindle/engine"
)

// Reasons for discarding a series, as the label reason of cortex_discarded_samples_total has them in Cortex.
// The last three are ours: Cortex stores any bytes as a value, and fails a whole 2.0 request for a symbol that
// is not there and for a series without samples.
const (
	ReasonMissingMetricName = "missing_metric_name"
	ReasonMetricNameInvalid = "metric_name_invalid"
	ReasonTooManyLabels     = "max_label_names_per_series"
	ReasonLabelInvalid      = "label_invalid"
	ReasonNameTooLong       = "label_name_too_long"
	ReasonValueTooLong      = "label_value_too_long"
	ReasonDuplicateNames    = "duplicate_label_names"
	ReasonLabelsTooLarge    = "labels_size_bytes_exceeded"
	ReasonValueInvalid      = "label_value_invalid"
	ReasonSymbolRef         = "symbol_ref_invalid"
	ReasonNoSamples         = "series_without_samples"
)

// Reasons for discarding metadata of a family.
const (
	ReasonFamilyTooLong = "metric_name_too_long"
	ReasonHelpTooLong   = "help_too_long"
	ReasonUnitTooLong   = "unit_too_long"
)

// shownMax is how much of a series' labels an error text is made from; Cortex's formats cut it further.
const shownMax = 1024

// discardSeries takes a series' samples out of the batch and counts what it had. The first such series of a
// request is what the sender gets to read.
func (d *Decoder) discardSeries(b *engine.Batch, c *contents, reason string, text func() string) {
	if b.InvalidText == "" {
		b.InvalidText, b.InvalidReason = text(), reason
	}
	n := len(b.Samples) - c.firstSample + c.histograms
	b.Samples = b.Samples[:c.firstSample]
	b.Invalid += n
	count := discards(b, reason)
	count.Samples += n
	count.Exemplars += c.exemplars
}

// discards returns the batch's counts for reason.
func discards(b *engine.Batch, reason string) *engine.Discard {
	for i := range b.Discards {
		if b.Discards[i].Reason == reason {
			return &b.Discards[i]
		}
	}
	b.Discards = append(b.Discards, engine.Discard{Reason: reason})
	return &b.Discards[len(b.Discards)-1]
}

// describe writes the text for a series that is discarded, in Cortex's words. size is that of its key.
func (d *Decoder) describe(reason string, cause label, size int) string {
	series, name, value := d.series(), cause.name(d.text), cause.value(d.text)
	switch reason {
	case ReasonMissingMetricName:
		return "sample missing metric name"
	case ReasonMetricNameInvalid:
		return fmt.Sprintf("sample invalid metric name: %.200q", value)
	case ReasonTooManyLabels:
		return fmt.Sprintf("series has too many labels (actual: %d, limit: %d) series: '%s'", len(d.labels), d.limits.MaxLabelNames, series)
	case ReasonLabelInvalid:
		return fmt.Sprintf("sample invalid label: %.200q metric %.200q", name, series)
	case ReasonNameTooLong:
		return fmt.Sprintf("label name too long for metric (actual: %d, limit: %d) metric: %.200q label name: %.200q", len(name), d.limits.MaxNameLength, series, name)
	case ReasonValueTooLong:
		return fmt.Sprintf("label value too long for metric (actual: %d, limit: %d) metric: %.200q label name: %.200q label value: %.200q", len(value), d.limits.MaxValueLength, series, name, value)
	case ReasonDuplicateNames:
		return fmt.Sprintf("duplicate label name: %.200q metric %.200q", name, series)
	case ReasonLabelsTooLarge:
		return fmt.Sprintf("labels size bytes exceeded for metric (actual: %d, limit: %d) metric: %.200q", size, d.limits.MaxKeySize, series)
	case ReasonNoSamples:
		return fmt.Sprintf("TimeSeries must contain at least one sample or histogram for series %.200q", series)
	default: // ReasonValueInvalid
		return fmt.Sprintf("sample invalid label value: %.200q label name: %.200q metric %.200q", value, name, series)
	}
}

// series writes the first part of d.labels as name{a="b", c="d"}.
func (d *Decoder) series() string {
	var name, rest []byte
	named := false
	for _, l := range d.labels {
		if len(rest) > shownMax {
			break
		}
		if !named && string(l.name(d.text)) == metricName {
			named, name = true, cut(l.value(d.text))
			continue
		}
		if len(rest) > 0 {
			rest = append(rest, ", "...)
		}
		rest = fmt.Appendf(rest, "%s=%q", cut(l.name(d.text)), cut(l.value(d.text)))
	}
	if len(rest) == 0 && named {
		return string(name)
	}
	return fmt.Sprintf("%s{%s}", name, rest)
}

func cut(b []byte) []byte { return b[:min(len(b), shownMax)] }
