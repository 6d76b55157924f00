package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/rpc/ring"
)

// memory is what an instance remembers of its place in the ring. The file's fields are in the package comment.
type memory struct {
	Tokens     []uint32
	Mode       ring.State // Active or ReadOnly
	ModeSet    int64      // s, when Mode last changed; 0 = never
	Timestamp  int64      // s, of the entry as it was last written
	Registered int64      // s
}

type memoryFile struct {
	PreviousState string   `json:"previousState,omitempty"`
	Tokens        []uint32 `json:"tokens"`
	Timestamp     int64    `json:"timestamp,omitempty"`
	Registered    int64    `json:"registeredTimestamp,omitempty"`
	ModeSet       int64    `json:"readOnlyUpdatedTimestamp,omitempty"`
}

// readMemory returns an empty memory if there is no file.
func readMemory(fsys disk.FS, name string) (memory, error) {
	b, err := disk.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return memory{}, nil
	}
	if err != nil {
		return memory{}, fmt.Errorf("lifecycle: read the tokens file: %w", err)
	}
	var f memoryFile
	if err := json.Unmarshal(b, &f); err != nil {
		return memory{}, fmt.Errorf("lifecycle: the tokens file %s is damaged: %w; restore it, or remove it and new tokens are made", name, err)
	}
	slices.Sort(f.Tokens)
	m := memory{
		Tokens: slices.Compact(f.Tokens), Mode: ring.Active,
		Timestamp: f.Timestamp, Registered: f.Registered, ModeSet: f.ModeSet,
	}
	if f.PreviousState == ring.ReadOnly.String() {
		m.Mode = ring.ReadOnly
	}
	return m, nil
}

func (m *memory) write(fsys disk.FS, name string) error {
	f := memoryFile{Tokens: m.Tokens, Timestamp: m.Timestamp, Registered: m.Registered, ModeSet: m.ModeSet}
	if m.Mode != ring.Active {
		f.PreviousState = m.Mode.String()
	}
	b, err := json.Marshal(&f)
	if err != nil {
		return fmt.Errorf("lifecycle: encode the tokens file: %w", err)
	}
	if err := disk.WriteFileAtomic(fsys, name, b); err != nil {
		return fmt.Errorf("lifecycle: write the tokens file: %w", err)
	}
	return nil
}
