// A PostgreSQL server inside a testbed cluster's network, where its pods reach it.

package install

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

const (
	// DatabasePort is where the server listens inside the cluster's network.
	DatabasePort = 5432
	// databaseName is the database that streams read.
	databaseName = "shop"
	// databaseUser owns that database's tables and may replicate, and is no superuser.
	databaseUser = "arcane"

	superuser = "postgres"
	// account is the operating system's user that the server runs as: PostgreSQL
	// refuses to be root.
	account = "postgres"
)

// Database is a PostgreSQL server that runs in the network of a testbed cluster. It
// ends with Stop, and otherwise outlives the program that started it.
type Database struct {
	cluster  *testbed.Cluster
	programs string
	folder   string
	password string
}

// Postgres returns the PostgreSQL server of a testbed cluster with a node, and
// starts it first where it does not run. Its data is in the cluster's run folder.
// Missing Debian packages are installed.
func Postgres(ctx context.Context, cluster *testbed.Cluster, progress io.Writer) (*Database, error) {
	if cluster.Existing() || !cluster.HasNode() {
		return nil, errors.New("PostgreSQL is started inside the network of a testbed cluster with a node, and this is none")
	}
	if err := packages.Install(ctx, progress, packages.Postgres); err != nil {
		return nil, err
	}
	d := &Database{cluster: cluster, programs: packages.PostgresPrograms(), folder: filepath.Join(cluster.Dir(), "postgres")}
	if err := d.create(ctx); err != nil {
		return nil, fmt.Errorf("create a PostgreSQL server: %w", err)
	}
	if err := d.start(ctx); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := d.furnish(ctx); err != nil {
		return nil, fmt.Errorf("make the database %s: %w", databaseName, err)
	}
	return d, nil
}

// StopPostgres ends the PostgreSQL server that an earlier program started for the
// cluster, if there is one.
func StopPostgres(ctx context.Context, cluster *testbed.Cluster) error {
	d := &Database{cluster: cluster, folder: filepath.Join(cluster.Dir(), "postgres")}
	return d.Stop(ctx)
}

// Host is the server's address inside the cluster's network.
func (d *Database) Host() string { return d.cluster.NodeIP() }

// Password of databaseUser.
func (d *Database) Password() string { return d.password }

// Command prepares one of PostgreSQL's client programs, such as pgbench, or any
// program by its path, inside the cluster's network. Its environment says which
// server, database and user.
func (d *Database) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(program) {
		program = filepath.Join(d.programs, program)
	}
	cmd := d.cluster.Command(ctx, program, args...)
	cmd.Env = append(cmd.Env, "PGHOST="+d.Host(), "PGPORT="+strconv.Itoa(DatabasePort), "PGDATABASE="+databaseName,
		"PGUSER="+databaseUser, "PGPASSWORD="+d.password, "PGSSLMODE=disable", "PGCONNECT_TIMEOUT=10")
	return cmd
}

// Query runs SQL as databaseUser and returns what it prints: a line for each row,
// columns parted by |.
func (d *Database) Query(ctx context.Context, sql string) (string, error) {
	return d.query(ctx, sql)
}

