package pluginchart

// This file renders the chart for a StreamPlugin.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// AnnotationPluginUID is on every object that a StreamPlugin installs, and holds the StreamPlugin's UID.
const AnnotationPluginUID = "streaming.sneaksanddata.com/plugin-uid"

// PodMonitor is the API version and kind by which the chart asks whether the cluster has PodMonitors.
const PodMonitor = "monitoring.coreos.com/v1/PodMonitor"

// podMonitors is its GroupVersionKind.
var podMonitors = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PodMonitor"}

// Installs tells whether a chart of this operator may install objects of a kind: internal/plugin has rights on these alone.
func Installs(apiVersion, kind string) bool {
	switch schema.FromAPIVersionAndKind(apiVersion, kind) {
	case v1.GroupVersion.WithKind(v1.KindStreamClass), v1.GroupVersion.WithKind(v1.KindStreamingJobTemplate),
		schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
		schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}, podMonitors:
		return true
	default:
		return false
	}
}

// ClassName is the name of the StreamClass that a StreamPlugin installs.
func ClassName(p *v1.StreamPlugin) string { return cmp.Or(p.Spec.ClassName, p.Name) }

// ReleaseName is the name of a StreamPlugin's Helm release. It derives from the UID: a StreamPlugin that is created anew
// under the same name never takes over the release of the former one.
func ReleaseName(p *v1.StreamPlugin) string { return "plugin-" + string(p.UID) }

// Version is the version of the preset to install: the one that the spec names, else the one that is installed already,
// else the newest. The defaulting webhook writes it into the spec; this keeps it where no webhook did.
func (c *Chart) Version(p *v1.StreamPlugin) string {
	return cmp.Or(p.Spec.Version, p.Status.Version, c.Newest(p.Spec.Preset))
}

// ResourceLister reads from the API server which kinds the cluster has. A RESTMapper would not do: it caches kinds that have
// since been removed.
type ResourceLister interface {
	ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error)
}

// CapabilitiesOf asks the API server each time, because PodMonitors can come and go.
func CapabilitiesOf(lister ResourceLister) (*chartutil.Capabilities, error) {
	list, err := lister.ServerResourcesForGroupVersion(podMonitors.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return Capabilities(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("find out whether the cluster has PodMonitors: %w", err)
	}
	if slices.ContainsFunc(list.APIResources, func(one metav1.APIResource) bool { return one.Kind == podMonitors.Kind }) {
		return Capabilities(PodMonitor), nil
	}
	return Capabilities(), nil
}

// Capabilities are those of a cluster that has these kinds beside Kubernetes' own, such as PodMonitor.
func Capabilities(kinds ...string) *chartutil.Capabilities {
	capabilities := *chartutil.DefaultCapabilities
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), kinds...)
	return &capabilities
}

// maxSpec is how many bytes of JSON a spec may have. A release holds it several times, and a ConfigMap holds 1 MiB.
const maxSpec = 128 << 10

// isHarmful tells whether a character may not stand in a value. YAML takes some for line breaks that Go's templates do not
// indent, so that what follows them would become a field of its own; others cannot stand in YAML at all.
func isHarmful(c rune) bool {
	return c < ' ' && c != '\t' && c != '\n' || c >= 0x7f && c < 0xa0 ||
		c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff || c == '\ufffd'
}

// maxDepth is how deep values may be nested. Helm's templates indent them, so that a text grows with the square of its depth.
const maxDepth = 100

