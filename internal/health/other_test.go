package health

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestUDP(t *testing.T) {
	echo := datagrams(t, func(b []byte) []byte { return b })
	mute := datagrams(t, func([]byte) []byte { return nil })
	gone := netip.AddrPortFrom(mute.Addr(), 9)
	udp := func(talk Talk) Spec { return Spec{Kind: "udp", Timeout: short, Talk: talk} }
	judge(t, []outcome{
		{"silence is well", udp(Talk{}), mute, true, ""},
		{"any answer is well", udp(Talk{}), echo, true, ""},
		{"port unreachable", udp(Talk{}), gone, false, "connection refused"},
		{"an answer is wanted", udp(Talk{Reply: true}), mute, false, "no answer within 300ms"},
		{"an answer is wanted of nobody", udp(Talk{Reply: true}), gone, false, "connection refused"},
		{"an answer comes", udp(Talk{Reply: true}), echo, true, ""},
		{"the right answer", udp(Talk{Send: "hello", Expect: "^hello$"}), echo, true, ""},
		{"the wrong answer", udp(Talk{Send: "hello", Expect: "world"}), echo, false, `does not match: "hello"`},
		{"the right bytes", udp(Talk{SendHex: "0a 0b 0c", ExpectHex: "0a xb"}), echo, true, ""},
		{"the wrong bytes", udp(Talk{SendHex: "0a 0c 0c", ExpectHex: "0a xb"}), echo, false, "does not begin"},
		{"long enough", udp(Talk{Send: "12345", MinReply: 5, MaxReply: 5}), echo, true, ""},
		{"too short", udp(Talk{Send: "1234", MinReply: 5}), echo, false, "fewer than 5"},
		{"too long", udp(Talk{Send: "123456", MaxReply: 5}), echo, false, "more than 5"},
		{"a full packet", Spec{Kind: "udp", FullMTU: true, Timeout: short, Talk: Talk{MinReply: 65535 - 28}}, echo, true, ""},
	})
}

func TestICMP(t *testing.T) {
	at := func(a string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), 0) }
	judge(t, []outcome{
		{"an echo", Spec{Kind: "icmp"}, at("192.0.2.1"), true, ""},
		{"an echo by IPv6", Spec{Kind: "icmp"}, at("2001:db8::1"), true, ""},
		{"a full packet", Spec{Kind: "icmp", FullMTU: true}, at("192.0.2.2"), true, ""},
		{"a full packet by IPv6", Spec{Kind: "icmp", FullMTU: true}, at("2001:db8::1"), true, ""},
		{"an echo from an address", Spec{Kind: "icmp", Source: Address{netip.MustParseAddr("192.0.2.2")}}, at("192.0.2.1"), true, ""},
		{"no way", Spec{Kind: "icmp"}, at("203.0.113.7"), false, "network is unreachable"},
	})
}

func TestICMPBothBySocketsForPingAndRaw(t *testing.T) {
	const file = "/proc/sys/net/ipv4/ping_group_range"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(file, before, 0o644)
	for groups, raw := range map[string]bool{"0 0": false, "1 0": true} {
		if err := os.WriteFile(file, []byte(groups), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
			r := reach{to: netip.AddrPortFrom(netip.MustParseAddr(a), 0)}
			f, is, err := r.pingSocket()
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			if is != raw {
				t.Errorf("%s, %s: raw %v", groups, a, is)
			}
			if got := check(t, Spec{Kind: "icmp", Timeout: short}, Target{Addr: r.to}); !got.Up {
				t.Errorf("%s, %s: %+v", groups, a, got)
			}
		}
	}
}

func TestTheSumOfTheInternetIsThatOfItsDefinition(t *testing.T) {
	for text, want := range map[string]uint16{"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7": 0x220d, "\x01": 0xfeff, "": 0xffff} {
		if got := onesSum([]byte(text)); got != want {
			t.Errorf("% x: %x", text, got)
		}
	}
}

