package health

import (
	"net/netip"
	"time"
)

// What a Spec means by what it leaves out.
const (
	DefaultInterval = 2 * time.Second
	DefaultTimeout  = 5 * time.Second
	DefaultRise     = 2
	DefaultFall     = 3
)

// The two ways to a server: straight to its own address, or to the virtual
// service's address by the destination's forwarding method, as clients come.
const (
	ViaReal = "real"
	ViaVIP  = "vip"
)

// Where a server stands before anything is known of it.
const (
	StartUp   = "up"
	StartDown = "down"
)

// An Address is an IP address that may be left out: writers of YAML leave out what
// says itself that it is zero.
type Address struct{ netip.Addr }

// IsZero says that there is none.
func (a Address) IsZero() bool { return !a.IsValid() }

// A Spec describes a check: the mapping `check:` of the director's file. Options
// of kinds lie side by side with the common ones; Validate says which do not
// belong to the kind. The zero value of a field means its default.
type Spec struct {
	// Kind is the name of a row of Kinds.
	Kind string `json:"kind"`

	// Interval lies between the starts of two checks.
	Interval Duration `json:"interval,omitempty"`
	// RetryInterval takes the interval's place while results disagree with the
	// state: between the first failure and the fall, the first success and the
	// rise. Default: Interval.
	RetryInterval Duration `json:"retryInterval,omitempty"`
	// Jitter puts off each check by a random time up to it.
	Jitter Duration `json:"jitter,omitempty"`
	// Warmup spreads first checks over a random time up to it. Default: Interval.
	Warmup *Duration `json:"warmup,omitempty"`
	// Timeout bounds the whole of a check, however slowly an answer trickles in.
	Timeout Duration `json:"timeout,omitempty"`
	// ConnectTimeout bounds the making of the connection. Default: Timeout.
	ConnectTimeout Duration `json:"connectTimeout,omitempty"`
	// Rise is how many successes in a row bring a server up.
	Rise int `json:"rise,omitempty"`
	// Fall is how many failures in a row bring it down.
	Fall int `json:"fall,omitempty"`
	// Start is where a server stands until it is known better: StartUp (the
	// default) or StartDown.
	Start string `json:"start,omitempty"`

	// Address and Port are asked in place of the destination's own.
	Address Address `json:"address,omitzero"`
	Port    uint16  `json:"port,omitempty"`
	// Source, SourcePort and Interface are what the check asks from.
	Source     Address `json:"source,omitzero"`
	SourcePort uint16  `json:"sourcePort,omitempty"`
	Interface  string  `json:"interface,omitempty"`
	// FWMark marks the packets of the check.
	FWMark uint32 `json:"fwmark,omitempty"`
	// Via is the way to the server: ViaReal (the default) or ViaVIP.
	Via string `json:"via,omitempty"`
	// FullMTU makes the check send a packet as large as the path allows that
	// must not be fragmented.
	FullMTU bool `json:"fullMTU,omitempty"`

	Talk     `json:",inline"`
	HTTP     `json:",inline"`
	DNS      `json:",inline"`
	SMTP     `json:",inline"`
	GRPC     `json:",inline"`
	Program  `json:",inline"`
	FileSpec `json:",inline"`

	// TLS are the particulars of an encrypted connection. A kind that can go
	// without (smtp, grpc) encrypts if it is there.
	TLS *TLS `json:"tls,omitempty"`
}

// Talk is what tcp and udp say and want to hear.
type Talk struct {
	// Send is sent as it stands; SendHex in hexadecimal digits, blanks apart.
	Send    string `json:"send,omitempty"`
	SendHex string `json:"sendHex,omitempty"`
	// Expect is a regular expression (RE2) that the answer has to match.
	// ExpectHex are the bytes it has to begin with; x stands for any digit.
	Expect    string `json:"expect,omitempty"`
	ExpectHex string `json:"expectHex,omitempty"`
	// Reply has udp wait for an answer, whatever it says. What is expected of
	// one implies it.
	Reply bool `json:"reply,omitempty"`
	// MinReply and MaxReply bound the answer's length in bytes.
	MinReply int `json:"minReply,omitempty"`
	MaxReply int `json:"maxReply,omitempty"`
}

// HTTP is what http and https ask. What stands beside Requests is the default of
// each of them; without Requests it is the one request.
type HTTP struct {
	Request  `json:",inline"`
	Requests []Request `json:"requests,omitempty"`
	// Version is "1.0", "1.1" or "2". Default: 1.1, and whatever a TLS server
	// prefers of 2 and 1.1.
	Version string `json:"version,omitempty"`
}

