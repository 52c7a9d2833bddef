// Package alerts_test lets promtool judge the alerts, and holds them to their pages in
// docs/runbooks. cases/ holds the time series that each alert fires at, and those that
// it must be silent at.
package alerts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/prometheus"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// unlabelled are alerts about the operator as a whole: there is nothing to name.
var unlabelled = []string{"OperatorDown", "WebhookCertificateExpiring"}

// wanted is what the users were promised.
var wanted = []string{
	"BackfillFailed", "BackfillQueueGrowing", "OperatorDown", "ReconcileStuck", "StreamClassNotWatched",
	"StreamCrashLooping", "StreamFailed", "StreamStalled", "WebhookCertificateExpiring",
}

func load(t *testing.T) prometheus.Groups {
	t.Helper()
	groups, err := prometheus.Load()
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// names are those of all alerts, once each.
func names(groups prometheus.Groups) []string {
	var all []string
	for _, r := range groups.All() {
		if r.Alert != "" {
			all = append(all, r.Alert)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// promtool runs in a folder.
func promtool(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	tool, err := prometheus.Tool("promtool")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// accept fails the test where promtool does not take these rules for rules: no case could
// judge them then. One call for many, as each start of promtool takes most of a second.
func accept(t *testing.T, all ...prometheus.Groups) {
	t.Helper()
	folder := t.TempDir()
	args := []string{"check", "rules"}
	for i, groups := range all {
		name := fmt.Sprintf("rules-%d.yaml", i)
		if err := groups.Write(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := promtool(t, folder, args...); err != nil {
		t.Fatalf("promtool check rules: %v\n%s", err, out)
	}
}

// judge tests rules that promtool accepts with the cases of some alerts.
func judge(t *testing.T, groups prometheus.Groups, alerts ...string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	if err := groups.Write(filepath.Join(folder, "rules.yaml")); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "rules"}
	files := caseFiles(t)
	for _, alert := range alerts {
		name := alert + ".yaml"
		if err := os.WriteFile(filepath.Join(folder, name), files[name], 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	return promtool(t, folder, args...)
}

func caseFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("cases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = raw
	}
	return all
}

func TestPromtoolIsContent(t *testing.T) {
	groups := load(t)
	accept(t, groups)
	if out, err := judge(t, groups, names(groups)...); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// TestEachRuleIsProven spoils one rule at a time: one that never gives anything must
// fail a firing case, one that always gives something a silent case, and an alert that
// forgets to wait fails the case before its time.
func TestEachRuleIsProven(t *testing.T) {
	spoilers := map[string]func(*prometheus.Rule){
		"never gives anything":    func(r *prometheus.Rule) { r.Expr = fmt.Sprintf("(%s) and on () vector(1) > 2", r.Expr) },
		"always gives something":  func(r *prometheus.Rule) { r.Expr = "vector(1)" },
		"does not wait":           func(r *prometheus.Rule) { r.For = "" },
		"forgets over a handover": forgetful,
	}
	type spoilt struct {
		name   string
		rule   prometheus.Rule
		groups prometheus.Groups
	}
	var all []spoilt
	var texts []prometheus.Groups
	for how, spoil := range spoilers {
		for i, rule := range load(t).All() {
			groups := load(t)
			spoil(&groups.Groups[0].Rules[i])
			if after := groups.Groups[0].Rules[i]; after.Expr == rule.Expr && after.For == rule.For {
				continue
			}
			all = append(all, spoilt{fmt.Sprintf("%d %s%s %s", i, rule.Alert, rule.Record, how), rule, groups})
			texts = append(texts, groups)
		}
	}
	accept(t, texts...)
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			if !slices.ContainsFunc(readersOf(s.groups, s.rule), func(alert string) bool {
				_, err := judge(t, s.groups, alert)
				return err != nil
			}) {
				t.Error("no case notices it")
			}
		})
	}
}

// readersOf are the alerts that a rule is of, or whose expression leads to what it records.
func readersOf(groups prometheus.Groups, rule prometheus.Rule) []string {
	if rule.Alert != "" {
		return []string{rule.Alert}
	}
	var readers []string
	for _, r := range groups.All() {
		if r.Record != rule.Record && strings.Contains(r.Expr, rule.Record) {
			readers = append(readers, readersOf(groups, r)...)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(readers)))
}

// forgetful takes away what bridges a change of the leader.
func forgetful(r *prometheus.Rule) {
	if at := strings.LastIndex(r.Expr, "\nor\n("+r.Record+" and on () arcane:handover)"); r.Record != "" && at > 0 {
		r.Expr = r.Expr[:at]
	}
}

// TestEachAlertFiresAndIsSilent reads the cases: an alert has its own file, with both.
func TestEachAlertFiresAndIsSilent(t *testing.T) {
	files := caseFiles(t)
	for _, alert := range names(load(t)) {
		var file struct {
			Tests []struct {
				Name  string `json:"name"`
				Cases []struct {
					Alert string `json:"alertname"`
					Want  []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		if err := yaml.Unmarshal(files[alert+".yaml"], &file); err != nil {
			t.Fatal(err)
		}
		delete(files, alert+".yaml")
		fires, silent, suspended, gone := 0, 0, false, false
		for _, test := range file.Tests {
			quiet := true
			for _, c := range test.Cases {
				if c.Alert != alert {
					t.Errorf("%s.yaml: %s: a case of %q", alert, test.Name, c.Alert)
				}
				quiet = quiet && len(c.Want) == 0
				fires += min(len(c.Want), 1)
			}
			if quiet {
				silent++
			}
			suspended = suspended || strings.Contains(test.Name, "suspended")
			gone = gone || strings.Contains(test.Name, "target")
		}
		if fires == 0 || silent == 0 {
			t.Errorf("%s: %d cases of firing, %d tests in which it is silent throughout; want both", alert, fires, silent)
		}
		// The operator's own health has nothing to do with any stream.
		if !suspended && !slices.Contains([]string{"OperatorDown", "ReconcileStuck"}, alert) {
			t.Errorf("%s: no test with a suspended stream", alert)
		}
		if !gone {
			t.Errorf("%s: no test with an absent target", alert)
		}
	}
	for name := range files {
		t.Errorf("cases/%s is of no alert", name)
	}
}

// TestEachAlertSaysWhatToDo: severity, annotations and a page of its own.
func TestEachAlertSaysWhatToDo(t *testing.T) {
	const pages = "https://github.com/arcane-streaming/arcane-operator/blob/main/"
	groups := load(t)
	if got := names(groups); !slices.Equal(got, wanted) {
		t.Errorf("alerts %v, want %v", got, wanted)
	}
	for _, r := range groups.All() {
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Labels["app"] != "arcane" {
			t.Errorf("%s: nothing tells it from other alerts of that name", r.Alert)
		}
		if r.Annotations["summary"] == "" || strings.Contains(r.Annotations["summary"], "{{") {
			t.Errorf("%s: summary %q, want one sentence that is always the same", r.Alert, r.Annotations["summary"])
		}
		description := r.Annotations["description"]
		if !slices.Contains(unlabelled, r.Alert) && !strings.Contains(description, "$labels.") {
			t.Errorf("%s: the description does not say of what it speaks", r.Alert)
		}
		if r.Alert != "OperatorDown" && !strings.Contains(description, "$value") && !strings.Contains(description, "$labels.reason") {
			t.Errorf("%s: the description does not give the value", r.Alert)
		}
		if got, want := r.Annotations["runbook_url"], pages+"docs/runbooks/"+r.Alert+".md"; got != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, got, want)
		}
	}
}

// TestEachPageBelongsToAnAlert, and the other way round; each has the same parts.
func TestEachPageBelongsToAnAlert(t *testing.T) {
	folder := filepath.Join(story.Root(), "docs", "runbooks")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, e := range entries {
		pages = append(pages, strings.TrimSuffix(e.Name(), ".md"))
		raw, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		page := string(raw)
		for _, part := range []string{"# " + pages[len(pages)-1] + "\n", "\n## Diagnosis\n", "\n## Remedy\n", "\n## When it is silent\n", "kubectl "} {
			if !strings.Contains(page, part) {
				t.Errorf("%s: no %q", e.Name(), part)
			}
		}
	}
	if want := names(load(t)); !slices.Equal(pages, want) {
		t.Errorf("pages of %v, alerts %v", pages, want)
	}
}
