package ring

import (
	"slices"
	"strconv"
	"time"
)

// Key is the ingesters' ring in the key-value store, behind -ring.prefix.
const Key = "ring"

// State of an instance. The numbers are on the wire.
type State int32

const (
	Active   State = 0 // takes writes and reads
	Leaving  State = 1 // stops: no writes, reads until it is gone
	Pending  State = 2 // starts, or waits for another's tokens
	Joining  State = 3 // has tokens and looks whether they are its alone, or receives another's data
	Left     State = 4 // gone; a tombstone that only memberlist keeps
	ReadOnly State = 5 // no writes, reads go on; Cortex 1.21 and later
)

var stateNames = [...]string{"ACTIVE", "LEAVING", "PENDING", "JOINING", "LEFT", "READONLY"}

func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return strconv.Itoa(int(s))
	}
	return stateNames[s]
}

// ParseState returns the state of a name, false if there is none.
func ParseState(name string) (State, bool) {
	i := slices.Index(stateNames[:], name)
	return State(i), i >= 0
}

// Instance is one member's entry.
type Instance struct {
	Addr       string
	Timestamp  int64 // s, of the last heartbeat
	State      State
	Tokens     []uint32 // ascending
	Zone       string
	Registered int64 // s; 0 or less = unknown

	// As dskit and Mimir say READONLY: ACTIVE with a flag.
	ID              string
	ReadOnlyUpdated int64 // s
	ReadOnly        bool

	unknown []byte // fields not known here, as they were read
}

// Healthy reports whether the last heartbeat is at most timeout old. Other states than "unhealthy" are on the wire, this
// one every reader finds out for itself.
func (i *Instance) Healthy(now time.Time, timeout time.Duration) bool {
	return timeout <= 0 || now.Sub(time.Unix(i.Timestamp, 0)) <= timeout
}

// equal compares all but the timestamp.
func (i *Instance) equal(o *Instance) bool {
	return i.Addr == o.Addr && i.State == o.State && slices.Equal(i.Tokens, o.Tokens) && i.Zone == o.Zone &&
		i.Registered == o.Registered && i.ID == o.ID && i.ReadOnlyUpdated == o.ReadOnlyUpdated && i.ReadOnly == o.ReadOnly
}

// Desc is the ring.
type Desc struct {
	Instances map[string]Instance

	unknown []byte
}

// NewDesc returns an empty ring.
func NewDesc() *Desc { return &Desc{Instances: map[string]Instance{}} }

// Of returns the ring in a value of a key-value client, which is nil if the key does not exist.
func Of(value any) *Desc {
	if d, ok := value.(*Desc); ok && d != nil {
		return d
	}
	return NewDesc()
}

// Put sets an instance's entry with a new timestamp and reports whether there is anything to write. A change moves the
// timestamp forward by at least a second, because others ignore a change that does not; it may be ahead of the
// clock then, by far less than the half hour that Cortex allows.
func (d *Desc) Put(id string, in Instance, now time.Time) (Instance, bool) {
	old, there := d.Instances[id]
	in.unknown = old.unknown
	in.Timestamp = max(in.Timestamp, old.Timestamp)
	switch t := now.Unix(); {
	case !there || !old.equal(&in):
		in.Timestamp = max(t, in.Timestamp+1)
	case t <= old.Timestamp:
		return old, false
	default:
		in.Timestamp = t
	}
	in.Timestamp = min(in.Timestamp, now.Add(aheadMax).Unix())
	d.Instances[id] = in
	return in, true
}

// aheadMax is how far a timestamp may be ahead of the clock. Cortex refuses a whole gossip message for one that is
// 30 minutes ahead.
const aheadMax = 25 * time.Minute
