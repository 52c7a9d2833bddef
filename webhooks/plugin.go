package webhooks

// This file adapts StreamPlugins.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// rendered is what a StreamPlugin installs.
type rendered struct {
	// err says why it cannot be rendered.
	err error
	// class and templates are the objects of our own kinds.
	class     *v1.StreamClass
	templates []*v1.StreamingJobTemplate
	// objects are all of them, by resource, without a verb.
	objects []authorizationv1.ResourceAttributes
	// taken are the objects of our own kinds that exist under a name that is needed, and that this StreamPlugin has not
	// installed.
	taken []client.Object
}

// plugins is the adapter of StreamPlugins. The operator writes what one renders with its own rights, so whoever writes the
// StreamPlugin must have these rights too.
func (s *server) plugins() kind[*v1.StreamPlugin, rendered] {
	return kind[*v1.StreamPlugin, rendered]{
		server: s, name: v1.KindStreamPlugin,
		fresh:   func() *v1.StreamPlugin { return &v1.StreamPlugin{} },
		changed: func(old, new *v1.StreamPlugin) bool { return !equality.Semantic.DeepEqual(old.Spec, new.Spec) },
		fill: func(_ context.Context, old, new *v1.StreamPlugin, create bool) error {
			// A manifest that replaces the object has neither the version nor a status: it keeps the version all the same.
			if !create && old != nil && new.Spec.Version == "" {
				new.Spec.Version = old.Spec.Version
			}
			if s.chart != nil {
				new.Spec.Version = s.chart.Version(new)
			}
			return nil
		},
		around: s.render,
		needs: func(new *v1.StreamPlugin, create bool, around rendered) need {
			verb := "update"
			if create {
				verb = "create"
			}
			n := need{kind: v1.KindStreamPlugin, namespace: new.Namespace, objects: withVerb(verb, around.objects)}
			for _, t := range around.templates {
				n.secrets = append(n.secrets, validation.TemplateSecrets(t)...)
			}
			slices.Sort(n.secrets)
			n.secrets = slices.Compact(n.secrets)
			return n
		},
		check:   checkPlugin,
		removal: s.removal,
		// The garbage collector deletes what has an owner that is not there. Without the finalizer the class stays behind.
		removes: func(old, new *v1.StreamPlugin) bool {
			return new.DeletionTimestamp == nil && (!equality.Semantic.DeepEqual(old.OwnerReferences, new.OwnerReferences) ||
				slices.Contains(old.Finalizers, v1.FinalizerUninstall) && !slices.Contains(new.Finalizers, v1.FinalizerUninstall))
		},
		try: s.tryPlugin,
	}
}

// removal asks for the right to delete everything that the operator would: the class, what the status records, and what is
// rendered now. The first two hold also where this operator cannot render the StreamPlugin.
func (s *server) removal(ctx context.Context, old *v1.StreamPlugin) (need, error) {
	n := need{kind: v1.KindStreamPlugin, namespace: old.Namespace, noJobs: true}
	around, err := s.render(ctx, old)
	if err != nil {
		return n, err
	}
	class := authorizationv1.ResourceAttributes{
		Group: v1.GroupVersion.Group, Version: v1.GroupVersion.Version, Resource: "streamclasses", Name: pluginchart.ClassName(old),
	}
	all := append([]authorizationv1.ResourceAttributes{class}, around.objects...)
	for _, o := range old.Status.Objects {
		if !pluginchart.Installs(o.APIVersion, o.Kind) {
			continue // Somebody else has put it there; the operator deletes no such object.
		}
		kind := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind)
		mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			continue // The cluster has lost the kind, and with it the object.
		}
		if err != nil {
			return n, fmt.Errorf("find out what the API server calls a %s: %w", o.Kind, err)
		}
		what := authorizationv1.ResourceAttributes{Group: kind.Group, Version: kind.Version, Resource: mapping.Resource.Resource, Name: o.Name}
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			what.Namespace = old.Namespace
		}
		all = append(all, what)
	}
	for _, what := range withVerb("delete", all) {
		if !slices.Contains(n.objects, what) {
			n.objects = append(n.objects, what)
		}
	}
	return n, nil
}

