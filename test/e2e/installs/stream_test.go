package installs_test

// This file is the stream under load: rows change in its table all the time, and nothing may touch its Job.

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// live is a stream of a table that is being written to.
type live struct {
	world    *story.World
	database *install.Database
	plugin   *install.Plugin
	stream   *streamingv1.Stream
	table    string
	batch    int
	// job and pod are those that stream; they must be so at every later look.
	job, pod types.UID
	writing  func() error
}

// goLive makes a stream and waits until it streams.
func goLive(ctx context.Context) *live {
	GinkgoHelper()
	w := stage.Open(ctx)
	l := &live{world: w, table: fmt.Sprintf("orders_%d", time.Now().UnixNano())}
	var err error
	l.database, err = install.Postgres(ctx, w.Cluster, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	l.plugin, err = install.PostgresPlugin(ctx, w.Cluster, l.database, w.Namespace, "postgres-of-"+w.Namespace)
	Expect(err).NotTo(HaveOccurred())
	_, err = l.database.Query(ctx, fmt.Sprintf(`CREATE TABLE %s (id bigint PRIMARY KEY, note text)`, l.table))
	Expect(err).NotTo(HaveOccurred())
	l.load(ctx)
	l.stream, err = l.plugin.Stream("orders", l.table)
	Expect(err).NotTo(HaveOccurred())
	w.Create(ctx, l.stream)
	pod := w.AwaitPod(ctx, l.stream.Name, streamingv1.ModeStream)
	w.AwaitPhase(ctx, l.stream.Name, streamingv1.StreamRunning)
	l.job, l.pod = pod.OwnerReferences[0].UID, pod.UID
	return l
}

// load writes until it is told to stop: it adds rows, changes some of those before and removes some.
func (l *live) load(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			l.batch++
			first := l.batch * 1000
			// One program a batch: the machine is busy enough.
			sql := fmt.Sprintf(`INSERT INTO %[1]s SELECT n, 'row ' || n FROM generate_series(%[2]d, %[2]d + 99) n; `+
				`UPDATE %[1]s SET note = 'changed in batch %[3]d' WHERE id %% 7 = %[3]d %% 7; DELETE FROM %[1]s WHERE id %% 11 = %[3]d %% 11`, l.table, first, l.batch)
			if _, err := l.database.Query(ctx, sql); err != nil && ctx.Err() == nil {
				ended <- err
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		ended <- nil
	}()
	l.writing = func() error {
		cancel()
		return <-ended
	}
	DeferCleanup(cancel)
}

// expectIntact asks that nothing was lost either: every row of the source is in the sink as it is there, those included
// that were written since the last look.
func (l *live) expectIntact(ctx context.Context) {
	GinkgoHelper()
	Expect(l.writing()).To(Succeed())
	Expect(l.batch).To(BeNumerically(">", 0))
	l.expectUntouched(ctx)
	Expect(l.plugin.Verify(ctx, l.stream, GinkgoWriter)).To(Succeed())
	l.expectUntouched(ctx)
	l.load(ctx)
}

// expectUntouched asks that all goes on as if nothing had happened: one Job, one pod, neither ever started again.
func (l *live) expectUntouched(ctx context.Context) {
	GinkgoHelper()
	w := l.world
	s := w.Stream(ctx, l.stream.Name)
	Expect(s.UID).To(Equal(l.stream.UID))
	Expect(s.Status.Phase).To(Equal(streamingv1.StreamRunning))
	var streaming []types.UID
	for _, job := range w.Jobs(ctx, l.stream.Name) {
		Expect(job.DeletionTimestamp).To(BeNil())
		if job.Status.Active > 0 {
			streaming = append(streaming, job.UID)
		}
	}
	Expect(streaming).To(Equal([]types.UID{l.job}), "the Job is the same")
	var running []types.UID
	for _, pod := range w.Pods(ctx, l.stream.Name) {
		if pod.Status.Phase != corev1.PodRunning {
			continue
		}
		running = append(running, pod.UID)
		Expect(pod.DeletionTimestamp).To(BeNil())
		Expect(pod.Status.ContainerStatuses).To(HaveLen(1))
		Expect(pod.Status.ContainerStatuses[0].RestartCount).To(BeZero())
	}
	Expect(running).To(Equal([]types.UID{l.pod}), "the pod is the same")
	Expect(w.Modes(ctx, l.stream.Name)).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}), "no other Job was ever started")
}

// expectServed makes a stream of its own, which only an operator that works can start.
func (l *live) expectServed(ctx context.Context, name string) {
	GinkgoHelper()
	l.world.Given(ctx, name, given.NoInitialBackfill)
	l.world.AwaitPhase(ctx, name, streamingv1.StreamRunning)
}

// leave ends the load and the witness, and removes the world.
func (l *live) leave(ctx context.Context) {
	GinkgoHelper()
	Expect(l.writing()).To(Succeed())
	l.world.Close(ctx)
}
