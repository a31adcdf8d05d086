package listing

import (
	"bytes"
	"encoding/json"
	"flag"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/evs-project/evs/ipvs"
)

var update = flag.Bool("update", false, "write the golden files anew")

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// services have something of everything, in no order.
func services() []ipvs.ServiceInfo {
	busy := ipvs.Stats{Connections: 1 << 40, InPackets: 1<<64 - 1, OutPackets: 2, InBytes: 3, OutBytes: 4}
	rates := ipvs.Rates{Connections: 5, InPackets: 6, OutPackets: 7, InBytes: 8, OutBytes: 9}
	web := ipvs.Service{
		ServiceKey: ipvs.ServiceAt(ipvs.TCP, addr("203.0.113.10:80")), Scheduler: "sh", SchedFlags: ipvs.SHPort,
		Persistent: true, Timeout: 300, Mask: ipvs.MaskOf(24, ipvs.IPv4), Engine: "sip",
	}
	dns := ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.UDP, addr("[2001:db8::10]:53")), Scheduler: "rr", OnePacket: true}
	mark := ipvs.Service{ServiceKey: ipvs.ServiceMark(7, ipvs.IPv6), Scheduler: "wlc"}
	return []ipvs.ServiceInfo{
		{Service: mark.WithDefaults()},
		{Service: dns.WithDefaults(), Destinations: []ipvs.DestinationInfo{{Destination: ipvs.Destination{
			Addr: addr("192.0.2.9:53"), Method: ipvs.Tunnel, Weight: 1,
			Tunnel: ipvs.TunnelOptions{Type: ipvs.GUE, Port: 6080, Flags: ipvs.TunnelRemoteChecksum},
		}}}},
		{Service: web.WithDefaults(), Stats: busy, Rates: rates, Destinations: []ipvs.DestinationInfo{
			{Destination: ipvs.Destination{Addr: addr("192.0.2.3:8080"), Method: ipvs.Masquerade, Weight: 2, Upper: 100, Lower: 80}},
			{Destination: ipvs.Destination{Addr: addr("192.0.2.2:8080"), Method: ipvs.Masquerade, Weight: 1},
				Active: 3, Inactive: 4, Persistent: 5, Stats: busy, Rates: rates},
		}},
	}
}

func conns() iter.Seq2[ipvs.Conn, error] {
	return func(yield func(ipvs.Conn, error) bool) {
		yield(ipvs.Conn{
			Protocol: ipvs.TCP, Client: addr("198.51.100.7:40000"), Virtual: addr("203.0.113.10:80"), Destination: addr("192.0.2.2:8080"),
			Method: ipvs.Masquerade, State: "ESTABLISHED", Expires: 899*time.Second + 400*time.Millisecond,
		}, nil)
	}
}

func marks() []ipvs.MarkRule {
	return []ipvs.MarkRule{
		{Destination: netip.MustParsePrefix("203.0.113.10/32"), Source: netip.MustParsePrefix("198.51.100.0/25"), Protocol: ipvs.TCP,
			Ports: []ipvs.PortRange{{Low: 80, High: 80}, {Low: 8000, High: 8080}}, Mark: 7},
		{Destination: netip.MustParsePrefix("2001:db8::/32"), Mark: 1<<32 - 1},
	}
}

func changes() []PlanChange {
	share := 0.25
	return []PlanChange{
		{What: "setting", Op: "edit", Name: "mss_clamp", From: "0", To: "1", Connections: 12},
		{What: "destination", Op: "remove", Service: "TCP 203.0.113.10:80", Name: "192.0.2.3:8080", From: "weight 1", Connections: 3, Moved: &share},
	}
}

func TestListingsAreAsInTheGoldenFiles(t *testing.T) {
	for _, format := range Formats {
		for name, write := range map[string]func(*bytes.Buffer) error{
			"table":       func(b *bytes.Buffer) error { return WriteTable(b, NewTable(services()), Format(format)) },
			"services":    func(b *bytes.Buffer) error { return WriteServices(b, NewTable(services()), Format(format)) },
			"connections": func(b *bytes.Buffer) error { return WriteConns(b, conns(), Format(format)) },
			"marks":       func(b *bytes.Buffer) error { return WriteMarks(b, NewMarks(marks()), Format(format)) },
			"plan":        func(b *bytes.Buffer) error { return WritePlan(b, NewPlan(changes()), Format(format)) },
			"empty":       func(b *bytes.Buffer) error { return WriteTable(b, NewTable(nil), Format(format)) },
		} {
			t.Run(name+" as "+format, func(t *testing.T) {
				var got bytes.Buffer
				if err := write(&got); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join("testdata", name+"."+format)
				if *update {
					if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != string(want) {
					t.Errorf("got\n%s\nwant\n%s", got.String(), want)
				}
			})
		}
	}
}

func TestYAMLAndJSONSayTheSame(t *testing.T) {
	var j, y bytes.Buffer
	doc := NewTable(services())
	if err := WriteTable(&j, doc, JSON); err != nil {
		t.Fatal(err)
	}
	if err := WriteTable(&y, doc, YAML); err != nil {
		t.Fatal(err)
	}
	back, err := yaml.YAMLToJSON(y.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	decode := func(text []byte) (v any) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got, want := decode(back), decode(j.Bytes()); !reflect.DeepEqual(got, want) {
		t.Errorf("YAML says %v, JSON %v", got, want)
	}
}

func TestTheSchemaKnowsEveryFieldAndNoOther(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any
			Required   []string
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string]any{
		"table": Table{}, "service": Service{}, "persistence": Persistence{}, "destination": Destination{}, "tunnel": Tunnel{},
		"inUse": InUse{}, "counters": Counters{}, "rates": Rates{}, "connections": Connections{}, "connection": Connection{}, "marks": Marks{}, "mark": Mark{},
		"plan": Plan{}, "planChange": PlanChange{},
	} {
		def, ok := schema.Defs[name]
		if !ok {
			t.Errorf("no definition of %s", name)
			continue
		}
		required := map[string]bool{}
		for _, r := range def.Required {
			required[r] = true
		}
		fields := reflect.VisibleFields(reflect.TypeOf(record))
		known := 0
		for _, f := range fields {
			tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			if tag == "" {
				continue
			}
			known++
			if def.Properties[tag] == nil {
				t.Errorf("%s has the field %s, which the schema does not", name, tag)
			}
			if optional := rest == "omitempty"; optional == required[tag] {
				t.Errorf("field %s of %s: left out when empty is %v, required is %v", tag, name, optional, required[tag])
			}
		}
		if known != len(def.Properties) {
			t.Errorf("%s has %d fields, the schema %d", name, known, len(def.Properties))
		}
	}
}
