package health

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// open is how many goroutines and files there are.
func open(t *testing.T) (goroutines, files int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(entries)
}

func TestChecksLeaveNothingBehind(t *testing.T) {
	plain, _ := web(t, false, healthService(map[string]string{"": "\x00\x00\x00\x00\x02\x08\x01"}))
	secure, _ := web(t, true, pages)
	mute, gone := serve(t, silent), nobody(t)
	no := false
	specs := []Spec{
		{Kind: "tcp"}, {Kind: "http"}, {Kind: "http", HTTP: HTTP{Version: "2"}}, {Kind: "grpc"}, {Kind: "smtp"},
		{Kind: "https", TLS: &TLS{Verify: &no}}, {Kind: "tls", TLS: &TLS{Verify: &no}}, {Kind: "icmp"}, {Kind: "udp"},
		{Kind: "dns"}, {Kind: "exec", Program: Program{Command: []string{"/bin/true"}}},
	}
	round := func() {
		for _, s := range specs {
			s.Timeout = Duration(50 * time.Millisecond)
			for _, target := range []Target{{Addr: plain}, {Addr: secure}, {Addr: mute}, {Addr: gone}} {
				check(t, s, target)
			}
		}
	}
	round()
	goroutines, files := open(t)
	for range 5 {
		round()
	}
	var g, f int
	for range 50 { // servers notice in their own time
		if g, f = open(t); g <= goroutines+3 && f <= files+3 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%d goroutines became %d, %d files %d", goroutines, g, files, f)
}

func FuzzAnAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Add(zone([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x01")))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if state, err := grpcState(answer); err == nil && len(answer) < 5 {
			t.Errorf("state %d of %x", state, answer)
		}
		var m dnsmessage.Message
		if m.Unpack(answer) == nil {
			q := query{codes: []string{"NOERROR"}}
			if found, err := q.judge(m); err == nil && found.detail != "NOERROR" {
				t.Errorf("%v of %x", found, answer)
			}
			for _, a := range m.Answers {
				_ = record(a.Body)
			}
		}
	})
}
