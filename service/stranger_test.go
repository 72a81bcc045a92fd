package service_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// TestStrangersHaveLittleRoom has callers who are not known begin calls and say nothing: they keep out each other, and nobody else.
func TestStrangersHaveLittleRoom(t *testing.T) {
	h, g := openGuarded(t)
	h.grant("cn:known", "checker", "*")
	begin := func(ctx context.Context) grpc.ClientStream {
		stream, err := g.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, teishiv1.DecisionService_Check_FullMethodName)
		h.must(err)
		return stream
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	turned := func() bool {
		stream := begin(ctx)
		ended := make(chan error, 1)
		go func() { ended <- stream.RecvMsg(&teishiv1.CheckResponse{}) }()
		known, err := teishiv1.NewAccessServiceClient(g.conn).WhoAmI(asPrincipal(t.Context(), "cn:known"), &teishiv1.WhoAmIRequest{})
		if err != nil || known.Principal != "cn:known" {
			t.Fatalf("who is known is told %v, %v", known, err)
		}
		select { // that of the known caller came after it on the same connection
		case err := <-ended:
			return status.Code(err) == codes.ResourceExhausted
		default:
			return false
		}
	}
	waiting := 0
	until(t, "a stranger to be turned away", func() bool {
		waiting++
		return turned()
	})
	if waiting < 64 {
		t.Errorf("the %d-th stranger is turned away, want room for 64", waiting)
	}
	cancel()
	until(t, "room again", func() bool {
		_, err := teishiv1.NewAccessServiceClient(g.conn).WhoAmI(t.Context(), &teishiv1.WhoAmIRequest{})
		return status.Code(err) == codes.Unauthenticated
	})
}
