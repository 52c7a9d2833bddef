package e2e

// This file is what the tests stand on: a stream of a table of its own, and the program as a process.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/pgserver"
)

// stream is one stream with a database and a sink of its own.
type stream struct {
	t        *testing.T
	server   *pgserver.Server
	database string
	db       *pgx.Conn
	sink     string
	stream   job.Stream
	source   map[string]any
	target   map[string]any
	// env is added to the processes' environment.
	env []string
	run int
	// midway is called in the middle of a test that kills.
	midway func()
}

// newStream makes a database with what the statements create, and a stream of its table t.
func newStream(t *testing.T, on *pgserver.Server, statements ...string) *stream {
	t.Helper()
	uid := newUID()
	s := &stream{
		t:        t,
		server:   on,
		database: "db_" + uid[:8],
		sink:     t.TempDir(),
		stream:   job.Stream{Namespace: "sales", Name: "orders", UID: uid},
	}
	s.source = map[string]any{
		"host": "127.0.0.1", "port": on.Port, "database": s.database, "table": "t", "sslMode": "disable",
		"credentials": map[string]any{"name": "orders-source"},
	}
	s.target = map[string]any{
		"bucket": "file://" + s.sink, "format": "parquet",
		"batch": map[string]any{"maxRows": 500, "maxAge": "200ms"},
		"part":  map[string]any{"maxRows": 1000},
	}
	ctx := context.WithoutCancel(t.Context())
	admin := connect(t, on.URL("postgres"))
	exec1(t, admin, "CREATE DATABASE "+s.database)
	t.Cleanup(func() { s.dropDatabase(ctx) })
	s.db = connect(t, on.URL(s.database))
	for _, statement := range statements {
		s.exec(statement)
	}
	return s
}

func newUID() string {
	var random [16]byte
	_, _ = rand.Read(random[:])
	text := hex.EncodeToString(random[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// dropDatabase also drops the slot: slots of a shared server are few.
func (s *stream) dropDatabase(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.server.URL("postgres"))
	if err != nil {
		return // the test stopped its server
	}
	defer func() { _ = conn.Close(ctx) }()
	const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`
	_, terminateErr := conn.Exec(ctx, terminate, s.database)
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err = conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1`, s.database)
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	_, dropErr := conn.Exec(ctx, "DROP DATABASE "+s.database+" WITH (FORCE)")
	if err := errors.Join(terminateErr, err, dropErr); err != nil {
		s.t.Errorf("clean up: %v", err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, conn *pgx.Conn, statement string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (s *stream) exec(statement string, args ...any) {
	s.t.Helper()
	exec1(s.t, s.db, statement, args...)
}

// query returns one value as text.
func (s *stream) query(statement string, args ...any) string {
	s.t.Helper()
	var value *string
	if err := s.db.QueryRow(s.t.Context(), statement, args...).Scan(&value); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
	if value == nil {
		return ""
	}
	return *value
}

func (s *stream) slot() string { return s.stream.SlotName() }

// directory is where the stream's files are.
func (s *stream) directory() string {
	return filepath.Join(s.sink, filepath.FromSlash(s.stream.Directory("")))
}

func (s *stream) spec() string {
	data, err := json.Marshal(map[string]any{"streamClass": "postgres", "suspended": false, "source": s.source, "sink": s.target})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// environment is what the operator gives a job; backfill is empty for streaming.
func (s *stream) environment(backfill string) []string {
	env := []string{
		asPlugin + "=1",
		"PATH=" + os.Getenv("PATH"),
		"PGUSER=" + pgserver.User,
		"PGPASSWORD=" + s.server.Password,
		job.EnvStreamID + "=" + s.stream.Name,
		job.EnvStreamNamespace + "=" + s.stream.Namespace,
		job.EnvStreamUID + "=" + s.stream.UID,
		"STREAMCONTEXT__STREAM_KIND=Stream",
		job.EnvSpec + "=" + s.spec(),
		job.EnvRun + "=" + strconv.Itoa(s.run),
		job.EnvBackfill + "=" + strconv.FormatBool(backfill != ""),
	}
	if backfill != "" {
		env = append(env, job.EnvBackfillID+"=orders-"+backfill, job.EnvBackfillUID+"="+backfill)
	}
	// Of two values of one name, the last counts.
	return append(env, s.env...)
}

// process is one job.
type process struct {
	t       *testing.T
	command *exec.Cmd
	output  *output
	stdout  *output
	done    chan struct{}
	last    string
}

// output can be read while it is written.
type output struct {
	mutex sync.Mutex
	data  bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.data.Write(data)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.data.String()
}

var processes atomic.Int64

// shownLog is how much of a process's log a failed test shows.
const shownLog = 2500

// launch starts the program with an environment.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, output: &output{}, stdout: &output{}, done: make(chan struct{})}
	p.last = filepath.Join(t.TempDir(), fmt.Sprintf("termination-%d", processes.Add(1)))
	if len(args) == 0 {
		args = []string{"run"}
	}
	if args[0] == "run" {
		args = append(args, "--termination-log", p.last, "--log-level", "debug")
		if !slices.Contains(args, "--metrics-address") {
			args = append(args, "--metrics-address", "127.0.0.1:0")
		}
		if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--patience") }) {
			args = append(args, "--patience", "20s")
		}
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Without a context: a test kills its processes itself, in its own way.
	p.command = exec.Command(binary, args...)
	p.command.Env = env
	p.command.Stderr, p.command.Stdout = p.output, p.stdout
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.command.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.done
		if t.Failed() {
			log := p.output.String()
			t.Logf("%s ended with %d, its log:\n%s", args[0], p.command.ProcessState.ExitCode(), log[max(0, len(log)-shownLog):])
		}
	})
	return p
}

// start starts a job of the stream; backfill is empty for streaming.
func (s *stream) start(backfill string, args ...string) *process {
	s.t.Helper()
	s.run++
	return launch(s.t, s.environment(backfill), append([]string{"run"}, args...)...)
}

// patience is how long a test waits for a fact, on a machine that may be busy.
const patience = 60 * time.Second

// code waits for the end of the process.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
	}
	return p.command.ProcessState.ExitCode()
}

