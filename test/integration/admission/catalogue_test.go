// The catalogue: what is refused, by whom and in which words, and what is stored.

package admission_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/catalogue"
)

// atOnce is how many kubectl run at the same time.
const atOnce = 4

// folder of the files that are applied.
var folder string

var _ = Describe("The catalogue", Ordered, ContinueOnFailure, func() {
	var all *catalogue.Catalogue

	BeforeAll(func(ctx SpecContext) {
		var err error
		all, err = catalogue.Load(".")
		Expect(err).NotTo(HaveOccurred())
		folder = GinkgoT().TempDir()
		Expect(stage.Operator.Start(ctx)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { removeAll(ctx, all) })
		applyAll(ctx, all.World)
		awaitSeen(ctx, all.World)
		var given []catalogue.Object
		for _, c := range all.Cases {
			given = append(given, c.Given...)
		}
		given = inOrder(given)
		applyAll(ctx, given)
		awaitSeen(ctx, given)
	})

	It("refuses what is wrong, in the words of the catalogue", func(ctx SpecContext) {
		told(ctx, all.Wrong())
	})

	It("stores what is right, completed, with the warnings of the catalogue", func(ctx SpecContext) {
		told(ctx, all.Right())
	})

	It("changes nothing when what is right is applied again, by the client or by the server", func(ctx SpecContext) {
		var manifests []catalogue.Object
		for _, c := range all.Right() {
			manifests = append(manifests, c.Manifest)
		}
		file := write("again", manifests)
		quiet(ctx)
		stored := versions(ctx, manifests)
		kubectl(ctx, "apply", "-f", file)
		Expect(changed(stored, versions(ctx, manifests), true)).To(BeEmpty(), "applied again")
		kubectl(ctx, "apply", "--server-side", "-f", file)
		quiet(ctx)
		taken := versions(ctx, manifests)
		Expect(changed(stored, taken, false)).To(BeEmpty(), "applied by the server")
		kubectl(ctx, "apply", "--server-side", "-f", file)
		Expect(changed(taken, versions(ctx, manifests), true)).To(BeEmpty(), "applied by the server again")
	})
})

// told applies each case's manifest and compares what is said with the catalogue.
func told(ctx context.Context, cases []*catalogue.Case) {
	GinkgoHelper()
	Expect(cases).NotTo(BeEmpty())
	differences := make([]string, len(cases))
	next := make(chan int, len(cases))
	for i := range cases {
		next <- i
	}
	close(next)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			defer GinkgoRecover()
			for i := range next {
				differences[i] = difference(ctx, cases[i])
			}
		})
	}
	workers.Wait()
	AddReportEntry("summary", catalogue.Summary(cases))
	Expect(slices.DeleteFunc(differences, func(d string) bool { return d == "" })).To(BeEmpty())
}

// difference applies a case's manifest; empty where all is as the catalogue has it.
func difference(ctx context.Context, c *catalogue.Case) string {
	job := reach(ctx, c)
	file := write("case", []catalogue.Object{c.Manifest})
	cmd := command(ctx, "apply", "-o", "json", "-f", file)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	failure := cmd.Run()
	if exit := (*exec.ExitError)(nil); failure != nil && !errors.As(failure, &exit) {
		return fmt.Sprintf("%s: %s: %v", c.File, c.Name, failure)
	}
	got := catalogue.Plain(strings.ReplaceAll(said.String(), cmp.Or(job, "{job}"), "{job}"))
	if want := catalogue.Said(c, file); got != want || (failure != nil) != c.Wrong() {
		return fmt.Sprintf("%s: %s: it is said\n%s\nwant\n%s", c.File, c.Name, got, want)
	}
	if c.Wrong() {
		return ""
	}
	if stored := own(parse(out.Bytes())); !reflect.DeepEqual(stored, plain(c.Stored)) {
		text, _ := yaml.Marshal(stored)
		return fmt.Sprintf("%s: %s: stored is\n%s", c.File, c.Name, text)
	}
	return ""
}

// own is an object less what the API server gives it and what the operator adds later.
func own(o catalogue.Object) catalogue.Object {
	delete(o, "status")
	meta, _ := o["metadata"].(map[string]any)
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences"} {
		delete(meta, field)
	}
	annotations, _ := meta["annotations"].(map[string]any)
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	if len(annotations) == 0 {
		delete(meta, "annotations")
	}
	return o
}

// plain is an object as it is read from JSON.
func plain(o catalogue.Object) catalogue.Object {
	GinkgoHelper()
	raw, err := json.Marshal(o)
	Expect(err).NotTo(HaveOccurred())
	return parse(raw)
}

// parse reads an object, its numbers as they are written.
func parse(raw []byte) catalogue.Object {
	GinkgoHelper()
	o := catalogue.Object{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	Expect(d.Decode(&o)).To(Succeed())
	return o
}
