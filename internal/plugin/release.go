package plugin

// This file keeps the Helm release in line with what is wanted.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	helmclient "github.com/operator-framework/helm-operator-plugins/pkg/client"
	"github.com/operator-framework/operator-lib/handler"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// ensureRelease installs the release, or upgrades it where its manifest differs from what is wanted, and returns it.
func (r *Reconciler) ensureRelease(ctx context.Context, p *v1.StreamPlugin, wanted []*unstructured.Unstructured) (*release.Release, error) {
	values, err := r.Chart.Values(p)
	if err != nil {
		return nil, err
	}
	helm, err := r.Helm.ActionClientFor(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	name := pluginchart.ReleaseName(p)
	rel, err := helm.Get(name)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		rel, err := r.installRelease(ctx, p, helm, values)
		if isUnreadable(err) {
			return r.restartRelease(ctx, p, helm, values)
		}
		return rel, err
	case isUnreadable(err):
		return r.restartRelease(ctx, p, helm, values)
	case err != nil:
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	rendered, err := pluginchart.Objects(rel.Manifest, p.Namespace)
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	if rel.Info.Status == release.StatusDeployed && equalObjects(rendered, wanted) {
		return rel, nil
	}
	upgraded, err := upgradeRelease(helm, r.Chart.Chart, rel, values)
	if isUnreadable(err) {
		return r.restartRelease(ctx, p, helm, values)
	}
	if err != nil {
		return rel, err
	}
	logf.FromContext(ctx).Info("release upgraded", "release", name, "revision", upgraded.Version)
	return upgraded, nil
}

// isUnreadable tells whether Helm meets a revision that it cannot read or, without its labels, cannot find: it passes over such a one, and then either finds no
// revision at all, for which it has no error of its own, or wants to write one of the same number.
func isUnreadable(err error) bool {
	return err != nil && (errors.Is(err, driver.ErrReleaseExists) || strings.Contains(err.Error(), "no revision for release"))
}

// restartRelease begins a release anew whose revisions cannot be read. The objects stay: their marks say whose they are.
func (r *Reconciler) restartRelease(ctx context.Context, p *v1.StreamPlugin, helm helmclient.ActionInterface, values map[string]any) (*release.Release, error) {
	logf.FromContext(ctx).Info("release cannot be read, it begins anew", "release", pluginchart.ReleaseName(p))
	if err := r.deleteRelease(ctx, p); err != nil {
		return nil, err
	}
	return r.installRelease(ctx, p, helm, values)
}

// installRelease makes the first revision.
func (r *Reconciler) installRelease(ctx context.Context, p *v1.StreamPlugin, helm helmclient.ActionInterface, values map[string]any) (*release.Release, error) {
	name := pluginchart.ReleaseName(p)
	rel, err := helm.Install(name, p.Namespace, r.Chart.Chart, values)
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
	// Those by which operator-lib's handler names the owner of an object that can have no owner reference.
	delete(annotations, handler.TypeAnnotation)
	delete(annotations, handler.NamespacedNameAnnotation)
	o.SetAnnotations(annotations)
	return o
}

// upgradeRelease makes the next revision, with what the operator has left unfinished taken into account. A revision that the
// API server refuses is rolled back to the deployed one.
func upgradeRelease(helm helmclient.ActionInterface, c *chart.Chart, last *release.Release, values map[string]any) (*release.Release, error) {
	config := helm.Config()
	if err := recoverRelease(config, last); err != nil {
		return nil, err
	}
	deployed, unfinished, err := compactRevisions(config, last.Name)
	if err != nil {
		return nil, err
	}
	limited, ok := config.KubeClient.(*guarded)
	if !ok {
		return nil, fmt.Errorf("configure Helm: %T is not the client that is expected", config.KubeClient)
	}
	limited.unfinished = unfinished
	upgraded, err := helm.Upgrade(last.Name, last.Namespace, c, values)
	if err == nil {
		return upgraded, nil
	}
	err = fmt.Errorf("upgrade release %s: %w", last.Name, err)
	// Helm returns a revision if it has recorded one.
	if upgraded == nil || deployed == 0 {
		return nil, err
	}
	back := action.NewRollback(config)
	back.Version, back.DisableHooks, back.MaxHistory = deployed, true, history
	if failure := back.Run(last.Name); failure != nil {
		err = fmt.Errorf("%w; roll back to revision %d: %w", err, deployed, failure)
	}
	return nil, err
}

// recoverRelease marks an interrupted revision as failed. Helm locks a release by the status pending while an action runs, and
// the lock of an operator that died would stay for ever. The operator's Lease is the lock here.
func recoverRelease(config *action.Configuration, last *release.Release) error {
	if !last.Info.Status.IsPending() {
		return nil
	}
	last.SetStatus(release.StatusFailed, "The operator ended while it worked on this revision.")
	if err := config.Releases.Update(last); err != nil {
		return fmt.Errorf("mark revision %d of release %s as failed: %w", last.Version, last.Name, err)
	}
	return nil
}

// compactRevisions finds the number of the deployed revision, 0 where none was ever deployed, and the manifests of those after
// it: parts of them may be written. It deletes revisions that nobody needs, old ones and those that repeat another one's
// manifest: Helm, which keeps the latest few, must not forget a needed one while attempts go on to fail.
func compactRevisions(config *action.Configuration, name string) (deployed int, unfinished []string, err error) {
	all, err := config.Releases.History(name)
	if err != nil {
		return 0, nil, fmt.Errorf("read the revisions of release %s: %w", name, err)
	}
	releaseutil.Reverse(all, releaseutil.SortByRevision)
	remove := func(rel *release.Release) error {
		if _, err := config.Releases.Delete(name, rel.Version); err != nil {
			return fmt.Errorf("delete revision %d of release %s: %w", rel.Version, name, err)
		}
		return nil
	}
	from := slices.IndexFunc(all, func(rel *release.Release) bool { return rel.Info.Status == release.StatusDeployed })
	known := map[string]bool{}
	if from >= 0 {
		deployed, known[all[from].Manifest] = all[from].Version, true
		// One older revision is kept, for people to look at.
		for _, old := range all[min(from+2, len(all)):] {
			if err := remove(old); err != nil {
				return 0, nil, err
			}
		}
		all = all[:from]
	}
	for _, rel := range all {
		if !known[rel.Manifest] {
			known[rel.Manifest] = true
			unfinished = append(unfinished, rel.Manifest)
			continue
		}
		if err := remove(rel); err != nil {
			return 0, nil, err
		}
	}
	return deployed, unfinished, nil
}
