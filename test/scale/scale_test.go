// Package scale asks whether large tables are edited rightly, in a laboratory
// with traffic. It measures no time: that is for the benchmark.
package scale

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/cli"
	"github.com/evs-project/evs/internal/lab"
)

// services is how many services the large table has: 4,000 lines.
const services = 400

// director is the director of a lab, with the commands to edit its table.
type director struct {
	t   *testing.T
	lab *lab.Lab
	dir string // of the commands, and of files for them
}

func newDirector(t *testing.T) director {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and needs root: run it with sudo")
	}
	dir := t.TempDir()
	evs := filepath.Join(dir, "evs")
	build := exec.Command("go", "build", "-o", evs, "github.com/evs-project/evs/cmd/evs")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build evs: %v\n%s", err, out)
	}
	if err := os.Symlink(evs, filepath.Join(dir, "ipvsadm")); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Up(t.Context(), lab.Spec{Name: fmt.Sprintf("t-scale-%d", os.Getpid()), Binary: evs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	return director{t, l, dir}
}

// run runs a command with a file as its input, and returns what it printed.
func (d director) run(input []byte, name string, args ...string) []byte {
	d.t.Helper()
	file := filepath.Join(d.dir, "input")
	if err := os.WriteFile(file, input, 0o600); err != nil {
		d.t.Fatal(err)
	}
	var out, said bytes.Buffer
	in, err := os.Open(file)
	if err != nil {
		d.t.Fatal(err)
	}
	defer in.Close()
	err = d.lab.Attach(d.t.Context(), lab.Director, lab.Streams{In: in, Out: &out, Err: &said},
		append([]string{filepath.Join(d.dir, name)}, args...)...)
	if err != nil {
		d.t.Fatalf("%s %v: %v\n%s", name, args, err, said.Bytes())
	}
	return out.Bytes()
}

func (d director) expect(rules []byte) {
	d.t.Helper()
	if got := d.run(nil, "ipvsadm", "-S", "-n"); !bytes.Equal(got, rules) {
		d.t.Fatalf("the table has %d lines and not the %d wanted", bytes.Count(got, []byte("\n")), bytes.Count(rules, []byte("\n")))
	}
}

// stream is one UDP flow to the echo service that goes on until it is stopped.
type stream struct {
	conn net.Conn
	stop chan struct{}
	sent chan uint64
	seen map[uint64]bool
	done chan struct{}
}

func startStream(t *testing.T, l *lab.Lab) *stream {
	t.Helper()
	addr := net.JoinHostPort(lab.VIP(4).String(), fmt.Sprint(lab.EchoPort))
	conn, err := l.Dial(lab.ClientNode(1))(t.Context(), "udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{conn: conn, stop: make(chan struct{}), sent: make(chan uint64, 1), seen: map[uint64]bool{}, done: make(chan struct{})}
	go s.send()
	go s.receive()
	return s
}

func (s *stream) send() {
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		select {
		case <-s.stop:
			s.sent <- n
			return
		case <-tick.C:
			_, _ = s.conn.Write(binary.BigEndian.AppendUint64(nil, n)) // a loss is seen at the other end
		}
	}
}

// receive notes what comes back: the server's name, a colon, what was sent.
func (s *stream) receive() {
	defer close(s.done)
	buf := make([]byte, 2048)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		if n >= 8 {
			s.seen[binary.BigEndian.Uint64(buf[n-8:n])] = true
		}
	}
}

// end stops the stream and returns how many were sent, and how many of them
// never came back.
func (s *stream) end() (sent uint64, lost int) {
	close(s.stop)
	sent = <-s.sent
	time.Sleep(500 * time.Millisecond)
	s.conn.Close()
	<-s.done
	for n := range sent {
		if !s.seen[n] {
			lost++
		}
	}
	return sent, lost
}

func TestALargeTableIsEditedWithoutLossToAConnectionThatExists(t *testing.T) {
	d := newDirector(t)
	vip := fmt.Sprintf("%s:%d", lab.VIP(4), lab.EchoPort)
	var live strings.Builder
	fmt.Fprintf(&live, "-A -u %s -s wrr\n", vip)
	for i := range 2 {
		fmt.Fprintf(&live, "-a -u %s -r %s:%d -m -w 1\n", vip, lab.ServerAddr(1+i, 4), lab.EchoPort)
	}
	d.run([]byte(live.String()), "ipvsadm", "-R")
	s := startStream(t, d.lab)
	time.Sleep(200 * time.Millisecond) // the connection exists

	large := cli.Rules(services)
	whole := append(bytes.Clone(large), live.String()...)
	heavy := bytes.ReplaceAll(whole, []byte("-w 9"), []byte("-w 900"))
	steps := []struct {
		name    string
		command []string
		input   []byte
		leads   []byte
	}{
		{"thousands of rules come one by one", []string{"ipvsadm", "-R"}, large, whole},
		{"restoring what is there changes nothing", []string{"evs", "restore", "--atomic"}, whole, whole},
		{"weights change all at once", []string{"evs", "restore", "--atomic"}, heavy, heavy},
		{"all but one service go at once", []string{"evs", "restore", "--atomic"}, []byte(live.String()), []byte(live.String())},
		{"all come back at once", []string{"evs", "restore", "--atomic"}, whole, whole},
		{"thousands of servers are deleted one by one", []string{"ipvsadm", "-R"}, deletions(large), nil},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			d := director{t, d.lab, d.dir}
			d.run(step.input, step.command[0], step.command[1:]...)
			if step.leads != nil {
				d.expect(step.leads)
			}
		})
	}
	sent, lost := s.end()
	t.Logf("%d packets of the connection, %d lost", sent, lost)
	if lost > 0 || sent < 100 {
		t.Errorf("%d of %d packets of the connection were lost", lost, sent)
	}
}

// deletions are the rules that take the servers of rules away.
func deletions(rules []byte) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(string(rules)) {
		if w := strings.Fields(line); w[0] == "-a" {
			fmt.Fprintf(&b, "-d %s %s -r %s\n", w[1], w[2], w[4])
		}
	}
	return b.Bytes()
}

func TestWhatIsSavedOfALargeTableRestoresIt(t *testing.T) {
	d := newDirector(t)
	rules := cli.Rules(services)
	d.run(rules, "ipvsadm", "-R")
	saved := d.run(nil, "ipvsadm", "-S", "-n")
	listed := d.run(nil, "ipvsadm", "-L", "-n")
	if !bytes.Equal(saved, rules) {
		t.Error("what is saved is not what was restored")
	}
	d.run(nil, "ipvsadm", "-C")
	d.run(saved, "ipvsadm", "-R")
	d.expect(rules)
	if again := d.run(nil, "ipvsadm", "-L", "-n"); !bytes.Equal(again, listed) {
		t.Error("the listing is another after saving and restoring")
	}
}

func TestTwoWritersOfALargeTableLoseNothingOfEachOther(t *testing.T) {
	d := newDirector(t)
	rules := strings.SplitAfter(string(cli.Rules(services)), "\n")
	half := len(rules) / 2
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make(chan error)
	for _, part := range [][]string{rules[:half], rules[half:]} {
		go func() {
			errs <- d.lab.Attach(ctx, lab.Director, lab.Streams{In: strings.NewReader(strings.Join(part, "")), Out: os.Stderr, Err: os.Stderr},
				filepath.Join(d.dir, "ipvsadm"), "-R")
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	d.expect([]byte(strings.Join(rules, "")))
}
