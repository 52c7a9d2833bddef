// Package schemas judges a manifest by a kind's CustomResourceDefinition as the API
// server does, in this process: with its own library, and no cluster. So each limit
// and each rule of a schema can be taken away by itself, to see who misses it.
package schemas

// This file judges a manifest.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// Definitions reads the CustomResourceDefinitions of a folder, by kind.
func Definitions(folder string) (map[string]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("find the definitions: %w", err)
	}
	all := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a definition: %w", err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, crd); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all[crd.Spec.Names.Kind] = crd
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no definitions in %s", folder)
	}
	return all, nil
}

// Kind is a schema, ready to be asked.
type Kind struct {
	schema    *structural.Structural
	validator validation.SchemaValidator
	rules     *cel.Validator
}

// KindOf makes a schema ready.
func KindOf(schema *apiextensionsv1.JSONSchemaProps) (*Kind, error) {
	inner := apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(schema, &inner, nil); err != nil {
		return nil, fmt.Errorf("convert a schema: %w", err)
	}
	s, err := structural.NewStructural(&inner)
	if err != nil {
		return nil, fmt.Errorf("make a schema structural: %w", err)
	}
	validator, _, err := validation.NewSchemaValidator(&inner)
	if err != nil {
		return nil, fmt.Errorf("make a schema's validator: %w", err)
	}
	return &Kind{schema: s, validator: validator, rules: cel.NewValidator(s, true, celconfig.PerCallLimit)}, nil
}

// Object is a manifest as the API server reads it.
func Object(manifest any) (map[string]any, error) {
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("write a manifest: %w", err)
	}
	object := map[string]any{}
	if err := utiljson.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("read a manifest: %w", err)
	}
	return object, nil
}

// Complete writes the schema's defaults into an object.
func (k *Kind) Complete(object map[string]any) { defaulting.Default(object, k.schema) }

// Unknown are the paths of fields that the schema does not have; they are taken out.
func (k *Kind) Unknown(object map[string]any) []string {
	return pruning.PruneWithOptions(object, k.schema, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
}

// Judge is what is wrong with an object that has its defaults; old is nil where it is
// new. As in the API server the rules in CEL are asked only where their types are right.
func (k *Kind) Judge(ctx context.Context, old, object map[string]any) field.ErrorList {
	errs := validation.ValidateCustomResource(nil, object, k.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.schema, object)...)
	if len(errs) > 0 {
		return errs
	}
	var before any
	if old != nil {
		before = old
	}
	errs, _ = k.rules.Validate(ctx, nil, k.schema, object, before, celconfig.RuntimeCELCostBudget)
	return errs
}
