package job

// This file reads jobs as the operator describes them to a pod.

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

func environment() map[string]string {
	return map[string]string{
		EnvStreamID:        "orders",
		EnvStreamNamespace: "sales",
		EnvStreamUID:       "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		EnvSpec:            `{"source": {"host": "h", "database": "d", "table": "t"}, "sink": {"bucket": "file:///sink"}}`,
		EnvBackfill:        "false",
		EnvRun:             "1763935200",
	}
}

func read(env map[string]string) (Job, error) {
	return Read(func(name string) (string, bool) {
		value, found := env[name]
		return value, found
	})
}

func TestAStreamingJob(t *testing.T) {
	t.Parallel()
	job, err := read(environment())
	if err != nil {
		t.Fatal(err)
	}
	if job.Backfill != nil || job.Run != 1763935200 || job.Spec.Source.Table != "t" {
		t.Errorf("%+v", job)
	}
	if name, want := job.Stream.SlotName(), "arcane_f81d4fae_7dec_11d0_a765_00a0c91e6bf6"; name != want {
		t.Errorf("slot %s, want %s", name, want)
	}
	if directory, want := job.Stream.Directory("a/b"), "a/b/sales/orders-f81d4fae-7dec-11d0-a765-00a0c91e6bf6"; directory != want {
		t.Errorf("directory %s, want %s", directory, want)
	}
}

func TestABackfillJob(t *testing.T) {
	t.Parallel()
	env := environment()
	env[EnvBackfill], env[EnvBackfillID], env[EnvBackfillUID] = "true", "orders-initial", "0d3e"
	env[EnvOverride] = `{"part": {"maxRows": 5}, "ticket": "OPS-1"}`
	job, err := read(env)
	if err != nil {
		t.Fatal(err)
	}
	if b := job.Backfill; b == nil || b.Key != "0d3e" || b.ID != "orders-initial" || b.Scheduled || b.Part.MaxRows != 5 {
		t.Errorf("%+v", job.Backfill)
	}
	// A scheduled run has no request, and no run number.
	delete(env, EnvBackfillUID)
	delete(env, EnvRun)
	if job, err = read(env); err != nil {
		t.Fatal(err)
	}
	if b := job.Backfill; b == nil || b.Key != "orders-initial" || !b.Scheduled || job.Run != 0 {
		t.Errorf("%+v", job.Backfill)
	}
}

func TestWhatIsMissingOrWrongIsNamed(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{
		EnvStreamID:        "a/b",
		EnvStreamNamespace: "..",
		EnvStreamUID:       "x'; DROP TABLE t; --",
		EnvSpec:            "{",
		EnvBackfill:        "maybe",
		EnvBackfillID:      "",
		EnvBackfillUID:     "../other",
		EnvOverride:        `{"part": []}`,
		EnvRun:             "first",
	}
	for name, value := range wrong {
		env := environment()
		env[EnvBackfill], env[EnvBackfillID], env[EnvBackfillUID] = "true", "orders-initial", "0d3e"
		env[name] = value
		_, err := read(env)
		if exit.Code(err) != exit.Config {
			t.Errorf("%s=%s: %v; want exit %d", name, value, err, exit.Config)
		} else if name != EnvSpec && name != EnvOverride && !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: the message does not name it: %v", name, value, err)
		}
	}
}

func TestSlotNamesAreWhatPostgreSQLTakes(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
	seen := map[string]string{}
	for _, uid := range []string{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6", "a.b", "a-b", strings.Repeat("x", 200)} {
		name := Stream{UID: uid}.SlotName()
		if !form.MatchString(name) {
			t.Errorf("UID %s: slot %s", uid, name)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("UIDs %s and %s share slot %s", uid, other, name)
		}
		seen[name] = uid
	}
}

func TestAStreamAsKubectlPrintsIt(t *testing.T) {
	t.Parallel()
	env := environment()
	object := `{"apiVersion": "streaming.sneaksanddata.com/v1", "kind": "Stream", "metadata": {"name": "orders", "namespace": "sales",
		"uid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}, "spec": ` + env[EnvSpec] + `, "status": {}}`
	got, err := FromObject([]byte(object))
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(env, func(name, _ string) bool { return name == EnvRun })
	want, err := read(env)
	if err != nil || got != want {
		t.Errorf("got %+v\nwant %+v, %v", got, want, err)
	}
}
