package grpcsrv

import (
	"context"

	"github.com/grafana/dskit/user"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const orgIDKey = "x-scope-orgid"

// orgID returns the tenant that a call names, empty if it names none.
func orgID(ctx context.Context) (string, error) {
	switch all := metadata.ValueFromIncomingContext(ctx, orgIDKey); len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	default:
		return "", status.Error(codes.Unknown, user.ErrNoOrgID.Error())
	}
}

// tenantOf returns the tenant of a call. What is wrong with it is no fault of the sender's data but of how the cluster is
// set up, so it is no 4xx.
func (s *Server) tenantOf(ctx context.Context) (string, error) {
	id, err := orgID(ctx)
	if err != nil {
		return "", err
	}
	id, no := s.opts.Tenancy.Of(id)
	if no != nil {
		return "", status.Error(codes.Unknown, no.Text)
	}
	return id, nil
}
