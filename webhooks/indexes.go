package webhooks

// This file finds in the cache what an object has to do with, without going through all objects of a kind.

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const (
	// byTemplate finds the Streams and the classes that name a template: "namespace/name",
	// without a namespace where a class leaves it to its streams.
	byTemplate = "webhooks.arcane/template"
	// byClass finds the Streams of a class.
	byClass = "webhooks.arcane/class"
	// byStreamID finds the requests for a stream: its name.
	byStreamID = "webhooks.arcane/stream-id"
)

// indexed are the indexes, and what they are made from.
var indexed = []struct {
	object client.Object
	field  string
	values client.IndexerFunc
}{
	{&v1.Stream{}, byTemplate, of(func(s *v1.Stream) []string {
		return templateKeys(s.Namespace, s.Spec.JobTemplateRef, s.Spec.BackfillJobTemplateRef)
	})},
	{&v1.StreamClass{}, byTemplate, of(func(c *v1.StreamClass) []string {
		return templateKeys("", c.Spec.JobTemplateRef, c.Spec.BackfillJobTemplateRef)
	})},
	{&v1.Stream{}, byClass, of(func(s *v1.Stream) []string { return []string{s.Spec.StreamClass} })},
	{&v1.BackfillRequest{}, byStreamID, of(func(q *v1.BackfillRequest) []string { return []string{q.Spec.StreamID} })},
}

func of[T client.Object](values func(T) []string) client.IndexerFunc {
	return func(o client.Object) []string {
		typed, ok := o.(T)
		if !ok {
			return nil
		}
		return values(typed)
	}
}

func templateKeys(namespace string, refs ...*v1.TemplateReference) []string {
	var keys []string
	for _, ref := range refs {
		if ref != nil {
			keys = append(keys, cmp.Or(ref.Namespace, namespace)+"/"+ref.Name)
		}
	}
	return keys
}

func indexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range indexed {
		if err := indexer.IndexField(ctx, i.object, i.field, i.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.object, i.field, err)
		}
	}
	return nil
}

// namers are the Streams that may be using a template, in order: those that name it,
// and those of the classes that do.
func (s *server) namers(ctx context.Context, t *v1.StreamingJobTemplate) ([]*v1.Stream, error) {
	found := map[types.NamespacedName]*v1.Stream{}
	add := func(options ...client.ListOption) error {
		var list v1.StreamList
		if err := s.cache.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
			return fmt.Errorf("look up the streams that use the template: %w", err)
		}
		for i := range list.Items {
			found[client.ObjectKeyFromObject(&list.Items[i])] = &list.Items[i]
		}
		return nil
	}
	if err := add(client.MatchingFields{byTemplate: t.Namespace + "/" + t.Name}); err != nil {
		return nil, err
	}
	for key, within := range map[string]client.InNamespace{t.Namespace + "/" + t.Name: "", "/" + t.Name: client.InNamespace(t.Namespace)} {
		var classes v1.StreamClassList
		if err := s.cache.List(ctx, &classes, client.MatchingFields{byTemplate: key}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("look up the classes that name the template: %w", err)
		}
		for i := range classes.Items {
			if err := add(within, client.MatchingFields{byClass: classes.Items[i].Name}); err != nil {
				return nil, err
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *v1.Stream) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	}), nil
}
