package e2e

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
)

const natService = `
	ipvsadm -A -t 203.0.113.10:80 -s rr
	ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 1
	ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.3:80 -m -w 1`

func TestTenThousandRequestsAreAllAnsweredInTheSharesOfTheWeights(t *testing.T) {
	const requests = 10_000
	l := up(t, "shares", 2)
	run(t, director(l), natService)
	fair := load(t, l, "http://"+vip+"/", requests, 50)
	wantShares(t, fair, requests, 1, 1)
	run(t, director(l), `
		ipvsadm -E -t 203.0.113.10:80 -s wrr
		ipvsadm -e -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 3`)
	heavy := load(t, l, "http://"+vip+"/", requests, 50)
	wantShares(t, heavy, requests, 3, 1)
	for i, server := range []string{"192.0.2.2:80", "192.0.2.3:80"} {
		name := lab.ServerNode(i + 1)
		if got, want := stats(t, director(l), server)[0], fair.Answers[name]+heavy.Answers[name]; got != want {
			t.Errorf("%s: %d connections were counted, %d requests answered", server, got, want)
		}
	}
}

// wantShares checks the shares to one in a hundred of all requests.
func wantShares(t *testing.T, r lab.LoadResult, requests int, weights ...int) {
	t.Helper()
	total := 0
	for _, w := range weights {
		total += w
	}
	for i, w := range weights {
		got, want := r.Answers[lab.ServerNode(i+1)], requests*w/total
		if got < want-requests/100 || got > want+requests/100 {
			t.Errorf("server%d answered %d of %d requests, its weight gives it %d", i+1, got, requests, want)
		}
	}
	t.Logf("%d requests in %v: %v", requests, r.Elapsed, r.Answers)
}

func TestAServiceOnAnotherPortThanItsServersIsAnswered(t *testing.T) {
	l := up(t, "port", 2)
	run(t, director(l), `
		ipvsadm -A -t 203.0.113.10:8000 -s rr
		ipvsadm -a -t 203.0.113.10:8000 -r 192.0.2.2:8080 -m
		ipvsadm -a -t 203.0.113.10:8000 -r 192.0.2.3:8080 -m`)
	wantShares(t, load(t, l, "http://"+vip+":8000/", 200, 10), 200, 1, 1)
}

func TestAUDPServiceAnswersFromTheVIP(t *testing.T) {
	l := up(t, "udp", 2)
	run(t, director(l), `
		ipvsadm -A -u 203.0.113.10:5000 -s rr
		ipvsadm -a -u 203.0.113.10:5000 -r 192.0.2.2:7 -m
		ipvsadm -a -u 203.0.113.10:5000 -r 192.0.2.3:7 -m`)
	// A connected socket takes answers from the VIP alone.
	wantShares(t, load(t, l, "udp://"+vip+":5000", 200, 10), 200, 1, 1)
	echoed(t, l, "who")
}

// echoed sends a datagram to port 5000 of the VIP and checks what comes back.
func echoed(t *testing.T, l *lab.Lab, text string) {
	t.Helper()
	inside(t, l.Namespace(lab.ClientNode(1)), func() error {
		c, err := net.ListenUDP("udp4", nil) // takes answers from anybody
		if err != nil {
			return err
		}
		defer c.Close()
		to := &net.UDPAddr{IP: net.ParseIP(vip), Port: 5000}
		if _, err := c.WriteTo([]byte(text), to); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		answer := make([]byte, 64<<10)
		n, from, err := c.ReadFrom(answer)
		if err != nil {
			return err
		}
		if from.String() != to.String() || !strings.HasSuffix(string(answer[:n]), ": "+text) {
			t.Errorf("%d bytes came from %s, not %d from %s", n, from, len(text), to)
		}
		return nil
	})
}

func TestADatagramInFragmentsGoesThereAndBackWhole(t *testing.T) {
	l := up(t, "frag", 2)
	run(t, director(l), `
		ipvsadm -A -u 203.0.113.10:5000 -s rr
		ipvsadm -a -u 203.0.113.10:5000 -r 192.0.2.2:7 -m
		ipvsadm -a -u 203.0.113.10:5000 -r 192.0.2.3:7 -m`)
	letters := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 1500)
	for _, size := range []int{1473, 3000, 9001, 39_000} {
		echoed(t, l, letters[:size])
	}
}

// bulk is how much goes each way, and seed what it consists of.
const bulk = 300 << 20

var seed = [32]byte{'b', 'u', 'l', 'k'}

func TestABulkTransferWithOffloadsOnIsReceivedWholeBothWays(t *testing.T) {
	l := up(t, "bulk", 1)
	run(t, director(l), `
		ipvsadm -A -t 203.0.113.10:9000 -s rr
		ipvsadm -a -t 203.0.113.10:9000 -r 192.0.2.2:9001 -m`)
	for _, end := range []struct{ node, iface string }{
		{lab.ClientNode(1), "eth0"}, {lab.ServerNode(1), "eth0"},
		{lab.Director, lab.DirectorInsideIface}, {lab.Director, lab.DirectorOutsideIface},
	} {
		says(t, run(t, l.Namespace(end.node), "ethtool -k "+end.iface),
			"tx-checksumming: on", "generic-segmentation-offload: on", "tcp-segmentation-offload: on")
	}
	received := make(chan []byte, 1)
	serveBulk(t, l, received)
	c, err := l.Dial(lab.ClientNode(1))(t.Context(), "tcp", vip+":9000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	if err := c.SetDeadline(begin.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	sent := sha256.New()
	if err := sendBulk(io.MultiWriter(sent, c)); err != nil {
		t.Fatal(err)
	}
	want := sent.Sum(nil)
	if got := <-received; string(got) != string(want) {
		t.Errorf("the server received something else than was sent to it")
	}
	got := sha256.New()
	if n, err := io.Copy(got, c); err != nil || n != bulk {
		t.Errorf("%d of %d bytes, %v", n, bulk, err)
	}
	if string(got.Sum(nil)) != string(want) {
		t.Error("the client received something else than was sent to it")
	}
	t.Logf("twice %d MiB in %v", bulk>>20, time.Since(begin))
	rows := stats(t, director(l), "192.0.2.2:9001")
	if rows[3] < bulk || rows[4] < bulk {
		t.Errorf("%d bytes in and %d out were counted, %d went each way", rows[3], rows[4], bulk)
	}
	if rows[1] > bulk/4000 {
		t.Errorf("%d packets in for %d bytes: segmentation offload was not used", rows[1], bulk)
	}
}

func sendBulk(to io.Writer) error {
	_, err := io.CopyN(to, rand.NewChaCha8(seed), bulk)
	return err
}

// serveBulk takes a bulk, tells its checksum, and sends the same back. What
// goes wrong shows at the client.
func serveBulk(t *testing.T, l *lab.Lab, received chan<- []byte) {
	t.Helper()
	var listener net.Listener
	inside(t, l.Namespace(lab.ServerNode(1)), func() (err error) {
		listener, err = net.Listen("tcp", "192.0.2.2:9001")
		return err
	})
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		h := sha256.New()
		c, err := listener.Accept()
		if err == nil {
			defer c.Close()
			_, err = io.CopyN(h, c, bulk)
		}
		received <- h.Sum(nil)
		if err == nil {
			_ = sendBulk(c)
		}
	})
}
