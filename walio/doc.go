// Package walio is the log: group commit, segments, parallel replay, damage and what it cost.
package walio
