package health

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
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

// A query is a question, ready for use.
type query struct {
	reach    reach
	network  string
	question dnsmessage.Question
	codes    []string
	answer   *regexp.Regexp
}

func newDNS(s Spec, target Target) (probe, error) {
	r, err := reachOf(s, target, true)
	if err != nil {
		return nil, err
	}
	name, err := s.questionName()
	if err != nil {
		return nil, err
	}
	q := query{reach: r, network: cmp.Or(s.Transport, "udp"), codes: s.RCodes,
		question: dnsmessage.Question{Name: name, Type: dnsTypes[cmp.Or(s.Type, "SOA")], Class: dnsmessage.ClassINET}}
	if len(q.codes) == 0 {
		q.codes = []string{"NOERROR"}
	}
	if s.Answer != "" {
		if q.answer, err = regexp.Compile(s.Answer); err != nil {
			return nil, err
		}
	}
	return q.ask, nil
}

func (q query) ask(ctx context.Context) (found, error) {
	m, err := q.exchange(ctx, q.network)
	if err == nil && m.Truncated && q.answer != nil {
		m, err = q.exchange(ctx, "tcp")
	}
	if err != nil {
		return found{}, err
	}
	return q.judge(m)
}

// exchange asks once by a transport.
func (q query) exchange(ctx context.Context, network string) (dnsmessage.Message, error) {
	c, err := q.reach.dial(ctx, network)
	if err != nil {
		return dnsmessage.Message{}, err
	}
	defer c.Close()
	return AskDNS(c, network, q.question)
}

// AskDNS sends a question over a connection by udp or tcp, and waits for the answer to
// it, past whatever else may come.
func AskDNS(c net.Conn, network string, question dnsmessage.Question) (dnsmessage.Message, error) {
	id := uint16(rand.Uint32())
	ask := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true}, Questions: []dnsmessage.Question{question}}
	text, err := ask.Pack()
	if err != nil {
		return dnsmessage.Message{}, err
	}
	if network == "tcp" {
		text = append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
	}
	if _, err := c.Write(text); err != nil {
		return dnsmessage.Message{}, err
	}
	for {
		text, err := readDNS(c, network)
		if err != nil {
			return dnsmessage.Message{}, &stepError{none: "no answer", err: err}
		}
		var m dnsmessage.Message
		if err := m.Unpack(text); err != nil && network == "tcp" {
			return m, fmt.Errorf("the answer cannot be read: %w", err)
		} else if err == nil && m.ID == id && m.Response {
			return m, nil
		}
	}
}

// CodeOfDNS is the code of an answer by its name.
func CodeOfDNS(m dnsmessage.Message) string {
	for name, c := range dnsCodes {
		if c == m.RCode {
			return name
		}
	}
	return strings.TrimPrefix(m.RCode.String(), "RCode")
}

func readDNS(c net.Conn, network string) ([]byte, error) {
	if network == "udp" {
		buffer := make([]byte, longest)
		n, err := c.Read(buffer)
		return buffer[:n], err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	text := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, text)
	return text, err
}

func (q query) judge(m dnsmessage.Message) (found, error) {
	code := CodeOfDNS(m)
	if !slices.Contains(q.codes, code) {
		return found{}, errors.New(code)
	}
	if q.answer == nil {
		return found{detail: code}, nil
	}
	var seen []string
	for _, a := range m.Answers {
		text := record(a.Body)
		if q.answer.MatchString(text) {
			return found{detail: text}, nil
		}
		seen = append(seen, text)
	}
	return found{}, fmt.Errorf("no record matches: %.80q", strings.Join(seen, ", "))
}

// record writes the data of a record as a zone file has it.
func record(body dnsmessage.ResourceBody) string {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return r.CNAME.String()
	case *dnsmessage.NSResource:
		return r.NS.String()
	case *dnsmessage.PTRResource:
		return r.PTR.String()
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %v", r.Pref, r.MX)
	case *dnsmessage.SRVResource:
		return fmt.Sprintf("%d %d %d %v", r.Priority, r.Weight, r.Port, r.Target)
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, "")
	case *dnsmessage.SOAResource:
		return fmt.Sprintf("%v %v %d %d %d %d %d", r.NS, r.MBox, r.Serial, r.Refresh, r.Retry, r.Expire, r.MinTTL)
	}
	return ""
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
