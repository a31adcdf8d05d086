package datapath

// The records of the table. What their fields mean stands in abi.h, of which
// they are made.
type (
	// Service is a service slot.
	Service = controlService
	// ServiceID is the identity of a service.
	ServiceID = controlSvcKey
	// Version is the configuration of a service.
	Version = controlVersion
	// Entry is a destination's configuration within a Version.
	Entry = controlEntry
	// Dst is a destination slot.
	Dst = controlDst
	// DstConf is what of a destination's configuration its slot has.
	DstConf = controlDstConf
	// Conn is a connection, all of one over IPv4.
	Conn = controlConn
	// Stats are one CPU's counters of a destination.
	Stats = controlStats
	// Estimator is the rates of a destination.
	Estimator = controlEstimator
	// Settings are those of the table as a whole.
	Settings = controlSettings
	// Sweep is the timer's memory.
	Sweep = controlSweep
	// Daemon is what was asked of a connection-synchronisation daemon.
	Daemon = controlSyncDaemon
	// Addr is an address; an IPv4 address takes the first four bytes.
	Addr = [16]byte
)

// Families of addresses in records.
const (
	FamilyV4 = uint8(controlFamilyFAMILY_V4)
	FamilyV6 = uint8(controlFamilyFAMILY_V6)
)

// Flags of a Version.
const (
	Persistent = uint8(controlSvcFlagsSVC_PERSISTENT)
	OnePacket  = uint8(controlSvcFlagsSVC_ONEPACKET)
)

// Schedulers are those the data path runs, by name. A Version with none of
// them takes no connection.
var Schedulers = map[string]uint8{
	"rr":    uint8(controlSchedulerSCHED_RR),
	"wrr":   uint8(controlSchedulerSCHED_WRR),
	"lc":    uint8(controlSchedulerSCHED_LC),
	"wlc":   uint8(controlSchedulerSCHED_WLC),
	"sed":   uint8(controlSchedulerSCHED_SED),
	"nq":    uint8(controlSchedulerSCHED_NQ),
	"fo":    uint8(controlSchedulerSCHED_FO),
	"ovf":   uint8(controlSchedulerSCHED_OVF),
	"dh":    uint8(controlSchedulerSCHED_DH),
	"sh":    uint8(controlSchedulerSCHED_SH),
	"mh":    uint8(controlSchedulerSCHED_MH),
	"twos":  uint8(controlSchedulerSCHED_TWOS),
	"lblc":  uint8(controlSchedulerSCHED_LBLC),
	"lblcr": uint8(controlSchedulerSCHED_LBLCR),
}

// looksAtAll are the schedulers that look at every destination, for the best.
var looksAtAll = map[uint8]bool{
	Schedulers["lc"]: true, Schedulers["wlc"]: true, Schedulers["sed"]: true, Schedulers["nq"]: true,
	Schedulers["fo"]: true, Schedulers["ovf"]: true, Schedulers["lblc"]: true, Schedulers["lblcr"]: true,
}

// places are how many places the tables of those that hash have.
var places = map[uint8]int{
	Schedulers["dh"]: int(controlPlacesDH_PLACES),
	Schedulers["sh"]: int(controlPlacesSH_PLACES),
	Schedulers["mh"]: int(controlPlacesMH_PLACES),
}

// DstLocal marks a Dst whose address is the director's own.
const DstLocal = uint8(controlDstFlagsDST_LOCAL)

// DstBypass marks the Dst of connections that go on to where they were sent.
const DstBypass = uint8(controlDstFlagsDST_BYPASS)

// firstDst is the first slot that destinations are given.
const firstDst = int(controlDstSlotsFIRST_DST)

// ProbeMark is what the marks of probes have above the slot of the destination.
const ProbeMark = uint32(controlProbePROBE_MARK)

// NexthopProbe is what probes have in place of a next hop.
const NexthopProbe = uint16(controlProbeNEXTHOP_PROBE)

// Flags of a Conn.
const (
	// ConnMethod is where the two bits of the method lie.
	ConnMethod = uint8(controlConnFlagsCONN_METHOD)
	// ConnSamePort marks one that keeps the packet's port.
	ConnSamePort = uint8(controlConnFlagsCONN_SAME_PORT)
	// ConnRetired are the two bits of a template that leads nowhere any more.
	ConnRetired = uint8(controlConnFlagsCONN_RETIRED)
)

// Template is the bit of Conn.Proto that persistence templates have.
const Template = uint8(0x40)

// TemplateAssured is the bit in State of a template one of whose connections was
// answered.
const TemplateAssured = uint8(controlTemplateStateTEMPLATE_ASSURED)

// Connection states whose timeouts ipvsadm --set changes.
const (
	StateEstablished = int(controlConnStateSTATE_ESTABLISHED)
	StateFinWait     = int(controlConnStateSTATE_FIN_WAIT)
	StateUDP         = int(controlConnStateSTATE_UDP)
)

// Places of the two daemons in Settings.Daemon.
const (
	SyncMaster = int(controlSyncRoleSYNC_MASTER)
	SyncBackup = int(controlSyncRoleSYNC_BACKUP)
)

// Bits of the address filter.
const (
	filterVIP = uint8(controlFilterBitsFILTER_VIP)
	filterRIP = uint8(controlFilterBitsFILTER_RIP)
)

