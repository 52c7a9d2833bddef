package catalogue

// This file reads the catalogue, strictly: a misspelt key would be a check that never happens.

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// world is the file of what all cases share.
const world = "world.yaml"

// namespace of objects that name none.
const namespace = "sales"

// Load reads the folder's files.
func Load(folder string) (*Catalogue, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("find the catalogue: %w", err)
	}
	k := &Catalogue{}
	taken := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the catalogue: %w", err)
		}
		for i, document := range bytes.Split(content, []byte("\n---\n")) {
			at := fmt.Sprintf("%s, document %d", filepath.Base(file), i+1)
			if err := k.add(filepath.Base(file), document, taken); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		}
	}
	if len(k.World) == 0 {
		return nil, fmt.Errorf("there is no %s in %s", world, folder)
	}
	return k, nil
}

// add reads one document; taken are the names of objects that are in use, by whom.
func (k *Catalogue) add(file string, document []byte, taken map[string]string) error {
	if file == world {
		object := Object{}
		if err := yaml.UnmarshalStrict(document, &object, exact); err != nil {
			return fmt.Errorf("read an object of the world: %w", err)
		}
		complete(object, "")
		k.World = append(k.World, object)
		return nil
	}
	c := &Case{File: file}
	if err := read(document, c); err != nil {
		return err
	}
	if other, ok := taken[slug(c.Name)]; ok {
		return fmt.Errorf("cases %q and %q have the same name %q", other, c.Name, slug(c.Name))
	}
	taken[slug(c.Name)] = c.Name
	k.Cases = append(k.Cases, c)
	return c.sound()
}

// read reads a case twice: once for its name, and then with all that is made of it.
func read(document []byte, c *Case) error {
	var named struct {
		Case string `json:"case"`
	}
	text := spread(string(document))
	if err := yaml.Unmarshal([]byte(text), &named); err != nil {
		return fmt.Errorf("read a case: %w", err)
	}
	name := slug(named.Case)
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(text, "{name}", name)), c, exact); err != nil {
		return fmt.Errorf("read case %q: %w", named.Case, err)
	}
	if c.Stored != nil {
		c.Stored["kind"] = c.Manifest["kind"]
	}
	for _, object := range append([]Object{c.Manifest, c.Stored}, c.Given...) {
		complete(object, name)
	}
	return nil
}

// exact reads numbers as they are written: a float64 would spoil integers beyond 2^53.
func exact(d *json.Decoder) *json.Decoder {
	d.UseNumber()
	return d
}

// sound tells what keeps a case from being one.
func (c *Case) sound() error {
	layers := map[Layer]bool{Decoding: true, Schema: true, CEL: true, Webhook: true, DryRun: true}
	switch {
	case slug(c.Name) == "" || len(slug(c.Name)) > 63:
		return fmt.Errorf("case %q: a Stream can have no such name; choose another, of at most 63 characters", c.Name)
	case c.Manifest == nil:
		return fmt.Errorf("case %q has no manifest", c.Name)
	case (c.Refused == "") == (c.Stored == nil):
		return fmt.Errorf("case %q must say either refused or stored", c.Name)
	case (c.Refused == "") != (c.By == "") || c.By != "" && !layers[c.By]:
		return fmt.Errorf("case %q is refused by %q, which is no layer", c.Name, c.By)
	case c.Again != "" && c.By != Schema && c.By != CEL:
		return fmt.Errorf("case %q is refused by layer %q, after which there is nobody to say it again", c.Name, c.By)
	}
	return nil
}

var (
	// several is <<65 x n#>>: n0, n1, ... n64.
	several = regexp.MustCompile(`<<(\d+) x (.+?)>>`)
	// long is <<64 a>>: 64 times the letter.
	long = regexp.MustCompile(`<<(\d+) (\S)>>`)
)

// spread writes out what would be long to read.
func spread(text string) string {
	text = several.ReplaceAllStringFunc(text, func(found string) string {
		part := several.FindStringSubmatch(found)
		count, _ := strconv.Atoi(part[1])
		items := make([]string, count)
		for i := range items {
			items[i] = strings.ReplaceAll(part[2], "#", strconv.Itoa(i))
		}
		return strings.Join(items, ", ")
	})
	return long.ReplaceAllStringFunc(text, func(found string) string {
		part := long.FindStringSubmatch(found)
		count, _ := strconv.Atoi(part[1])
		return strings.Repeat(part[2], count)
	})
}

var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// slug is a name for objects, made of a case's.
func slug(name string) string {
	return strings.Trim(unfit.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// complete fills in what every object has and no case is about.
func complete(object Object, name string) {
	if object == nil {
		return
	}
	kind, _ := object["kind"].(string)
	ours := map[string]bool{
		v1.KindStream: true, v1.KindBackfillRequest: true, v1.KindStreamClass: true, v1.KindStreamingJobTemplate: true,
		v1.KindStreamPlugin: true,
	}[kind]
	if ours && object["apiVersion"] == nil {
		object["apiVersion"] = v1.GroupVersion.String()
	}
	meta, ok := object["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		object["metadata"] = meta
	}
	if meta["name"] == nil {
		meta["name"] = name
	}
	if ours && kind != v1.KindStreamClass && meta["namespace"] == nil {
		meta["namespace"] = namespace
	}
}

// Name is an object's full name: Kind/namespace/name.
func Name(o Object) string {
	meta, _ := o["metadata"].(map[string]any)
	in, _ := meta["namespace"].(string)
	name, _ := meta["name"].(string)
	return fmt.Sprintf("%v/%s/%s", o["kind"], cmp.Or(in, "-"), name)
}
