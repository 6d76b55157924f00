// Package engine is the ingester: tenants of stripes, append, query, images, recovery.
//
// # The life of a sample
//
//	rpc/wire      walks the request bytes once, called by Append; a series is its canonical label bytes (Batch)
//	resolve       a series is guessed to be the one that followed the one before last time, and its labels are compared
//	              with what the trail has of them, by the decoder before it looks at them (Expect); only where they
//	              differ is anything checked, hashed and looked up. stripe = hash & (N-1)
//	admit         log failed, too much pending, recovery not done: 503 before anything is stored
//	partition     the batch is taken stripe by stripe, in an order of its own
//	stripe        under its lock: look up what was not found (labels are compared on every hit) or create; judge; append to the
//	              open XOR chunk; put the sample among the stripe's pending entries
//	commit        the log's committer takes all stripes' pending entries, builds commit c, writes it
//	answer        2xx, and 400 for the part that was refused, wait for a commit that began after the last
//	              stripe's lock was given back
//	chunk         closes at 120 samples or where a 2 h range ends, and goes to an append-only file
//	image         from time to time what changed of a stripe is copied, step by step, and the committer completes
//	              the copy while it builds a commit: the image holds the commits up to that one, exactly
//
// # A stripe
//
//	arena (one range of addresses, no Go pointers)
//	  root       tables, counts, pending entries          rewritten with every image
//	  records    64 B a series: appender state, refs      change with every sample
//	  chunks     open XOR chunks, in blocks of 64 B       their last blocks change with every sample
//	  labels     names, pairs, label sets                 never change
//	  postings   pair -> series, name -> pairs            grow when series are created
//	  tables     hash -> series, pair, name               grow when series are created
//	  index      index -> record                          grows when series are created
//	chunk files  closed chunks, linked backwards from the record
//
// What refers to a series uses its index, through the index table. ref = index*N + stripe names a series in
// the log and for ever; indexes are never used twice in a generation.
//
// A generation of a tenant is {N, placement hash and its input, layout of references}. Files of another
// generation are foreign. Nothing of a process or a directory goes into the hash, so that a stripe can
// travel.
//
// # Guarantees
//
//   - Process killed at any instruction: every acknowledged sample is there after the restart, once. What
//     was not acknowledged may be there in part.
//   - Power cut: with wal-sync=always the same; with wal-sync=interval at most twice the interval is missing,
//     and nothing before it.
//   - Disk full, or failing: pushes are refused with 503, queries go on, and it resumes by itself.
//   - Damage on disk is found by checksums, costs the damaged part at most, and is written to the tenant's
//     ledger.jsonl; the process starts.
//   - Queries may show samples that are not durable yet.
//
// Why a retry cannot be acknowledged without being in the log: a duplicate adds no entry, but its request
// waits like any other for a commit that began after it looked, and that commit takes the pending entry of
// whoever stored the sample. If that commit fails, so does the request.
//
// Why an image is exact: the committer takes a stripe's pending entries and copies what has changed since the
// steps before in one critical section. Entries before are in commits <= c, entries after in commits > c. Replay applies to a
// stripe the commits > c of its image. No timestamps are compared.
//
// # Locks, outermost first
//
// What is not listed is a leaf: nothing is acquired under it.
//
//	Engine.appending    held for reading by an append from admission to answer, for writing by Close
//	Tenant.open         held for reading by a query, for writing when the arenas are given back
//	Engine.creating     one new tenant at a time; I/O under it
//	Engine.mu           the map of tenants
//	chunkStore.flushMu  one flush or sync of a stripe's chunk files at a time; I/O under it
//	stripe.mu           one at a time, by all; no I/O under it, and no step longer than some tens of
//	                    microseconds; an image is copied for 50 at a time
//	walio, ckpt         have locks of their own and call back only as Drain (committer) and Names (Cut), which
//	                    take stripe.mu
//
// Inside a stripe the arena, the root and the pending entries belong to the lock. Label bytes and the blocks of
// lists never change, as far as they are filled, and never move: they are read without it by whoever learnt their
// reference, or copied the list's head, under it. Of a record that is true of its labels and its index: the tenant's
// trail (trail.go), which is read without a lock, says where it lies. Nothing else that points into an arena leaves the lock; queries
// copy, lockStep series at a time, and give way every so often. query.go says what a query sees.
//
// A stripe's mutation counter is odd while it is being changed. A panic in such a moment ends the process,
// because handlers would survive it and the half-changed stripe would go into an image.
//
// # Where to read on
//
//	stripe.go stripe_append.go stripe_lookup.go                the stripe
//	label.go record.go pending.go                              what lies in it
//	append.go resolve.go trail.go trail_run.go                 a request
//	tenant.go drain.go                                         a commit
//	chunkfile.go chunkstore.go chunkread.go                    closed chunks
//	image.go shot.go walk.go image_due.go pace.go image_cut.go  images, and the log cut behind them
//	layout1.go                                                 images of the layout before
//	recover.go replay.go replay_order.go progress.go           the start
//	recover_carefully.go forecast.go                           starts that failed before, what the next one will take
//	query.go match.go judge.go postings.go copyout.go          series of a query
//	labelquery.go values.go matchcache.go                      label names and values, what is remembered of them
//	engine.go instance.go config.go                            the directory
//	inspect_*.go takein.go takein/                             tools, import
package engine
