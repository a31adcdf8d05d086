package checks

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/evs-project/evs/bench/room"
)

// serving is the variable that makes this program the servers.
const serving = "EVS_BENCH_SERVERS"

// Serve plays the servers where this process was started to be them, until its
// standard input ends; otherwise it returns false.
func Serve() bool {
	if os.Getenv(serving) == "" {
		return false
	}
	if err := listen(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: servers to check:", err)
		os.Exit(1)
	}
	room.PlayRole()
	return true
}

// listen opens all sockets. Each connection is closed when its client is done.
func listen() error {
	for _, at := range targets() {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		go func() {
			buffer := make([]byte, 64)
			for {
				c, err := l.AcceptTCP()
				if err != nil {
					return
				}
				_, _ = c.Read(buffer)
				_ = c.Close()
			}
		}()
	}
	return nil
}

// startServer starts the servers and waits until they listen.
func startServer(ctx context.Context) (stop func() error, err error) {
	err = room.Anywhere(func() (err error) {
		stop, err = room.StartRole(ctx, serving, "all")
		return err
	})
	return stop, err
}
