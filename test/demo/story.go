// The demo's story, chapter by chapter.

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/install"
)

// up is the whole demo.
func up(ctx context.Context, out *console) error {
	out.title("Setting up")
	d, err := setUp(ctx, out)
	if err != nil {
		return err
	}
	release, err := d.lock()
	if err != nil {
		return err
	}
	defer release()
	if err := d.forget(ctx); err != nil {
		return err
	}
	w, err := d.startWriters(ctx)
	if err != nil {
		return err
	}
	out.say("pgbench", "writes %d transactions a second from now on: inserts, updates, deletes", writesPerSecond)
	errStory := d.story(ctx)
	if err := errors.Join(errStory, w.stop()); err != nil {
		return err
	}
	out.title("The writers have stopped: is every row the same on both sides?")
	if err := d.verify(ctx); err != nil {
		return err
	}
	out.say("done", "after %s", since(out.started))
	d.tellNext()
	return nil
}

// story is what happens while pgbench writes.
func (d *demo) story(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := d.follow(ctx)
	for _, chapter := range []func(context.Context, *follower) error{d.begin, d.streaming, d.suspension, d.lostPod} {
		if err := chapter(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

//go:embed stream.yaml
var streamManifest []byte

// begin: a new stream backfills first, then streams.
func (d *demo) begin(ctx context.Context, f *follower) error {
	d.out.title("A stream is created: first a backfill, then the changes since")
	s := &streamingv1.Stream{}
	if err := yaml.UnmarshalStrict(streamManifest, s); err != nil {
		return fmt.Errorf("read stream.yaml: %w", err)
	}
	started := time.Now()
	d.out.say("we", "create stream/%s: table %s of PostgreSQL → JSON lines", s.Name, table)
	if err := d.api.Create(ctx, s); err != nil {
		return fmt.Errorf("create the stream: %w", err)
	}
	d.out.say("", "in %s", d.plugin.StreamFolder(s))
	telling, told := context.WithCancel(ctx)
	defer told()
	go d.tellBackfill(telling)
	if _, err := f.await(ctx, streamingv1.StreamBackfilling, time.Minute); err != nil {
		return err
	}
	if _, err := f.await(ctx, streamingv1.StreamRunning, 5*time.Minute); err != nil {
		return err
	}
	d.out.say("", "from creation to streaming: %s", since(started))
	return nil
}

// streaming: the sink follows the source.
func (d *demo) streaming(ctx context.Context, f *follower) error {
	d.out.title("It streams, while pgbench writes")
	s, err := f.seen()
	if err != nil {
		return err
	}
	if err := d.awaitCaughtUp(ctx, s); err != nil {
		return err
	}
	for range 3 {
		if err := d.tellLag(ctx, s); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// awaitCaughtUp waits until the sink has all that PostgreSQL has logged until now.
func (d *demo) awaitCaughtUp(ctx context.Context, s *streamingv1.Stream) error {
	now, err := d.database.Query(ctx, "SELECT pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	err = poll(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		behind, err := d.behind(ctx, s, "'"+now+"'")
		return behind <= 0, err
	})
	if err != nil {
		return fmt.Errorf("wait for the stream to catch up: %w\n%s", err, d.lastWords(ctx))
	}
	return nil
}

// tellLag says how far the sink is behind.
func (d *demo) tellLag(ctx context.Context, s *streamingv1.Stream) error {
	lag, err := d.behind(ctx, s, "pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	rows, err := d.count(ctx)
	if err != nil {
		return err
	}
	d.out.say("lag", "%-11s of PostgreSQL's log not yet in the sink; the table has %s rows now", size(lag), thousands(rows))
	return nil
}

// suspension: nothing of the stream runs, and nothing is lost.
func (d *demo) suspension(ctx context.Context, f *follower) error {
	d.out.title("Suspended: pgbench writes on, and nothing is lost")
	if err := d.suspend(ctx, true); err != nil {
		return err
	}
	s, err := f.await(ctx, streamingv1.StreamSuspended, time.Minute)
	if err != nil {
		return err
	}
	pods, err := d.podsOf(ctx, s.Name)
	if err != nil {
		return err
	}
	alive := slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	d.out.say("pods", "of the stream that are alive: %d", len(alive))
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := d.tellLag(ctx, s); err != nil {
		return err
	}
	started := time.Now()
	if err := d.suspend(ctx, false); err != nil {
		return err
	}
	if _, err := f.await(ctx, streamingv1.StreamRunning, time.Minute); err != nil {
		return err
	}
	if err := d.awaitCaughtUp(ctx, s); err != nil {
		return err
	}
	d.out.say("", "from resume until the sink had all of it: %s; no backfill was needed", since(started))
	return d.tellLag(ctx, s)
}

func (d *demo) suspend(ctx context.Context, suspended bool) error {
	s := &streamingv1.Stream{}
	s.Namespace, s.Name = namespace, streamName
	patch := fmt.Appendf(nil, `{"spec":{"suspended":%t}}`, suspended)
	d.out.say("we", "patch stream/%s: spec.suspended: %t", streamName, suspended)
	if err := d.api.Patch(ctx, s, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("set spec.suspended to %t: %w", suspended, err)
	}
	return nil
}

// lostPod: somebody deletes the pod, as a drained node would.
func (d *demo) lostPod(ctx context.Context, f *follower) error {
	d.out.title("Its pod is deleted, as a drained node would")
	victim, err := d.awaitPod(ctx, "")
	if err != nil {
		return err
	}
	s, err := f.seen()
	if err != nil {
		return err
	}
	started := time.Now()
	d.out.say("we", "delete pod/%s", victim.Name)
	if err := d.api.Delete(ctx, victim); err != nil {
		return fmt.Errorf("delete the stream's pod: %w", err)
	}
	heir, err := d.awaitPod(ctx, victim.UID)
	if err != nil {
		return err
	}
	d.out.say("pods", "%s runs now, after %s", heir.Name, since(started))
	if err := d.awaitCaughtUp(ctx, s); err != nil {
		return err
	}
	return d.tellLag(ctx, s)
}

// awaitPod waits for a running pod of the stream that is none of the former one.
func (d *demo) awaitPod(ctx context.Context, former types.UID) (*corev1.Pod, error) {
	var found *corev1.Pod
	err := poll(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		pods, err := d.podsOf(ctx, streamName)
		if err != nil {
			return false, err
		}
		for i := range pods {
			if p := &pods[i]; p.UID != former && p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
				found = p
			}
		}
		return found != nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for a running pod of the stream: %w\n%s", err, d.lastWords(ctx))
	}
	return found, nil
}

// verify compares both sides and says so.
func (d *demo) verify(ctx context.Context) error {
	s := &streamingv1.Stream{}
	err := d.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: streamName}, s)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no stream %s to compare; create it with: kubectl apply -f test/demo/stream.yaml", streamName)
	}
	if err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	err = d.plugin.Verify(ctx, s, d.out.lines("verify"))
	if errors.Is(err, install.ErrDiffer) {
		return fmt.Errorf("SOURCE AND SINK DIFFER: the rows above are not the same in table %s and in %s", table, d.plugin.StreamFolder(s))
	}
	if err != nil {
		return fmt.Errorf("compare source and sink: %w", err)
	}
	d.out.say("verify", "every row of the table equals backfill + changes")
	return nil
}

func pause(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
