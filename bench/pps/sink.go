package pps

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf/link"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/room"
)

// sink counts what arrives at an interface for an address.
type sink struct {
	objects bpf.SinkObjects
	link    link.Link
}

func newSink(p room.Place, index int, mac packet.MAC) (*sink, error) {
	s := &sink{}
	if err := bpf.LoadSinkObjects(&s.objects, nil); err != nil {
		return nil, fmt.Errorf("load the sink: %w", err)
	}
	err := s.objects.Mine.Set(binary.NativeEndian.Uint16(mac[4:]))
	if err == nil {
		err = p.Do(func() (err error) {
			s.link, err = link.AttachXDP(link.XDPOptions{Program: s.objects.Sink, Interface: index, Flags: link.XDPDriverMode})
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the sink: %w", err), s.close())
	}
	return s, nil
}

func (s *sink) close() error {
	var err error
	if s.link != nil {
		err = s.link.Close()
	}
	return errors.Join(err, s.objects.Close())
}

// count is how many packets have arrived.
func (s *sink) count() (packets uint64, err error) {
	var all []bpf.SinkArrivals
	if err := s.objects.Arrived.Lookup(uint32(0), &all); err != nil {
		return 0, fmt.Errorf("read the sink: %w", err)
	}
	for _, a := range all {
		packets += a.Packets
	}
	return packets, nil
}

// keep has frames kept, or no more.
func (s *sink) keep(on bool) error {
	value := uint16(0)
	if on {
		value = 1
	}
	return s.objects.Keeping.Set(value)
}

// frame is the last one that was kept.
func (s *sink) frame() ([]byte, error) {
	var k bpf.SinkKept
	if err := s.objects.Last.Get(&k); err != nil {
		return nil, fmt.Errorf("read the frame that was kept: %w", err)
	}
	return k.Bytes[:min(int(k.Length), len(k.Bytes))], nil
}
