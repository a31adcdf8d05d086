package options

import (
	"errors"
	"slices"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// Connection are the options that say which connections are meant, beside Keys.
var Connection = []Option[ipvs.ConnFilter]{
	{Name: "destination", Short: "d", Value: "ADDRESS[:PORT]", About: "connections to this real server; without a port, to any port of it",
		Set:  func(f *ipvs.ConnFilter, arg string) (err error) { f.Destination, err = Server(arg, 0); return err },
		Show: func(f ipvs.ConnFilter) (string, bool) { return f.Destination.String(), f.Destination.IsValid() }},
	{Name: "client", Short: "c", Value: "PREFIX", About: "connections from this address or prefix",
		Set:  func(f *ipvs.ConnFilter, arg string) (err error) { f.Client, err = prefix(arg); return err },
		Show: func(f ipvs.ConnFilter) (string, bool) { return Prefix(f.Client), f.Client.IsValid() }},
	{Name: "state", Value: "STATES", About: "connections in one of these states, with commas between: established,syn_recv",
		Set: setStates, Show: func(f ipvs.ConnFilter) (string, bool) { return strings.Join(f.States, ","), len(f.States) > 0 }},
}

func setStates(f *ipvs.ConnFilter, arg string) error {
	f.States = nil
	for word := range strings.SplitSeq(strings.ToUpper(arg), ",") {
		if !slices.Contains(ipvs.States(), word) {
			return oneOf(ipvs.States())
		}
		f.States = append(f.States, word)
	}
	return nil
}

// ConnFilter reads which connections are meant, and whether anything says so.
func ConnFilter(given map[string]string) (f ipvs.ConnFilter, any bool, err error) {
	if slices.ContainsFunc(Keys, func(o Option[ipvs.ServiceKey]) bool { _, ok := given[o.Name]; return ok }) {
		if f.Service, err = Key(given); err != nil {
			return f, false, err
		}
	}
	if err = Apply(Connection, &f, given); err != nil {
		return f, false, err
	}
	any = f.Service != (ipvs.ServiceKey{}) || f.Destination.IsValid() || f.Client.IsValid() || len(f.States) > 0
	return f, any, agree(f)
}

// agree refuses families that cannot be of one connection.
func agree(f ipvs.ConnFilter) error {
	if f.Service.FWMark == 0 && f.Service.Addr.IsValid() && f.Client.IsValid() && f.Client.Addr().Is4() != f.Service.Addr.Addr().Is4() {
		return errors.New("--client and the service are of different address families: no connection has both")
	}
	return nil
}

// resets are the names of those who can be told of the end of a connection.
var resets = []struct {
	name string
	who  ipvs.ConnReset
}{{"client", ipvs.ResetClient}, {"both", ipvs.ResetBoth}}

// Resets are the names of those who can be told of the end of a connection.
func Resets() []string {
	var names []string
	for _, r := range resets {
		names = append(names, r.name)
	}
	return names
}

// Flush are the options that say how connections are ended.
var Flush = []Option[ipvs.FlushOptions]{
	{Name: "templates", About: "end persistence templates too, so that their clients are scheduled anew",
		Set:  func(o *ipvs.FlushOptions, arg string) error { o.Templates = arg == "true"; return nil },
		Show: func(o ipvs.FlushOptions) (string, bool) { return "true", o.Templates }},
	{Name: "reset", Value: "WHO", About: "end TCP connections with a reset: client, the default, or both, the server too",
		Set: setReset, Show: func(o ipvs.FlushOptions) (string, bool) { return resetName(o.Reset), o.Reset != ipvs.ResetNobody }},
}

func setReset(o *ipvs.FlushOptions, arg string) error {
	for _, r := range resets {
		if r.name == arg {
			o.Reset = r.who
			return nil
		}
	}
	return oneOf(Resets())
}

func resetName(who ipvs.ConnReset) string {
	for _, r := range resets {
		if r.who == who {
			return r.name
		}
	}
	return ""
}
