package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/rekindledb/rekindle/bench"
)

// Systems that are measured.
const (
	rekindle   = "rekindle"
	prometheus = "prometheus"
)

// spec tells a child process what to do. It opens the system on Dir; then it loads or checks; then it waits
// for the word to stop in good order, or for SIGKILL.
type spec struct {
	System   string
	Dir      string
	Workload bench.Params
	Scrapes  int
	Writers  int
	Request  int // samples in a request

	// Load writes all scrapes. Otherwise Check reads them back.
	Load, Check bool
	// Read asks questions after loading.
	Read *readOrders

	// Images is Rekindle's checkpointing, and Snapshot is Prometheus's of its memory at a clean stop. Both are what
	// makes a restart faster than replaying the log.
	Images, Snapshot bool
}

// event is what a child tells its parent, a line of JSON each.
type event struct {
	// Phase and the share of it that is done, for the one who waits.
	Phase string  `json:",omitempty"`
	Done  float64 `json:",omitempty"`

	Ready  *readyEvent  `json:",omitempty"`
	Loaded *loadedEvent `json:",omitempty"`
	Found  *bench.Found `json:",omitempty"`
	Read   *readFigures `json:",omitempty"`
	Error  string       `json:",omitempty"`
}

// readyEvent says that the system answers.
type readyEvent struct {
	Memory memory  // right then
	CPU    float64 // seconds that it took
}

// loadedEvent says what it took to write all scrapes.
type loadedEvent struct {
	Create, Append phase
	Memory         memory // as the system ran
	Heap           int64  // bytes of Go heap that are live, after a collection
}

// perSeries is the resident memory. Without churn the first scrape creates all series.
func (l *loadedEvent) perSeries() float64 {
	return float64(l.Memory.Resident) / float64(l.Create.Samples)
}

// phase is one stretch of writing.
type phase struct {
	Samples  int
	Wall     float64 // seconds
	CPU      float64 // seconds, less the workload's own
	LogBytes int64   // that the log grew by
	Requests int
	P50, P99 float64 // seconds that requests took
}

func (p phase) cpuPerSample() float64 { return p.CPU / float64(p.Samples) }

// memory of a process in bytes; 0 where the system does not tell.
type memory struct{ Resident, Peak int64 }

func readSpec(text string) (spec, error) {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("read the child's orders: %w", err)
	}
	return s, nil
}

var events = json.NewEncoder(os.Stdout)

func tell(e event) { _ = events.Encode(e) } // a parent that is gone needs no answer
