package webhooks

// This file holds what the adapters of all kinds have in common.

import (
	"context"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// kind is the adapter of one kind; T is a pointer to its type.
type kind[T client.Object] struct {
	*server
	name string
	// fresh makes an empty one.
	fresh func() T
	// changed tells whether an update changes anything that is judged.
	changed func(old, new T) bool
	// fill writes the defaults; nil for a kind without.
	fill func(ctx context.Context, new T, create bool) error
	// needs tells what whoever writes this must be allowed to do; nil where to be
	// allowed to write the kind is enough.
	needs func(ctx context.Context, new T) (need, error)
	// check asks the rules; old is the zero T at CREATE.
	check func(ctx context.Context, old, new T) (verdict, error)
	// try asks the API server to take what would come of it; nil where nothing does.
	try func(ctx context.Context, new T) (verdict, error)
}

// verdict is what is told to whoever writes.
type verdict struct {
	warnings []string
	errs     field.ErrorList
}

// change is a write that is to be judged.
type change[T client.Object] struct {
	old, new T
	create   bool
}

// complete answers with the defaults that are missing, as a patch.
func (k kind[T]) complete(ctx context.Context, req admission.Request) admission.Response {
	c, judged, err := k.read(req)
	if err != nil || !judged {
		// What cannot be read is refused by the kind's schema, which names the field.
		return admission.Allowed("")
	}
	before := c.new.DeepCopyObject()
	if err := k.fill(ctx, c.new, c.create); err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	operations, err := patch(req.Object.Raw, before, c.new)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.Patched("", operations...)
}

// judge answers whether the write may be stored.
func (k kind[T]) judge(ctx context.Context, req admission.Request) admission.Response {
	c, judged, err := k.read(req)
	if err != nil {
		return admission.Errored(http.StatusUnprocessableEntity, err)
	}
	if !judged {
		return admission.Allowed("")
	}
	if k.needs != nil {
		n, err := k.needs(ctx, c.new)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		lack, err := k.lacking(ctx, req.UserInfo, n)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		if lack != "" {
			return refused(apierrors.NewForbidden(k.resource(req), c.new.GetName(), errorText(lack)))
		}
	}
	v, err := k.check(ctx, c.old, c.new)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if len(v.errs) == 0 && k.try != nil {
		tried, err := k.try(ctx, c.new)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		v.warnings, v.errs = append(v.warnings, tried.warnings...), tried.errs
	}
	if len(v.errs) > 0 {
		group := schema.GroupKind{Group: v1.GroupVersion.Group, Kind: k.name}
		return refused(apierrors.NewInvalid(group, c.new.GetName(), v.errs)).WithWarnings(v.warnings...)
	}
	return admission.Allowed("").WithWarnings(v.warnings...)
}

// read decodes a request, and tells whether there is anything to judge: not where an
// object is on its way out, else its finalizers could not go; not what the operator
// writes itself; nor where nothing changes that is judged, as when the garbage
// collector takes an owner away.
func (k kind[T]) read(req admission.Request) (c change[T], judged bool, err error) {
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || req.SubResource != "" {
		return c, false, nil
	}
	if k.user != "" && req.UserInfo.Username == k.user {
		return c, false, nil
	}
	c.create, c.new = req.Operation == admissionv1.Create, k.fresh()
	if err := decode(req.Object.Raw, c.new); err != nil {
		return c, false, err
	}
	// A request to create with a generated name has none yet, and a namespace may stand only beside the object.
	if c.new.GetNamespace() == "" {
		c.new.SetNamespace(req.Namespace)
	}
	if c.new.GetDeletionTimestamp() != nil {
		return c, false, nil
	}
	if c.create {
		return c, true, nil
	}
	c.old = k.fresh()
	if err := decode(req.OldObject.Raw, c.old); err != nil {
		// What is stored was written before there was a rule; it must be possible to mend it.
		return change[T]{new: c.new}, true, nil
	}
	return c, k.changed(c.old, c.new), nil
}

func (k kind[T]) resource(req admission.Request) schema.GroupResource {
	return schema.GroupResource{Group: req.Resource.Group, Resource: req.Resource.Resource}
}

func decode(raw []byte, into any) error {
	if err := json.UnmarshalCaseSensitivePreserveInts(raw, into); err != nil {
		return fmt.Errorf("the object cannot be read: %w; correct it", err)
	}
	return nil
}

// refused carries the API server's own form of an error, with its causes by field.
func refused(err *apierrors.StatusError) admission.Response {
	status := err.Status()
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Allowed: false, Result: &status}}
}

// errorText is an error that says just this.
type errorText string

func (e errorText) Error() string { return string(e) }
