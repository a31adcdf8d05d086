package packet

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

const frames = "../conformance/testdata/packet"

// Why steps of recordings are not played.
const (
	optionsSet = "the data path neither writes into IP options nor refuses source routes yet"
	noChecksum = "a UDP packet without a checksum stays without one; the kernel gives it one"
	cutting    = "the data path does not fragment yet"
	badError   = "an ICMP error with a wrong checksum is passed on as wrong, the kernel drops it"
	inTunnel   = "ICMP errors from inside a tunnel are left to the host yet"
)

// leftOut are the steps, by recording and number, that are not played.
var leftOut = map[string]map[int]string{
	"nat4-udp":        {4: noChecksum, 5: noChecksum},
	"ip-options-nat":  {3: optionsSet, 4: optionsSet, 6: optionsSet},
	"ip-options-dr":   {3: optionsSet, 4: optionsSet, 6: optionsSet},
	"dr-v4":           {16: optionsSet},
	"ipip-v4":         {16: optionsSet},
	"gre-v4":          {16: optionsSet},
	"gue-v4":          {16: optionsSet},
	"icmp-nat-tcp-v4": {34: badError},
	"icmp-ipip-v4":    {10: inTunnel, 11: inTunnel, 12: inTunnel, 13: inTunnel, 15: inTunnel},
	"icmp-gue-v4":     {10: inTunnel, 11: inTunnel, 12: inTunnel, 13: inTunnel, 15: inTunnel},
	"toobig-dr-v4":    {17: cutting},
	"toobig-ipip-v4":  {12: cutting, 17: cutting},
}

// patience is how long a frame may take on a busy machine, quiet how long
// nothing has to come for there to be nothing.
const (
	patience = 2 * time.Second
	quiet    = 10 * time.Millisecond
)

func TestFramesLeaveAsTheKernelSentThem(t *testing.T) {
	scenarios, err := conformance.Load(frames)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []ipvs.AttachMode{ipvs.AttachTC, ipvs.AttachXDP} {
		for _, s := range scenarios {
			t.Run(string(mode)+" "+s.Name, func(t *testing.T) {
				t.Parallel()
				p := player{T: t, bed: bed.New(t, mode), left: leftOut[s.Name]}
				p.play(s)
				t.Logf("%d frames agree, %d steps left out", p.agreed, len(p.left))
			})
		}
	}
}

// player plays one recording.
type player struct {
	*testing.T
	bed    *bed.Bed
	left   map[int]string
	agreed int
}

func (p *player) play(s conformance.Scenario) {
	for i, step := range s.Steps {
		if why := p.left[i]; why != "" {
			p.Logf("step %d left out: %s", i, why)
			continue
		}
		if step.IsCommand() {
			if err := p.bed.Play(step); err != nil {
				p.Fatalf("step %d: %v", i, err)
			}
			continue
		}
		set, err := conformance.Read[conformance.Setting](step)
		if err != nil {
			p.Fatal(err)
		}
		if set.IP != nil {
			if err := p.bed.IP(set.IP...); err != nil {
				p.Fatal(err)
			}
			continue
		}
		f, err := conformance.Read[conformance.Frame](step)
		if err != nil || f.In == "" {
			p.Fatalf("step %d is of an unknown kind: %s (%v)", i, step, err)
		}
		p.frame(i, f)
	}
}

// frame injects one frame and compares all that leave.
func (p *player) frame(index int, f conformance.Frame) {
	ports := map[string]*bed.Port{"client": p.bed.Client, "server": p.bed.Server}
	if err := ports[f.From].Send(p.bytes(f.In)); err != nil {
		p.Fatal(err)
	}
	for _, want := range f.Out {
		got, err := ports[want.Side].Receive(patience)
		switch {
		case err != nil:
			p.Fatal(err)
		case got == nil:
			p.Errorf("step %d, %s (%s): nothing left towards the %s\nwant: %s", index, f.Note, f.Text, want.Side, want.Text)
		default:
			if diff := want.Differs(got, p.bytes(want.Hex)); diff != "" {
				p.Errorf("step %d, %s (%s): %s\n got: %x\nwant: %s", index, f.Note, f.Text, diff, got, want.Hex)
			} else {
				p.agreed++
			}
		}
	}
	for side, port := range ports {
		wait := time.Duration(0)
		if len(f.Out) == 0 {
			wait = quiet
		}
		if more, err := port.Receive(wait); err != nil || more != nil {
			p.Errorf("step %d, %s (%s): one more frame towards the %s: %x (%v)", index, f.Note, f.Text, side, more, err)
		}
	}
}

func (p *player) bytes(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		p.Fatal(err)
	}
	return b
}
