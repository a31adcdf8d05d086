package verbs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written is a file with the text, in a directory of its own.
func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestADirectorsFileIsCheckedAndShown(t *testing.T) {
	m := newMachine(t)
	good := written(t, "evs.yaml", "services: [{tcp: 203.0.113.10:80, method: masq, destinations: [{server: 192.0.2.2}, {server: 192.0.2.3, weight: 0}]}]\n")
	m.must(t, "config check "+good)
	if shown := m.must(t, "config show "+good); !strings.Contains(shown, `expire_udp_on_quiescent: "1" # `) || !strings.Contains(shown, "scheduler: wlc") {
		t.Errorf("shown is\n%s", shown)
	}
	// What it begins with is what restore makes of it.
	rules := m.must(t, "config show --rules "+good)
	if r := m.run(rules, "restore", "--atomic"); r.code != 0 {
		t.Fatal(r.said)
	}
	if saved := m.must(t, "save"); saved != rules {
		t.Errorf("the table is\n%snot\n%s", saved, rules)
	}
	bad := written(t, "bad.yaml", "services:\n  - tcp: 203.0.113.10:80\n    sheduler: rr\n    quorum: none\n")
	for _, verb := range []string{"check", "show"} {
		r := m.run("", "config", verb, bad)
		if r.code != 1 || !strings.Contains(r.said, bad+":3:5: ") || !strings.Contains(r.said, bad+":4:13: ") {
			t.Errorf("config %s: exit code %d, said %q", verb, r.code, r.said)
		}
	}
	if r := m.run("", "config", "check", good, filepath.Join(t.TempDir(), "nowhere.yaml")); r.code != 1 {
		t.Errorf("a file that is not there: exit code %d, said %q", r.code, r.said)
	}
}

func TestAnothersFileIsConvertedAndWhatHasNoCounterpartIsTold(t *testing.T) {
	m := newMachine(t)
	const conf = `virtual_server 203.0.113.10 80 {
  protocol TCP
  lvs_sched rr
  @here lvs_sched wrr
  omega
  real_server 192.0.2.2 80 {
    TCP_CHECK {
    }
  }
}
`
	file := written(t, "keepalived.conf", conf)
	r := m.run("", "config", "convert", "--config-id", "here", file)
	if r.code != 0 || !strings.Contains(r.said, file+":5: omega: ") || !strings.Contains(r.out, "scheduler: wrr") {
		t.Errorf("exit code %d, said %q, printed\n%s", r.code, r.said, r.out)
	}
	if strict := m.run("", "config", "convert", "--strict", file); strict.code != 1 || strict.out == "" {
		t.Errorf("--strict: exit code %d, printed\n%s", strict.code, strict.out)
	}
	const want = "-A -t 203.0.113.10:80 -s wrr\n-a -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 1\n"
	if rules := m.must(t, "config show --rules "+written(t, "evs.yaml", r.out)); rules != want {
		t.Errorf("it begins with\n%snot\n%s", rules, want)
	}
	if r := m.run("", "config", "convert", "--from", "nginx", file); r.code != 1 || !strings.Contains(r.said, "choose one of ipvsadm, keepalived, ldirectord") {
		t.Errorf("a language that there is not: exit code %d, said %q", r.code, r.said)
	}
}

// The recordings are of keepalived 2.2.7 on IPVS of Linux 6.1, see
// internal/convert.
func TestTheTableOfAConvertedFileIsThatOfKeepalived(t *testing.T) {
	files, err := filepath.Glob("../../internal/convert/testdata/keepalived/*.conf")
	if err != nil || len(files) < 12 {
		t.Fatalf("files %v: %v", files, err)
	}
	m := newMachine(t)
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".conf") + ".rules")
		if err != nil {
			t.Fatal(err)
		}
		text := m.must(t, "config convert --config-id main "+file)
		rules := m.must(t, "config show --rules "+written(t, "evs.yaml", text))
		if r := m.run(rules, "restore", "--atomic"); r.code != 0 {
			t.Errorf("%s: %s", file, r.said)
			continue
		}
		if saved := m.must(t, "save"); saved != string(want) {
			t.Errorf("%s: the table is\n%snot\n%s", file, saved, want)
		}
	}
}
