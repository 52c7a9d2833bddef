package definition

// This file tests which schedules are accepted.

import (
	"strings"
	"testing"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestSchedules(t *testing.T) {
	for _, c := range []struct{ schedule, zone, field, says string }{
		{schedule: ""},
		{schedule: "*/15 * * * *"},
		{schedule: "0 3 * * 1-5", zone: "Europe/Copenhagen"},
		{schedule: "@hourly", zone: "UTC"},
		{schedule: "@every 5m"},
		{"61 * * * *", "", "spec.schedule", `"61 * * * *" is no cron expression`},
		{"* * * *", "", "spec.schedule", "five fields"},
		{"0 0 3 * * *", "", "spec.schedule", "five fields"},
		{"CRON_TZ=UTC * * * * *", "", "spec.schedule", "use spec.timeZone"},
		{"TZ=UTC * * * * *", "", "spec.schedule", "use spec.timeZone"},
		{"* * * * *", "Atlantis", "spec.timeZone", `"Atlantis" is no time zone`},
		{"* * * * *", "local", "spec.timeZone", "IANA"},
		{"* * * * *", "Europe//Copenhagen", "spec.timeZone", "IANA"},
		{"* * * * *", "./UTC", "spec.timeZone", "IANA"},
		{"* * * * *", "../../etc/passwd", "spec.timeZone", "IANA"},
	} {
		var p *Problem
		if all := scheduleProblems(Definition{Schedule: c.schedule, TimeZone: c.zone}); len(all) > 0 {
			p = all[0]
		}
		switch {
		case c.field == "" && p != nil:
			t.Errorf("%q in %q: %s", c.schedule, c.zone, p.Message)
		case c.field == "":
		case p == nil:
			t.Errorf("%q in %q is accepted", c.schedule, c.zone)
		case p.Field != c.field || p.Kind != v1.KindStream || !strings.HasPrefix(p.Message, c.field+": ") || !strings.Contains(p.Message, c.says):
			t.Errorf("%q in %q: %s: %s", c.schedule, c.zone, p.Field, p.Message)
		}
	}
}