const (
	stateMask    = ^uint8(controlConnPacketsPACKETS_MASK)
	svcFree      = uint32(controlSvcStateSVC_FREE)
	svcLive      = uint32(controlSvcStateSVC_LIVE)
	methodMasq   = uint8(controlMethodMETHOD_MASQ)
	dstQuiescent = uint8(controlDstFlagsDST_QUIESCENT)
	dstAvailable = uint8(controlDstFlagsDST_AVAILABLE)
	dstLimited   = uint8(controlDstFlagsDST_LIMITED)
	connLive     = uint8(controlConnFlagsCONN_LIVE)
	connInactive = uint8(controlConnFlagsCONN_INACTIVE)
)

// StateNames are the names of the connection states as listings print them,
// by their number.
var StateNames = [...]string{
	controlConnStateSTATE_NONE:        "NONE",
	controlConnStateSTATE_ESTABLISHED: "ESTABLISHED",
	controlConnStateSTATE_SYN_SENT:    "SYN_SENT",
	controlConnStateSTATE_SYN_RECV:    "SYN_RECV",
	controlConnStateSTATE_FIN_WAIT:    "FIN_WAIT",
	controlConnStateSTATE_TIME_WAIT:   "TIME_WAIT",
	controlConnStateSTATE_CLOSE:       "CLOSE",
	controlConnStateSTATE_CLOSE_WAIT:  "CLOSE_WAIT",
	controlConnStateSTATE_LAST_ACK:    "LAST_ACK",
	controlConnStateSTATE_LISTEN:      "LISTEN",
	controlConnStateSTATE_SYNACK:      "SYNACK",
	controlConnStateSTATE_UDP:         "UDP",

	controlConnStateSTATE_SCTP_INIT1:             "INIT1",
	controlConnStateSTATE_SCTP_INIT:              "INIT",
	controlConnStateSTATE_SCTP_COOKIE_SENT:       "C-SENT",
	controlConnStateSTATE_SCTP_COOKIE_REPLIED:    "C-REPLIED",
	controlConnStateSTATE_SCTP_COOKIE_WAIT:       "C-WAIT",
	controlConnStateSTATE_SCTP_COOKIE:            "COOKIE",
	controlConnStateSTATE_SCTP_COOKIE_ECHOED:     "C-ECHOED",
	controlConnStateSTATE_SCTP_ESTABLISHED:       "ESTABLISHED",
	controlConnStateSTATE_SCTP_SHUTDOWN_SENT:     "S-SENT",
	controlConnStateSTATE_SCTP_SHUTDOWN_RECEIVED: "S-RECEIVED",
	controlConnStateSTATE_SCTP_SHUTDOWN_ACK_SENT: "S-ACK-SENT",
	controlConnStateSTATE_SCTP_REJECTED:          "REJECTED",
	controlConnStateSTATE_SCTP_CLOSED:            "CLOSED",

	controlConnStateSTATE_RESET:      "CLOSE",
	controlConnStateSTATE_RESET_BOTH: "CLOSE",
}

// defaultTimeouts are the kernel's, in seconds, by connection state.
var defaultTimeouts = [...]uint32{
	controlConnStateSTATE_NONE:        2,
	controlConnStateSTATE_ESTABLISHED: 15 * 60,
	controlConnStateSTATE_SYN_SENT:    2 * 60,
	controlConnStateSTATE_SYN_RECV:    60,
	controlConnStateSTATE_FIN_WAIT:    2 * 60,
	controlConnStateSTATE_TIME_WAIT:   2 * 60,
	controlConnStateSTATE_CLOSE:       10,
	controlConnStateSTATE_CLOSE_WAIT:  60,
	controlConnStateSTATE_LAST_ACK:    30,
	controlConnStateSTATE_LISTEN:      2 * 60,
	controlConnStateSTATE_SYNACK:      120,
	controlConnStateSTATE_UDP:         5 * 60,

	controlConnStateSTATE_SCTP_INIT1:             4,
	controlConnStateSTATE_SCTP_INIT:              61,
	controlConnStateSTATE_SCTP_COOKIE_SENT:       61,
	controlConnStateSTATE_SCTP_COOKIE_REPLIED:    61,
	controlConnStateSTATE_SCTP_COOKIE_WAIT:       61,
	controlConnStateSTATE_SCTP_COOKIE:            61,
	controlConnStateSTATE_SCTP_COOKIE_ECHOED:     61,
	controlConnStateSTATE_SCTP_ESTABLISHED:       15 * 60,
	controlConnStateSTATE_SCTP_SHUTDOWN_SENT:     61,
	controlConnStateSTATE_SCTP_SHUTDOWN_RECEIVED: 61,
	controlConnStateSTATE_SCTP_SHUTDOWN_ACK_SENT: 61,
	controlConnStateSTATE_SCTP_REJECTED:          4,
	controlConnStateSTATE_SCTP_CLOSED:            61,

	controlConnStateSTATE_RESET:      10,
	controlConnStateSTATE_RESET_BOTH: 10,
}

const abiVersion = uint32(controlAbiABI_VERSION)

// DefaultTimeouts are the timeouts of a new table in seconds, by state.
func DefaultTimeouts() (t [len(Settings{}.Timeout)]uint32) {
	copy(t[:], defaultTimeouts[:])
	return t
}
