package ckpt

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A copy of the catalogue, as drawn in doc.go.
const (
	catalogueMagic  = "rekcatal"
	catalogueLayout = 1

	// copySize is the room of each of the two copies. The largest copy, 64 stripes and the longest tenant,
	// takes less than half of it.
	copySize      = 8 << 10
	catalogueSize = 2 * copySize

	catalogueFixed = 128
	maxTenant      = 256
	entrySize      = 24
	stripeSize     = 2 * entrySize
	catalogueMin   = catalogueFixed + stripeSize + checksumSize
)

var _ [copySize - (catalogueFixed + maxTenant + MaxStripes*stripeSize + checksumSize)]struct{}

// encodedSize is the length of a copy, without padding.
func (c *Catalogue) encodedSize() int {
	return catalogueFixed + (len(c.Tenant)+7)/8*8 + len(c.Images)*stripeSize + checksumSize
}

// encode makes one copy, padded with zeros to copySize.
func (c *Catalogue) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, copySize)
	b = appendPreamble(b, catalogueMagic, catalogueLayout, c.encodedSize())
	b = le.AppendUint32(b, uint32(len(c.Tenant)))
	b = le.AppendUint64(b, c.Seq)
	b = le.AppendUint64(b, c.Generation)
	b = le.AppendUint32(b, c.Stripes)
	b = le.AppendUint32(b, c.HashID)
	b = le.AppendUint32(b, c.RefLayout)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, c.Epoch)
	b = le.AppendUint64(b, c.EpochStart)
	b = le.AppendUint64(b, uint64(c.Floor))
	b = le.AppendUint64(b, c.SyncedThrough)
	b = le.AppendUint64(b, c.NextSegment)
	b = le.AppendUint64(b, uint64(c.Created))
	b = b[:catalogueFixed]
	b = append(b, c.Tenant...)
	b = b[:(len(b)+7)/8*8]
	for _, entries := range c.Images {
		for i := range 2 {
			var e Entry
			var slot, flags byte
			if i < len(entries) {
				e = entries[i]
				slot = byte(e.Slot) + 1
				if e.Synced {
					flags = entrySynced
				}
			}
			b = le.AppendUint64(b, e.Commit)
			b = le.AppendUint64(b, e.Header)
			b = append(b, slot, flags, 0, 0, 0, 0, 0, 0)
		}
	}
	b = le.AppendUint64(b, xxhash.Sum64(b))
	return b[:copySize]
}

// entrySynced is the flag of an image that was synced before it was published.
const entrySynced = 1 << 0

// decodeCatalogue reads one copy.
func decodeCatalogue(name string, b []byte) (*Catalogue, error) {
	n, err := checkPreamble(name, b, catalogueMagic, catalogueLayout, "catalogue", catalogueMin)
	if err != nil {
		return nil, err
	}
	b = b[:n]
	r := reader{b: b, pos: preambleSize}
	c := &Catalogue{}
	tenant := int(r.u32())
	c.Seq = r.u64()
	c.Generation = r.u64()
	c.Stripes, c.HashID, c.RefLayout = r.u32(), r.u32(), r.u32()
	zero := uint64(r.u32())
	c.Epoch, c.EpochStart = r.u64(), r.u64()
	c.Floor = int64(r.u64())
	c.SyncedThrough, c.NextSegment = r.u64(), r.u64()
	c.Created = int64(r.u64())
	rest := r.rest(catalogueFixed)

	// The checksum was right: what is wrong from here on was written so.
	bad := func(what string, want, got uint64) (*Catalogue, error) {
		return nil, &CorruptError{File: name, What: "catalogue: " + what, Want: want, Got: got}
	}
	if zero != 0 || !allZero(rest) {
		return bad("reserved bytes", 0, 1)
	}
	if tenant > maxTenant {
		return bad("length of the tenant's name", maxTenant, uint64(tenant))
	}
	if err := checkStripes(c.Stripes); err != nil {
		return bad("number of stripes", MaxStripes, uint64(c.Stripes))
	}
	padded := (tenant + 7) / 8 * 8
	if want := catalogueFixed + padded + int(c.Stripes)*stripeSize + checksumSize; want != n {
		return bad("length", uint64(want), uint64(n))
	}
	c.Tenant = string(r.rest(catalogueFixed + tenant))
	if !allZero(r.rest(catalogueFixed + padded)) {
		return bad("padding of the tenant's name", 0, 1)
	}
	c.Images = make([][]Entry, c.Stripes)
	for i := range c.Images {
		if c.Images[i], err = decodeEntries(&r); err != nil {
			return nil, &CorruptError{File: name, What: fmt.Sprintf("catalogue: stripe %d", i), Err: err}
		}
	}
	return c, nil
}

func decodeEntries(r *reader) ([]Entry, error) {
	var entries []Entry
	for i := range 2 {
		e := Entry{Commit: r.u64(), Header: r.u64()}
		tail := r.rest(r.pos + 8)
		slot, flags := tail[0], tail[1]
		if slot > byte(SlotNone)+1 || flags&^entrySynced != 0 || !allZero(tail[2:]) {
			return nil, fmt.Errorf("entry %d has slot %d, flags %#x", i, slot, flags)
		}
		if slot == 0 {
			if e != (Entry{}) || flags != 0 {
				return nil, fmt.Errorf("entry %d is not empty, but has no slot", i)
			}
			continue
		}
		e.Slot, e.Synced = SlotID(slot-1), flags&entrySynced != 0
		if len(entries) < i || i > 0 && entries[0].Slot == e.Slot {
			return nil, fmt.Errorf("entry %d has slot %s, which cannot follow", i, e.Slot)
		}
		if e.Slot == SlotNone && e.Header != 0 {
			return nil, fmt.Errorf("entry %d has a header, but no slot", i)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func checkStripes(n uint32) error {
	if n == 0 || n > MaxStripes || bits.OnesCount32(n) != 1 {
		return fmt.Errorf("%d stripes, want a power of two up to %d", n, MaxStripes)
	}
	return nil
}

func (id *Identity) validate() error {
	if len(id.Tenant) > maxTenant {
		return fmt.Errorf("tenant's name has %d bytes, at most %d are possible", len(id.Tenant), maxTenant)
	}
	if id.Generation == 0 {
		return fmt.Errorf("generation is 0")
	}
	return checkStripes(id.Stripes)
}
