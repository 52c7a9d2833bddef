// I5: with nothing changing, the operator asks nothing.

package law

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// AwaitQuiet returns when the operator has asked nothing about the log's namespace
// for a whole period. Where it does not come to rest before the context ends, the
// error shows its last requests.
func AwaitQuiet(ctx context.Context, log *AuditLog, period time.Duration) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var noise []Request
	since := time.Now()
	for {
		requests, err := log.Next()
		if err != nil {
			return err
		}
		for _, r := range requests {
			if r.Disturbs() {
				noise, since = append(noise, r), time.Now()
			}
		}
		if time.Since(since) >= period {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("I5 quiet when done: the operator never rested for %s; its last requests:\n%s", period, lastOf(noise))
		case <-ticker.C:
		}
	}
}

// Disturbs tells whether a request shows that the operator is not at rest. Leases
// are renewed and watches reopened for as long as it lives, and what its webhooks try
// is somebody else's doing.
func (r Request) Disturbs() bool {
	return r.ByOperator() && !r.Tries() && r.Verb != "watch" && r.Object.Resource != "leases"
}

func lastOf(noise []Request) string {
	const shown = 20
	var lines []string
	for _, r := range noise[max(0, len(noise)-shown):] {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}
