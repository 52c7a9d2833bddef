package accepts

// This file compiles all expressions of an installation as the oldest Kubernetes compiles them that Arcane supports. The API
// server's own code knows which version has which part of the language and of its libraries.

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	celgo "github.com/google/cel-go/cel"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/accepts/schemas"
)

const repository = "../.."

// expression is one, by a name that a failure shows.
type expression struct{ name, text string }

func (e expression) GetExpression() string      { return e.text }
func (e expression) GetName() string            { return e.name }
func (e expression) ReturnTypes() []*celgo.Type { return []*celgo.Type{celgo.AnyType} }

// withAuthorizer are the variables that webhooks and policies have.
var withAuthorizer = cel.OptionalVariableDeclarations{HasAuthorizer: true}

// oldest is the version that the operator's chart asks for.
func oldest(t *testing.T) *version.Version {
	t.Helper()
	chart, err := os.ReadFile(filepath.Join(repository, "helm-charts/arcane-operator/Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^kubeVersion: ">=([0-9.]+)-0"$`).FindSubmatch(chart)
	if match == nil {
		t.Fatal("the chart names no oldest Kubernetes")
	}
	full := version.MustParse(string(match[1]))
	return version.MajorMinor(full.Major(), full.Minor())
}

func TestTheOldestKubernetesKnowsTheRulesOfTheKinds(t *testing.T) {
	definitions, err := schemas.Definitions(filepath.Join(repository, "config/crd/bases"))
	if err != nil {
		t.Fatal(err)
	}
	env, compiled := environment.MustBaseEnvSet(oldest(t)), 0
	var walk func(kind, path string, s *structural.Structural, root bool)
	walk = func(kind, path string, s *structural.Structural, root bool) {
		if len(s.XValidations) > 0 {
			results, err := schemacel.Compile(s, model.SchemaDeclType(s, root), celconfig.PerCallLimit, env, schemacel.NewExpressionsEnvLoader())
			if err != nil {
				t.Errorf("%s %s: %v", kind, path, err)
			}
			for i, result := range results {
				compiled++
				if result.Error != nil {
					t.Errorf("%s %s: %s: %v", kind, path, s.XValidations[i].Rule, result.Error)
				}
			}
		}
		for name, property := range s.Properties {
			walk(kind, path+"."+name, &property, property.XEmbeddedResource)
		}
		if s.Items != nil {
			walk(kind, path+"[]", s.Items, s.Items.XEmbeddedResource)
		}
		if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
			walk(kind, path+"{}", s.AdditionalProperties.Structural, false)
		}
	}
	for kind, definition := range definitions {
		internal := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil); err != nil {
			t.Fatal(err)
		}
		s, err := structural.NewStructural(internal)
		if err != nil {
			t.Fatal(err)
		}
		walk(kind, "", s, true)
	}
	if compiled < 10 {
		t.Errorf("only %d rules were compiled", compiled)
	}
}

func TestTheOldestKubernetesKnowsTheConditionsOfTheWebhooks(t *testing.T) {
	compiler, compiled := cel.NewCompiler(environment.MustBaseEnvSet(oldest(t))), 0
	for _, file := range []string{"conditions_mutating.yaml", "conditions_validating.yaml"} {
		var configuration admissionregistrationv1.ValidatingWebhookConfiguration
		read(t, "config/webhook/"+file, &configuration)
		for _, webhook := range configuration.Webhooks {
			for _, condition := range webhook.MatchConditions {
				compiled++
				result := compiler.CompileCELExpression(expression{condition.Name, condition.Expression}, withAuthorizer, environment.NewExpressions)
				if result.Error != nil {
					t.Errorf("%s: %s: %s: %v", file, webhook.Name, condition.Name, result.Error)
				}
			}
		}
	}
	if compiled < 10 {
		t.Errorf("only %d conditions were compiled", compiled)
	}
}

func TestTheOldestKubernetesKnowsTheExpressionsOfThePolicy(t *testing.T) {
	var policy admissionregistrationv1.ValidatingAdmissionPolicy
	read(t, "config/policy/who_may.yaml", &policy)
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(oldest(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range policy.Spec.Variables {
		result := compiler.CompileAndStoreVariable(expression{variable.Name, variable.Expression}, withAuthorizer, environment.NewExpressions)
		if result.Error != nil {
			t.Errorf("%s: %v", variable.Name, result.Error)
		}
	}
	var all []expression
	for _, condition := range policy.Spec.MatchConditions {
		all = append(all, expression{condition.Name, condition.Expression})
	}
	for _, validation := range policy.Spec.Validations {
		all = append(all, expression{"validation", validation.Expression}, expression{"message", validation.MessageExpression})
	}
	for _, e := range all {
		if result := compiler.CompileCELExpression(e, withAuthorizer, environment.NewExpressions); result.Error != nil {
			t.Errorf("%s: %v", e.name, result.Error)
		}
	}
	if len(policy.Spec.Variables) == 0 || len(all) < 4 {
		t.Errorf("the policy has %d variables and %d other expressions, fewer than it had", len(policy.Spec.Variables), len(all))
	}
}

// TestAnOlderKubernetesDoesNotKnowThem: a version without optional fields refuses what uses them, so these tests can fail.
func TestAnOlderKubernetesDoesNotKnowThem(t *testing.T) {
	optional := expression{"optional", "object.metadata.?annotations.hasValue()"}
	for v, known := range map[string]bool{"1.27": false, "1.34": true} {
		result := cel.NewCompiler(environment.MustBaseEnvSet(version.MustParse(v))).CompileCELExpression(optional, withAuthorizer, environment.NewExpressions)
		if (result.Error == nil) != known {
			t.Errorf("Kubernetes %s: %v", v, result.Error)
		}
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
