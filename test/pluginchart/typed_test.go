package pluginchart_test

// This file renders what the operator renders: the spec of a StreamPlugin, as Go's types write it.

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// ofSpec are the values that the operator makes of a spec.
func ofSpec(t *testing.T, text string) map[string]any {
	t.Helper()
	spec := v1.StreamPluginSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	if err := json.Unmarshal(raw, &given); err != nil {
		t.Fatal(err)
	}
	return given
}

// TestTypedSpecsRenderAsTheirText: Go's types write some fields that nobody gave, and quantities in a form of their own; the
// schema must take these, and the same pods must come of them.
func TestTypedSpecsRenderAsTheirText(t *testing.T) {
	const scratch = `
volumes:
  - {name: scratch, ephemeral: {volumeClaimTemplate: {metadata: {labels: {a: b}}, spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}}}}
  - {name: empty, emptyDir: {}}
  - {name: limited, emptyDir: {sizeLimit: 512Mi, medium: Memory}}
  - {name: bucket, csi: {driver: example.com, readOnly: true, nodePublishSecretRef: {name: s}}}
  - {name: api, projected: {defaultMode: 256, sources: [{serviceAccountToken: {path: token, audience: sts.example.com, expirationSeconds: 3600}}, {downwardAPI: {items: [{path: cpu, resourceFieldRef: {resource: limits.cpu, containerName: plugin, divisor: 1m}}]}}]}}
`
	cases := map[string]string{"every kind of volume": "preset: postgres\nimage: a:b\n" + scratch}
	text, err := os.ReadFile("testdata/postgres-v1/full.values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	full := values(t, string(text))
	delete(full, "name")
	without, err := yaml.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	cases["every field"] = string(without)
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			typed, written := ofSpec(t, text), values(t, text)
			typed["name"], written["name"] = "typed", "typed"
			a, b := install(t, typed), install(t, written)
			if !reflect.DeepEqual(a.streaming.Spec, b.streaming.Spec) || !reflect.DeepEqual(a.backfill.Spec, b.backfill.Spec) {
				t.Errorf("from the types\n%+v\nas written\n%+v", a.streaming.Spec, b.streaming.Spec)
			}
			same(t, "StreamClass", b.class.Spec, a.class.Spec)
		})
	}
}
