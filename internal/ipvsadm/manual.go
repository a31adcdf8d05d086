package ipvsadm

// OptionInfo is what a manual needs to know of an option.
type OptionInfo struct {
	Long  string // without the dashes; "" if there is only a short form
	Short string // likewise
	// TakesArgument tells whether an argument follows, and ArgumentOptional
	// whether it may be left out.
	TakesArgument    bool
	ArgumentOptional bool
	IsCommand        bool
	// Command is the long name of the command that the option is.
	Command string
	// With are the long names of the commands the option goes with, in the
	// order of the table; nil if it goes with all.
	With []string
}

// Options describes every option of the language, in the order of its table.
func Options() []OptionInfo {
	var infos []OptionInfo
	for _, o := range options {
		info := OptionInfo{
			Long:             o.long,
			TakesArgument:    o.arg != bare || o.command == SetTimeouts,
			ArgumentOptional: o.arg == perhaps,
			IsCommand:        o.isCommand,
		}
		if o.short != 0 {
			info.Short = string(rune(o.short))
		}
		if o.isCommand {
			info.Command = commandName(o.command)
		} else if o.group != none {
			info.With = commandsWith(o.group)
		}
		infos = append(infos, info)
	}
	return infos
}

// commandName is the long option of a command.
func commandName(c Command) string {
	for _, o := range options {
		if o.isCommand && o.command == c && o.long != "" {
			return o.long
		}
	}
	return ""
}

// commandsWith names the commands whose rule has a place for the group.
func commandsWith(g group) []string {
	var names []string
	for _, o := range options {
		r := rules[o.command]
		if o.isCommand && o.long != "" && (r.needs | r.takes | r.oneOf).has(g) {
			names = append(names, o.long)
		}
	}
	return names
}
