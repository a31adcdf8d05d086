package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands makes a page of the command, and one of each verb below it that is
// not hidden. A verb of a verb is explained on the page of the first verb.
func Commands(root *cobra.Command) []Page {
	pages := []Page{rootPage(root)}
	for _, verb := range visible(root) {
		pages = append(pages, verbPage(verb))
	}
	return pages
}

// visible are the verbs a person is meant to use, but for those that cobra adds
// of its own when a command runs.
func visible(cmd *cobra.Command) []*cobra.Command {
	var verbs []*cobra.Command
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() && verb.Name() != "completion" {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

func rootPage(root *cobra.Command) Page {
	name := root.Name()
	page := Page{Name: name, About: root.Short}
	page.add("SYNOPSIS", bold(name)+" "+italic("VERB")+" [ARGUMENT...]\n")
	page.add("DESCRIPTION", prose(root.Long), prose(evsDescription))
	var verbs, see strings.Builder
	for _, verb := range visible(root) {
		verbs.WriteString(item(bold(name+" "+verb.Name()), capital(verb.Short)+"."))
		fmt.Fprintf(&see, "%s(8),\n", bold(name+"-"+verb.Name()))
	}
	page.add("VERBS", verbs.String())
	page.add("FILES", evsFiles())
	page.add("SEE ALSO", see.String(), "\\fBipvsadm\\fR(8), \\fBevs\\-ipvsadm\\fR(8)\n")
	return page
}

func verbPage(verb *cobra.Command) Page {
	root := verb.Root().Name()
	page := Page{Name: root + "-" + verb.Name(), About: small(verb.Short)}
	var synopsis, below strings.Builder
	for i, cmd := range tree(verb) {
		if i > 0 {
			synopsis.WriteString(".br\n")
			fmt.Fprintf(&below, ".SS %s\n%s", dashes(escape(usage(cmd))), strings.TrimPrefix(body(cmd), ".PP\n"))
		}
		synopsis.WriteString(bold(cmd.CommandPath()) + arguments(cmd) + "\n")
	}
	page.add("SYNOPSIS", synopsis.String())
	page.add("DESCRIPTION", text(verb))
	page.add("OPTIONS", flags(verb))
	page.add("VERBS", below.String())
	page.add("EXAMPLES", examples(verb))
	page.add("SEE ALSO", bold(root)+"(8), \\fBipvsadm\\fR(8)\n")
	return page
}

// tree is the command, if it does something by itself or has nothing below it,
// and everything visible below.
func tree(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, verb := range visible(cmd) {
		all = append(all, tree(verb)...)
	}
	return all
}

// usage is a command as it is typed, with its arguments.
func usage(cmd *cobra.Command) string {
	parent := ""
	if cmd.HasParent() {
		parent = cmd.Parent().CommandPath() + " "
	}
	return parent + cmd.Use
}

// arguments are the words behind the command, in roff.
func arguments(cmd *cobra.Command) string {
	_, words, _ := strings.Cut(cmd.Use, " ")
	switch {
	case words != "":
		return " " + dashes(escape(words))
	case len(visible(cmd)) > 0:
		return " " + italic("VERB")
	}
	return ""
}

// text explains a command: the long text if it has one.
func text(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return prose(cmd.Long)
	}
	return prose(capital(cmd.Short) + ".")
}

// body is all about a verb below a verb.
func body(cmd *cobra.Command) string {
	return text(cmd) + flags(cmd) + examples(cmd)
}

func examples(cmd *cobra.Command) string {
	if cmd.Example == "" {
		return ""
	}
	return verbatim(cmd.Example)
}

// flags lists the options of a command by name.
func flags(cmd *cobra.Command) string {
	var b strings.Builder
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, about := pflag.UnquoteUsage(f)
		tag := bold("--" + f.Name)
		if f.Shorthand != "" {
			tag = bold("-"+f.Shorthand) + ", " + tag
		}
		if value != "" {
			tag += " " + italic(value)
		}
		about = capital(strings.TrimSuffix(about, ".")) + "."
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "[]" {
			about += " Default: `" + f.DefValue + "`."
		}
		b.WriteString(item(tag, about))
	})
	return b.String()
}

// capital and small change the first letter, as sentences and lines of whatis
// begin differently.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func small(s string) string {
	if len(s) < 2 || s[1] != strings.ToLower(s)[1] {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
