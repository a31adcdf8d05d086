package ipvsadm

// ParseRule reads one line of a rules file, with or without the name of the
// command in front. ok is false for a line that says nothing.
func ParseRule(text string, names Names) (op Operation, ok bool, err error) {
	args := ruleArgs(text)
	if len(args) == 0 {
		return Operation{}, false, nil
	}
	op, err = Parse(args, names)
	return op, err == nil, err
}
