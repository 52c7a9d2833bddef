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

// kind is the adapter of one kind; T is a pointer to its type, and A holds what an
// object of it names.
type kind[T client.Object, A any] struct {
	*server
	name string
	// fresh makes an empty one.
	fresh func() T
	// changed tells whether an update changes anything that is judged.
	changed func(old, new T) bool
	// wakes tells whether an update that changes nothing of that makes the operator
	// run something all the same; nil for a kind of which none does.
	wakes func(old, new T) bool
	// fill writes the defaults; nil for a kind without.
	fill func(ctx context.Context, old, new T, create bool) error
	// around looks up what the object names. It belongs to the cache: nobody writes to it.
	around func(ctx context.Context, new T) (A, error)
	// needs tells what whoever writes this must be allowed to do; nil where to be
	// allowed to write the kind is enough.
	needs func(new T, create bool, around A) need
	// check asks the rules; old is the zero T at CREATE.
	check func(old, new T, around A) ([]string, field.ErrorList)
	// removal tells what whoever deletes this must be allowed to do; nil where to be
	// allowed to delete the kind is enough.
	removal func(ctx context.Context, old T) (need, error)
	// removes tells whether an update makes somebody else delete the object, or lets go of it; nil where none does.
	removes func(old, new T) bool
	// try asks the API server to take what would come of it; nil where nothing does.
	try func(ctx context.Context, new T, around A) verdict
}

// verdict is the answer to whoever writes.
type verdict struct {
	warnings []string
	errs     field.ErrorList
	// tried: the errors are the API server's own.
	tried bool
}

// change is a write.
type change[T client.Object] struct {
	old, new T
	create   bool
	// updates: there is an old object that could be read.
	updates bool
	// passes: it is none of ours.
	passes bool
	// counts: something is different that is judged.
	counts bool
	// runs: the operator will run something for whoever writes it.
	runs bool
}

// complete answers with the defaults that are missing, as a patch.
func (k kind[T, A]) complete(ctx context.Context, req admission.Request) admission.Response {
	c, err := k.read(req)
	if err != nil || c.passes {
		// What cannot be read is refused by the kind's schema, which names the field.
		return admission.Allowed("")
	}
	before := c.new.DeepCopyObject()
	if err := k.fill(ctx, c.old, c.new, c.create); err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	operations, err := patch(req.Object.Raw, before, c.new)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.Patched("", operations...)
}

// judge answers whether the write may be stored.
func (k kind[T, A]) judge(ctx context.Context, req admission.Request) admission.Response {
	if req.Operation == admissionv1.Delete && k.removal != nil {
		return k.judgeRemoval(ctx, req)
	}
	c, err := k.read(req)
	if err != nil {
		return admission.Errored(http.StatusUnprocessableEntity, err)
	}
	if c.passes {
		return admission.Allowed("")
	}
	if c.updates && k.removes != nil && k.removes(c.old, c.new) {
		if answer := k.judgeRemoval(ctx, req); !answer.Allowed {
			return answer
		}
	}
	around, err := k.around(ctx, c.new)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if c.runs && k.needs != nil {
		if answer := k.requireRights(ctx, req, c.new.GetName(), k.needs(c.new, c.create, around)); !answer.Allowed {
			return answer
		}
	}
	v := k.verdict(ctx, c, around)
	if len(v.errs) > 0 {
		group := schema.GroupKind{Group: v1.GroupVersion.Group, Kind: k.name}
		answer := refused(apierrors.NewInvalid(group, c.new.GetName(), v.errs)).WithWarnings(v.warnings...)
		if v.tried {
			answer.AuditAnnotations = map[string]string{ruleKey: string(RuleDryRun)}
		}
		return answer
	}
	return admission.Allowed("").WithWarnings(v.warnings...)
}

// judgeRemoval answers whether the object may be deleted.
func (k kind[T, A]) judgeRemoval(ctx context.Context, req admission.Request) admission.Response {
	if k.isOperator(req) {
		return admission.Allowed("")
	}
	old := k.fresh()
	if err := decode(req.OldObject.Raw, old); err != nil {
		return admission.Allowed("").WithWarnings(fmt.Sprintf("the rights to delete what it installed were not checked: %v", err))
	}
	n, err := k.removal(ctx, old)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return k.requireRights(ctx, req, old.GetName(), n)
}

// requireRights refuses the request of a user who lacks a right.
func (k kind[T, A]) requireRights(ctx context.Context, req admission.Request, name string, n need) admission.Response {
	lack, err := k.lacking(ctx, req.UserInfo, n)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if lack != "" {
		resource := schema.GroupResource{Group: req.Resource.Group, Resource: req.Resource.Resource}
		return refused(apierrors.NewForbidden(resource, name, errorText(lack)))
	}
	return admission.Allowed("")
}

// isOperator tells whether the operator itself sends the request.
func (s *server) isOperator(req admission.Request) bool {
	return s.user != "" && req.UserInfo.Username == s.user
}

// verdict asks the rules, which warn also of what changes nothing that they judge,
// and then the API server.
func (k kind[T, A]) verdict(ctx context.Context, c change[T], around A) (v verdict) {
	v.warnings, v.errs = k.check(c.old, c.new, around)
	if !c.counts || len(v.errs) > 0 || k.try == nil {
		return v
	}
	tried := k.try(ctx, c.new, around)
	v.warnings, v.errs = append(v.warnings, tried.warnings...), tried.errs
	v.tried = true
	return v
}

// read decodes a request. An update of an object that is being deleted passes, so that
// its finalizers can be removed, unless it changes what is judged: a template serves
// as long as it is there.
// What the operator writes itself passes too. What the garbage collector does to
// owners counts for nothing, like every change of what is not judged.
func (k kind[T, A]) read(req admission.Request) (c change[T], err error) {
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || req.SubResource != "" || k.isOperator(req) {
		return change[T]{passes: true}, nil
	}
	c.create, c.new = req.Operation == admissionv1.Create, k.fresh()
	if err := decode(req.Object.Raw, c.new); err != nil {
		return c, err
	}
	// Where an object is created it may stand only beside it.
	if c.new.GetNamespace() == "" {
		c.new.SetNamespace(req.Namespace)
	}
	c.counts, c.runs = true, true
	if c.create {
		return c, nil
	}
	leaves, old := c.new.GetDeletionTimestamp() != nil, k.fresh()
	if decode(req.OldObject.Raw, old) != nil {
		// What is stored was written before there was a rule. It is mended like a new one.
		c.passes = leaves
		return c, nil //nolint:nilerr // The new one can be read.
	}
	c.old, c.updates, c.counts = old, true, k.changed(old, c.new)
	c.passes = leaves && !c.counts
	c.runs = c.counts || k.wakes != nil && k.wakes(old, c.new)
	return c, nil
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
