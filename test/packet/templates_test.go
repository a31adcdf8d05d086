package packet

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// serverOf puts a packet on the client's cable and returns the server it left for, "" if
// it left for none.
func serverOf(t *testing.T, b *bed.Bed, p bed.Packet) string {
	t.Helper()
	if err := b.Client.Send(frameOf(t, p, nil)); err != nil {
		t.Fatal(err)
	}
	frame, err := b.Server.Receive(100 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if frame == nil {
		return ""
	}
	seen, err := bed.Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	return seen.To.String()
}

// Whatever edits come between, what holds templates lets go of them, and all counts
// come back to zero.
func TestNoTemplateStaysWhenItsConnectionsAreGone(t *testing.T) {
	for _, family := range []struct{ service, first, second, client, vip string }{
		{"-t 198.51.100.129:80", "203.0.113.1:8080", "203.0.113.2:8080", "192.0.2.%d", "198.51.100.129"},
		{"-t [2001:db8:2::81]:80", "[2001:db8:3::1]:8080", "[2001:db8:3::2]:8080", "2001:db8:1::%x", "2001:db8:2::81"},
	} {
		t.Run(family.vip, func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, ipvs.AttachTC)
			open := func(from int) {
				for i := range 20 {
					serverOf(t, b, bed.Packet{
						Proto: "tcp", Flags: "S", Src: netip.MustParseAddr(fmt.Sprintf(family.client, 1+i)), Sport: uint16(from + i),
						Dst: netip.MustParseAddr(family.vip), Dport: 80,
					})
				}
			}
			wide := " -M 255.255.255.248"
			if netip.MustParseAddr(family.vip).Is6() {
				wide = " -M 125"
			}
			commands(t, b, "-A "+family.service+" -s rr -p 5\n-a "+family.service+" -r "+family.first+" -m -x 100\n-a "+family.service+" -r "+family.second+" -m")
			if err := b.Table().SetSysctl("expire_quiescent_template", "1"); err != nil {
				t.Fatal(err)
			}
			open(1000)
			command(t, b, "-E "+family.service+" -s rr -p 5"+wide)
			open(2000)
			command(t, b, "-e "+family.service+" -r "+family.first+" -m -w 0 -x 100")
			open(3000)
			command(t, b, "-e "+family.service+" -r "+family.first+" -m -w 1 -x 100")
			command(t, b, "-d "+family.service+" -r "+family.second)
			open(4000)
			command(t, b, "-a "+family.service+" -r "+family.second+" -m")
			open(5000)
			if n := entries(t, b, true); n < 23 {
				t.Errorf("%d templates, want at least 23: one for a client, and those for networks", n)
			}
			// half-open connections last a minute, and a template another
			emptied(t, b, 30*time.Second)
		})
	}
}

// Also where the address of a client does not say which template is its own: by a mask
// that is no prefix, and by Call-ID.
func TestATemplateStaysAsLongAsItsConnections(t *testing.T) {
	for name, options := range map[string]string{
		"host": "", "prefix": " -M 255.255.255.252", "no prefix": " -M 255.255.255.249", "Call-ID": " --pe sip",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, ipvs.AttachTC)
			commands(t, b, "-A -u 198.51.100.129:5060 -s rr -p 7"+options+"\n-a -u 198.51.100.129:5060 -r 203.0.113.1 -g")
			for client := range 4 {
				serverOf(t, b, bed.Packet{
					Proto: "udp", Src: netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + client)}), Sport: 4000,
					Dst: netip.MustParseAddr("198.51.100.129"), Dport: 5060,
					Payload: bed.Hex(fmt.Sprintf("OPTIONS sip:example.com SIP/2.0\r\nCall-ID: %d\r\n\r\n", client)),
				})
			}
			made := entries(t, b, true)
			for at := 0; at < 300; at += 20 { // as long as a connection of UDP lasts
				if n := entries(t, b, true); n != made {
					t.Errorf("after %d s there are %d templates, want %d", at, n, made)
				}
				advance(t, b, 20*time.Second)
			}
			advance(t, b, time.Minute)
			advance(t, b, time.Minute)
			if n := entries(t, b, true); n != 0 {
				t.Errorf("%d templates have outlived their connections by two minutes", n)
			}
		})
	}
}

func advance(t *testing.T, b *bed.Bed, by time.Duration) {
	t.Helper()
	if err := b.Advance(by); err != nil {
		t.Fatal(err)
	}
}

// entries counts the templates, or the connections, of the table.
func entries(t *testing.T, b *bed.Bed, templates bool) (n int) {
	t.Helper()
	for c, err := range b.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Template == templates {
			n++
		}
	}
	return n
}

// Each message comes from a port of its own, so that only its Call-ID tells whose it is.
func TestCallsAreKnownByTheirCallIDHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	b := beds.Lend(t, ipvs.AttachTC)
	commands(t, b, `-A -u 198.51.100.129:5060 -s rr -p 60 --pe sip
-a -u 198.51.100.129:5060 -r 203.0.113.1 -g
-a -u 198.51.100.129:5060 -r 203.0.113.2 -g
-a -u 198.51.100.129:5060 -r 203.0.113.3 -g`)
	const first = "INVITE sip:service@example.com SIP/2.0\r\nVia: SIP/2.0/UDP client.example\r\n"
	for i, message := range []struct{ text, server, id string }{
		{first + "Call-ID: a@client\r\n\r\n", "203.0.113.3", "a@client"},
		{first + "Call-ID: b\r\n\r\n", "203.0.113.2", "b"},
		{first + "call-id:   a@client\r\n\r\n", "203.0.113.3", ""},
		{first + "i: a@client\r\n\r\n", "203.0.113.3", ""},
		{first + "I :b\r\n\r\n", "203.0.113.2", ""},
		{"INVITE sip:x SIP/2.0\nCALL-ID: a@client\n\n", "203.0.113.3", ""},
		{first + "Call-ID: c\r\n\r\n", "203.0.113.1", "c"},
		{first + "Subject: Call-ID: a@client\r\n\r\n", "", ""},
		{first + " Call-ID: a@client\r\n\r\n", "", ""}, // goes on with the line before
		{first + "Call-ID: a client\r\n\r\n", "", ""},
		{first + "Call-ID: a@client", "", ""},
		{first + "In-Reply-To: b\r\nCall-ID: d\r\n\r\n", "203.0.113.3", "d"},
		{"", "", ""},
	} {
		p := bed.Packet{
			Proto: "udp", Src: netip.MustParseAddr("192.0.2.1"), Sport: uint16(5000 + i),
			Dst: netip.MustParseAddr("198.51.100.129"), Dport: 5060, Payload: bed.Hex(message.text),
		}
		if got := serverOf(t, b, p); got != message.server {
			t.Errorf("%q went to %q, want %q", message.text, got, message.server)
		}
		if message.id != "" && !listed(t, b, message.id) {
			t.Errorf("no template of Call-ID %q is listed", message.id)
		}
	}
}

func listed(t *testing.T, b *bed.Bed, id string) bool {
	t.Helper()
	for c, err := range b.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Engine == "sip" && c.EngineData == id {
			return true
		}
	}
	return false
}
