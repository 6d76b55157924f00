// Package pb reads and writes the messages of the service cortex.Ingester, but for those of pushes, which rpc/wire walks.
//
// They are few and small, so they are written by hand with protobuf's own primitives instead of being generated: a request
// becomes matchers at once, and an answer is appended to a buffer, without a struct for every label and chunk in between.
//
// Numbers and types are those of Cortex 1.21; what Mimir has in addition is said where it stands. Fields that are not
// known are skipped. A known one of another wire type is an error.
package pb