// withVerb asks for one verb on each object. The API server authorizes a create without a name.
func withVerb(verb string, objects []authorizationv1.ResourceAttributes) []authorizationv1.ResourceAttributes {
	all := make([]authorizationv1.ResourceAttributes, 0, len(objects))
	for _, what := range objects {
		what.Verb = verb
		if verb == "create" {
			what.Name = ""
		}
		all = append(all, what)
	}
	return all
}

// errNotServed is the answer of an operator that serves no StreamPlugins.
var errNotServed = field.Forbidden(field.NewPath("kind"),
	"this operator serves no StreamPlugins: it runs with --namespaces or with --stream-plugins=false; install the chart stream-plugin instead (docs/plugins.md#without-a-streamplugin)")

// render renders the chart, and looks up the resource of each object.
func (s *server) render(ctx context.Context, p *v1.StreamPlugin) (rendered, error) {
	if s.chart == nil {
		return rendered{err: errNotServed}, nil
	}
	capabilities, err := pluginchart.CapabilitiesOf(s.kinds)
	if err != nil {
		return rendered{}, err
	}
	objects, err := s.chart.Render(p, capabilities)
	if err != nil {
		return rendered{err: err}, nil //nolint:nilerr // The error is an answer to the user.
	}
	var r rendered
	for _, o := range objects {
		mapping, err := s.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		if err != nil {
			return r, fmt.Errorf("find out what the API server calls a %s: %w", o.GetKind(), err)
		}
		r.objects = append(r.objects, authorizationv1.ResourceAttributes{
			Group: mapping.Resource.Group, Version: mapping.Resource.Version, Resource: mapping.Resource.Resource,
			Namespace: o.GetNamespace(), Name: o.GetName(),
		})
		if err := r.add(o); err != nil {
			return r, err
		}
	}
	r.taken, err = s.taken(ctx, p, r)
	return r, err
}

// add keeps the objects of our own kinds, typed.
func (r *rendered) add(o *unstructured.Unstructured) error {
	var into any
	switch o.GetKind() {
	case v1.KindStreamClass:
		r.class = &v1.StreamClass{}
		into = r.class
	case v1.KindStreamingJobTemplate:
		t := &v1.StreamingJobTemplate{}
		r.templates = append(r.templates, t)
		into = t
	default:
		return nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
		return fmt.Errorf("read the %s that the chart renders: %w", o.GetKind(), err)
	}
	return nil
}

// taken finds what somebody else has under a name that the class or a template needs.
func (s *server) taken(ctx context.Context, p *v1.StreamPlugin, r rendered) ([]client.Object, error) {
	needed := map[client.ObjectKey]client.Object{}
	if r.class != nil {
		needed[client.ObjectKeyFromObject(r.class)] = &v1.StreamClass{}
	}
	for _, t := range r.templates {
		needed[client.ObjectKeyFromObject(t)] = &v1.StreamingJobTemplate{}
	}
	var all []client.Object
	for key, there := range needed {
		err := s.cache.Get(ctx, key, there)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up %T %s: %w", there, key, err)
		}
		if p.UID == "" || there.GetAnnotations()[pluginchart.AnnotationPluginUID] != string(p.UID) {
			all = append(all, there)
		}
	}
	slices.SortFunc(all, func(a, b client.Object) int {
		return cmp.Compare(a.GetNamespace()+a.GetName(), b.GetNamespace()+b.GetName())
	})
	return all, nil
}

// likelySecret are names of variables whose values are likely to be secret.
var likelySecret = regexp.MustCompile(`(?i)(password|passwd|secret|token|credential|private_?key|access_?key|api_?key|dsn)`)

