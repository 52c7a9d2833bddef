package plugin

// This file configures Helm: where it stores releases, which objects it may write, what an action does.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	helmclient "github.com/operator-framework/helm-operator-plugins/pkg/client"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/postrender"
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

// history is how many revisions of a release are kept: the deployed one, the one before it, and those that failed since, of
// which no two have the same manifest.
const history = 10

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

// actions makes Helm's actions, on objects of the StreamPlugin alone. A failed install stays as it is for the next attempt,
// because a Stream may use the class already; upgradeRelease itself rolls back a failed upgrade, because the library would go
// back one revision, whichever that is.
func actions(configs helmclient.ActionConfigGetter) (helmclient.ActionClientGetter, error) {
	getter, err := helmclient.NewActionClientGetter(guardedConfigs{configs},
		helmclient.WithFailureRollbacks(false),
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
	// unfinished are the manifests of revisions that an update has to undo as well: an operator that died, or an API server
	// that refused the rest, has left parts of them written.
	unfinished []string
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
	original, err := g.withUnfinished(original)
	if err != nil {
		return &kube.Result{}, err
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

// withUnfinished is the original with what unfinished revisions may have written besides: the three-way merge removes a field
// only if the original has it.
func (g *guarded) withUnfinished(original kube.ResourceList) (kube.ResourceList, error) {
	original = slices.Clone(original)
	for _, manifest := range g.unfinished {
		written, err := g.Build(bytes.NewBufferString(manifest), false)
		if err != nil {
			return nil, err
		}
		for _, info := range written {
			at := slices.IndexFunc(original, func(known *resource.Info) bool { return (kube.ResourceList{known}).Contains(info) })
			if at < 0 {
				original = append(original, info)
				continue
			}
			// A copy: the target may hold the same one.
			known := *original[at]
			if known.Object, err = overlaid(known.Object, info.Object); err != nil {
				return nil, err
			}
			original[at] = &known
		}
	}
	return original, nil
}

// overlaid has the fields of both objects, and the upper one's values where both have one.
func overlaid(lower, upper runtime.Object) (runtime.Object, error) {
	l, err := runtime.DefaultUnstructuredConverter.ToUnstructured(lower)
	if err != nil {
		return nil, fmt.Errorf("read an object of a release: %w", err)
	}
	u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(upper)
	if err != nil {
		return nil, fmt.Errorf("read an object of a release: %w", err)
	}
	// Helm's own merge of values has the same rule, and lets null remove: a manifest has no null.
	return &unstructured.Unstructured{Object: chartutil.MergeTables(u, l)}, nil
}

// check refuses an object that is somebody else's, and one that somebody has deleted since the operator read it: under
// another UID than the recorded one it would be somebody else's for ever. The next attempt finds it missing, and says so in
// the status before it creates the object.
func (g *guarded) check(info *resource.Info) error {
	live, err := g.live(info)
	switch {
	case err != nil:
		return err
	case live == nil && g.isRecorded(info):
		return fmt.Errorf("%s was deleted meanwhile", info.ObjectName())
	case live == nil || owns(g.plugin, live):
		return nil
	}
	return conflict{{object: live}}
}

func (g *guarded) isRecorded(info *resource.Info) bool {
	wanted := &unstructured.Unstructured{}
	wanted.SetGroupVersionKind(info.Mapping.GroupVersionKind)
	wanted.SetName(info.Name)
	return slices.ContainsFunc(g.plugin.Status.Objects, func(recorded v1.PluginObject) bool { return isRecordOf(recorded, wanted) })
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
			_, err := resource.NewHelper(info.Client, info.Mapping).DeleteWithOptions(info.Namespace, info.Name, byUID(live).AsDeleteOptions())
			if client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("delete %s: %w", info.ObjectName(), err))
				continue
			}
			result.Deleted = append(result.Deleted, info)
		}
	}
	return result, errs
}
