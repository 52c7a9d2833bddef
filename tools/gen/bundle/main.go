// Command bundle completes the OLM bundle that operator-sdk has generated: it adds what follows from the custom resource
// definitions and cannot be said in a manifest, and removes what OLM makes itself.
package main

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// options are what the flags say.
type options struct {
	// folder of the bundle, completed in its place.
	folder string
	// crds is the folder of the definitions, icon the picture's file, objects those that operator-sdk cannot carry.
	crds, icon, objects string
	// image of the operator.
	image string
	// created is the day of the release, replaces the name of the version before it; empty for the first one.
	created, replaces string
}

func main() {
	var o options
	flag.StringVar(&o.folder, "bundle", "", "`folder` of the bundle")
	flag.StringVar(&o.crds, "crds", "", "`folder` of the definitions")
	flag.StringVar(&o.icon, "icon", "", "`file` of the icon")
	flag.StringVar(&o.objects, "objects", "", "`folder` of objects to add as they are")
	flag.StringVar(&o.image, "image", "", "`name` of the operator's image")
	flag.StringVar(&o.created, "created", "", "`time` of the release, as in RFC 3339")
	flag.StringVar(&o.replaces, "replaces", "", "`name` of the ClusterServiceVersion that this one replaces")
	channels := flag.String("next", "", "print version and replaced version of the last entry of candidate in this `file` of channels, and end")
	flag.Parse()
	if *channels != "" {
		if err := printNext(*channels, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bundle:", err)
			os.Exit(1)
		}
		return
	}
	if err := o.complete(); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// complete changes the bundle in its place.
func (o options) complete() error {
	manifests := filepath.Join(o.folder, "manifests")
	csvFile, err := onlyFile(filepath.Join(manifests, "*.clusterserviceversion.yaml"))
	if err != nil {
		return err
	}
	var csv map[string]any
	if err := readYAML(csvFile, &csv); err != nil {
		return err
	}
	if err := o.completeCSV(csv); err != nil {
		return fmt.Errorf("complete %s: %w", csvFile, err)
	}
	if err := writeYAML(csvFile, csv); err != nil {
		return err
	}
	if err := removeWebhookServices(manifests, csv); err != nil {
		return err
	}
	return o.addObjects(manifests)
}

// completeCSV fills in what operator-sdk leaves open.
func (o options) completeCSV(csv map[string]any) error {
	metadata, spec := object(csv, "metadata"), object(csv, "spec")
	annotations := object(metadata, "annotations")
	annotations["createdAt"], annotations["containerImage"] = o.created, o.image
	icon, err := os.ReadFile(o.icon)
	if err != nil {
		return fmt.Errorf("read the icon: %w", err)
	}
	spec["icon"] = []any{map[string]any{"base64data": base64.StdEncoding.EncodeToString(icon), "mediatype": "image/svg+xml"}}
	spec["relatedImages"] = []any{map[string]any{"name": "operator", "image": o.image}}
	if _, err := time.Parse(time.RFC3339, o.created); err != nil {
		return fmt.Errorf("-created: %w", err)
	}
	if o.replaces == metadata["name"] {
		return fmt.Errorf("%s replaces itself", o.replaces)
	}
	delete(spec, "replaces")
	if o.replaces != "" {
		spec["replaces"] = o.replaces
	}
	owned, _ := object(spec, "customresourcedefinitions")["owned"].([]any)
	if len(owned) == 0 {
		return errors.New("it owns no kinds")
	}
	definitions, err := readDefinitions(o.crds)
	if err != nil {
		return err
	}
	for _, kind := range owned {
		kind := kind.(map[string]any) //nolint:forcetypeassert // The type of a ClusterServiceVersion says so.
		definition := definitions[fmt.Sprint(kind["name"])]
		if definition == nil {
			return fmt.Errorf("there is no definition of %v", kind["name"])
		}
		kind["specDescriptors"] = specPart.describe(definition.Properties["spec"])
		kind["statusDescriptors"] = statusPart.describe(definition.Properties["status"])
	}
	return nil
}

// removeWebhookServices deletes the Services of the webhooks: operator-sdk needs them to find the deployment, and OLM makes its own.
func removeWebhookServices(manifests string, csv map[string]any) error {
	if webhooks, _ := object(csv, "spec")["webhookdefinitions"].([]any); len(webhooks) == 0 {
		return errors.New("the bundle has no webhooks")
	}
	service, err := onlyFile(filepath.Join(manifests, "*webhook-service*.yaml"))
	if err != nil {
		return err
	}
	if err := os.Remove(service); err != nil {
		return fmt.Errorf("remove the webhooks' Service: %w", err)
	}
	return nil
}

// addObjects copies the objects that operator-sdk would take for rights of the ClusterServiceVersion.
func (o options) addObjects(manifests string) error {
	if o.objects == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(o.objects, "*.yaml"))
	if err != nil {
		return fmt.Errorf("list the objects to add: %w", err)
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read an object to add: %w", err)
		}
		if err := os.WriteFile(filepath.Join(manifests, filepath.Base(file)), text, 0o644); err != nil {
			return fmt.Errorf("add an object: %w", err)
		}
	}
	return nil
}

// onlyFile is the one file that matches a pattern.
func onlyFile(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", pattern, err)
	}
	if len(files) != 1 {
		return "", fmt.Errorf("found %d files matching %s, want exactly one", len(files), pattern)
	}
	return files[0], nil
}

// object is a field that is an object; it is made where it is missing.
func object(parent map[string]any, field string) map[string]any {
	child, ok := parent[field].(map[string]any)
	if !ok {
		child = map[string]any{}
		parent[field] = child
	}
	return child
}

func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read a manifest: %w", err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}

func writeYAML(file string, value any) error {
	text, err := yaml.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	return nil
}

// abbreviations are the words that are not written as their field's name has them.
var abbreviations = strings.NewReplacer("Open APIV3 schema", "OpenAPI v3 schema", "Api ", "API ", "Ttl ", "TTL ", " id ", " ID ", " uid ", " UID ", " ref ", " ")

// displayName splits a field's name, such as onSpecChange, into words, such as "On spec change".
func displayName(field string) string {
	var out strings.Builder
	for i, r := range field {
		upper := r >= 'A' && r <= 'Z'
		before := i > 0 && field[i-1] >= 'A' && field[i-1] <= 'Z'
		after := i+1 < len(field) && field[i+1] >= 'a' && field[i+1] <= 'z'
		switch {
		case i == 0:
			out.WriteString(strings.ToUpper(string(r)))
		case upper && before && !after:
			out.WriteRune(r) // Inside an abbreviation, such as UID.
		case upper && after:
			out.WriteString(" " + strings.ToLower(string(r)))
		case upper:
			out.WriteString(" " + string(r))
		default:
			out.WriteRune(r)
		}
	}
	return strings.TrimSuffix(abbreviations.Replace(out.String()+" "), " ")
}

// firstSentence of a description, without the line breaks of the source.
func firstSentence(description string) string {
	text := strings.Join(strings.Fields(description), " ")
	for i := range text {
		if text[i] == '.' && (i+1 == len(text) || text[i+1] == ' ') && !slices.ContainsFunc([]string{"e.g", "i.e"}, func(s string) bool { return strings.HasSuffix(text[:i], s) }) {
			return text[:i+1]
		}
	}
	return text
}
