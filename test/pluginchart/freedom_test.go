package pluginchart_test

// This file shows that each field of a StreamPlugin changes exactly what it says.

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Where the fields lie in the rendered objects.
const (
	inClass     = "StreamClass postgres: spec."
	inStreaming = "StreamingJobTemplate postgres: spec.spec.template."
	inBackfill  = "StreamingJobTemplate postgres-backfill: spec.spec.template."
	inAccount   = "ServiceAccount arcane-plugin-postgres: "

	container = "spec.containers[0]."
	schema    = inClass + "schema.openAPIV3Schema."
)

// inBoth is a change of both templates.
func inBoth(field string, value any) map[string]any {
	return map[string]any{inStreaming + field: value, inBackfill + field: value}
}

// TestEachFreedom: what a field changes in the objects of the smallest StreamPlugin; nil is what goes.
func TestEachFreedom(t *testing.T) {
	const env0, env1, env2 = container + "env[0].", container + "env[1].", container + "env[2]."
	cases := map[string]map[string]any{
		"version: v1": {}, "global: {a: b}": {},
		"image: other:v2":                      inBoth(container+"image", "other:v2"),
		"imagePullPolicy: Always":              inBoth(container+"imagePullPolicy", "Always"),
		"imagePullPolicy: Never":               inBoth(container+"imagePullPolicy", "Never"),
		"imagePullSecrets: []":                 {},
		"priorityClassName: high":              inBoth("spec.priorityClassName", "high"),
		"nodeSelector: {disk: ssd}":            inBoth("spec.nodeSelector.disk", "ssd"),
		"podLabels: {team: sales}":             inBoth("metadata.labels.team", "sales"),
		"maxConcurrent: 3":                     {inClass + "backfill.maxConcurrent": 3.0},
		"imagePullSecrets: [{name: registry}]": inBoth("spec.imagePullSecrets[0].name", "registry"),
		"tolerations: [{key: streams}]":        inBoth("spec.tolerations[0].key", "streams"),
		"affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}": both(
			inBoth("spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight", 1.0),
			inBoth("spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey", "zone")),
		"topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]": both(
			inBoth("spec.topologySpreadConstraints[0].maxSkew", 1.0), inBoth("spec.topologySpreadConstraints[0].topologyKey", "zone"),
			inBoth("spec.topologySpreadConstraints[0].whenUnsatisfiable", "DoNotSchedule")),
		"serviceAccount: {annotations: {role: arcane}}": {inAccount + "metadata.annotations.role": "arcane"},
		"className: orders": {
			"StreamClass": "orders", "dashboard": "orders",
			"NetworkPolicy arcane-plugin-postgres: spec.podSelector.matchLabels.arcane/stream-class": "orders",
		},

		// requests and limits are replaced as a whole, each by itself, and GOMEMLIMIT follows the limit.
		"streaming: {resources: {requests: {cpu: 1}}}": {
			inStreaming + container + "resources.requests.cpu": 1.0, inStreaming + container + "resources.requests.memory": nil,
		},
		"streaming: {resources: {limits: {memory: 128Mi}}}": {
			inStreaming + container + "resources.limits.memory": "128Mi", inStreaming + env0 + "value": "100MiB",
		},
		"backfill: {resources: {limits: {memory: 2Gi, cpu: 2}}}": {
			inBackfill + container + "resources.limits.memory": "2Gi", inBackfill + container + "resources.limits.cpu": 2.0,
			inBackfill + env0 + "value": "1600MiB",
		},
		"backfill: {resources: {limits: {cpu: 2}}}": {
			inBackfill + container + "resources.limits.memory": nil, inBackfill + container + "resources.limits.cpu": 2.0,
			inBackfill + env0 + "name": nil, inBackfill + env0 + "value": nil,
		},
		// An empty map does not survive the Go types of a StreamPlugin, so it means the same as none.
		"backfill: {resources: {requests: {}, limits: {}}}": {},
		"streaming: {resources: {}}":                        {}, "streaming: {}": {},

		// The user's environment comes after the preset's, and replaces what has the same name.
		"env: [{name: A, value: a}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}]": both(
			inBoth(env1+"name", "A"), inBoth(env1+"value", "a"), inBoth(env2+"name", "B"),
			inBoth(env2+"valueFrom.secretKeyRef.name", "s"), inBoth(env2+"valueFrom.secretKeyRef.key", "k")),
		"env: [{name: A, value: a}, {name: GOMEMLIMIT, value: 1GiB}]": both(
			inBoth(env0+"name", "A"), inBoth(env0+"value", "a"), inBoth(env1+"name", "GOMEMLIMIT"), inBoth(env1+"value", "1GiB")),
		"volumes: [{name: a, emptyDir: {medium: Memory}}]": both(
			inBoth("spec.volumes[0].name", "a"), inBoth("spec.volumes[0].emptyDir.medium", "Memory")),
		"{volumes: [{name: a, secret: {secretName: s}}], volumeMounts: [{name: a, mountPath: /a}, {name: a, mountPath: /b, readOnly: true}]}": both(
			inBoth("spec.volumes[0].name", "a"), inBoth("spec.volumes[0].secret.secretName", "s"),
			inBoth(container+"volumeMounts[0].name", "a"), inBoth(container+"volumeMounts[0].mountPath", "/a"),
			inBoth(container+"volumeMounts[1].name", "a"), inBoth(container+"volumeMounts[1].mountPath", "/b"),
			inBoth(container+"volumeMounts[1].readOnly", true)),

		// A schema only adds: what the preset says stays, zero and false included, and required fields are united.
		"schema: {openAPIV3Schema: {properties: {source: {properties: {owner: {type: string}}}}}}": {schema + "properties.source.properties.owner.type": "string"},
		"schema: {openAPIV3Schema: {properties: {source: {required: [user, host]}}}}":              {schema + "properties.source.required[4]": "user"},
		"schema: {openAPIV3Schema: {required: [sink]}}":                                            {},
		"schema: {openAPIV3Schema: {properties: {sink: {properties: {batch: {required: [maxAge]}}}}}}": {
			schema + "properties.sink.properties.batch.required[0]": "maxAge",
		},
		"schema: {openAPIV3Schema: {type: array, properties: {source: {properties: {password: {maxLength: 9}, port: {type: string, maximum: 1}}}}}}": {},
		"schema: {openAPIV3Schema: {properties: {source: {properties: {host: {pattern: .example.com$}}}}}}":                                          {schema + "properties.source.properties.host.pattern": ".example.com$"},
		"schema: {openAPIV3Schema: {properties: {source: {properties: {required: {type: boolean}, nullable: {type: boolean}}}}}}": {
			schema + "properties.source.properties.required.type": "boolean", schema + "properties.source.properties.nullable.type": "boolean",
		},
	}
	base := flat(t, values(t, minimal))
	for more, want := range cases {
		t.Run(more, func(t *testing.T) {
			if got := difference(base, flat(t, with(t, more))); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
	var untried []string
	for _, field := range fields(t) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(cases)), func(more string) bool { return values(t, more)[field] != nil }) {
			untried = append(untried, field)
		}
	}
	// A preset makes other objects altogether, and the name is in all of them: see the golden manifests.
	if !slices.Equal(untried, []string{"name", "preset"}) {
		t.Errorf("fields that are not tried: %v", untried)
	}
}

