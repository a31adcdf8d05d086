package convert

// ldDirective is a row of the table of ldirectord: how a directive is converted,
// or the reason why it has no counterpart.
type ldDirective struct {
	convert func(v *ldVirtual, d ldLine)
	reason  string
	globals bool // it may stand outside virtual
}

// The databases and the like that ldirectord logs in to.
const logsIn = "checks log in nowhere"

// ldirectord has a row for each directive of ldirectord(8).
var ldirectord = map[string]ldDirective{
	"virtual":          {convert: (*ldVirtual).virtual, globals: true},
	"virtual6":         {convert: (*ldVirtual).virtual, globals: true},
	"checktimeout":     {convert: func(v *ldVirtual, d ldLine) { v.seconds(d, &v.checkTimeout) }, globals: true},
	"connecttimeout":   {convert: func(v *ldVirtual, d ldLine) { v.seconds(d, &v.checkTimeout) }, globals: true},
	"negotiatetimeout": {convert: func(v *ldVirtual, d ldLine) { v.seconds(d, &v.negotiateTimeout) }, globals: true},
	"checkinterval":    {convert: func(v *ldVirtual, d ldLine) { v.seconds(d, &v.interval) }, globals: true},
	"checkcount":       {convert: (*ldVirtual).checkCount, globals: true},
	"failurecount":     {convert: (*ldVirtual).failureCount, globals: true},
	"fallback":         {convert: (*ldVirtual).setFallback, globals: true},
	"fallback6":        {convert: (*ldVirtual).setFallback, globals: true},
	"fallbackcommand":  {convert: func(v *ldVirtual, d ldLine) { v.fallbackCommand = command([]string{d.value}) }, globals: true},
	"quiescent":        {convert: func(v *ldVirtual, d ldLine) { v.quiescent = d.value != "no" }, globals: true},

	"autoreload":       {reason: "the director reads its file again when it changes", globals: true},
	"callback":         {reason: "a unit of systemd can watch the file (PathChanged)", globals: true},
	"logfile":          {reason: "the director logs to the journal", globals: true},
	"emailalert":       {reason: mail, globals: true},
	"emailalertfrom":   {reason: mail, globals: true},
	"emailalertfreq":   {reason: mail, globals: true},
	"emailalertstatus": {reason: mail, globals: true},
	"smtp":             {reason: mail, globals: true},
	"execute":          {reason: "one director looks after all services: convert that file too and name it under include", globals: true},
	"supervised":       {reason: "the director stays in the foreground, as systemd wants it", globals: true},
	"fork":             {reason: "checks do not wait for each other", globals: true},
	"readdquiescent":   {reason: stateless, globals: true},
	"cleanstop":        {reason: stateless, globals: true},
	"maintenancedir":   {reason: "a server is taken out of use by `evs drain`, or by weight 0", globals: true},

	"real":         {convert: (*ldVirtual).addReal},
	"real6":        {convert: (*ldVirtual).addReal},
	"checktype":    {convert: func(v *ldVirtual, d ldLine) { v.checkType, v.checkLine = d.value, d }},
	"service":      {convert: func(v *ldVirtual, d ldLine) { v.service, v.checkLine = d.value, d }},
	"checkcommand": {convert: func(v *ldVirtual, d ldLine) { v.checkCommand = command([]string{d.value}) }},
	"checkport":    {convert: (*ldVirtual).setCheckPort},
	"request":      {convert: func(v *ldVirtual, d ldLine) { v.request = d.value }},
	"receive":      {convert: func(v *ldVirtual, d ldLine) { v.receive = d.value }},
	"httpmethod":   {convert: func(v *ldVirtual, d ldLine) { v.httpMethod = d.value }},
	"virtualhost":  {convert: func(v *ldVirtual, d ldLine) { v.host = d.value }},
	"login":        {reason: logsIn},
	"passwd":       {reason: logsIn},
	"database":     {reason: logsIn},
	"secret":       {reason: logsIn},
	"load":         {reason: logsIn},
	"scheduler":    {convert: (*ldVirtual).setScheduler},
	"schedflags":   {convert: (*ldVirtual).setFlags},
	"persistent":   {convert: func(v *ldVirtual, d ldLine) { v.seconds(d, &v.persistent) }},
	"netmask":      {convert: (*ldVirtual).setNetmask},
	"protocol":     {convert: (*ldVirtual).setProtocol},
	"ops":          {convert: func(v *ldVirtual, d ldLine) { v.ops = d.value == "yes" }},
	"servicename":  {convert: func(v *ldVirtual, d ldLine) { v.name = d.value }},
	"monitorfile":  {reason: logsChanges},
	"comment":      {reason: "a file of YAML has comments behind #"},
}

// ldServices are the services that ldirectord speaks to: the kind of check that
// asks nearly the same, and what is lost.
var ldServices = map[string]struct{ kind, expect, lost string }{
	"http":       {kind: "http"},
	"https":      {kind: "https"},
	"dns":        {kind: "dns"},
	"smtp":       {kind: "smtp"},
	"submission": {kind: "smtp"},
	"simpletcp":  {kind: "tcp"},
	"http_proxy": {kind: "tcp", lost: "the proxy is connected to, and not asked"},
	"ftp":        {kind: "tcp", expect: "^220", lost: "only the greeting is looked at"},
	"imap":       {kind: "tcp", expect: `^\* OK`, lost: "only the greeting is looked at"},
	"pop":        {kind: "tcp", expect: `^\+OK`, lost: "only the greeting is looked at"},
	"nntp":       {kind: "tcp", expect: "^20[01]", lost: "only the greeting is looked at"},
	"imaps":      {kind: "tls", lost: "only TLS is looked at"},
	"pops":       {kind: "tls", lost: "only TLS is looked at"},
	"ldaps":      {kind: "tls", lost: "only TLS is looked at"},
	"ldap":       {kind: "tcp", lost: "the server is connected to, and not asked; kind exec can"},
	"mysql":      {kind: "tcp", lost: "the server is connected to, and not asked; kind exec can"},
	"oracle":     {kind: "tcp", lost: "the server is connected to, and not asked; kind exec can"},
	"pgsql":      {kind: "tcp", lost: "the server is connected to, and not asked; kind exec can"},
	"radius":     {kind: "icmp", lost: "only echo is asked for; kind exec can do more"},
	"sip":        {kind: "icmp", lost: "only echo is asked for; kind udp or exec can do more"},
	"none":       {},
}

// ldPorts are the services that stand behind ports if none is named.
var ldPorts = map[uint16]string{
	21: "ftp", 25: "smtp", 53: "dns", 80: "http", 110: "pop", 119: "nntp", 143: "imap", 389: "ldap",
	443: "https", 587: "submission", 636: "ldaps", 993: "imaps", 995: "pops", 1521: "oracle",
	1812: "radius", 3128: "http_proxy", 3306: "mysql", 5432: "pgsql", 5060: "sip",
}
