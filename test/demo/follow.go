// Following the stream: each change of its phase is said when it comes, and the
// story waits for what it saw.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// follower knows the stream as the last event of the watch showed it.
type follower struct {
	demo *demo
	mu   sync.Mutex
	last *streamingv1.Stream
	err  error
}

// follow watches the stream until ctx ends.
func (d *demo) follow(ctx context.Context) *follower {
	f := &follower{demo: d}
	go func() {
		for ctx.Err() == nil {
			err := f.watch(ctx)
			f.mu.Lock()
			f.err = err
			f.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return f
}

// watch ends with an error, or when the API server closes the watch.
func (f *follower) watch(ctx context.Context) error {
	w, err := f.demo.api.Watch(ctx, &streamingv1.StreamList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": streamName})
	if err != nil {
		return fmt.Errorf("watch the stream: %w", err)
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if s, ok := event.Object.(*streamingv1.Stream); ok {
			f.see(s)
		}
	}
	return nil
}

func (f *follower) see(s *streamingv1.Stream) {
	f.mu.Lock()
	before := f.last
	f.last = s
	f.mu.Unlock()
	if s.Status.Phase == "" || (before != nil && before.Status.Phase == s.Status.Phase && sentence(before) == sentence(s)) {
		return
	}
	f.demo.out.say("Stream", "%-11s  %s", s.Status.Phase, sentence(s))
}

// sentence is why the stream is in its phase.
func sentence(s *streamingv1.Stream) string {
	if ready := meta.FindStatusCondition(s.Status.Conditions, streamingv1.ConditionReady); ready != nil {
		return ready.Message
	}
	return ""
}

func (f *follower) seen() (*streamingv1.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.err
}

// await waits for a phase that the operator has reached with the present spec. A
// failed stream ends the demo.
func (f *follower) await(ctx context.Context, phase streamingv1.StreamPhase, patience time.Duration) (*streamingv1.Stream, error) {
	var s *streamingv1.Stream
	err := poll(ctx, patience, func(context.Context) (bool, error) {
		var err error
		if s, err = f.seen(); err != nil || s == nil {
			return false, err
		}
		if s.Status.Phase == streamingv1.StreamFailed {
			return false, errors.New("the stream has failed (see above)")
		}
		return s.Status.Phase == phase && s.Status.ObservedGeneration == s.Generation, nil
	})
	if err != nil {
		return s, fmt.Errorf("wait for the stream to be %s: %w\n%s", phase, err, f.demo.lastWords(ctx))
	}
	return s, nil
}

// podsOf lists the pods of a stream, the oldest first.
func (d *demo) podsOf(ctx context.Context, stream string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := d.api.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{
		streamingv1.LabelStreamID: stream, streamingv1.LabelManagedBy: streamingv1.ManagedBy,
	})
	if err != nil {
		return nil, fmt.Errorf("list the stream's pods: %w", err)
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return pods.Items, nil
}

// tail is the end of a pod's log.
func (d *demo) tail(ctx context.Context, pod string, lines int64) (string, error) {
	raw, err := d.pods.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{TailLines: ptr.To(lines)}).DoRaw(ctx)
	if err != nil {
		return "", fmt.Errorf("read the log of pod %s: %w", pod, err)
	}
	return strings.TrimRight(string(raw), "\n"), nil
}

// lastWords is what helps when the stream is not where it should be: the end of its
// newest pod's log, and where to look on.
func (d *demo) lastWords(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	text := "Look at: " + d.kubectl() + " describe stream " + streamName
	pods, err := d.podsOf(ctx, streamName)
	if err != nil || len(pods) == 0 {
		return text
	}
	pod := pods[len(pods)-1].Name
	if log, err := d.tail(ctx, pod, 10); err == nil {
		text = fmt.Sprintf("The end of the log of pod %s:\n%s\n%s", pod, log, text)
	}
	return text
}

// progressLine is a line of the plugin's log, as far as the demo reads it.
type progressLine struct {
	Message string `json:"msg"`
	Rows    int64  `json:"rows"`
	Bytes   int64  `json:"bytes"`
	Files   int64  `json:"files"`
}

// lastProgress finds the newest line with that message in a log.
func lastProgress(log string, messages ...string) (found progressLine, ok bool) {
	lines := bufio.NewScanner(bytes.NewReader([]byte(log)))
	for lines.Scan() {
		var line progressLine
		if json.Unmarshal(lines.Bytes(), &line) == nil && slices.Contains(messages, line.Message) {
			found, ok = line, true
		}
	}
	return found, ok
}

// tellBackfill says how many rows the backfill has written, from its pod's log,
// until ctx ends.
func (d *demo) tellBackfill(ctx context.Context) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	var told int64
	for ctx.Err() == nil {
		// Where the log cannot be read, the backfill has not started, or the story itself
		// meets the error and tells it.
		if line, ok := d.backfillProgress(ctx); ok && line.Rows > told {
			told = line.Rows
			d.out.say("backfill", "%s rows written (%s)", thousands(line.Rows), size(line.Bytes))
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (d *demo) backfillProgress(ctx context.Context) (found progressLine, ok bool) {
	pods, err := d.podsOf(ctx, streamName)
	if err != nil {
		return found, false
	}
	for _, pod := range pods {
		if pod.Labels[streamingv1.LabelBackfilling] != "true" {
			continue
		}
		if log, err := d.tail(ctx, pod.Name, 20); err == nil {
			found, ok = lastProgress(log, "progress", "backfill complete")
		}
	}
	return found, ok
}
