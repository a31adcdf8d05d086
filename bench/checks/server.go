package checks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/evs-project/evs/bench/room"
)

// serving is the variable that makes this program the servers.
const serving = "EVS_BENCH_SERVERS"

// ready is what the servers say when all of them listen.
const ready = "listening\n"

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
	fmt.Print(ready)
	_, _ = io.Copy(io.Discard, os.Stdin)
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

// startServer starts the servers and waits until they listen. They end with their
// input, and so with this process at the latest.
func startServer(ctx context.Context) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), serving+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := room.Anywhere(cmd.Start); err != nil {
		return nil, err
	}
	if said, err := bufio.NewReader(out).ReadString('\n'); said != ready {
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("they did not come up: %w", err)
	}
	return func() error {
		_ = in.Close()
		return cmd.Wait()
	}, nil
}
