package document

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

type colour string

func (colour) Choices() []string { return []string{"red", "green"} }

type even struct{ n int }

func (*even) Want() string { return "2, 4, 6" }

func (e *even) UnmarshalText(text []byte) error {
	if len(text)%2 != 0 {
		return errors.New("it is odd")
	}
	e.n = len(text)
	return nil
}

func (e even) MarshalText() ([]byte, error) { return []byte(strings.Repeat("x", e.n)), nil }

type inner struct {
	Size int           `json:"size" default:"3" min:"1" max:"9" about:"how large"`
	Wait time.Duration `json:"wait" default:"5s" min:"1s" about:"how long"`
}

type outer struct {
	Name   string            `json:"name" about:"what it is called"`
	Colour colour            `json:"colour" about:"of it"`
	Addr   netip.AddrPort    `json:"addr" about:"where"`
	Even   even              `json:"even" about:"of even length"`
	Ratio  float64           `json:"ratio" min:"0" max:"1" about:"a share"`
	On     bool              `json:"on" default:"false" about:"whether"`
	Words  map[string]string `json:"words" about:"by name"`
	Small  uint8             `json:"small" about:"small"`
	Also   *inner            `json:"also" about:"more"`
	inner  `json:",inline"`
	Many   []inner `json:"many" about:"others"`
	Secret int     `json:"-"`
}

// Prototype begins each of Many with the structure's own.
func (o *outer) Prototype(field string, _ map[string]string) any {
	if field == "many" {
		return o.inner
	}
	return nil
}

func read(text string) (*outer, *Reader) {
	var o outer
	Defaults(&o)
	r := NewReader()
	r.Read("f", []byte(text), &o)
	return &o, r
}

func TestWhatIsLeftOutIsDefaultOrInherited(t *testing.T) {
	o, r := read("many: [{wait: 2s}, {size: 4}]\nsize: 7\nalso: {}\nname: 5\n")
	if wrong := r.Problems(); wrong != nil {
		t.Fatal(wrong)
	}
	want := outer{Name: "5", inner: inner{7, 5 * time.Second}, Also: &inner{3, 5 * time.Second}, Many: []inner{{7, 2 * time.Second}, {4, 5 * time.Second}}}
	if !reflect.DeepEqual(*o, want) {
		t.Errorf("read %+v, want %+v", o, want)
	}
	if !r.Given(&o.Size) || r.Given(&o.Wait) || o.Many[0].Size != 7 {
		t.Error("what a file names and what it does not are not told apart")
	}
}

func TestAFileMayBeAList(t *testing.T) {
	for text, want := range map[string][]inner{
		"- {wait: 1s}\n- size: 2\n": {{9, time.Second}, {2, 5 * time.Second}},
		`[{"size": 2}]`:             {{2, 5 * time.Second}},
		"size: 2":                   {{2, 5 * time.Second}},
		"[]":                        {},
		"":                          nil,
	} {
		r := NewReader()
		var all []inner
		r.ReadList("f", []byte(text), &all, inner{9, 5 * time.Second})
		if wrong := r.Problems(); wrong != nil || !reflect.DeepEqual(all, want) {
			t.Errorf("%q reads as %+v, want %+v: %v", text, all, want, wrong)
		}
	}
	r := NewReader()
	var all []inner
	r.ReadList("f", []byte("- {size: 2}\n- {siz: 3}\n"), &all, inner{})
	if got := r.Problems().Error(); got != "f:2:4: [1].siz: there is no such key (did you mean size?)" {
		t.Errorf("it is wrong as %s", got)
	}
}

func TestAliasesAndMergesAreFollowed(t *testing.T) {
	o, r := read("also: &a {size: 8, wait: 1s}\nmany:\n  - <<: *a\n    size: 2\n  - *a\nwords: {b: c, a: 1}\n")
	if wrong := r.Problems(); wrong != nil {
		t.Fatal(wrong)
	}
	if want := []inner{{2, time.Second}, {8, time.Second}}; !reflect.DeepEqual(o.Many, want) || o.Words["a"] != "1" {
		t.Errorf("read %+v, want %+v", o, want)
	}
}

