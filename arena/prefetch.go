//go:build amd64 || arm64

package arena

import "unsafe"

// Prefetch asks for the cache lines at refs, and waits for none of them: whoever comes to one a little later finds
// it near. A reference to nothing costs nothing.
func (a *Arena) Prefetch(refs []Ref) {
	if len(refs) > 0 {
		prefetch(a.base, unsafe.SliceData(refs), len(refs))
	}
}

// Prefetch is the same for addresses, of several arenas perhaps. They need not be those of anything.
func Prefetch(addrs []uintptr) {
	if len(addrs) > 0 {
		prefetchAt(unsafe.SliceData(addrs), len(addrs))
	}
}

//go:noescape
func prefetch(base unsafe.Pointer, refs *Ref, n int)

//go:noescape
func prefetchAt(addrs *uintptr, n int)
