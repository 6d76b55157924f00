// Command e2e shows the main job on real input. A real Prometheus scrapes a real node_exporter, itself and
// two ingesters every second, and remote-writes to both ingesters: version 1.0 to one, 2.0 to the other.
// Every expression of expressions.go is then asked of Prometheus and of the ingesters, as a range query with
// a step of a second and as instant queries, and the answers are compared sample for sample, in three phases:
//
//	before       nothing has gone wrong yet
//	kill -9      both ingesters were killed in the middle of Prometheus's pushing, several times,
//	             and started again at once
//	clean stop   both were stopped by SIGTERM and started again
//
// Scraping and pushing go on through all phases. Each phase asks about everything from the start of the
// comparison until a moment that lies behind, once the ingesters hold as many samples up to it as Prometheus.
//
// # Why the answers can be compared exactly
//
// Prometheus sends what its own log holds: scraped samples, up and the scrape_ series, staleness markers,
// all with the timestamps that it stored itself. It begins with the samples that are newer than its start
// of remote writing, so the comparison begins a little later, and the first evaluation the longest look
// back of any expression after that. Prometheus prints floats so that they read back to the same bits,
// so equal text is equal bits.
//
// Floating-point addition depends on order, and two databases hand their series to the engine in different
// orders. Expressions that add over several series are marked, and may differ by 1e-12 of the value. The
// report says how many did.
//
// # How to run it
//
//	cd bench/interop
//	go build -tags remove_all_sd -o ../../bin/prometheus github.com/prometheus/prometheus/cmd/prometheus
//	go run ./e2e -prometheus ../../bin/prometheus -ingester ../../bin/ingester
//
// The tag leaves out the service discoveries and with them the clients of a dozen clouds. The server is
// built without its web interface, which would need a JavaScript toolchain. About two minutes; -window=5m
// compares over five minutes instead of 40 seconds.
//
// With -self-check a second and third Prometheus stand where the ingesters are. That must pass too, and
// shows that a difference found otherwise is the ingester's.
package main
