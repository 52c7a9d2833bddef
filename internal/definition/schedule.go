package definition

// This file checks a schedule as Kubernetes checks that of a CronJob.

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// scheduleProblems are what is wrong with a schedule and its time zone. The
// rules are those of Kubernetes' validation of CronJobs, which would refuse the
// CronJob that is built from them.
func scheduleProblems(d Definition) []*Problem {
	if d.Schedule == "" {
		return nil
	}
	var all []*Problem
	for _, at := range []struct{ field, text string }{
		{"spec.schedule", scheduleText(d.Schedule)},
		{"spec.timeZone", timeZoneText(d.TimeZone)},
	} {
		if at.text != "" {
			all = append(all, &Problem{Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: at.field, Message: at.field + ": " + at.text})
		}
	}
	return all
}

func scheduleText(schedule string) string {
	if strings.Contains(schedule, "TZ") {
		return fmt.Sprintf("%q must not name a time zone; use spec.timeZone", schedule)
	}
	if _, err := cron.ParseStandard(schedule); err != nil {
		return fmt.Sprintf("%q is no cron expression of five fields, such as \"*/15 * * * *\": %v", schedule, err)
	}
	return ""
}

// zonePart is what stands between the slashes of a zone's name.
var zonePart = regexp.MustCompile(`^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}$`)

// zoneName tells whether Kubernetes would look up a zone of this name at all: a file
// system also finds Europe//Copenhagen and ./UTC.
func zoneName(zone string) bool {
	for part := range strings.SplitSeq(zone, "/") {
		if part == "." || part == ".." || !zonePart.MatchString(part) {
			return false
		}
	}
	return true
}

func timeZoneText(zone string) string {
	if zone == "" {
		return ""
	}
	if strings.EqualFold(zone, "Local") || !zoneName(zone) {
		return fmt.Sprintf("%q is no time zone of the IANA database; use a name such as Europe/Copenhagen", zone)
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return fmt.Sprintf("%q is no time zone of the IANA database (%v); use a name such as Europe/Copenhagen", zone, err)
	}
	return ""
}

// NextRun is when a schedule is due next after a time, read in UTC where it has no zone; zero
// where that never comes. The controller manager may run in another zone then: latest is the
// latest that any zone means. Offsets differ by quarters of an hour, from -12:00 to +14:00,
// and daylight saving may begin or end in between.
func NextRun(schedule, zone string, after time.Time) (due, latest time.Time) {
	every, err := cron.ParseStandard(schedule)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	at, err := time.LoadLocation(zone) // UTC where it is empty
	if err != nil {
		return time.Time{}, time.Time{}
	}
	due = every.Next(after.In(at))
	if zone != "" || due.IsZero() {
		return due, due
	}
	for offset := -12 * time.Hour; offset <= 14*time.Hour; offset += 15 * time.Minute {
		next := every.Next(after.In(time.FixedZone("", int(offset.Seconds()))))
		if next.After(latest) {
			latest = next
		}
	}
	if latest.Sub(after) > time.Hour {
		latest = latest.Add(time.Hour)
	}
	return due, latest
}
