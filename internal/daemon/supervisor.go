package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Supervisor is systemd, told by its protocol (sd_notify) how the daemon does. The
// zero value tells nobody.
type Supervisor struct{ link *supervision }

type supervision struct {
	conn   *net.UnixConn
	every  time.Duration // of signs of life, 0 for none
	next   time.Time
	status string
}

// SupervisorOf is the one that an environment names; look is os.Getenv.
func SupervisorOf(look func(string) string) (Supervisor, error) {
	name := look("NOTIFY_SOCKET")
	if name == "" {
		return Supervisor{}, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return Supervisor{}, fmt.Errorf("the supervisor's socket, NOTIFY_SOCKET: %w", err)
	}
	s := Supervisor{&supervision{conn: conn}}
	if text := look("WATCHDOG_USEC"); text != "" && (look("WATCHDOG_PID") == "" || look("WATCHDOG_PID") == strconv.Itoa(os.Getpid())) {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return Supervisor{}, errors.Join(fmt.Errorf("WATCHDOG_USEC=%s: want a number of microseconds", text), conn.Close())
		}
		s.link.every = time.Duration(n) * time.Microsecond / 3
	}
	return s, nil
}

// send tells something. A supervisor that does not listen is no reason to stop.
func (s Supervisor) send(lines ...string) {
	if s.link != nil {
		_, _ = s.link.conn.Write([]byte(strings.Join(lines, "\n")))
	}
}

// Ready says that the file is acted on, at the start and after a reload.
func (s Supervisor) Ready(status string) { s.send("READY=1", "STATUS="+status) }

// Reloading says that the file is being read anew; Ready ends it.
func (s Supervisor) Reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	s.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping says that the daemon ends.
func (s Supervisor) Stopping() { s.send("STOPPING=1") }

// Status says how it does, if that is news.
func (s Supervisor) Status(status string) {
	if s.link != nil && s.link.status != status {
		s.link.status = status
		s.send("STATUS=" + status)
	}
}

// Alive is called at each turn of the loop: it is that turn which is told.
func (s Supervisor) Alive(now time.Time) {
	if s.link != nil && s.link.every > 0 && !now.Before(s.link.next) {
		s.link.next = now.Add(s.link.every)
		s.send("WATCHDOG=1")
	}
}

// summary is how the daemon does, in a line.
func summary(services, servers, up, lost, faults int) string {
	text := fmt.Sprintf("%d services, %d of %d servers up", services, up, servers)
	if lost > 0 {
		text += fmt.Sprintf(", %d services without quorum", lost)
	}
	if faults > 0 {
		text += fmt.Sprintf(", %d faults", faults)
	}
	return text
}
