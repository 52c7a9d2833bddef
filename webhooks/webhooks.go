// Package webhooks answers the API server when somebody writes a Stream, a
// BackfillRequest, a StreamClass, a StreamingJobTemplate or a StreamPlugin. Its adapters decode,
// look up what the object names, ask internal/validation, and answer; beside that
// they ask the API server what only it knows: whether whoever writes may do so, and
// whether it would take the Job that comes of it.
package webhooks

// This file puts the adapters onto the server.

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/internal/schemas"
)

// Options of the adapters.
type Options struct {
	// User is the operator's own name at the API server. What it writes passes: it
	// must never wait for itself.
	User string
	// Metrics gets the counter of what is refused.
	Metrics prometheus.Registerer
	// Chart is rendered for StreamPlugins; nil for an operator that does not serve them.
	Chart *pluginchart.Chart
}

// server is what all adapters work with.
type server struct {
	// user is the operator's own.
	user string
	// cache is read for what an object names.
	cache client.Reader
	// live asks the API server itself.
	live client.Client
	// schemas of classes, compiled.
	schemas schemas.Kept
	// denials counts what is refused.
	denials denials
	// chart is rendered for StreamPlugins; nil for an operator that does not serve them.
	chart *pluginchart.Chart
	// kinds says which kinds the cluster has, and mapper how the API server calls them.
	kinds  pluginchart.ResourceLister
	mapper meta.RESTMapper
}

// Register adds the indexes, and serves the webhooks of all kinds on the manager's webhook server.
//
// +kubebuilder:webhook:path=/default/streams,mutating=true,name=default.streams.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streams,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,reinvocationPolicy=IfNeeded,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/default/backfillrequests,mutating=true,name=default.backfillrequests.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=backfillrequests,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,reinvocationPolicy=IfNeeded,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/default/streamingjobtemplates,mutating=true,name=default.streamingjobtemplates.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streamingjobtemplates,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,reinvocationPolicy=IfNeeded,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate/streams,mutating=false,name=validate.streams.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streams,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate/backfillrequests,mutating=false,name=validate.backfillrequests.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=backfillrequests,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate/streamingjobtemplates,mutating=false,name=validate.streamingjobtemplates.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streamingjobtemplates,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate/streamclasses,mutating=false,name=validate.streamclasses.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streamclasses,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/default/streamplugins,mutating=true,name=default.streamplugins.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streamplugins,versions=v1,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,reinvocationPolicy=IfNeeded,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate/streamplugins,mutating=false,name=validate.streamplugins.streaming.sneaksanddata.com,groups=streaming.sneaksanddata.com,resources=streamplugins,versions=v1,verbs=create;update;delete,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,admissionReviewVersions=v1
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	// Of its own: the manager's client would wait until its cache has seen what a dry run made.
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return fmt.Errorf("make the client of the webhooks: %w", err)
	}
	denials, err := newDenials(o.Metrics)
	if err != nil {
		return err
	}
	if err := indexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	kinds, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make the client that asks for kinds: %w", err)
	}
	s := &server{
		user: o.User, cache: mgr.GetClient(), live: live, denials: denials, chart: o.Chart, kinds: kinds, mapper: mgr.GetRESTMapper(),
	}
	s.serve(mgr.GetWebhookServer())
	return nil
}

// serve puts each adapter at its path.
func (s *server) serve(at webhook.Server) {
	for path, answer := range s.paths() {
		at.Register(path, &admission.Webhook{Handler: answer})
	}
}

// paths are where the webhook configurations look for the adapters.
func (s *server) paths() map[string]admission.HandlerFunc {
	streams, requests, templates, classes, plugins := s.streams(), s.requests(), s.templates(), s.classes(), s.plugins()
	return map[string]admission.HandlerFunc{
		"/default/streams":                streams.complete,
		"/default/backfillrequests":       requests.complete,
		"/default/streamingjobtemplates":  templates.complete,
		"/default/streamplugins":          plugins.complete,
		"/validate/streams":               s.denials.counting("streams", streams.judge),
		"/validate/backfillrequests":      s.denials.counting("backfillrequests", requests.judge),
		"/validate/streamingjobtemplates": s.denials.counting("streamingjobtemplates", templates.judge),
		"/validate/streamclasses":         s.denials.counting("streamclasses", classes.judge),
		"/validate/streamplugins":         s.denials.counting("streamplugins", plugins.judge),
	}
}
