// Package lifecycle keeps this instance's entry of the ring: its state, its tokens and its heartbeats.
//
// # States
//
//	             Join                   SetMode
//	PENDING ───────────────► ACTIVE ◄───────────► READONLY
//	   │  ▲                    │ ▲                   │
//	   │  │ tokens disputed    │ │                   │ Leave (stays READONLY on the wire)
//	   ▼  │                    │ │                   ▼
//	  JOINING ─────────────────┼─┘                 (gone)
//	  for ObservePeriod        │ Leave                ▲
//	                           ▼                      │
//	                        LEAVING ──────────────────┘ Unregister, or the process ends and the entry stays
//
// JOINING is also what a PENDING instance is while another's data comes in (Receiving): Claim makes it ACTIVE with the
// other's tokens, GiveUp PENDING again.
//
// ACTIVE and READONLY take pushes, all states answer queries: Accepting says which it is. READONLY takes them from
// distributors that have not heard of it yet, for tenants that it has; a new tenant would keep it from ever getting empty.
//
// # Start
//
//	in the ring as   and then
//	absent           PENDING without tokens; with tokens in the file it stays out of the ring until Join
//	JOINING          PENDING
//	LEAVING          PENDING, tokens kept
//	ACTIVE           ACTIVE at once: the process was killed, and the ring would not have been told before it is back
//	READONLY         READONLY
//
// Join is called when recovery is through. An entry that is found keeps its tokens and the time of its registration, which
// decides which tenants read from it.
//
// # Who is right
//
// What is in memory is what the entry shall be, and every heartbeat writes all of it. So a state change that the store
// did not take is made up for by the next heartbeat, and an entry that vanished comes back with its tokens. Two things
// are the other way round: a LEAVING instance leaves the entry's tokens as they are, since somebody else may have claimed
// them; and a token that another instance has too is given up by the one that yields (ring.Desc.Yields) and replaced.
//
// Heartbeats have their own goroutine and wait for nothing but the store. While the store is away an instance goes on as it
// is. One that starts then and has tokens in its file takes up its work too: distributors still have its old entry.
//
// # The file
//
// tokens.json, replaced atomically and synced, {"tokens":[1,2,...]} as Cortex 1.10 and dskit write it and with "previousState"
// as Cortex 1.21 does. The other fields are ours and mean nothing to them:
//
//	tokens                    ascending
//	previousState             "READONLY"; absent means ACTIVE. The state to come back to.
//	timestamp                 s, of the entry when it was last written on the way out: the next has to be greater
//	registeredTimestamp       s, for the case that the ring is lost
//	readOnlyUpdatedTimestamp  s, when the instance last became READONLY or ceased to be
package lifecycle
