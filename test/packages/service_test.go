package packages

import (
	"os"
	"strings"
	"testing"
)

const rules = `# by hand
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 1
`

// fromKernel loads what ipvsadm 1.31 of Debian saved with -S -n from the table of
// a Linux 6.1, services and destinations of every kind.
func fromKernel(t *testing.T, dir string) {
	kernel, err := os.ReadFile("testdata/kernel.rules")
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, dir)
	m.run("dpkg -i /mnt/evs.deb")
	m.run("cat >/etc/ipvsadm.rules <<'END'\n" + string(kernel) + "END\n/usr/lib/evs/ipvsadm-service load")
	if diff := different(string(kernel), m.run("ipvsadm-save -n")); diff != "" {
		t.Errorf("saved again, they differ:\n%s", diff)
	}
}

// service runs the unit's script on one machine; each case begins with an empty
// table and without settings.
func service(t *testing.T, dir string) {
	m := newMachine(t, dir)
	m.run("dpkg -i /mnt/evs.deb; rm /etc/default/evs-ipvsadm; cp /etc/debian_version /tmp/")
	const script = "/usr/lib/evs/ipvsadm-service "
	for _, c := range []struct {
		name   string
		files  map[string]string
		script string
		fails  bool
		says   string // a part of what is printed
		table  string // which servers there are afterwards
		after  map[string]string
	}{
		{name: "start does not load where AUTO is not true",
			files: map[string]string{"/etc/ipvsadm.rules": rules}, script: script + "start",
			says: "AUTO is not true"},
		{name: "start loads the rules where Debian's file says AUTO is true",
			files:  map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": `AUTO="true"`},
			script: script + "start", table: "192.0.2.2:80"},
		{name: "the last word is that of our own file",
			files:  map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true", "/etc/default/evs-ipvsadm": "AUTO=false"},
			script: script + "start", says: "AUTO is not true"},
		{name: "the Red Hat family's rules are loaded without AUTO",
			files:  map[string]string{"/etc/sysconfig/ipvsadm": rules},
			script: "rm /etc/debian_version; " + script + "start", table: "192.0.2.2:80"},
		{name: "start complains where there are no rules, and leaves the table as it is",
			files: map[string]string{"/etc/default/ipvsadm": "AUTO=true"}, script: serve + script + "start",
			fails: true, says: "/etc/ipvsadm.rules cannot be read", table: "192.0.2.2:80"},
		{name: "load tells of a line that was refused, and keeps the others",
			files:  map[string]string{"/etc/ipvsadm.rules": "-A -t 203.0.113.10:80 -s nonsense\n" + rules},
			script: script + "load", fails: true, says: "not all of /etc/ipvsadm.rules", table: "192.0.2.2:80"},
		{name: "reload makes the table what the rules say",
			files:  map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true"},
			script: "ipvsadm -A -t 203.0.113.11:80 -s rr\n" + script + "reload; ! ipvsadm -Ln | grep 203.0.113.11", table: "192.0.2.2:80"},
		{name: "stop clears the table and leaves the rules",
			files:  map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true"},
			script: serve + script + "stop", after: map[string]string{"/etc/ipvsadm.rules": rules}},
		{name: "stop leaves the table where AUTO is not true",
			script: serve + script + "stop", table: "192.0.2.2:80"},
		{name: "stop saves first where that is wished",
			files:  map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true", "/etc/sysconfig/ipvsadm-config": "IPVS_SAVE_ON_STOP=yes"},
			script: serve + script + "stop", after: map[string]string{"/etc/ipvsadm.rules": "-s wrr", "/etc/ipvsadm.rules.old": rules}},
		{name: "stop does not save an empty table over the rules, and goes on",
			files:  map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true\nIPVS_SAVE_ON_STOP=yes"},
			script: script + "stop", says: "the table is empty", after: map[string]string{"/etc/ipvsadm.rules": rules}},
		{name: "save keeps the rules when there is nothing to save",
			files: map[string]string{"/etc/ipvsadm.rules": rules}, script: script + "save",
			fails: true, says: "the table is empty", after: map[string]string{"/etc/ipvsadm.rules": rules}},
		{name: "save keeps the rules when the table cannot be read",
			files:  map[string]string{"/etc/ipvsadm.rules": rules},
			script: "mkdir -p /tmp/x/bin; cp " + script + " /tmp/x; printf '#!/bin/sh\necho -A; exit 255\n' >/tmp/x/bin/ipvsadm-save; chmod +x /tmp/x/bin/*; /tmp/x/ipvsadm-service save",
			fails:  true, says: "could not be read", after: map[string]string{"/etc/ipvsadm.rules": rules}},
		{name: "save follows a link and leaves nothing beside",
			script: serve + "mkdir -p /etc/x; ln -s x/rules /etc/ipvsadm.rules; " + script + "save; ls /etc/x; test -L /etc/ipvsadm.rules",
			says:   "rules", table: "192.0.2.2:80", after: map[string]string{"/etc/x/rules": "-a -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 3\n"}},
		{name: "what was saved can be loaded",
			script: serve + script + "save; ipvsadm -C; " + script + "load", table: "192.0.2.2:80"},
		{name: "start loads settings and marks, before the rules",
			files: map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true",
				"/etc/evs/sysctl.conf": "net.ipv4.vs.sloppy_tcp = 1\n", "/etc/evs/marks": "-d 203.0.113.0/24 --set-mark 7\n"},
			script: script + "start; evs sysctl -n sloppy_tcp | tr '\\n' ' '; evs mark save", says: "1 --destination 203.0.113.0/24 --set-mark 7", table: "192.0.2.2:80"},
		{name: "settings and marks may be in other files",
			files: map[string]string{"/etc/ipvsadm.rules": rules, "/etc/x/set": "net.ipv4.vs.sloppy_tcp = 1\n",
				"/etc/default/evs-ipvsadm": "AUTO=true EVS_SETTINGS=/etc/x/set"},
			script: script + "start; evs sysctl sloppy_tcp", says: "sloppy_tcp = 1", table: "192.0.2.2:80"},
		{name: "settings and marks that are refused are told, and the rules loaded",
			files: map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true",
				"/etc/evs/sysctl.conf": "net.ipv4.vs.drop_entry = 9\n", "/etc/evs/marks": "-d 203.0.113.0/24\n"},
			script: script + "start", fails: true, says: "mark 0 is no mark", table: "192.0.2.2:80"},
		{name: "stop saves settings and marks with the rules where there are files",
			files: map[string]string{"/etc/ipvsadm.rules": rules, "/etc/default/ipvsadm": "AUTO=true\nIPVS_SAVE_ON_STOP=yes",
				"/etc/evs/sysctl.conf": "# mine\n", "/etc/evs/marks": ""},
			script: serve + "evs sysctl -w sloppy_tcp=1; evs mark add -d 203.0.113.0/24 --set-mark 7; " + script + "stop",
			after: map[string]string{"/etc/evs/sysctl.conf": "net.ipv4.vs.sloppy_tcp = 1\n", "/etc/evs/sysctl.conf.old": "# mine",
				"/etc/evs/marks": "--destination 203.0.113.0/24 --set-mark 7\n"}},
		{name: "save makes no files of settings and marks",
			script: serve + script + "save; ! ls /etc/evs/sysctl.conf /etc/evs/marks", table: "192.0.2.2:80"},
		{name: "settings and marks that were saved can be loaded",
			files: map[string]string{"/etc/evs/sysctl.conf": "", "/etc/evs/marks": ""},
			script: serve + "evs sysctl -w sloppy_tcp=1; evs mark add -d 203.0.113.0/24 --set-mark 7; " + script + "save; evs sysctl -w sloppy_tcp=0; evs mark flush; " +
				script + "load; evs sysctl -n sloppy_tcp | tr '\\n' ' '; evs mark save", says: "1 --destination 203.0.113.0/24 --set-mark 7", table: "192.0.2.2:80"},
		{name: "flush clears the table", script: serve + script + "flush"},
		{name: "status lists the table", script: serve + script + "status", says: "203.0.113.10:80 wrr", table: "192.0.2.2:80"},
		{name: "an unknown daemon is refused", files: map[string]string{"/etc/default/ipvsadm": "DAEMON=sideways"},
			script: script + "start", fails: true, says: "DAEMON is sideways"},
		{name: "an unknown verb is refused", script: script + "dance", fails: true, says: "usage: ipvsadm-service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{t, m.pid, m.root}
			m.run("evs unload; rm -rf /etc/ipvsadm.rules* /etc/default/*ipvsadm /etc/sysconfig/ipvsadm* /etc/x /etc/evs; mkdir -p /etc/sysconfig /etc/x /etc/evs; cp /tmp/debian_version /etc/")
			for name, text := range c.files {
				m.run("cat >" + name + " <<'END'\n" + strings.TrimSuffix(text, "\n") + "\nEND")
			}
			out, err := m.try(c.script)
			if (err != nil) != c.fails || !strings.Contains(out, c.says) {
				t.Errorf("%s: %v\n%s", c.script, err, out)
			}
			m.wants("ipvsadm-save -n | sed -n 's/.* -r \\([^ ]*\\).*/\\1/p'", c.table)
			for name, want := range c.after {
				if got := m.run("cat " + name); !strings.Contains(got, want) {
					t.Errorf("%s: no %q in\n%s", name, want, got)
				}
			}
			m.wants("find /etc -name 'ipvsadm.rules.??????' -o -name 'rules.??????' -o -path '/etc/evs/*.??????'", "")
		})
	}
}
