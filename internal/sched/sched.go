// Package sched is the table of scheduling algorithms: their names, what each
// is for, and what its flags are called. It never reads or changes a virtual
// server table, and knows nothing of packets.
package sched

// Scheduler is one algorithm, as a person chooses it.
type Scheduler struct {
	// Name is what -s takes and listings print.
	Name string
	// About says in a few words which server a new connection is given to.
	About string
	// Flags names the scheduler's own flags, the first flag first. A
	// scheduler without names has the generic flag-1, flag-2 and flag-3.
	Flags []string
	// Rotate prepares the scheduler for the data path, nil where it needs
	// no preparation.
	Rotate Rotate
	// Era says that its memory is known by when it came to its service.
	Era bool
	// Place makes the table of a scheduler that hashes, nil for others.
	Place Placement
}

// Default is the scheduler of a service that names none.
const Default = "wlc"

// None is the name of no scheduler at all: a service may have it, and then
// refuses every connection.
const None = "none"

// GenericFlags are the names by which any scheduler takes its flags.
var GenericFlags = []string{"flag-1", "flag-2", "flag-3"}

// All is every scheduler, in the order help lists them.
var All = []Scheduler{
	{Name: "rr", About: "each server in turn", Rotate: rotateRR},
	{Name: "wrr", About: "in turn, as often as the weight says", Rotate: rotateWRR},
	{Name: "lc", About: "the fewest connections"},
	{Name: "wlc", About: "the fewest connections for the weight"},
	{Name: "lblc", About: "the server last used for the destination address, unless overloaded", Rotate: keepMemory, Era: true},
	{Name: "lblcr", About: "as lblc, with a set of servers for each destination address", Rotate: keepMemory, Era: true},
	{Name: "dh", About: "a hash of the destination address", Place: placeDH},
	{Name: "sh", About: "a hash of the client address", Flags: []string{"sh-fallback", "sh-port"}, Place: placeSH},
	{Name: "sed", About: "the shortest expected delay"},
	{Name: "nq", About: "an idle server if there is one, else as sed"},
	{Name: "fo", About: "the available server of the highest weight"},
	{Name: "ovf", About: "the highest weight, until it has as many connections as its weight"},
	{Name: "mh", About: "a Maglev hash of the client address", Flags: []string{"mh-fallback", "mh-port"}, Place: placeMH},
	{Name: "twos", About: "the less loaded of two servers chosen at random"},
}

// Find returns the scheduler called name.
func Find(name string) (Scheduler, bool) {
	for _, s := range All {
		if s.Name == name {
			return s, true
		}
	}
	return Scheduler{}, false
}

// Names returns the name of every scheduler, in the order of All.
func Names() []string {
	names := make([]string, len(All))
	for i, s := range All {
		names[i] = s.Name
	}
	return names
}
