package ipvs

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/sched"
)

func randomAddr(r *rand.Rand, f Family) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if f == IPv6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func randomService(r *rand.Rand) Service {
	f := []Family{IPv4, IPv6}[r.IntN(2)]
	key := ServiceMark(r.Uint32()|1, f)
	if r.IntN(3) > 0 {
		key = ServiceAt([]Protocol{TCP, UDP, SCTP}[r.IntN(3)], netip.AddrPortFrom(randomAddr(r, f), uint16(r.Uint32())))
	}
	s := Service{
		ServiceKey: key,
		Scheduler:  sched.Names()[r.IntN(len(sched.All))],
		SchedFlags: SchedFlags(r.IntN(8)),
		Persistent: r.IntN(2) == 0,
		OnePacket:  r.IntN(2) == 0,
		Timeout:    r.Uint32(),
		Engine:     []string{"", "sip"}[r.IntN(2)],
		Mask:       MaskOf(1+r.IntN(128), IPv6),
	}
	if f == IPv4 {
		s.Mask = randomAddr(r, IPv4) // any is a mask
	}
	return s
}

func TestAServiceComesBackFromItsRecordAsItWas(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		s := randomService(r)
		live := datapath.Live{ID: keyRecord(s.ServiceKey), Version: versionRecord(s)}
		if got := serviceOf(live); got != s {
			t.Fatalf("went in as %+v\ncame back as %+v", s, got)
		}
	}
}

func TestADestinationComesBackFromItsRecordAsItWas(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range 500 {
		d := Destination{
			Addr:   netip.AddrPortFrom(randomAddr(r, []Family{IPv4, IPv6}[r.IntN(2)]), uint16(r.Uint32())),
			Method: Method(r.IntN(4)),
			Weight: int32(r.Uint32() >> 1),
			Upper:  r.Uint32(), Lower: r.Uint32(),
			Tunnel: TunnelOptions{Type: TunnelType(r.IntN(3)), Port: uint16(r.Uint32()), Flags: TunnelFlags(r.IntN(4))},
		}
		if got := destinationOf(dstRecord(d, way{}), entryRecord(d)); got != d {
			t.Fatalf("went in as %+v\ncame back as %+v", d, got)
		}
	}
}

func TestKeysOfDifferentServicesAreDifferentRecords(t *testing.T) {
	at := func(p Protocol, s string) ServiceKey { return ServiceAt(p, netip.MustParseAddrPort(s)) }
	keys := []ServiceKey{
		at(TCP, "198.51.100.1:80"), at(UDP, "198.51.100.1:80"), at(TCP, "198.51.100.1:81"), at(TCP, "198.51.100.2:80"),
		at(TCP, "[2001:db8::1]:80"), at(TCP, "[::ffff:198.51.100.1]:80"), at(TCP, "[c633:6401::]:80"),
		ServiceMark(1, IPv4), ServiceMark(1, IPv6), ServiceMark(2, IPv4),
	}
	seen := map[datapath.ServiceID]ServiceKey{}
	for _, k := range keys {
		id := keyRecord(k)
		if other, twice := seen[id]; twice {
			t.Errorf("%s and %s are one record", k, other)
		}
		seen[id] = k
		if back := keyOf(id); back != k {
			t.Errorf("%s came back as %s", k, back)
		}
	}
}

func TestAConnectionToADestinationWithoutAPortShowsThatOfTheVIP(t *testing.T) {
	c := datapath.ConnRecord{Dst: dstRecord(Destination{Addr: netip.MustParseAddrPort("203.0.113.1:0")}, way{})}
	c.Proto, c.State = uint8(TCP), uint8(datapath.StateEstablished)
	c.Family = datapath.FamilyV4
	c.Client, c.Cport = addrRecord(netip.MustParseAddr("192.0.2.1")), swap16(4000)
	c.Virtual, c.Vport = addrRecord(netip.MustParseAddr("198.51.100.1")), swap16(443)
	got := connOf(c)
	want := Conn{
		Protocol: TCP, Method: Masquerade, State: "ESTABLISHED",
		Client:      netip.MustParseAddrPort("192.0.2.1:4000"),
		Virtual:     netip.MustParseAddrPort("198.51.100.1:443"),
		Destination: netip.MustParseAddrPort("203.0.113.1:443"),
	}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestErrorsOfTheDataPathGetTheNamesOfThisPackage(t *testing.T) {
	for from, to := range map[error]error{
		datapath.ErrPermission: ErrPermission, datapath.ErrBusy: ErrBusy, datapath.ErrFull: ErrNoSpace,
		datapath.ErrUnsupported: ErrUnsupported, datapath.ErrNoTable: ErrNoTable,
		datapath.ErrLayout: ErrLayout,
	} {
		if got := translate(from); !errors.Is(got, to) || !errors.Is(got, from) {
			t.Errorf("%v became %v", from, got)
		}
	}
	other := errors.New("other")
	if got := translate(other); got.Error() != other.Error() || translate(nil) != nil {
		t.Error("an error that has no name here was changed")
	}
}
