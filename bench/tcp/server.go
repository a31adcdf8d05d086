package tcp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/room"
)

// serving is the variable that makes this program the server, and says where.
const serving = "EVS_BENCH_TCP_SERVER"

// answer is all that the server ever says, before it closes the connection.
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

// Serve plays the server where this process was started to be it, until its standard
// input ends; otherwise it returns false.
func Serve() bool {
	at := os.Getenv(serving)
	if at == "" {
		return false
	}
	addr, err := netip.ParseAddrPort(at)
	if err == nil {
		var fd int
		if fd, err = listen(addr); err == nil {
			go serve(fd)
			room.PlayRole()
			return true
		}
	}
	fmt.Fprintln(os.Stderr, "bench: the server:", err)
	os.Exit(1)
	return true
}

func listen(at netip.AddrPort) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	return fd, errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}),
		unix.Listen(fd, 4096))
}

// serve answers whoever says something, and closes: in one thread and with as few
// calls as can be, since what the server takes hides what the director takes.
func serve(listener int) {
	runtime.LockOSThread()
	poll, err := unix.EpollCreate1(0)
	if err == nil {
		err = watch(poll, listener, unix.EPOLLIN)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: the server:", err)
		os.Exit(1)
	}
	events, buffer := make([]unix.EpollEvent, 256), make([]byte, 2048)
	for {
		n, err := unix.EpollWait(poll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for _, e := range events[:max(n, 0)] {
			if fd := int(e.Fd); fd == listener {
				accept(poll, listener)
			} else {
				if n, err := unix.Read(fd, buffer); n > 0 && err == nil {
					_, _ = unix.Write(fd, []byte(answer))
				}
				_ = unix.Close(fd)
			}
		}
	}
}

func accept(poll, listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if watch(poll, fd, unix.EPOLLIN) != nil {
			_ = unix.Close(fd)
		}
	}
}

func watch(poll, fd int, events uint32) error {
	return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}
