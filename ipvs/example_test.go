package ipvs_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/evs-project/evs/ipvs"
)

// The examples run on a table that nobody else has; a program opens that of
// its own network namespace with ipvs.Open.
func example(do func(*ipvs.Table) error) {
	if err := alone(do); err != nil {
		fmt.Println(err)
	}
}

// A service with two real servers, made step by step as ipvsadm would.
func Example() {
	example(func(table *ipvs.Table) error {
		web := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))
		if err := table.AddService(ipvs.Service{ServiceKey: web, Scheduler: "wrr"}); err != nil {
			return err
		}
		for _, server := range []string{"192.0.2.2:8080", "192.0.2.3:8080"} {
			d := ipvs.Destination{Addr: netip.MustParseAddrPort(server), Method: ipvs.Masquerade, Weight: 1}
			if err := table.AddDestination(web, d); err != nil {
				return err
			}
		}
		services, err := table.Services()
		for _, s := range services {
			fmt.Println(s.ServiceKey, s.Scheduler)
			for _, d := range s.Destinations { // the newest first
				fmt.Println(" ", d.Addr, d.Method, d.Weight, "connections:", d.Active)
			}
		}
		return err
	})
	// Output:
	// TCP 203.0.113.10:80 wrr
	//   192.0.2.3:8080 Masq 1 connections: 0
	//   192.0.2.2:8080 Masq 1 connections: 0
}

// Set says what the table should be. Said again, it changes nothing.
func ExampleTable_Set() {
	example(func(table *ipvs.Table) error {
		server := func(addr string, weight int32) ipvs.Destination {
			return ipvs.Destination{Addr: netip.MustParseAddrPort(addr), Method: ipvs.Route, Weight: weight}
		}
		web := ipvs.ServiceSpec{
			Service:      ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80")), Scheduler: "wlc"},
			Destinations: []ipvs.Destination{server("192.0.2.2:80", 1), server("192.0.2.3:80", 1)},
		}
		for range 2 {
			changes, err := table.Set([]ipvs.ServiceSpec{web})
			if err != nil {
				return err
			}
			fmt.Println(len(changes), "changes:", changes)
		}
		web.Destinations = []ipvs.Destination{server("192.0.2.2:80", 5), server("192.0.2.4:80", 1)}
		changes, err := table.Set([]ipvs.ServiceSpec{web})
		for _, c := range changes {
			fmt.Println(c)
		}
		return err
	})
	// Output:
	// 1 changes: [add TCP 203.0.113.10:80]
	// 0 changes: []
	// remove 192.0.2.3:80 of TCP 203.0.113.10:80
	// add 192.0.2.4:80 of TCP 203.0.113.10:80
	// edit 192.0.2.2:80 of TCP 203.0.113.10:80
}

// Every service and destination that cannot be is reported, not only the first.
func ExampleTable_Check() {
	example(func(table *ipvs.Table) error {
		err := table.Check([]ipvs.ServiceSpec{{
			Service:      ipvs.Service{ServiceKey: ipvs.ServiceMark(7, ipvs.IPv4), Scheduler: "best"},
			Destinations: []ipvs.Destination{{Addr: netip.MustParseAddrPort("192.0.2.2:80"), Weight: -1}},
		}})
		for _, wrong := range ipvs.SpecErrors(err) {
			fmt.Println(wrong, errors.Is(wrong, ipvs.ErrNoScheduler))
		}
		return nil
	})
	// Output:
	// FWM 7: scheduler or persistence engine not found: scheduler "best" true
	// FWM 7: value out of range: weight -1 is negative false
}

// A weight of zero makes a server quiescent: it keeps its connections and gets
// no new ones.
func ExampleTable_EditDestination() {
	example(func(table *ipvs.Table) error {
		dns := ipvs.ServiceAt(ipvs.UDP, netip.MustParseAddrPort("203.0.113.10:53"))
		d := ipvs.Destination{Addr: netip.MustParseAddrPort("192.0.2.2:53"), Method: ipvs.Route, Weight: 1}
		if err := errors.Join(table.AddService(ipvs.Service{ServiceKey: dns, Scheduler: "rr"}), table.AddDestination(dns, d)); err != nil {
			return err
		}
		d.Weight = 0
		if err := table.EditDestination(dns, d); err != nil {
			return err
		}
		info, err := table.Service(dns)
		fmt.Println(info.Destinations[0].Addr, "weight", info.Destinations[0].Weight)
		return err
	})
	// Output: 192.0.2.2:53 weight 0
}

// Errors that a program branches on are sentinels.
func ExampleTable_Service() {
	example(func(table *ipvs.Table) error {
		_, err := table.Service(ipvs.ServiceMark(5, ipvs.IPv6))
		fmt.Println(err)
		fmt.Println(errors.Is(err, ipvs.ErrNoService))
		return nil
	})
	// Output:
	// FWM 5 IPv6: no such service
	// true
}

// Connections are yielded as they are read, so a large table needs no memory.
func ExampleTable_Conns() {
	example(func(table *ipvs.Table) error {
		n := 0
		for c, err := range table.Conns() {
			if err != nil {
				return err
			}
			if c.State == "ESTABLISHED" && !c.Template {
				n++
			}
		}
		fmt.Println(n, "established")
		return nil
	})
	// Output: 0 established
}

// A server is taken out of service, and its clients connect anew, to another one.
func ExampleTable_FlushConns() {
	example(func(table *ipvs.Table) error {
		web := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))
		server := ipvs.Destination{Addr: netip.MustParseAddrPort("192.0.2.2:80"), Method: ipvs.Route, Weight: 1}
		spec := ipvs.ServiceSpec{Service: ipvs.Service{ServiceKey: web, Scheduler: "wlc"}, Destinations: []ipvs.Destination{server}}
		if _, err := table.Set([]ipvs.ServiceSpec{spec}); err != nil {
			return err
		}
		// It gets no new connections, and those it has end, known to their clients.
		server.Weight = 0
		if err := table.EditDestination(web, server); err != nil {
			return err
		}
		done, err := table.FlushConns(
			ipvs.ConnFilter{Service: web, Destination: server.Addr},
			ipvs.FlushOptions{Reset: ipvs.ResetClient, Templates: true})
		fmt.Println(done.Connections, "connections ended;", done.Unanswered, "clients do not know yet")
		return err
	})
	// Output:
	// 0 connections ended; 0 clients do not know yet
}

// A service that keeps clients to their server for five minutes, a network of
// clients together.
func ExampleService() {
	s := ipvs.Service{
		ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("[2001:db8::10]:443")),
		Scheduler:  "mh", SchedFlags: ipvs.MHFallback | ipvs.MHPort,
		Persistent: true, Timeout: 300, Mask: ipvs.MaskOf(64, ipvs.IPv6),
	}
	fmt.Println(s.ServiceKey, s.Validate())
	// Output: TCP [2001:db8::10]:443 <nil>
}

// The difference is worked out without a table.
func ExamplePlan() {
	have := []ipvs.ServiceInfo{{Service: ipvs.Service{ServiceKey: ipvs.ServiceMark(7, ipvs.IPv4), Scheduler: "rr"}.WithDefaults()}}
	want := []ipvs.ServiceSpec{{Service: ipvs.Service{ServiceKey: ipvs.ServiceMark(7, ipvs.IPv4), Scheduler: "sh"}}}
	fmt.Println(ipvs.Plan(have, want))
	// Output: [edit FWM 7]
}