// checkPlugin asks whether the spec can be rendered, and whether what it renders would be accepted.
func checkPlugin(old, new *v1.StreamPlugin, around rendered) (warnings []string, errs field.ErrorList) {
	spec, unchanged := field.NewPath("spec"), old != nil && equality.Semantic.DeepEqual(old.Spec, new.Spec)
	if around.err != nil {
		// Labels and finalizers can be changed all the same: this operator may render less than the one before it did.
		if unchanged {
			return nil, nil
		}
		return nil, fieldErrors(spec, around.err)
	}
	for i, variable := range new.Spec.Env {
		if variable.Value != "" && likelySecret.MatchString(variable.Name) {
			warnings = append(warnings, fmt.Sprintf("%s: everybody who may read the StreamPlugin or its templates can read this value; take a secret by valueFrom.secretKeyRef",
				spec.Child("env").Index(i).Child("value")))
		}
	}
	for _, there := range around.taken {
		at, what, out := spec.Child("className"), v1.KindStreamClass, "name another class"
		if _, ok := there.(*v1.StreamingJobTemplate); ok {
			at, what, out = field.NewPath("metadata", "name"), v1.KindStreamingJobTemplate, "choose another name"
		}
		warnings = append(warnings, fmt.Sprintf("%s: %s %s exists and does not belong to this StreamPlugin; the operator leaves it alone and installs nothing while it exists; %s",
			at, what, there.GetName(), out))
	}
	if around.class != nil {
		_, found := validation.Class(nil, around.class, validation.ClassSurroundings{})
		errs = append(errs, ofRendered(spec, "StreamClass "+around.class.Name, found)...)
	}
	for _, t := range around.templates {
		_, found := validation.Template(nil, t, validation.TemplateSurroundings{})
		errs = append(errs, ofRendered(spec, "StreamingJobTemplate "+t.Name, found)...)
	}
	if unchanged {
		return warnings, nil
	}
	return warnings, once(errs)
}

// fieldErrors are the errors of fields that an error consists of. One that names no field is about the whole spec.
func fieldErrors(spec *field.Path, err error) (errs field.ErrorList) {
	all := []error{err}
	if several := utilerrors.Aggregate(nil); errors.As(err, &several) {
		all = several.Errors()
	}
	for _, one := range all {
		var at *field.Error
		if !errors.As(one, &at) {
			at = field.Forbidden(spec, one.Error())
		}
		errs = append(errs, at)
	}
	return errs
}

// sources are the fields of a rendered template that the chart copies from the spec as they are, and the fields that they
// come from.
var sources = []struct{ rendered, written string }{
	{"spec.spec.template.metadata.labels", "spec.podLabels"},
	{"spec.spec.template.spec.affinity", "spec.affinity"},
	{"spec.spec.template.spec.nodeSelector", "spec.nodeSelector"},
	{"spec.spec.template.spec.priorityClassName", "spec.priorityClassName"},
	{"spec.spec.template.spec.tolerations", "spec.tolerations"},
	{"spec.spec.template.spec.topologySpreadConstraints", "spec.topologySpreadConstraints"},
}

// ofRendered reports what is wrong with a rendered object: by the field that it comes from where that is known, else as an
// error of the spec.
func ofRendered(spec *field.Path, object string, found field.ErrorList) (errs field.ErrorList) {
	for _, e := range found {
		errs = append(errs, sourceOf(e, field.Forbidden(spec, fmt.Sprintf("the %s that it renders would be refused: %v", object, e))))
	}
	return errs
}

func sourceOf(e, otherwise *field.Error) *field.Error {
	for _, s := range sources {
		if rest, ok := strings.CutPrefix(e.Field, s.rendered); ok && (rest == "" || strings.ContainsAny(rest[:1], ".[")) {
			written := *e
			written.Field = s.written + rest
			return &written
		}
	}
	return otherwise
}

// once leaves out what was said before: both templates copy the same fields.
func once(errs field.ErrorList) (unique field.ErrorList) {
	said := map[string]bool{}
	for _, e := range errs {
		if !said[e.Error()] {
			unique = append(unique, e)
		}
		said[e.Error()] = true
	}
	return unique
}

// tryPlugin asks the API server, by a dry run, to take a Job of each template.
func (s *server) tryPlugin(ctx context.Context, _ *v1.StreamPlugin, around rendered) (v verdict) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, t := range around.templates {
		tried := s.tryTemplate(ctx, t, validation.TemplateSurroundings{})
		v.warnings = append(v.warnings, tried.warnings...)
		v.errs = append(v.errs, ofRendered(field.NewPath("spec"), "StreamingJobTemplate "+t.Name, tried.errs)...)
	}
	v.errs = once(v.errs)
	return v
}
