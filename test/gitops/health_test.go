// Package gitops judges objects in every phase as GitOps tools do: Argo CD by the Lua of config/argocd, Flux by kstatus.
// The objects are those that the operator has written in test/integration/gitops. It is a module of its own, because
// nothing else needs Lua and kstatus.
package gitops

// This file holds the health of each object to what its user is to see.

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// health is Argo CD's word.
type health string

const (
	healthy     health = "Healthy"
	suspended   health = "Suspended"
	progressing health = "Progressing"
	degraded    health = "Degraded"
)

// expected is what each object is to be taken for: by Argo CD, and by Flux.
var expected = map[string]struct {
	argo health
	flux status.Status
}{
	"stream-new":                            {progressing, status.CurrentStatus},
	"stream-pending-class-missing":          {progressing, status.InProgressStatus},
	"stream-pending-template-missing":       {progressing, status.InProgressStatus},
	"stream-pending-suspending":             {progressing, status.InProgressStatus},
	"stream-pending-waiting-for-job":        {progressing, status.InProgressStatus},
	"stream-pending-initial-backfill-waits": {progressing, status.InProgressStatus},
	"stream-pending-restart-back-off":       {progressing, status.InProgressStatus},
	"stream-backfilling":                    {healthy, status.CurrentStatus},
	"stream-backfilling-change-pending":     {healthy, status.CurrentStatus},
	"stream-backfilling-stalled":            {degraded, status.FailedStatus},
	"stream-running":                        {healthy, status.CurrentStatus},
	"stream-running-behind":                 {progressing, status.InProgressStatus},
	"stream-running-stalled":                {degraded, status.FailedStatus},
	"stream-running-template-missing":       {degraded, status.CurrentStatus},
	"stream-scheduled":                      {healthy, status.CurrentStatus},
	"stream-scheduled-last-run-failed":      {healthy, status.CurrentStatus},
	"stream-suspended":                      {suspended, status.CurrentStatus},
	"stream-suspended-template-missing":     {suspended, status.CurrentStatus},
	"stream-failed":                         {degraded, status.FailedStatus},
	"stream-deleting":                       {progressing, status.TerminatingStatus},

	"backfillrequest-new":                        {progressing, status.CurrentStatus},
	"backfillrequest-queued-stream-missing":      {progressing, status.InProgressStatus},
	"backfillrequest-queued-class-mismatch":      {progressing, status.InProgressStatus},
	"backfillrequest-queued-template-missing":    {progressing, status.InProgressStatus},
	"backfillrequest-queued-turn":                {progressing, status.InProgressStatus},
	"backfillrequest-queued-slot":                {progressing, status.InProgressStatus},
	"backfillrequest-queued-stream-suspended":    {suspended, status.InProgressStatus},
	"backfillrequest-queued-stream-failed":       {progressing, status.InProgressStatus},
	"backfillrequest-queued-stream-not-accepted": {progressing, status.InProgressStatus},
	"backfillrequest-queued-cancelling":          {suspended, status.InProgressStatus},
	"backfillrequest-granted":                    {progressing, status.InProgressStatus},
	"backfillrequest-running":                    {progressing, status.InProgressStatus},
	"backfillrequest-paused":                     {suspended, status.InProgressStatus},
	"backfillrequest-failed":                     {degraded, status.FailedStatus},
	"backfillrequest-completed":                  {healthy, status.CurrentStatus},
	"backfillrequest-cancelled":                  {healthy, status.InProgressStatus},
	"backfillrequest-deleting":                   {progressing, status.TerminatingStatus},

	"streamclass-new":          {progressing, status.CurrentStatus},
	"streamclass-pending":      {degraded, status.FailedStatus},
	"streamclass-ready":        {healthy, status.CurrentStatus},
	"streamclass-ready-behind": {progressing, status.InProgressStatus},
	"streamclass-failed":       {degraded, status.FailedStatus},
	"streamclass-deleting":     {progressing, status.TerminatingStatus},

	"streamingjobtemplate":          {healthy, status.CurrentStatus},
	"streamingjobtemplate-deleting": {progressing, status.TerminatingStatus},

	"streamplugin-new":              {progressing, status.CurrentStatus},
	"streamplugin-installed":        {healthy, status.CurrentStatus},
	"streamplugin-behind":           {progressing, status.InProgressStatus},
	"streamplugin-name-conflict":    {degraded, status.FailedStatus},
	"streamplugin-spec-invalid":     {degraded, status.FailedStatus},
	"streamplugin-release-failed":   {progressing, status.InProgressStatus},
	"streamplugin-deleting-waiting": {progressing, status.TerminatingStatus},
	"streamplugin-uninstall-failed": {progressing, status.TerminatingStatus},
}

// What kstatus cannot tell, or is not told: why an object may be one thing to Argo CD and another to Flux.
const (
	noStatusYet     = "kstatus takes an object without a status for one that is done"
	noSuspended     = "kstatus has no word for what waits until its user resumes it"
	notReadyAtAll   = "Ready stays False after the end, so kstatus goes on waiting"
	runsWithoutThat = "Ready is True while a stream runs with its former definition"
)

// excused are the objects that Argo CD and Flux take for different things.
var excused = map[string]string{
	"stream-new":                              noStatusYet,
	"stream-running-template-missing":         runsWithoutThat,
	"backfillrequest-new":                     noStatusYet,
	"backfillrequest-queued-stream-suspended": noSuspended,
	"backfillrequest-queued-cancelling":       noSuspended,
	"backfillrequest-paused":                  noSuspended,
	"backfillrequest-cancelled":               notReadyAtAll,
	"streamclass-new":                         noStatusYet,
	"streamplugin-new":                        noStatusYet,
}

