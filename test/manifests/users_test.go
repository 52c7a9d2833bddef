// What the built-in roles of users gain by an install.

package manifests_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// TestUsersRoles: view reads everything of ours, edit and admin also write it, but for
// what the operator tells (status) and what is an administrator's (StreamClass).
func TestUsersRoles(t *testing.T) {
	reads, writes := []string{"get", "list", "watch"}, []string{"create", "update", "patch", "delete", "deletecollection"}
	view := may([]string{"backfillrequests", "backfillrequests/status", "streamclasses", "streamclasses/status", "streamingjobtemplates", "streamplugins", "streamplugins/status", "streams", "streams/status"}, reads)
	edit := append(slices.Clone(view), may([]string{"backfillrequests", "streamingjobtemplates", "streams"}, writes)...)
	slices.Sort(edit)
	for name, manifests := range installs(t) {
		roles := objects[rbacv1.ClusterRole](t, manifests, "ClusterRole")
		for role, want := range map[string][]string{"view": view, "edit": edit, "admin": edit} {
			var got []string
			for _, r := range roles {
				if r.Labels["rbac.authorization.k8s.io/aggregate-to-"+role] != "true" {
					continue
				}
				for _, rule := range r.Rules {
					if !slices.Equal(rule.APIGroups, []string{streamingv1.GroupVersion.Group}) {
						t.Errorf("config/%s: %s gives rights on %v", name, r.Name, rule.APIGroups)
					}
					got = append(got, may(rule.Resources, rule.Verbs)...)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("config/%s: %s may\n%s\nwant\n%s", name, role, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// may names each verb on each resource.
func may(resources, verbs []string) []string {
	var all []string
	for _, resource := range resources {
		for _, verb := range verbs {
			all = append(all, fmt.Sprintf("%s %s", verb, resource))
		}
	}
	slices.Sort(all)
	return all
}
