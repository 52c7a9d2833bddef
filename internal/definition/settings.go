package definition

// This file fills in the defaults of a stream's settings.

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// The defaults that the API's documentation promises.
const (
	DefaultMaxRestarts    int32 = 5
	DefaultBackoffInitial       = 10 * time.Second
	DefaultBackoffMax           = 10 * time.Minute
	DefaultHealthyAfter         = 10 * time.Minute
)

// RestartOf is what a spec says of restarts, with the defaults filled in; it may be nil.
func RestartOf(spec *v1.RestartSpec) Restart {
	r := Restart{
		Policy:       v1.RestartNever,
		MaxRestarts:  DefaultMaxRestarts,
		Initial:      DefaultBackoffInitial,
		Max:          DefaultBackoffMax,
		HealthyAfter: DefaultHealthyAfter,
	}
	if spec == nil {
		return r
	}
	if spec.Policy != "" {
		r.Policy = spec.Policy
	}
	if spec.MaxRestarts != nil {
		r.MaxRestarts = *spec.MaxRestarts
	}
	r.HealthyAfter = duration(spec.HealthyAfter, r.HealthyAfter)
	if spec.Backoff == nil {
		return r
	}
	r.Initial = duration(spec.Backoff.Initial, r.Initial)
	r.Max = duration(spec.Backoff.Max, r.Max)
	// One of the two may be the default that the other one passes: the one that
	// the user wrote holds.
	if r.Initial > r.Max && spec.Backoff.Initial == nil {
		r.Initial = r.Max
	}
	r.Max = max(r.Initial, r.Max)
	return r
}

// duration is the user's value, or the default where it is absent or makes no sense.
func duration(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil || d.Duration <= 0 {
		return otherwise
	}
	return d.Duration
}

// BackfillOf is what a spec says of backfills, with the defaults filled in; it may be nil.
func BackfillOf(spec *v1.BackfillSpec) Backfill {
	b := Backfill{OnSpecChange: v1.OnSpecChangeFinish}
	if spec == nil {
		return b
	}
	b.Initial = spec.Initial
	if spec.OnSpecChange != "" {
		b.OnSpecChange = spec.OnSpecChange
	}
	return b
}
