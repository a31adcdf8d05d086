package verbs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	oneServer  = "services: [{tcp: 203.0.113.10:80, scheduler: rr, method: masq, destinations: [{server: 192.0.2.2}]}]\n"
	twoServers = `settings: {conn_reuse_mode: "0"}
timeouts: {udp: 30s}
marks: [{destination: 203.0.113.0/24, mark: "7"}]
services:
  - {tcp: 203.0.113.10:80, scheduler: rr, method: masq, destinations: [{server: 192.0.2.2, weight: 2}, {server: 192.0.2.3}]}
  - {fwmark: 7, scheduler: mh, destinations: [{server: "192.0.2.2:0"}]}
`
)

// everything is the table as text, with all that a file can say of it.
func (m machine) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, line := range []string{"save", "mark save", "sysctl", "status"} {
		out := m.must(t, line)
		if line == "status" {
			_, out, _ = strings.Cut(out, "mode") // what is before it counts
			out, _, _ = strings.Cut(out, "COUNTER")
		}
		all.WriteString(out)
	}
	return all.String()
}

func TestAPlanChangesNothingAndApplyDoesWhatItSays(t *testing.T) {
	m := newMachine(t)
	one, two := written(t, "one.yaml", oneServer), written(t, "two.yaml", twoServers)
	m.must(t, "apply "+one)
	before := m.everything(t)
	planned := m.must(t, "plan "+two)
	for _, line := range []string{"weight destination", "add destination", "add service", "edit setting", "edit timeout", "add mark"} {
		if !strings.Contains(planned, line) {
			t.Errorf("the plan does not say %q:\n%s", line, planned)
		}
	}
	var doc struct {
		Kind    string
		Changes []struct{ What, Op string }
	}
	if err := json.Unmarshal([]byte(m.must(t, "plan -o json "+two)), &doc); err != nil || doc.Kind != "Plan" || len(doc.Changes) != strings.Count(planned, "\n")-1 {
		t.Errorf("as JSON: %+v, %v", doc, err)
	}
	if got := m.everything(t); got != before {
		t.Errorf("a plan made of the table\n%s", got)
	}
	if done := m.must(t, "apply "+two); done != planned {
		t.Errorf("done was\n%snot\n%s", done, planned)
	}
	const saved = "-A -f 7 -s mh\n-a -f 7 -r 192.0.2.2:0 -g -w 1\n" +
		"-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 192.0.2.3:80 -m -w 1\n-a -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 2\n"
	if got := m.must(t, "save"); sorted(got) != sorted(saved) {
		t.Errorf("the table is\n%s", got)
	}
	for _, verb := range []string{"plan ", "apply ", "apply --confirm 60s "} {
		if got := m.must(t, verb+two); !strings.HasPrefix(got, "nothing to do") {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

func sorted(text string) string {
	all := strings.Split(text, "\n")
	for i := range all {
		for j := range i {
			if all[i] < all[j] {
				all[i], all[j] = all[j], all[i]
			}
		}
	}
	return strings.Join(all, "\n")
}

func TestAFileThatIsWrongTouchesNothing(t *testing.T) {
	m := newMachine(t)
	m.must(t, "apply "+written(t, "one.yaml", oneServer))
	before := m.everything(t)
	for name, test := range map[string]struct{ text, says string }{
		"a slip":                          {"sheduler: rr\n" + twoServers, "sheduler"},
		"a server that cannot be":         {strings.Replace(twoServers, "server: 192.0.2.3", "server: 224.0.0.1", 1), "224.0.0.1"},
		"an interface that is not there":  {"interfaces: {eth7: tc}\n" + twoServers, "eth7"},
		"a setting that cannot have that": {strings.Replace(twoServers, `"0"`, `"many"`, 1), "conn_reuse_mode"},
	} {
		file := written(t, "wrong.yaml", test.text)
		for _, verb := range []string{"plan", "apply", "apply --confirm 60s"} {
			r := m.run("", append(strings.Fields(verb), file)...)
			if r.code != 1 || !strings.Contains(r.said, test.says) {
				t.Errorf("%s: %s: exit code %d, said %q", name, verb, r.code, r.said)
			}
		}
		if got := m.everything(t); got != before {
			t.Errorf("%s: the table is\n%s", name, got)
		}
	}
	for line, says := range map[string]string{
		"confirm": "nothing waits", "apply --rollback": "nothing waits", "apply --confirm 0s x": "60s", "apply --rollback x": "no file",
	} {
		if r := m.run("", strings.Fields(line)...); r.code != 1 || !strings.Contains(r.said, says) {
			t.Errorf("%s: exit code %d, said %q", line, r.code, r.said)
		}
	}
}

// The table refuses rules of marks when settings and services are made already.
func TestIfAStepFailsThoseBeforeItAreTakenBack(t *testing.T) {
	m := newMachine(t)
	m.must(t, "apply "+written(t, "one.yaml", oneServer))
	before := m.everything(t)
	var marks strings.Builder
	for i := range 1025 {
		fmt.Fprintf(&marks, "  - {destination: 203.0.%d.%d, mark: \"7\"}\n", 112+i>>8, i&255)
	}
	file := written(t, "many.yaml", strings.Replace(twoServers, "marks: [{destination: 203.0.113.0/24, mark: \"7\"}]", "marks:\n"+marks.String(), 1))
	for _, verb := range []string{"apply", "apply --confirm 60s"} {
		r := m.run("", append(strings.Fields(verb), file)...)
		if r.code != 1 || !strings.Contains(r.said, "mark: ") {
			t.Errorf("%s: exit code %d, said %q", verb, r.code, r.said)
		}
		if got := m.everything(t); got != before {
			t.Errorf("%s: the table is\n%snot\n%s", verb, got, before)
		}
	}
	if r := m.run("", "confirm"); r.code != 1 || !strings.Contains(r.said, "nothing waits") {
		t.Errorf("what failed waits to be confirmed: exit code %d, said %q", r.code, r.said)
	}
}

// trial is `evs apply --confirm` at work.
type trial struct {
	*exec.Cmd
	said  *bytes.Buffer
	ended chan error
}

// try applies a file on trial, and returns when that has happened.
func (m machine) try(t *testing.T, within, file string) trial {
	t.Helper()
	before := m.must(t, "save")
	// nsenter becomes evs, which therefore gets the signals.
	c := trial{exec.Command("nsenter", "--net="+m.in, evs, "apply", "--confirm", within, file), &bytes.Buffer{}, make(chan error, 1)}
	c.Stderr = c.said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill() })
	for deadline := time.Now().Add(20 * time.Second); m.must(t, "save") == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was applied")
		}
	}
	return c
}

