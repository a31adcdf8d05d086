package datapath

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
)

// Kernels give up on a program after a million instructions looked at, and
// count differently from one to the next; so a program that comes near here is
// one that may not load elsewhere.
func TestTheVerifierIsFarFromItsLimit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: it loads programs into the kernel")
	}
	const enough = 200_000
	facts, err := newConf(Sizes{Conns: 1, Dsts: 1})
	if err != nil {
		t.Fatal(err)
	}
	specs, err := loadSpecs(facts)
	if err != nil {
		t.Fatal(err)
	}
	decap, err := loadDecap()
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range append(specs, decap) {
		coll, err := ebpf.NewCollection(spec)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		for name, p := range coll.Programs {
			info, err := p.Info()
			if err != nil {
				t.Fatal(err)
			}
			n, ok := info.VerifiedInstructions()
			if !ok {
				t.Fatal("this kernel does not tell how much the verifier looked at; Linux 6.1 does")
			}
			t.Logf("%s: %d", name, n)
			if n > enough {
				t.Errorf("%s: the verifier looked at %d instructions, want at most %d", name, n, enough)
			}
		}
		coll.Close()
	}
}
