package ipvsadm

// Command is what a command line asks for: its first option.
type Command int

// The commands. The zero Command lists the table, as ipvsadm without any
// option does.
const (
	List Command = iota
	AddService
	EditService
	DeleteService
	Clear
	Restore
	Save
	AddServer
	EditServer
	DeleteServer
	Zero
	SetTimeouts
	StartDaemon
	StopDaemon
	Help
	Version
)

// group is a kind of option. Messages call options by their group, and a
// command line has at most one option of each.
type group uint

// The groups, in the order in which a command line is checked for them.
const (
	none group = iota
	numeric
	connection
	serviceAddress
	scheduler
	persistent
	netmask
	realServer
	forwardingMethod
	weight
	upperThreshold
	lowerThreshold
	mcastInterface
	timeout
	daemon
	stats
	rate
	thresholds
	persistentConn
	nosort
	syncID
	exact
	ops
	engine
	schedFlags
	mcastGroup
	mcastPort
	mcastTTL
	syncMaxLen
	tunInfo
	tunType
	tunPort
	tunNoCsum
	tunCsum
	tunRemCsum
	groups // how many there are
)

// groupNames are the names messages use.
var groupNames = [groups]string{
	"", "numeric", "connection", "service-address", "scheduler", "persistent",
	"netmask", "real-server", "forwarding-method", "weight", "u-threshold",
	"l-threshold", "mcast-interface", "timeout", "daemon", "stats", "rate",
	"thresholds", "persistent-conn", "nosort", "syncid", "exact", "ops", "pe",
	"sched-flags", "mcast-group", "mcast-port", "mcast-ttl", "sync-maxlen",
	"tun-info", "tun-type", "tun-port", "tun-nocsum", "tun-csum", "tun-remcsum",
}

// groupSet is a set of groups.
type groupSet uint64

func of(gs ...group) groupSet {
	var s groupSet
	for _, g := range gs {
		s |= 1 << g
	}
	return s
}

func (s groupSet) has(g group) bool { return s&(1<<g) != 0 }

// rule says which options go with a command or a tunnel type.
type rule struct {
	name  string   // the command or tunnel type, as messages call it
	needs groupSet // must be there
	takes groupSet // may be there
	oneOf groupSet // at most one of these may be there
}

// rules is the table of commands and the options they go with.
var rules = map[Command]rule{
	AddService: {name: "add-service", needs: of(serviceAddress),
		takes: of(scheduler, persistent, netmask, ops, engine, schedFlags)},
	EditService: {name: "edit-service", needs: of(serviceAddress),
		takes: of(scheduler, persistent, netmask, ops, engine, schedFlags)},
	DeleteService: {name: "delete-service", needs: of(serviceAddress)},
	Clear:         {name: "flush"},
	Restore:       {name: "restore"},
	Save:          {name: "save", takes: of(numeric)},
	AddServer: {name: "add-server", needs: of(serviceAddress, realServer),
		takes: of(forwardingMethod, weight, upperThreshold, lowerThreshold) | tunnelOptions},
	EditServer: {name: "edit-server", needs: of(serviceAddress, realServer),
		takes: of(forwardingMethod, weight, upperThreshold, lowerThreshold) | tunnelOptions},
	DeleteServer: {name: "delete-server", needs: of(serviceAddress, realServer)},
	List: {name: "list", oneOf: of(connection, serviceAddress, timeout, daemon),
		takes: of(numeric, stats, rate, thresholds, persistentConn, nosort, syncID, exact, tunInfo)},
	Zero:        {name: "zero", takes: of(serviceAddress)},
	SetTimeouts: {name: "set"},
	StartDaemon: {name: "start-daemon",
		takes: of(mcastInterface, syncID, syncMaxLen, mcastGroup, mcastPort, mcastTTL)},
	StopDaemon: {name: "stop-daemon", takes: of(syncID)},
}

// tunnelOptions are those that only the tunnel forwarding method has.
var tunnelOptions = of(tunType, tunPort, tunNoCsum, tunCsum, tunRemCsum)

// argument says whether an option is followed by an argument.
type argument int

const (
	bare    argument = iota // never
	needs                   // always, whatever it looks like
	perhaps                 // if it does not look like an option
)

// option is one row of the language: how it is written and what it does.
type option struct {
	long  string
	short byte // 0 if there is none
	arg   argument
	group group // none: the option may be repeated
	// command is what the option asks for, if it is a command.
	command   Command
	isCommand bool
	// apply notes the option's effect; nil if being there is all of it.
	apply func(l *line, arg string) error
}

