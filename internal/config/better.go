package config

import (
	"slices"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// Setting is a setting that the director makes, and why.
type Setting struct {
	ipvs.SysctlValue
	Why string
}

// better are settings that the director switches on where a file says nothing of
// them: a bare table has the kernel's.
var better = []struct {
	name, value, why string
	when             func(Desired) bool
}{
	{"expire_udp_on_quiescent", "1", "UDP flows leave a server that is down or drained at once", always},
	{"mss_clamp", "1", "a service uses tunnels, whose header full-size segments have no room for", tunnelled},
	{"expire_quiescent_template", "1", "a persistent service keeps failed servers in the table with weight 0, and its clients would stay with them", stuck},
}

func always(Desired) bool { return true }

func tunnelled(d Desired) bool {
	return slices.ContainsFunc(d.Services, func(s Service) bool {
		sorry, _ := s.Sorry()
		return sorry.Method == "tunnel" || s.Method == "tunnel" && len(s.Discovery) > 0 ||
			slices.ContainsFunc(s.Destinations, func(d Destination) bool { return d.Method == "tunnel" })
	})
}

// stuck has a service whose clients would be kept with a server that is down, and
// none that wants them kept with one that is drained.
func stuck(d Desired) bool {
	found := false
	for _, s := range d.Services {
		if s.Persistence == nil || s.Persistence.Timeout == 0 {
			continue
		}
		for _, dest := range append(slices.Clone(s.Destinations), Destination{Server: s.Server}) {
			if dest.Drain.Persistence == "respect" {
				return false
			}
			found = found || dest.Inhibit
		}
	}
	return found
}

// Sysctls are the settings that the director makes: those of the file, and the
// better ones. Their names are without prefix, and sorted.
func (d Desired) Sysctls() []Setting {
	var out []Setting
	named := map[string]bool{}
	for name, value := range d.Settings {
		name = strings.TrimPrefix(strings.ReplaceAll(name, "/", "."), ipvs.SysctlPrefix)
		named[name] = true
		out = append(out, Setting{ipvs.SysctlValue{Name: name, Value: value}, "the file says so"})
	}
	for _, b := range better {
		if !named[b.name] && b.when(d) {
			out = append(out, Setting{ipvs.SysctlValue{Name: b.name, Value: b.value}, b.why})
		}
	}
	slices.SortFunc(out, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return out
}