// fields are those of the values, in order.
func fields(t *testing.T) []string {
	t.Helper()
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(load(t).Schema, &schema); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(schema.Properties))
}

func both(changes ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, c := range changes {
		maps.Copy(all, c)
	}
	return all
}

// flat are all values of all rendered objects by object and path. The dashboard is short: the class that it is about.
func flat(t *testing.T, given map[string]any) map[string]any {
	t.Helper()
	rendered, err := render(t, load(t), given)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for _, document := range documents(rendered) {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		kind, name := object["kind"].(string), object["metadata"].(map[string]any)["name"].(string)
		switch kind {
		case "ConfigMap":
			for file := range object["data"].(map[string]any) {
				all["dashboard"] = strings.TrimSuffix(strings.TrimPrefix(file, "arcane-plugin-"), ".json")
			}
			delete(object, "data")
		case "StreamClass":
			// It has one name, which className changes: what is in it keeps its path.
			all[kind] = name
			delete(object["metadata"].(map[string]any), "name")
			name = "postgres"
		}
		spread(all, kind+" "+name+": ", object)
	}
	return all
}

func spread(into map[string]any, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if !strings.HasSuffix(path, ": ") {
			path += "."
		}
		for key, inner := range v {
			spread(into, path+key, inner)
		}
	case []any:
		for i, inner := range v {
			spread(into, fmt.Sprintf("%s[%d]", path, i), inner)
		}
	default:
		into[path] = value
	}
}

// difference is what has another value after, nil for what is gone.
func difference(before, after map[string]any) map[string]any {
	changed := map[string]any{}
	for path, value := range after {
		if !reflect.DeepEqual(before[path], value) {
			changed[path] = value
		}
	}
	for path := range before {
		if _, there := after[path]; !there {
			changed[path] = nil
		}
	}
	return changed
}
