package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Frame is a step that puts one frame on a cable of the director.
type Frame struct {
	From string  `json:"from"` // the side it comes from: "client" or "server"
	In   string  `json:"in"`   // hex
	Note string  `json:"note"`
	Text string  `json:"text"`
	Out  []Frame `json:"out"` // what left for it
	// Of a frame that left:
	Side string `json:"side"`
	Hex  string `json:"frame"`
	Vary []int  `json:"vary"` // offsets of words that need not agree
	// Verified: the receiving device vouched for the checksum.
	Verified bool `json:"verified"`
}

// Differs says where a frame differs from the recorded one, "" if it does not.
func (f Frame) Differs(got, want []byte) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d bytes, recorded were %d", len(got), len(want))
	}
	for i := range got {
		free := slices.ContainsFunc(f.Vary, func(at int) bool { return i == at || i == at+1 })
		if got[i] != want[i] && !free {
			return fmt.Sprintf("byte %d is %02x, recorded was %02x", i, got[i], want[i])
		}
	}
	return ""
}

// Packet is a step that injects a packet described in words.
type Packet struct {
	Pkt    json.RawMessage `json:"pkt"`
	To     *string         `json:"to"` // the server it left for, "" none
	ToPort uint16          `json:"to_port"`
	Reply  string          `json:"reply"` // what the director answered
	// ToClient is what left for a packet from a server.
	ToClient []string `json:"to_client"`
}

// After is what the table looked like after a step.
type After struct {
	After *struct {
		Conns []struct {
			Proto       string `json:"proto"`
			Expire      int    `json:"expire"`
			State       string `json:"state"`
			Source      string `json:"source"`
			Virtual     string `json:"virtual"`
			Destination string `json:"destination"`
		} `json:"conns"`
		Dests []struct {
			Service  string `json:"service"`
			Dest     string `json:"dest"`
			Active   uint32 `json:"active"`
			Inactive uint32 `json:"inactive"`
		} `json:"dests"`
	} `json:"after"`
}

// Setting is a step that changes something of the director but the table.
type Setting struct {
	Sleep  float64  `json:"sleep"` // seconds
	Sysctl []string `json:"sysctl"`
	IP     []string `json:"ip"`
	Mark   *Mark    `json:"mark"`
}

// Mark gives packets a firewall mark.
type Mark struct {
	Dst   string `json:"dst"` // prefix
	Mark  uint32 `json:"mark"`
	Proto string `json:"proto,omitempty"` // "" any
	Dport uint16 `json:"dport,omitempty"` // 0 any
}

// Read reads a step that is no command.
func Read[T any](s Step) (v T, err error) {
	err = json.Unmarshal(s.Raw, &v)
	return v, err
}
