package convert

// directive is a row of the table of a language: how a directive is converted, why
// it need not be, or the reason why it has no counterpart.
type directive[S any] struct {
	convert func(s S, of statement)
	anyway  string // why it is so here without being said
	reason  string
}

// table has a row for each directive that may stand in a block.
type table[S any] map[string]directive[S]

// run converts the statements of a block. The first word of each names its row.
func run[S any](c *keepalived, t table[S], s S, in string, block []statement) {
	for _, of := range block {
		row, ok := t[of.name()]
		switch {
		case !ok:
			c.note(of, "keepalived.conf(5) knows no such directive in "+in)
		case row.convert != nil:
			row.convert(s, of)
		case row.anyway == "":
			c.note(of, row.reason)
		}
	}
}

// The reasons that several directives share.
const (
	vrrpPart     = "failover between directors is not the table's: it belongs to VRRP, which is set up apart"
	bfdPart      = "bidirectional forwarding detection has no counterpart"
	mail         = "the director sends no mail: notifyUp, notifyDown, quorumUp and quorumDown run a program that can"
	ownProcess   = "it is about keepalived's own processes"
	snmp         = "there is no SNMP: evs list and the API give the same figures"
	interfaceful = "interfaces, addresses and routes are the system's to set up, not the director's"
	stateless    = "the table is made what the file says as one change, and stays when the director stops"
	logsChanges  = "the director logs each change of a server's state, and evs status shows the latest results"
)

// rootDirectives may stand outside all blocks.
var rootDirectives = table[*keepalived]{
	"virtual_server":       {convert: (*keepalived).virtualServer},
	"virtual_server_group": {convert: (*keepalived).group},
	"global_defs":          {convert: (*keepalived).globals},
	"SSL":                  {convert: (*keepalived).ssl},
	"track_file":           {convert: (*keepalived).trackFile},
	"vrrp_track_file":      {convert: (*keepalived).trackFile},

	"net_namespace":                  {reason: "a director works in the network namespace it is started in: ip netns exec"},
	"net_namespace_ipvs":             {reason: "a director works in the network namespace it is started in: ip netns exec"},
	"namespace_with_ipsets":          {reason: vrrpPart},
	"instance":                       {reason: ownProcess},
	"use_pid_dir":                    {reason: ownProcess},
	"child_wait_time":                {reason: ownProcess},
	"linkbeat_use_polling":           {reason: vrrpPart},
	"linkbeat_interfaces":            {reason: vrrpPart},
	"interface_up_down_delays":       {reason: vrrpPart},
	"static_track_group":             {reason: interfaceful},
	"track_group":                    {reason: vrrpPart},
	"static_ipaddress":               {reason: interfaceful},
	"static_routes":                  {reason: interfaceful},
	"static_rules":                   {reason: interfaceful},
	"vrrp_track_process":             {reason: vrrpPart},
	"track_process":                  {reason: vrrpPart},
	"bfd_instance":                   {reason: bfdPart},
	"vrrp_script":                    {reason: vrrpPart},
	"vrrp_sync_group":                {reason: vrrpPart},
	"garp_group":                     {reason: vrrpPart},
	"vrrp_garp_group":                {reason: vrrpPart},
	"vrrp_instance":                  {reason: vrrpPart},
	"process_monitor_rcv_bufs":       {reason: vrrpPart},
	"process_monitor_rcv_bufs_force": {reason: vrrpPart},
}

