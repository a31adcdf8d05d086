package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/poll"
	"github.com/evs-project/evs/test/alone"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) { alone.Main(m, "192.0.2.1/32", "2001:db8::1/128") }

// paper is a director's file.
type paper string

func (p paper) ReadFile(string) ([]byte, error) { return []byte(p), nil }
func (p paper) Glob(string) ([]string, error)   { return nil, nil }

// service is one of a file, whose servers have weight 5.
func service(t *testing.T, words string) config.Service {
	t.Helper()
	d, wrong := config.Load("f", paper("services: [{name: web, weight: 5, "+words+"}]"))
	if wrong != nil {
		t.Fatal(wrong)
	}
	return d.Services[0]
}

func told(found []config.Destination) string {
	var words []string
	for _, d := range found {
		words = append(words, fmt.Sprintf("%s*%d", d.Address, d.Weight))
	}
	return strings.Join(words, " ")
}

// looking runs a runner with one task and returns its reports.
func looking(t *testing.T, directory string, task Task) (*Runner, chan Report) {
	t.Helper()
	reports := make(chan Report, 1000)
	r := NewRunner(4, rand.New(rand.NewPCG(1, 2)), directory, func(got Report) { reports <- got })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	if err := r.Set([]Task{task}); err != nil {
		t.Fatal(err)
	}
	return r, reports
}

func next(t *testing.T, reports chan Report) Report {
	t.Helper()
	select {
	case got := <-reports:
		return got
	case <-time.After(10 * time.Second):
		t.Fatal("no report within 10 s")
	}
	return Report{}
}

// A site is a server whose document changes.
type site struct {
	text, tag string
	status    int
	asked     int
}

func TestWhatWasFoundLastIsKeptUntilSomethingBetterIs(t *testing.T) {
	s := &site{}
	l, err := net.Listen("tcp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan site) // the server's is whichever came last
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case *s = <-changes:
		case <-r.Context().Done():
			return
		}
		s.asked++
		switch {
		case s.status != 0:
			w.WriteHeader(s.status)
		case s.tag != "" && r.Header.Get("If-None-Match") == s.tag:
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("ETag", s.tag)
			_, _ = io.WriteString(w, s.text)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })

	directory := filepath.Join(t.TempDir(), "found")
	task := Task{"web/0", service(t, "tcp: 203.0.113.10:80, method: masq"), config.Discovery{
		Kind: "http", URL: "http://" + l.Addr().String() + "/servers", Interval: time.Millisecond, Timeout: 5 * time.Second, Limit: 3}}
	r, reports := looking(t, directory, task)
	if _, err := r.Last(task); !errors.Is(err, ErrNothing) {
		t.Fatalf("before anything was found: %v", err)
	}
	for _, c := range []struct {
		name    string
		site    site
		changed bool
		wrong   string
		last    string
	}{
		{"the first answer", site{text: "[{server: 192.0.2.2}]", tag: `"1"`}, true, "", "192.0.2.2*5"},
		{"nothing new", site{tag: `"1"`}, false, "", "192.0.2.2*5"},
		{"another text that says the same", site{text: `[{"server":"192.0.2.2"}]`, tag: `"2"`}, false, "", "192.0.2.2*5"},
		{"more servers", site{text: "[{server: 192.0.2.2},{server: 192.0.2.3, weight: 1}]"}, true, "", "192.0.2.2*5 192.0.2.3*1"},
		{"none", site{text: "[]"}, false, "has no server", "192.0.2.2*5 192.0.2.3*1"},
		{"an error", site{status: 500}, false, "500", "192.0.2.2*5 192.0.2.3*1"},
		{"too many", site{text: "[{server: 192.0.2.2},{server: 192.0.2.3},{server: 192.0.2.4},{server: 192.0.2.5}]"}, false, "more than the limit of 3", "192.0.2.2*5 192.0.2.3*1"},
		{"nonsense", site{text: "[{sever: 192.0.2.2}]", tag: `"3"`}, false, "did you mean server?", "192.0.2.2*5 192.0.2.3*1"},
		{"the same nonsense", site{tag: `"3"`}, false, "did you mean server?", "192.0.2.2*5 192.0.2.3*1"},
		{"sense again", site{text: "[{server: 192.0.2.7}]", tag: `"4"`}, true, "", "192.0.2.7*5"},
	} {
		changes <- c.site
		got := next(t, reports)
		if got.Value != c.changed || (got.Err != nil) != (c.wrong != "") || c.wrong != "" && !strings.Contains(got.Err.Error(), c.wrong) {
			t.Errorf("%s: changed %v, error %v, want %v, %q", c.name, got.Value, got.Err, c.changed, c.wrong)
		}
		last, err := r.Last(task)
		if err != nil || told(last) != c.last {
			t.Errorf("%s: found last %s, error %v, want %s", c.name, told(last), err, c.last)
		}
	}
	again := NewRunner(1, rand.New(rand.NewPCG(1, 2)), directory, nil)
	if last, err := again.Last(task); err != nil || told(last) != "192.0.2.7*5" {
		t.Errorf("after a restart: %s, error %v", told(last), err)
	}
	task.Service = service(t, "tcp: 203.0.113.10:80, method: masq, upperThreshold: 9")
	if last, err := again.Last(task); err != nil || last[0].UpperThreshold != 9 {
		t.Errorf("of the service as it is now: %+v, error %v", last, err)
	}
	task.Service.Name = "other"
	if last, err := again.Last(task); !errors.Is(err, ErrNothing) {
		t.Errorf("of another service: %s, error %v", told(last), err)
	}
}

