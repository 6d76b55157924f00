package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/go-kit/log/level"
	"github.com/grafana/dskit/httpgrpc"
	httpgrpcserver "github.com/grafana/dskit/httpgrpc/server"
	"github.com/grafana/dskit/middleware"
	"github.com/grafana/dskit/server"
	"github.com/grafana/dskit/services"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"github.com/rekindledb/rekindle/rpc/grpcsrv"
)

// webServer is dskit's, which knows addresses to listen on and no sockets. Those that the process was given are served
// in the place of its own, which it makes all the same: on loopback, with ports that nobody knows.
type webServer struct {
	*server.Server
	given     *sockets // nil: none
	cert, key string   // files of HTTP's TLS
	with4XX   bool
}

// newServer listens. dskit's server adds /metrics, /debug/pprof and cortex_request_duration_seconds.
func newServer(o *options, logger *slog.Logger, reg *prometheus.Registry) (*webServer, error) {
	c := o.Server
	c.MetricsNamespace = "cortex"
	c.Log = goKit{logger}
	c.DisableRequestSuccessLog = !logger.Enabled(context.Background(), slog.LevelDebug)
	c.Registerer, c.Gatherer = reg, reg
	c.SignalHandler = newUnsignalled()
	c.GRPCOptions = grpcsrv.ServerOptions()
	grpcsrv.SetMaxMessageSize(c.GRPCServerMaxRecvMsgSize)
	metrics := server.NewServerMetrics(c)
	s := &webServer{cert: c.HTTPTLSConfig.TLSCertPath, key: c.HTTPTLSConfig.TLSKeyPath, with4XX: c.ReportHTTP4XXCodesInInstrumentationLabel}
	if o.given != nil {
		if c.ProxyProtocolEnabled {
			return nil, errors.New("-server.proxy-protocol-enabled needs a process that listens itself, without -supervise and LISTEN_FDS")
		}
		s.given = &sockets{
			http: middleware.CountingListener(o.given.http, metrics.TCPConnections.WithLabelValues("http")),
			grpc: middleware.CountingListener(o.given.grpc, metrics.TCPConnections.WithLabelValues("grpc")),
		}
		if c.HTTPLogClosedConnectionsWithoutResponse {
			s.given.http = middleware.NewZeroResponseListener(s.given.http, level.Warn(c.Log))
		}
		if c.HTTPConnLimit > 0 {
			s.given.http = netutil.LimitListener(s.given.http, c.HTTPConnLimit)
		}
		if c.GRPCConnLimit > 0 {
			s.given.grpc = netutil.LimitListener(s.given.grpc, c.GRPCConnLimit)
		}
		c.HTTPListenNetwork, c.HTTPListenAddress, c.HTTPListenPort = server.DefaultNetwork, "127.0.0.1", 0
		c.GRPCListenNetwork, c.GRPCListenAddress, c.GRPCListenPort = server.DefaultNetwork, "127.0.0.1", 0
	}
	var err error
	s.Server, err = server.NewWithMetrics(c, metrics)
	return s, err
}

// HTTPListenAddr is where others reach it.
func (s *webServer) HTTPListenAddr() net.Addr {
	if s.given != nil {
		return s.given.http.Addr()
	}
	return s.Server.HTTPListenAddr()
}

// GRPCListenAddr is where others reach it.
func (s *webServer) GRPCListenAddr() net.Addr {
	if s.given != nil {
		return s.given.grpc.Addr()
	}
	return s.Server.GRPCListenAddr()
}

// Run serves until the server is shut down or something fails.
func (s *webServer) Run() error {
	if s.given == nil {
		return s.Server.Run()
	}
	var options []httpgrpcserver.Option
	if s.with4XX {
		options = append(options, httpgrpcserver.WithReturn4XXErrors)
	}
	httpgrpc.RegisterHTTPServer(s.GRPC, httpgrpcserver.NewServer(s.HTTP, options...))
	ended := make(chan error, 2)
	go func() { ended <- s.serveHTTP() }()
	go func() { ended <- s.GRPC.Serve(s.given.grpc) }()
	return <-ended
}

func (s *webServer) serveHTTP() error {
	if s.HTTPServer.TLSConfig != nil {
		return s.HTTPServer.ServeTLS(s.given.http, s.cert, s.key)
	}
	return s.HTTPServer.Serve(s.given.http)
}

// unsignalled is a signal handler that waits for no signal: main decides when the server stops.
type unsignalled chan struct{}

func newUnsignalled() unsignalled { return make(unsignalled) }

func (u unsignalled) Loop() { <-u }
func (u unsignalled) Stop() { close(u) }

func newServerService(srv *webServer) *services.BasicService {
	ended := make(chan error, 1)
	return services.NewBasicService(
		func(context.Context) error {
			go func() { ended <- srv.Run() }()
			return nil
		},
		func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case err := <-ended:
				return fmt.Errorf("server ended: %w", err)
			}
		},
		func(error) error {
			srv.Shutdown()
			srv.Stop()
			return nil
		},
	).WithName("server")
}

// openURL is what a person on this machine can open.
func openURL(srv *webServer) string {
	host, port, _ := net.SplitHostPort(srv.HTTPListenAddr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}