// A Request is one request of HTTP and what is expected of its answer.
type Request struct {
	Method  string            `json:"method,omitempty"`
	Path    string            `json:"path,omitempty"`
	Host    string            `json:"host,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// Status are codes and ranges, as "200-299 404". Default: 200-299.
	Status string `json:"status,omitempty"`
	// Body is a regular expression (RE2) that the body has to match, NotBody one
	// that it must not.
	Body    string `json:"body,omitempty"`
	NotBody string `json:"notBody,omitempty"`
	// MD5 (as genhash of keepalived prints it) and SHA256 are the digest of the
	// body in hexadecimal digits.
	MD5    string `json:"md5,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// TLS says how to speak TLS, and whom to trust.
type TLS struct {
	// ServerName is sent (SNI) and the certificate's name. Default: the host of
	// the request; else none is sent, and the certificate must name the address.
	ServerName string `json:"serverName,omitempty"`
	// Verify has the certificate checked. Default: true.
	Verify *bool `json:"verify,omitempty"`
	// CA is the file of certificates to trust in place of the system's.
	CA string `json:"ca,omitempty"`
	// Cert and Key are the files of the client's certificate.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// MinVersion is "1.0", "1.1", "1.2" (the default) or "1.3".
	MinVersion string `json:"minVersion,omitempty"`
}

// DNS is the question and what is expected of the answer.
type DNS struct {
	// Name is asked for. Default: the root.
	Name string `json:"name,omitempty"`
	// Type is A, AAAA, CNAME, MX, NS, PTR, SOA, SRV or TXT. Default: SOA.
	Type string `json:"type,omitempty"`
	// Transport is "udp" (the default) or "tcp".
	Transport string `json:"transport,omitempty"`
	// RCodes are the codes that are well, as NOERROR (the default), NXDOMAIN.
	RCodes []string `json:"rcodes,omitempty"`
	// Answer is a regular expression (RE2) that one record of the answer has to
	// match, written as in a zone file: "192.0.2.7", "10 mail.example.org.".
	Answer string `json:"answer,omitempty"`
}

// SMTP is what smtp says of itself.
type SMTP struct {
	// Helo is the name given with EHLO. Default: the director's host name.
	Helo string `json:"helo,omitempty"`
}

// GRPC is what grpc asks for.
type GRPC struct {
	// Service is the name to ask grpc.health.v1 about. Default: the server as a
	// whole.
	Service string `json:"service,omitempty"`
}

// Program is what exec runs.
type Program struct {
	// Command is the program and its arguments; there is no shell.
	Command []string `json:"command,omitempty"`
	// User and group ("nobody", "nobody:nogroup") run it. Default: the
	// director's own.
	User string `json:"user,omitempty"`
	// ExitCodes are those that mean well, as "0 3-5". Default: 0.
	ExitCodes string `json:"exitCodes,omitempty"`
	// Dynamic makes a weight of what exec and file find: of an exit code from 2
	// to 255 the weight of two less, of a file's number what Factor says.
	Dynamic bool `json:"dynamic,omitempty"`
}

// FileSpec is what file reads: a word (up, down, drain) or a number.
type FileSpec struct {
	File string `json:"file,omitempty"`
	// Factor multiplies the number before it is added to the weight (Dynamic).
	// Default: 1.
	Factor int `json:"factor,omitempty"`
	// Reverse makes 0 mean down and other numbers up; not Dynamic.
	Reverse bool `json:"reverse,omitempty"`
}

// WithDefaults fills in what the common fields leave out, so that they can be
// used as they stand.
func (s Spec) WithDefaults() Spec {
	s.Interval = Duration(s.Interval.or(DefaultInterval))
	s.RetryInterval = Duration(s.RetryInterval.or(time.Duration(s.Interval)))
	s.Timeout = Duration(s.Timeout.or(DefaultTimeout))
	s.ConnectTimeout = Duration(s.ConnectTimeout.or(time.Duration(s.Timeout)))
	if s.Warmup == nil {
		s.Warmup = &s.Interval
	}
	if s.Rise == 0 {
		s.Rise = DefaultRise
	}
	if s.Fall == 0 {
		s.Fall = DefaultFall
	}
	if s.Start == "" {
		s.Start = StartUp
	}
	if s.Via == "" {
		s.Via = ViaReal
	}
	return s
}
