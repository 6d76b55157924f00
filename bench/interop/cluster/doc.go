// Command cluster puts our ingesters into an unmodified Cortex and looks at what Cortex makes of it.
//
//	node_exporter <── Prometheus ── remote write ──> distributor ── cortex.Ingester over gRPC ──> 3 ingesters
//	                                                      the ring in etcd, or gossiped                  ^
//	                    PromQL ──> query-frontend <── querier, ruler ────────────────────────────────────┘
//
// Distributor, querier, query-frontend and ruler are four processes of Cortex's own binary, with replication factor 3 and its
// defaults wherever they can run on one machine. There are three such clusters at the same time, all fed by one Prometheus:
//
//	etcd         the ring is in a real etcd
//	memberlist   the ring is gossiped between Cortex and the ingesters; queries are sharded by series
//	mixed        two of our ingesters and one of Cortex's own, in etcd
//
// and, for kills only, one of six ingesters in three zones, and one whose ingesters run under -supervise.
//
// # What is looked at
//
// Every expression of package answers through the query-frontend, sample for sample beside Prometheus's own answers; labels,
// values, series and metadata; the ruler's recording rule; the distributor's page of the ring. Then, under a steady load, the faults
// of faults.go, so many rounds each, with what account says of who must hold what.
//
// # How to run it
//
//	apt-get install etcd-server prometheus-node-exporter
//	make interop
//
// With -stock Cortex's own ingesters stand where ours are, and only answers are compared: a difference that is there too is not ours.
// -only picks faults, -rounds is how often each happens, -store-outage how long the store is gone, which is what a frozen ingester takes longer too.
package main
