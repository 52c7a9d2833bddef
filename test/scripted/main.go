// Command scripted is a plugin whose behaviour the stream's spec sets. It keeps
// the contract between operator and plugin and moves no data; stories over real
// pods use it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// The kubelet shows what is written here in the pod's status.
const terminationLog = "/dev/termination-log"

// A test that is no pod names another file for what is left there.
const inPlaceOfTerminationLog = "SCRIPTED_TERMINATION_LOG"

// A plugin that cannot read what it is told says so with the code of an unusable configuration.
const exitUnusable = 20

func main() {
	if len(os.Args) > 2 && os.Args[1] == "exit" {
		pid := pluginPID
		if len(os.Args) > 3 {
			pid = os.Args[3]
		}
		conn, err := tell(pid, os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		runtime.KeepAlive(conn) // open until this process ends
		return
	}
	// Before anything else: a SIGTERM in the first milliseconds must find its reader.
	sigterm := make(chan os.Signal, 1)
	signal.Notify(sigterm, syscall.SIGTERM)
	os.Exit(run(os.Stdout, sigterm))
}

func run(out io.Writer, sigterm <-chan os.Signal) int {
	log := slog.New(slog.NewJSONHandler(out, nil))
	var told <-chan int
	if os.Getenv(script.EnvBeside) == "" {
		// Before the first line, which says that the plugin can be told to end. All containers of a pod share one network,
		// so a container beside the plugin's leaves the socket to that.
		told = listen(log)
	}
	log.Info("started", slog.Any("environment", contract(os.Environ())))
	plan, err := script.FromEnvironment(os.Getenv)
	if err != nil {
		log.Error("unusable configuration", slog.Any("error", err))
		leave(log, err.Error())
		return exitUnusable
	}
	if err := fill(plan.Fill); err != nil {
		log.Error("cannot fill", slog.Any("error", err))
		leave(log, err.Error())
		return exitUnusable
	}
	code, why := follow(log, plan, sigterm, told)
	leave(log, plan.LastWords(code, why != signaled || plan.OnSigterm.Finish))
	log.Info("ended", slog.String("why", why), slog.Int("exitCode", code))
	if why == finished && plan.Panic != "" {
		panic(plan.Panic)
	}
	return code
}

const (
	finished = "finished"
	signaled = "SIGTERM"
	asTold   = "told"
)

// follow waits for the end of the plan, its own, the one that SIGTERM asks for, or
// the one that somebody tells.
func follow(log *slog.Logger, plan script.Run, sigterm <-chan os.Signal, told <-chan int) (code int, why string) {
	done := after(plan.RunFor)
	for {
		select {
		case <-done:
			return plan.ExitCode, finished
		case code := <-told:
			return code, asTold
		case <-sigterm:
			log.Info("SIGTERM", slog.Bool("ignored", plan.OnSigterm.Ignore))
			if !plan.OnSigterm.Ignore {
				<-after(plan.OnSigterm.After)
				return plan.OnSigterm.ExitCode, signaled
			}
		}
	}
}

// fill writes a file that takes up room on the disk.
func fill(f script.Fill) error {
	if f.Path == "" {
		return nil
	}
	file, err := os.Create(f.Path)
	if err != nil {
		return fmt.Errorf("fill a file: %w", err)
	}
	defer file.Close()
	mebibyte := bytes.Repeat([]byte("filling "), 1<<17)
	for range f.Mebibytes {
		if _, err := file.Write(mebibyte); err != nil {
			return fmt.Errorf("fill a file: %w", err)
		}
	}
	return nil
}

// after is a channel that never delivers where the wait is for ever.
func after(d script.Duration) <-chan time.Time {
	if d == script.Forever {
		return nil
	}
	return time.After(time.Duration(d))
}

// contract keeps what the operator hands over and of the rest the names alone: values may be secrets.
func contract(environ []string) map[string]string {
	shown := map[string]string{}
	var others []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, streamingv1.EnvPrefix) {
			shown[name] = value
			continue
		}
		others = append(others, name)
	}
	slices.Sort(others)
	names, err := json.Marshal(others)
	if err == nil {
		shown["others"] = string(names)
	}
	return shown
}

// leave writes the termination message; outside a pod there is no place for it.
func leave(log *slog.Logger, message string) {
	if message == "" {
		return
	}
	name := terminationLog
	if other := os.Getenv(inPlaceOfTerminationLog); other != "" {
		name = other
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		log.Info("no termination message", slog.Any("error", err))
		return
	}
	defer file.Close()
	fmt.Fprint(file, message)
}