// counterparts are Argo CD's words for each word of kstatus.
var counterparts = map[status.Status][]health{
	status.CurrentStatus:     {healthy, suspended},
	status.InProgressStatus:  {progressing},
	status.TerminatingStatus: {progressing},
	status.FailedStatus:      {degraded},
}

func TestHealth(t *testing.T) {
	all := objects(t)
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		argo, message := argoHealth(t, script(t, all[name].GetKind()), all[name])
		flux, err := status.Compute(all[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", name, argo, flux.Status, message)
		want, known := expected[name]
		if !known || argo != want.argo || flux.Status != want.flux {
			t.Errorf("%s is %s to Argo CD and %s to Flux, want %s and %s", name, argo, flux.Status, want.argo, want.flux)
		}
		if reason, agree := excused[name], slices.Contains(counterparts[flux.Status], argo); agree == (reason != "") {
			t.Errorf("%s is %s to Argo CD and %s to Flux; the excuse for that is %q", name, argo, flux.Status, reason)
		}
		if argo != healthy && message == "" {
			t.Errorf("%s is %s without a word about it", name, argo)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("object, Argo CD, Flux, message\n%s", table.String())
	for name := range expected {
		if all[name] == nil {
			t.Errorf("there is no object %s", name)
		}
	}
	for name := range excused {
		if all[name] == nil {
			t.Errorf("there is no object %s to excuse", name)
		}
	}
}

// neverWritten are phases that the API has and the operator writes to no object.
var neverWritten = []string{"StreamClass Stopped"}

func TestEveryPhaseHasAnObject(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range objects(t) {
		if phase, _, _ := unstructured.NestedString(o.Object, "status", "phase"); phase != "" {
			seen[o.GetKind()+" "+phase] = true
		}
	}
	phases := 0
	for kind, definition := range definitions(t) {
		versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
		version, _ := versions[0].(map[string]any)
		enum, _, _ := unstructured.NestedSlice(version, "schema", "openAPIV3Schema", "properties", "status", "properties", "phase", "enum")
		for _, phase := range enum {
			phases++
			name := fmt.Sprintf("%s %s", kind, phase)
			switch never := slices.Contains(neverWritten, name); {
			case !seen[name] && !never:
				t.Errorf("no object is in phase %s: let test/integration/gitops write one", name)
			case seen[name] && never:
				t.Errorf("an object is in phase %s, so the operator writes it", name)
			}
		}
	}
	if phases < 17 {
		t.Errorf("the definitions name %d phases", phases)
	}
}

// What a user changes in the script, as its comment says, so that a suspended stream holds up nothing.
func TestSuspendedStreamMayBeHealthy(t *testing.T) {
	const line = `local suspended = "Suspended"`
	text := script(t, "Stream")
	if strings.Count(text, line) != 1 {
		t.Fatalf("the script has no single line %s", line)
	}
	changed := strings.ReplaceAll(text, line, `local suspended = "Healthy"`)
	if is, _ := argoHealth(t, changed, objects(t)["stream-suspended"]); is != healthy {
		t.Errorf("a suspended stream is %s", is)
	}
}

// argoHealth runs a script as Argo CD does (util/lua of argo-cd): without the standard libraries but these, within a
// second, with the object as the global obj, for the table that it returns. Argo CD also opens a part of os; a script
// that needs none of it needs no trust in it.
func argoHealth(t *testing.T, script string, o *unstructured.Unstructured) (health, string) {
	t.Helper()
	vm := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer vm.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := vm.CallByParam(lua.P{Fn: vm.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	vm.SetContext(ctx)
	vm.SetGlobal("obj", value(t, vm, o.Object))
	if err := vm.DoString(script); err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
	answer, ok := vm.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("%s %s: the script returns %s, not a table", o.GetKind(), o.GetName(), vm.Get(-1).Type())
	}
	text := func(field string) string {
		s, ok := answer.RawGetString(field).(lua.LString)
		if !ok {
			t.Errorf("%s %s: %s is %v", o.GetKind(), o.GetName(), field, answer.RawGetString(field))
		}
		return string(s)
	}
	return health(text("status")), text("message")
}

// value is a JSON value in Lua.
func value(t *testing.T, vm *lua.LState, v any) lua.LValue {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(v)
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		list := vm.NewTable()
		for _, element := range v {
			list.Append(value(t, vm, element))
		}
		return list
	case map[string]any:
		table := vm.NewTable()
		for key, element := range v {
			table.RawSetString(key, value(t, vm, element))
		}
		return table
	}
	t.Fatalf("a %T in an object", v)
	return nil
}

// script is the health check of a kind.
func script(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, strings.ToLower(kind)+".lua"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// objects are what the operator has written, by name.
func objects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	return readAll(t, filepath.Join("testdata", "objects", "*.yaml"), func(file string, _ *unstructured.Unstructured) string {
		return strings.TrimSuffix(filepath.Base(file), ".yaml")
	})
}

// definitions are the CustomResourceDefinitions, by the kind that they define.
func definitions(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	return readAll(t, filepath.Join("..", "..", "config", "crd", "bases", "*.yaml"), func(_ string, o *unstructured.Unstructured) string {
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		return kind
	})
}

// readAll reads files of one object each.
func readAll(t *testing.T, pattern string, nameOf func(file string, o *unstructured.Unstructured) string) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file is like %s: %v", pattern, err)
	}
	all := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		o := read(t, file)
		all[nameOf(file, o)] = o
	}
	return all
}

// read reads a file of one object.
func read(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

// parse parses an object as from the API server: whole numbers are integers.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(asJSON); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return o
}
