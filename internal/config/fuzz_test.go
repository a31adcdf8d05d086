package config

import (
	"reflect"
	"testing"
)

func FuzzADirectorsFileIsReadOrRefusedAndReadAgain(f *testing.F) {
	f.Add(full)
	f.Add("services: &a [{tcp: 203.0.113.10:80, <<: {method: masq}}]\n")
	f.Add("services:\n- fwmark: 0x10\n  check: [{kind: tcp}, {kind: exec, command: 'a\\nb'}]\n")
	f.Add("a: &a [*a]\nservices: *a\n")
	f.Fuzz(func(t *testing.T, file string) {
		d, wrong := Load("a", paper{"a": file})
		if (d == nil) == (wrong == nil) {
			t.Fatalf("read as %v, with %v", d, wrong)
		}
		for _, p := range wrong {
			if p.Reason == "" || p.File == "" {
				t.Errorf("%v does not say what is wrong, and where", p)
			}
		}
		if d == nil {
			return
		}
		shown, err := Show(*d)
		if err != nil {
			t.Fatal(err)
		}
		again, wrong := Load("a", paper{"a": string(shown)})
		if wrong != nil {
			t.Fatalf("what is shown is refused: %v\n%s", wrong, shown)
		}
		if !reflect.DeepEqual(d.Specs(), again.Specs()) || !reflect.DeepEqual(d.Marks, again.Marks) {
			t.Errorf("%s\nis shown as\n%s", file, shown)
		}
		for _, s := range d.Specs() {
			if err := s.Validate(); err != nil {
				t.Errorf("%s: %v", s.ServiceKey, err)
			}
			for _, dest := range s.Destinations {
				if err := firstOf(dest.Validate(s.Service), dest.CheckAddr()); err != nil {
					t.Errorf("%s of %s: %v", dest.Addr, s.ServiceKey, err)
				}
			}
		}
	})
}
