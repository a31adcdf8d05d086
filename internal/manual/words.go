package manual

// about is what a page says of an option: what its argument is called, and what
// the option does.
type about struct {
	option   string // the long form
	argument string
	text     string
}

// commandWords explain the commands of ipvsadm.
var commandWords = []about{
	{"add-service", "", "Add a virtual service. Without a scheduler it gets `wlc`."},
	{"edit-service", "", "Change a virtual service that exists. What is not named goes back to its default, so give all options again. Its destinations and connections stay."},
	{"delete-service", "", "Delete a virtual service with its destinations. Connections that it had are no longer forwarded."},
	{"clear", "", "Delete all virtual services. Timeouts and the attachment to interfaces stay; `evs unload` takes these too."},
	{"list", "", "List the table, or one service of it. This is also what ipvsadm does when it is called with nothing."},
	{"zero", "", "Set the counters of a service, or of all, to zero."},
	{"add-server", "", "Add a destination, a real server, to a virtual service."},
	{"edit-server", "", "Change a destination that exists. What is not named goes back to its default: give the forwarding method again when you change a weight."},
	{"delete-server", "", "Delete a destination. Its connections are no longer forwarded; to let them end first, set its weight to 0 and wait until `ipvsadm -Ln` counts none."},
	{"set", "TCP TCPFIN UDP", "Set how many seconds a connection lives without a packet: an established TCP connection, a TCP connection after the first FIN, a UDP flow. A 0 leaves the value as it is."},
	{"start-daemon", "ROLE", "Start synchronising connections with other directors. ROLE is `master` to send and `backup` to receive; a director may do both, started one after the other."},
	{"stop-daemon", "ROLE", "Stop it again."},
	{"restore", "", "Read commands from standard input, one a line, as `--save` prints them. The table is not cleared first; ipvsadm-restore(8) does that."},
	{"save", "", "Print the table as commands that make it again. Thresholds are not saved: the language of the saved rules has no place for them."},
	{"help", "", "Print a summary of commands and options."},
	{"version", "", "Print the version of ipvsadm that is answered for."},
}

// serviceWords explain the options that say which virtual service is meant.
var serviceWords = []about{
	{"tcp-service", "ADDRESS", "The TCP service at HOST:PORT. An IPv6 address stands in brackets. Port 0, or none, means every port and needs `--persistent`."},
	{"udp-service", "ADDRESS", "The UDP service at HOST:PORT."},
	{"sctp-service", "ADDRESS", "The SCTP service at HOST:PORT."},
	{"fwmark-service", "MARK", "Whatever the packet filter has marked with the number MARK, above 0. So one service covers several addresses, ports and protocols."},
	{"ipv6", "", "The packets marked for `--fwmark-service` are IPv6."},
}

// optionWords explain all other options.
var optionWords = []about{
	{"scheduler", "NAME", "Which destination a new connection is given to: see SCHEDULERS."},
	{"pe", "ENGINE", "Recognise persistence by something else than the client's address: `sip` takes the Call-ID of SIP over UDP."},
	{"persistent", "SECONDS", "Send a client's further connections to the destination of its first, until it has had none for so long. Without a number: 360."},
	{"netmask", "MASK", "How much of the client's address persistence looks at: a dotted mask for IPv4, a length for IPv6. All clients under one mask go together."},
	{"ops", "", "Schedule each packet by itself and remember nothing. For UDP services only."},
	{"sched-flags", "FLAGS", "Variations of the scheduler, separated by commas: see SCHEDULERS."},
	{"real-server", "SERVER", "The destination, as HOST or HOST:PORT. Only masquerading can change the port; with the other methods it is the service's."},
	{"masquerading", "", "Forward by rewriting addresses (NAT). Replies have to come back through the director, so it is the servers' route to the clients."},
	{"ipip", "", "Forward in a tunnel. The server unpacks, and answers the client directly."},
	{"gatewaying", "", "Forward by changing only the next hop (direct routing). The server is on a network of the director, has the virtual address on an interface that does not announce it, and answers the client directly. This is the default."},
	{"weight", "NUMBER", "How much work the destination gets compared with others: 0 to 2147483647, 1 unless given. With 0 it keeps the connections it has and is given no new ones."},
	{"u-threshold", "NUMBER", "Give no new connections to the destination once it has so many. 0 is no limit."},
	{"l-threshold", "NUMBER", "Having reached the upper threshold, the destination is given connections again when it has fewer than so many. 0 stands for three quarters of the upper one."},
	{"tun-type", "TYPE", "The packing of the tunnel: `ipip`, `gue` or `gre`."},
	{"tun-port", "PORT", "The UDP port that `gue` is sent to."},
	{"tun-nocsum", "", "Send the tunnel's packets without a checksum of their own. This is the default."},
	{"tun-csum", "", "Send the tunnel's packets with a checksum."},
	{"tun-remcsum", "", "Leave it to the receiver of `gue` to work out the inner checksum."},
	{"numeric", "", "Print numbers instead of the names of hosts and ports. This is also faster, as nobody has to be asked for names."},
	{"connection", "", "List the connections, with the seconds each still has, its state and its destination."},
	{"timeout", "", "List the three timeouts of `--set`."},
	{"daemon", "", "List the daemons that synchronise connections."},
	{"stats", "", "List totals since the counters were zero: connections, packets and bytes in each direction."},
	{"rate", "", "List the same for each second, averaged over the last ones."},
	{"exact", "", "Print large numbers in full, not in thousands or millions."},
	{"thresholds", "", "List the thresholds of each destination."},
	{"persistent-conn", "", "List how many connections each destination has because of persistence."},
	{"tun-info", "", "List each destination's tunnel."},
	{"nosort", "", "List services and destinations in the table's own order."},
	{"sort", "", "Sort listings. They are sorted anyway; scripts of old may say so."},
	{"mcast-interface", "INTERFACE", "The interface that synchronisation uses."},
	{"syncid", "NUMBER", "Which synchronisation this is, 0 to 255: a backup takes only what bears its number, with 0 it takes all."},
	{"sync-maxlen", "BYTES", "How long a synchronisation message may be."},
	{"mcast-group", "ADDRESS", "The multicast group messages are sent to: 224.0.0.81 unless given."},
	{"mcast-port", "PORT", "The UDP port messages are sent to: 8848 unless given."},
	{"mcast-ttl", "NUMBER", "How many networks messages may cross: 1 unless given."},
}

