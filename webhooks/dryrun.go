package webhooks

// This file asks the API server whether it would take a Job, without making one.

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is what all dry runs of one answer may take together; the API server
// waits five seconds for the answer.
const patience = 2 * time.Second

// tryJob makes a Job as a dry run. Only that it is invalid counts: a quota, a policy
// or a slow answer may be otherwise when the Job is really made, and is a warning.
//
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=create
func (s *server) tryJob(ctx context.Context, job *batchv1.Job) (causes []metav1.StatusCause, warning string) {
	err := s.live.Create(ctx, job, client.DryRunAll)
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil, ""
	}
	var status apierrors.APIStatus
	if apierrors.IsInvalid(err) && errors.As(err, &status) {
		if d := status.Status().Details; d != nil && len(d.Causes) > 0 {
			return d.Causes, ""
		}
		return []metav1.StatusCause{{Field: "spec", Message: err.Error()}}, ""
	}
	return nil, fmt.Sprintf("it could not be tried whether Kubernetes takes a Job of this: %v", err)
}
