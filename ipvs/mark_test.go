package ipvs_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

// Few bits, so that rules and packets meet.
func smallAddr(r *rand.Rand, v6 bool) netip.Addr {
	if v6 {
		a := netip.MustParseAddr("2001:db8::").As16()
		a[4], a[9], a[15] = byte(r.IntN(2)), byte(r.IntN(3)), byte(r.IntN(4))
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte{203, 0, byte(112 + r.IntN(3)), byte(r.IntN(4))})
}

func randomPrefix(r *rand.Rand, v6 bool) netip.Prefix {
	a := smallAddr(r, v6)
	return netip.PrefixFrom(a, []int{0, 7, 8, 17, 24, 30, 31, 32, a.BitLen() * 3 / 4, a.BitLen()}[r.IntN(10)])
}

func randomRule(r *rand.Rand) ipvs.MarkRule {
	v6 := r.IntN(2) == 0
	rule := ipvs.MarkRule{
		Destination: randomPrefix(r, v6), Mark: 1 + r.Uint32N(1<<32-1),
		Protocol: []ipvs.Protocol{0, ipvs.TCP, ipvs.UDP, ipvs.SCTP, 50}[r.IntN(5)],
	}
	if r.IntN(3) == 0 {
		rule.Source = randomPrefix(r, v6)
	}
	if rule.Protocol != 0 && rule.Protocol != 50 {
		for range r.IntN(4) * r.IntN(5) {
			low := uint16(r.IntN(6))
			rule.Ports = append(rule.Ports, ipvs.PortRange{Low: low, High: low + uint16(r.IntN(3))})
		}
	}
	return rule
}

// markByDefinition is what the rules are said to do.
func markByDefinition(rules []ipvs.MarkRule, p ipvs.MarkPacket) uint32 {
	best, mark := -1, uint32(0)
	for _, rule := range rules {
		switch {
		case !rule.Destination.Contains(p.Destination), rule.Destination.Bits() <= best:
		case rule.Source.IsValid() && !rule.Source.Contains(p.Source):
		case rule.Protocol != 0 && rule.Protocol != p.Protocol:
		case len(rule.Ports) > 0 && !slices.ContainsFunc(rule.Ports, func(r ipvs.PortRange) bool { return r.Low <= p.Port && p.Port <= r.High }):
		default:
			best, mark = rule.Destination.Bits(), rule.Mark
		}
	}
	return mark
}

func TestTheDataPathMarksPacketsAsTheRulesSay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	inNamespace(t, func(table *ipvs.Table) error {
		marked := 0
		for round := range 60 {
			var rules []ipvs.MarkRule
			for range r.IntN(40) {
				rules = append(rules, randomRule(r))
			}
			err := table.SetMarks(rules)
			if errors.Is(err, ipvs.ErrMarkExists) {
				continue
			}
			if err != nil {
				return err
			}
			if got, err := table.Marks(); err != nil || !slices.EqualFunc(got, ipvs.OrderMarks(rules), func(a, b ipvs.MarkRule) bool { return a.SameMatch(b) && a.Mark == b.Mark }) {
				t.Fatalf("rules are %v, not %v: %v", got, ipvs.OrderMarks(rules), err)
			}
			for range 200 {
				v6 := r.IntN(2) == 0
				p := ipvs.MarkPacket{
					Source: smallAddr(r, v6), Destination: smallAddr(r, v6), Port: uint16(r.IntN(9)),
					Protocol: []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP, 50}[r.IntN(4)],
				}
				got, err := table.Mark(p)
				if err != nil {
					return err
				}
				if want := markByDefinition(rules, p); got != want {
					t.Errorf("round %d: %+v is marked %d, want %d by\n%+v", round, p, got, want, rules)
					return nil
				}
				if got != 0 {
					marked++
				}
			}
		}
		if marked < 1000 {
			t.Errorf("only %d packets were marked: the test says little", marked)
		}
		return nil
	})
}

func prefixRule(prefix string, mark uint32) ipvs.MarkRule {
	return ipvs.MarkRule{Destination: netip.MustParsePrefix(prefix), Mark: mark}
}