// options is the table of options.
var options = []option{
	{long: "add-service", short: 'A', isCommand: true, command: AddService},
	{long: "edit-service", short: 'E', isCommand: true, command: EditService},
	{long: "delete-service", short: 'D', isCommand: true, command: DeleteService},
	{long: "clear", short: 'C', isCommand: true, command: Clear},
	{long: "list", short: 'L', isCommand: true, command: List},
	{short: 'l', isCommand: true, command: List},
	{long: "zero", short: 'Z', isCommand: true, command: Zero},
	{long: "add-server", short: 'a', isCommand: true, command: AddServer},
	{long: "edit-server", short: 'e', isCommand: true, command: EditServer},
	{long: "delete-server", short: 'd', isCommand: true, command: DeleteServer},
	{long: "set", isCommand: true, command: SetTimeouts},
	{long: "start-daemon", arg: needs, isCommand: true, command: StartDaemon, apply: startRole},
	{long: "stop-daemon", arg: needs, isCommand: true, command: StopDaemon, apply: stopRole},
	{long: "restore", short: 'R', isCommand: true, command: Restore},
	{long: "save", short: 'S', isCommand: true, command: Save},
	{long: "help", short: 'h', isCommand: true, command: Help},
	{long: "version", short: 'v', isCommand: true, command: Version},

	{long: "tcp-service", short: 't', arg: needs, group: serviceAddress, apply: tcpService},
	{long: "udp-service", short: 'u', arg: needs, group: serviceAddress, apply: udpService},
	{long: "sctp-service", arg: needs, group: serviceAddress, apply: sctpService},
	{long: "fwmark-service", short: 'f', arg: needs, group: serviceAddress, apply: markService},
	{long: "ipv6", short: '6', apply: markIPv6},

	{long: "scheduler", short: 's', arg: needs, group: scheduler, apply: setScheduler},
	{long: "pe", arg: needs, group: engine, apply: setEngine},
	{long: "persistent", short: 'p', arg: perhaps, group: persistent, apply: setPersistent},
	{long: "netmask", short: 'M', arg: needs, group: netmask, apply: setNetmask},
	{long: "ops", short: 'o', group: ops, apply: setOnePacket},
	{long: "sched-flags", short: 'b', arg: needs, group: schedFlags, apply: setSchedFlags},

	{long: "real-server", short: 'r', arg: needs, group: realServer, apply: setServer},
	{long: "masquerading", short: 'm', group: forwardingMethod, apply: setMasquerade},
	{long: "ipip", short: 'i', group: forwardingMethod, apply: setTunnel},
	{long: "gatewaying", short: 'g', group: forwardingMethod, apply: setRoute},
	{long: "weight", short: 'w', arg: needs, group: weight, apply: setWeight},
	{long: "u-threshold", short: 'x', arg: needs, group: upperThreshold, apply: setUpper},
	{long: "l-threshold", short: 'y', arg: needs, group: lowerThreshold, apply: setLower},
	{long: "tun-type", arg: needs, group: tunType, apply: setTunnelType},
	{long: "tun-port", arg: needs, group: tunPort, apply: setTunnelPort},
	{long: "tun-nocsum", group: tunNoCsum},
	{long: "tun-csum", group: tunCsum, apply: setTunnelChecksum},
	{long: "tun-remcsum", group: tunRemCsum, apply: setTunnelRemoteChecksum},

	{long: "numeric", short: 'n', group: numeric},
	{long: "connection", short: 'c', group: connection},
	{long: "timeout", group: timeout},
	{long: "daemon", group: daemon},
	{long: "stats", group: stats},
	{long: "rate", group: rate},
	{long: "exact", group: exact},
	{long: "thresholds", group: thresholds},
	{long: "persistent-conn", group: persistentConn},
	{long: "tun-info", group: tunInfo},
	{long: "nosort", group: nosort},
	{long: "sort"}, // what listings do anyway

	{long: "mcast-interface", arg: needs, group: mcastInterface, apply: setMcastInterface},
	{long: "syncid", arg: needs, group: syncID, apply: setSyncID},
	{long: "sync-maxlen", arg: needs, group: syncMaxLen, apply: setSyncMaxLen},
	{long: "mcast-group", arg: needs, group: mcastGroup, apply: setMcastGroup},
	{long: "mcast-port", arg: needs, group: mcastPort, apply: setMcastPort},
	{long: "mcast-ttl", arg: needs, group: mcastTTL, apply: setMcastTTL},
}
