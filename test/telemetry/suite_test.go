// Package telemetry_test proves metrics, dashboards and alerts: a real Prometheus
// scrapes the operator's own program, over a fleet of streams in all phases on a real
// API server, and every query of every panel and rule must say what a count by hand says.
package telemetry_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/prometheus"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestTelemetry(t *testing.T) {
	story.DependOn(t, "api", "cmd", "config", "internal", "webhooks")
	if _, err := prometheus.Tool("prometheus"); err != nil {
		t.Fatal(err)
	}
	// Here and not in the suite, which hides what its processes print: a first build takes minutes.
	if err := testbed.BuildAll(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(30 * time.Second)
	RunSpecs(t, "Telemetry")
}

var (
	stage *story.Stage
	// operator scrapes the operator, counted what is counted by hand.
	operator, counted *prometheus.Server
)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary, err := story.BuildOperator(ctx, GinkgoT().TempDir(), GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	stage = story.Raise(ctx, "telemetry")
	cluster := stage.Cluster
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	address, err := prometheus.FreeAddress(ctx)
	Expect(err).NotTo(HaveOccurred())
	process := &story.Process{
		Binary: binary, Kubeconfig: cluster.Kubeconfig(), Admission: admission,
		// The last of two flags of one name counts.
		Args:    []string{"--metrics-bind-address=" + address, "--metrics-secure=false"},
		LogFile: filepath.Join(cluster.Dir(), "logs", "arcane-operator.log"),
	}
	stage.Operator = process
	Expect(process.Start(ctx)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(process.Stop(ctx)).To(Succeed()) })

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
