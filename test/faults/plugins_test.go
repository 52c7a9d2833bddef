// The operator dies at each of its writes in the life of a StreamPlugin, before or after it, and the next one comes to the
// same end. These scenarios have no Streams, so they are told apart from the others.

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/operator"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// errDead is what a dead operator hears.
var errDead = errors.New("this operator is dead")

// line is one operator's connection. It breaks at the aim-th write, counted from 1; zero never breaks.
type line struct {
	next http.RoundTripper
	aim  int
	how  mode

	mu     sync.Mutex
	writes []string
	broken chan struct{}
}

func newLine(aim int, how mode) *line { return &line{aim: aim, how: how, broken: make(chan struct{})} }

// RoundTrip passes a request on, as long as the operator lives.
func (l *line) RoundTrip(q *http.Request) (*http.Response, error) {
	fatal, dead := l.count(q)
	if dead || fatal && l.how == dropped {
		return nil, errDead
	}
	response, err := l.next.RoundTrip(q)
	if fatal {
		if err == nil {
			err = response.Body.Close()
		}
		return nil, errors.Join(errDead, err)
	}
	return response, err
}

// count notes a write. It is fatal where it is the one aimed at; dead is what comes after that.
func (l *line) count(q *http.Request) (fatal, dead bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.writes) == l.aim && l.aim > 0 {
		return false, true
	}
	if q.Method == http.MethodGet || strings.Contains(q.URL.Path, "/events.k8s.io/") || dryRun(q.URL) {
		return false, false
	}
	l.writes = append(l.writes, q.Method+" "+q.URL.Path)
	if len(l.writes) != l.aim {
		return false, false
	}
	close(l.broken)
	return true, false
}

func dryRun(u *url.URL) bool { return u.Query().Has("dryRun") }

// helmHalf is a manager that serves the StreamPlugins of one namespace.
func helmHalf(ctx context.Context, namespace string, over *line) (*life, error) {
	cfg, err := ground.Cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	cfg = operator.Connection(cfg, "faults")
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		over.next = next
		return over
	})
	o, err := operator.Options()
	if err != nil {
		return nil, err
	}
	o.Cache.ByObject[&streamingv1.StreamPlugin{}] = cache.ByObject{Namespaces: map[string]cache.Config{namespace: {}}}
	o.Metrics = metricsserver.Options{BindAddress: "0"}
	o.Controller.SkipNameValidation = ptr.To(true)
	o.Logger = logr.Discard()
	mgr, err := ctrl.NewManager(cfg, o)
	if err != nil {
		return nil, fmt.Errorf("make a manager: %w", err)
	}
	chart, err := pluginchart.Load()
	if err != nil {
		return nil, err
	}
	chart.Period = time.Second
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if err := operator.RegisterPlugins(ctx, mgr, metav1.NamespaceDefault, chart, nil); err != nil {
		cancel()
		return nil, err
	}
	l := &life{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.err = mgr.Start(ctx)
	}()
	return l, nil
}

// tale is the life of one StreamPlugin.
type tale struct {
	namespace, class string
	plugin           *streamingv1.StreamPlugin
}

// await polls until a fact holds, and returns what kept it from holding.
func await(ctx context.Context, fact func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = fact(ctx)
		return last == nil, nil
	})
	return errors.Join(err, last)
}

// installed waits until the present generation is installed, and holds what the status names to what there is.
func (t *tale) installed(ctx context.Context, concurrent *int32) error {
	return await(ctx, func(ctx context.Context) error {
		p := t.plugin
		if err := ground.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if p.Status.ObservedGeneration != p.Generation || !meta.IsStatusConditionTrue(p.Status.Conditions, streamingv1.ConditionReady) {
			return fmt.Errorf("it is not Ready: %+v", p.Status.Conditions)
		}
		for _, o := range p.Status.Objects {
			live, err := t.find(ctx, o)
			if err != nil {
				return err
			}
			if live.GetUID() != o.UID {
				return fmt.Errorf("the status names %s %s with UID %s, it is %s", o.Kind, o.Name, o.UID, live.GetUID())
			}
		}
		class := &streamingv1.StreamClass{}
		if err := ground.Client.Get(ctx, client.ObjectKey{Name: t.class}, class); err != nil {
			return err
		}
		if got := class.Spec.Backfill; (got == nil) != (concurrent == nil) || got != nil && *got.MaxConcurrent != *concurrent {
			return fmt.Errorf("the class's backfill is %+v", got)
		}
		return nil
	})
}

