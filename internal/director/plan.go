package director

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// What is the sort of thing that a change is about.
type What string

// What there is, in the order in which it is changed.
const (
	Setting     What = "setting"
	Timeout     What = "timeout"
	Service     What = "service"
	Destination What = "destination"
	Mark        What = "mark"
	Interface   What = "interface"
)

// Weight is the operation on a destination of which nothing but the weight changes;
// all others are called as ipvs.Op has it.
const Weight = "weight"

// everyInterface is the name of the change of the mode of those that have none of
// their own.
const everyInterface = "all others"

// Change is one difference between what runs and what is wanted.
type Change struct {
	What What
	Op   string // add, edit, weight, remove, reorder
	// Service is the one concerned; the zero value for what belongs to none.
	Service ipvs.ServiceKey
	// Name is that of a destination, a setting, a timeout, an interface, or of
	// the packets that a rule of marks is about.
	Name string
	// From and To are what differs, before and after.
	From, To string
	// Connections are those alive of what changes: of a service all, of a
	// destination its own. Settings, timeouts and modes concern every one,
	// rules of marks none: a connection keeps the service that it has.
	Connections int
	// Moved is the share of clients that all changes of the service together
	// give another server than they had, or none; nil unless its scheduler
	// hashes, the same way before and after.
	Moved *float64
}

// Plan returns what has to be done for what runs to be what is wanted, in the order
// in which it is done; nothing, if it is so already. It is pure.
func Plan(have Running, want Wanted) []Change {
	p := &planner{have: have, want: want}
	for _, s := range have.Services {
		p.all += live(s.Destinations...)
	}
	p.settings()
	p.timeouts()
	p.services()
	p.marks()
	p.modes()
	return p.changes
}

type planner struct {
	have    Running
	want    Wanted
	all     int // connections
	changes []Change
}

func (p *planner) differ(what What, name, from, to string) {
	if from != to {
		p.changes = append(p.changes, Change{What: what, Op: ipvs.Edit.String(), Name: name, From: from, To: to, Connections: p.all})
	}
}

func (p *planner) settings() {
	for _, s := range p.have.Settings {
		for _, v := range p.want.Settings {
			if v.Name != s.Name {
				continue
			}
			to := v.Value // one that cannot be is refused by who acts
			if after, err := s.With(v.Value); err == nil {
				to = after.Value
			}
			p.differ(Setting, s.Name, words(s.Value), words(to))
		}
	}
}

// words are the numbers of a setting with a blank between.
func words(value string) string { return strings.Join(strings.Fields(value), " ") }

func (p *planner) timeouts() {
	have, want := p.have.Timeouts, p.want.Timeouts
	for _, t := range []struct {
		name     string
		from, to time.Duration
	}{{"tcp", have.TCP, want.TCP}, {"tcpfin", have.TCPFin, want.TCPFin}, {"udp", have.UDP, want.UDP}} {
		if t.to != 0 {
			p.differ(Timeout, t.name, t.from.String(), t.to.String())
		}
	}
}

func (p *planner) services() {
	had, wanted := map[ipvs.ServiceKey]ipvs.ServiceInfo{}, map[ipvs.ServiceKey]ipvs.ServiceSpec{}
	for _, s := range p.have.Services {
		had[s.ServiceKey] = s
	}
	for _, s := range p.want.Services {
		wanted[s.ServiceKey] = ipvs.ServiceSpec{Service: s.WithDefaults(), Destinations: s.Destinations}
	}
	moved := map[ipvs.ServiceKey]*float64{}
	for _, c := range ipvs.Plan(p.have.Services, p.want.Services) {
		s, w := had[c.Service], wanted[c.Service]
		if _, done := moved[c.Service]; !done {
			moved[c.Service] = share(s, w)
		}
		change := Change{What: Service, Op: c.Op.String(), Service: c.Service, Moved: moved[c.Service], Connections: live(s.Destinations...)}
		if c.Destination.IsValid() {
			destination(&change, c, s, w)
		} else {
			change.From, change.To = serviceTexts(c.Op, s, w)
		}
		p.changes = append(p.changes, change)
	}
}

// serviceTexts are what differs of a service that is, or shall be.
func serviceTexts(op ipvs.Op, had ipvs.ServiceInfo, want ipvs.ServiceSpec) (from, to string) {
	count := func(n int) string { return fmt.Sprintf("destinations %d", n) }
	switch op {
	case ipvs.Add:
		return "", strings.Join([]string{describe(options.Service, want.Service), count(len(want.Destinations))}, ", ")
	case ipvs.Remove:
		return strings.Join([]string{describe(options.Service, had.Service), count(len(had.Destinations))}, ", "), ""
	case ipvs.Reorder:
		return "", "order of the file"
	}
	return differences(options.Service, had.Service, want.Service)
}

