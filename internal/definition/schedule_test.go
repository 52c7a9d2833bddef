package definition

// This file tests which schedules are accepted.

import (
	"strings"
	"testing"
	"time"

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

// TestNextRun holds when a run is due, and until when it may be where the zone is not known.
func TestNextRun(t *testing.T) {
	for _, c := range []struct{ schedule, zone, after, due, latest string }{
		{"*/15 * * * *", "", "2026-06-01T03:10:00Z", "2026-06-01T03:15:00Z", "2026-06-01T03:15:00Z"},
		{"0 3 * * *", "Etc/UTC", "2026-06-01T03:00:00Z", "2026-06-02T03:00:00Z", "2026-06-02T03:00:00Z"},
		{"0 3 * * *", "Europe/Copenhagen", "2026-06-01T03:00:00Z", "2026-06-02T01:00:00Z", "2026-06-02T01:00:00Z"},
		// Whatever the controller manager takes for 3 o'clock comes within a day, and an hour of daylight saving.
		{"0 3 * * *", "", "2026-06-01T03:00:00Z", "2026-06-02T03:00:00Z", "2026-06-02T04:00:00Z"},
		{"0 3,4 * * *", "", "2026-06-01T03:00:00Z", "2026-06-01T04:00:00Z", "2026-06-02T03:00:00Z"},
		{"0 0 30 2 *", "", "2026-06-01T03:00:00Z", "", ""},
		{"no schedule", "", "2026-06-01T03:00:00Z", "", ""},
		{"0 3 * * *", "Atlantis", "2026-06-01T03:00:00Z", "", ""},
	} {
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		due, latest := NextRun(c.schedule, c.zone, after)
		if is := said(due); is != c.due {
			t.Errorf("%q in %q after %s is due at %s", c.schedule, c.zone, c.after, is)
		}
		if is := said(latest); is != c.latest {
			t.Errorf("%q in %q after %s is due at %s at the latest", c.schedule, c.zone, c.after, is)
		}
	}
}

func said(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
