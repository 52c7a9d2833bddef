// Package pgserver runs real PostgreSQL servers for tests, each in a folder and on a port of its own.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL.
type Server struct {
	Port int
	// Password of the superuser, who is called as User says.
	Password string

	folder   string
	data     string
	binaries string
	account  *syscall.Credential
	settings map[string]string
	process  *exec.Cmd
	done     chan struct{}
}

// User is the name of the superuser.
const User = "arcane"

// defaults make a server that replicates, and that is quick because its data need not outlive the machine.
//
//nolint:gosec // no credentials: the name of a setting has the word in it
var defaults = map[string]string{
	"wal_level":                "logical",
	"listen_addresses":         "127.0.0.1",
	"unix_socket_directories":  "",
	"max_replication_slots":    "40",
	"max_wal_senders":          "40",
	"max_connections":          "100",
	"fsync":                    "off",
	"shared_buffers":           "64MB",
	"log_min_messages":         "warning",
	"log_replication_commands": "off",
	"password_encryption":      "scram-sha-256",
}

// Start makes a new server below folder and waits until it answers. Settings
// come on top of the defaults.
func Start(ctx context.Context, folder string, settings map[string]string) (*Server, error) {
	binaries, err := Binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{Password: "not-a-secret", folder: folder, data: filepath.Join(folder, "data"), binaries: binaries, settings: settings}
	if err := s.chooseAccount(); err != nil {
		return nil, err
	}
	if err := s.initialise(ctx); err != nil {
		return nil, err
	}
	if s.Port, err = freePort(ctx); err != nil {
		return nil, err
	}
	return s, s.Resume(ctx)
}

// chooseAccount: PostgreSQL refuses to run as root.
func (s *Server) chooseAccount() error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return fmt.Errorf("read the account postgres: %w", err)
	}
	s.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(s.folder, int(uid), int(gid)); err != nil {
		return fmt.Errorf("give the folder to postgres: %w", err)
	}
	// The folders above are the test's own, and postgres has to get through them.
	for parent := filepath.Dir(s.folder); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("open the way to the folder: %w", err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(parent, info.Mode().Perm()|0o011); err != nil {
				return fmt.Errorf("open the way to the folder: %w", err)
			}
		}
	}
	return nil
}

// command is one of PostgreSQL's programs. It ends with this process, however that ends.
func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(s.binaries, name), args...) //nolint:gosec // a test's own programs
	command.Dir = s.folder
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "PGPASSWORD="+s.Password)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.account, Pdeathsig: syscall.SIGQUIT}
	return command
}

func (s *Server) initialise(ctx context.Context) error {
	password := filepath.Join(s.folder, "password")
	if err := os.WriteFile(password, []byte(s.Password), 0o644); err != nil { //nolint:gosec // read by postgres, and no secret
		return fmt.Errorf("write the password: %w", err)
	}
	initdb := s.command(ctx, "initdb", "--pgdata", s.data, "--username", User, "--pwfile", password, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return nil
}

// Resume starts a server that was stopped, on the same port.
func (s *Server) Resume(ctx context.Context) error {
	settings := maps.Clone(defaults)
	maps.Copy(settings, s.settings)
	args := []string{"-D", s.data, "-p", strconv.Itoa(s.Port)}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	log, err := os.OpenFile(filepath.Join(s.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	// The server outlives the call: it ends by Stop or Kill, or with this process.
	s.process = s.command(context.WithoutCancel(ctx), "postgres", args...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return errors.Join(fmt.Errorf("start postgres: %w", err), log.Close())
	}
	s.done = make(chan struct{})
	go func(process *exec.Cmd, done chan struct{}) {
		_ = process.Wait() // how it ended stands in its log
		_ = log.Close()
		close(done)
	}(s.process, s.done)
	return s.await(ctx)
}

// startTime is how long a server may take until it answers.
const startTime = time.Minute

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			if err := conn.Close(ctx); err != nil {
				return fmt.Errorf("close a connection: %w", err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("postgres does not answer: %w", err), s.logTail())
		case <-s.done:
			return errors.Join(errors.New("postgres ended while it started"), s.logTail())
		case <-ticker.C:
		}
	}
}

func (s *Server) logTail() error {
	data, err := os.ReadFile(filepath.Join(s.folder, "log"))
	if err != nil {
		return fmt.Errorf("read the server's log: %w", err)
	}
	return fmt.Errorf("its log: %s", data[max(0, len(data)-2000):])
}

// URL is how pgx reaches a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", User, s.Password, s.Port, database)
}

