package pluginchart_test

// This file shows that bad values are refused with their field named.

import (
	"strings"
	"testing"
)

// TestBadValues: by the schema, and by the chart where a schema cannot tell.
func TestBadValues(t *testing.T) {
	for more, want := range map[string][]string{
		// Of the schema.
		"imagePulPolicy: Always":     {"imagePulPolicy"},
		"image: ''":                  {"/image"},
		"image: null":                {"image"},
		"image: [a]":                 {"/image"},
		"preset: oracle":             {"/preset"},
		"version: '7'":               {"/version"},
		"imagePullPolicy: Sometimes": {"/imagePullPolicy"},
		"className: Orders":          {"/className"},
		"name: an-unreasonably-long-name-that-has-over-fifty-characters": {"/name"},
		"name: Upper":               {"/name"},
		"maxConcurrent: 0":          {"/maxConcurrent"},
		"maxConcurrent: many":       {"/maxConcurrent"},
		"streaming: {resorces: {}}": {"/streaming", "resorces"},
		"streaming: {resources: {limits: {memory: much}}}":            {"/streaming/resources/limits/memory"},
		"streaming: {resources: {limits: {memory: 0.5}}}":             {"/streaming/resources/limits/memory"},
		"volumes: [{name: a, persistentVolumeClaim: {claimname: b}}]": {"/volumes/0/persistentVolumeClaim", "claimname"},
		"env: [{value: a}]":                    {"/env/0", "name"},
		"tolerations: [{effects: NoSchedule}]": {"/tolerations/0", "effects"},
		"schema: {}":                           {"/schema", "openAPIV3Schema"},
		"serviceAccount: {name: mine}":         {"/serviceAccount", "name"},
		"podLabels: {a: 1}":                    {"/podLabels/a"},

		// Of the chart.
		"image: registry.example.com:5000/plugin":                     {"image: registry.example.com:5000/plugin has neither a tag nor a digest; add one, such as registry.example.com:5000/plugin:v0.1.0"},
		"image: registry.example.com/Plugin:v1":                       {"image: registry.example.com/Plugin:v1 has capitals in its path, which no image can have; write plugin"},
		"image: Plugin:V1":                                            {"image: Plugin:V1 has capitals in its path, which no image can have; write plugin"},
		"version: v7":                                                 {"version: preset postgres has no version \"v7\"; use one of: v1"},
		"env: [{name: STREAMCONTEXT__SPEC, value: x}]":                {"env[0].name: STREAMCONTEXT__SPEC: names that begin with STREAMCONTEXT__ are the operator's; rename it"},
		"env: [{name: A, value: a}, {name: A, value: b}]":             {"env[1].name: A is there twice"},
		"volumes: [{name: a, emptyDir: {}}, {name: a, emptyDir: {}}]": {"volumes[1].name: a is there twice"},
		"volumes: [{name: a, hostPath: {path: /}}]":                   {"volumes[0].hostPath: the Pod Security Standards forbid it at level restricted"},
		"volumes: [{name: a, nfs: {path: /, server: s}}]":             {"volumes[0].nfs: "},
		"volumeMounts: [{name: a, mountPath: /a}]":                    {"volumeMounts[0].name: there is no volume a; add it to volumes"},
		"{volumes: [{name: a, emptyDir: {}}], volumeMounts: [{name: a, mountPath: /a}, {name: a, mountPath: /a}]}": {"volumeMounts[1].mountPath: /a is there twice"},
		"podLabels: {arcane/stream-id: x}":                                    {"podLabels[arcane/stream-id]: is set by the operator or by Kubernetes; remove it"},
		"podLabels: {streaming.sneaksanddata.com/plugin: x}":                  {"podLabels[streaming.sneaksanddata.com/plugin]: "},
		"podLabels: {batch.kubernetes.io/job-name: x}":                        {"podLabels[batch.kubernetes.io/job-name]: "},
		"podLabels: {app.kubernetes.io/managed-by: x}":                        {"podLabels[app.kubernetes.io/managed-by]: "},
		"podLabels: {job-name: x}":                                            {"podLabels[job-name]: "},
		"serviceAccount: {annotations: {helm.sh/resource-policy: keep}}":      {"serviceAccount.annotations[helm.sh/resource-policy]: belongs to Helm; remove it"},
		"serviceAccount: {annotations: {helm.sh/hook: pre-delete}}":           {"serviceAccount.annotations[helm.sh/hook]: "},
		"serviceAccount: {annotations: {meta.helm.sh/release-name: x}}":       {"serviceAccount.annotations[meta.helm.sh/release-name]: "},
		"streaming: {resources: {limits: {memory: 32Mi}}}":                    {"streaming.resources.limits.memory: 32Mi is less than the request of 64Mi; raise it, or set streaming.resources.requests"},
		"backfill: {resources: {limits: {cpu: 50m, memory: 1Gi}}}":            {"backfill.resources.limits.cpu: 50m is less than the request of 100m"},
		"backfill: {resources: {requests: {memory: 2000M}}}":                  {"backfill.resources.limits.memory: 1Gi is less than the request of 2000M"},
		"streaming: {resources: {requests: {cpu: 1}, limits: {memory: 512}}}": {"streaming.resources.limits.memory: 512 is too little for any program; use a value such as 512Mi"},
		"schema: {openAPIV3Schema: {properties: {source: {properties: {host: {nullable: true}}}}}}": {
			"schema.openAPIV3Schema.properties.source.properties.host.nullable: would let null take the place of what the preset asks for; remove it",
		},

		// All at once.
		"{volumeMounts: [{name: a, mountPath: /a}], podLabels: {job-name: x}}": {"volumeMounts[0].name: ", "\npodLabels[job-name]: "},
	} {
		t.Run(more, func(t *testing.T) {
			rendered, err := render(t, load(t), with(t, more))
			if err == nil {
				t.Fatalf("rendered:\n%s", manifest(rendered))
			}
			for _, part := range want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\nlacks %q", err, part)
				}
			}
		})
	}
}

// TestTheReleasesNameIsJudged: a plain helm install takes the release's, of which Helm allows 53 characters.
func TestTheReleasesNameIsJudged(t *testing.T) {
	given := values(t, minimal)
	delete(given, "name")
	if all := install(t, given); all.streaming.Name != "release" || all.class.Name != "release" {
		t.Errorf("template %s, class %s", all.streaming.Name, all.class.Name)
	}
	at := usual()
	at.release.Name = strings.Repeat("r", 51)
	_, err := renderFor(t, load(t), given, at)
	if err == nil || !strings.Contains(err.Error(), "name: "+strings.Repeat("r", 51)+" has 51 characters") {
		t.Error(err)
	}
}
