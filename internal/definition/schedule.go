package definition

// This file checks a schedule as Kubernetes checks that of a CronJob.

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// scheduleProblem is what is wrong with a schedule or its time zone, or nil. The
// rules are those of Kubernetes' validation of CronJobs, which would refuse the
// CronJob that is built from them.
func scheduleProblem(d Definition) *Problem {
	invalid := func(field, text string) *Problem {
		return &Problem{Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: field, Message: field + ": " + text}
	}
	if d.Schedule == "" {
		return nil
	}
	if strings.Contains(d.Schedule, "TZ") {
		return invalid("spec.schedule", fmt.Sprintf("%q must not name a time zone; use spec.timeZone", d.Schedule))
	}
	if _, err := cron.ParseStandard(d.Schedule); err != nil {
		return invalid("spec.schedule", fmt.Sprintf("%q is no cron expression of five fields, such as \"*/15 * * * *\": %v", d.Schedule, err))
	}
	if d.TimeZone == "" {
		return nil
	}
	if strings.EqualFold(d.TimeZone, "Local") {
		return invalid("spec.timeZone", fmt.Sprintf("%q is no time zone of the IANA database; use a name such as Europe/Copenhagen", d.TimeZone))
	}
	if _, err := time.LoadLocation(d.TimeZone); err != nil {
		return invalid("spec.timeZone", fmt.Sprintf("%q is no time zone of the IANA database (%v); use a name such as Europe/Copenhagen", d.TimeZone, err))
	}
	return nil
}