func (d *Database) query(ctx context.Context, sql string, environment ...string) (string, error) {
	cmd := d.Command(ctx, "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--command="+sql)
	cmd.Env = append(cmd.Env, environment...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("psql: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// inside is a command line that runs one of the server's programs as its account,
// with the server's folder mounted where that account can reach it: the run folder
// itself may be in root's home, which is closed to everybody else. The mount is
// the process's own and goes with it.
func (d *Database) inside(ctx context.Context, program string, args ...string) *exec.Cmd {
	script := `mount --bind "$1" /mnt && cd /mnt && shift && exec setpriv --reuid="$0" --regid="$0" --clear-groups -- "$@"`
	argv := append([]string{"--mount", "--", "sh", "-euc", script, account, d.folder, filepath.Join(d.programs, program)}, args...)
	cmd := d.cluster.Command(ctx, "unshare", argv...)
	// The user's own settings of PostgreSQL and locale are not for this server.
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	return cmd
}

// create makes the server's files. The password's file gets its name last and makes
// them valid: a folder without it is what an interrupted run left.
func (d *Database) create(ctx context.Context) error {
	file := filepath.Join(d.folder, "password")
	if raw, err := os.ReadFile(file); err == nil {
		d.password = string(raw)
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(d.folder); err != nil {
		return err
	}
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return err
	}
	d.password = rand.Text()
	next := file + ".next"
	if err := os.WriteFile(next, []byte(d.password), 0o600); err != nil {
		return err
	}
	if err := giveAway(d.folder, next); err != nil {
		return err
	}
	initdb := d.inside(ctx, "initdb", "--pgdata=data", "--username="+superuser, "--pwfile="+filepath.Base(next), "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	rules := "# Everybody in the cluster's own network, by password.\nhost all all 0.0.0.0/0 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(d.folder, "data", "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// giveAway makes the server's account the owner.
func giveAway(paths ...string) error {
	owner, err := user.Lookup(account)
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root, so it needs the user %s that its package makes: %w", account, err)
	}
	uid, errUID := strconv.Atoi(owner.Uid)
	gid, errGID := strconv.Atoi(owner.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// settings make a server that replicates. It forgoes fsync, because its data need
// not outlive the machine.
func (d *Database) settings() []string {
	return []string{
		"listen_addresses=" + d.Host(), "port=" + strconv.Itoa(DatabasePort), "unix_socket_directories=",
		"wal_level=logical", "max_replication_slots=20", "max_wal_senders=20",
		"fsync=off", "full_page_writes=off", "shared_buffers=128MB", "max_wal_size=2GB",
		"log_min_messages=warning",
	}
}

// start starts the server unless it runs already in the cluster's present network.
func (d *Database) start(ctx context.Context) error {
	pid, err := d.process()
	if err != nil {
		return err
	}
	if pid != 0 && d.inClusterNetwork(pid) {
		return d.await(ctx, nil)
	}
	// A server in the network of a cluster that has been replaced is out of reach.
	if err := d.Stop(ctx); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := d.launch(ctx)
		// Of a server that was killed, some processes live on for a while, and the new one
		// refuses to start beside them.
		if !errors.Is(err, errEnded) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// errEnded is returned by launch where the server has ended at once.
var errEnded = errors.New("it ended at once")

// launch starts the server's process and waits until it answers.
func (d *Database) launch(ctx context.Context) error {
	log, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", "/mnt/data"}
	for _, setting := range d.settings() {
		args = append(args, "-c", setting)
	}
	// The server must outlive this program, and an interrupt at its terminal.
	cmd := d.inside(context.WithoutCancel(ctx), "postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = newSession()
	testbed.KeepToOurselves()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan string, 1)
	go func() {
		_ = cmd.Wait() // how it ended stands in its state
		ended <- cmd.ProcessState.String()
	}()
	return d.await(ctx, ended)
}

func (d *Database) logFile() string { return filepath.Join(d.folder, "log") }

// await waits until the server answers.
func (d *Database) await(ctx context.Context, ended <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := d.query(ctx, "SELECT 1", "PGUSER="+superuser, "PGDATABASE=postgres")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer; its log is %s: %w", d.logFile(), err)
		case how := <-ended:
			return fmt.Errorf("%w (%s); its log is %s", errEnded, how, d.logFile())
		case <-ticker.C:
		}
	}
}

// furnish makes the database and its owner, each only if it is missing.
func (d *Database) furnish(ctx context.Context) error {
	role := fmt.Sprintf("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN "+
		"CREATE ROLE %[1]s LOGIN REPLICATION PASSWORD '%[2]s'; END IF; END $$", databaseUser, d.password)
	if _, err := d.query(ctx, role, "PGUSER="+superuser, "PGDATABASE=postgres"); err != nil {
		return err
	}
	known, err := d.query(ctx, fmt.Sprintf("SELECT 1 FROM pg_database WHERE datname = '%s'", databaseName), "PGUSER="+superuser, "PGDATABASE=postgres")
	if err != nil || known != "" {
		return err
	}
	_, err = d.query(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER %s", databaseName, databaseUser), "PGUSER="+superuser, "PGDATABASE=postgres")
	return err
}
