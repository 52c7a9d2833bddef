package law

// This file reads from the audit log who created what. Anybody who may create a Job may
// write any label, annotation and owner reference into it, so these prove nothing.

import (
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// CronJobController is the user as which Kubernetes' CronJob controller creates Jobs.
const CronJobController = "system:serviceaccount:kube-system:cronjob-controller"

// origins are the creations that the audit log holds, by the UID that the API server gave.
type origins struct {
	// known: there is an audit log. Without one the objects testify about themselves.
	known bool
	// operator holds what the operator created, each with its controller at that moment.
	operator map[types.UID]*metav1.OwnerReference
	// schedule holds the Jobs that the CronJob controller created, likewise, and those that
	// somebody made just as it would, by hand from the CronJob that they name.
	schedule map[types.UID]*metav1.OwnerReference
	// others holds what anybody else created.
	others map[types.UID]bool
	// unanswered are the names, with their namespaces, of the Jobs that the operator asked
	// for without there being an answer on record: it died meanwhile.
	unanswered map[types.NamespacedName]bool
}

func originsOf(h History) origins {
	crons := map[types.UID]corev1.PodSpec{}
	all := origins{known: h.Audited, operator: map[types.UID]*metav1.OwnerReference{}, schedule: map[types.UID]*metav1.OwnerReference{}, others: map[types.UID]bool{}, unanswered: map[types.NamespacedName]bool{}}
	for _, r := range h.Requests {
		uid := r.Result.Metadata.UID
		if r.Verb == "create" && r.ByOperator() && r.Object.Resource == "jobs" && uid == "" && (r.Response.Code < 400 || r.Response.Code >= 500) {
			all.unanswered[types.NamespacedName{Namespace: r.Object.Namespace, Name: r.Object.Name}] = true
		}
		if r.Verb != "create" || r.Object.Subresource != "" || r.Response.Code != http.StatusCreated || r.Tries() || uid == "" {
			continue
		}
		controller := metav1.GetControllerOfNoCopy(&r.Result.Metadata)
		switch {
		case r.ByOperator():
			all.operator[uid] = controller
			crons[uid] = r.Result.Spec.JobTemplate.Spec.Template.Spec
		case r.As() == CronJobController:
			all.schedule[uid] = controller
		case controller != nil && controller.Kind == "CronJob":
			held := r.Result.Spec.Suspend != nil && *r.Result.Spec.Suspend
			if made, ok := crons[controller.UID]; ok && held && equality.Semantic.DeepEqual(made, r.Result.Spec.Template.Spec) {
				all.schedule[uid] = controller
			}
		}
		if !r.ByOperator() {
			all.others[uid] = true
		}
	}
	return all
}

// ownerOf is the Stream that a Job was created for by the operator, or by a CronJob that
// the operator created; nil for a Job of anybody else.
func (o origins) ownerOf(job types.UID) *metav1.OwnerReference {
	owner := o.operator[job]
	if cron := o.schedule[job]; cron != nil && cron.Kind == "CronJob" {
		owner = o.operator[cron.UID]
	}
	if owner == nil || !ofStream(owner) {
		return nil
	}
	return owner
}

// MadeByOperator tells whether the operator created the object of that UID.
func (h History) MadeByOperator(uid types.UID) bool {
	_, made := originsOf(h).operator[uid]
	return made
}

// derived is the stream whose UID a name of a Job or pod holds; nil where it holds none's.
// A name cannot be changed, and no stream of another life shares it.
func (w *world) derived(name string) *stream {
	return first(w.streams, func(s *stream) bool {
		whole := jobspec.CronName(s.object.Name, s.object.UID, streamingv1.KindStream)
		return strings.Contains(name, whole[strings.LastIndex(whole, "-"):]+"-")
	})
}

// strip notes that a pod has lost a label or the controller that it was created with.
func (p *pod) strip(o *corev1.Pod) {
	if p.born == nil {
		p.born = o
	}
	for key, value := range p.born.Labels {
		p.stripped = p.stripped || o.Labels[key] != value
	}
	before, now := metav1.GetControllerOfNoCopy(p.born), metav1.GetControllerOfNoCopy(o)
	p.stripped = p.stripped || before != nil && (now == nil || now.UID != before.UID)
}
