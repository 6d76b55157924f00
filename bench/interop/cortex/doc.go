// Package cortex runs Cortex 1.21.1's own code against the ingester's binary: its generated client, the way that its
// distributor and querier use it, and the functions with which they judge what they get.
//
//	go test -tags "netgo slicelabels" -ingester path/to/ingester ./...
//
// The tags are those that Cortex is built with.
package cortex