// zone answers questions as a name server would.
func zone(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil {
		return nil
	}
	q := m.Questions[0]
	m.Response = true
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
	bodies := map[dnsmessage.Type]dnsmessage.ResourceBody{
		dnsmessage.TypeA:     &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
		dnsmessage.TypeAAAA:  &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::7").As16()},
		dnsmessage.TypeCNAME: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("a.example.org.")},
		dnsmessage.TypeNS:    &dnsmessage.NSResource{NS: dnsmessage.MustNewName("ns.example.org.")},
		dnsmessage.TypePTR:   &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("ptr.example.org.")},
		dnsmessage.TypeMX:    &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mail.example.org.")},
		dnsmessage.TypeSRV:   &dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 3, Target: dnsmessage.MustNewName("srv.example.org.")},
		dnsmessage.TypeTXT:   &dnsmessage.TXTResource{TXT: []string{"v=1 ", "x"}},
		dnsmessage.TypeSOA: &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("ns.example.org."), MBox: dnsmessage.MustNewName("root.example.org."),
			Serial: 1, Refresh: 2, Retry: 3, Expire: 4, MinTTL: 5},
	}
	switch q.Name.String() {
	case "nothing.example.org.":
		m.RCode = dnsmessage.RCodeNameError
	case "broken.example.org.":
		m.RCode = dnsmessage.RCodeServerFailure
	case "large.example.org.":
		m.Truncated = true
	default:
		m.Answers = []dnsmessage.Resource{{Header: head, Body: bodies[q.Type]}}
	}
	answer, _ := m.Pack()
	return answer
}

func TestDNS(t *testing.T) {
	at := datagrams(t, zone)
	overTCP := func(slowly bool) func(net.Conn) {
		return func(c net.Conn) {
			question, err := readDNS(c, "tcp")
			if err != nil {
				return
			}
			if bytes.Contains(question, []byte("large")) {
				question = bytes.Replace(question, []byte("large"), []byte("small"), 1)
			}
			answer := zone(question)
			framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
			if slowly {
				trickles(string(framed))(c)
			}
			_, _ = c.Write(framed)
		}
	}
	tcp := serve(t, overTCP(false))
	serveAt(t, at.String(), overTCP(false))
	forged := datagrams(t, func(b []byte) []byte { b = zone(b); b[0]++; return b })
	dns := func(d DNS) Spec { return Spec{Kind: "dns", DNS: d, Timeout: short} }
	outcomes := []outcome{
		{"the root's SOA", dns(DNS{}), at, true, "NOERROR"},
		{"by TCP", dns(DNS{Transport: "tcp", Type: "A", Answer: "^192.0.2.7$"}), tcp, true, "192.0.2.7"},
		{"by TCP, a byte a second", dns(DNS{Transport: "tcp"}), serve(t, overTCP(true)), false, "no answer within 300ms"},
		{"by TCP, nonsense", dns(DNS{Transport: "tcp"}), serve(t, says("\x00\x03abc")), false, "cannot be read"},
		{"no such name", dns(DNS{Name: "nothing.example.org"}), at, false, "NXDOMAIN"},
		{"no such name, which is well", dns(DNS{Name: "nothing.example.org", RCodes: []string{"NOERROR", "NXDOMAIN"}}), at, true, "NXDOMAIN"},
		{"a name server that fails", dns(DNS{Name: "broken.example.org."}), at, false, "SERVFAIL"},
		{"a truncated answer is asked for again", dns(DNS{Name: "large.example.org", Type: "A", Answer: "192"}), at, true, "192.0.2.7"},
		{"another answer", dns(DNS{Name: "example.org", Type: "A", Answer: "^192.0.2.8$"}), at, false, `no record matches: "192.0.2.7"`},
		{"the answer to another question", dns(DNS{}), forged, false, "no answer within 300ms"},
		{"silence", dns(DNS{}), datagrams(t, func([]byte) []byte { return nil }), false, "no answer within 300ms"},
		{"nobody", dns(DNS{}), netip.AddrPortFrom(at.Addr(), 9), false, "connection refused"},
	}
	for kind, want := range map[string]string{
		"A": "192.0.2.7", "AAAA": "2001:db8::7", "CNAME": "a.example.org.", "NS": "ns.example.org.", "PTR": "ptr.example.org.",
		"MX": "10 mail.example.org.", "SRV": "1 2 3 srv.example.org.", "TXT": "v=1 x", "SOA": "ns.example.org. root.example.org. 1 2 3 4 5",
	} {
		outcomes = append(outcomes, outcome{"a record of type " + kind, dns(DNS{Name: "example.org", Type: kind, Answer: "^" + want + "$"}), at, true, want})
	}
	judge(t, outcomes)
}

// mail talks as a mail server that answers each command as replies says.
func mail(replies map[string]string, secure *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		fmt.Fprintf(c, "%s\r\n", replies["greeting"])
		text := textOver(c)
		for {
			line, err := text.ReadLine()
			if err != nil {
				return
			}
			verb := strings.Fields(line + " ")[0]
			fmt.Fprintf(c, "%s\r\n", replies[verb])
			if verb == "STARTTLS" && secure != nil {
				c = tls.Server(c, secure)
				text = textOver(c)
			}
		}
	}
}