// globalDirectives are those of global_defs that concern the table; the others
// are about keepalived itself or VRRP.
var globalDirectives = table[*keepalived]{
	"lvs_timeouts":             {convert: (*keepalived).timeouts},
	"script_user":              {convert: (*keepalived).scriptUser},
	"lvs_sync_daemon":          {reason: "connections are not synchronised yet: `ipvsadm --start-daemon` is kept and listed only"},
	"lvs_flush":                {reason: stateless},
	"lvs_flush_on_stop":        {reason: stateless},
	"lvs_flush_onstop":         {reason: stateless},
	"nftables_ipvs":            {reason: "ranges of addresses become services one by one"},
	"ipvs_process_name":        {reason: ownProcess},
	"lvs_notify_fifo":          {reason: "there is no FIFO: hooks run a program, and the API tells what happens"},
	"lvs_notify_fifo_script":   {reason: "there is no FIFO: hooks run a program, and the API tells what happens"},
	"notify_fifo":              {reason: "there is no FIFO: hooks run a program, and the API tells what happens"},
	"notify_fifo_script":       {reason: "there is no FIFO: hooks run a program, and the API tells what happens"},
	"rs_init_notifies":         {reason: "hooks run when a state changes; what it is at the start is in the log and the API"},
	"checker_log_all_failures": {reason: logsChanges},
	"no_checker_emails":        {reason: mail},
	"enable_script_security":   {reason: "programs run as the user that their hook names, without a shell"},
	"startup_script":           {reason: "a unit of systemd has ExecStartPre for that"},
	"startup_script_timeout":   {reason: "a unit of systemd has ExecStartPre for that"},
	"shutdown_script":          {reason: "a unit of systemd has ExecStopPost for that"},
	"shutdown_script_timeout":  {reason: "a unit of systemd has ExecStopPost for that"},
	"notification_email":       {reason: mail},
	"notification_email_from":  {reason: mail},
	"smtp_server":              {reason: mail},
	"smtp_helo_name":           {reason: mail},
	"smtp_connect_timeout":     {reason: mail},
	"smtp_alert":               {reason: mail},
	"smtp_alert_checker":       {reason: mail},
	"no_email_faults":          {reason: mail},
	"enable_snmp_checker":      {reason: snmp},
	"snmp_socket":              {reason: snmp},
	"enable_traps":             {reason: snmp},
}

// serverDirectives may stand in virtual_server.
var serverDirectives = table[*virtual]{
	"lvs_sched":               {convert: (*virtual).scheduler},
	"lb_algo":                 {convert: (*virtual).scheduler},
	"flag-1":                  {convert: (*virtual).flag},
	"flag-2":                  {convert: (*virtual).flag},
	"flag-3":                  {convert: (*virtual).flag},
	"sh-port":                 {convert: (*virtual).flag},
	"sh-fallback":             {convert: (*virtual).flag},
	"mh-port":                 {convert: (*virtual).flag},
	"mh-fallback":             {convert: (*virtual).flag},
	"ops":                     {convert: func(v *virtual, _ statement) { v.ops = true }},
	"hashed":                  {anyway: "services are always found by a hash"},
	"lvs_method":              {convert: func(v *virtual, s statement) { v.c.method(s, &v.method) }},
	"lb_kind":                 {convert: func(v *virtual, s statement) { v.c.method(s, &v.method) }},
	"nat_mask":                {reason: "IPVS has no such mask any more"},
	"persistence_engine":      {convert: (*virtual).engine},
	"persistence_timeout":     {convert: (*virtual).persistence},
	"persistence_granularity": {convert: (*virtual).granularity},
	"protocol":                {convert: (*virtual).setProtocol},
	"ip_family":               {convert: (*virtual).family},
	"ha_suspend":              {reason: "checks go on where the VIP is not set: a server's health does not depend on it"},
	"smtp_alert":              {reason: mail},
	"virtualhost":             {convert: func(v *virtual, s statement) { v.host = s.arg(0) }},
	"snmp_name":               {convert: func(v *virtual, s statement) { v.name = s.arg(0) }},
	"omega":                   {reason: stateless + ": nothing is down then that a notifier could tell"},
	"quorum":                  {convert: func(v *virtual, s statement) { v.c.number(s, 1, &v.quorum) }},
	"hysteresis":              {convert: func(v *virtual, s statement) { v.c.number(s, 0, &v.hysteresis) }},
	"quorum_up":               {convert: func(v *virtual, s statement) { v.quorumUp = v.c.hook(s) }},
	"quorum_down":             {convert: func(v *virtual, s statement) { v.quorumDown = v.c.hook(s) }},
	"sorry_server":            {convert: (*virtual).sorryServer},
	"sorry_server_inhibit":    {convert: func(v *virtual, _ statement) { v.sorryInhibit = true }},
	"sorry_server_lvs_method": {convert: func(v *virtual, s statement) { v.c.method(s, &v.sorryMethod) }},
	"real_server":             {convert: (*virtual).realServer},
	"weight":                  {convert: func(v *virtual, s statement) { v.c.number(s, 1, &v.weight) }},
	"alpha":                   {convert: func(v *virtual, s statement) { v.c.flag(s, &v.alpha) }},
	"inhibit_on_failure":      {convert: func(v *virtual, s statement) { v.c.flag(s, &v.inhibit) }},
	"connect_timeout":         {convert: func(v *virtual, s statement) { v.c.timer(s, &v.connectTimeout) }},
	"retry":                   {convert: func(v *virtual, s statement) { v.c.number(s, 0, &v.retry) }},
	"delay_before_retry":      {convert: func(v *virtual, s statement) { v.c.timer(s, &v.delayBeforeRetry) }},
	"warmup":                  {convert: func(v *virtual, s statement) { v.c.timer(s, &v.warmup) }},
	"delay_loop":              {convert: func(v *virtual, s statement) { v.c.timer(s, &v.delayLoop) }},
	"log_all_failures":        {reason: logsChanges},
}

