// Package ring is the hash ring as Cortex keeps it in its key-value store: what it looks like on the wire, how two
// views of it are merged, and who owns which part.
//
// dskit's ring is not used because it has no READONLY state, drops fields that it does not know when it writes the
// ring back, and calls its metrics otherwise. Its key-value clients are used as they are.
//
// # Value of the key collectors/ring
//
// One snappy block (not a framed stream) of one protobuf message:
//
//	Desc                     1  ingesters   map<string, InstanceDesc>, the key is the instance's id
//
//	InstanceDesc             1  addr        string, host:port of gRPC
//	                         2  timestamp   int64, s, of the last heartbeat
//	                         3  state       enum, see State
//	                         6  tokens      repeated uint32, packed, ascending
//	                         7  zone        string
//	                         8  registered  int64, s, when it joined; 0 or less = unknown
//	dskit and Mimir also     9  id          string
//	                        10  read-only since  int64, s
//	                        11  read-only   bool
//	                        12  versions    map<uint64, uint64>
//
// Fields that are not in this list are kept as bytes and written back, those of other instances too: a compare-and-set of
// ours takes nothing from anybody. Cortex drops fields 9 to 12 of all instances when it writes; an instance's next
// heartbeat brings its own back.
//
// # Merging, for memberlist
//
// An instance's entry with the greater timestamp wins. At the same timestamp only LEFT is accepted, so two changes of
// one instance need two timestamps. An instance that a local compare-and-set removed becomes LEFT, and the tombstone is kept
// for a while. A token that two instances have goes to the one that is not LEAVING, then to the one whose id sorts first.
package ring
