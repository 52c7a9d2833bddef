// Least privilege: what an installation lets the operator do, held to what it asked for.

package law

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// Right is one thing that somebody may do.
type Right struct {
	// Group and Resource are what it is about; a subresource follows a slash.
	Group, Resource string
	Verb            string
	// Namespace that it is limited to; empty for all, and for what lies in none.
	Namespace string
	// Name of the one object that it is limited to; empty for any.
	Name string
}

// String is the right in a line.
func (r Right) String() string {
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += " " + r.Name
	}
	if r.Namespace != "" {
		text += " in " + r.Namespace
	}
	return text
}

// covers tells whether a request is within the right.
func (r Right) covers(q Request) bool {
	resource := q.Object.Resource
	if q.Object.Subresource != "" {
		resource += "/" + q.Object.Subresource
	}
	return r.Group == q.Object.Group && r.Resource == resource && r.Verb == q.Verb &&
		(r.Namespace == "" || r.Namespace == q.Object.Namespace) && (r.Name == "" || r.Name == q.Object.Name)
}

// Forbade tells whether the API server's authorizer turned the request away. Admission
// answers with the same code, about an object or its namespace and not about rights.
func (r Request) Forbade() bool { return r.Annotations["authorization.k8s.io/decision"] == "forbid" }

// binding gives a service account a role; roles and bindings have each half of the fields.
type binding struct {
	rbacv1.ClusterRoleBinding `json:",inline"`
	Rules                     []rbacv1.PolicyRule `json:"rules"`
}

// RightsOf are those that the bindings among rendered manifests give to a service
// account. A wildcard is an error: nobody can say whether all of it was needed.
func RightsOf(manifests, namespace, account string) ([]Right, error) {
	roles, bindings := map[string][]rbacv1.PolicyRule{}, []binding{}
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		var b binding
		if err := yaml.Unmarshal([]byte(document), &b); err != nil {
			return nil, fmt.Errorf("read a manifest: %w", err)
		}
		switch b.Kind {
		case "Role", "ClusterRole":
			roles[b.Kind+"/"+b.Namespace+"/"+b.Name] = b.Rules
		case "RoleBinding", "ClusterRoleBinding":
			if slices.Contains(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}) {
				bindings = append(bindings, b)
			}
		}
	}
	var rights []Right
	for _, b := range bindings {
		role := "Role/" + b.Namespace + "/" + b.RoleRef.Name
		if b.RoleRef.Kind == "ClusterRole" {
			role = "ClusterRole//" + b.RoleRef.Name
		}
		rules, ok := roles[role]
		if !ok {
			return nil, fmt.Errorf("%s %s binds %s, which is not there", b.Kind, b.Name, role)
		}
		for _, rule := range rules {
			found, err := rightsBy(rule, b.Namespace)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", role, err)
			}
			rights = append(rights, found...)
		}
	}
	return rights, nil
}

func rightsBy(rule rbacv1.PolicyRule, namespace string) ([]Right, error) {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var rights []Right
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range names {
					r := Right{Group: group, Resource: resource, Verb: verb, Namespace: namespace, Name: name}
					if strings.Contains(group+resource+verb, "*") {
						return nil, fmt.Errorf("%s: a wildcard", r)
					}
					rights = append(rights, r)
				}
			}
		}
	}
	return rights, nil
}

// Compare holds rights to the requests of whoever has them. Unused are the rights that
// no request needed; one that lies within another is not needed either. Beyond are the
// requests that were forbidden, or that were let through by no right among these.
func Compare(rights []Right, requests []Request) (unused []Right, beyond []Request) {
	// The widest come first and take all that they cover.
	rights = slices.SortedFunc(slices.Values(rights), func(a, b Right) int {
		return cmp.Or(cmp.Compare(len(a.Namespace), len(b.Namespace)), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.String(), b.String()))
	})
	used := make([]bool, len(rights))
	for _, q := range requests {
		by := slices.IndexFunc(rights, func(r Right) bool { return r.covers(q) })
		if by >= 0 {
			used[by] = true
		}
		// What has no object is discovery, which everybody may.
		if q.Forbade() || by < 0 && q.Object.Resource != "" {
			beyond = append(beyond, q)
		}
	}
	for i, r := range rights {
		if !used[i] {
			unused = append(unused, r)
		}
	}
	return unused, beyond
}
