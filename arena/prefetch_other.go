//go:build !amd64 && !arm64

package arena

// Prefetch does nothing here.
func (a *Arena) Prefetch([]Ref) {}

// Prefetch does nothing here.
func Prefetch([]uintptr) {}
