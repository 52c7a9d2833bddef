package accepts

// This file asks Kubernetes: the API server's own code for creating Jobs and CronJobs, without the server.

import (
	"context"
	"encoding/json"
	"errors"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/batch/install" // a Job's defaults and conversions
	_ "k8s.io/kubernetes/pkg/apis/core/install"  // a pod's
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"pgregory.net/rapid"
)

// refusals are Kubernetes' of a Job that is created; none where it is taken.
func refusals(t rapid.TB, j *batchv1.Job) []metav1.StatusCause {
	t.Helper()
	j = j.DeepCopy()
	j.TypeMeta = metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"}
	return created(t, job.Strategy, "jobs", j)
}

// cronRefusals are Kubernetes' of a CronJob that is created.
func cronRefusals(t rapid.TB, c *batchv1.CronJob) []metav1.StatusCause {
	t.Helper()
	return created(t, cronjob.Strategy, "cronjobs", c)
}

// created does what the API server does with a POST, up to the storage: decode, which
// writes the defaults, then what the strategy generates, then all validation.
func created(t rapid.TB, strategy rest.RESTCreateStrategy, resource string, object runtime.Object) []metav1.StatusCause {
	t.Helper()
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	internal, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), body)
	if err != nil {
		t.Fatalf("Kubernetes cannot read it: %v\n%s", err, body)
	}
	metadata, err := meta.Accessor(internal)
	if err != nil {
		t.Fatal(err)
	}
	rest.FillObjectMetaSystemFields(metadata)
	ctx := genericapirequest.WithNamespace(context.Background(), metadata.GetNamespace())
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIGroup: batchv1.GroupName, APIVersion: "v1", Resource: resource, Namespace: metadata.GetNamespace(),
	})
	err = rest.BeforeCreate(strategy, ctx, internal)
	if err == nil {
		return nil
	}
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || len(status.Status().Details.Causes) == 0 {
		t.Fatalf("no answer of Kubernetes: %v", err)
	}
	return status.Status().Details.Causes
}
