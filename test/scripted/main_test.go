// The scripted plugin as a process.

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// The test binary is the plugin where the environment says so.
const asPlugin = "RUN_AS_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		main()
		// Never the tests: one of them would start this program again and again.
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec, backfill string
		sigterm        bool
		code           int
	}{
		"exit code of a stream":       {`{"source":{"stream":{"runFor":"0s","exitCode":7}}}`, "false", false, 7},
		"exit code of a backfill":     {`{"source":{"backfill":{"runFor":"10ms","exitCode":3}}}`, "true", false, 3},
		"a panic exits as Go does":    {`{"source":{"stream":{"runFor":"0s","panic":"on purpose"}}}`, "false", false, 2},
		"an unreadable spec":          {`{`, "false", false, 20},
		"SIGTERM of a stream":         {`{}`, "false", true, 0},
		"SIGTERM of a backfill":       {`{"source":{"backfill":{"runFor":"forever"}}}`, "true", true, 143},
		"SIGTERM with time to finish": {`{"source":{"stream":{"onSigterm":{"after":"50ms","exitCode":5}}}}`, "false", true, 5},
		"SIGTERM ignored":             {`{"source":{"stream":{"runFor":"300ms","exitCode":4,"onSigterm":{"ignore":true}}}}`, "false", true, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := plugin(t, c.spec, c.backfill)
			lines := start(t, cmd)
			if !strings.Contains(lines.Text(), `"msg":"started"`) {
				t.Fatalf("first line %q", lines.Text())
			}
			if c.sigterm {
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			for lines.Scan() {
				t.Log(lines.Text())
			}
			if code := exitCode(t, cmd.Wait()); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
		})
	}
}

func TestEndsAsTold(t *testing.T) {
	t.Parallel()
	cmd := plugin(t, `{"source":{"stream":{"onSigterm":{"ignore":true}}}}`, "false")
	lines := start(t, cmd)
	teller := plugin(t, "", "")
	teller.Args = append(teller.Args, "exit", "9", strconv.Itoa(cmd.Process.Pid))
	if out, err := teller.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if code := exitCode(t, cmd.Wait()); code != 9 {
		t.Errorf("exit code %d, want 9", code)
	}
}

func TestTellsOfAPluginThatIsNotThere(t *testing.T) {
	t.Parallel()
	teller := plugin(t, "", "")
	teller.Args = append(teller.Args, "exit", "9", "no-such-process")
	out, err := teller.CombinedOutput()
	if code := exitCode(t, err); code != 1 || !strings.Contains(string(out), "find the plugin") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestShowsTheContractAndNoOtherValues(t *testing.T) {
	t.Parallel()
	cmd := plugin(t, `{"source":{"stream":{"runFor":"0s"}}}`, "false")
	cmd.Env = append(cmd.Env, "PASSWORD=canary", streamingv1.EnvRun+"=42")
	lines := start(t, cmd)
	first := lines.Text()
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(first, "canary") || !strings.Contains(first, "PASSWORD") {
		t.Errorf("want the name of a foreign variable and not its value: %s", first)
	}
	if !strings.Contains(first, `"STREAMCONTEXT__RUN":"42"`) {
		t.Errorf("want the contract's variables: %s", first)
	}
}

func plugin(t *testing.T, spec, backfill string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = []string{asPlugin + "=1", streamingv1.EnvSpec + "=" + spec, streamingv1.EnvBackfill + "=" + backfill}
	return cmd
}

// start returns at the plugin's first line, which it writes when SIGTERM has its reader.
func start(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the plugin said nothing: %v", lines.Err())
	}
	return lines
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

// TestLeavesItsLastWords: the words of script.Run.LastWords, in the file where the kubelet looks for them.
func TestLeavesItsLastWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec    string
		sigterm bool
		want    string
	}{
		"a backfill that is done":  {`{"source":{"backfill":{"runFor":"0s","message":"bye","mark":"completed"}}}`, false, "bye\ncompleted"},
		"one that SIGTERM ends":    {`{"source":{"backfill":{"runFor":"forever","mark":"completed","onSigterm":{"exitCode":0}}}}`, true, script.CutShort},
		"one that SIGTERM hastens": {`{"source":{"backfill":{"runFor":"forever","mark":"completed","onSigterm":{"exitCode":0,"finish":true}}}}`, true, "completed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words := filepath.Join(t.TempDir(), "words")
			if err := os.WriteFile(words, []byte("something that was there before and is longer"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := plugin(t, c.spec, "true")
			cmd.Env = append(cmd.Env, inPlaceOfTerminationLog+"="+words)
			lines := start(t, cmd)
			if c.sigterm {
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			for lines.Scan() {
				t.Log(lines.Text())
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(words); err != nil || string(got) != c.want {
				t.Errorf("last words %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestFillsAFile: more than a limit allows, before it says that it has begun to work.
func TestFillsAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "filling")
	cmd := plugin(t, `{"source":{"backfill":{"runFor":"0s","fill":{"path":"`+file+`","mebibytes":3}}}}`, "true")
	lines := start(t, cmd)
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != 3<<20 {
		t.Errorf("%v, %v", info, err)
	}
	// What cannot be written is a mistake of the story's, and must not pass for a limit that was kept.
	cmd = plugin(t, `{"source":{"backfill":{"runFor":"0s","fill":{"path":"`+file+`/none","mebibytes":3}}}}`, "true")
	lines = start(t, cmd)
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if code := exitCode(t, cmd.Wait()); code != exitUnusable {
		t.Errorf("exit code %d, want %d", code, exitUnusable)
	}
}

// TestAContainerBesideLeavesTheSocketToThePlugin: all containers of a pod share one network, and each is the first process
// of its own.
func TestAContainerBesideLeavesTheSocketToThePlugin(t *testing.T) {
	t.Parallel()
	cmd := plugin(t, `{}`, "false")
	cmd.Env = append(cmd.Env, script.EnvBeside+`={"runFor":"forever"}`)
	lines := start(t, cmd)
	teller := plugin(t, "", "")
	teller.Args = append(teller.Args, "exit", "9", strconv.Itoa(cmd.Process.Pid))
	if out, err := teller.CombinedOutput(); err == nil || !strings.Contains(string(out), "find the plugin") {
		t.Errorf("%v: %s", err, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