func (t *tale) find(ctx context.Context, o streamingv1.PluginObject) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	key := client.ObjectKey{Name: o.Name}
	if o.Kind != streamingv1.KindStreamClass {
		key.Namespace = t.namespace
	}
	return live, ground.Client.Get(ctx, key, live)
}

// removed waits until the StreamPlugin is gone, and looks for what it has left.
func (t *tale) removed(ctx context.Context) error {
	err := await(ctx, func(ctx context.Context) error {
		err := ground.Client.Get(ctx, client.ObjectKeyFromObject(t.plugin), &streamingv1.StreamPlugin{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("the StreamPlugin is still there"), err)
	})
	for _, o := range t.plugin.Status.Objects {
		if _, there := t.find(ctx, o); !apierrors.IsNotFound(there) {
			err = errors.Join(err, fmt.Errorf("%s %s is left: %w", o.Kind, o.Name, there))
		}
	}
	var releases corev1.ConfigMapList
	listed := ground.Client.List(ctx, &releases, client.InNamespace(metav1.NamespaceDefault), client.MatchingLabels{"owner": "helm", "name": pluginchart.ReleaseName(t.plugin)})
	if len(releases.Items) > 0 {
		listed = errors.Join(listed, fmt.Errorf("%d revisions of the release are left", len(releases.Items)))
	}
	return errors.Join(err, listed)
}

// tell installs, upgrades and deletes a StreamPlugin.
func (t *tale) tell(ctx context.Context) error {
	if err := ground.Client.Create(ctx, t.plugin); err != nil {
		return err
	}
	if err := t.installed(ctx, nil); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	before := t.plugin.DeepCopy()
	t.plugin.Spec.MaxConcurrent = ptr.To(int32(2))
	if err := ground.Client.Patch(ctx, t.plugin, client.MergeFrom(before)); err != nil {
		return err
	}
	if err := t.installed(ctx, ptr.To(int32(2))); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if err := ground.Client.Delete(ctx, t.plugin); err != nil {
		return err
	}
	if err := t.removed(ctx); err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	return nil
}

// live tells a tale while the operator dies once, and returns the first one's writes.
func liveThrough(ctx context.Context, aim int, how mode) (writes []string, err error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "plugin-"}}
	if err := ground.Client.Create(ctx, namespace); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ground.Client.Delete(context.WithoutCancel(ctx), namespace)) }()
	t := &tale{namespace: namespace.Name, class: namespace.Name, plugin: &streamingv1.StreamPlugin{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "orders"},
		Spec:       streamingv1.StreamPluginSpec{Preset: streamingv1.PresetPostgres, Image: "i:1", ClassName: namespace.Name},
	}}
	over := newLine(aim, how)
	first, err := helmHalf(ctx, namespace.Name, over)
	if err != nil {
		return nil, err
	}
	told, second := make(chan struct{}), (*life)(nil)
	var next sync.WaitGroup
	next.Go(func() {
		select {
		case <-told:
		case <-over.broken:
			_ = first.end()
			second, err = helmHalf(ctx, namespace.Name, newLine(0, how))
		}
	})
	tellErr := t.tell(ctx)
	close(told)
	next.Wait()
	if second != nil {
		err = errors.Join(err, second.end())
	} else {
		err = errors.Join(err, first.end())
	}
	over.mu.Lock()
	defer over.mu.Unlock()
	return slices.Clone(over.writes), errors.Join(err, tellErr)
}

func TestCrashAtEveryWriteOfAStreamPlugin(t *testing.T) { //nolint:tparallel // TestPausedProcess must have the cluster alone.
	writes, err := liveThrough(t.Context(), 0, dropped)
	if err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	t.Logf("%d writes", len(writes))
	if len(writes) < 20 {
		t.Fatalf("only %d writes were seen: %v", len(writes), writes)
	}
	for k := range writes {
		for m, how := range []mode{dropped, replyLost} {
			if !*everything && (2*k+m)%sampleEvery != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%02d/%s", k+1, how), func(t *testing.T) {
				t.Parallel()
				seen, err := liveThrough(t.Context(), k+1, how)
				if err != nil {
					t.Errorf("after %s: %v", writes[k], err)
				}
				if len(seen) != k+1 {
					t.Errorf("the operator was to die at write %d, and died at %d", k+1, len(seen))
				}
			})
		}
	}
}