// end waits for the end, and says whether it was a success.
func (c trial) end(t *testing.T) bool {
	t.Helper()
	select {
	case err := <-c.ended:
		return err == nil
	case <-time.After(20 * time.Second):
		t.Fatal("evs apply --confirm does not end")
		return false
	}
}

func TestChangesThatNobodyConfirmsAreTakenBack(t *testing.T) {
	m := newMachine(t)
	two := written(t, "two.yaml", twoServers)
	m.must(t, "apply "+written(t, "one.yaml", oneServer))
	m.must(t, "mark add -d 198.51.100.0/24 --set-mark 3")
	m.must(t, "sysctl -w net.ipv4.vs.sloppy_tcp=1")
	before := m.everything(t)
	for name, test := range map[string]struct {
		within string
		signal syscall.Signal // 0 for none
	}{
		"the time is over":         {"1s", 0},
		"its terminal is gone":     {"60s", syscall.SIGHUP},
		"it is interrupted":        {"60s", syscall.SIGINT},
		"it is told to terminate ": {"60s", syscall.SIGTERM},
	} {
		c := m.try(t, test.within, two)
		if test.signal != 0 {
			if err := c.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
		}
		if c.end(t) || !strings.Contains(c.said.String(), "as it was before") {
			t.Errorf("%s: evs said %q", name, c.said)
		}
		if got := m.everything(t); got != before {
			t.Errorf("%s: the table is\n%snot\n%s", name, got, before)
		}
	}
}

func TestChangesThatAreConfirmedStay(t *testing.T) {
	m := newMachine(t)
	one, two := written(t, "one.yaml", oneServer), written(t, "two.yaml", twoServers)
	m.must(t, "apply "+one)
	c := m.try(t, "60s", two)
	after := m.everything(t)
	for _, line := range []string{"apply " + one, "apply --confirm 60s " + one} { // no others meanwhile
		if r := m.run("", strings.Fields(line)...); r.code != 1 || !strings.Contains(r.said, "evs confirm") || !strings.Contains(r.said, two) {
			t.Errorf("%s: exit code %d, said %q", line, r.code, r.said)
		}
	}
	m.must(t, "confirm")
	if !c.end(t) {
		t.Errorf("evs apply says %q", c.said)
	}
	if got := m.everything(t); got != after {
		t.Errorf("the table is\n%snot\n%s", got, after)
	}
	c = m.try(t, "60s", one)
	m.must(t, "apply --rollback")
	if c.end(t) || !strings.Contains(c.said.String(), "taken it back") {
		t.Errorf("taken back by another: evs said %q", c.said)
	}
	if got := m.everything(t); got != after {
		t.Errorf("the table is\n%snot\n%s", got, after)
	}
}

func TestTheWayBackOutlivesWhoWasToGoIt(t *testing.T) {
	m := newMachine(t)
	one, two := written(t, "one.yaml", oneServer), written(t, "two.yaml", twoServers)
	m.must(t, "apply "+one)
	before := m.everything(t)
	kill := func(within string) string {
		c := m.try(t, within, two)
		after := m.everything(t)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.end(t)
		return after
	}
	kill("60s")
	for _, line := range []string{"plan " + two, "apply " + one} {
		r := m.run("", strings.Fields(line)...)
		if !strings.Contains(r.said, "is gone") || !strings.Contains(r.said, "evs apply --rollback") {
			t.Errorf("%s says %q", line, r.said)
		}
	}
	m.must(t, "apply --rollback")
	if got := m.everything(t); got != before {
		t.Errorf("the table is\n%snot\n%s", got, before)
	}
	after := kill("1s")
	time.Sleep(1100 * time.Millisecond)
	if r := m.run("", "confirm"); r.code != 1 || !strings.Contains(r.said, "evs apply --rollback") || !strings.Contains(r.said, "--late") {
		t.Errorf("confirmed too late: exit code %d, said %q", r.code, r.said)
	}
	m.must(t, "confirm --late")
	if got := m.everything(t); got != after {
		t.Errorf("the table is\n%snot\n%s", got, after)
	}
	m.must(t, "apply "+one) // nothing waits any more
}
