package bench

import (
	"fmt"
	"math"
	"strings"
)

// Values is the kind of values that samples have. It decides the size of chunks and of the log more than
// anything else does. In an XOR chunk of 120 samples: counters about 1.9 bytes a sample, the two others
// about 7.5.
type Values uint8

const (
	// Counters are whole numbers that grow by 0 to 1000 a scrape; one of five stands still.
	Counters Values = iota
	// CPUSeconds are counters of seconds: they grow by fractions that use the whole mantissa.
	CPUSeconds
	// Gauges are random numbers.
	Gauges
	// Mixed is six counters to two CPU seconds to two gauges, decided by the metric.
	Mixed

	valuesEnd
)

var valuesNames = [valuesEnd]string{"counters", "cpu", "gauges", "mixed"}

func (v Values) String() string { return valuesNames[v] }

// Set reads a kind by its name, so that Values serves as a flag.
func (v *Values) Set(s string) error {
	for i, name := range valuesNames {
		if s == name {
			*v = Values(i)
			return nil
		}
	}
	return fmt.Errorf("bench: no such kind of values %q, want one of %s", s, strings.Join(valuesNames[:], ", "))
}

// of is the kind of the series at place i of a target.
func (v Values) of(i int) Values {
	if v != Mixed {
		return v
	}
	switch i % 10 {
	case 6, 7:
		return CPUSeconds
	case 8, 9:
		return Gauges
	default:
		return Counters
	}
}

// at is the value of the series with this identity at a scrape. Counters of both kinds never fall: what is
// random in one scrape's value is less than what a scrape adds.
func (v Values) at(id uint64, scrape int, seconds float64) float64 {
	k := uint64(scrape)
	r := mix(id + k*0x9e3779b97f4a7c15)
	switch v {
	case CPUSeconds:
		return (float64(k) + unit(r)) * unit(id) * seconds
	case Gauges:
		return unit(r) * math.Exp2(float64(id>>59))
	default:
		rate := counterRates[id%uint64(len(counterRates))]
		return float64(id>>(48+id>>8%16) + rate*k + r%(rate+1))
	}
}

// counterRates are units a scrape.
var counterRates = [10]uint64{0, 0, 1, 2, 4, 9, 30, 80, 200, 500}

// unit is a number in [0, 1) with all 53 bits in use.
func unit(r uint64) float64 { return float64(r>>11) * 0x1p-53 }

// mix is the finalizer of splitmix64: a bijection whose output looks random.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
