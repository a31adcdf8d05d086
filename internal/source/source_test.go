package source

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
	"github.com/evs-project/evs/test/alone"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) { alone.Main(m, "192.0.2.1/32", "2001:db8::1/128") }

const short = 300 * time.Millisecond

var (
	four = netip.MustParseAddrPort("192.0.2.1:80")
	six  = netip.MustParseAddrPort("[2001:db8::1]:8080")
)

// serve accepts connections of one address and hands each to talk.
func serve(t *testing.T, at netip.Addr, talk func(net.Conn)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); talk(c) }()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// trickles says a byte each tenth of a second.
func trickles(text string) func(net.Conn) {
	return func(c net.Conn) {
		for i := range text {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(time.Second / 10)
		}
	}
}

// web serves documents by their paths.
func web(t *testing.T, at netip.Addr, pages map[string]string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch text, ok := pages[r.URL.String()]; {
		case r.URL.Path == "/slow":
			for range 20 {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(time.Second / 10)
			}
		case r.URL.Path == "/long":
			_, _ = io.CopyN(w, endless{}, 5<<20)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/load", http.StatusFound)
		case ok:
			fmt.Fprint(w, text)
		default:
			http.Error(w, "no "+r.URL.String(), http.StatusNotFound)
		}
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func written(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "192.0.2.1.80")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// once asks a source once, as a runner does.
func once(t *testing.T, server netip.AddrPort, s config.WeightSource, counts health.Counts) (weight.Reading, error) {
	t.Helper()
	s.Interval = time.Hour
	if s.Timeout == 0 {
		s.Timeout = 2 * time.Second
	}
	reports := make(chan Report, 1)
	r := NewRunner(4, rand.New(rand.NewPCG(1, 2)), func(string) (health.Counts, bool) { return counts, true }, func(got Report) { reports <- got })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	s.Interval = time.Millisecond // within which the first question is asked
	if err := r.Set([]Task{{Key: "web/192.0.2.1:80", Server: server, Source: s}}); err != nil {
		return weight.Reading{}, err
	}
	select {
	case got := <-reports:
		cancel()
		for len(reports) > 0 {
			<-reports
		}
		return got.Value, got.Err
	case <-time.After(5 * time.Second):
		t.Fatal("no report within 5 s")
	}
	return weight.Reading{}, nil
}

func prom(kind, result string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, result)
}