// destination fills in a change of a destination.
func destination(change *Change, c ipvs.Change, had ipvs.ServiceInfo, want ipvs.ServiceSpec) {
	change.What, change.Name, change.Connections = Destination, c.Destination.String(), 0
	var from, to ipvs.Destination
	for _, d := range had.Destinations {
		if d.Addr == c.Destination {
			from, change.Connections = d.Destination, live(d)
		}
	}
	for _, d := range want.Destinations {
		if d.Addr == c.Destination {
			to = d
		}
	}
	table := options.Destination[1:] // the first is its address
	switch c.Op {
	case ipvs.Add:
		change.To = describe(table, to)
	case ipvs.Remove:
		change.From = describe(table, from)
	default:
		change.From, change.To = differences(table, from, to)
		if from.Weight = to.Weight; from == to {
			change.Op = Weight
		}
	}
}

// live counts connections of destinations.
func live(all ...ipvs.DestinationInfo) int {
	n := 0
	for _, d := range all {
		n += int(d.Active) + int(d.Inactive)
	}
	return n
}

// describe is all that is said of a value: "method masq, weight 3".
func describe[T any](table []options.Option[T], value T) string {
	var all []string
	for _, o := range table {
		if arg, given := o.Show(value); given {
			all = append(all, said(o.Name, o.Value, arg, given))
		}
	}
	return strings.Join(all, ", ")
}

// differences are what two values say differently; what one does not say is "no".
func differences[T any](table []options.Option[T], from, to T) (was, is string) {
	var before, after []string
	for _, o := range table {
		a, givenA := o.Show(from)
		b, givenB := o.Show(to)
		if a == b && givenA == givenB {
			continue
		}
		before, after = append(before, said(o.Name, o.Value, a, givenA)), append(after, said(o.Name, o.Value, b, givenB))
	}
	return strings.Join(before, ", "), strings.Join(after, ", ")
}

func said(name, value, arg string, given bool) string {
	switch {
	case !given:
		return "no " + name
	case value == "":
		return name
	}
	return name + " " + arg
}

// share is the share of clients that move, nil if nobody can tell.
func share(had ipvs.ServiceInfo, want ipvs.ServiceSpec) *float64 {
	same := had.SchedFlags&ipvs.SHPort == want.SchedFlags&ipvs.SHPort // mh has the same flag for it
	if had.Scheduler != want.Scheduler || !same {
		return nil
	}
	rested := map[string]int32{}
	var before, after []sched.Member
	for _, d := range had.Destinations {
		rested[d.Addr.String()] = d.LastWeight
		before = append(before, sched.Member{Addr: d.Addr, Weight: uint32(d.Weight), LastWeight: uint32(cmp.Or(d.Weight, d.LastWeight))})
	}
	for _, d := range slices.Backward(want.Destinations) { // schedulers walk the newest first
		last := cmp.Or(d.Weight, rested[d.Addr.String()])
		after = append(after, sched.Member{Addr: d.Addr, Weight: uint32(d.Weight), LastWeight: uint32(last)})
	}
	moved, ok := sched.Moved(had.Scheduler, hashed(had.Service, before), hashed(want.Service, after))
	if !ok {
		return nil
	}
	return &moved
}

func hashed(s ipvs.Service, members []sched.Member) sched.Hashed {
	return sched.Hashed{V6: s.Family == ipvs.IPv6, Members: members, Fallback: s.Scheduler != "dh" && s.SchedFlags&ipvs.SHFallback != 0}
}

// marks compares rules, which are about packets; what they give these is the mark.
func (p *planner) marks() {
	have, want := p.have.Marks, ipvs.OrderMarks(p.want.Marks)
	add := func(op ipvs.Op, r ipvs.MarkRule, from, to string) {
		packets := strings.Join(options.Print(options.MarkMatch, r), " ")
		p.changes = append(p.changes, Change{What: Mark, Op: op.String(), Name: packets, From: from, To: to})
	}
	text := func(r ipvs.MarkRule) string { return fmt.Sprint(r.Mark) }
	var order []ipvs.MarkRule // that of have, when the others are done
	for _, h := range have {
		if i := slices.IndexFunc(want, h.SameMatch); i >= 0 {
			order = append(order, want[i])
		} else {
			add(ipvs.Remove, h, text(h), "")
		}
	}
	kept := 0
	moved := false
	for _, w := range want {
		i := slices.IndexFunc(have, w.SameMatch)
		if i < 0 {
			add(ipvs.Add, w, "", text(w))
			continue
		}
		if have[i].Mark != w.Mark {
			add(ipvs.Edit, w, text(have[i]), text(w))
		}
		moved = moved || !order[kept].SameMatch(w)
		kept++
	}
	if moved {
		p.changes = append(p.changes, Change{What: Mark, Op: ipvs.Reorder.String(), To: "order of the file"})
	}
}

func (p *planner) modes() {
	p.differ(Interface, everyInterface, string(p.have.Mode), string(p.want.Mode))
	names := sortedKeys(p.want.Interfaces)
	for _, a := range p.have.Attachments {
		// Those that had the mode of all get the new one of all.
		if _, named := p.want.Interfaces[a.Interface]; !named && a.Mode != p.have.Mode {
			names = append(names, a.Interface)
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		p.differ(Interface, name, string(p.have.modeOf(name)), string(p.want.modeOf(name)))
	}
}

// modeOf is the mode wanted of an interface.
func (w Wanted) modeOf(name string) ipvs.AttachMode { return cmp.Or(w.Interfaces[name], w.Mode) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
