//go:build !linux

package main

import "runtime"

// processMemory is unknown here: what this system tells differs from what Linux does, and the two should
// not be compared.
func processMemory() memory { return memory{} }

func processor() string { return runtime.GOARCH }
