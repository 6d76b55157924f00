package wire

import "github.com/rekindledb/rekindle/engine"

// metadataV1 reads the MetricMetadata m[p:] into b. Like Cortex's, metadata is best effort: what is over the
// limits is counted as discarded and fails nothing.
func (d *Decoder) metadataV1(m []byte, p int, b *engine.Batch) fault {
	var md engine.Metadata
	for p < len(m) {
		num, typ, q, f := tag(m, p)
		if f != faultNone {
			return f
		}
		switch num {
		case 1:
			if typ != wireVarint {
				return faultKnownField
			}
			var v uint64
			if v, p, f = uvarint(m, q); f != faultNone {
				return f
			}
			md.Type = metricType(v)
		case 2, 4, 5:
			if typ != wireBytes {
				return faultKnownField
			}
			lo, hi, f := span(m, q)
			if f != faultNone {
				return f
			}
			switch text := m[lo:hi:hi]; num {
			case 2:
				md.Family = text
			case 4:
				md.Help = text
			case 5:
				md.Unit = text
			}
			p = hi
		default:
			if p, f = skip(m, q, typ); f != faultNone {
				return f
			}
		}
	}
	return d.addMetadata(b, md)
}

// metricType is the type that a varint stands for: an enum is 32 bits wide, and one we don't know is
// unknown.
func metricType(v uint64) uint8 {
	if uint32(v) > 7 {
		return 0
	}
	return uint8(v)
}

func (d *Decoder) addMetadata(b *engine.Batch, md engine.Metadata) fault {
	var reason string
	switch most := d.limits.MaxMetadataLength; {
	case len(md.Family) == 0:
		reason = ReasonMissingMetricName
	case len(md.Family) > most:
		reason = ReasonFamilyTooLong
	case len(md.Help) > most:
		reason = ReasonHelpTooLong
	case len(md.Unit) > most:
		reason = ReasonUnitTooLong
	}
	if reason != "" {
		discards(b, reason).Metadata++
		return faultNone
	}
	if len(b.Metadata) == cap(b.Metadata) {
		var ok bool
		if b.Metadata, ok = reserve(b.Metadata, 1, d.limits.MaxBatchSize); !ok {
			return faultBatchSize
		}
	}
	b.Metadata = append(b.Metadata, md)
	return faultNone
}
