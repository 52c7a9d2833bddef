// Package cli is the program: it reads what it is asked for, does it, and says how it ended.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/verify"
)

const usage = `Carries a PostgreSQL table's rows and changes to files in a bucket, as a plugin of Arcane.

usage: plugin-postgres [run] [flags]     one job of a stream, as STREAMCONTEXT__* says (the default)
       plugin-postgres verify [flags]    compare the sink with the source, row by row, at one LSN
       plugin-postgres cleanup [flags]   drop the stream's slot and publication: run it when a stream is deleted
       plugin-postgres version

A command's flags: plugin-postgres COMMAND --help. The password and the user come from the
environment (PGPASSWORD, PGUSER), as do the keys of a bucket.

Exit codes: 0 done · 1 unforeseen (verify: source and sink differ) · 2 try again · 20 the configuration
is wrong · 30 changes are lost, a backfill is needed · 143 a backfill was interrupted and can be resumed
`

// Build says what the program was built from.
type Build struct{ Version, Commit string }

// program is one run of this program.
type program struct {
	version string
	lookup  job.Lookup
	stdout  io.Writer
	stderr  io.Writer
	log     *slog.Logger
	hide    redactor
	options options
	// completed: the job was for a backfill, all of which is in the sink.
	completed bool
}

// options are the flags that all commands share, and those of single ones.
type options struct {
	logLevel    slog.Level
	logFormat   string
	termination string
	patience    time.Duration
	checkEvery  time.Duration
	drainEvery  time.Duration
	grace       time.Duration
	metrics     string

	// verify and cleanup, which are also run by people.
	stream  string
	host    string
	port    uint
	sslMode string
	bucket  string
	timeout time.Duration
	show    int
}