// Stop ends the server in good order, its clients' connections included.
func (s *Server) Stop() error { return s.signal(syscall.SIGINT) }

// Kill ends the server as a power cut would: it recovers when it is resumed.
func (s *Server) Kill() error { return s.signal(syscall.SIGQUIT) }

func (s *Server) signal(signal syscall.Signal) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return fmt.Errorf("end postgres: %w", err)
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(startTime):
		return errors.Join(errors.New("postgres does not end"), s.process.Process.Kill())
	}
}

// Snapshot copies the data of a server that is stopped, and returns what puts them
// back: as a disk's snapshot is, or a backup of all files.
func (s *Server) Snapshot(ctx context.Context) (putBack func() error, err error) {
	kept := s.data + "-kept"
	if err := s.copyData(ctx, s.data, kept); err != nil {
		return nil, err
	}
	return func() error {
		if err := os.RemoveAll(s.data); err != nil {
			return fmt.Errorf("remove the data: %w", err)
		}
		return s.copyData(ctx, kept, s.data)
	}, nil
}

func (s *Server) copyData(ctx context.Context, from, to string) error {
	if output, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil { //nolint:gosec // a test's own folders
		return fmt.Errorf("copy the data: %w\n%s", err, output)
	}
	return nil
}

// MakeStandby makes a server that is stopped start as a standby, until pg_promote ends that.
func (s *Server) MakeStandby() error {
	if err := os.WriteFile(filepath.Join(s.data, "standby.signal"), nil, 0o644); err != nil { //nolint:gosec // postgres removes it
		return fmt.Errorf("make a standby: %w", err)
	}
	return nil
}

// Bench runs pgbench until ctx ends or it is done.
func (s *Server) Bench(ctx context.Context, database string, args ...string) error {
	args = append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", User}, append(args, database)...)
	command := s.command(ctx, "pgbench", args...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	if err != nil {
		return fmt.Errorf("pgbench: %w\n%s", err, output.Bytes())
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	address, known := listener.Addr().(*net.TCPAddr)
	if !known {
		return 0, errors.Join(errors.New("look for a free port: no TCP address"), listener.Close())
	}
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	return address.Port, nil
}

// Binaries returns the folder with initdb, postgres and pgbench.
func Binaries() (string, error) {
	found, err := findBinaries()
	if err == nil && found == "" {
		err = errors.New("PostgreSQL 14 or newer is missing: run `make setup` at the root of the repository, as root on Debian or Ubuntu; elsewhere install your system's package of the server, or name its folder of programs in POSTGRES_BIN")
	}
	return found, err
}

func findBinaries() (string, error) {
	candidates := []string{os.Getenv("POSTGRES_BIN")}
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	slices.SortFunc(installed, func(a, b string) int { return version(b) - version(a) })
	candidates = append(candidates, installed...)
	if initdb, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, filepath.Dir(initdb))
	}
	for _, candidate := range candidates {
		if candidate != "" && hasAll(candidate, "initdb", "postgres", "pgbench") {
			return candidate, nil
		}
	}
	return "", nil
}

func version(binaries string) int {
	number, err := strconv.Atoi(filepath.Base(filepath.Dir(binaries)))
	if err != nil {
		return 0
	}
	return number
}

func hasAll(folder string, names ...string) bool {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}