// plainText refuses strings and keys that are not the same in YAML, and values that are nested too deep.
func plainText(at *field.Path, value any, depth int) error {
	if depth > maxDepth {
		return field.Invalid(field.NewPath("spec"), "", fmt.Sprintf("a value is nested more than %d levels deep; make it flatter", maxDepth)) //nolint:wrapcheck // It names the field.
	}
	switch v := value.(type) {
	case string:
		if strings.ContainsFunc(v, isHarmful) {
			return field.Invalid(at, strings.ToValidUTF8(v, "?"), "it holds a control character or a line separator; remove it") //nolint:wrapcheck // It names the field.
		}
	case []any:
		for i, one := range v {
			if err := plainText(at.Index(i), one, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key == "<<" || strings.ContainsFunc(key, isHarmful) || strings.Contains(key, "\n") {
				return field.Invalid(at, key, "no key may be << or hold a control character; rename it") //nolint:wrapcheck // It names the field.
			}
			if err := plainText(at.Key(key), v[key], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Values are what the chart is rendered with.
func (c *Chart) Values(p *v1.StreamPlugin) (map[string]any, error) {
	raw, err := json.Marshal(p.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the spec of StreamPlugin %s/%s: %w", p.Namespace, p.Name, err)
	}
	values := map[string]any{}
	// Unlike encoding/json, this keeps integers beyond 2^53.
	if err := utiljson.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("read the spec of StreamPlugin %s/%s: %w", p.Namespace, p.Name, err)
	}
	if len(raw) > maxSpec {
		return nil, field.TooLong(field.NewPath("spec"), "", maxSpec) //nolint:wrapcheck // It names the field.
	}
	if err := plainText(field.NewPath("spec"), values, 0); err != nil {
		return nil, err
	}
	values["name"] = p.Name
	if version := c.Version(p); version != "" {
		values["version"] = version
	}
	return values, nil
}

// Render returns the objects that the StreamPlugin installs, in the order in which Helm installs them. An error is about
// the spec: it names the field and what to do.
func (c *Chart) Render(p *v1.StreamPlugin, capabilities *chartutil.Capabilities) ([]*unstructured.Unstructured, error) {
	if err := c.check(p); err != nil {
		return nil, err
	}
	values, err := c.Values(p)
	if err != nil {
		return nil, err
	}
	release := chartutil.ReleaseOptions{Name: ReleaseName(p), Namespace: p.Namespace, Revision: 1, IsInstall: true}
	// Helm merges the chart's values.yaml into what it is given.
	all, err := chartutil.ToRenderValues(c.Chart, values, release, capabilities)
	if err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	files, err := engine.Render(c.Chart, all)
	if err != nil {
		return nil, refusal(err)
	}
	return objects(files, p.Namespace)
}

// check refuses a version that this operator does not have.
func (c *Chart) check(p *v1.StreamPlugin) error {
	versions := c.Versions(p.Spec.Preset)
	if len(versions) == 0 {
		known := slices.Sorted(maps.Keys(c.versions))
		return field.NotSupported(field.NewPath("spec", "preset"), p.Spec.Preset, known) //nolint:wrapcheck // It names the field.
	}
	if version := c.Version(p); !slices.Contains(versions, version) {
		err := field.NotSupported(field.NewPath("spec", "version"), version, versions)
		err.Detail += "; name one of these, or upgrade the operator to one that has it"
		return err //nolint:wrapcheck // It names the field.
	}
	return nil
}

// trace is what Helm's engine writes in front of what a template says by the function fail.
var trace = regexp.MustCompile(`(?s)^.*(execution error at \([^)]*\): |error calling fail: )`)

// complaint is a line of what _check.tpl says: a value, by its path, and what is wrong with it.
var complaint = regexp.MustCompile(`^([A-Za-z0-9]+(?:[.][A-Za-z0-9-]+|\[[^\]]+\])*): (.+)$`)

// refusal is what a template says by the function fail, without the trace through the templates before it: a line for each
// value, which becomes an error of the field.
func refusal(err error) error {
	var errs field.ErrorList
	for line := range strings.SplitSeq(trace.ReplaceAllString(err.Error(), ""), "\n") {
		at, detail := "spec", line
		if parts := complaint.FindStringSubmatch(line); parts != nil {
			at, detail = "spec."+parts[1], parts[2]
			if parts[1] == "name" {
				at = "metadata.name"
			}
		}
		errs = append(errs, &field.Error{Type: field.ErrorTypeForbidden, Field: at, Detail: detail, BadValue: ""})
	}
	return errs.ToAggregate() //nolint:wrapcheck // It names the fields.
}

// objects are the manifests in the rendered files. A namespaced object without a namespace lies in the StreamPlugin's.
func objects(files map[string]string, namespace string) ([]*unstructured.Unstructured, error) {
	for name := range files {
		if path.Base(name) == "NOTES.txt" || strings.HasPrefix(path.Base(name), "_") {
			delete(files, name)
		}
	}
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("read what the chart renders: %w", err)
	}
	found := make([]*unstructured.Unstructured, 0, len(manifests))
	for _, m := range manifests {
		o, err := object(m.Content, namespace)
		if err != nil {
			return nil, fmt.Errorf("read what the chart renders in %s: %w", m.Name, err)
		}
		found = append(found, o)
	}
	return found, nil
}

// object reads one manifest.
func object(manifest, namespace string) (*unstructured.Unstructured, error) {
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("it is not a Kubernetes object: %w", err)
	}
	if o.GetNamespace() == "" && o.GetKind() != v1.KindStreamClass {
		o.SetNamespace(namespace)
	}
	return o, nil
}

// Objects are the manifests of a release.
func Objects(manifest, namespace string) ([]*unstructured.Unstructured, error) {
	return objects(map[string]string{"release": manifest}, namespace)
}
