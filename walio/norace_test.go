//go:build !race

package walio

const raceEnabled = false
