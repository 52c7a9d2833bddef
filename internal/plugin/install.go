package plugin

// This file installs, upgrades, and corrects drift.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	helmclient "github.com/operator-framework/helm-operator-plugins/pkg/client"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// install brings the objects in line with the spec. The error is one to try again after; what the spec or somebody else's
// object makes impossible is an outcome only.
func (r *Reconciler) install(ctx context.Context, p *v1.StreamPlugin) (outcome, error) {
	capabilities, err := pluginchart.CapabilitiesOf(r.Mapper)
	if err != nil {
		return failed(err), err
	}
	wanted, err := r.Chart.Render(p, capabilities)
	if err != nil {
		return refused(err), nil
	}
	for _, o := range wanted {
		mark(o, string(p.UID))
	}
	live, err := r.readOwned(ctx, p, wanted)
	if err != nil {
		return outcomeOf(err)
	}
	// The finalizer comes before anything is created that would be left behind without it.
	if err := r.setFinalizer(ctx, p, true); err != nil {
		return failed(err), err
	}
	if err := r.dropMissing(ctx, p, wanted, live); err != nil {
		return failed(err), err
	}
	rel, err := r.ensureRelease(ctx, p, wanted)
	if err == nil {
		live, err = r.correct(ctx, p, rel, wanted, live)
	}
	o := succeeded(p)
	if err != nil {
		if o, err = outcomeOf(err); err != nil {
			return o, err
		}
	}
	o.version = r.Chart.Version(p)
	if rel != nil {
		o.release = &v1.PluginRelease{Name: rel.Name, Revision: int32(rel.Version)} //nolint:gosec // A release has few revisions.
	}
	if o.reason == v1.ReasonInstalled {
		o.objects = recorded(live)
	}
	return o, nil
}

// outcomeOf is the outcome of an error, and the error itself where trying again may help. It does not help against an object
// of somebody else's: the operator looks again after the period.
func outcomeOf(err error) (outcome, error) {
	o := failed(err)
	if o.stalled {
		return o, nil
	}
	return o, err
}

// readOwned reads the objects as they are now, in the order of wanted, nil for a missing one. One that belongs to somebody
// else is an error of type conflict.
func (r *Reconciler) readOwned(ctx context.Context, p *v1.StreamPlugin, wanted []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	live := make([]*unstructured.Unstructured, len(wanted))
	for i, o := range wanted {
		found, err := r.find(ctx, o)
		if err != nil {
			return nil, err
		}
		if found != nil && !owns(p, found) {
			return nil, conflict{found}
		}
		live[i] = found
	}
	return live, nil
}

// dropMissing removes objects that were deleted from the status, before the operator creates them again with another UID. If
// it died between the creation and the next status, its successor would take the new object for somebody else's.
func (r *Reconciler) dropMissing(ctx context.Context, p *v1.StreamPlugin, wanted, live []*unstructured.Unstructured) error {
	kept := slices.Clone(p.Status.Objects)
	for i, o := range wanted {
		if live[i] == nil {
			kept = slices.DeleteFunc(kept, func(recorded v1.PluginObject) bool { return isRecordOf(recorded, o) })
		}
	}
	if len(kept) == len(p.Status.Objects) {
		return nil
	}
	status := *p.Status.DeepCopy()
	status.Objects = kept
	return r.commit(ctx, p, status)
}

