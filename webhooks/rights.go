package webhooks

// This file asks whether whoever writes an object may do what the operator then does for them.

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// need is what somebody must be allowed to do beside writing the object, because the operator then does it for them: create
// Jobs, pass Secrets to these, and write the objects of a StreamPlugin.
type need struct {
	// kind of the object, for the message.
	kind      string
	namespace string
	// secrets that the object names.
	secrets []string
	// objects that the operator writes for whoever writes this one, by verb.
	objects []authorizationv1.ResourceAttributes
	// noJobs: nothing comes to run.
	noJobs bool
}

// lacking asks the API server, and is the first thing that the user may not do and
// the way out; empty where they may do it all.
//
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
func (s *server) lacking(ctx context.Context, user authenticationv1.UserInfo, n need) (string, error) {
	for _, what := range n.objects {
		may, err := s.allowed(ctx, user, what)
		if err != nil {
			return "", err
		}
		if !may {
			return fmt.Sprintf("user %q may not %s, and the operator does so for a %s; ask for a role that allows it, such as arcane-streamplugin-editor, and arcane-streamclass-editor for the class",
				user.Username, action(what), n.kind), nil
		}
	}
	if n.noJobs {
		return "", nil
	}
	may, err := s.allowed(ctx, user, authorizationv1.ResourceAttributes{
		Namespace: n.namespace, Verb: "create", Group: "batch", Version: "v1", Resource: "jobs",
	})
	if err != nil {
		return "", err
	}
	if !may {
		return fmt.Sprintf("user %q may not create jobs.batch in namespace %q, and a %s makes the operator run Jobs there; "+
			"ask for a role that allows it, such as the built-in edit", user.Username, n.namespace, n.kind), nil
	}
	for _, name := range n.secrets {
		may, err := s.allowed(ctx, user, authorizationv1.ResourceAttributes{
			Namespace: n.namespace, Verb: "get", Version: "v1", Resource: "secrets", Name: name,
		})
		if err != nil {
			return "", err
		}
		if !may {
			return fmt.Sprintf("user %q may not get Secret %q in namespace %q, and this %s passes it to the Jobs that it runs; "+
				"name a Secret that you may read, or ask for the right to get this one", user.Username, name, n.namespace, n.kind), nil
		}
	}
	return "", nil
}

// action says what would be done to an object: verb, resource, name and namespace.
func action(what authorizationv1.ResourceAttributes) string {
	text := what.Verb + " " + what.Resource
	if what.Group != "" {
		text += "." + what.Group
	}
	if what.Name != "" {
		text += fmt.Sprintf(" %q", what.Name)
	}
	if what.Namespace != "" {
		return text + fmt.Sprintf(" in namespace %q", what.Namespace)
	}
	return text + ", which belongs to the whole cluster"
}

func (s *server) allowed(ctx context.Context, user authenticationv1.UserInfo, what authorizationv1.ResourceAttributes) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &what, User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
	}}
	if err := s.live.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask whether %s may %s %s: %w", user.Username, what.Verb, what.Resource, err)
	}
	return review.Status.Allowed, nil
}
