package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsTypes are the types that can be asked for.
var dnsTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX,
	"NS": dnsmessage.TypeNS, "PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
}

// dnsCodes are the codes of an answer that can be expected.
var dnsCodes = map[string]dnsmessage.RCode{
	"NOERROR": dnsmessage.RCodeSuccess, "FORMERR": dnsmessage.RCodeFormatError, "SERVFAIL": dnsmessage.RCodeServerFailure,
	"NXDOMAIN": dnsmessage.RCodeNameError, "NOTIMP": dnsmessage.RCodeNotImplemented, "REFUSED": dnsmessage.RCodeRefused,
}

// questionName is the name in the form that questions have: ended by a dot.
func (d DNS) questionName() (dnsmessage.Name, error) {
	return dnsmessage.NewName(strings.TrimSuffix(d.Name, ".") + ".")
}

func validateDNS(s Spec) (found []FieldError) {
	oneOf(&found, "type", s.Type, slices.Sorted(maps.Keys(dnsTypes))...)
	oneOf(&found, "transport", s.Transport, "udp", "tcp")
	for i, code := range s.RCodes {
		oneOf(&found, fmt.Sprintf("rcodes[%d]", i), code, slices.Sorted(maps.Keys(dnsCodes))...)
	}
	name, err := s.questionName()
	if err == nil {
		_, err = (&dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name}}}).Pack()
	}
	if err != nil {
		found = append(found, FieldError{"name", fmt.Sprintf("%q is no name: %v", s.Name, err), "write a domain name, as example.org, or . for the root"})
	}
	checkRegexp(&found, "answer", s.Answer)
	return found
}
