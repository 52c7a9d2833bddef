// Package telemetry_test proves metrics, dashboards and alerts: a real Prometheus
// scrapes the operator's own program, over a fleet of streams in all phases on a real
// API server, and every query of every panel and rule must say what a count by hand says.
package telemetry_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/prometheus"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestTelemetry(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "internal", "webhooks")
	if _, err := prometheus.Tool("prometheus"); err != nil {
		t.Fatal(err)
	}
	// A Prometheus has to scrape, and its rules to be evaluated.
	SetDefaultEventuallyTimeout(30 * time.Second)
	RunSpecs(t, "Telemetry")
}

var (
	stage *story.Stage
	// operator scrapes the operator, counted what is counted by hand.
	operator, counted *prometheus.Server
)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary := story.Build(ctx)
	stage = story.Raise(ctx, "telemetry")
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	address, err := prometheus.FreeAddress(ctx)
	Expect(err).NotTo(HaveOccurred())
	process := stage.Employ(binary, admission, "--metrics-bind-address="+address, "--metrics-secure=false")
	Expect(process.Start(ctx)).To(Succeed())

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	hand := &http.Server{Handler: counter{stage.Client}, ReadHeaderTimeout: time.Second}
	go func() { _ = hand.Serve(listener) }()
	DeferCleanup(hand.Close)

	rules, err := prometheus.Load()
	Expect(err).NotTo(HaveOccurred())
	// Here an alert fires at once; that it waits is promtool's to prove.
	for _, group := range rules.Groups {
		for i := range group.Rules {
			group.Rules[i].For = ""
		}
	}
	operator = prometheusOf(ctx, address, rules)
	counted = prometheusOf(ctx, listener.Addr().String(), rules)
})

func prometheusOf(ctx context.Context, target string, rules prometheus.Groups) *prometheus.Server {
	GinkgoHelper()
	s, err := prometheus.Start(ctx, GinkgoT().TempDir(), target, rules)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(s.Stop)
	// Some seconds pass before it begins to scrape.
	Eventually(ctx, func(g Gomega) {
		up, err := s.Query(ctx, "sum(up)", time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(up).To(HaveKeyWithValue("{}", 1.0))
	}).Should(Succeed())
	return s
}