const ipvsadmDescription = `
ipvsadm sets up, maintains and shows the table of virtual services of a director,
a load balancer of the Linux Virtual Server kind. A virtual service is an address
that clients connect to; its destinations are the real servers among which their
connections are divided.

This ipvsadm is that of EVS, the eBPF Virtual Server. It has the options, the
messages and the listings of ipvsadm 1.31, but the table it edits is not the one
of the kernel's module ip_vs: it is held by eBPF programs and maps in the kernel,
one table to a network namespace. The two do not see each other. No process is
left running: the first command that needs the table makes it and attaches it to
the interfaces, and from then on packets are forwarded until ` + "`evs unload`" + `.

A command line is one command and its options, in any order after the command.
Short options may be joined, as in ` + "`ipvsadm -Ln`" + `.

The table can hold more than the data path carries out yet: a scheduler or method
that is missing there is taken without a complaint, and its connections are
refused. ` + "`evs status`" + ` counts them with the reason, and the README that is installed
with EVS lists what is missing.
`

const ipvsadmNotes = `
Only root may use ipvsadm.

To know which ipvsadm a shell runs, look at the target of the link, or ask the
table: ` + "`evs status`" + ` speaks of the table of EVS only.

    readlink -f $(command -v ipvsadm)
`

const ipvsadmExamples = `
Divide the requests to 203.0.113.10, port 80, among two servers, by turns, the
first getting three of four:

    ipvsadm -A -t 203.0.113.10:80 -s wrr
    ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m -w 3
    ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.3 -m -w 1

Take a server out for maintenance: no new connections, then watch the old ones
go, then delete it.

    ipvsadm -e -t 203.0.113.10:80 -r 192.0.2.3 -m -w 0
    ipvsadm -Ln
    ipvsadm -d -t 203.0.113.10:80 -r 192.0.2.3

Keep the table in a file, and bring it back:

    ipvsadm-save -n > /etc/ipvsadm.rules
    ipvsadm-restore < /etc/ipvsadm.rules
`

const ipvsadmExit = `
0 if the command was obeyed; 1 if a listing failed; 2 if the command line is
wrong or the caller is not root; 255 if the table refused, or if there is no
telling what is wanted.
`

const saveDescription = `
ipvsadm-save prints the table of virtual services on standard output as commands
that make it again, in the order in which ` + "`ipvsadm -Ln`" + ` lists them. The
counters, connections and thresholds are not among them.

Write to a new file and rename it, so that a failure does not cost you the rules
you had. ` + "`/usr/lib/evs/ipvsadm-service save`" + ` does so.
`

const restoreDescription = `
ipvsadm-restore clears the table of virtual services and makes those that the
commands on standard input describe, one command a line. Lines that begin with #
are passed over. The name of the command, ipvsadm, may stand in front of a line.

The rules of the kernel's IPVS, saved by its own ipvsadm-save, are understood as
they are. A line that fails is complained about and does not keep the following
ones from being obeyed, unless it cannot be understood at all; the exit code is
that of the last line. So look at what was printed, not at the exit code only.

Between the clearing and the last line new connections find no service, or one
that lacks servers. Where that matters, change the table by single commands.
`

const evsDescription = `
EVS is the Linux Virtual Server rebuilt on eBPF: virtual services, destinations
and connections are in the kernel, in maps and programs that are attached to the
interfaces of a network namespace. The table is edited with ipvsadm(8); the verbs
of evs see to everything around it. Called by the name of ipvsadm, ipvsadm-save or
ipvsadm-restore, evs is that command.

Everything concerns the network namespace the command runs in, and stays when the
command ends.
`

// files are those that belong to EVS or that it heeds.
var files = []about{
	{"/etc/default/evs-ipvsadm", "", "Settings of the unit `evs-ipvsadm.service`; they come after those of /etc/default/ipvsadm, which belongs to Debian's own ipvsadm, and of /etc/sysconfig/ipvsadm-config."},
	{"/etc/ipvsadm.rules", "", "The rules that the unit loads and saves; on systems of the Red Hat family it is /etc/sysconfig/ipvsadm."},
	{"/usr/lib/evs/bin", "", "ipvsadm, ipvsadm-save and ipvsadm-restore of EVS, whatever these names mean elsewhere."},
	{"/usr/lib/evs/ipvsadm-service", "", "What the unit runs: start, stop, load, save, flush, status."},
	{"/sys/fs/bpf/evs", "", "The tables, a directory for each network namespace."},
	{"/etc/evs/evs.yaml", "", "The file that `evs plan` and `evs apply` read."},
	{"/run/evs/apply", "", "What `evs apply --confirm` would have to put back, a file for each network namespace."},
}
