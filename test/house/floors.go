package house

// module is the path that imports of our own packages begin with.
const module = "github.com/evs-project/evs"

// A floor is a set of rooms (packages by their path within the module; one
// that ends in /... stands for everything below it too). A package may import
// what lies on its own floor and on those beneath.
type floor struct {
	name  string
	rooms []string
}

// floors are the storeys of the house from the ground up. A new package gets a
// place here.
var floors = []floor{
	{"ground", []string{"internal/sched", "internal/hostnet", "internal/document", "internal/nudge", "internal/poll"}},
	{"data path", []string{"internal/datapath"}},
	{"table", []string{"ipvs"}},
	{"languages and senses", []string{"internal/ipvsadm", "internal/options", "internal/listing", "internal/config", "internal/convert", "internal/health", "internal/weight", "internal/source", "internal/discovery", "internal/manual", "internal/keep"}},
	{"director and doors", []string{"internal/director", "internal/lab", "internal/metrics", "internal/web", "internal/realserver", "internal/agent", "internal/doctor", "internal/drain", "internal/api"}},
	{"the director that stays", []string{"internal/daemon"}},
	{"roof", []string{"cmd/evs", "bench/...", "test/..."}},
}

// A keeper reserves an outside module for the rooms that may speak to it.
// Tests are free to import it.
type keeper struct {
	imports string
	rooms   []string
}

var keepers = []keeper{
	{"github.com/cilium/ebpf", []string{"internal/datapath", "bench/...", "test/..."}},
}