func TestSourcesSayWhatTheirServersSay(t *testing.T) {
	at4, at6 := four.Addr(), six.Addr()
	agent := func(talk func(net.Conn)) config.WeightSource {
		return config.WeightSource{Kind: "agent", Port: serve(t, at4, talk)}
	}
	load := func(s config.WeightSource) config.WeightSource { s.Value = "load"; return s }
	quick := func(s config.WeightSource) config.WeightSource { s.Timeout = short; return s }
	pages := map[string]string{
		"/load":                                 `{"cpu": {"busy": [0.25, "0.5"], "a/b~c": 3, "text": "full"}, "all": true}`,
		"/number":                               "42\n",
		"/of?server=192.0.2.1&p=80":             `{"v": 7}`,
		"/six?s=2001:db8::1&p=8080":             `{"v": 6}`,
		"/text":                                 "load: 3",
		"/api/v1/query?query=one&timeout=2s":    prom("vector", `[{"metric":{},"value":[1,"0.25"]}]`),
		"/api/v1/query?query=scalar&timeout=2s": prom("scalar", `[1,"3"]`),
		"/api/v1/query?query=many&timeout=2s":   prom("vector", `[{"value":[1,"1"]},{"value":[1,"2"]}]`),
		"/api/v1/query?query=none&timeout=2s":   prom("vector", `[]`),
		"/api/v1/query?query=nan&timeout=2s":    prom("scalar", `[1,"NaN"]`),
		"/api/v1/query?query=range&timeout=2s":  prom("matrix", `[]`),
		"/api/v1/query?query=wrong&timeout=2s":  `{"status":"error","error":"parse error"}`,
		"/sub/api/v1/query?query=up%7Binstance%3D%22192.0.2.1%3A80%22%7D&timeout=2s": prom("vector", `[{"value":[1,"9"]}]`),
	}
	web4, web6 := web(t, at4, pages), web(t, at6, pages)
	get := func(path, field string) config.WeightSource {
		return load(config.WeightSource{Kind: "http-json", URL: fmt.Sprintf("http://{server}:%d%s", web4, path), Field: field})
	}
	query := func(q string) config.WeightSource {
		return load(config.WeightSource{Kind: "prometheus", URL: fmt.Sprintf("http://192.0.2.1:%d", web4), Query: q})
	}
	sub := query(`up{instance="{server}:{port}"}`)
	sub.URL += "/sub/"
	six6 := get("", "/v")
	six6.URL = fmt.Sprintf("http://{server}:%d/six?s={server}&p={port}", web6)
	run := func(words ...string) config.WeightSource {
		return config.WeightSource{Kind: "exec", Command: words, Value: "percent"}
	}
	file := func(name string) config.WeightSource { return load(config.WeightSource{Kind: "file", File: name}) }
	for _, c := range []struct {
		name   string
		server netip.AddrPort
		source config.WeightSource
		want   weight.Reading
		wrong  string
	}{
		{"an agent says a percentage", four, agent(says("75%\n")), weight.Reading{Value: 75, Unit: "percent"}, ""},
		{"an agent hangs up without an end of line", four, agent(says("drain # rack 4")), weight.Reading{Drain: true, About: "rack 4"}, ""},
		{"an agent keeps the connection", four, agent(func(c net.Conn) { says("up 50%\r\n")(c); time.Sleep(3 * time.Second) }), weight.Reading{Value: 50, Unit: "percent"}, ""},
		{"an agent is told something first", four, func() config.WeightSource {
			s := agent(func(c net.Conn) {
				b := make([]byte, 6)
				_, _ = io.ReadFull(c, b)
				says(string(b[:3]) + "\n")(c)
			})
			s.Send = "33%abc"
			return s
		}(), weight.Reading{Value: 33, Unit: "percent"}, ""},
		{"an agent tells its load", four, load(agent(says("69% # load=0.31 of 2 CPUs\n"))), weight.Reading{Value: 0.31, Unit: "load", About: "load=0.31 of 2 CPUs"}, ""},
		{"an agent that drains need not tell its load", four, load(agent(says("drain\n"))), weight.Reading{Drain: true}, ""},
		{"an agent that knows no loads", four, load(agent(says("69%\n"))), weight.Reading{}, "does not tell its load"},
		{"an agent that says nonsense", four, agent(says("hello\n")), weight.Reading{}, "no word of the agent-check protocol"},
		{"an agent that never ends", four, agent(says(strings.Repeat("x", 5000))), weight.Reading{}, "no end within 1024 bytes"},
		{"an agent that trickles", four, quick(agent(trickles("75%          \n"))), weight.Reading{}, "no whole answer within 300ms"},
		{"an agent that is silent", four, quick(agent(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })), weight.Reading{}, "no whole answer within 300ms"},
		{"nobody there", four, config.WeightSource{Kind: "agent", Port: 1}, weight.Reading{}, "connection refused"},

		{"a number in a document", four, get("/load", "/cpu/busy/0"), weight.Reading{Value: 0.25, Unit: "load"}, ""},
		{"a number as text", four, get("/load", "/cpu/busy/1"), weight.Reading{Value: 0.5, Unit: "load"}, ""},
		{"a name with a slash and a tilde", four, get("/load", "/cpu/a~1b~0c"), weight.Reading{Value: 3, Unit: "load"}, ""},
		{"a document that is a number", four, get("/number", ""), weight.Reading{Value: 42, Unit: "load"}, ""},
		{"server and port in the address", four, get("/of?server={server}&p={port}", "/v"), weight.Reading{Value: 7, Unit: "load"}, ""},
		{"the same of IPv6", six, six6, weight.Reading{Value: 6, Unit: "load"}, ""},
		{"a field that is not there", four, get("/load", "/cpu/idle/3"), weight.Reading{}, "the answer has no /cpu/idle"},
		{"a place behind the end of a list", four, get("/load", "/cpu/busy/2"), weight.Reading{}, "the answer has no /cpu/busy/2"},
		{"a field that is no number", four, get("/load", "/all"), weight.Reading{}, "has no number"},
		{"a field that is a word", four, get("/load", "/cpu/text"), weight.Reading{}, `"full" is no number`},
		{"no JSON", four, get("/text", "/v"), weight.Reading{}, "no JSON"},
		{"no document", four, get("/nothing", ""), weight.Reading{}, "404 Not Found"},
		{"a redirection", four, get("/moved", "/v"), weight.Reading{}, "302 Found"},
		{"a document that trickles", four, quick(get("/slow", "")), weight.Reading{}, "no whole answer within 300ms"},
		{"a document that is too long", four, get("/long", ""), weight.Reading{}, "longer than 4 MiB"},
		{"no URL", four, config.WeightSource{Kind: "http-json", URL: "192.0.2.1/load"}, weight.Reading{}, "write http://HOST/"},

		{"a query with one answer", four, query("one"), weight.Reading{Value: 0.25, Unit: "load"}, ""},
		{"a query with a scalar", four, query("scalar"), weight.Reading{Value: 3, Unit: "load"}, ""},
		{"a query below a path, of the server", four, sub, weight.Reading{Value: 9, Unit: "load"}, ""},
		{"a query with two answers", four, query("many"), weight.Reading{}, "gives 2 series"},
		{"a query with no answer", four, query("none"), weight.Reading{}, "gives 0 series"},
		{"a query whose answer is no number", four, query("nan"), weight.Reading{}, "want a number from 0 on"},
		{"a query of a range", four, query("range"), weight.Reading{}, "gives a matrix"},
		{"a query that is wrong", four, query("wrong"), weight.Reading{}, "the answer is error: parse error"},

		{"a program that prints a number", four, run("/bin/sh", "-c", "echo 40; echo more"), weight.Reading{Value: 40, Unit: "percent"}, ""},
		{"a program that is told the server", six, run("/bin/sh", "-c", `[ "$EVS_ADDRESS $EVS_PORT $0 $1" = "2001:db8::1 8080 2001:db8::1 8080" ] && echo 1`, "{server}", "{port}"), weight.Reading{Value: 1, Unit: "percent"}, ""},
		{"a program that fails", four, run("/bin/sh", "-c", "echo broken; exit 3"), weight.Reading{}, "exit code 3: broken"},
		{"a program that prints no number", four, run("/bin/echo", "a lot"), weight.Reading{}, `"a lot" is no number`},
		{"a program that hangs", four, quick(run("/bin/sh", "-c", "sleep 10; echo 1")), weight.Reading{}, "no end within 300ms"},
		{"a program that is not there", four, run("/nonexistent"), weight.Reading{}, "no such file"},
		{"a program without a path", four, run("echo", "1"), weight.Reading{}, "whole path"},
		{"a program of nobody", four, func() config.WeightSource { s := run("/bin/true"); s.User = "nobody-of-that-name"; return s }(), weight.Reading{}, "unknown user"},

		{"a file that is not there", four, file("/nonexistent/{server}"), weight.Reading{}, "no such file"},
		{"a file of the server", four, file(strings.Replace(written(t, " 0.75\n"), "192.0.2.1.80", "{server}.{port}", 1)), weight.Reading{Value: 0.75, Unit: "load"}, ""},
		{"a file of words", four, file(written(t, "busy")), weight.Reading{}, `"busy" is no number`},
		{"a negative number", four, file(written(t, "-1")), weight.Reading{}, "want a number from 0 on"},
		{"a directory", four, file("/"), weight.Reading{}, "not a plain file"},

		{"nothing is known of the server yet", four, config.WeightSource{Kind: "passive"}, weight.Reading{Value: 100, Unit: "percent"}, ""},
		{"a kind that is none", four, config.WeightSource{Kind: "guess"}, weight.Reading{}, "no such kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := once(t, c.server, c.source, health.Counts{Conns: 10, Retried: 10})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("got %+v, error %v, want one that says %q", got, err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(got.At); age < 0 || age > 5*time.Second {
				t.Errorf("it was said %v ago", age)
			}
			if got.At = (time.Time{}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAnAgentsSilencesLeaveThingsAsTheyWere(t *testing.T) {
	lines := make(chan string, 4)
	port := serve(t, four.Addr(), func(c net.Conn) { says(<-lines)(c) })
	ask, err := newAgent(asking{WeightSource: config.WeightSource{Port: port}, server: four})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		says string
		want weight.Reading
	}{
		{"50% drain\n", weight.Reading{Value: 50, Unit: "percent", Drain: true}},
		{"60%\n", weight.Reading{Value: 60, Unit: "percent", Drain: true}},
		{"down # tired\n", weight.Reading{Value: 60, Unit: "percent", Drain: true, Down: true, About: "tired"}},
		{"up ready\n", weight.Reading{Value: 60, Unit: "percent"}},
	} {
		lines <- c.says
		got, err := ask(t.Context())
		if got.At = (time.Time{}); err != nil || got != c.want {
			t.Errorf("after %q: %+v, error %v, want %+v", c.says, got, err, c.want)
		}
	}
}

func TestAFileSaysItWhenItIsWritten(t *testing.T) {
	name := written(t, "5")
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	ask, err := newFile(asking{WeightSource: config.WeightSource{File: name, Value: "weight"}, server: four})
	if err != nil {
		t.Fatal(err)
	}
	first, err := ask(t.Context())
	if age := time.Since(first.At); err != nil || age < 59*time.Second || age > 70*time.Second {
		t.Fatalf("it was said %v ago, error %v, want a minute", age, err)
	}
	if again, err := ask(t.Context()); err != nil || again != first {
		t.Errorf("read again it says %+v, error %v, want %+v as before", again, err, first)
	}
	if err := os.WriteFile(name, []byte("6"), 0o644); err != nil {
		t.Fatal(err)
	}
	if next, err := ask(t.Context()); err != nil || next.Value != 6 || !next.At.After(first.At) {
		t.Errorf("written anew it says %+v, error %v, want 6, later than before", next, err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(name, later, later); err != nil {
		t.Fatal(err)
	}
	if future, err := ask(t.Context()); err != nil || future.At.After(time.Now()) {
		t.Errorf("a file of the future says %+v, error %v, want now", future, err)
	}
}

func TestPassiveIsThePartThatDoesNotFail(t *testing.T) {
	now, known := health.Counts{Conns: 100, Retried: 50}, true
	ask, err := newPassive(asking{counts: func() (health.Counts, bool) { return now, known }})
	if err != nil {
		t.Fatal(err)
	}
	step := func(name string, c health.Counts, want float64) {
		t.Helper()
		now = c
		if got, err := ask(t.Context()); err != nil || got.Value != want || got.Unit != weight.UnitPercent {
			t.Errorf("%s: %+v, error %v, want %v percent", name, got, err, want)
		}
	}
	step("what was before is not held against it", now, 100)
	step("a quarter came again", health.Counts{Conns: 120, Retried: 55}, 75)
	step("all were refused", health.Counts{Conns: 130, Retried: 55, Refused: 10}, 0)
	step("no connections", now, 100)
	step("more come again than are new", health.Counts{Conns: 131, Retried: 60, Refused: 10}, 0)
	step("counted anew, as it was out of the table", health.Counts{Conns: 4, Retried: 1}, 75)
	known = false
	if got, err := ask(t.Context()); err == nil {
		t.Errorf("of a server that is not in the table it says %+v", got)
	}
}

func TestTheKindsAreThoseOfTheFile(t *testing.T) {
	field, _ := reflect.TypeFor[config.WeightSource]().FieldByName("Kind")
	var have []string
	for _, k := range Kinds {
		have = append(have, k.Name)
		if k.About == "" {
			t.Errorf("%s says nothing about itself", k.Name)
		}
	}
	if want := strings.Fields(field.Tag.Get("one")); !slices.Equal(have, want) {
		t.Errorf("there are %v, the file has %v", have, want)
	}
}
