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