// want waits for the end and checks how it was.
func (p *process) want(code int) {
	p.t.Helper()
	if got := p.code(); got != code {
		p.t.Fatalf("exit code %d, want %d", got, code)
	}
}

// lastWords are what Kubernetes would show in the pod's status.
func (p *process) lastWords() string {
	data, err := os.ReadFile(p.last)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	return string(data)
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) kill() {
	p.t.Helper()
	_ = p.command.Process.Kill()
	p.code()
}

func (p *process) terminate() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// says waits until the log matches.
func (p *process) says(pattern string) {
	p.t.Helper()
	form := regexp.MustCompile(pattern)
	eventually(p.t, "the log says "+pattern, func() bool {
		if form.MatchString(p.output.String()) {
			return true
		}
		if p.ended() && !form.MatchString(p.output.String()) {
			p.t.Fatalf("the process ended without saying %s", pattern)
		}
		return false
	})
}

// eventually waits for a fact.
func eventually(t *testing.T, fact string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("after %s, not yet: %s", patience, fact)
		case <-ticker.C:
		}
	}
}

// backfill runs a backfill to its end.
func (s *stream) backfill(uid string) {
	s.t.Helper()
	s.start(uid).want(0)
}

// verify compares source and sink; a streaming job must be running.
func (s *stream) verify() {
	s.t.Helper()
	p := s.startVerify()
	if code := p.code(); code != 0 {
		s.t.Fatalf("verify ended with %d:\n%s", code, p.stdout.String())
	}
}

func (s *stream) startVerify(args ...string) *process {
	s.t.Helper()
	return launch(s.t, s.environment(""), append([]string{"verify", "--timeout", "40s"}, args...)...)
}

// files lists the stream's files below a folder.
func (s *stream) files(folder string) []string {
	s.t.Helper()
	var files []string
	top := filepath.Join(s.directory(), filepath.FromSlash(folder))
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() {
			relative, relErr := filepath.Rel(s.directory(), path)
			files = append(files, filepath.ToSlash(relative))
			return relErr
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// parts lists the finished parts of a backfill.
func (s *stream) parts(backfill string) []string {
	s.t.Helper()
	var parts []string
	form := regexp.MustCompile(`part-\d+\.json$`)
	for _, file := range s.files(layout.BackfillKey(backfill)) {
		if form.MatchString(file) {
			parts = append(parts, file)
		}
	}
	return parts
}

func (s *stream) manifest(backfill string) layout.Manifest {
	s.t.Helper()
	var manifest layout.Manifest
	s.read(layout.ManifestKey(backfill), &manifest)
	return manifest
}

func (s *stream) read(key string, into any) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.directory(), filepath.FromSlash(key)))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// confirmed is how far the slot has been confirmed.
func (s *stream) confirmed() layout.LSN {
	s.t.Helper()
	lsn, err := layout.ParseLSN(s.query(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot()))
	if err != nil {
		s.t.Fatal(err)
	}
	return lsn
}

func (s *stream) content(key string) string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.directory(), filepath.FromSlash(key)))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// received waits until the streaming job has received all that has been committed.
func (s *stream) received() {
	s.t.Helper()
	lsn := s.query(`SELECT pg_current_wal_insert_lsn()::text`)
	eventually(s.t, "the job has received the changes", func() bool {
		return s.query(`SELECT coalesce((SELECT r.write_lsn >= $1::text::pg_lsn FROM pg_stat_replication r
			JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = $2), false)::text`, lsn, s.slot()) == "true"
	})
}

// startServer starts a server for one test alone, which may stop or reconfigure it.
func startServer(t *testing.T, settings map[string]string) *pgserver.Server {
	t.Helper()
	own, err := pgserver.Start(t.Context(), t.TempDir(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	return own
}

// script makes a file of a script for pgbench.
func (s *stream) script(statements ...string) string {
	s.t.Helper()
	folder, err := os.MkdirTemp("", "arcane-script-")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(folder) })
	file := filepath.Join(folder, "script.sql")
	// pgbench runs as another user.
	if err := errors.Join(os.Chmod(folder, 0o755), os.WriteFile(file, []byte(strings.Join(statements, ";\n")+";\n"), 0o644)); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// loseSlot drops the slot as soon as the last job's connection has let go of it.
func (s *stream) loseSlot() {
	s.t.Helper()
	eventually(s.t, "the slot is free", func() bool {
		return s.query(`SELECT active::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot()) == "false"
	})
	s.exec(`SELECT pg_drop_replication_slot($1)`, s.slot())
}

func (s *stream) remove(key string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.directory(), filepath.FromSlash(key))); err != nil {
		s.t.Fatal(err)
	}
}

// usage is the largest memory that an ended process had, in kB.
func (p *process) usage() (kB int64, known bool) {
	usage, known := p.command.ProcessState.SysUsage().(*syscall.Rusage)
	if !known {
		return 0, false
	}
	return usage.Maxrss, true
}