func TestAFileIsReadWhenItHasChangedAndSettled(t *testing.T) {
	name := filepath.Join(t.TempDir(), "servers.yaml")
	ask, err := newFile(asking{Discovery: config.Discovery{File: name}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) func() error { return func() error { return os.WriteFile(name, []byte(text), 0o644) } }
	nothing := func() error { return nil }
	for _, c := range []struct {
		name   string
		do     func() error
		text   string
		same   bool
		failed bool
	}{
		{"it is not there", nothing, "", false, true},
		{"it is", write("one"), "one", false, false},
		{"it stays", nothing, "", true, false},
		{"it is being written", write("two an"), "", true, false},
		{"it is still being written", write("two and three"), "", true, false},
		{"it has settled", nothing, "two and three", false, false},
		{"it stays so", nothing, "", true, false},
		{"it is gone", func() error { return os.Remove(name) }, "", false, true},
		{"another comes", write("four"), "", true, false},
		{"and stays", nothing, "four", false, false},
		{"it is a directory", func() error { return errors.Join(os.Remove(name), os.Mkdir(name, 0o755)) }, "", true, false},
		{"and stays one", nothing, "", false, true},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		got, err := ask(t.Context())
		if string(got.text) != c.text || got.same != c.same || (err != nil) != c.failed {
			t.Errorf("%s: %q, same %v, error %v, want %q, %v, failure %v", c.name, got.text, got.same, err, c.text, c.same, c.failed)
		}
	}
}

func TestALongFileIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(name, make([]byte, longest+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readFile(name); err == nil || !strings.Contains(err.Error(), "longer than 4 MiB") {
		t.Errorf("error %v", err)
	}
}

func TestWhatCannotBeLookedForIsRefusedWhole(t *testing.T) {
	r := NewRunner(1, rand.New(rand.NewPCG(1, 2)), "", func(poll.Report[bool]) {})
	web := service(t, "tcp: 203.0.113.10:80")
	err := r.Set([]Task{
		{"a", web, config.Discovery{Kind: "file", File: "/x", Interval: time.Second}},
		{"b", web, config.Discovery{Kind: "http", URL: "192.0.2.1/x"}},
		{"c", web, config.Discovery{Kind: "dns", Name: strings.Repeat("x.", 200)}},
		{"d", web, config.Discovery{Kind: "guess"}},
	})
	for _, want := range []string{"b: discovery http: \"192.0.2.1/x\" is no URL", "c: discovery dns:", "d: discovery guess: there is no such kind"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

func TestTheKindsAreThoseOfTheFile(t *testing.T) {
	field, _ := reflect.TypeFor[config.Discovery]().FieldByName("Kind")
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

func TestResolversAreTheSystems(t *testing.T) {
	name := filepath.Join(t.TempDir(), "resolv.conf")
	for text, want := range map[string]string{
		"# none\nnameserver 192.0.2.53 # x\noptions rotate\nnameserver 2001:db8::53\n":             "[192.0.2.53:53 [2001:db8::53]:53]",
		"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n": "[192.0.2.1:53 192.0.2.2:53 192.0.2.3:53]",
		"search example.org\nnameserver here\n":                                                    "[]",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := systemResolvers(name)
		if fmt.Sprint(got) != want || (err != nil) != (want == "[]") {
			t.Errorf("%q names %v, error %v, want %s", text, got, err, want)
		}
	}
	if _, err := systemResolvers(name + "x"); err == nil {
		t.Error("a file that is not there names resolvers")
	}
}
