package ipvsadm

import (
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"time"

	"github.com/evs-project/evs/ipvs"
)

// Conns lists the connections as they come, so that a large table needs no
// memory. The persistence engine's key is shown with Format.PersistentConn.
func (p *Printer) Conns(conns iter.Seq2[ipvs.Conn, error]) error {
	engines := ""
	if p.Format.PersistentConn {
		engines = "        pe name          pe_data"
	}
	fmt.Fprintf(p.Out, "IPVS connection entries\n"+
		"pro expire state       source             virtual            destination%s\n", engines)
	for c, err := range conns {
		if err != nil {
			return err
		}
		p.conn(c)
	}
	return nil
}

func (p *Printer) conn(c ipvs.Conn) {
	left := max(int64(c.Expires/time.Second), 0)
	server := p.addrPort(c.Destination, c.Protocol)
	if p.Format.PersistentConn && c.Engine != "" {
		server = fmt.Sprintf("%-16s %-18s %s", server, c.Engine, c.EngineData)
	}
	fmt.Fprintf(p.Out, "%-3s %02d:%02d  %-11s %-18s %-18s %s\n",
		c.Protocol, left/60, left%60, c.State,
		p.addrPort(c.Client, c.Protocol), p.addrPort(virtual(c), c.Protocol), server)
}

// virtual is the virtual address of a connection. A template of a
// firewall-mark service has the mark in the first four bytes of it.
func virtual(c ipvs.Conn) netip.AddrPort {
	if c.FWMark == 0 {
		return c.Virtual
	}
	mark := [16]byte{byte(c.FWMark >> 24), byte(c.FWMark >> 16), byte(c.FWMark >> 8), byte(c.FWMark)}
	if c.Client.Addr().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(mark[:4])), c.Virtual.Port())
	}
	return netip.AddrPortFrom(netip.AddrFrom16(mark), c.Virtual.Port())
}

// addrPort writes address and port, by name unless the format is numeric.
func (p *Printer) addrPort(a netip.AddrPort, protocol ipvs.Protocol) string {
	host, port := formatAddr(a.Addr()), strconv.Itoa(int(a.Port()))
	if !p.Format.Numeric {
		if name, ok := p.Names.HostName(a.Addr()); ok {
			host = name
		}
		if name, ok := p.Names.ServiceName(a.Port(), protocolNames[protocol]); ok {
			port = name
		}
	}
	if a.Addr().Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
