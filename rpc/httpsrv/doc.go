// Package httpsrv answers HTTP: remote write in, PromQL out, and what operators and probes ask for.
//
// # Paths
//
//	POST /api/v1/push  /api/v1/write  /push  /ingester/push  /api/prom/push     remote write 1.0 and 2.0
//	     <prefix>/api/v1/{query,query_range,series,labels,read,...}             Prometheus's query API, where <prefix>
//	                                                                            is /prometheus, /api/prom or nothing
//	GET  /ready  /-/ready  /-/healthy  /config  /services  /                    operators
//	     /ring  /memberlist  /ingester/all_user_stats                           HTML, or JSON if it is asked for
//	POST /flush  /shutdown  /ingester/{flush,shutdown,mode,renewTokens}         by GET too unless that is switched off
//	     /ingester/prepare-shutdown  /ingester/prepare-instance-ring-downscale  GET asks, DELETE takes back
//
// /metrics and /debug/pprof come with dskit's server.
//
// # Order of a push
//
//	tenant    from X-Scope-OrgID, checked before it can become a path        401, 400
//	admission requests in progress, and their bytes                          503, Retry-After
//	gate      the engine is recovering or stopping, or the instance is
//	          neither ACTIVE nor READONLY in the ring                        503, Retry-After
//	body      read into a pooled buffer                                      400
//	decode    rpc/wire, one walk, decompressed size checked first            400
//	append    returns after the commit                                       200, 204, 400, 503
//
// # Status codes
//
// A sender of remote write drops a request that is answered 4xx and repeats one that is answered 5xx. So
// bad data is always 4xx, or it would be sent for ever, and our own trouble is never 4xx, or it would be lost:
//
//	200  stored, remote write 1.0         204  stored, remote write 2.0 with the X-Prometheus-Remote-Write-*-Written headers
//	400  bad request, or some samples were bad: the rest is stored and as safe as after a 2xx; the text names the first
//	401  no tenant given, and -auth.enabled
//	415  a content type or encoding that remote write does not have
//	499  the client went away first
//	503  recovery, stop, overload, failed disk; with Retry-After in seconds
//
// Without -auth.enabled a request that names no tenant belongs to a fixed one. A header that is given counts
// either way, so that switching authentication on later does not move data.
package httpsrv
