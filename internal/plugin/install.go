package plugin

// This file brings what a StreamPlugin asks for and what there is in line.

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// install brings the objects in line with the spec. The error is one to try again after; what the spec or somebody else's
// object makes impossible is an outcome only.
func (r *Reconciler) install(ctx context.Context, p *v1.StreamPlugin) (outcome, error) {
	capabilities, err := pluginchart.CapabilitiesOf(r.Discovery)
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
	if rel != nil {
		o.release = &v1.PluginRelease{Name: rel.Name, Revision: int32(rel.Version)} //nolint:gosec // A release has few revisions.
	}
	if o.reason == v1.ReasonInstalled {
		o.version, o.objects = r.Chart.Version(p), recorded(live)
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

// readOwned reads the objects as they are now, in the order of wanted, nil for a missing one. Those that belong to somebody
// else are an error of type conflict, which names them all.
func (r *Reconciler) readOwned(ctx context.Context, p *v1.StreamPlugin, wanted []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	live := make([]*unstructured.Unstructured, len(wanted))
	var foreign conflict
	for i, o := range wanted {
		found, err := r.find(ctx, o)
		if err != nil {
			return nil, err
		}
		if found != nil && !owns(p, found) {
			owner, err := r.ownerOf(ctx, found)
			if err != nil {
				return nil, err
			}
			foreign = append(foreign, taken{object: found, owner: owner})
		}
		live[i] = found
	}
	if len(foreign) > 0 {
		return nil, foreign
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
	if !change(p, v1.FinalizerUninstall) {
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