// ensureRelease installs the release, or upgrades it where its manifest differs from what is wanted, and returns it.
func (r *Reconciler) ensureRelease(ctx context.Context, p *v1.StreamPlugin, wanted []*unstructured.Unstructured) (*release.Release, error) {
	values, err := r.Chart.Values(p)
	if err != nil {
		return nil, err
	}
	installs, err := r.Installs.ActionClientFor(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	name := pluginchart.ReleaseName(p)
	rel, err := installs.Get(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return r.installRelease(ctx, p, installs, values)
	}
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	if err := recoverRelease(installs.Config(), rel); err != nil {
		return nil, err
	}
	rendered, err := pluginchart.Objects(rel.Manifest, p.Namespace)
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	if rel.Info.Status == release.StatusDeployed && equalObjects(rendered, wanted) {
		return rel, nil
	}
	upgrades, err := r.Upgrades.ActionClientFor(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	upgraded, err := upgrades.Upgrade(name, p.Namespace, r.Chart.Chart, values)
	if err != nil {
		return rel, fmt.Errorf("upgrade release %s: %w", name, err)
	}
	logf.FromContext(ctx).Info("release upgraded", "release", name, "revision", upgraded.Version)
	return upgraded, nil
}

// installRelease makes the first revision.
func (r *Reconciler) installRelease(ctx context.Context, p *v1.StreamPlugin, installs helmclient.ActionInterface, values map[string]any) (*release.Release, error) {
	name := pluginchart.ReleaseName(p)
	rel, err := installs.Install(name, p.Namespace, r.Chart.Chart, values)
	if err != nil {
		return rel, fmt.Errorf("install release %s: %w", name, err)
	}
	logf.FromContext(ctx).Info("release installed", "release", name)
	return rel, nil
}

// equalObjects tells whether a release holds what is wanted and nothing else. It ignores what Helm's library adds to objects.
func equalObjects(rendered, wanted []*unstructured.Unstructured) bool {
	if len(rendered) != len(wanted) {
		return false
	}
	byName := map[string]*unstructured.Unstructured{}
	for _, o := range rendered {
		byName[describe(o)] = withoutLibraryMetadata(o)
	}
	for _, o := range wanted {
		if is := byName[describe(o)]; is == nil || !equality.Semantic.DeepEqual(is.Object, withoutLibraryMetadata(o).Object) {
			return false
		}
	}
	return true
}

// withoutLibraryMetadata is a copy of an object without its owners and without the library's annotations.
func withoutLibraryMetadata(o *unstructured.Unstructured) *unstructured.Unstructured {
	o = o.DeepCopy()
	o.SetOwnerReferences(nil)
	annotations := o.GetAnnotations()
	for key := range annotations {
		if strings.HasPrefix(key, "operator-sdk/") {
			delete(annotations, key)
		}
	}
	o.SetAnnotations(annotations)
	return o
}

// correct brings back what somebody has changed or deleted, and returns the objects as they are afterwards.
func (r *Reconciler) correct(ctx context.Context, p *v1.StreamPlugin, rel *release.Release, wanted, live []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	live, differ, err := r.differing(ctx, p, wanted, live)
	if err != nil || len(differ) == 0 {
		return live, err
	}
	actions, err := r.Upgrades.ActionClientFor(ctx, p)
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

// differing finds the objects that are missing or differ from what is wanted. It reads those again that were missing
// before the release was made.
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

// recorded is what the status keeps of the installed objects.
func recorded(live []*unstructured.Unstructured) []v1.PluginObject {
	objects := make([]v1.PluginObject, 0, len(live))
	for _, o := range live {
		if o != nil {
			objects = append(objects, v1.PluginObject{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), UID: o.GetUID()})
		}
	}
	return objects
}

// setFinalizer adds or removes the finalizer, under the version that was read.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamplugins,verbs=patch
func (r *Reconciler) setFinalizer(ctx context.Context, p *v1.StreamPlugin, present bool) error {
	before := p.DeepCopy()
	change := controllerutil.RemoveFinalizer
	if present {
		change = controllerutil.AddFinalizer
	}
	if !change(p, Finalizer) {
		return nil
	}
	// The answer to the patch overwrites p.
	status := p.Status
	if err := r.Client.Patch(ctx, p, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("change the finalizer of StreamPlugin %s/%s: %w", p.Namespace, p.Name, err)
	}
	p.Status = status
	p.SetGroupVersionKind(v1.GroupVersion.WithKind(v1.KindStreamPlugin))
	return nil
}
