package webhooks

// This file sends requests to the adapters, over a client that plays the API server.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

const (
	namespace = "sales"
	operator  = "system:serviceaccount:arcane-system:arcane-operator"
)

// apiServer answers what the webhooks ask.
type apiServer struct {
	// denied are "verb resource/name" that nobody may do.
	denied []string
	// job is the answer to a dry run.
	job error
	// asked are all questions, in their order.
	asked []string
}

func (a *apiServer) create(_ context.Context, _ client.WithWatch, o client.Object, options ...client.CreateOption) error {
	switch o := o.(type) {
	case *authorizationv1.SubjectAccessReview:
		at := o.Spec.ResourceAttributes
		what := strings.TrimSuffix(at.Verb+" "+at.Resource+"/"+at.Name, "/")
		a.asked = append(a.asked, what)
		if o.Spec.User != "amy" || at.Namespace != namespace {
			return fmt.Errorf("asked about %s in %s", o.Spec.User, at.Namespace)
		}
		o.Status.Allowed = true
		for _, d := range a.denied {
			if d == what {
				o.Status.Allowed = false
			}
		}
		if a.denied != nil && a.denied[0] == "error" {
			return errors.New("the API server is away")
		}
	case *batchv1.Job:
		a.asked = append(a.asked, "dry run")
		var applied client.CreateOptions
		applied.ApplyOptions(options)
		if len(applied.DryRun) != 1 {
			return errors.New("a Job was really made")
		}
		return a.job
	default:
		return fmt.Errorf("unexpected create of %T", o)
	}
	return nil
}

// newServer has a class that reads a Secret, a template and a stream, beside other objects.
func newServer(t testing.TB, api *apiServer, objects ...client.Object) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	objects = append(objects, given.Class("pg", "std", given.SecretRefs("source.credentials")), given.Template(namespace, "std"), stream())
	cache := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	for _, i := range indexed {
		cache.WithIndex(i.object, i.field, i.values)
	}
	return &server{
		user:  operator,
		cache: cache.Build(),
		live:  fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{Create: api.create}).Build(),
	}
}

func stream(options ...given.StreamOption) *v1.Stream {
	s := given.Stream(namespace, "orders", "pg", options...)
	s.Spec.Source = &runtime.RawExtension{Raw: []byte(`{"credentials":{"name":"creds"}}`)}
	return s
}

func raw(t testing.TB, o any) runtime.RawExtension {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: data}
}

// request of amy's; old is nil at CREATE.
func request(t testing.TB, old, new any) admission.Request {
	t.Helper()
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Namespace: namespace, Operation: admissionv1.Create, Object: raw(t, new),
		UserInfo: authenticationv1.UserInfo{Username: "amy", Groups: []string{"system:authenticated"}},
		Resource: metav1.GroupVersionResource{Group: v1.GroupVersion.Group, Version: "v1", Resource: "streams"},
	}}
	if old != nil {
		req.Operation, req.OldObject = admissionv1.Update, raw(t, old)
	}
	return req
}

func edited(change func(*v1.Stream)) *v1.Stream {
	s := stream()
	change(s)
	return s
}

func TestStreams(t *testing.T) {
	jobs, secret, dry := "create jobs", "get secrets/creds", "dry run"
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, "x", field.ErrorList{
		field.Required(field.NewPath("spec", "template", "spec", "containers").Index(0).Child("image"), ""),
	})
	forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "x", errors.New("exceeded quota"))
	resumed := func(s *v1.Stream) { s.Spec.Suspended = false }
	resinked := func(s *v1.Stream) { s.Spec.Sink = &runtime.RawExtension{Raw: []byte(`{"bucket":"other"}`)} }
	for _, c := range []struct {
		name     string
		old, new *v1.Stream
		api      apiServer
		user     string
		refused  string
		code     int32
		warned   string
		asked    []string
	}{
		{name: "a right one", new: stream(), asked: []string{jobs, secret, dry}},
		{name: "no Jobs", new: stream(), api: apiServer{denied: []string{jobs}}, asked: []string{jobs}, code: 403, refused: `user "amy" may not create jobs.batch in namespace "sales"`},
		{name: "no Secret", new: stream(), api: apiServer{denied: []string{secret}}, asked: []string{jobs, secret}, code: 403, refused: `user "amy" may not get Secret "creds"`},
		{name: "no answer about rights", new: stream(), api: apiServer{denied: []string{"error"}}, asked: []string{jobs}, code: 500, refused: "the API server is away"},
		{name: "an invalid Job", new: stream(), api: apiServer{job: invalid}, asked: []string{jobs, secret, dry}, code: 422, refused: "spec.jobTemplateRef: Forbidden: Kubernetes refuses the Job that would come of it: spec.template.spec.containers[0].image: Required value"},
		{name: "a quota", new: stream(), api: apiServer{job: forbidden}, asked: []string{jobs, secret, dry}, warned: "exceeded quota"},
		{name: "a time-out", new: stream(), api: apiServer{job: context.DeadlineExceeded}, asked: []string{jobs, secret, dry}, warned: "could not be tried"},
		{name: "a rule broken", new: edited(func(s *v1.Stream) { s.Spec.Schedule = new("never") }), asked: []string{jobs, secret}, code: 422, refused: "spec.schedule"},
		{name: "the same again", old: stream(), new: stream()},
		{name: "a label", old: stream(), new: edited(func(s *v1.Stream) { s.Labels = map[string]string{"a": "b"} })},
		{name: "an owner gone", old: edited(func(s *v1.Stream) { s.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} }), new: stream(), user: "system:serviceaccount:kube-system:generic-garbage-collector"},
		{name: "stopped", old: stream(), new: edited(given.Suspended)},
		{name: "resumed", old: edited(given.Suspended), new: edited(resumed), asked: []string{jobs, secret}},
		{name: "resumed without the right", old: edited(given.Suspended), new: edited(resumed), api: apiServer{denied: []string{jobs}}, asked: []string{jobs}, code: 403, refused: "may not create jobs"},
		{name: "restarted", old: stream(), new: edited(func(s *v1.Stream) { s.Annotations = map[string]string{v1.AnnotationRestartedAt: "now"} }), asked: []string{jobs, secret}},
		{name: "another sink", old: stream(), new: edited(resinked), asked: []string{jobs, secret, dry}},
		{name: "on its way out", old: stream(), new: edited(func(s *v1.Stream) { s.Finalizers, s.DeletionTimestamp = nil, &metav1.Time{} })},
		{name: "changed on its way out", old: stream(), new: edited(func(s *v1.Stream) { resinked(s); s.DeletionTimestamp = &metav1.Time{} }), api: apiServer{denied: []string{jobs}}, asked: []string{jobs}, code: 403, refused: "may not create jobs"},
		{name: "the operator's own", old: stream(), new: edited(resinked), user: operator},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, &c.api)
			var old any
			if c.old != nil {
				old = c.old
			}
			if c.new.DeletionTimestamp != nil {
				c.new.DeletionTimestamp = new(metav1.Now())
			}
			req := request(t, old, c.new)
			if c.user != "" {
				req.UserInfo.Username = c.user
			}
			got := s.streams().judge(t.Context(), req)
			switch {
			case c.refused == "" && !got.Allowed:
				t.Errorf("refused: %s", got.Result.Message)
			case c.refused != "" && (got.Allowed || got.Result.Code != c.code || !strings.Contains(got.Result.Message, c.refused)):
				t.Errorf("got %+v, want %d %q", got.Result, c.code, c.refused)
			}
			if warnings := strings.Join(got.Warnings, "\n"); c.warned != "" && !strings.Contains(warnings, c.warned) {
				t.Errorf("warnings %q, want %q", warnings, c.warned)
			}
			if fmt.Sprint(c.api.asked) != fmt.Sprint(c.asked) {
				t.Errorf("asked %q, want %q", c.api.asked, c.asked)
			}
		})
	}
}

