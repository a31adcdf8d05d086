package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// grpcStates are the answers of grpc.health.v1.HealthCheckResponse.
var grpcStates = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const grpcServing = 1

// newGRPC calls grpc.health.v1.Health/Check: one message each way, in which each
// has one field, so that no code needs to be generated for it.
func newGRPC(s Spec, target Target) (probe, error) {
	r, err := reachOf(s, target, true)
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if s.TLS != nil {
		if secure, err = s.TLS.config(serverName("", r), "h2"); err != nil {
			return nil, err
		}
	}
	message := grpcFrame(grpcRequest(s.Service))
	return func(ctx context.Context) (found, error) {
		plain, err := r.dial(ctx, "tcp")
		if err != nil {
			return found{}, err
		}
		defer plain.Close()
		var c net.Conn = plain
		if secure != nil {
			over := tls.Client(plain, secure)
			if err := handshake(over); err != nil {
				return found{}, err
			}
			c = over
		}
		return grpcCall(ctx, c, r.to.String(), message)
	}, nil
}

func grpcCall(ctx context.Context, c net.Conn, host string, message []byte) (found, error) {
	req, err := http.NewRequest(http.MethodPost, schemeOf(c)+"://checked/grpc.health.v1.Health/Check", bytes.NewReader(message))
	if err != nil {
		return found{}, err
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	req.Header.Set("User-Agent", agent)
	answer, err := h2(ctx, c, req)
	if err != nil {
		return found{}, &stepError{none: "no answer", err: err}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, longest))
	if err != nil {
		return found{}, err
	}
	return grpcJudge(answer, body)
}

func grpcJudge(answer *http.Response, body []byte) (found, error) {
	if answer.StatusCode != http.StatusOK {
		return found{}, fmt.Errorf("status %d", answer.StatusCode)
	}
	// An error without a message is told in the header, as there is no trailer.
	code, text := answer.Trailer.Get("Grpc-Status"), answer.Trailer.Get("Grpc-Message")
	if code == "" {
		code, text = answer.Header.Get("Grpc-Status"), answer.Header.Get("Grpc-Message")
	}
	if code != "0" {
		return found{}, fmt.Errorf("gRPC status %q: %.80s", code, text)
	}
	state, err := grpcState(body)
	if err != nil {
		return found{}, err
	}
	name := fmt.Sprintf("state %d", state)
	if state < uint64(len(grpcStates)) {
		name = grpcStates[state]
	}
	if state != grpcServing {
		return found{}, errors.New(name)
	}
	return found{detail: name}, nil
}

// grpcFrame puts a message into its frame: not compressed, and its length.
func grpcFrame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// grpcRequest is a HealthCheckRequest: field 1, a string.
func grpcRequest(service string) []byte {
	if service == "" {
		return nil
	}
	return append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
}

// grpcState reads a HealthCheckResponse out of its frame: field 1, a number that
// is left out where it is 0.
func grpcState(frame []byte) (uint64, error) {
	if len(frame) < 5 || frame[0] != 0 || uint32(len(frame)-5) != binary.BigEndian.Uint32(frame[1:]) {
		return 0, errors.New("the answer is no plain message of gRPC")
	}
	message := frame[5:]
	if len(message) == 0 {
		return 0, nil
	}
	state, n := binary.Uvarint(message[1:])
	if message[0] != 1<<3 || n <= 0 {
		return 0, errors.New("the answer is no health of gRPC")
	}
	return state, nil
}
