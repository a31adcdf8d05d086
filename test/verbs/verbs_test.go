// Package verbs runs the verbs of evs as a person does, in network namespaces
// of its own.
package verbs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// evs is the program under test, built once.
var evs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "evs-verbs-test")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		evs = filepath.Join(dir, "evs")
		if out, err := exec.Command("go", "build", "-o", evs, "github.com/evs-project/evs/cmd/evs").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build evs: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// machine is a network namespace without interfaces, and evs in it.
type machine struct {
	in string // path to the namespace
}

// newMachine makes a namespace that ends with the test, and its table with it.
func newMachine(t *testing.T) machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes a network namespace and needs root: run it with sudo")
	}
	var m machine
	ready, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the thread holds the namespace, and ends with the test
		err := unix.Unshare(unix.CLONE_NEWNET)
		m.in = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		<-done
	}()
	if err := <-ready; err != nil {
		t.Fatalf("network namespace: %v", err)
	}
	t.Cleanup(func() {
		m.run("", "unload")
		close(done)
	})
	return m
}

type result struct {
	out, said string
	code      int
}

// run runs evs with words; input is its standard input.
func (m machine) run(input string, words ...string) result {
	var out, said bytes.Buffer
	cmd := exec.Command("nsenter", append([]string{"--net=" + m.in, evs}, words...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	err := cmd.Run()
	r := result{out: out.String(), said: said.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		r.code, r.said = -1, err.Error()
	}
	return r
}

// must runs evs and expects success.
func (m machine) must(t *testing.T, line string) string {
	t.Helper()
	r := m.run("", strings.Fields(line)...)
	if r.code != 0 {
		t.Fatalf("evs %s: exit code %d: %s", line, r.code, r.said)
	}
	return r.out
}

func TestTheVerbsDoWhatIpvsadmDoes(t *testing.T) {
	m := newMachine(t)
	for _, step := range []struct{ line, rules string }{
		{"service add --tcp 203.0.113.10:80 --scheduler wrr", "-A -t 203.0.113.10:80 -s wrr\n"},
		{"destination add --tcp 203.0.113.10:80 --server 192.0.2.2:8080 --method masq --weight 3",
			"-A -t 203.0.113.10:80 -s wrr\n-a -t 203.0.113.10:80 -r 192.0.2.2:8080 -m -w 3\n"},
		{"destination edit --tcp 203.0.113.10:80 --server 192.0.2.2:8080 --weight 0",
			"-A -t 203.0.113.10:80 -s wrr\n-a -t 203.0.113.10:80 -r 192.0.2.2:8080 -m -w 0\n"},
		{"service edit --tcp 203.0.113.10:80 --persistent 5m --netmask /24",
			"-A -t 203.0.113.10:80 -s wrr -p 300 -M 255.255.255.0\n-a -t 203.0.113.10:80 -r 192.0.2.2:8080 -m -w 0\n"},
		{"destination delete --tcp 203.0.113.10:80 --server 192.0.2.2:8080", "-A -t 203.0.113.10:80 -s wrr -p 300 -M 255.255.255.0\n"},
		{"service delete --tcp 203.0.113.10:80", ""},
		{"service add --fwmark 7 -6 --scheduler sh --sched-flags sh-port", "-A -f 7 -6 -s sh -b sh-port\n"},
		{"destination add --fwmark 7 -6 -r 192.0.2.9:80 -m tunnel --tunnel-type gue --tunnel-port 6080 --tunnel-checksum csum",
			"-A -f 7 -6 -s sh -b sh-port\n-a -f 7 -6 -r 192.0.2.9:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum\n"},
	} {
		t.Run(step.line, func(t *testing.T) {
			m.must(t, step.line)
			if got := m.must(t, "save"); got != step.rules {
				t.Errorf("the table is\n%swant\n%s", got, step.rules)
			}
		})
	}
}

func TestWhatCannotBeIsRefusedWithARemedy(t *testing.T) {
	m := newMachine(t)
	m.must(t, "service add --tcp 203.0.113.10:80")
	m.must(t, "destination add --tcp 203.0.113.10:80 --server 192.0.2.2")
	for _, test := range []struct{ line, says string }{
		{"service add --tcp 203.0.113.10:80", "evs service edit"},
		{"service edit --tcp 203.0.113.10:81", "evs service list"},
		{"service delete", "--fwmark MARK"},
		{"destination add --tcp 203.0.113.10:80 --server 192.0.2.2", "evs destination edit"},
		{"destination delete --tcp 203.0.113.10:80 --server 192.0.2.3", "evs destination list"},
		{"destination edit --tcp 203.0.113.10:80 --server 192.0.2.2 --method nat", "masq, route, tunnel"},
		{"list -o xml", "table, wide, json, yaml"},
		{"restore --dry-run", "--atomic"},
		{"connection flush", "--all for every one"},
		{"connection flush --reset", "--all for every one"},
		{"connection flush --all --client 198.51.100.0/24", "leave it out"},
		{"connections flush --tcp 203.0.113.10:81", "evs service list"},
		{"connections flush --destination 192.0.2.2:81", "evs destination list"},
		{"connection flush --destination server1", "192.0.2.2:8080"},
		{"connection flush --client 198.51.100.1/24", "write 198.51.100.0/24"},
		{"connection flush --tcp 203.0.113.10:80 --client 2001:db8::/64", "different address families"},
		{"connection flush --tcp 203.0.113.10:80 --udp 203.0.113.10:80", "give one of them"},
		{"connection flush --state open", "ESTABLISHED"},
		{"connection list --state open", "ESTABLISHED"},
		{"connection flush --all --reset=server", "client, both"},
		{"mark add -d 203.0.113.0/24", "--set-mark is missing"},
		{"mark add -d 203.0.113.0/24 --dport 80 --set-mark 7", "tcp, udp or sctp"},
		{"mark delete -d 203.0.113.0/24", "evs mark list"},
		{"sysctl net.ipv4.vs.no_such", "evs sysctl"},
		{"sysctl -w net.ipv4.vs.drop_entry=7", "0 to 3"},
		{"sysctl -w net.ipv4.vs.conntrack=1", "netfilter"},
		{"sysctl -w net.ipv4.vs.drop_entry", "NAME=VALUE"},
	} {
		t.Run(test.line, func(t *testing.T) {
			r := m.run("", strings.Fields(test.line)...)
			if r.code == 0 || !strings.Contains(r.said, test.says) {
				t.Errorf("exit code %d, said %q, want it to say %q", r.code, r.said, test.says)
			}
		})
	}
}

func TestAtomicRestoreReportsEveryBadLineAndChangesNothing(t *testing.T) {
	m := newMachine(t)
	before := "-A -t 203.0.113.10:80 -s wrr\n-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 1\n"
	if r := m.run("# kept\n\nipvsadm "+before, "restore", "--atomic"); r.code != 0 {
		t.Fatal(r.said)
	}
	bad := "-A -t 203.0.113.11:80 -s best\n# fine\n-A -t 203.0.113.12:80\n-a -t 203.0.113.12:80 -r 224.0.0.1\n--set 1 2 3\n"
	r := m.run(bad, "restore", "--atomic")
	for _, line := range []string{"line 1: ", "line 4: ", "line 5: "} {
		if !strings.Contains(r.said, line) {
			t.Errorf("%q does not report %q", r.said, line)
		}
	}
	if r.code == 0 || strings.Contains(r.said, "line 3") {
		t.Errorf("exit code %d, said %q", r.code, r.said)
	}
	if got := m.must(t, "save"); got != before {
		t.Errorf("the table changed to\n%s", got)
	}
}

func TestRestoreWithoutAtomicIsThatOfIpvsadm(t *testing.T) {
	m := newMachine(t)
	r := m.run("-A -t 203.0.113.10:80 -s wrr\n-A -t 203.0.113.10:80 -s rr\n-A -t 203.0.113.10:81 -s rr\n", "restore")
	if want := "Service already exists\n"; r.said != want {
		t.Errorf("said %q, want %q", r.said, want)
	}
	if got := m.must(t, "save"); !strings.Contains(got, ":80 -s wrr") || !strings.Contains(got, ":81 -s rr") {
		t.Errorf("the table is\n%s", got)
	}
}

func TestConnectionsEndWhereThereAreNone(t *testing.T) {
	m := newMachine(t)
	if out := m.must(t, "connection flush --all"); out != "connections ended: 0\n" {
		t.Errorf("without a table it says %q", out)
	}
	if r := m.run("", "connection", "flush", "--destination", "192.0.2.2"); r.code != 1 {
		t.Errorf("without a table, exit code %d for a destination that is not there", r.code)
	}
	m.must(t, "service add --tcp 203.0.113.10:80")
	m.must(t, "destination add --tcp 203.0.113.10:80 --server 192.0.2.2")
	for line, want := range map[string]string{
		"connections flush --destination 192.0.2.2":        "connections ended: 0\n",
		"conns flush -t 203.0.113.10:80 --templates":       "connections ended: 0\ntemplates ended: 0\n",
		"connection flush --state established --reset":     "connections ended: 0\n  with a reset: 0\n  of these, clients that have not answered yet: 0\n",
		"connection flush -c 198.51.100.0/24 -d 192.0.2.2": "connections ended: 0\n",
	} {
		if out := m.must(t, line); out != want {
			t.Errorf("%s says %q, want %q", line, out, want)
		}
	}
}

func TestListingsAreDocumentsOfTheVersionedForm(t *testing.T) {
	m := newMachine(t)
	m.must(t, "service add --udp [2001:db8::10]:53 --scheduler rr --ops")
	for _, line := range []string{"list -o json", "service list -o json", "destination list -o json", "destination list --udp [2001:db8::10]:53 -o json", "list connections -o json", "connection list -o json"} {
		var doc struct{ APIVersion, Kind string }
		if err := json.Unmarshal([]byte(m.must(t, line)), &doc); err != nil || doc.APIVersion != "evs/v1" {
			t.Errorf("%s: %+v, %v", line, doc, err)
		}
	}
	if y := m.must(t, "list -o yaml"); !strings.Contains(y, "apiVersion: evs/v1") || !strings.Contains(y, "onePacket: true") {
		t.Errorf("YAML is\n%s", y)
	}
}

func TestShellsAreToldWhatThereIs(t *testing.T) {
	m := newMachine(t)
	m.must(t, "service add --tcp 203.0.113.10:80 --scheduler wrr")
	m.must(t, "destination add --tcp 203.0.113.10:80 --server 192.0.2.2")
	for _, test := range []struct {
		words []string
		want  string
	}{
		{[]string{"service", "edit", "--tcp", ""}, "203.0.113.10:80"},
		{[]string{"destination", "delete", "--tcp", "203.0.113.10:80", "--server", ""}, "192.0.2.2:80"},
		{[]string{"service", "add", "--scheduler", ""}, "wlc\t"},
		{[]string{"service", "add", "--scheduler", "mh", "--sched-flags", ""}, "mh-port"},
		{[]string{"destination", "add", "--method", ""}, "tunnel"},
		{[]string{"list", "-o", ""}, "yaml"},
	} {
		if r := m.run("", append([]string{"__complete"}, test.words...)...); !strings.Contains(r.out, test.want) {
			t.Errorf("%q: %q, want %q among it", test.words, r.out, test.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := m.must(t, "completion "+shell); !strings.Contains(out, "evs") {
			t.Errorf("%s: no completion", shell)
		}
	}
}

func TestEveryVerbAboutTheTableHasAnExample(t *testing.T) {
	m := newMachine(t)
	for _, verb := range []string{
		"service add", "service edit", "service delete", "service list",
		"destination add", "destination edit", "destination delete", "destination list",
		"connection list", "connection flush", "list", "list connections", "save", "restore",
	} {
		if help := m.must(t, verb+" --help"); !strings.Contains(help, "Examples:\n  evs "+verb) {
			t.Errorf("evs %s --help shows no example of itself:\n%s", verb, help)
		}
	}
}