func TestCompleteKeepsWhatItDoesNotKnow(t *testing.T) {
	s := newServer(t, &apiServer{})
	req := request(t, nil, stream())
	req.Object.Raw = []byte(strings.Replace(string(req.Object.Raw), `"streamClass"`, `"new":{"x":1},"streamClass"`, 1))
	first := s.streams().complete(t.Context(), req)
	if !first.Allowed || len(first.Patches) == 0 {
		t.Fatalf("%+v", first)
	}
	for _, p := range first.Patches {
		if strings.HasPrefix(p.Path, "/status") || strings.HasPrefix(p.Path, "/spec/new") || p.Operation != "add" {
			t.Errorf("a patch that is none of defaulting's: %+v", p)
		}
	}
	req.UserInfo.Username = operator
	if own := s.streams().complete(t.Context(), req); len(own.Patches) > 0 {
		t.Error("what the operator writes is left as it is")
	}
	req.Object.Raw = []byte(`{"spec":{"suspended":"yes"}}`)
	req.UserInfo.Username = "amy"
	if bad := s.streams().complete(t.Context(), req); !bad.Allowed || len(bad.Patches) > 0 {
		t.Error("what cannot be read is left to the schema")
	}
	if bad := s.streams().judge(t.Context(), req); bad.Allowed || bad.Result.Code != 422 {
		t.Errorf("and refused where the schema has not: %+v", bad.Result)
	}
}

func TestOtherKinds(t *testing.T) {
	api := &apiServer{}
	s := newServer(t, api)
	for name, c := range map[string]struct {
		got   admission.Response
		warns string
	}{
		"request":          {s.requests().judge(t.Context(), request(t, nil, given.Request(namespace, "now", "orders"))), ""},
		"lonely request":   {s.requests().judge(t.Context(), request(t, nil, given.Request(namespace, "now", "nobody"))), "there is no Stream nobody"},
		"template":         {s.templates().judge(t.Context(), request(t, nil, given.Template(namespace, "big"))), ""},
		"class":            {s.classes().judge(t.Context(), request(t, nil, given.Class("other", "std"))), ""},
		"default request":  {s.requests().complete(t.Context(), request(t, nil, given.Request(namespace, "now", "orders"))), ""},
		"default template": {s.templates().complete(t.Context(), request(t, nil, given.Template(namespace, "big"))), ""},
	} {
		if !c.got.Allowed || !strings.Contains(strings.Join(c.got.Warnings, "\n"), c.warns) {
			t.Errorf("%s: %+v", name, c.got)
		}
	}
	signed := given.Request(namespace, "now", "orders")
	signed.Spec.Completed, signed.Annotations = true, map[string]string{v1.AnnotationCompletedBy: "uid"}
	bySomebody := request(t, given.Request(namespace, "now", "orders"), signed)
	if got := s.requests().judge(t.Context(), bySomebody); got.Allowed || !strings.Contains(got.Result.Message, v1.AnnotationCompletedBy) {
		t.Errorf("%+v", got.Result)
	}
	byOperator := bySomebody
	byOperator.UserInfo.Username = operator
	if got := s.requests().judge(t.Context(), byOperator); !got.Allowed {
		t.Errorf("%+v", got.Result)
	}
	wrong := given.Template(namespace, "big", func(t *v1.StreamingJobTemplate) { t.Spec.Spec.Parallelism = new(int32(2)) })
	if got := s.templates().judge(t.Context(), request(t, nil, wrong)); got.Allowed || !strings.Contains(got.Result.Message, "spec.spec.parallelism") {
		t.Errorf("%+v", got.Result)
	}
}
