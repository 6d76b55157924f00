//go:build !race && !linux

package arena

func advise([]byte) {}
