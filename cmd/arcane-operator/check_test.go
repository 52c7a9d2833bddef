package main

// This file asks clusters that answer in every way for the check of the webhooks.

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// answering is a cluster that gives these answers to creations, the last one for ever.
func answering(t *testing.T, asked *[]client.Object, answers ...error) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			var all client.CreateOptions
			all.ApplyOptions(opts)
			if !slices.Equal(all.DryRun, []string{"All"}) {
				t.Errorf("%T %s would be stored", o, o.GetName())
			}
			*asked = append(*asked, o)
			return answers[min(len(*asked), len(answers))-1]
		},
	}).Build()
}

func TestCheckKnowsTheWebhooksAnswer(t *testing.T) {
	unreached := errors.New(`Internal error occurred: failed calling webhook "validate.streamclasses.streaming.sneaksanddata.com": connection refused`)
	for name, c := range map[string]struct {
		namespace string
		answers   []error
		asked     int
		says      string
	}{
		"refused by the webhook": {answers: []error{errors.New(`admission webhook "validate.streamclasses.streaming.sneaksanddata.com" denied the request: …`)}, asked: 1},
		"reached at the third attempt": {
			answers: []error{unreached, unreached, errors.New(`admission webhook "validate.streamclasses.streaming.sneaksanddata.com" denied the request: …`)}, asked: 3,
		},
		"refused by the webhook of requests": {
			namespace: "team-a", answers: []error{errors.New(`admission webhook "validate.backfillrequests.streaming.sneaksanddata.com" denied the request: …`)}, asked: 1,
		},
		"refused by somebody else's webhook": {answers: []error{errors.New(`admission webhook "validate.example.com" denied the request: no`)}, says: "validate.example.com"},
		"accepted":                           {answers: []error{nil}, says: "are the webhook configurations installed"},
		"not reached":                        {answers: []error{unreached}, says: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []client.Object
			var out bytes.Buffer
			o := checkOptions{namespace: c.namespace, timeout: 100 * time.Millisecond, every: time.Millisecond}
			err := o.awaitWebhook(t.Context(), answering(t, &asked, c.answers...), &out)
			if c.says == "" {
				if err != nil || len(asked) != c.asked || !strings.Contains(out.String(), o.webhook()) {
					t.Errorf("%v after %d requests, said %q", err, len(asked), out.String())
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), o.webhook()) || len(asked) < 2 {
				t.Errorf("%v after %d requests, want %q", err, len(asked), c.says)
			}
		})
	}
}

func TestParseCheck(t *testing.T) {
	o, err := parseCheck([]string{"--namespace=team-a", "--timeout=3s"}, io.Discard)
	if err != nil || o.namespace != "team-a" || o.timeout != 3*time.Second || o.every <= 0 {
		t.Errorf("%+v, %v", o, err)
	}
	for flags, want := range map[string]string{
		"--namespace=Team": "--namespace",
		"--timeout=0":      "--timeout",
		"now":              `"now"`,
	} {
		if _, err := parseCheck([]string{flags}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", flags, err)
		}
	}
	var help bytes.Buffer
	if _, err := parseCheck([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "dry run") {
		t.Errorf("--help: %v, %s", err, help.String())
	}
}
