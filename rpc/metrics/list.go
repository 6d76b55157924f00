package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rekindledb/rekindle/engine"
)

var (
	users              = describe("cortex_ingester_memory_users", "Tenants in memory.")
	memory             = describe("rekindle_memory_bytes", "Memory outside the Go heap, by what it is for. go_memstats_* does not know of it.", "purpose")
	discardedSamples   = describe("cortex_discarded_samples_total", "Samples that were not stored, and why.", "reason", "user")
	discardedExemplars = describe("cortex_discarded_exemplars_total", "Exemplars that were not stored, and why.", "reason", "user")
	discardedMetadata  = describe("cortex_discarded_metadata_total", "Entries of metadata that were not kept, and why.", "reason", "user")

	imageLocks = describe("rekindle_image_lock_seconds", "Times that a stripe was locked to be copied: pushes to it waited.")

	restartForecast = describe("rekindle_restart_forecast_seconds", "How long a restart would take, from the start of the process to ready, if the process were killed now and the page cache stayed.")
	restartLast     = describe("rekindle_restart_last_seconds", "How long the start of this process took, by phase, from opening the data directory. 0 before it is ready.", "phase")
	failedStarts    = describe("rekindle_restart_failed_starts", "Starts in a row before this one that did not become ready. From 2 on a start writes images while it replays the log, which takes longer.")
	recoveryDone    = describe("rekindle_recovery_done_ratio", "How much of the present phase of the start is done; 1 when ready. /ready says which phase it is.")
	recoveryLeft    = describe("rekindle_recovery_left_seconds", "How long the rest of the start will take; 0 when ready, and absent while that is not known.")
)

// perTenant have a user label.
var perTenant = []metric{
	{
		desc: describe("cortex_ingester_memory_series_created_total", "Series created.", "user"), kind: prometheus.CounterValue,
		value: func(s *engine.Stats) float64 { return float64(s.Created) },
	},
	{
		desc: describe("cortex_ingester_memory_series_removed_total", "Always 0: series are not removed yet.", "user"), kind: prometheus.CounterValue,
		value: func(*engine.Stats) float64 { return 0 },
	},
	{
		desc: describe("cortex_ingester_active_series", "Series in memory; which of them are idle is not tracked yet.", "user"), kind: prometheus.GaugeValue,
		value: func(s *engine.Stats) float64 { return float64(s.Series) },
	},
	{
		desc: describe("cortex_ingester_tsdb_storage_blocks_bytes", noBlocks, "user"), kind: prometheus.GaugeValue,
		value: func(*engine.Stats) float64 { return 0 },
	},
	{
		desc: describe("cortex_ingester_tsdb_data_replay_duration_seconds", "How long this tenant's recovery took at start.", "user"), kind: prometheus.GaugeValue,
		value: recovery,
	},
}

