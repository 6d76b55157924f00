// Command e2e shows the main job on real input. A real Prometheus scrapes a real node_exporter, itself and
// two ingesters every second, and remote-writes to both ingesters: version 1.0 to one, 2.0 to the other.
// Every expression of package answers is then asked of Prometheus and of the ingesters, as a range query with
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
