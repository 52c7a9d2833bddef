// What a stream's spec and a request's payload make of a run.

package script_test

import (
	"testing"
	"time"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

func TestFromEnvironment(t *testing.T) {
	second := script.Duration(time.Second)
	for name, c := range map[string]struct {
		spec, backfill, override string
		want                     script.Run
		fails                    bool
	}{
		"defaults of a stream":   {`{}`, "false", "", script.Run{RunFor: script.Forever}, false},
		"defaults of a backfill": {`{}`, "true", "", script.Run{RunFor: second, OnSigterm: script.Signal{ExitCode: 143}}, false},
		"what the spec leaves out stays the default": {
			`{"source":{"backfill":{"exitCode":2}}}`, "true", "",
			script.Run{RunFor: second, ExitCode: 2, OnSigterm: script.Signal{ExitCode: 143}},
			false,
		},
		"a payload overrides the spec": {
			`{"source":{"backfill":{"exitCode":2,"panic":"x"}}}`, "true", `{"runFor":"forever","exitCode":0}`,
			script.Run{RunFor: script.Forever, Panic: "x", OnSigterm: script.Signal{ExitCode: 143}},
			false,
		},
		"a payload of null overrides nothing": {
			`{}`, "true", "null", script.Run{RunFor: second, OnSigterm: script.Signal{ExitCode: 143}}, false,
		},
		"all of a signal": {
			`{"source":{"stream":{"onSigterm":{"ignore":true,"after":"3s","exitCode":9}}}}`, "false", "",
			script.Run{RunFor: script.Forever, OnSigterm: script.Signal{Ignore: true, After: 3 * second, ExitCode: 9}},
			false,
		},
		"no mode":             {`{}`, "", "", script.Run{}, true},
		"no spec":             {``, "false", "", script.Run{}, true},
		"a negative duration": {`{"source":{"stream":{"runFor":"-1s"}}}`, "false", "", script.Run{}, true},
		"a duration as a number": {
			`{"source":{"stream":{"runFor":1}}}`, "false", "", script.Run{}, true,
		},
		"a payload that is no object": {`{}`, "true", `[1]`, script.Run{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{
				streamingv1.EnvSpec: c.spec, streamingv1.EnvBackfill: c.backfill, streamingv1.EnvOverride: c.override,
			}
			got, err := script.FromEnvironment(func(name string) string { return env[name] })
			if (err != nil) != c.fails {
				t.Fatalf("error %v, want one: %v", err, c.fails)
			}
			if err == nil && got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
