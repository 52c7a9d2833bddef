// What a stream's spec and a request's payload make of a run, and what a run leaves as its last words.

package script_test

import (
	"strings"
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
		"a mark, and an end that SIGTERM only hastens": {
			`{"source":{"backfill":{"runFor":"0s","mark":"completed","onSigterm":{"finish":true}}}}`, "true", "",
			script.Run{Mark: "completed", OnSigterm: script.Signal{Finish: true, ExitCode: 143}},
			false,
		},
		"something to write": {
			`{"source":{"stream":{"fill":{"path":"/scratch/x","mebibytes":3}}}}`, "false", "",
			script.Run{RunFor: script.Forever, Fill: script.Fill{Path: "/scratch/x", Mebibytes: 3}},
			false,
		},
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

// TestAContainerBesideHasAScriptOfItsOwn: the operator hands the stream's spec to every container.
func TestAContainerBesideHasAScriptOfItsOwn(t *testing.T) {
	env := map[string]string{
		streamingv1.EnvSpec: `{"source":{"stream":{"exitCode":4}}}`, streamingv1.EnvBackfill: "false",
		script.EnvBeside: `{"runFor":"2s"}`,
	}
	got, err := script.FromEnvironment(func(name string) string { return env[name] })
	if want := (script.Run{RunFor: script.Duration(2 * time.Second)}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	env[script.EnvBeside] = "{"
	if _, err := script.FromEnvironment(func(name string) string { return env[name] }); err == nil {
		t.Error("what cannot be read is no script")
	}
}

// TestLastWords: the mark is given by a run that has done its work and exits 0, and one that was cut short says so.
func TestLastWords(t *testing.T) {
	for name, c := range map[string]struct {
		run      script.Run
		code     int
		finished bool
		want     []string
	}{
		"nothing to say":                {script.Run{}, 0, true, nil},
		"done, with a mark":             {script.Run{Mark: "all is there"}, 0, true, []string{"all is there"}},
		"failed, with a mark":           {script.Run{Mark: "all is there"}, 1, true, nil},
		"cut short, with a mark":        {script.Run{Mark: "all is there"}, 0, false, []string{script.CutShort}},
		"cut short, with a message":     {script.Run{Message: "bye", Mark: "x"}, 143, false, []string{"bye", script.CutShort}},
		"a message stays where it ends": {script.Run{Message: "bye", Mark: "x"}, 0, true, []string{"bye", "x"}},
	} {
		if got := c.run.LastWords(c.code, c.finished); got != strings.Join(c.want, "\n") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