// Main runs the program and returns its exit code.
func Main(build Build, args []string, lookup job.Lookup, stdout, stderr io.Writer) int {
	hide := newRedactor(os.Environ())
	stderr = hide.writer(stderr)
	p := &program{version: build.Version, lookup: lookup, stdout: stdout, stderr: stderr, hide: hide}
	command := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	commands := map[string]func(context.Context) error{
		"run":     p.run,
		"verify":  p.verify,
		"cleanup": p.cleanup,
		"version": func(context.Context) error {
			fmt.Fprintf(stdout, "Version:  %s\nCommit:   %s\nGo:       %s\nPlatform: %s/%s\n", build.Version, build.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
	do, known := commands[command]
	if !known {
		fmt.Fprint(stderr, usage)
		if command == "help" {
			return exit.OK
		}
		return exit.Config
	}
	if err := p.parse(command, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exit.OK
		}
		return p.end(exit.Configf("%w", err))
	}
	return p.end(exit.Guard(func() error { return do(context.Background()) }))
}

func (p *program) parse(command string, args []string) error {
	flags := flag.NewFlagSet("plugin-postgres "+command, flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	o := &p.options
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", "json", "json or text")
	flags.DurationVar(&o.patience, "patience", 30*time.Second, "how long the source or the bucket may be away, or the slot in use, before the job gives up (exit 2)")
	if command == "run" {
		flags.StringVar(&o.termination, "termination-log", terminationLog, "file for the last words, which Kubernetes shows in the pod's status")
		flags.DurationVar(&o.checkEvery, "check-every", 30*time.Second, "how often the streaming job looks whether the table is still the same")
		flags.DurationVar(&o.drainEvery, "drain-every", time.Minute, "how often a backfill writes the changes that have happened meanwhile, so that the source need not keep its log")
		flags.DurationVar(&o.grace, "grace", 50*time.Second, "how long the end may take after SIGTERM; less than the pod's terminationGracePeriodSeconds, so that it is not killed")
		flags.StringVar(&o.metrics, "metrics-address", ":9090", "address that serves Prometheus metrics at /metrics; where it cannot be had the job goes on without; empty serves none")
	} else {
		flags.StringVar(&o.stream, "stream", "", "file with the Stream as JSON, - for standard input (kubectl get stream NAME -o json); default: STREAMCONTEXT__*")
		flags.StringVar(&o.host, "host", "", "another way to spec.source.host, such as a forwarded port's")
		flags.UintVar(&o.port, "port", 0, "likewise for spec.source.port")
		flags.StringVar(&o.sslMode, "ssl-mode", "", "likewise for spec.source.sslMode")
		flags.StringVar(&o.bucket, "bucket", "", "likewise for spec.sink.bucket")
		flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait: for the sink to reach the source, for the slot to be free")
	}
	if command == "verify" {
		flags.IntVar(&o.show, "show", 20, "how many differing keys are printed")
	}
	if err := flags.Parse(args); err != nil {
		return err //nolint:wrapcheck // flag has said it on stderr
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	handler := slog.Handler(slog.NewJSONHandler(p.stderr, &slog.HandlerOptions{Level: o.logLevel}))
	if o.logFormat == "text" {
		handler = slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: o.logLevel})
	}
	p.log = slog.New(handler)
	return nil
}

// stopping is done after SIGTERM or SIGINT. A second one ends the process at once.
func (p *program) stopping(ctx context.Context) (context.Context, context.CancelFunc) {
	stop, release := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	tell := context.AfterFunc(stop, func() {
		p.log.Info("asked to stop")
		release()
	})
	return stop, func() {
		tell()
		release()
	}
}

// errGraceOver ends a job that does not end by itself.
var errGraceOver = errors.New("asked to stop, and what it waits for")

// within does the work and returns its error. After SIGTERM the work has the grace
// period; then it is left where it hangs, in a sink that does not answer for one. To
// be left is like being killed, but the exit code says that nothing is wrong.
func (p *program) within(stop context.Context, work func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- exit.Guard(work) }()
	select {
	case err := <-ended:
		return err
	case <-stop.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(p.options.grace):
		return fmt.Errorf("%w did not end within %s", errGraceOver, p.options.grace)
	}
}

// terminationLog is where Kubernetes looks for a container's last words.
const terminationLog = "/dev/termination-log"

// mark is the termination message of a job that has completed its backfill, and of no other: exit code 0 alone does not tell
// such a job from one that the kubelet has ended. It is what StreamClass.spec.completion declares where it names no other.
const mark = "completed"

// terminationLimit is how much of it Kubernetes reads.
const terminationLimit = 4096

var codeNames = map[int]string{
	exit.Fatal:       "fatal",
	exit.Transient:   "transient",
	exit.Config:      "config",
	exit.Gap:         "sourceGap",
	exit.Interrupted: "interrupted",
}

// end says how it ended, once, where people and Kubernetes look for it.
func (p *program) end(err error) int {
	code := exit.Code(err)
	if errors.Is(err, verify.ErrDiffer) {
		// The differences have been printed.
		return code
	}
	if err == nil {
		p.markCompletion()
		return code
	}
	text := p.hide.text(fmt.Sprintf("%s: %s", codeNames[code], err))
	if p.log != nil && code == exit.Interrupted {
		p.log.Info("interrupted", "exitCode", code)
	} else {
		fmt.Fprintln(p.stderr, text)
	}
	// The exit code says the most important; there is nobody left to tell more.
	_ = p.sayLast(text)
	return code
}

// markCompletion is the last thing that a job does: what is marked needs nothing more.
func (p *program) markCompletion() {
	if !p.completed {
		return
	}
	// Without the file nobody asks for the mark: this is no container of Kubernetes.
	if err := p.sayLast(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Warn("the mark of completion was not written; the operator does not believe this backfill's success and runs it again", "error", err.Error())
	}
}

// sayLast writes the termination message. Outside of Kubernetes there is no such file, and none is made.
func (p *program) sayLast(text string) error {
	if p.options.termination == "" {
		return nil
	}
	// A panic's stack is for the log.
	text, _, _ = strings.Cut(text, "\ngoroutine ")
	mode := os.O_WRONLY | os.O_TRUNC
	if p.options.termination != terminationLog {
		mode |= os.O_CREATE
	}
	file, err := os.OpenFile(p.options.termination, mode, 0o600)
	if err != nil {
		return fmt.Errorf("open the termination log: %w", err)
	}
	// A letter that is cut in two is none, and would be refused where the text goes.
	_, err = file.WriteString(strings.ToValidUTF8(text[:min(len(text), terminationLimit)], ""))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the termination log: %w", err)
	}
	return nil
}
