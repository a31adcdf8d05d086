package convert

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/health"
)

// check is a checker of keepalived while it is read.
type check struct {
	c    *keepalived
	of   statement
	spec health.Spec
	common
	urls []*page
}

// page is one url that HTTP_GET asks for.
type page struct {
	check *check
	health.Request
	noMatch bool
	regex   statement
	options []string
}

// timingDirectives are those of checks that have a time.
var timingDirectives = table[*check]{
	"alpha":              {convert: func(k *check, s statement) { k.c.flag(s, &k.alpha) }},
	"retry":              {convert: func(k *check, s statement) { k.c.number(s, 0, &k.retry) }},
	"delay_before_retry": {convert: func(k *check, s statement) { k.c.timer(s, &k.delayBeforeRetry) }},
	"warmup":             {convert: func(k *check, s statement) { k.c.timer(s, &k.warmup) }},
	"delay_loop":         {convert: func(k *check, s statement) { k.c.timer(s, &k.delayLoop) }},
	"log_all_failures":   {reason: logsChanges},
}

// networkDirectives are those of checks that speak to the server.
var networkDirectives = with(timingDirectives, table[*check]{
	"connect_ip":      {convert: func(k *check, s statement) { k.c.address(s, &k.spec.Address.Addr) }},
	"connect_port":    {convert: func(k *check, s statement) { k.c.number(s, 1, &k.spec.Port) }},
	"bindto":          {convert: func(k *check, s statement) { k.c.address(s, &k.spec.Source.Addr) }},
	"bind_if":         {convert: func(k *check, s statement) { k.spec.Interface = s.arg(0) }},
	"bind_port":       {convert: func(k *check, s statement) { k.c.number(s, 1, &k.spec.SourcePort) }},
	"fwmark":          {convert: func(k *check, s statement) { k.c.number(s, 1, &k.spec.FWMark) }},
	"connect_timeout": {convert: func(k *check, s statement) { k.c.timer(s, &k.connectTimeout) }},
})

var httpDirectives = with(networkDirectives, table[*check]{
	"url":           {convert: (*check).url},
	"http_protocol": {convert: (*check).protocol},
	"fast_recovery": {anyway: "all requests of a check are made one after the other without delay"},
	"nb_get_retry":  {convert: func(k *check, s statement) { k.c.number(s, 0, &k.retry) }},
})

var sslDirectives = with(httpDirectives, table[*check]{
	"enable_sni": {anyway: "the name of the host that a request is for is always sent"},
	"sni_name":   {convert: func(k *check, s statement) { k.tls().ServerName = s.arg(0) }},
})

var urlDirectives = table[*page]{
	"path":             {convert: func(u *page, s statement) { u.Path = s.arg(0) }},
	"digest":           {convert: func(u *page, s statement) { u.MD5 = s.arg(0) }},
	"status_code":      {convert: func(u *page, s statement) { u.Status = s.args() }},
	"virtualhost":      {convert: func(u *page, s statement) { u.Host = s.arg(0) }},
	"regex":            {convert: func(u *page, s statement) { u.regex = s }},
	"regex_no_match":   {convert: func(u *page, _ statement) { u.noMatch = true }},
	"regex_options":    {convert: func(u *page, s statement) { u.options = append(u.options, s.words[1:]...) }},
	"regex_stack":      {anyway: "regular expressions (RE2) need no stack"},
	"regex_min_offset": {reason: "the whole body is searched"},
	"regex_max_offset": {reason: "the whole body is searched"},
	"tls_compliant":    {anyway: "a connection of TLS that ends without close_notify is taken as it is"},
}

var smtpDirectives = with(networkDirectives, table[*check]{
	"helo_name": {convert: func(k *check, s statement) { k.spec.Helo = s.arg(0) }},
	"host":      {convert: (*check).host},
})

var dnsDirectives = with(networkDirectives, table[*check]{
	"type": {convert: func(k *check, s statement) { k.spec.Type = strings.ToUpper(s.arg(0)) }},
	"name": {convert: func(k *check, s statement) { k.spec.Name = s.arg(0) }},
})

var miscDirectives = with(timingDirectives, table[*check]{
	"misc_path":    {convert: func(k *check, s statement) { k.spec.Command = command(s.words[1:]) }},
	"misc_timeout": {convert: func(k *check, s statement) { k.c.timer(s, &k.connectTimeout) }},
	"misc_dynamic": {convert: func(k *check, _ statement) { k.spec.Dynamic = true }},
	"user":         {convert: func(k *check, s statement) { k.spec.User = user(s.words[1:]) }},
})

