package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const serverHeader = "X-Server"

// Serve is a real server called name, in the calling process's namespace, until
// ctx ends. It listens at every address:
//
//	TCP 80, 8080  HTTP. GET / answers the name; POST / counts the body;
//	              /bytes?n=N answers N bytes. X-Server names the server and
//	              X-Client the client's address as the server sees it.
//	TCP 7         echo of all that comes (RFC 862).
//	UDP 7         echo, the name before the payload: "server1: hello".
func Serve(ctx context.Context, name string) error {
	listeners, sockets, err := listen(ctx)
	defer func() {
		for _, c := range sockets {
			_ = c.Close() // nothing is left to be sent
		}
	}()
	if err != nil {
		return fmt.Errorf("real server %s: %w", name, err)
	}
	server := &http.Server{Handler: handler(name)}
	var serving sync.WaitGroup
	for port, l := range listeners {
		if port == EchoPort {
			serving.Go(func() { echoStreams(l) })
			continue
		}
		serving.Go(func() { _ = server.Serve(l) })
	}
	for _, c := range sockets {
		serving.Go(func() { echo(c.(*net.UDPConn), name) })
	}
	<-ctx.Done()
	errs := []error{server.Close(), listeners[EchoPort].Close()}
	for _, c := range sockets {
		errs = append(errs, c.Close())
	}
	serving.Wait()
	return errors.Join(errs...)
}

// listen opens the sockets of a real server. What it could open it returns also
// with an error.
func listen(ctx context.Context) (map[int]net.Listener, []net.PacketConn, error) {
	listeners := map[int]net.Listener{}
	var sockets []net.PacketConn
	var errs []error
	for _, port := range []int{HTTPPort, AltHTTPPort, EchoPort} {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		listeners[port] = l
	}
	for _, network := range []string{"udp4", "udp6"} {
		c, err := listenEcho(ctx, network)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sockets = append(sockets, c)
	}
	return listeners, sockets, errors.Join(errs...)
}

// echoStreams sends back what comes by every connection until it is closed. The
// connections that are left end with the process.
func echoStreams(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // who asked sees what is missing
		}()
	}
}

func handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, name)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s received %d bytes\n", name, n)
	})
	mux.HandleFunc("GET /bytes", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.FormValue("n"), 10, 64)
		if err != nil || n < 0 {
			http.Error(w, fmt.Sprintf("n=%q: want a number of bytes, as in /bytes?n=1000000", r.FormValue("n")), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		chunk := make([]byte, 256<<10)
		for n > 0 {
			m := min(n, int64(len(chunk)))
			if _, err := w.Write(chunk[:m]); err != nil {
				return
			}
			n -= m
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(serverHeader, name)
		w.Header().Set("X-Client", r.RemoteAddr)
		mux.ServeHTTP(w, r)
	})
}

// listenEcho opens a socket that learns which of the server's addresses a
// packet was sent to. A plain one would answer a packet for the VIP from the
// address its route prefers.
func listenEcho(ctx context.Context, network string) (net.PacketConn, error) {
	config := net.ListenConfig{Control: controlled(func(fd int) error {
		if network == "udp4" {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})}
	return config.ListenPacket(ctx, network, fmt.Sprintf(":%d", EchoPort))
}

// echo answers until the socket is closed.
func echo(c *net.UDPConn, name string) {
	prefix := []byte(name + ": ")
	buf, oob := make([]byte, 64<<10), make([]byte, 256)
	for {
		n, noob, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP error for an earlier answer: nothing to do about it.
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		reply := append(append([]byte{}, prefix...), buf[:n]...)
		if _, _, err := c.WriteMsgUDPAddrPort(reply, answerFrom(oob[:noob]), from); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// answerFrom turns the control message of a packet into that of its answer:
// from the address it was sent to, by whatever interface the route says.
func answerFrom(oob []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			info := unix.Inet4Pktinfo{}
			copy(info.Spec_dst[:], m.Data[8:12])
			return unix.PktInfo4(&info)
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			info := unix.Inet6Pktinfo{}
			copy(info.Addr[:], m.Data[:16])
			return unix.PktInfo6(&info)
		}
	}
	return nil
}

// controlled adapts set, which works on a new socket, to net.ListenConfig.
func controlled(set func(fd int) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if refused := c.Control(func(fd uintptr) { err = set(int(fd)) }); refused != nil {
			return refused
		}
		return err
	}
}
