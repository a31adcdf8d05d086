package health

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

const everything = `
kind: https
interval: 1s
retryInterval: 500ms
jitter: 50ms
warmup: 0s
timeout: 800ms
connectTimeout: 300ms
rise: 2
fall: 4
start: down
address: 192.0.2.7
port: 8443
source: 192.0.2.1
sourcePort: 4000
interface: eth0
fwmark: 7
fullMTU: true
path: /health
host: www.example.org
headers: {Accept: text/plain}
status: 200
requests:
  - {path: /a, status: 200-299 404}
  - {path: /b, body: "^well"}
tls: {verify: false, minVersion: "1.3"}
`

func TestASpecIsReadFromYAMLAndWrittenAsItIsRead(t *testing.T) {
	var s Spec
	if err := yaml.UnmarshalWithOptions([]byte(everything), &s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if found := s.Validate(); len(found) > 0 {
		t.Error(found)
	}
	if time.Duration(s.RetryInterval) != 500*time.Millisecond || *s.Warmup != 0 || s.Address.String() != "192.0.2.7" ||
		s.Path != "/health" || s.Status != "200" || s.Requests[0].Status != "200-299 404" || *s.TLS.Verify {
		t.Errorf("%+v", s)
	}
	for name, write := range map[string]func(any) ([]byte, error){"YAML": yaml.Marshal, "JSON": json.Marshal} {
		text, err := write(s)
		if err != nil {
			t.Fatal(err)
		}
		var again Spec
		if err := yaml.UnmarshalWithOptions(text, &again, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if !reflect.DeepEqual(s, again) {
			t.Errorf("%s: %s\nbecame %+v", name, text, again)
		}
	}
}

func TestADurationWithoutAUnitIsRefusedWithTheRemedy(t *testing.T) {
	for text, remedy := range map[string]string{"5": "write 5s", "1.5": "write 1.5s", "soon": "write one like"} {
		var s Spec
		err := yaml.Unmarshal([]byte("kind: tcp\ninterval: "+text), &s)
		if err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestABadSpecIsRefusedByFieldWithARemedy(t *testing.T) {
	for _, c := range []struct{ name, text, field, says string }{
		{"no kind", `interval: 1s`, "kind", "tcp, http"},
		{"an unknown kind", `kind: ftp`, "kind", `"ftp"`},
		{"a field of another kind", `{kind: tcp, path: /}`, "path", "http, https"},
		{"a network field of a program", `{kind: exec, command: [/bin/true], port: 80}`, "port", "tcp"},
		{"a program without a command", `kind: exec`, "command", "needs it"},
		{"a file without a name", `kind: file`, "file", "needs it"},
		{"a missing letter in the interval", `{kind: tcp, interval: 5ms}`, "interval", "10ms"},
		{"a negative timeout", `{kind: tcp, timeout: -1s}`, "timeout", "10ms"},
		{"more time to connect than there is", `{kind: tcp, timeout: 1s, connectTimeout: 2s}`, "connectTimeout", "shorten"},
		{"jitter beyond the interval", `{kind: tcp, interval: 1s, jitter: 2s}`, "jitter", "part of the interval"},
		{"a negative warmup", `{kind: tcp, warmup: -1s}`, "warmup", "0s"},
		{"a negative rise", `{kind: tcp, rise: -1}`, "rise", "out of range"},
		{"a start that is neither", `{kind: tcp, start: maybe}`, "start", "up or down"},
		{"a way that is neither", `{kind: tcp, via: tunnel}`, "via", "real or vip"},
		{"a second mark", `{kind: tcp, via: vip, fwmark: 7}`, "fwmark", "via: vip"},
		{"an echo request to the VIP", `{kind: icmp, via: vip}`, "via", "another kind"},
		{"two families", `{kind: tcp, address: 192.0.2.1, source: "2001:db8::1"}`, "source", "family"},
		{"a source port of no address", `{kind: tcp, sourcePort: 5}`, "sourcePort", "address too"},
		{"odd digits", `{kind: udp, sendHex: abc}`, "sendHex", "two make a byte"},
		{"a wildcard in what is sent", `{kind: udp, sendHex: xx}`, "sendHex", "no hexadecimal"},
		{"a broken expression", `{kind: tcp, expect: "("}`, "expect", "RE2"},
		{"two payloads", `{kind: udp, send: a, sendHex: 0a}`, "sendHex", "one of them"},
		{"lengths that exclude each other", `{kind: udp, minReply: 9, maxReply: 3}`, "minReply", "exchange"},
		{"a payload of every size", `{kind: udp, send: a, fullMTU: true}`, "fullMTU", "payload"},
		{"a path without a slash", `{kind: http, path: health}`, "path", "/health"},
		{"a request of many without a slash", `{kind: http, requests: [{path: /}, {path: health}]}`, "requests[1].path", "/health"},
		{"a status that is none", `{kind: http, status: 20}`, "status", "100 to 999"},
		{"a status range the wrong way", `{kind: http, status: 300-200}`, "status", "200-299"},
		{"a digest that is too short", `{kind: http, md5: abcd}`, "md5", "32 hexadecimal"},
		{"a header of two lines", `{kind: http, headers: {A: "b\r\nC: d"}}`, "headers", "one line"},
		{"an unknown version of HTTP", `{kind: http, version: "3"}`, "version", "1.1"},
		{"an unknown version of TLS", `{kind: tls, tls: {minVersion: "2"}}`, "tls.minVersion", "1.3"},
		{"a certificate without a key", `{kind: tls, tls: {cert: /a}}`, "tls.cert", "both"},
		{"a CA that nobody asks", `{kind: tls, tls: {ca: /a, verify: false}}`, "tls.ca", "verify"},
		{"an unknown type", `{kind: dns, type: HINFO}`, "type", "AAAA"},
		{"an unknown code", `{kind: dns, rcodes: [NOERROR, NOPE]}`, "rcodes[1]", "NXDOMAIN"},
		{"a label that is too long", `{kind: dns, name: ` + strings.Repeat("a", 70) + `.org}`, "name", "domain name"},
		{"a greeting of two words", `{kind: smtp, helo: a b}`, "helo", "blanks"},
		{"a program by its short name", `{kind: exec, command: [true]}`, "command", "whole path"},
		{"codes beside a dynamic weight", `{kind: exec, command: [/bin/true], dynamic: true, exitCodes: "0"}`, "exitCodes", "leave out"},
		{"no user", `{kind: exec, command: [/bin/true], user: ":"}`, "user", "nobody"},
		{"a file by its short name", `{kind: file, file: load}`, "file", "from /"},
		{"a factor of nothing", `{kind: file, file: /a, factor: 2}`, "factor", "dynamic"},
		{"a weight turned round", `{kind: file, file: /a, dynamic: true, reverse: true}`, "reverse", "negative factor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Spec
			if err := yaml.UnmarshalWithOptions([]byte(c.text), &s, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			found := s.Validate()
			if len(found) != 1 || found[0].Field != c.field || !strings.Contains(found[0].Error(), c.says) || found[0].Remedy == "" {
				t.Errorf("%v", found)
			}
		})
	}
}

func TestEachKindIsValidWithWhatItNeedsAlone(t *testing.T) {
	for _, k := range Kinds {
		s := Spec{Kind: k.Name}
		if slices.Contains(k.Needs, "command") {
			s.Command = []string{"/bin/true"}
		}
		if slices.Contains(k.Needs, "file") {
			s.File = "/run/load"
		}
		if found := s.Validate(); len(found) > 0 {
			t.Errorf("%s: %v", k.Name, found)
		}
	}
}

func TestEachFieldBelongsToSomeKindAndEachNameIsAField(t *testing.T) {
	all := fields(reflect.ValueOf(Spec{}))
	for name := range all {
		if kindsWith(name) == "" {
			t.Errorf("no kind has the field %s", name)
		}
	}
	for _, k := range Kinds {
		for _, name := range slices.Concat(k.FieldNames(), k.Needs) {
			if _, is := all[name]; !is {
				t.Errorf("%s has a field %s that a spec has not", k.Name, name)
			}
		}
		if k.About == "" {
			t.Errorf("%s does not say what it is about", k.Name)
		}
	}
}
