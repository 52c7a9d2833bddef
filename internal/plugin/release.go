package plugin

// This file configures Helm: where it stores releases, which objects it may write, what an action does.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	helmclient "github.com/operator-framework/helm-operator-plugins/pkg/client"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/postrender"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// history is how many revisions of a release are kept: the present one, the one that a rollback goes back to, and the one
// that failed in between.
const history = 3

// storage keeps releases in ConfigMaps of one namespace. The library has drivers for Secrets only, and the operator reads
// no Secrets.
// The rights to create and delete ConfigMaps the operator has everywhere, for dashboards.
//
// +kubebuilder:rbac:groups="",namespace=system,resources=configmaps,verbs=list;update
func storage(maps typedcorev1.ConfigMapInterface) helmclient.ObjectToStorageDriverMapper {
	return func(ctx context.Context, _ client.Object, _ *rest.Config) (driver.Driver, error) {
		d := driver.NewConfigMaps(maps)
		log := logf.FromContext(ctx).V(1)
		d.Log = func(format string, args ...any) { log.Info(fmt.Sprintf(format, args...)) }
		return d, nil
	}
}

// actions makes Helm's actions, on objects of the StreamPlugin alone.
func actions(configs helmclient.ActionConfigGetter, rollback bool) (helmclient.ActionClientGetter, error) {
	getter, err := helmclient.NewActionClientGetter(guardedConfigs{configs},
		helmclient.WithFailureRollbacks(rollback),
		helmclient.AppendPostRenderers(func(_ meta.RESTMapper, _ kube.Interface, owner client.Object) postrender.PostRenderer {
			return marker(owner.GetUID())
		}),
		helmclient.AppendInstallOptions(func(i *action.Install) error {
			// Whose an object is, the guarded client decides, not the labels by which Helm would.
			i.SkipCRDs, i.DisableHooks, i.DisableOpenAPIValidation, i.TakeOwnership = true, true, true, true
			return nil
		}),
		helmclient.AppendUpgradeOptions(func(u *action.Upgrade) error {
			u.SkipCRDs, u.DisableHooks, u.DisableOpenAPIValidation, u.TakeOwnership, u.MaxHistory = true, true, true, true, history
			return nil
		}),
		helmclient.AppendUpgradeFailureRollbackOptions(func(b *action.Rollback) error {
			b.DisableHooks, b.MaxHistory = true, history
			return nil
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("configure Helm's actions: %w", err)
	}
	return getter, nil
}

// marker writes the StreamPlugin's UID onto each object.
type marker string

// Run marks the objects of a manifest.
func (m marker) Run(in *bytes.Buffer) (*bytes.Buffer, error) {
	rendered, err := pluginchart.Objects(in.String(), "")
	if err != nil {
		return nil, err
	}
	out := &bytes.Buffer{}
	for _, o := range rendered {
		mark(o, string(m))
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", describe(o), err)
		}
		out.WriteString("---\n" + string(text))
	}
	return out, nil
}

func mark(o *unstructured.Unstructured, uid string) {
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[pluginchart.AnnotationPluginUID] = uid
	o.SetAnnotations(annotations)
}

// guardedConfigs makes configurations whose client touches the StreamPlugin's own objects only.
type guardedConfigs struct{ helmclient.ActionConfigGetter }

// ActionConfigFor configures Helm for a StreamPlugin.
func (g guardedConfigs) ActionConfigFor(ctx context.Context, o client.Object) (*action.Configuration, error) {
	p, ok := o.(*v1.StreamPlugin)
	if !ok {
		return nil, fmt.Errorf("configure Helm: %T is no StreamPlugin", o)
	}
	config, err := g.ActionConfigGetter.ActionConfigFor(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	inner, ok := config.KubeClient.(*kube.Client)
	if !ok {
		return nil, fmt.Errorf("configure Helm: %T is not the client that is expected", config.KubeClient)
	}
	mapper, err := config.RESTClientGetter.ToRESTMapper()
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	config.KubeClient = &guarded{Client: inner, plugin: p, mapper: mapper}
	return config, nil
}

// guarded is Helm's client, limited to objects of one StreamPlugin. Helm itself checks whose an object is at the
// installation only, and believes labels and annotations that everybody can read and copy.
type guarded struct {
	*kube.Client
	plugin *v1.StreamPlugin
	mapper meta.RESTMapper
}

// Build reads the objects of a manifest. It leaves out those of a kind that the cluster has lost: an old revision that holds
// one could otherwise neither be upgraded nor rolled back. It removes the owners that the library writes: the operator
// deletes what it installed itself, whereas the garbage collector would not wait for Streams when the StreamPlugin is
// deleted in the foreground or loses its finalizer.
func (g *guarded) Build(manifest io.Reader, validate bool) (kube.ResourceList, error) {
	text, err := io.ReadAll(manifest)
	if err != nil {
		return nil, fmt.Errorf("read a manifest: %w", err)
	}
	all, err := pluginchart.Objects(string(text), "")
	if err != nil {
		return nil, fmt.Errorf("read a manifest: %w", err)
	}
	known := &bytes.Buffer{}
	for _, o := range all {
		kind := o.GroupVersionKind()
		if _, err := g.mapper.RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) {
			continue
		}
		o.SetOwnerReferences(nil)
		one, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", describe(o), err)
		}
		known.WriteString("---\n" + string(one))
	}
	return g.Client.Build(known, validate) //nolint:wrapcheck // It is Helm's client to Helm.
}

