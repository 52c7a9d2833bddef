// Rights that are read from manifests and held to requests.

package law_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/law"
)

const installed = `
kind: ClusterRole
metadata: {name: everywhere}
rules:
- {apiGroups: [batch], resources: [jobs, jobs/status], verbs: [get]}
---
kind: Role
metadata: {name: here, namespace: system}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [mine], verbs: [list]}
- {apiGroups: [batch], resources: [jobs], verbs: [get]}
---
kind: Role
metadata: {name: here, namespace: elsewhere}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [delete]}
---
kind: ClusterRoleBinding
metadata: {name: a}
roleRef: {kind: ClusterRole, name: everywhere}
subjects: [{kind: ServiceAccount, namespace: system, name: me}]
---
kind: RoleBinding
metadata: {name: b, namespace: system}
roleRef: {kind: Role, name: here}
subjects: [{kind: ServiceAccount, namespace: system, name: me}]
---
kind: RoleBinding
metadata: {name: c, namespace: elsewhere}
roleRef: {kind: Role, name: here}
subjects: [{kind: ServiceAccount, namespace: system, name: you}]
`

func TestRights(t *testing.T) {
	rights, err := law.RightsOf(installed, "system", "me")
	if err != nil {
		t.Fatal(err)
	}
	request := func(verb, group, resource, sub, namespace, name string) law.Request {
		return law.Request{Verb: verb, Object: law.ObjectRef{Group: group, Resource: resource, Subresource: sub, Namespace: namespace, Name: name}}
	}
	forbidden := request("get", "batch", "jobs", "", "x", "a")
	forbidden.Annotations = map[string]string{"authorization.k8s.io/decision": "forbid"}
	for name, c := range map[string]struct {
		request law.Request
		// covered is the right that it uses; empty where it is beyond all.
		covered string
	}{
		"anywhere":               {request("get", "batch", "jobs", "", "x", "a"), "get jobs.batch"},
		"the wider one":          {request("get", "batch", "jobs", "", "system", "a"), "get jobs.batch"},
		"a subresource":          {request("get", "batch", "jobs", "status", "x", "a"), "get jobs/status.batch"},
		"by name":                {request("list", "", "secrets", "", "system", "mine"), "list secrets mine in system"},
		"another name":           {request("list", "", "secrets", "", "system", "yours"), ""},
		"another namespace":      {request("list", "", "secrets", "", "x", "mine"), ""},
		"another verb":           {request("delete", "batch", "jobs", "", "x", "a"), ""},
		"another group":          {request("get", "", "jobs", "", "x", "a"), ""},
		"somebody else's role":   {request("delete", "", "secrets", "", "elsewhere", "a"), ""},
		"discovery":              {law.Request{Verb: "get"}, "nothing"},
		"forbidden all the same": {forbidden, ""},
	} {
		unused, beyond := law.Compare(rights, []law.Request{c.request})
		if (len(beyond) > 0) != (c.covered == "") {
			t.Errorf("%s: beyond the rights are %v", name, beyond)
		}
		var left []string
		for _, r := range unused {
			left = append(left, r.String())
		}
		if c.covered != "" && (slices.Contains(left, c.covered) || len(left) < 3) {
			t.Errorf("%s: unused are %v", name, left)
		}
	}
}

func TestRightsThatCannotBeRead(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"verbs: [get]", `verbs: ["*"]`}:               "a wildcard",
		{"resources: [secrets]", `resources: ["*"]`}:   "a wildcard",
		{"name: everywhere}\nsub", "name: gone}\nsub"}: "which is not there",
		{"rules:", "rules: {"}:                         "read a manifest",
	} {
		if _, err := law.RightsOf(strings.Replace(installed, change[0], change[1], 1), "system", "me"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change[1], err, want)
		}
	}
}
