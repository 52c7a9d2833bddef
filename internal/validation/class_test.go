package validation

// This file tests what is said of a StreamClass, whole.

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestCreateClass(t *testing.T) {
	own := func(c *v1.StreamClass) {
		c.Spec.APIGroupRef, c.Spec.APIVersion, c.Spec.KindRef, c.Spec.PluralName = "streaming.example.com", "v1beta1", "PostgresStream", "postgresstreams"
	}
	const unserved = `StreamClass postgres: spec.kindRef: "PostgresStream" of group "streaming.example.com" is a plugin's own kind, which this version does not serve; write the class for kind Stream of group streaming.sneaksanddata.com`
	const label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	const oldLabel = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
	const subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	for name, c := range map[string]struct {
		change func(c *v1.StreamClass)
		others []v1.StreamClass
		want   said
	}{
		"good":                      {func(*v1.StreamClass) {}, nil, said{}},
		"another class for Streams": {func(*v1.StreamClass) {}, []v1.StreamClass{classFor("mysql", "", "Stream")}, said{}},
		"kind Stream, another version": {func(c *v1.StreamClass) { c.Spec.APIVersion = "v2" }, nil, refused(
			`spec.apiVersion: Invalid value: "v2": kind Stream has no version "v2"; set it to v1`,
		)},
		"kind Stream, another plural": {func(c *v1.StreamClass) { c.Spec.PluralName = "stream" }, nil, refused(
			`spec.pluralName: Invalid value: "stream": kind Stream has no plural "stream"; set it to streams`,
		)},
		"a plugin's own kind": {own, []v1.StreamClass{classFor("mysql", "streaming.example.com", "MySQLStream"), classFor("postgres", "streaming.example.com", "PostgresStream")}, warned(unserved)},
		"a plugin's own kind, taken": {own, []v1.StreamClass{classFor("postgres-old", "streaming.example.com", "PostgresStream")}, said{
			errs:     []string{`spec.kindRef: Invalid value: "PostgresStream": of group "streaming.example.com" is carried by StreamClass postgres-old already; change that class or delete it first`},
			warnings: []string{unserved},
		}},
		"names that are none": {func(c *v1.StreamClass) {
			c.Spec.APIGroupRef, c.Spec.APIVersion, c.Spec.KindRef, c.Spec.PluralName = "Streaming", "1", "My Stream", "My"
			c.Spec.ContainerName, c.Spec.AllowedTemplateNamespaces = "Plugin", []string{"ok", "*", ""}
			c.Spec.SecretRefs = []string{"source.credentials", "source..x", "."}
			c.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "A", Name: "B"}
		}, nil, said{
			errs: []string{
				`spec.apiGroupRef: Invalid value: "Streaming": is not the name of an API group: ` + subdomain,
				`spec.apiVersion: Invalid value: "1": is not a version such as v1: ` + oldLabel,
				`spec.kindRef: Invalid value: "My Stream": is not a kind such as Stream: ` + oldLabel,
				`spec.pluralName: Invalid value: "My": is not a plural such as streams: ` + oldLabel,
				`spec.containerName: Invalid value: "Plugin": is not the name of a container: ` + label,
				`spec.allowedTemplateNamespaces[1]: Invalid value: "*": is not the name of a namespace; there are no patterns: ` + label,
				`spec.allowedTemplateNamespaces[2]: Invalid value: "": is empty; name a namespace or remove it`,
				`spec.secretRefs[1]: Invalid value: "source..x": is not a path below a stream's spec, such as source.credentials; write the names of fields with dots between them`,
				`spec.secretRefs[2]: Invalid value: ".": is not a path below a stream's spec, such as source.credentials; write the names of fields with dots between them`,
				`spec.jobTemplateRef.name: Invalid value: "B": is not the name of a StreamingJobTemplate: ` + subdomain,
				`spec.jobTemplateRef.namespace: Invalid value: "A": is not the name of a namespace: ` + label,
			},
			warnings: []string{`StreamClass postgres: spec.kindRef: "My Stream" of group "Streaming" is a plugin's own kind, which this version does not serve; write the class for kind Stream of group streaming.sneaksanddata.com`},
		}},
		"exit codes that mean two things, or none": {func(c *v1.StreamClass) {
			c.Spec.FailureClasses = []v1.FailureClass{
				{Name: "a", ExitCodes: []int32{0, 2, 256}, Action: v1.ActionIgnore}, {Name: "a", ExitCodes: []int32{3, 2}, Action: v1.ActionFail},
			}
		}, nil, refused(
			"spec.failureClasses[0].exitCodes[0]: Invalid value: 0: 0 is success and belongs to no failure class; remove it",
			"spec.failureClasses[0].exitCodes[2]: Invalid value: 256: 256 is no exit code; use 1 to 255",
			`spec.failureClasses[1].name: Invalid value: "a": "a" is there twice; merge the two or rename one`,
			`spec.failureClasses[1].exitCodes[1]: Invalid value: 2: 2 belongs to "a" already; an exit code can mean only one thing, remove it from one of the two`,
		)},
		"a schema that is not structural": {func(c *v1.StreamClass) {
			c.Spec.Schema.OpenAPIV3Schema = raw(`{"type":"object","properties":{"source":{"minLength":1},"sink":{"type":"object","additionalProperties":{}}}}`)
		}, nil, refused(
			"spec.schema.openAPIV3Schema.properties[sink].additionalProperties.type: Required value: must be structural, as in a CustomResourceDefinition: Required value: must not be empty for specified object fields",
			"spec.schema.openAPIV3Schema.properties[source].type: Required value: must be structural, as in a CustomResourceDefinition: Required value: must not be empty for specified object fields",
		)},
		"a keyword that is misspelt": {func(c *v1.StreamClass) { c.Spec.Schema.OpenAPIV3Schema = raw(`{"type":"object","propertys":{}}`) }, nil, refused(
			`spec.schema.openAPIV3Schema: Invalid value: cannot be read as a schema: json: unknown field "propertys"`,
		)},
		"a policy that Kubernetes would refuse": {func(c *v1.StreamClass) { c.Spec.PodFailurePolicy = ownPolicy(codes("In", "any-container", 2, 1)) }, nil, refused(
			"spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 1: 1 comes after 2; sort the exit codes, each once",
		)},
		"a policy without the rule about disruptions": {func(c *v1.StreamClass) {
			c.Spec.PodFailurePolicy = ownPolicy(codes("In", "", 1))
			c.Spec.PodFailurePolicy.Rules[1].Action = "Count"
		}, nil, warned("spec.podFailurePolicy: has no rule that ignores the pod condition DisruptionTarget, so a pod that is evicted or deleted counts as a failure; add one unless you mean it")},
		"being deleted": {func(c *v1.StreamClass) { c.DeletionTimestamp, c.Spec.KindRef = &metav1.Time{}, "" }, nil, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.change(w.class)
			if got := told(Class(nil, w.class, ClassSurroundings{Others: c.others})); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func classFor(name, group, kind string) v1.StreamClass {
	c := v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.APIGroupRef, c.Spec.KindRef = group, kind
	return c
}

func TestUpdateClass(t *testing.T) {
	running := func(c *v1.StreamClass) { c.Status.Streams = map[v1.StreamPhase]int32{v1.StreamRunning: 7} }
	for name, c := range map[string]struct {
		before func(c *v1.StreamClass)
		change func(c *v1.StreamClass)
		want   said
	}{
		"nothing, wrong as it is":                {func(c *v1.StreamClass) { c.Spec.APIVersion = "v2" }, func(*v1.StreamClass) {}, said{}},
		"what jobs are not built from":           {running, func(c *v1.StreamClass) { c.Spec.Schema = nil }, said{}},
		"what jobs are built from":               {running, func(c *v1.StreamClass) { c.Spec.SecretRefs = nil }, warned("this edit restarts the class's streaming jobs that it concerns; 7 are running")},
		"what jobs are built from, none running": {func(*v1.StreamClass) {}, func(c *v1.StreamClass) { c.Spec.SecretRefs = nil }, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.before(w.class)
			old := w.class.DeepCopy()
			c.change(w.class)
			if got := told(Class(old, w.class, ClassSurroundings{})); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}
