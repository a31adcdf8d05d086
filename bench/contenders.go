package main

import (
	"slices"

	"github.com/evs-project/evs/bench/evs"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/textbook"
)

// contender is a balancer to be measured, for one forwarding method.
type contender struct {
	name   string
	method packet.Method
	open   func(contender, harness.Stage) (harness.Target, error)
}

const (
	evsName      = "EVS"
	hashName     = "textbook HASH"
	hashFastName = "textbook HASH, coarse clock"
)

// contenders are all that is measured. A new one is a row here.
var contenders = []contender{
	{evsName, packet.Masq, virtualServer},
	{hashName, packet.Masq, hash(false)},
	{hashFastName, packet.Masq, hash(true)},
	{evsName, packet.Route, virtualServer},
	{hashName, packet.Route, hash(false)},
	{hashFastName, packet.Route, hash(true)},
}

func virtualServer(c contender, s harness.Stage) (harness.Target, error) {
	return evs.New(c.name, c.method, s)
}

func hash(coarse bool) func(contender, harness.Stage) (harness.Target, error) {
	return func(c contender, s harness.Stage) (harness.Target, error) {
		return textbook.New(textbook.Kind{Name: c.name, Method: c.method, Coarse: coarse}, s)
	}
}

// trial is one thing that is measured about each contender of a method.
type trial struct {
	name   string
	method packet.Method
	kinds  []packet.Kind // one, or two that take turns
	begin  beginning
}

// beginning is how the connections of a trial came to be.
type beginning int

const (
	established beginning = iota // they stand
	answered                     // each packet makes one, which is then answered
	flood                        // each packet makes one, and nobody answers
)

const (
	natForward = "NAT, established, client to server"
	natReply   = "NAT, established, server to client"
	natBoth    = "NAT, established, both in turn"
	natNew     = "NAT, a new connection with every packet"
	natFlood   = "NAT, a flood: a new connection with every packet, none answered"
	drForward  = "direct routing, established"
	drNew      = "direct routing, a new connection with every packet"
	drFlood    = "direct routing, a flood: a new connection with every packet, none answered"
)

var trials = []trial{
	{natForward, packet.Masq, []packet.Kind{packet.ACK}, established},
	{natReply, packet.Masq, []packet.Kind{packet.ReplyACK}, established},
	{natBoth, packet.Masq, []packet.Kind{packet.ACK, packet.ReplyACK}, established},
	{natNew, packet.Masq, []packet.Kind{packet.SYN}, answered},
	{natFlood, packet.Masq, []packet.Kind{packet.SYN}, flood},
	{drForward, packet.Route, []packet.Kind{packet.ACK}, established},
	{drNew, packet.Route, []packet.Kind{packet.SYN}, answered},
	{drFlood, packet.Route, []packet.Kind{packet.SYN}, flood},
}

// bars are what EVS promises. They hold against the yardstick as the textbook
// has it; the one with the cheaper clock is there to be seen.
var bars = slices.Concat(
	natBars(natForward),
	natBars(natReply),
	natBars(natBoth),
	[]report.Bar{
		{Case: natNew, Flows: 1_000_000, Target: evsName, Yardstick: hashName, Wanted: 1},
		{Case: drForward, Flows: 1, Target: evsName, Yardstick: hashName, Wanted: 0.65},
		{Case: drForward, Flows: 10_000, Target: evsName, Yardstick: hashName, Wanted: 0.6},
		{Case: drForward, Flows: 1_000_000, Target: evsName, Yardstick: hashName, Wanted: 0.7},
		{Case: drNew, Flows: 1_000_000, Target: evsName, Yardstick: hashName, Wanted: 0.8},
	},
)

// natBars are those of established connections. With a single flow nothing
// misses a cache, and all that is left is how much a packet has to do.
func natBars(name string) []report.Bar {
	return []report.Bar{
		{Case: name, Flows: 1, Target: evsName, Yardstick: hashName, Wanted: 0.75},
		{Case: name, Flows: 10_000, Target: evsName, Yardstick: hashName, Wanted: 0.65},
		{Case: name, Flows: 1_000_000, Target: evsName, Yardstick: hashName, Wanted: 0.65},
	}
}
