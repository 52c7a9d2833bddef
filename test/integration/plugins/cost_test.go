package plugins_test

// This file counts what StreamPlugins cost the API server, request by request.

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/law"
)

// asked are the operator's requests in a log, but those of its Lease, of its events, of its webhooks, and those that only
// keep a watch open.
func asked(log *law.AuditLog) []law.Request {
	GinkgoHelper()
	all, err := log.Next()
	Expect(err).NotTo(HaveOccurred())
	return slices.DeleteFunc(all, func(r law.Request) bool { return !r.Disturbs() || r.Object.Resource == "events" })
}

// line is a request without names that differ from run to run.
func line(r law.Request) string {
	resource := r.Object.Resource
	if r.Object.Subresource != "" {
		resource += "/" + r.Object.Subresource
	}
	if resource == "" {
		path, _, _ := strings.Cut(r.URI, "?")
		return r.Verb + " " + path
	}
	return r.Verb + " " + resource
}

func lines(requests []law.Request) []string {
	var all []string
	for _, r := range requests {
		all = append(all, line(r))
	}
	return all
}

var _ = Describe("The requests for StreamPlugins", Serial, func() {
	BeforeEach(func(ctx SpecContext) {
		// Those of earlier specs go with their namespaces.
		Eventually(ctx, func(g Gomega) {
			var list streamingv1.StreamPluginList
			g.Expect(stage.Client.List(ctx, &list)).To(Succeed())
			g.Expect(list.Items).To(BeEmpty())
		}).WithTimeout(stage.Patience).Should(Succeed())
	})

	It("are none while there is none", func(ctx SpecContext) {
		log, err := law.NewAuditLog(stage.Cluster.AuditLog(), "")
		Expect(err).NotTo(HaveOccurred())
		awaitQuiet(ctx)
		_ = asked(log)
		// Time is what is being waited for here: the fact is that nothing happens in it.
		<-time.After(3 * period)
		Expect(lines(asked(log))).To(BeEmpty())
	})

	It("are eight reads in a period, and no write", func(ctx SpecContext) {
		w := enter(ctx)
		w.install(ctx)
		log, err := law.NewAuditLog(stage.Cluster.AuditLog(), "")
		Expect(err).NotTo(HaveOccurred())
		var seen []law.Request
		releasesRead := func() (at []int) {
			for i, r := range seen {
				if line(r) == "list configmaps" {
					at = append(at, i)
				}
			}
			return at
		}
		Eventually(ctx, func() int {
			seen = append(seen, asked(log)...)
			return len(releasesRead())
		}).WithTimeout(10 * period).Should(BeNumerically(">=", 4))
		at := releasesRead()
		// The first period may still see what the installation left to do.
		for i := 1; i+1 < len(at); i++ {
			period := lines(seen[at[i]:at[i+1]])
			slices.Sort(period)
			Expect(period).To(Equal([]string{
				"get /apis/monitoring.coreos.com/v1", // whether there are PodMonitors
				"get configmaps",
				"get networkpolicies",
				"get serviceaccounts",
				"get streamclasses",
				"get streamingjobtemplates", "get streamingjobtemplates",
				"list configmaps", // the release
			}))
		}
	})

	It("never list or watch Secrets but the one of the webhooks", func(ctx SpecContext) {
		w := enter(ctx)
		p := w.install(ctx)
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		all, err := whole.Next()
		Expect(err).NotTo(HaveOccurred())
		Expect(all).NotTo(BeEmpty())
		for _, r := range all {
			if !r.ByOperator() || r.Object.Resource != "secrets" {
				continue
			}
			Expect(r.Object.Namespace).To(Equal("arcane-system"), "%s", r)
			Expect(r.Object.Name == "arcane-webhook-certificate" || strings.Contains(r.URI, "fieldSelector=metadata.name%3Darcane-webhook-certificate")).
				To(BeTrue(), "%s", r)
		}
	})
})

// awaitQuiet waits until the operator rests.
func awaitQuiet(ctx context.Context) {
	GinkgoHelper()
	log, err := law.NewAuditLog(stage.Cluster.AuditLog(), "")
	Expect(err).NotTo(HaveOccurred())
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	Expect(law.AwaitQuiet(limited, log, period)).To(Succeed())
}
