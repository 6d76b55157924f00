package metrics

import (
	"bytes"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	mapAreas      = describe("process_memory_map_areas", "Memory areas that the process has mapped.")
	mapAreasLimit = describe("process_memory_map_areas_limit", "Most that the kernel lets a process have (vm.max_map_count).")
)

// MapAreas counts the process's mappings, where the kernel tells of them in /proc.
type MapAreas struct{}

var _ prometheus.Collector = MapAreas{}

// Describe implements prometheus.Collector.
func (MapAreas) Describe(to chan<- *prometheus.Desc) {
	to <- mapAreas
	to <- mapAreasLimit
}

// Collect implements prometheus.Collector.
func (MapAreas) Collect(to chan<- prometheus.Metric) {
	if maps, err := os.ReadFile("/proc/self/maps"); err == nil {
		to <- prometheus.MustNewConstMetric(mapAreas, prometheus.GaugeValue, float64(bytes.Count(maps, []byte("\n"))))
	}
	if b, err := os.ReadFile("/proc/sys/vm/max_map_count"); err == nil {
		if n, err := strconv.ParseFloat(string(bytes.TrimSpace(b)), 64); err == nil {
			to <- prometheus.MustNewConstMetric(mapAreasLimit, prometheus.GaugeValue, n)
		}
	}
}
