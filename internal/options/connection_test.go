package options

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

func TestWhichConnectionsAreMeantIsReadAsItIsPrinted(t *testing.T) {
	service := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))
	for _, want := range []ipvs.ConnFilter{
		{},
		{Service: service},
		{Service: ipvs.ServiceMark(7, ipvs.IPv6), Client: netip.MustParsePrefix("2001:db8::/64")},
		{Destination: netip.MustParseAddrPort("192.0.2.2:80")},
		{Destination: netip.MustParseAddrPort("[2001:db8:3::2]:0"), States: []string{"ESTABLISHED", "UDP"}},
		{Service: service, Destination: netip.MustParseAddrPort("192.0.2.2:8080"), Client: netip.MustParsePrefix("198.51.100.7/32"), States: []string{"CLOSE"}},
	} {
		all := Print(Connection, want)
		if want.Service != (ipvs.ServiceKey{}) {
			all = append(all, Print(Keys, want.Service)...)
		}
		got, some, err := ConnFilter(words(all))
		if err != nil || !reflect.DeepEqual(got, want) || some != (len(all) > 0) {
			t.Errorf("%v is read as %+v, some %v, want %+v; %v", all, got, some, want, err)
		}
	}
	for _, want := range []ipvs.FlushOptions{{}, {Templates: true}, {Reset: ipvs.ResetClient}, {Templates: true, Reset: ipvs.ResetBoth}} {
		all := Print(Flush, want)
		var got ipvs.FlushOptions
		if err := Apply(Flush, &got, words(all)); err != nil || got != want {
			t.Errorf("%v is read as %+v, want %+v; %v", all, got, want, err)
		}
	}
}