func TestSMTP(t *testing.T) {
	_, server := web(t, true, pages)
	well := map[string]string{"greeting": "220 mail", "EHLO": "250-mail\r\n250 STARTTLS", "STARTTLS": "220 go", "QUIT": "221 bye"}
	but := func(verb, reply string) map[string]string {
		m := map[string]string{verb: reply}
		for k, v := range well {
			if k != verb {
				m[k] = v
			}
		}
		return m
	}
	no := false
	smtp := Spec{Kind: "smtp", SMTP: SMTP{Helo: "director.example.org"}, Timeout: short}
	starttls := Spec{Kind: "smtp", TLS: &TLS{Verify: &no}, Timeout: Duration(time.Second)}
	judge(t, []outcome{
		{"well", smtp, serve(t, mail(well, nil)), true, ""},
		{"by TLS", starttls, serve(t, mail(well, server.TLS)), true, ""},
		{"TLS is not to be had", starttls, serve(t, mail(but("STARTTLS", "454 no"), nil)), false, "STARTTLS: 454 no"},
		{"no room", smtp, serve(t, mail(but("greeting", "421 too many"), nil)), false, "greeting: 421 too many"},
		{"no EHLO", smtp, serve(t, mail(but("EHLO", "550 go away"), nil)), false, "EHLO: 550 go away"},
		{"silence", smtp, serve(t, silent), false, "no answer to greeting within 300ms"},
		{"a greeting a byte a second", smtp, serve(t, trickles("220 mail\r\n")), false, "no answer to greeting within 300ms"},
		{"refused", smtp, nobody(t), false, "connection refused"},
	})
}

// healthService is a server of grpc.health.v1 that gives the state for each name.
func healthService(states map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		name := ""
		if len(body) > 7 {
			name = string(body[7:])
		}
		state, known := states[name]
		if r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Te") != "trailers" || r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		if !known {
			w.Header().Set("Grpc-Status", "5")
			w.Header().Set("Grpc-Message", "unknown service")
			return
		}
		_, _ = io.WriteString(w, state)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
}

func TestGRPC(t *testing.T) {
	states := map[string]string{
		"": "\x00\x00\x00\x00\x02\x08\x01", "sick": "\x00\x00\x00\x00\x02\x08\x02", "unknown": "\x00\x00\x00\x00\x00",
		"compressed": "\x01\x00\x00\x00\x00", "odd": "\x00\x00\x00\x00\x02\x10\x01", "new": "\x00\x00\x00\x00\x02\x08\x09",
	}
	at, _ := web(t, false, healthService(states))
	secure, server := web(t, true, healthService(states))
	ca := written(t, "CERTIFICATE", server.Certificate().Raw)
	grpc := func(name string) Spec {
		return Spec{Kind: "grpc", GRPC: GRPC{Service: name}, Timeout: Duration(time.Second)}
	}
	overTLS := grpc("")
	overTLS.TLS = &TLS{CA: ca, ServerName: "example.com"}
	distrust := grpc("")
	distrust.TLS = &TLS{}
	judge(t, []outcome{
		{"serving", grpc(""), at, true, "SERVING"},
		{"serving by TLS", overTLS, secure, true, "SERVING"},
		{"serving by the TLS of a stranger", distrust, secure, false, "certificate"},
		{"not serving", grpc("sick"), at, false, "NOT_SERVING"},
		{"an empty message is unknown", grpc("unknown"), at, false, "UNKNOWN"},
		{"a service it does not know", grpc("other"), at, false, `gRPC status "5": unknown service`},
		{"a compressed message", grpc("compressed"), at, false, "no plain message"},
		{"another message", grpc("odd"), at, false, "no health"},
		{"a state of the future", grpc("new"), at, false, "state 9"},
		{"no gRPC there", grpc(""), serve(t, says("HTTP/1.1 400 Bad Request\r\n\r\n")), false, ""},
		{"silence", Spec{Kind: "grpc", Timeout: short}, serve(t, silent), false, "no answer within 300ms"},
		{"refused", grpc(""), nobody(t), false, "connection refused"},
	})
}