var udpDirectives = with(networkDirectives, table[*check]{
	"payload":          {convert: func(k *check, s statement) { k.spec.SendHex = nibbles(s.args()) }},
	"require_reply":    {convert: (*check).reply},
	"min_reply_length": {convert: func(k *check, s statement) { k.c.number(s, 0, &k.spec.MinReply) }},
	"max_reply_length": {convert: func(k *check, s statement) { k.c.number(s, 0, &k.spec.MaxReply) }},
})

var fileDirectives = table[*check]{
	"track_file": {convert: (*check).file},
	"dynamic":    {convert: func(k *check, _ statement) { k.spec.Dynamic = true }},
	"weight":     {convert: (*check).factor},
}

func with[S any](tables ...table[S]) table[S] {
	out := table[S]{}
	for _, t := range tables {
		maps.Copy(out, t)
	}
	return out
}

// checker reads a block of a kind of check.
func checker(kind string, t table[*check]) func(*real, statement) {
	return func(r *real, of statement) {
		k := &check{c: r.c, of: of, spec: health.Spec{Kind: kind}}
		if kind == "https" { // keepalived does not look at certificates
			k.tls().Verify = new(bool)
		}
		run(r.c, t, k, of.name(), of.block)
		r.checks = append(r.checks, k)
	}
}

func (k *check) tls() *health.TLS {
	if k.spec.TLS == nil {
		k.spec.TLS = &health.TLS{}
	}
	return k.spec.TLS
}

// host is the older way of naming another address for SMTP_CHECK.
func (k *check) host(of statement) {
	run(k.c, with(networkDirectives, table[*check]{}), k, of.name(), of.block)
}

func (k *check) protocol(of statement) {
	switch of.arg(0) {
	case "1.0", "1.1":
		k.spec.Version = of.arg(0)
	case "1.0C":
		k.spec.Version, k.spec.Headers = "1.0", map[string]string{"Connection": "close"}
	default:
		k.c.note(of, "it is none of 1.0, 1.0C, 1.1: left out")
	}
}

func (k *check) url(of statement) {
	u := &page{check: k}
	run(k.c, urlDirectives, u, of.name(), of.block)
	u.expression()
	k.urls = append(k.urls, u)
}

// regexFlags are the options of PCRE that RE2 has too.
var regexFlags = map[string]string{"caseless": "i", "multiline": "m", "dotall": "s", "ungreedy": "U"}

// harmless are options of PCRE that change nothing about what RE2 matches.
var harmless = []string{"no_auto_possess", "no_start_optimize", "never_backslash_c", "no_auto_capture", "no_dotstar_anchor", "never_ucp", "utf", "auto_callout"}

// expression makes of keepalived's regular expression one of RE2.
func (u *page) expression() {
	if len(u.regex.words) == 0 {
		return
	}
	flags := ""
	for _, o := range u.options {
		switch {
		case regexFlags[o] != "":
			flags += regexFlags[o]
		case !slices.Contains(harmless, o):
			u.check.c.note(u.regex, "regex_options "+o+": RE2 has no such option")
		}
	}
	text := u.regex.arg(0)
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	if _, err := regexp.Compile(text); err != nil {
		u.check.c.note(u.regex, "RE2 has no such expression, write another: "+err.Error())
		return
	}
	if u.noMatch {
		u.NotBody = text
	} else {
		u.Body = text
	}
}

func (k *check) reply(of statement) {
	k.spec.Reply = true
	k.spec.ExpectHex = nibbles(of.args())
}

// nibbles writes out keepalived's hexadecimal digits: those of a word stand in
// pairs from its start, and the last alone is the lower half of a byte.
func nibbles(text string) string {
	var bytes []string
	for _, word := range strings.Fields(text) {
		for ; len(word) > 2; word = word[2:] {
			bytes = append(bytes, word[:2])
		}
		if len(word) == 1 {
			word = "0" + word
		}
		bytes = append(bytes, word)
	}
	return strings.ToLower(strings.Join(bytes, " "))
}

func (k *check) file(of statement) {
	f, ok := k.c.files[of.arg(0)]
	if !ok {
		k.c.note(of, "no track_file block is called "+of.arg(0))
		return
	}
	k.spec.File = f.path
	if k.spec.Factor == 0 {
		k.spec.Factor, k.spec.Reverse = f.factor, f.reverse
	}
}

func (k *check) factor(of statement) {
	n, err := strconv.Atoi(of.arg(0))
	if err != nil {
		k.c.note(of, strconv.Quote(of.arg(0))+" is no number")
		return
	}
	k.spec.Factor, k.spec.Reverse = n, of.arg(1) == "reverse"
}
