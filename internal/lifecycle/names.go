package lifecycle

// This file names the rules for those who tell of them.

// Rules lists the names of all rules, in their order.
func Rules() []string {
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}
