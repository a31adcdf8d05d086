package manual

import (
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/internal/sched"
)

// Ipvsadm makes the pages of ipvsadm, ipvsadm-save and ipvsadm-restore.
func Ipvsadm() []Page {
	return []Page{ipvsadmPage(), savePage(), restorePage()}
}

func ipvsadmPage() Page {
	page := Page{Name: "ipvsadm", About: "administer the virtual servers of a director"}
	page.add("SYNOPSIS", synopsis())
	page.add("DESCRIPTION", prose(ipvsadmDescription))
	page.add("COMMANDS", list(commandWords))
	page.add("VIRTUAL SERVICES", prose("Commands about a service say which by one of these:"), list(serviceWords))
	page.add("OPTIONS", list(optionWords))
	page.add("SCHEDULERS", schedulers())
	page.add("EXIT STATUS", prose(ipvsadmExit))
	page.add("FILES", evsFiles())
	page.add("NOTES", prose(ipvsadmNotes))
	page.add("EXAMPLES", prose(ipvsadmExamples))
	page.add("SEE ALSO", "\\fBipvsadm\\-save\\fR(8), \\fBipvsadm\\-restore\\fR(8), \\fBevs\\fR(8)\n")
	return page
}

func savePage() Page {
	page := Page{Name: "ipvsadm-save", About: "save the table of virtual servers"}
	page.add("SYNOPSIS", bold("ipvsadm-save")+" ["+bold("-n")+"]\n")
	page.add("DESCRIPTION", prose(saveDescription))
	page.add("OPTIONS", item(bold("-n"), "Print numbers instead of the names of hosts and ports. Names may mean something else, or nothing, when the rules are restored: use it."))
	page.add("EXIT STATUS", prose("That of `ipvsadm -S`; 1 for an option it does not know."))
	page.add("SEE ALSO", "\\fBipvsadm\\fR(8), \\fBipvsadm\\-restore\\fR(8)\n")
	return page
}

func restorePage() Page {
	page := Page{Name: "ipvsadm-restore", About: "restore the table of virtual servers"}
	page.add("SYNOPSIS", bold("ipvsadm-restore")+" < "+italic("FILE")+"\n")
	page.add("DESCRIPTION", prose(restoreDescription))
	page.add("SEE ALSO", "\\fBipvsadm\\fR(8), \\fBipvsadm\\-save\\fR(8)\n")
	return page
}

// synopsis is a line for each command with the options that go with it, as the
// parser's table has them.
func synopsis() string {
	var b strings.Builder
	for i, c := range ipvsadm.Options() {
		if !c.IsCommand || c.Long == "" {
			continue
		}
		if i > 0 {
			b.WriteString(".br\n")
		}
		b.WriteString(bold("ipvsadm") + " " + spellings(c, "|"))
		b.WriteString(synopsisOptions(c.Long) + "\n")
	}
	return b.String()
}

func synopsisOptions(command string) string {
	words, needsService, takesService := "", false, false
	for _, o := range ipvsadm.Options() {
		switch {
		case !slices.Contains(o.With, command):
		case isService(o.Long):
			// list, zero: every service, or the one named
			needsService = needsService || (command != "list" && command != "zero")
			takesService = true
		case o.Long == "real-server":
			words += " " + spellings(o, "|")
		default:
			words += " [" + spellings(o, "|") + "]"
		}
	}
	switch {
	case needsService:
		return " " + italic("SERVICE") + words
	case takesService:
		return " [" + italic("SERVICE") + "]" + words
	}
	return words
}

func isService(long string) bool {
	return slices.ContainsFunc(serviceWords, func(a about) bool { return a.option == long })
}

// list explains options in the order of the words.
func list(words []about) string {
	var b strings.Builder
	for _, a := range words {
		for _, o := range ipvsadm.Options() {
			if o.Long == a.option {
				b.WriteString(item(spellings(o, ", "), a.text+goesWith(o)))
			}
		}
	}
	return b.String()
}

// goesWith says to which commands an option belongs.
func goesWith(o ipvsadm.OptionInfo) string {
	if isService(o.Long) || len(o.With) == 0 {
		return ""
	}
	names := make([]string, len(o.With))
	for i, name := range o.With {
		names[i] = "`--" + name + "`"
	}
	return " Goes with " + strings.Join(names, ", ") + "."
}

// spellings are the forms of an option and its argument.
func spellings(o ipvsadm.OptionInfo, between string) string {
	var forms []string
	for _, alias := range ipvsadm.Options() {
		if alias.Short != "" && (alias.Long == o.Long || alias.Long == "" && o.IsCommand && alias.Command == o.Long) {
			forms = append(forms, bold("-"+alias.Short))
		}
	}
	forms = append(forms, bold("--"+o.Long))
	text := strings.Join(forms, between)
	switch {
	case o.ArgumentOptional:
		return text + " [" + italic(argumentOf(o.Long)) + "]"
	case o.TakesArgument:
		return text + " " + italic(argumentOf(o.Long))
	}
	return text
}

func argumentOf(long string) string {
	for _, a := range slices.Concat(commandWords, serviceWords, optionWords) {
		if a.option == long {
			return a.argument
		}
	}
	return ""
}

func schedulers() string {
	var b strings.Builder
	b.WriteString(prose("A new connection is given to"))
	for _, s := range sched.All {
		text := s.About + "."
		if len(s.Flags) > 0 {
			text += " Flags: `" + strings.Join(s.Flags, "`, `") + "`."
		}
		b.WriteString(item(bold(s.Name), text))
	}
	return b.String()
}

func evsFiles() string {
	var b strings.Builder
	for _, f := range files {
		b.WriteString(item(italic(f.option), f.text))
	}
	return b.String()
}
