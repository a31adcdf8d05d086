package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/ipvs"
)

// The time to live of an answer counts within these bounds.
const (
	leastTTL = time.Second
	mostTTL  = time.Hour
)

// attempts is how often a server is asked: the one packet may be lost.
const attempts = 2

// A lookup finds the servers of a name.
type lookup struct {
	asking
	name dnsmessage.Name
	// ttl is the least of the answers so far.
	ttl time.Duration
}

// newDNS looks up a name: its addresses, or those of the targets of its SRV records.
func newDNS(a asking) (asker, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(a.Name, ".") + ".")
	if err != nil {
		return nil, fmt.Errorf("%q is no name: %w", a.Name, err)
	}
	return func(ctx context.Context) (found, error) {
		l := lookup{asking: a, name: name, ttl: mostTTL}
		servers, err := l.servers(ctx)
		if err != nil {
			return found{}, err
		}
		if len(servers) == 0 {
			return found{}, errors.New("the answer has no server")
		}
		text, err := json.Marshal(servers)
		next := max(l.ttl, leastTTL)
		if l.ttl == 0 {
			next = a.Interval // whoever says so wants to be asked, though not all the time
		}
		return found{text: text, next: next}, err
	}, nil
}

// A server is a destination as the director's file has it.
type server struct {
	Server config.Endpoint `json:"server"`
	Weight *int            `json:"weight,omitempty"`
}

func (l *lookup) servers(ctx context.Context) (all []server, err error) {
	if l.Record == "SRV" {
		return l.targets(ctx)
	}
	addrs, err := l.addresses(ctx, l.name, l.Record)
	for _, a := range addrs {
		all = append(all, server{Server: config.Endpoint{AddrPort: netip.AddrPortFrom(a, 0)}})
	}
	return all, err
}

// families are what records have of addresses.
var families = []struct {
	record string
	kind   dnsmessage.Type
	family ipvs.Family
}{
	{"A", dnsmessage.TypeA, ipvs.IPv4},
	{"AAAA", dnsmessage.TypeAAAA, ipvs.IPv6},
}

// addresses are those of a name. Where a service takes but one family, A+AAAA asks for
// that alone.
func (l *lookup) addresses(ctx context.Context, name dnsmessage.Name, record string) (all []netip.Addr, err error) {
	for _, f := range families {
		if record != f.record && (record != "A+AAAA" || !l.service.Takes(f.family)) {
			continue
		}
		m, err := l.ask(ctx, name, f.kind)
		if err != nil {
			return nil, err
		}
		all = append(all, addressesIn(m.Answers, nil)...)
	}
	return distinct(all), nil
}

// addressesIn are those of records, of one name or of all.
func addressesIn(records []dnsmessage.Resource, name *dnsmessage.Name) (all []netip.Addr) {
	for _, r := range records {
		if name != nil && !strings.EqualFold(r.Header.Name.String(), name.String()) {
			continue
		}
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			all = append(all, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			all = append(all, netip.AddrFrom16(body.AAAA))
		}
	}
	return all
}

func distinct[T comparable](all []T) (out []T) {
	seen := map[T]bool{}
	for _, a := range all {
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

// targets are the servers that SRV records name: those of the first priority. Their
// weights count unless all are 0; one that is 0 among others is 1, as it means little,
// not none.
func (l *lookup) targets(ctx context.Context) (all []server, err error) {
	m, err := l.ask(ctx, l.name, dnsmessage.TypeSRV)
	if err != nil {
		return nil, err
	}
	records, weighted := first(m.Answers)
	if len(records) > l.Limit {
		return nil, fmt.Errorf("the answer has %d records, more than the limit of %d: raise it if that is right", len(records), l.Limit)
	}
	at := map[netip.AddrPort]int{}
	for _, r := range records {
		addrs, err := l.of(ctx, m, r.Target)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Target, err)
		}
		for _, a := range addrs {
			s := server{Server: config.Endpoint{AddrPort: netip.AddrPortFrom(a, r.Port)}}
			if weight := max(int(r.Weight), 1); weighted {
				s.Weight = &weight
			}
			if i, twice := at[s.Server.AddrPort]; twice { // two records for one server
				if weighted {
					*all[i].Weight += *s.Weight
				}
				continue
			}
			at[s.Server.AddrPort] = len(all)
			all = append(all, s)
		}
	}
	return all, nil
}

// first are the records of the first priority, and whether any of them has a weight.
func first(answers []dnsmessage.Resource) (records []*dnsmessage.SRVResource, weighted bool) {
	for _, r := range answers {
		body, ok := r.Body.(*dnsmessage.SRVResource)
		if !ok || body.Target.String() == "." { // decidedly none
			continue
		}
		if len(records) > 0 && body.Priority < records[0].Priority {
			records, weighted = nil, false
		}
		if len(records) > 0 && body.Priority > records[0].Priority {
			continue
		}
		records = append(records, body)
		weighted = weighted || body.Weight > 0
	}
	return records, weighted
}

// of are the addresses of a target: they may stand beside the answer.
func (l *lookup) of(ctx context.Context, m dnsmessage.Message, target dnsmessage.Name) (all []netip.Addr, err error) {
	for _, a := range addressesIn(m.Additionals, &target) {
		if l.service.Takes(ipvs.FamilyOf(a)) {
			all = append(all, a)
		}
	}
	if len(all) > 0 {
		return distinct(all), nil
	}
	return l.addresses(ctx, target, "A+AAAA")
}

// ask asks the resolvers in turn until one answers.
func (l *lookup) ask(ctx context.Context, name dnsmessage.Name, kind dnsmessage.Type) (m dnsmessage.Message, err error) {
	resolvers := []netip.AddrPort{l.Resolver}
	if !l.Resolver.IsValid() {
		if resolvers, err = systemResolvers("/etc/resolv.conf"); err != nil {
			return m, err
		}
	}
	question := dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}
	each := l.Timeout / time.Duration(attempts*len(resolvers))
	for range attempts {
		for _, at := range resolvers {
			if m, err = askOne(ctx, at, question, each); err == nil {
				return m, l.note(m)
			}
			if ctx.Err() != nil {
				return m, err
			}
		}
	}
	return m, err
}

// note takes down how long an answer holds, and says whether it is one.
func (l *lookup) note(m dnsmessage.Message) error {
	if m.RCode != dnsmessage.RCodeSuccess {
		return errors.New(health.CodeOfDNS(m))
	}
	for _, r := range append(m.Answers, m.Additionals...) {
		if r.Header.Type != dnsmessage.TypeOPT {
			l.ttl = min(l.ttl, time.Duration(r.Header.TTL)*time.Second)
		}
	}
	return nil
}

// askOne asks one resolver by UDP, and by TCP where the answer has no room.
func askOne(ctx context.Context, at netip.AddrPort, question dnsmessage.Question, within time.Duration) (m dnsmessage.Message, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for _, network := range []string{"udp", "tcp"} {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, at.String())
		if err != nil {
			return m, err
		}
		stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		m, err = health.AskDNS(c, network, question)
		stop()
		if err = errors.Join(err, c.Close()); err != nil || !m.Truncated {
			return m, err
		}
	}
	return m, nil
}

// systemResolvers are those of resolv.conf, the first three as everybody takes them.
func systemResolvers(file string) (all []netip.AddrPort, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(all) == 3 {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			all = append(all, netip.AddrPortFrom(a, 53))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s names no server: write resolver: ADDRESS:53", file)
	}
	return all, nil
}