func TestRulesAreListedInTheOrderInWhichTheyAreTried(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		web := prefixRule("203.0.113.0/24", 2)
		web.Protocol, web.Ports = ipvs.TCP, []ipvs.PortRange{{80, 80}, {8000, 8080}}
		web.Source = netip.MustParsePrefix("198.51.100.0/25")
		for _, rule := range []ipvs.MarkRule{
			prefixRule("2001:db8::/32", 5), prefixRule("0.0.0.0/0", 4), web, prefixRule("203.0.113.0/24", 3),
			prefixRule("203.0.113.10/32", 1), prefixRule("2001:db8::10/128", 6),
		} {
			if err := table.AddMark(rule); err != nil {
				return err
			}
		}
		got, err := table.Marks()
		if err != nil {
			return err
		}
		want := []ipvs.MarkRule{
			prefixRule("203.0.113.10/32", 1), web, prefixRule("203.0.113.0/24", 3), prefixRule("0.0.0.0/0", 4),
			prefixRule("2001:db8::10/128", 6), prefixRule("2001:db8::/32", 5),
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
		web.Mark = 9 // a rule is known by what it matches
		if err := table.AddMark(web); !errors.Is(err, ipvs.ErrMarkExists) {
			t.Errorf("the same match again: %v", err)
		}
		if err := table.DeleteMark(web); err != nil {
			t.Errorf("delete: %v", err)
		}
		if err := table.DeleteMark(web); !errors.Is(err, ipvs.ErrNoMark) {
			t.Errorf("delete again: %v", err)
		}
		if err := table.SetMarks(nil); err != nil {
			return err
		}
		if got, err = table.Marks(); err != nil || len(got) != 0 {
			t.Errorf("after all were removed: %+v, %v", got, err)
		}
		return nil
	})
}

func TestRulesThatCannotBeAreRefused(t *testing.T) {
	ok := prefixRule("203.0.113.0/24", 1)
	for name, change := range map[string]func(*ipvs.MarkRule){
		"no destination":       func(r *ipvs.MarkRule) { r.Destination = netip.Prefix{} },
		"families that differ": func(r *ipvs.MarkRule) { r.Source = netip.MustParsePrefix("2001:db8::/32") },
		"no mark":              func(r *ipvs.MarkRule) { r.Mark = 0 },
		"ports of no protocol": func(r *ipvs.MarkRule) { r.Ports = []ipvs.PortRange{{80, 80}} },
		"ports backwards":      func(r *ipvs.MarkRule) { r.Protocol, r.Ports = ipvs.TCP, []ipvs.PortRange{{81, 80}} },
		"too many ports":       func(r *ipvs.MarkRule) { r.Protocol, r.Ports = ipvs.TCP, make([]ipvs.PortRange, ipvs.MaxMarkPorts+1) },
		"IPv4 written as IPv6": func(r *ipvs.MarkRule) { r.Destination = netip.MustParsePrefix("::ffff:203.0.113.0/120") },
	} {
		t.Run(name, func(t *testing.T) {
			r := ok
			change(&r)
			if err := r.Validate(); !errors.Is(err, ipvs.ErrInvalid) {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
	if err := ok.Validate(); err != nil {
		t.Errorf("%+v: %v", ok, err)
	}
}

func TestTooManyRulesChangeNothing(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		if err := table.SetMarks([]ipvs.MarkRule{prefixRule("203.0.113.0/24", 7)}); err != nil {
			return err
		}
		many := func(n int, prefix func(i int) netip.Prefix) (rules []ipvs.MarkRule) {
			for i := range n {
				rules = append(rules, ipvs.MarkRule{Destination: prefix(i), Mark: uint32(i + 1)})
			}
			return rules
		}
		host := func(i int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100 + byte(i>>8), byte(i)}), 32)
		}
		nested := func(i int) netip.Prefix { return netip.PrefixFrom(netip.MustParseAddr("2001:db8::"), i) }
		for _, rules := range [][]ipvs.MarkRule{many(1025, host), many(129, nested)} {
			if err := table.SetMarks(rules); !errors.Is(err, ipvs.ErrNoSpace) {
				t.Errorf("%d rules: %v", len(rules), err)
			}
			packet := ipvs.MarkPacket{Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("203.0.113.9")}
			if mark, err := table.Mark(packet); err != nil || mark != 7 {
				t.Errorf("after %d rules were refused: mark %d, %v", len(rules), mark, err)
			}
		}
		rules := many(1024, host)
		if err := table.SetMarks(rules); err != nil {
			return err
		}
		packet := ipvs.MarkPacket{Source: netip.MustParseAddr("192.0.2.1"), Destination: rules[700].Destination.Addr()}
		if mark, err := table.Mark(packet); err != nil || mark != rules[700].Mark {
			t.Errorf("of 1024 rules: mark %d, %v", mark, err)
		}
		return nil
	})
}
