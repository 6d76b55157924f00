//go:build !race

package engine

// underRace: the race detector watches, and everything takes ten times as long.
const underRace = false
