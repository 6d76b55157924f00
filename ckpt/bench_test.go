package ckpt

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/rekindledb/rekindle/arena"
	"github.com/rekindledb/rekindle/arena/disk"
)

// The benchmarks write and load the image of one stripe on the real file system, without syncing: the CPU and the
// page cache, not the disk. by=pwrite and by=xxhash are what it cannot be faster than.

func benchImage(b *testing.B, extents int) (*Store, []byte, Config) {
	cfg := testConfig(disk.OS)
	cfg.Dir = b.TempDir()
	s, err := Create(cfg, testIdentity(1))
	must(b, err)
	b.Cleanup(func() { _ = s.Close() })
	mem := make([]byte, extents*ExtentSize)
	for i := 0; i < len(mem); i += 8 {
		binary.LittleEndian.PutUint64(mem[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	return s, mem, cfg
}

func BenchmarkWrite(b *testing.B) {
	for _, extents := range []int{16, 1600, 16000} {
		b.Run(fmt.Sprintf("extents=%d/by=ours", extents), func(b *testing.B) {
			s, mem, _ := benchImage(b, extents)
			b.SetBytes(int64(len(mem)))
			commit := uint64(0)
			for b.Loop() {
				commit++
				w := s.Begin(0)
				must(b, w.Write(Meta{Commit: commit, Extents: uint32(extents)}, []arena.Run{{Data: mem}}))
				must(b, w.Walk(func([]byte) error { return nil }))
			}
		})
		b.Run(fmt.Sprintf("extents=%d/by=xxhash", extents), func(b *testing.B) {
			_, mem, _ := benchImage(b, extents)
			b.SetBytes(int64(len(mem)))
			sum := uint64(0)
			for b.Loop() {
				for i := 0; i < len(mem); i += ExtentSize {
					sum += xxhash.Sum64(mem[i : i+ExtentSize])
				}
			}
		})
		b.Run(fmt.Sprintf("extents=%d/by=pwrite", extents), func(b *testing.B) {
			_, mem, cfg := benchImage(b, extents)
			f, err := disk.OS.Create(cfg.Dir + "/raw")
			must(b, err)
			defer f.Close()
			b.SetBytes(int64(len(mem)))
			for b.Loop() {
				_, err := f.WriteAt(mem, 0)
				must(b, err)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, extents := range []int{16, 1600, 16000} {
		b.Run(fmt.Sprintf("extents=%d", extents), func(b *testing.B) {
			s, mem, _ := benchImage(b, extents)
			w := s.Begin(0)
			must(b, w.Write(Meta{Commit: 1, Extents: uint32(extents)}, []arena.Run{{Data: mem}}))
			must(b, w.Walk(func([]byte) error { return nil }))
			must(b, s.Publish(Update{Images: []*Writer{w}, Unsynced: true, SyncedThrough: 1}))
			dst := make([]byte, len(mem))
			b.SetBytes(int64(len(mem)))
			for b.Loop() {
				l, err := s.Load(0, func(im *Image) error { return im.ReadTo(dst) })
				if err != nil || !l.Found {
					b.Fatal(l, err)
				}
			}
		})
	}
}
