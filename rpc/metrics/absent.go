package metrics

import "github.com/prometheus/client_golang/prometheus"

// Absent shows, as 0, what Cortex's ingester counts and this one has no part for: its alerts and dashboards then see that
// nothing happened, where they would otherwise see nothing at all.
//
// thanos_objstore_bucket_* are not among them. Cortex's alert that no block is shipped would fire on their zeros as long as
// there is no long-term storage.
type Absent struct{}

var _ prometheus.Collector = Absent{}

const (
	noTSDB     = "Always 0: there is no TSDB."
	noBlocks   = "Always 0: there are no blocks and no long-term storage yet."
	noFlush    = "Always 0: chunks are not flushed to a store."
	noExemplar = "Always 0: exemplars are not stored."
	noNative   = "Always 0: native histograms are not stored."
)

// absent are named without their prefix cortex_ingester_.
var absent = map[prometheus.ValueType]map[string]string{
	prometheus.CounterValue: {
		"ingested_native_histograms_total": noNative, "ingested_native_histograms_failures_total": noNative,
		"ingested_exemplars_total": noExemplar, "ingested_exemplars_failures_total": noExemplar,
		"tsdb_exemplar_exemplars_appended_total": noExemplar, "tsdb_exemplar_out_of_order_exemplars_total": noExemplar,

		"shipper_dir_syncs_total": noBlocks, "shipper_dir_sync_failures_total": noBlocks, "shipper_uploads_total": noBlocks,
		"shipper_upload_failures_total": noBlocks, "shipper_corrupted_blocks_total": noBlocks,
		"tsdb_compactions_triggered_total": noBlocks, "tsdb_compactions_failed_total": noBlocks, "tsdb_compactions_total": noBlocks,
		"tsdb_reloads_total": noBlocks, "tsdb_reloads_failures_total": noBlocks, "tsdb_time_retentions_total": noBlocks,

		"tsdb_head_truncations_total": noTSDB, "tsdb_head_truncations_failed_total": noTSDB, "tsdb_head_series_not_found_total": noTSDB,
		"tsdb_mmap_chunk_corruptions_total": noTSDB, "tsdb_mmap_chunks_total": noTSDB, "tsdb_snapshot_replay_error_total": noTSDB,
		"tsdb_wal_page_flushes_total": noTSDB, "tsdb_wal_completed_pages_total": noTSDB,
		"tsdb_wal_truncations_total": noTSDB, "tsdb_wal_truncations_failed_total": noTSDB,
		"tsdb_checkpoint_deletions_total": noTSDB, "tsdb_checkpoint_deletions_failed_total": noTSDB,
		"checkpoint_deletions_total": noTSDB, "checkpoint_deletions_failed_total": noTSDB,

		"chunks_created_total": noFlush, "dropped_chunks_total": noFlush,
	},
	prometheus.GaugeValue: {
		"oldest_unshipped_block_timestamp_seconds": noBlocks, "tsdb_blocks_loaded": noBlocks,
		"tsdb_exemplar_exemplars_in_storage": noExemplar, "tsdb_head_active_appenders": noTSDB, "tsdb_head_chunks": noTSDB,
		"flush_queue_length": noFlush, "flush_series_in_progress": noFlush, "memory_chunks": noFlush,
	},
}

// absentTimes are those that are never taken; as histograms and as summaries.
var (
	absentHistograms = map[string]string{
		"tsdb_compaction_duration_seconds": noBlocks, "tsdb_appender_add_duration_seconds": noTSDB, "tsdb_appender_commit_duration_seconds": noTSDB,
		"queried_exemplars": noExemplar, "chunk_age_seconds": noFlush, "chunk_length": noFlush, "chunk_size_bytes": noFlush, "chunk_utilization": noFlush,
	}
	absentSummaries = map[string]string{"tsdb_wal_truncate_duration_seconds": noTSDB, "tsdb_head_gc_duration_seconds": noTSDB}
)

const ingesterPrefix = "cortex_ingester_"

// Describe implements prometheus.Collector.
func (a Absent) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(a, to) }

// Collect implements prometheus.Collector.
func (Absent) Collect(to chan<- prometheus.Metric) {
	for kind, all := range absent {
		for name, help := range all {
			to <- prometheus.MustNewConstMetric(describe(ingesterPrefix+name, help), kind, 0)
		}
	}
	for name, help := range absentHistograms {
		to <- prometheus.MustNewConstHistogram(describe(ingesterPrefix+name, help), 0, 0, nil)
	}
	for name, help := range absentSummaries {
		to <- prometheus.MustNewConstSummary(describe(ingesterPrefix+name, help), 0, 0, nil)
	}
	to <- prometheus.MustNewConstMetric(oldestUnflushed, prometheus.GaugeValue, 0)
}

var oldestUnflushed = describe("cortex_oldest_unflushed_chunk_timestamp_seconds", noFlush)
