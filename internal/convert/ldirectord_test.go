package convert

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/config"
)

const ldAll = `# of ldirectord
checktimeout=3
checkinterval=2
failurecount=3
quiescent=no
fallback=127.0.0.1:80 gate
virtual=203.0.113.10:80
	real=192.0.2.2:80 gate 5 "index.html", "OK" "<u:100>"
	real=192.0.2.3->192.0.2.4:8080 masq
	service=http
	scheduler=wlc
	persistent=600
	netmask=255.255.255.0
	protocol=tcp
	request="/status"
	receive="^well"
	virtualhost=www.example.org
virtual=203.0.113.10:53
	real=192.0.2.5:53 masq
	request="www.example.org"
	receive="192.0.2.80"
	ops=yes
	quiescent=yes
virtual=7
	real=192.0.2.6 ipip 2
	checktype=external
	checkcommand="/bin/check it"
	fallbackcommand="/bin/fallback"
virtual6=[2001:db8::10]:443
	real6=[2001:db8::2]:443 gate
	fallback6=[::1]:443
	checktype=connect
`

func TestTheTableIsThatOfLdirectordOnceAllServersAreWell(t *testing.T) {
	result := converted(t, "auto", ldAll)
	if len(result.Notes) != 0 {
		t.Errorf("notes %v", result.Notes)
	}
	const want = `-A -t 203.0.113.10:80 -s wlc -p 600 -M 255.255.255.0
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 5
-a -t 203.0.113.10:80 -r 192.0.2.3:8080 -m -w 1
-a -t 203.0.113.10:80 -r 192.0.2.4:8080 -m -w 1
-A -u 203.0.113.10:53 -s wrr -o
-a -u 203.0.113.10:53 -r 127.0.0.1:53 -g -w 0
-a -u 203.0.113.10:53 -r 192.0.2.5:53 -m -w 1
-A -t [2001:db8::10]:443 -s wrr
-a -t [2001:db8::10]:443 -r [2001:db8::2]:443 -g -w 1
-A -f 7 -s wrr
-a -f 7 -r 192.0.2.6:0 -i -w 2 --tun-type ipip
`
	if got := config.Saved(result.Desired.Specs()); got != want {
		t.Errorf("the table is\n%s\nnot\n%s", got, want)
	}
	// Before the first check there is the fallback alone.
	const start = `-A -t 203.0.113.10:80 -s wlc -p 600 -M 255.255.255.0
-a -t 203.0.113.10:80 -r 127.0.0.1:80 -g -w 1
`
	if got := config.Saved(result.Desired.Start()); !strings.HasPrefix(got, start) {
		t.Errorf("the table begins as\n%s\nnot\n%s", got, start)
	}
	for _, want := range []string{"kind: http", "path: /status", `body: ^well`, "host: www.example.org", "timeout: 3s", "fall: 3",
		"path: /index.html", "body: OK", "kind: dns", "name: www.example.org", "answer: 192.0.2.80",
		"- /bin/check\n", "- \"7\"", "- start", "kind: tcp", "start: down"} {
		if !bytes.Contains(result.Text, []byte(want)) {
			t.Errorf("%q is not in\n%s", want, result.Text)
		}
	}
}

func TestEveryDirectiveOfLdirectordIsConvertedOrReported(t *testing.T) {
	list, err := os.ReadFile("testdata/ldirectord.directives")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for line := range strings.Lines(string(list)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		seen = append(seen, name)
		t.Run(strings.TrimSpace(line), func(t *testing.T) {
			before := converted(t, "ldirectord", ldBase(name, ""))
			after := converted(t, "ldirectord", ldBase(name, line))
			told := slices.ContainsFunc(after.Notes, func(n Note) bool { return n.What == name && !strings.Contains(n.Reason, "knows no such") })
			if bytes.Equal(before.Text, after.Text) && !told {
				t.Errorf("it changes nothing, and nothing is told:\n%s\n%v", after.Text, after.Notes)
			}
		})
	}
	for name := range ldirectord {
		if !slices.Contains(seen, name) {
			t.Errorf("no test tries %s", name)
		}
	}
}

// ldBase is a file with the line where it belongs.
func ldBase(name, line string) string {
	before, port := "", "80"
	switch name {
	case "negotiatetimeout":
		before = "\tservice=http\n"
	case "checkcommand":
		before = "\tchecktype=external\n"
	case "ops":
		port = "53"
	case "netmask":
		before = "\tpersistent=60\n"
	case "checktimeout", "connecttimeout":
		before = "\tchecktype=connect\n"
	}
	if name == "fallback6" {
		return line + "\nvirtual6=[2001:db8::10]:80\n\treal6=[2001:db8::2]:80 masq\n"
	}
	text := "virtual=203.0.113.10:" + port + "\n\treal=192.0.2.2:" + port + " masq\n" + before
	if strings.HasPrefix(line, "\t") {
		return text + line + "\n"
	}
	return line + "\n" + text
}

func TestRulesOfIpvsadmBecomeAFileOfTheSameTable(t *testing.T) {
	const rules = `-A -t 203.0.113.10:80 -s mh -p 60 -M 255.255.255.0 -b mh-port
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -i -w 2 --tun-type gue --tun-port 6080 --tun-csum
-a -t 203.0.113.10:80 -r 192.0.2.3:8080 -m -w 0
-A -u 203.0.113.10:53 -s rr -o
-A -t [2001:db8::10]:0 -s wlc -p 300
-a -t [2001:db8::10]:0 -r [2001:db8::2]:0 -g -w 1
-A -f 5 -6 -s wlc
-a -f 5 -6 -r [2001:db8::2]:80 -m -w 1
`
	result := converted(t, "auto", rules)
	if len(result.Notes) != 0 {
		t.Errorf("notes %v", result.Notes)
	}
	if got := config.Saved(result.Desired.Specs()); got != rules {
		t.Errorf("the table is\n%s\nnot\n%s\nby\n%s", got, rules, result.Text)
	}
	result = converted(t, "ipvsadm", "-A -t 203.0.113.10:80 -s best\n-L\n")
	if len(result.Notes) != 2 || result.Notes[0].Line != 1 || result.Notes[1].Line != 2 {
		t.Errorf("notes %v", result.Notes)
	}
}
