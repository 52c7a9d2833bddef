// No secret value in any status, event or log: canaries are looked for in everything
// that the cluster shows of the whole run, and in all that the operator says.

package e2e_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// shown are the kinds of which every version is read.
var shown = []schema.GroupVersionResource{
	streamingv1.GroupVersion.WithResource("streams"),
	streamingv1.GroupVersion.WithResource("backfillrequests"),
	streamingv1.GroupVersion.WithResource("streamclasses"),
	streamingv1.GroupVersion.WithResource("streamingjobtemplates"),
	streamingv1.GroupVersion.WithResource("streamplugins"),
	{Version: "v1", Resource: "configmaps"},
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"},
	{Group: "events.k8s.io", Version: "v1", Resource: "events"},
	{Version: "v1", Resource: "pods"},
	{Version: "v1", Resource: secrets},
}

// secrets are where the values belong, and where they must be found: else the search
// itself is blind.
const (
	secrets = "secrets"
	logs    = "the operator's log"
)

// eyes read along for the whole run.
type eyes struct {
	kube    kubernetes.Interface
	running sync.WaitGroup

	mu sync.Mutex
	// values must show up nowhere but in Secrets.
	values []string
	// read counts what was read, by where; found are the places that showed a value.
	read, found map[string]int
	followed    map[types.UID]bool
	failures    []error
}

// openEyes reads along until the context ends.
func openEyes(ctx context.Context, kube kubernetes.Interface, objects dynamic.Interface) (*eyes, error) {
	e := &eyes{kube: kube, read: map[string]int{}, found: map[string]int{}, followed: map[types.UID]bool{}}
	informers := dynamicinformer.NewDynamicSharedInformerFactory(objects, 0)
	for _, kind := range shown {
		show := func(o any) {
			text, err := json.Marshal(o)
			if err != nil {
				e.fail(fmt.Errorf("read a version of %s: %w", kind.Resource, err))
			}
			e.see(kind.Resource, string(text))
		}
		handler := toolscache.ResourceEventHandlerFuncs{AddFunc: show, UpdateFunc: func(_, o any) { show(o) }}
		if _, err := informers.ForResource(kind).Informer().AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("watch %s: %w", kind.Resource, err)
		}
	}
	informers.Start(ctx.Done())
	for kind, synced := range informers.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watch %s: it was not read", kind.Resource)
		}
	}
	return e, nil
}

// hide adds a value that must not be shown.
func (e *eyes) hide(value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.values = append(e.values, value, base64.StdEncoding.EncodeToString([]byte(value)))
}

func (e *eyes) see(where, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.read[where]++
	for _, value := range e.values {
		if strings.Contains(text, value) {
			e.found[where]++
		}
	}
}

func (e *eyes) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = append(e.failures, err)
}

// follow reads a pod's log to its end, once.
func (e *eyes) follow(ctx context.Context, p *corev1.Pod) error {
	e.mu.Lock()
	known := e.followed[p.UID]
	e.followed[p.UID] = true
	e.mu.Unlock()
	if known {
		return nil
	}
	// The log outlives the call that began to read it.
	stream, err := e.kube.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Follow: true}).Stream(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("follow the log of pod %s: %w", p.Name, err)
	}
	e.running.Go(func() {
		defer stream.Close()
		lines := bufio.NewReader(stream)
		for {
			line, err := lines.ReadString('\n')
			if line != "" {
				e.see(logs, line)
			}
			if err != nil {
				// A pod that is killed ends its log without a word.
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					e.fail(fmt.Errorf("follow the log of pod %s: %w", p.Name, err))
				}
				return
			}
		}
	})
	return nil
}

// close is called when the operator has ended, and with it its last log. It tells what was
// read, by where, and what of it showed a value.
func (e *eyes) close() (read, found map[string]int) {
	GinkgoHelper()
	e.running.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	Expect(e.failures).To(BeEmpty(), "the eyes must see everything")
	if len(e.values) > 0 {
		Expect(e.found).To(HaveKey(secrets), "the search finds the values where they are")
	}
	return e.read, e.found
}

// expectHidden is asked of the run as a whole.
func expectHidden(read, found map[string]int) {
	GinkgoHelper()
	if whole() {
		for _, where := range []string{"streams", "backfillrequests", "streamclasses", "streamplugins", "configmaps", "jobs", "pods", "events", logs} {
			Expect(read).To(HaveKey(where), "a search that reads nothing finds nothing")
		}
		Expect(found).To(HaveKey(secrets), "there was something to find")
	}
	delete(found, secrets)
	Expect(found).To(BeEmpty(), "a value of a Secret was shown, in one of %v", read)
}
