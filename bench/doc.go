// Package bench makes the load that Rekindle is measured with: a seeded, stateless model of a cluster whose
// pods are scraped at a fixed interval. The same Workload gives the same samples to every system, in the
// form which that system takes: engine.Batch for ours, labels and floats for Prometheus's head, remote
// write 1.0 and 2.0 bodies for anything that speaks HTTP.
//
// Nothing is stored. Label bytes, timestamp and value are functions of (seed, series, scrape), so that a
// reader can ask after a crash what any sample should have been, a million series need no memory in the
// process that is measured, and two runs with one seed are the same run.
//
// # What a series looks like
//
// A target is a pod with SeriesPerTarget series. Fifty pods make a service. With the default ten labels a
// series and its one sample take about 315 bytes of remote write 1.0:
//
//	__name__="apiserver_cache_request_duration_seconds_total"    differs within the target
//	cluster="prod-eu-central-1"                                  the same everywhere
//	container="checkout-3"                                       the service's
//	endpoint="http-metrics"                                      the same everywhere
//	instance="10.27.151.9:9090"                                  the target's
//	job="payments/checkout-3"                                    the service's
//	namespace="payments"                                         the service's
//	pod="checkout-3-7f9c5d8b64-x2wqk"                            the target's
//	route="/api/v1/orders/{id}/items"                            differs within the target
//	status="200"                                                 differs within the target
//
// With churn a pod is replaced now and then by one with another name and address: all its series end and as
// many begin.
package bench
