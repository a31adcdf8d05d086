package packet

import (
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

const frames = "../conformance/testdata/packet"

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
	for _, s := range asVerified(scenarios) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			wrong := map[int]string{} // by step
			for _, d := range doors {
				t.Run(string(d.mode), func(t *testing.T) {
					p := player{T: t, bed: beds.Lend(t, d.mode), mode: d.mode, left: leftOut[s.Name], wrong: wrong}
					p.play(s)
				})
			}
			judge(t, leftOut[s.Name], wrong)
		})
	}
}

// judge compares what went wrong with what is known to.
func judge(t *testing.T, left map[int]string, wrong map[int]string) {
	for i, what := range wrong {
		if left[i] == "" && left[whole] == "" {
			t.Errorf("step %d, %s", i, what)
		}
	}
	for i := range left {
		if wrong[i] == "" && (i != whole || len(wrong) == 0) {
			t.Errorf("step %d passes now: remove it from leftOut", i)
		}
	}
}

// asVerified lets recordings of ICMPv6 errors expect what a device that vouched
// for their checksums gets: the kernel drops them otherwise, as it leaves the
// addresses out of the sum.
func asVerified(scenarios []conformance.Scenario) []conformance.Scenario {
	const suffix = "-verified"
	for _, v := range scenarios {
		for i, s := range scenarios {
			if v.Name == s.Name+suffix && len(v.Steps) == len(s.Steps) {
				scenarios[i].Steps = v.Steps
			}
		}
	}
	return scenarios
}

// player plays one recording at one door.
type player struct {
	*testing.T
	bed   *bed.Bed
	mode  ipvs.AttachMode
	left  map[int]string // steps that may go wrong
	wrong map[int]string // what went wrong, by step

	got, want reassembler // of a recording of fragments
}

func (p *player) play(s conformance.Scenario) {
	p.got, p.want = reassembler{}, reassembler{}
	for i := 0; i < len(s.Steps); i++ {
		step := s.Steps[i]
		if step.IsCommand() {
			p.note(i, p.bed.Play(step))
			continue
		}
		set, err := conformance.Read[conformance.Setting](step)
		if err != nil {
			p.Fatal(err)
		}
		if p.setting(i, set) {
			continue
		}
		f, err := conformance.Read[conformance.Frame](step)
		if err != nil || f.In == "" {
			p.Fatalf("step %d is of an unknown kind: %s (%v)", i, step, err)
		}
		if !strings.HasPrefix(s.Name, "frag-") {
			p.note(i, p.frame(i, f))
			continue
		}
		group := fragments(s.Steps[i:])
		p.note(i, p.packets(i, s, group))
		i += len(group) - 1
	}
}

// note keeps what went wrong in a step.
func (p *player) note(i int, err error) {
	if err != nil {
		p.wrong[i] = fmt.Sprintf("%s: %v", p.mode, err)
	}
}

// setting plays a step that sets something: false if it is none.
func (p *player) setting(i int, set conformance.Setting) bool {
	switch {
	case set.IP != nil:
		if err := p.bed.IP(set.IP...); err != nil {
			p.Fatal(err)
		}
	case set.Sysctl != nil:
		p.note(i, p.bed.Sysctl(set.Sysctl[0]+"="+set.Sysctl[1]))
	case set.Mark != nil:
		p.note(i, p.bed.Mark(*set.Mark))
	default:
		return false
	}
	return true
}

// wait is how long to wait for a frame of a step.
func (p *player) wait(i int) time.Duration {
	if p.left[i] != "" || p.left[whole] != "" {
		return 3 * quiet
	}
	return patience
}

// frame injects one frame and compares all that leave.
func (p *player) frame(index int, f conformance.Frame) error {
	if err := p.bed.Side(f.From).Send(p.bytes(f.In)); err != nil {
		p.Fatal(err)
	}
	var wrong []string
	for _, want := range f.Out {
		got, err := p.bed.Side(want.Side).Receive(p.wait(index))
		switch {
		case err != nil:
			p.Fatal(err)
		case got == nil:
			wrong = append(wrong, fmt.Sprintf("nothing left towards the %s\nwant: %s", want.Side, want.Text))
		default:
			if diff := want.Differs(got, p.bytes(want.Hex)); diff != "" {
				wrong = append(wrong, fmt.Sprintf("%s\n got: %x\nwant: %s", diff, got, want.Hex))
			}
		}
	}
	for _, side := range []string{"client", "server"} {
		for {
			wait := quiet
			if len(f.Out) > 0 && len(wrong) == 0 {
				wait = 0
			}
			more, err := p.bed.Side(side).Receive(wait)
			if err != nil {
				p.Fatal(err)
			}
			if more == nil {
				break
			}
			wrong = append(wrong, fmt.Sprintf("one more frame towards the %s: %x", side, more))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s (%s): %s", f.Note, f.Text, strings.Join(wrong, "\n"))
	}
	return nil
}

// fragments are the first steps that carry pieces of one packet.
func fragments(steps []conformance.Step) (group []conformance.Frame) {
	stem := ""
	for _, step := range steps {
		f, err := conformance.Read[conformance.Frame](step)
		name, _, cut := strings.Cut(f.Note, ", fragment")
		if err != nil || f.In == "" || stem != "" && name != stem {
			break
		}
		group = append(group, f)
		if stem = name; !cut {
			break
		}
	}
	return group
}

// packets injects fragments, and compares the packets that the receivers hold
// when they have put together what left.
func (p *player) packets(index int, s conformance.Scenario, group []conformance.Frame) error {
	var want, got []held
	recorded := 0
	for _, f := range group {
		for _, o := range f.Out {
			want = append(want, p.take(&p.want, o.Side, p.bytes(o.Hex))...)
			recorded++
		}
	}
	if recorded > 0 && len(want) == 0 {
		p.Fatalf("step %d: the recorded frames are no packet", index)
	}
	stem, _, _ := strings.Cut(group[0].Note, ", fragment")
	for _, l := range lost {
		if ok, _ := path.Match(l.recording, s.Name); ok && l.packet == stem {
			want = p.delivered(s, group)
		}
	}
	for _, f := range group {
		if err := p.bed.Side(f.From).Send(p.bytes(f.In)); err != nil {
			p.Fatal(err)
		}
	}
	for _, side := range []string{"client", "server"} {
		for {
			wait := quiet
			if len(got) < len(want) {
				wait = max(quiet, p.wait(index)/2)
			}
			frame, err := p.bed.Side(side).Receive(wait)
			if err != nil {
				p.Fatal(err)
			}
			if frame == nil {
				break
			}
			got = append(got, p.take(&p.got, side, frame)...)
		}
	}
	return compare(stem, got, want)
}

func (p *player) take(r *reassembler, side string, frame []byte) []held {
	packets, err := r.take(side, frame)
	if err != nil {
		p.Errorf("%v: %x", err, frame)
	}
	return packets
}

func (p *player) bytes(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		p.Fatal(err)
	}
	return b
}
