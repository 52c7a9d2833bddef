package backfill

// This file is the only reader: it reads all that one decision needs.

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// world is what was read of a request's world.
type world struct {
	now     time.Time
	request *v1.BackfillRequest
	// stream that the request is for, nil where there is none.
	stream *v1.Stream
	// class of the stream, nil where there is none.
	class *v1.StreamClass
	// requests for the same stream, this one among them. Read only.
	requests []v1.BackfillRequest
	// problem is what is wrong with the request's own template or payload.
	problem *definition.Problem
	// kindSince is when the kind Stream was added to the cluster, and with it this
	// Arcane. Read only where a request may be from an earlier one; nil where that cannot
	// be found out.
	kindSince *metav1.Time
}

// observe reads the world of a request. It returns nil for one that is not
// there, or not for long.
func (r *Reconciler) observe(ctx context.Context, key types.NamespacedName) (_ *world, err error) {
	ctx, span := tracing.Step(ctx, "observe")
	defer func() { span.End(err) }()
	w := &world{now: r.Clock.Now(), request: &v1.BackfillRequest{}}
	if err := r.Client.Get(ctx, key, w.request); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if w.request.DeletionTimestamp != nil {
		return nil, nil
	}
	if kept(w.request) {
		return w, nil // nothing that happens to its stream concerns it any more
	}
	for _, read := range []func(context.Context, *world) error{r.readStream, r.readRequests, r.readProblem, r.readProof, r.readKindSince} {
		if err := read(ctx, w); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// kept tells whether a request has ended and belongs to its user, who may have set a time for it.
func kept(q *v1.BackfillRequest) bool {
	return q.Status.Phase.Final() && !backlog.MadeByUs(q)
}

func (r *Reconciler) readStream(ctx context.Context, w *world) error {
	stream := &v1.Stream{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: w.request.Namespace, Name: w.request.Spec.StreamID}, stream)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	w.stream = stream
	class := &v1.StreamClass{}
	err = r.Client.Get(ctx, types.NamespacedName{Name: stream.Spec.StreamClass}, class)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the class: %w", err)
	}
	w.class = class
	return nil
}

// readProof reads the stream from the API server where the cached one does not prove the
// request's signature: the cache may be behind what the operator has written itself.
//
// To find no proof there is final for this version of the request, which was read before.
// The operator signs a request only after the stream's status holds the success of its
// job, and lets go of that record only after the request's status is final, the request is
// gone, or the signature is no longer on it. So where the record is not there, either the
// operator has not signed this version, or there is another version by now, and the API
// server refuses the status that is written about this one.
func (r *Reconciler) readProof(ctx context.Context, w *world) error {
	q := w.request
	if !q.Spec.Completed || signatureOf(q) == "" || q.Status.Phase.Final() || proven(w.stream, q) {
		return nil
	}
	stream := &v1.Stream{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: q.Namespace, Name: q.Spec.StreamID}, stream)
	switch {
	case apierrors.IsNotFound(err):
		stream = nil
	case err != nil:
		return fmt.Errorf("look for the job that has completed the request: %w", err)
	}
	w.stream = stream
	return nil
}

// readKindSince reads when the kind Stream was added to the cluster. No user of requests
// can write that, nor when a request was created. It is asked of the API server once, and
// only where a request may be from an earlier Arcane. An operator of some namespaces has
// no right to read kinds, and takes such a request for one that its user has cancelled.
//
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=streams.streaming.sneaksanddata.com,verbs=get
func (r *Reconciler) readKindSince(ctx context.Context, w *world) error {
	if !former(w.request) {
		return nil
	}
	if w.kindSince = r.kindSince.Load(); w.kindSince != nil {
		return nil
	}
	kind := &metav1.PartialObjectMetadata{}
	kind.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	switch err := r.Live.Get(ctx, types.NamespacedName{Name: "streams." + v1.GroupVersion.Group}, kind); {
	case apierrors.IsForbidden(err):
		return nil
	case err != nil:
		return fmt.Errorf("look when the kind Stream was added: %w", err)
	}
	w.kindSince = &kind.CreationTimestamp
	r.kindSince.Store(w.kindSince)
	return nil
}

func (r *Reconciler) readRequests(ctx context.Context, w *world) (err error) {
	w.requests, err = requestsFor(ctx, r.Client, w.request.Namespace, w.request.Spec.StreamID)
	return err
}

// requestsFor lists the requests for a stream. Read only, so not copied; and one
// that comes a moment late is followed by the event that corrects what was made
// of it, so nothing is waited for.
func requestsFor(ctx context.Context, c client.Reader, namespace, streamID string) ([]v1.BackfillRequest, error) {
	var list v1.BackfillRequestList
	err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{byStreamID: streamID},
		client.UnsafeDisableDeepCopy, &client.ListOptions{DisableReadYourWritesConsistency: true})
	if err != nil {
		return nil, fmt.Errorf("list the requests for stream %s: %w", streamID, err)
	}
	return list.Items, nil
}

func (r *Reconciler) readProblem(ctx context.Context, w *world) error {
	if backlog.Ended(w.request) || orphaned(w.stream, w.request) || blocked(w.stream, w.request) != "" {
		return nil
	}
	var err error
	w.problem, err = problemOf(ctx, r.Client, w.stream, w.class, r.schemas.Of(w.class), w.request)
	return err
}

// problemOf is what keeps a request from being served that is its own fault: the
// template that it names, or its payload. Where the stream itself is not accepted
// that is the stream's to tell.
func problemOf(ctx context.Context, c client.Reader, stream *v1.Stream, class *v1.StreamClass, schema *definition.Schema, q *v1.BackfillRequest) (*definition.Problem, error) {
	if q.Spec.JobTemplateRef == nil && q.Spec.Payload == nil {
		return nil, nil
	}
	d, p := definition.FromStream(stream, class, schema)
	if p != nil {
		return nil, nil
	}
	ref, p := definition.Template(d, class, v1.ModeBackfill, q)
	if p != nil {
		return ofRequest(p, q), nil
	}
	template := &v1.StreamingJobTemplate{}
	switch err := c.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, template); {
	case apierrors.IsNotFound(err):
		template = nil
	case err != nil:
		return nil, fmt.Errorf("read the template: %w", err)
	}
	p = jobspec.Check(jobspec.Input{Definition: d, Class: class, Template: template, Mode: v1.ModeBackfill, Request: q})
	return ofRequest(p, q), nil
}

// ofRequest leaves out what would be wrong for any request: a template is this
// request's own concern only where this request names it.
func ofRequest(p *definition.Problem, q *v1.BackfillRequest) *definition.Problem {
	if p == nil || p.Kind != v1.KindBackfillRequest && q.Spec.JobTemplateRef == nil {
		return nil
	}
	return p
}