func TestExec(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.9:80")
	shell := func(script string, p Program) Spec {
		p.Command = []string{"/bin/sh", "-c", script}
		return Spec{Kind: "exec", Program: p, Timeout: Duration(time.Second)}
	}
	judge(t, []outcome{
		{"well", shell("echo fine; exit 0", Program{}), at, true, "fine"},
		{"not well", shell("echo disk full >&2; exit 1", Program{}), at, false, "exit code 1: disk full"},
		{"a code that is well", shell("exit 4", Program{ExitCodes: "0 3-5"}), at, true, ""},
		{"0 is not well if not told so", shell("exit 0", Program{ExitCodes: "1"}), at, false, "exit code 0"},
		{"it knows what it is about", shell(`test "$EVS_ADDRESS $EVS_PORT $EVS_WEIGHT" = "192.0.2.9 80 10"`, Program{}), at, true, ""},
		{"a dynamic one without a weight", shell("exit 0", Program{Dynamic: true}), at, true, ""},
		{"a dynamic one that is not well", shell("exit 1", Program{Dynamic: true}), at, false, "exit code 1"},
		{"killed", shell("kill -9 $$", Program{}), at, false, "signal: killed"},
		{"no such program", Spec{Kind: "exec", Program: Program{Command: []string{"/nonexistent"}}}, at, false, "no such file"},
		{"endless", Spec{Kind: "exec", Timeout: short, Program: Program{Command: []string{"/bin/sleep", "9"}}}, at, false, "no end within 300ms"},
		{"endless words", Spec{Kind: "exec", Timeout: short, Program: Program{Command: []string{"/bin/sh", "-c", "while :; do echo y; done"}}}, at, false, "no end within 300ms"},
	})
	if os.Getuid() != 0 {
		t.Fatal("this test needs root, to run a program as another user")
	}
	judge(t, []outcome{
		{"as another user", shell(`test "$(id -un):$(id -gn):$(id -G | wc -w)" = nobody:nogroup:1`, Program{User: "nobody"}), at, true, ""},
		{"in another group", shell(`test "$(id -un):$(id -gn)" = nobody:daemon`, Program{User: "nobody:daemon"}), at, true, ""},
		{"as oneself", shell(`test "$(id -u)" = 0`, Program{User: "root"}), at, true, ""},
	})
}

func TestADynamicProgramSetsTheWeight(t *testing.T) {
	for code, want := range map[int]int{2: 0, 3: 1, 12: 10, 255: 253} {
		s := Spec{Kind: "exec", Program: Program{Dynamic: true, Command: []string{"/bin/sh", "-c", "exit " + strconv.Itoa(code)}}}
		if r := check(t, s, Target{}); !r.Up || r.Weight == nil || *r.Weight != want {
			t.Errorf("%d: %+v", code, r)
		}
	}
}

func TestAProgramThatIsLateIsKilledWithItsChildren(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	script := "sleep 60 & echo $! > " + pids + "; wait"
	r := check(t, Spec{Kind: "exec", Timeout: short, Program: Program{Command: []string{"/bin/sh", "-c", script}}}, Target{})
	if r.Up {
		t.Fatal(r)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("child %d lives on", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestFile(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.9:80")
	dir := t.TempDir()
	file := func(text string, f FileSpec, dynamic bool) Spec {
		f.File = filepath.Join(dir, strconv.Itoa(len(text))+strings.Trim(text, " \n"))
		if err := os.WriteFile(f.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Spec{Kind: "file", FileSpec: f, Program: Program{Dynamic: dynamic}}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	judge(t, []outcome{
		{"up", file("up\n", FileSpec{}, false), at, true, "up"},
		{"down", file("down", FileSpec{}, false), at, false, "says down"},
		{"0 is up", file("0\n", FileSpec{}, false), at, true, ""},
		{"another number is down", file("3", FileSpec{}, false), at, false, "says 3"},
		{"0 is down, reversed", file("0", FileSpec{Reverse: true}, false), at, false, "says 0"},
		{"another number is up, reversed", file("7", FileSpec{Reverse: true}, false), at, true, ""},
		{"nonsense", file("perhaps", FileSpec{}, false), at, false, "neither up"},
		{"nothing", file("", FileSpec{}, false), at, false, "neither up"},
		{"no file", Spec{Kind: "file", FileSpec: FileSpec{File: "/nonexistent"}}, at, false, "no such file"},
		{"a pipe", Spec{Kind: "file", FileSpec: FileSpec{File: pipe}}, at, false, "not a plain file"},
	})
	for _, c := range []struct {
		text         string
		factor, want int
	}{{"5", 0, 15}, {"-3", 0, 7}, {"5", -1, 5}, {"3", 4, 22}, {"-50", 1, 0}, {"drain", 0, 0}} {
		r := check(t, file(c.text, FileSpec{Factor: c.factor}, true), Target{Weight: 10})
		if !r.Up || r.Weight == nil || *r.Weight != c.want {
			t.Errorf("%s times %d: %+v", c.text, c.factor, r)
		}
	}
}
