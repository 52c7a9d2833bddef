package main

// This file asks the API server whether it reaches the webhooks: arcane-operator check.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/client/config"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/operator"
)

// checkCommand is the first argument that asks for the check instead of the operator.
const checkCommand = "check"

// checkOptions are what the flags of the check say.
type checkOptions struct {
	namespace string
	timeout   time.Duration
	every     time.Duration
}

// parseCheck reads the flags of the check.
func parseCheck(args []string, out io.Writer) (checkOptions, error) {
	o := checkOptions{every: time.Second}
	f := flag.NewFlagSet("arcane-operator check", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprintf(out, "arcane-operator check asks the API server for a write that a webhook of Arcane's refuses, as a dry run that stores nothing.\nIt ends with 0 when the webhook has answered. The caller needs the right to create StreamClasses, or, with\n--namespace, BackfillRequests and Jobs in that namespace.\n\nFlags:\n")
		f.PrintDefaults()
	}
	ctrlconfig.RegisterFlags(f)
	f.StringVar(&o.namespace, "namespace", "", "`name` of a namespace that the operator serves, for an operator of some namespaces, whose webhooks do not judge StreamClasses: the check creates a BackfillRequest there")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "`time` to keep trying: the API server learns of a ready pod a moment after the pod is ready")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; check --help lists the flags", f.Arg(0))
	}
	if problems := utilvalidation.IsDNS1123Label(o.namespace); o.namespace != "" && len(problems) > 0 {
		return o, fmt.Errorf("--namespace: %q is no name of a namespace: %s", o.namespace, strings.Join(problems, "; "))
	}
	if o.timeout <= 0 {
		return o, fmt.Errorf("--timeout is %s; it must be more than 0", o.timeout)
	}
	return o, nil
}

// check finds the cluster and asks it.
func check(ctx context.Context, o checkOptions, out io.Writer) error {
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("build the scheme: %w", err)
	}
	c, err := client.New(operator.Connection(cfg, version), client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	return o.awaitWebhook(ctx, c, out)
}

// awaitWebhook asks until a webhook has answered, or the time is over.
func (o checkOptions) awaitWebhook(ctx context.Context, c client.Client, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	ticker := time.NewTicker(o.every)
	defer ticker.Stop()
	var last error
	for {
		err := o.askWebhook(ctx, c)
		if err == nil {
			fmt.Fprintf(out, "the API server reaches webhook %s\n", o.webhook())
			return nil
		}
		// A request that the timeout cut off says less than the one before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer of webhook %s within %s: %w", o.webhook(), o.timeout, last)
		case <-ticker.C:
		}
	}
}

// webhook is the name of the one that is asked.
func (o checkOptions) webhook() string {
	resource := "streamclasses"
	if o.namespace != "" {
		resource = "backfillrequests"
	}
	return "validate." + resource + "." + v1.GroupVersion.Group
}

// askWebhook creates, as a dry run, an object that its schema allows and the webhook refuses: were it to be accepted,
// nothing would tell an answer of the webhook from a cluster that asks none.
func (o checkOptions) askWebhook(ctx context.Context, c client.Client) error {
	const name = "arcane-check"
	var object client.Object = &v1.StreamClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.StreamClassSpec{APIVersion: "v1", KindRef: v1.KindStream, PluralName: "stream"},
	}
	if o.namespace != "" {
		object = &v1.BackfillRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name},
			Spec:       v1.BackfillRequestSpec{StreamID: name, StreamClass: "No_Class"},
		}
	}
	err := c.Create(ctx, object, client.DryRunAll)
	switch {
	case err == nil:
		return errors.New("the API server accepted what the webhook refuses; are the webhook configurations installed, and do they select the namespace?")
	case strings.Contains(err.Error(), fmt.Sprintf("admission webhook %q denied the request", o.webhook())):
		return nil
	default:
		return fmt.Errorf("ask the API server: %w", err)
	}
}
