package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/internal/sched"
)

func TestEveryOptionOfTheParserIsOnThePage(t *testing.T) {
	page := ipvsadmPage().Roff(Stamp{})
	words := slices.Concat(commandWords, serviceWords, optionWords)
	for _, o := range ipvsadm.Options() {
		if o.Long == "" {
			if !strings.Contains(page, bold("-"+o.Short)) {
				t.Errorf("-%s is not on the page", o.Short)
			}
			continue
		}
		explained := slices.IndexFunc(words, func(a about) bool { return a.option == o.Long })
		switch {
		case explained < 0:
			t.Errorf("--%s has no words in words.go", o.Long)
		case words[explained].text == "":
			t.Errorf("--%s is explained by nothing", o.Long)
		case (words[explained].argument != "") != o.TakesArgument && !o.ArgumentOptional:
			t.Errorf("--%s: its argument is called %q, and takes one is %v", o.Long, words[explained].argument, o.TakesArgument)
		case !strings.Contains(page, ".TP\n"+spellings(o, ", ")+"\n"):
			t.Errorf("--%s has no entry on the page", o.Long)
		}
	}
}

func TestNoWordsExplainAnOptionThatIsNotThere(t *testing.T) {
	for _, a := range slices.Concat(commandWords, serviceWords, optionWords) {
		if !slices.ContainsFunc(ipvsadm.Options(), func(o ipvsadm.OptionInfo) bool { return o.Long == a.option }) {
			t.Errorf("words.go explains --%s, which the parser does not know", a.option)
		}
	}
}

func TestEverySchedulerIsOnThePage(t *testing.T) {
	page := ipvsadmPage().Roff(Stamp{})
	for _, name := range sched.Names() {
		if !strings.Contains(page, ".TP\n"+bold(name)+"\n") {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// tree is a command with what a page may contain.
func exampleTree() *cobra.Command {
	root := &cobra.Command{Use: "evs", Short: "made up"}
	verb := &cobra.Command{Use: "speak [--loud] WORD...", Short: "say 'words' …", Example: "  evs speak .x",
		Long: "Speak says words\nof a `kind`.\n\n    ── in a \\ drawing ──\n\n.and begins with a dot.", Run: func(*cobra.Command, []string) {}}
	verb.Flags().Bool("loud", false, "be loud")
	verb.Flags().Int("times", 3, "how `often`")
	below := &cobra.Command{Use: "softly", Short: "Whisper", Run: verb.Run}
	verb.AddCommand(below)
	hidden := &cobra.Command{Use: "secret", Hidden: true, Run: verb.Run}
	root.AddCommand(verb, hidden)
	return root
}

func TestEachVerbHasAPageAndHiddenOnesHaveNone(t *testing.T) {
	var names []string
	for _, p := range Commands(exampleTree()) {
		names = append(names, p.File())
	}
	if want := []string{"evs.8", "evs-speak.8"}; !slices.Equal(names, want) {
		t.Errorf("pages %v, not %v", names, want)
	}
}

func TestAVerbIsExplainedWithWhatIsBelowIt(t *testing.T) {
	page := Commands(exampleTree())[1].Roff(Stamp{Date: "2026-01-02", Version: "v1"})
	for _, want := range []string{
		`.TH "EVS-SPEAK" 8 "2026-01-02" "EVS v1"`,
		`evs\-speak \- say \(aqwords\(aq \[u2026]`,
		`Speak says words of a \fBkind\fR.`,
		`\[u2500]\[u2500] in a \e drawing`,
		"\n\\&.and begins",
		`\fB\-\-times\fR \fIoften\fR` + "\nHow often. Default: \\fB3\\fR.",
		`\fBevs speak softly\fR`,
		`.SS evs speak softly`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

func TestEveryPageRendersWithoutAWarning(t *testing.T) {
	for _, page := range slices.Concat(Ipvsadm(), Commands(exampleTree())) {
		file := filepath.Join(t.TempDir(), page.File())
		if err := os.WriteFile(file, []byte(page.Roff(Stamp{Date: "2026-01-02", Version: "v1"})), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("man", "--warnings", "-l", file)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80", "MAN_KEEP_STDERR=1")
		var complaints strings.Builder
		cmd.Stderr = &complaints
		text, err := cmd.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v: %s", page.File(), err, complaints.String())
		}
		if strings.Count(string(text), "\n") < 8 {
			t.Errorf("%s is all but empty:\n%s", page.File(), text)
		}
	}
}
