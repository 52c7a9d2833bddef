package plugin

// This file corrects what others have changed in installed objects.

import (
	"bytes"
	"context"
	"fmt"

	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// correct brings back what somebody has changed or deleted, and returns the objects as they are afterwards.
func (r *Reconciler) correct(ctx context.Context, p *v1.StreamPlugin, rel *release.Release, wanted, live []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	live, differ, err := r.differing(ctx, p, wanted, live)
	if err != nil || len(differ) == 0 {
		return live, err
	}
	actions, err := r.Helm.ActionClientFor(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	helm := actions.Config().KubeClient
	all, err := helm.Build(bytes.NewBufferString(rel.Manifest), false)
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", rel.Name, err)
	}
	var target kube.ResourceList
	for _, info := range all {
		if differ[info.Mapping.GroupVersionKind.Kind+" "+info.Name] {
			target = append(target, info)
		}
	}
	if _, err := helm.Update(target, target, false); err != nil {
		return nil, fmt.Errorf("correct what differs from release %s: %w", rel.Name, err)
	}
	logf.FromContext(ctx).Info("drift corrected", "release", rel.Name, "objects", len(target))
	return r.readOwned(ctx, p, wanted)
}

// differing finds the objects that are missing or differ from what is wanted. It reads an object again before it reports it,
// because the release may have created or changed it since the first read.
func (r *Reconciler) differing(ctx context.Context, p *v1.StreamPlugin, wanted, live []*unstructured.Unstructured) ([]*unstructured.Unstructured, map[string]bool, error) {
	differ := map[string]bool{}
	for i, o := range wanted {
		if live[i] == nil || !covers(o.Object, live[i].Object) {
			now, err := r.readOwned(ctx, p, wanted[i:i+1])
			if err != nil {
				return nil, nil, err
			}
			live[i] = now[0]
		}
		if live[i] == nil || !covers(o.Object, live[i].Object) {
			differ[o.GetKind()+" "+o.GetName()] = true
		}
	}
	return live, differ, nil
}

// covers tells whether a live value holds all that is wanted. Fields that the API server or others add to an object are not
// drift; entries that somebody adds to a list are.
func covers(wanted, live any) bool {
	switch w := wanted.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range w {
			there, ok := l[key]
			if !ok && !isEmpty(value) || ok && !covers(value, there) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(w) {
			return false
		}
		for i := range w {
			if !covers(w[i], l[i]) {
				return false
			}
		}
		return true
	default:
		return equality.Semantic.DeepEqual(wanted, live)
	}
}

// isEmpty tells whether a value may be left out by the API server.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	default:
		return false
	}
}
