// Package faultfs holds the test doubles of disk.FS. Only tests import it.
//
// Inject stands between the program and any file system. Rules pick operations by kind, by path and by how
// many of them went before, and make them fail, write a part only, take long, or call a function, which may
// end the process there and then:
//
//	full := &faultfs.Rule{Kinds: faultfs.Write | faultfs.Allocate, Path: "wal/*", Err: unix.ENOSPC}
//	fsys := faultfs.Inject(disk.OS, full)
//	…
//	full.Clear() // there is room again
//
// Mem is a file system in memory that knows what was synced. Crash cuts the power: it returns what the next
// boot may find. The two are made to be stacked: a Before function that calls Mem.Crash gives the disk of a
// power cut at exactly that operation, and a Sync that Inject fails makes Mem forget what was dirty, as the
// kernel does.
//
// # The model of a power cut
//
// What the interface promises is kept, and nothing else:
//
//   - Contents are kept in blocks of 4 KiB. Each block that was written since the file's last good Sync has its
//     new or its old contents, by itself.
//   - A file that changed its size since then has a size between the old and the new one. What lies beyond the
//     data that made it to the disk reads as zeros.
//   - Each create, mkdir, link, remove and rename since the last SyncDir of its directory happened or did
//     not, by itself, unless it needs an earlier one that did not. A rename is one change of two names: a file
//     is found under the old or the new one.
//   - Sync of a file does not keep its name, and SyncDir does not keep the contents of what it names, nor the
//     name of the directory itself.
//
// Real file systems mostly keep more. A program that works on this one does not depend on which.
package faultfs
