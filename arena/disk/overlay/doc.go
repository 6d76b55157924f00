// Package overlay is a file system that takes every change and keeps it in memory: what lies below is only
// read. A tool can thus let the engine recover a data directory, with all the repairs that a start makes, and not
// touch a byte of it.
//
// Directories of the file system below appear where Mount puts them:
//
//	overlay                           below
//	/
//	/team-a         --Mount-->        /backup/tuesday/team-a.old
//	/team-a/wal                       /backup/tuesday/team-a.old/wal
//
// so that a copy of a tenant's directory can be read whatever its name is now. Everything else is made in memory.
//
// The tree of names is read from below when somebody looks, and lives in memory from then on; a file's contents are
// read from below except for the blocks that were written here. What another process does below meanwhile may be
// seen or not. Nothing is ever durable, so syncing does nothing, and locks are granted: nobody else sees this file
// system.
package overlay