// realDirectives may stand in real_server.
var realDirectives = table[*real]{
	"weight":             {convert: func(r *real, s statement) { r.c.number(s, 0, &r.weight) }},
	"lvs_method":         {convert: func(r *real, s statement) { r.c.method(s, &r.method) }},
	"notify_up":          {convert: func(r *real, s statement) { r.up = r.c.hook(s) }},
	"notify_down":        {convert: func(r *real, s statement) { r.down = r.c.hook(s) }},
	"uthreshold":         {convert: func(r *real, s statement) { r.c.number(s, 0, &r.upper) }},
	"lthreshold":         {convert: func(r *real, s statement) { r.c.number(s, 0, &r.lower) }},
	"smtp_alert":         {reason: mail},
	"virtualhost":        {convert: func(r *real, s statement) { r.host = s.arg(0) }},
	"snmp_name":          {reason: snmp + ", servers by their address"},
	"alpha":              {convert: func(r *real, s statement) { r.c.flag(s, &r.alpha) }},
	"inhibit_on_failure": {convert: func(r *real, s statement) { r.c.flag(s, &r.inhibit) }},
	"connect_timeout":    {convert: func(r *real, s statement) { r.c.timer(s, &r.connectTimeout) }},
	"retry":              {convert: func(r *real, s statement) { r.c.number(s, 0, &r.retry) }},
	"delay_before_retry": {convert: func(r *real, s statement) { r.c.timer(s, &r.delayBeforeRetry) }},
	"warmup":             {convert: func(r *real, s statement) { r.c.timer(s, &r.warmup) }},
	"delay_loop":         {convert: func(r *real, s statement) { r.c.timer(s, &r.delayLoop) }},
	"log_all_failures":   {reason: logsChanges},

	"HTTP_GET":   {convert: checker("http", httpDirectives)},
	"SSL_GET":    {convert: checker("https", sslDirectives)},
	"TCP_CHECK":  {convert: checker("tcp", networkDirectives)},
	"SMTP_CHECK": {convert: checker("smtp", smtpDirectives)},
	"DNS_CHECK":  {convert: checker("dns", dnsDirectives)},
	"MISC_CHECK": {convert: checker("exec", miscDirectives)},
	"PING_CHECK": {convert: checker("icmp", networkDirectives)},
	"UDP_CHECK":  {convert: checker("udp", udpDirectives)},
	"FILE_CHECK": {convert: checker("file", fileDirectives)},
	"BFD_CHECK":  {reason: bfdPart + ": the server has to be checked in another way"},
}