// Create creates objects that are not there yet.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses;streamingjobtemplates,verbs=create
// +kubebuilder:rbac:groups="",resources=serviceaccounts;configmaps,verbs=create
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=create
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=create
func (g *guarded) Create(resources kube.ResourceList) (*kube.Result, error) {
	return g.Client.Create(resources) //nolint:wrapcheck // It is Helm's client to Helm.
}

// Update patches objects by a three-way merge, never by replacing them, and creates missing ones. Objects that Helm wants
// to remove, it removes by Delete.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses;streamingjobtemplates,verbs=patch
// +kubebuilder:rbac:groups="",resources=serviceaccounts;configmaps,verbs=patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=patch
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=patch
func (g *guarded) Update(original, target kube.ResourceList, _ bool) (*kube.Result, error) {
	for _, info := range target {
		if err := g.check(info); err != nil {
			return &kube.Result{}, err
		}
	}
	before := original.Intersect(target)
	// Helm refuses to update what the former revision does not hold, such as an object that an interrupted action created.
	before = append(before, target.Difference(original)...)
	result, err := g.UpdateThreeWayMerge(before, target, false)
	if err != nil {
		return result, err //nolint:wrapcheck // It is Helm's client to Helm.
	}
	removed, errs := g.Delete(original.Difference(target))
	if removed != nil {
		result.Deleted = append(result.Deleted, removed.Deleted...)
	}
	return result, errors.Join(errs...)
}

// check refuses an object that is somebody else's.
func (g *guarded) check(info *resource.Info) error {
	live, err := g.live(info)
	if err != nil || live == nil || owns(g.plugin, live) {
		return err
	}
	return conflict{live}
}

// live reads an object as it is now, nil where there is none.
func (g *guarded) live(info *resource.Info) (*unstructured.Unstructured, error) {
	found, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return nil, nil // There is none.
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", info.ObjectName(), err)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(found)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", info.ObjectName(), err)
	}
	return &unstructured.Unstructured{Object: object}, nil
}

// Delete deletes objects by their UID, and leaves those that are somebody else's. It never deletes a StreamClass: only
// Reconciler.uninstall does, which asks whether Streams use it.
func (g *guarded) Delete(resources kube.ResourceList) (*kube.Result, []error) {
	result := &kube.Result{}
	var errs []error
	for _, info := range resources {
		live, err := g.live(info)
		switch {
		case err != nil:
			errs = append(errs, err)
		case live == nil || !owns(g.plugin, live) || live.GetKind() == v1.KindStreamClass:
		default:
			uid := live.GetUID()
			_, err := resource.NewHelper(info.Client, info.Mapping).DeleteWithOptions(info.Namespace, info.Name, deleteByUID(uid))
			if client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("delete %s: %w", info.ObjectName(), err))
				continue
			}
			result.Deleted = append(result.Deleted, info)
		}
	}
	return result, errs
}

// recoverRelease marks an interrupted release as failed. Helm locks a release by the status pending while an action runs, and
// the lock of an operator that died would stay for ever. The operator's Lease is the lock here.
func recoverRelease(config *action.Configuration, rel *release.Release) error {
	if !rel.Info.Status.IsPending() {
		return nil
	}
	rel.SetStatus(release.StatusFailed, "The operator ended while it worked on this revision.")
	if err := config.Releases.Update(rel); err != nil {
		return fmt.Errorf("mark revision %d of release %s as failed: %w", rel.Version, rel.Name, err)
	}
	return nil
}
