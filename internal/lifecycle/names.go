package lifecycle

// This file names the rules for those who tell of them.

import (
	"slices"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Rules lists the names of all rules, in their order.
func Rules() []string {
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// Stops tells whether a reason is that of a rule that stops what runs.
func Stops(reason v1.Reason) bool {
	return slices.ContainsFunc(rules, func(r rule) bool {
		return r.reason == reason && (slices.Contains(r.do, DeleteJob) || slices.Contains(r.do, DeleteCron) || slices.Contains(r.do, PauseCron))
	})
}
