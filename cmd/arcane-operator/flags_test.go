package main

// This file reads flags, right and wrong ones.

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"--operator-user=me", "--operator-namespace=here"}, io.Discard)
	if err != nil || !o.leaderElect || o.workers != 16 || o.logLevel != zapcore.InfoLevel || !o.metricsSecure || o.perStream != telemetry.PerStreamAll {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	if a := o.admission(); a.User != "me" || !a.Certificate.SelfSigned ||
		!slices.Equal(a.Certificate.Names, []string{"arcane-webhook-service.here.svc", "arcane-metrics.here.svc"}) {
		t.Errorf("admission: %+v", a)
	}
	o, err = parse([]string{"--webhooks=false", "--leader-elect=false", "--log-level=debug", "--workers=3", "--metrics-bind-address=0", "--per-stream-metrics=unhealthy"}, io.Discard)
	if err != nil || o.perStream != telemetry.PerStreamUnhealthy || o.namespaces != nil || o.leaderElect || o.workers != 3 || o.logLevel != zapcore.DebugLevel || o.metricsAddress != "0" {
		t.Errorf("given: %+v, %v", o, err)
	}
}

func TestParseNamespaces(t *testing.T) {
	o, err := parse([]string{"--webhooks=false", "--namespaces=gone", "--namespaces=one,two"}, io.Discard)
	if err != nil || !slices.Equal(o.namespaces, []string{"one", "two"}) {
		t.Errorf("%v, %v: want the last list that was given", o.namespaces, err)
	}
}

func TestParseStreamPlugins(t *testing.T) {
	for flags, want := range map[string]bool{
		"--operator-namespace=h":                        true,
		"--operator-namespace=h --stream-plugins=false": false,
		"--operator-namespace=h --namespaces=a":         false,
		"":                                              false,
	} {
		o, err := parse(append(strings.Fields(flags), "--webhooks=false"), io.Discard)
		if err != nil || o.plugins != want {
			t.Errorf("%q: %t, %v; want %t", flags, o.plugins, err, want)
		}
	}
}

func TestParseEndpointOfTraces(t *testing.T) {
	for flags, want := range map[string]string{
		"--otlp-endpoint=":                                  "",
		"--otlp-endpoint=http://collector:4318":             "http://collector:4318/v1/traces",
		"--otlp-endpoint=https://collector/":                "https://collector/v1/traces",
		"--otlp-endpoint=https://there/otlp":                "https://there/otlp/v1/traces",
		"--otlp-endpoint=http://[::1]:4318/v1/traces":       "http://[::1]:4318/v1/traces",
		"--otlp-endpoint=http://collector --otlp-endpoint=": "",
	} {
		o, err := parse(append(strings.Fields(flags), "--webhooks=false"), io.Discard)
		got := ""
		if o.traces != nil {
			got = o.traces.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", flags, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--workers=0":     "must be at least 1",
		"extra":           `unexpected argument "extra"`,
		"--log-level=all": `"all" is none of debug, info, warn, error`,
		"--no-such-flag":  "no-such-flag",

		"--webhook-port=0":                   "--webhook-port is 0; it must be a port, from 1 to 65535",
		"--webhook-port=70000":               "--webhook-port is 70000",
		"--metrics-bind-address=8443":        `--metrics-bind-address is "8443"; it must be [host]:port, such as :8443, or 0`,
		"--metrics-bind-address=:metrics":    `--metrics-bind-address is ":metrics"`,
		"--health-probe-bind-address=:70000": `--health-probe-bind-address is ":70000"`,

		"--per-stream-metrics=some": `"some" is none of all, unhealthy, none`,

		"--namespaces=":            `"" is no name of a namespace`,
		"--namespaces=a,,b":        `"" is no name of a namespace`,
		"--namespaces=Team":        `"Team" is no name of a namespace: a lowercase RFC 1123 label`,
		"--namespaces=one,two,one": `"one" is named twice`,

		"--otlp-endpoint=collector:4318":     `its scheme is "collector"; it must be http or https`,
		"--otlp-endpoint=http://":            "it names no host",
		"--otlp-endpoint=$(COLLECTOR)":       "it must be http or https",
		"--otlp-endpoint=http://me@there":    "OTEL_EXPORTER_OTLP_HEADERS is the place for these",
		"--otlp-endpoint=https://there/?a=b": "a query or a fragment",
		"--otlp-endpoint=http://there:%zz":   "it is no URL",

		"--webhooks=false --stream-plugins":                                       "--operator-namespace is missing: the releases of StreamPlugins lie there",
		"--webhooks=false --operator-namespace=h --stream-plugins --namespaces=a": "--stream-plugins and --namespaces do not go together",

		"--webhooks=false --stream-plugin-period=1ms": "--stream-plugin-period is 1ms; it must be at least 1s",

		"--operator-namespace=here": "--operator-user is missing",
		"--operator-user=me":        "--operator-namespace is missing",
		"--operator-user=me --operator-namespace=h --certificate-lifetime=1s": "must be at least 10s",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var out strings.Builder
	if _, err := parse([]string{"--help"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	for _, name := range []string{"kubeconfig", "leader-elect", "log-level", "otlp-endpoint", "workers", "namespaces", "metrics-bind-address", "per-stream-metrics", "health-probe-bind-address", "version", "webhooks", "webhook-port", "webhook-cert-dir", "self-signed-certificates", "stream-plugins"} {
		if !strings.Contains(out.String(), "-"+name) {
			t.Errorf("--help does not speak of --%s", name)
		}
	}
}