// totals are over all tenants.
var totals = []metric{
	gauge("cortex_ingester_memory_series", "Series in memory.",
		func(s *engine.Stats) float64 { return float64(s.Series) }),
	gauge("cortex_ingester_memory_metadata", "Entries of metadata in memory.",
		func(s *engine.Stats) float64 { return float64(s.MetadataKeys) }),
	counter("cortex_ingester_ingested_samples_total", "Samples accepted, those included that were there already with the same value.",
		func(s *engine.Stats) float64 { return float64(s.Stored + s.Duplicates) }),
	counter("cortex_ingester_ingested_samples_failures_total", "Samples refused; cortex_discarded_samples_total says why.", refused),
	largest("cortex_ingester_tsdb_head_max_timestamp_seconds", "Timestamp of the newest sample. Far in the future: a sender's clock is wrong.",
		func(s *engine.Stats) float64 { return float64(s.MaxTime) / 1000 }),

	// The log.
	counter("cortex_ingester_wal_records_logged_total", "Records written to the log.",
		func(s *engine.Stats) float64 { return float64(s.Log.Records) }),
	counter("cortex_ingester_wal_logged_bytes_total", "Bytes written to the log.",
		func(s *engine.Stats) float64 { return float64(s.Log.Bytes) }),
	counter("cortex_ingester_tsdb_wal_writes_failed_total", "Writes and syncs of the log that failed. Pushes get 503 until one succeeds: look at the disk.",
		func(s *engine.Stats) float64 { return float64(s.Log.Failures) }),
	counter("cortex_ingester_wal_corruptions_total", "Damaged places of the log found at start. Each is a line of ledger.jsonl in the tenant's directory.", losses),
	counter("cortex_ingester_tsdb_wal_corruptions_total", "The same as cortex_ingester_wal_corruptions_total.", losses),
	counter("rekindle_log_commits_total", "Commits written. Requests that wait at the same time share one.",
		func(s *engine.Stats) float64 { return float64(s.Log.Commits) }),
	counter("rekindle_log_syncs_total", "Syncs of the log.",
		func(s *engine.Stats) float64 { return float64(s.Log.Syncs) }),
	counter("rekindle_log_sync_seconds_total", "Time spent in syncs of the log. Divided by rekindle_log_syncs_total it is the disk's latency.",
		func(s *engine.Stats) float64 { return s.Log.SyncTime.Seconds() }),
	largest("rekindle_log_unsynced_seconds", "Age of the oldest commit that is written and not synced: what a power cut would take now.",
		func(s *engine.Stats) float64 { return s.Log.SecondsUnsynced }),
	gauge("rekindle_log_retained_bytes", "Commits kept in memory until they are synced.",
		func(s *engine.Stats) float64 { return float64(s.Log.RetainedBytes) }),
	gauge("rekindle_log_pending_bytes", "Samples in memory on their way to the log. Near its limit, pushes get 503: the disk is too slow.",
		func(s *engine.Stats) float64 { return float64(s.PendingBytes) }),
	gauge("rekindle_log_segments", "Segments of the log on disk.",
		func(s *engine.Stats) float64 { return float64(s.Log.Segments) }),
	gauge("rekindle_log_segment_bytes", "Bytes of the log on disk.",
		func(s *engine.Stats) float64 { return float64(s.Log.SegmentBytes) }),
	gauge("rekindle_chunk_buffer_bytes", "Closed chunks that wait for their files.",
		func(s *engine.Stats) float64 { return float64(s.ChunkBuffers) }),

	// Images.
	counter("cortex_ingester_checkpoint_creations_total", "Images published, one a stripe.",
		func(s *engine.Stats) float64 { return float64(s.Images.Images) }),
	counter("cortex_ingester_tsdb_checkpoint_creations_total", "The same as cortex_ingester_checkpoint_creations_total.",
		func(s *engine.Stats) float64 { return float64(s.Images.Images) }),
	counter("cortex_ingester_checkpoint_creations_failed_total", "Images that could not be written or did not pass their check. The older one and the log are kept.", imagesFailed),
	counter("cortex_ingester_tsdb_checkpoint_creations_failed_total", "The same as cortex_ingester_checkpoint_creations_failed_total.", imagesFailed),
	counter("cortex_ingester_checkpoint_logged_bytes_total", "Bytes of images written.",
		func(s *engine.Stats) float64 { return float64(s.Images.Bytes) }),
	counter("rekindle_image_seconds_total", "Time spent on published images.",
		func(s *engine.Stats) float64 { return s.Images.Seconds }),
	largest("rekindle_image_hold_seconds", "Longest time that a stripe was locked to be copied: pushes to it waited.",
		func(s *engine.Stats) float64 { return s.Images.Holds.Longest.Seconds() }),
	largest("rekindle_image_hold_cpu_seconds", "Most CPU time that was spent under a stripe's lock at a time to copy it. rekindle_image_hold_seconds is longer where the one who held it was not given a core.",
		func(s *engine.Stats) float64 { return s.Images.Holds.MostCPU.Seconds() }),
	gauge("rekindle_image_broken_stripes", "Stripes whose memory contradicts itself. Above 0: they are not imaged any more and their log is kept; report it, and restart.",
		func(s *engine.Stats) float64 { return float64(s.Images.Broken) }),

	// What a restart costs, before and after.
	gauge("rekindle_restart_tail_samples", "Samples that a restart would replay if the process were killed now.",
		func(s *engine.Stats) float64 { return float64(s.Tail) }),
	largest("rekindle_restart_point_age_seconds", "Age of the oldest image that such a restart would begin from; from there on it needs the log. Counted from the start of this process at the earliest.",
		func(s *engine.Stats) float64 { return s.ImageAge.Seconds() }),
	gauge("cortex_ingester_wal_replay_duration_seconds", "How long recovery took at start.", recovery),
	gauge("rekindle_recovery_images_seconds", "How much of it was reading images.",
		func(s *engine.Stats) float64 { return s.Recover.Images.Seconds() }),
	gauge("rekindle_recovery_log_seconds", "How much of it was replaying the log.",
		func(s *engine.Stats) float64 { return s.Recover.Replay.Seconds() }),
	gauge("rekindle_recovery_image_bytes", "Bytes of images read at start.",
		func(s *engine.Stats) float64 { return float64(s.Recover.ImageBytes) }),
	gauge("rekindle_recovery_entries", "Entries of the log read at start, those included that the images had.",
		func(s *engine.Stats) float64 { return float64(s.Recover.Entries) }),
	gauge("rekindle_recovery_names", "Names of series among them.",
		func(s *engine.Stats) float64 { return float64(s.Recover.Names) }),
	gauge("rekindle_recovery_samples", "Samples replayed at start.",
		func(s *engine.Stats) float64 { return float64(s.Recover.Samples) }),
	gauge("rekindle_recovery_series", "Series made at start from what the log says.",
		func(s *engine.Stats) float64 { return float64(s.Recover.Series) }),
}

// summaries are over all tenants.
var summaries = []summary{
	{
		desc:  describe("cortex_ingester_checkpoint_duration_seconds", "Time that images took."),
		count: func(s *engine.Stats) uint64 { return s.Images.Images }, sum: func(s *engine.Stats) float64 { return s.Images.Seconds },
	},
	{
		desc:  describe("cortex_ingester_tsdb_wal_fsync_duration_seconds", "Time that syncs of the log took."),
		count: func(s *engine.Stats) uint64 { return uint64(s.Log.Syncs) }, sum: func(s *engine.Stats) float64 { return s.Log.SyncTime.Seconds() },
	},
}

// walReplay has an observation for each tenant that was recovered.
var walReplay = describe("cortex_ingester_tsdb_wal_replay_duration_seconds", "How long recovery of a tenant took at start.")

func recovery(s *engine.Stats) float64 { return (s.Recover.Images + s.Recover.Replay).Seconds() }

func losses(s *engine.Stats) float64 { return float64(s.Recover.Losses) }

func imagesFailed(s *engine.Stats) float64 { return float64(s.Images.Failed) }

func refused(s *engine.Stats) float64 {
	n := 0
	for _, d := range s.Discards {
		n += d.Samples
	}
	return float64(n)
}