func TestMistakesHaveAPlaceAndARemedy(t *testing.T) {
	for text, want := range map[string]string{
		"smal: 1\n":                       "f:1:1: smal: there is no such key (did you mean small?)",
		"colour: blue\n":                  `f:1:9: colour: "blue" is none of its values: choose one of red, green`,
		"addr: here\n":                    `f:1:7: addr: "here" is not of the right form: write it as 203.0.113.10:80 or [2001:db8::10]:80`,
		"even: odd\n":                     "f:1:7: even: it is odd: write it as 2, 4, 6",
		"ratio: 2\n":                      `f:1:8: ratio: "2" is no such number: write one from 0 to 1`,
		"on: yes please\n":                `f:1:5: on: "yes please" is neither true nor false: write one of them`,
		"small: 256\n":                    "f:1:8: small: 256 is out of range: write a number from 0 to 255",
		"size: 0\n":                       "f:1:7: size: 0 is out of range: write a number from 1 to 9",
		"wait: 500ms\n":                   "f:1:7: wait: 500ms is out of range: write a length of time of 1s at least",
		"wait: 5\n":                       "f:1:7: wait: 5 has no unit: write 5s for seconds, or another unit: ms, m, h",
		"words: x\n":                      "f:1:8: words: a plain value stands here: write a mapping, NAME: VALUE",
		"many:\n  - size: [1]\n":          "f:2:11: many[0].size: a list stands here: write a number",
		"also:\n":                         "f:1:7: also: it has no value: give it one, or leave the key out",
		"name: *x\n":                      "f:1:7: name: this alias leads nowhere: name an anchor, &NAME, that stands in this file",
		"- a\n":                           "f:1:1: a list stands here: write a mapping with name, ",
		"name: a\nname: b\n":              "f:2:1: this is no YAML: ",
		"also: &a {<<: *a}\n":             "f:1:15: more than 8 mappings are merged into one another: write them out",
		"a: b\n---\nname: x\n---\nc: d\n": "f:3:1: a second document begins here",
	} {
		_, r := read(text)
		if wrong := r.Problems(); len(wrong) == 0 || !strings.HasPrefix(wrong[0].Error(), want) {
			t.Errorf("%q: %v\nwant %s", text, wrong, want)
		}
	}
}

func TestAFileThatGrowsByAliasesIsCut(t *testing.T) {
	text := "words: &a {x: y}\nmany: &b [" + strings.Repeat("{size: 2}, ", 2000) + "]\n"
	var o struct {
		Words map[string]string `json:"words"`
		Many  []inner           `json:"many"`
		All   []outer           `json:"all"`
	}
	r := NewReader()
	r.Read("f", []byte(text+"all: ["+strings.Repeat("{many: *b}, ", 2000)+"]\n"), &o)
	if wrong := r.Problems(); len(wrong) == 0 || !strings.Contains(wrong.Error(), "beyond all bounds") {
		t.Errorf("%d problems", len(wrong))
	}
}

func TestWhatIsEncodedIsReadAgain(t *testing.T) {
	o, _ := read("name: x\ncolour: red\naddr: 192.0.2.1:5\neven: xx\nratio: 0.5\non: true\nwords: {a: b}\nalso: {size: 4}\nmany: [{size: 5}]\nwait: 90s\n")
	for name, value := range map[string]any{"whole": Encode(*o), "beyond its defaults": EncodeBeyond(*o, func() (d outer) { Defaults(&d); return d }())} {
		text, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		again, r := read(string(text))
		if wrong := r.Problems(); wrong != nil || !reflect.DeepEqual(o, again) {
			t.Errorf("%s: %s\nis %+v, not %+v: %v", name, text, again, o, wrong)
		}
	}
}

func TestTheSchemaHasWhatTheTagsSay(t *testing.T) {
	raw, err := json.Marshal(About{}.Schema("id", "title", outer{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"colour":{"description":"of it","enum":["green","red"]}`,
		`"size":{"default":3,"description":"how large","maximum":9,"minimum":1,"type":"integer"}`,
		`"on":{"default":false,"description":"whether","type":"boolean"}`,
		`"also":{"$ref":"#/$defs/inner","description":"more"}`,
		`"many":{"anyOf":[{"$ref":"#/$defs/inner"},{"items":{"$ref":"#/$defs/inner"},"type":"array"}],"description":"others"}`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
	if tables := (About{}).Tables(outer{}); len(tables) != 2 || len(tables[0].Rows) != len(Names(outer{})) || tables[1].Rows[1] != (Row{"wait", "time", "5s", "how long"}) {
		t.Errorf("tables %+v", tables)
	}
}
