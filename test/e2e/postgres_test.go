// Scenarios 1, 3 and 4 with a plugin that moves data: in the end every row of the
// table must be in the sink as it is in the source.

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("On a node with the postgres plugin, a stream of a table", func() {
	var (
		w        *story.World
		database *install.Database
		plugin   *install.Plugin
		stream   *streamingv1.Stream
		table    string
		batch    int
	)
	query := func(ctx context.Context, sql string) {
		GinkgoHelper()
		_, err := database.Query(ctx, sql)
		Expect(err).NotTo(HaveOccurred())
	}
	// write adds rows, changes some of those before and removes some: what a sink
	// could lose or see twice.
	write := func(ctx context.Context) {
		GinkgoHelper()
		batch++
		first := batch * 1000
		query(ctx, fmt.Sprintf(`INSERT INTO %s SELECT n, 'row ' || n FROM generate_series(%d, %d) n`, table, first, first+999))
		query(ctx, fmt.Sprintf(`UPDATE %s SET note = 'changed in batch %d' WHERE id %% 7 = %d`, table, batch, batch%7))
		query(ctx, fmt.Sprintf(`DELETE FROM %s WHERE id %% 11 = %d`, table, batch%11))
	}
	// expectEqual compares source and sink. The plugin's command waits until the sink
	// has what the source has now.
	expectEqual := func(ctx context.Context) {
		GinkgoHelper()
		Expect(plugin.Verify(ctx, stream, GinkgoWriter)).To(Succeed())
	}
	awaitRunning := func(ctx context.Context) {
		GinkgoHelper()
		w.AwaitPod(ctx, stream.Name, streamingv1.ModeStream)
		w.AwaitPhase(ctx, stream.Name, streamingv1.StreamRunning)
	}

	// marks are the termination messages of pods of a mode that have succeeded.
	marks := func(ctx context.Context, backfill bool) []string {
		GinkgoHelper()
		messages := map[types.UID]string{}
		for _, v := range w.History(ctx).Versions {
			p, ok := v.Object.(*corev1.Pod)
			if !ok || p.Labels[streamingv1.LabelBackfilling] != fmt.Sprint(backfill) || p.Status.Phase != corev1.PodSucceeded {
				continue
			}
			messages[p.UID] = p.Status.ContainerStatuses[0].State.Terminated.Message
		}
		return slices.Collect(maps.Values(messages))
	}

	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		var err error
		database, err = install.Postgres(ctx, w.Cluster, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		theEyes.hide(database.Password())
		plugin, err = install.PostgresPlugin(ctx, w.Cluster, database, w.Namespace, "postgres-of-"+w.Namespace)
		Expect(err).NotTo(HaveOccurred())
		table, batch = fmt.Sprintf("orders_%d", GinkgoRandomSeed()+int64(CurrentSpecReport().LeafNodeLocation.LineNumber)), 0
		query(ctx, fmt.Sprintf(`CREATE TABLE %s (id bigint PRIMARY KEY, note text)`, table))
		write(ctx)
		stream, err = plugin.Stream("orders", table)
		Expect(err).NotTo(HaveOccurred())
		w.Create(ctx, stream)
	})
	AfterEach(func(ctx SpecContext) {
		// A slot that nobody reads keeps the source's log for ever.
		w.Suspend(ctx, stream.Name)
		w.AwaitPhase(ctx, stream.Name, streamingv1.StreamSuspended)
		Expect(plugin.Cleanup(ctx, stream)).To(Succeed())
	})

	It("backfills and then streams, and loses no row", func(ctx SpecContext) {
		write(ctx)
		awaitRunning(ctx)
		write(ctx)
		expectEqual(ctx)
		Expect(w.Modes(ctx, stream.Name)).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
		Expect(marks(ctx, true)).To(Equal([]string{streamingv1.DefaultTerminationMessage}), "its class declares that this marks a completion")
	})

	It("stops when I suspend it, and catches up when I resume it", func(ctx SpecContext) {
		awaitRunning(ctx)
		w.Suspend(ctx, stream.Name)
		w.AwaitPhase(ctx, stream.Name, streamingv1.StreamSuspended)
		Expect(marks(ctx, false)).To(Equal([]string{""}), "a streaming job has nothing to complete")
		write(ctx)
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, stream.Name)).To(HaveLen(2), "nothing may start it again")
		w.Resume(ctx, stream.Name)
		awaitRunning(ctx)
		expectEqual(ctx)
	})

	It("is backfilled again when I ask for it, while rows change", func(ctx SpecContext) {
		awaitRunning(ctx)
		write(ctx)
		w.Request(ctx, "again", stream.Name)
		write(ctx)
		w.AwaitCompleted(ctx, "again")
		write(ctx)
		awaitRunning(ctx)
		write(ctx)
		expectEqual(ctx)
		Expect(w.Modes(ctx, stream.Name)).To(Equal([]streamingv1.Mode{
			streamingv1.ModeBackfill, streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeStream,
		}))
	})
})
