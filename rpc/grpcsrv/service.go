package grpcsrv

import (
	"context"

	"google.golang.org/grpc"
)

const serviceName = "cortex.Ingester"

var service = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		unary("Push", (*Server).push),
		unary("QueryExemplars", (*Server).queryExemplars),
		unary("LabelValues", (*Server).labelValues),
		unary("LabelNames", (*Server).labelNames),
		unary("MetricsForLabelMatchers", (*Server).metricsForLabelMatchers),
		unary("MetricsMetadata", (*Server).metricsMetadata),
		unary("UserStats", (*Server).userStats),
		unary("AllUserStats", (*Server).allUserStats),
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "TransferChunks", Handler: transferChunks, ClientStreams: true},
		{StreamName: "PushStream", Handler: pushStream, ServerStreams: true, ClientStreams: true},
		stream("QueryStream", (*Server).queryStream),
		stream("LabelValuesStream", (*Server).labelValuesStream),
		stream("LabelNamesStream", (*Server).labelNamesStream),
		stream("MetricsForLabelMatchersStream", (*Server).metricsForLabelMatchersStream),
		stream("LabelNamesAndValues", (*Server).labelNamesAndValues),
		stream("LabelValuesCardinality", (*Server).labelValuesCardinality),
		stream("ActiveSeries", (*Server).activeSeries),
	},
}

// unary makes a method that takes a message and returns one. The message is gone when call returns.
func unary(name string, call func(s *Server, ctx context.Context, message []byte) (reply, error)) grpc.MethodDesc {
	full := "/" + serviceName + "/" + name
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			var m message
			if err := decode(&m); err != nil {
				return nil, err
			}
			defer m.free()
			handle := func(ctx context.Context, _ any) (any, error) { return call(srv.(*Server), ctx, m.bytes()) }
			if intercept == nil {
				return handle(ctx, &m)
			}
			return intercept(ctx, &m, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, handle)
		},
	}
}

// stream makes a method that takes one message and sends several.
func stream(name string, call func(s *Server, ctx context.Context, message []byte, send func(reply) error) error) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName: name,
		Handler: func(srv any, stream grpc.ServerStream) error {
			var m message
			if err := stream.RecvMsg(&m); err != nil {
				return err
			}
			defer m.free()
			return call(srv.(*Server), stream.Context(), m.bytes(), func(r reply) error { return stream.SendMsg(r) })
		},
		ServerStreams: true,
	}
}
