// The operator's traces: of the real program, about requests to a real API server.

package integration_test

import (
	"net"
	"os"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/collector"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("The operator with --otlp-endpoint", func() {
	var w *story.World
	// runs lets a stream come to run, and ends the operator.
	runs := func(ctx SpecContext, endpoint string) *story.Process {
		GinkgoHelper()
		w = stage().Enter(ctx)
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		p := replica(w, "traced")
		p.Args = append(p.Args, "--otlp-endpoint="+endpoint)
		Expect(p.Start(ctx)).To(Succeed())
		w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(p.Stop(ctx)).To(Succeed())
		return p
	}

	It("tells of each reconcile, and of the requests in it, up to its end", func(ctx SpecContext) {
		there := collector.Start(GinkgoTB())
		runs(ctx, there.URL)

		var last collector.Span
		names := map[string]bool{}
		roots := map[string]bool{"": true}
		for _, s := range there.Spans() {
			roots[s.ID] = true
			names[s.Name] = true
			Expect(s.Resource).To(HaveKeyWithValue("service.name", "arcane-operator"))
			if s.Name == "reconcile stream" && s.Attributes["k8s.namespace.name"] == w.Namespace {
				last = s
			}
		}
		Expect(last.Attributes).To(And(HaveKeyWithValue("arcane.stream", "orders"), HaveKeyWithValue("arcane.phase", "Running"),
			HaveKey("arcane.rule"), HaveKey("arcane.reason"), HaveKey("arcane.reconcile_id")))
		Expect(names).To(And(HaveKey("create jobs"), HaveKey("patch streams/status"), HaveKey("reconcile streamclass")))
		for _, s := range there.Spans() {
			Expect(roots).To(HaveKey(s.Parent), "what %s belongs to has come too", s.Name)
			if strings.HasPrefix(s.Name, "reconcile ") {
				Expect(s.Parent).To(BeEmpty())
				continue
			}
			Expect(s.Parent).NotTo(BeEmpty(), "%s belongs to a reconcile", s)
			Expect(s.Name).NotTo(Or(ContainSubstring("orders"), ContainSubstring("leases"), ContainSubstring("events"), HavePrefix("watch")))
		}
	})

	It("runs on where nobody listens, and says so once", func(ctx SpecContext) {
		port, err := testbed.FreePort(ctx)
		Expect(err).NotTo(HaveOccurred())
		p := runs(ctx, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))

		log, err := os.ReadFile(p.LogFile)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(string(log), "traces do not arrive")).To(Equal(1))
	})
})
