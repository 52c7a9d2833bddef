// What the operator asked of the API server about a story, line by line.

package story

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/law"
)

// Entries are requests, a line for each.
type Entries struct {
	// Writes that were carried out, or refused for another reason than a conflict.
	Writes []string
	// Conflicts are writes under a version that was no longer the newest: not carried
	// out, looked at again, written again.
	Conflicts []string
	// Reads went to the API server and not to the cache.
	Reads []string
}

// Ledger is a part of the audit log, from where it was opened.
type Ledger struct {
	world *World
	audit *law.AuditLog
}

// OpenLedger begins a ledger now.
func (w *World) OpenLedger() *Ledger {
	ginkgo.GinkgoHelper()
	audit, err := w.auditLog()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	gomega.Expect(audit).NotTo(gomega.BeNil(), "a cluster of our own has an audit log")
	return &Ledger{w, audit}
}

// Close waits until the operator rests and names each of its requests since the
// ledger was opened, those of events apart. Lists and watches that fill the caches
// are about all namespaces, so they are no part of a story's log.
func (l *Ledger) Close(ctx context.Context) Entries {
	ginkgo.GinkgoHelper()
	l.world.AwaitQuiet(ctx)
	requests, err := l.audit.Next()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	names := l.world.rolesOfNames(ctx)
	var entries Entries
	for _, r := range requests {
		line := lineOf(r, names)
		switch {
		case !r.Disturbs(), r.Object.Resource == "events":
		case !r.Writes():
			entries.Reads = append(entries.Reads, line)
		case r.Response.Code == http.StatusConflict:
			entries.Conflicts = append(entries.Conflicts, line)
		default:
			entries.Writes = append(entries.Writes, line)
		}
	}
	return entries
}

func lineOf(r law.Request, names map[string]string) string {
	resource := r.Object.Resource
	if r.Object.Subresource != "" {
		resource += "/" + r.Object.Subresource
	}
	name := r.Object.Name
	if role, ok := names[name]; ok {
		name = role
	}
	line := strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Verb, resource, name))
	if r.Response.Code >= http.StatusMultipleChoices {
		line += fmt.Sprintf(" (%d)", r.Response.Code)
	}
	return line
}

// rolesOfNames gives the jobs and requests that the operator named a name that is
// the same in every run: job 1 is the stream's first.
func (w *World) rolesOfNames(ctx context.Context) map[string]string {
	ginkgo.GinkgoHelper()
	names, jobs := map[string]string{}, map[types.UID]bool{}
	for _, v := range w.History(ctx).Versions {
		switch o := v.Object.(type) {
		case *batchv1.Job:
			if !jobs[o.UID] {
				jobs[o.UID] = true
				names[o.Name] = fmt.Sprintf("job-%d", len(jobs))
			}
		case *streamingv1.BackfillRequest:
			if o.Annotations[streamingv1.AnnotationMadeBy] == streamingv1.RequestInitial {
				names[o.Name] = "initial"
			}
		}
	}
	return names
}
