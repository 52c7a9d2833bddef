package plugin

// This file corrects what others have changed in installed objects.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

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
	helm, ok := actions.Config().KubeClient.(*guarded)
	if !ok {
		return nil, fmt.Errorf("configure Helm: %T is not the client that is expected", actions.Config().KubeClient)
	}
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
	// The merge takes back what others have added as it takes back what an unfinished revision has written.
	for _, o := range live {
		if o != nil && differ[o.GetKind()+" "+o.GetName()] {
			content, err := contentOf(o)
			if err != nil {
				return nil, err
			}
			helm.unfinished = append(helm.unfinished, content)
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
		if live[i] == nil || drifted(o, live[i]) {
			now, err := r.readOwned(ctx, p, wanted[i:i+1])
			if err != nil {
				return nil, nil, err
			}
			live[i] = now[0]
		}
		if live[i] == nil || drifted(o, live[i]) {
			differ[o.GetKind()+" "+o.GetName()] = true
		}
	}
	return live, differ, nil
}

// contents are the fields that hold what an object of an installed kind says. Labels and annotations that others add stay.
var contents = []string{"spec", "data"}

// contentOf is an object as a manifest, without what the API server has added around its content.
func contentOf(o *unstructured.Unstructured) (string, error) {
	bare := map[string]any{
		"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "metadata": map[string]any{"name": o.GetName(), "namespace": o.GetNamespace()},
	}
	for _, name := range contents {
		if content, ok := o.Object[name]; ok {
			bare[name] = content
		}
	}
	text, err := yaml.Marshal(bare)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", describe(o), err)
	}
	return string(text), nil
}

// drifted tells whether an object differs from what is wanted: it lacks something, or somebody else has added a field to its
// content.
func drifted(wanted, live *unstructured.Unstructured) bool {
	if !covers(wanted.Object, live.Object) {
		return true
	}
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == v1.ManagedBy || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if json.Unmarshal([]byte(entry.FieldsV1.GetRawString()), &fields) != nil {
			continue // The API server writes them; there is nothing to be done about it here.
		}
		for _, name := range contents {
			if below, ok := fields["f:"+name].(map[string]any); ok && adds(below, wanted.Object[name]) {
				return true
			}
		}
	}
	return false
}

// adds tells whether the fields that somebody manages, each with "f:" before its name, hold one that the wanted value has not.
// Entries of lists are for covers.
func adds(fields map[string]any, wanted any) bool {
	known, _ := wanted.(map[string]any)
	for key, below := range fields {
		name, isField := strings.CutPrefix(key, "f:")
		if !isField {
			continue
		}
		value, there := known[name]
		if !there {
			return true
		}
		if below, ok := below.(map[string]any); ok && adds(below, value) {
			return true
		}
	}
	return false
}

// covers tells whether a live value holds all that is wanted. Fields that the API server adds to an object are not drift;
// entries that somebody adds to a list are.
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
