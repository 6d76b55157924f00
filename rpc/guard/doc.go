// Package guard stands between requests and the engine, whatever protocol they come by: whose a request is, whether the
// engine takes requests now, how many of them at a time, and what an error of the engine means to the sender.
//
// A sender repeats a request that fails through our own trouble and drops one whose data is bad. A Refusal says which of
// the two it is by an HTTP status code; each protocol writes it down in its own way.
package guard
