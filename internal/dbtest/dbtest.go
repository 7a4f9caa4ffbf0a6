// Package dbtest starts real database servers for tests, on loopback, with data of
// their own that goes with them. Only tests import it.
package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// The schemes that PLATFORM_RELATIONSHIPS has for the servers.
const (
	Postgres = "pgsql"
	MariaDB  = "mysql"
)

// User and Password are those of the owner of everything on a server.
const (
	User     = "main"
	Password = "a-password-of-the-tests"
)

// Server is a running server.
type Server struct {
	Scheme string
	Port   int // on 127.0.0.1

	dir  string
	cred *syscall.Credential

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	exited chan struct{}
	names  int
}

// patience is how long a server may take to start or to stop.
const patience = time.Minute

// Start makes a server with empty data and starts it. The caller calls Close. It
// needs the server's programs: the packages postgresql and mariadb-server of Debian.
func Start(scheme string) (*Server, error) {
	dir, err := os.MkdirTemp("", "dbtest-")
	if err != nil {
		return nil, err
	}
	s := &Server{Scheme: scheme, dir: dir}
	if err := s.create(); err != nil {
		s.Close()
		return nil, fmt.Errorf("make a %s server: %w", scheme, err)
	}
	// A port that was free may be taken until the server listens on it.
	for range 5 {
		if s.Port, err = freePort(); err != nil {
			break
		}
		if err = s.Up(); err == nil {
			break
		}
	}
	if err == nil && scheme == MariaDB {
		err = s.grant()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// program finds a program of a server. Debian puts PostgreSQL's in folders by
// version, and MariaDB's server where only root's PATH leads.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	found = append(found, "/usr/sbin/"+name)
	for _, path := range slices.Backward(found) {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: apt-get install postgresql mariadb-server", name)
}

// create makes the data.
func (s *Server) create() error {
	data := filepath.Join(s.dir, "data")
	if s.Scheme == MariaDB {
		return s.run("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user="+whoami())
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(Password), 0o600); err != nil {
		return err
	}
	// PostgreSQL does not run as root; its package makes a user for it.
	if os.Geteuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := errors.Join(os.Chown(s.dir, uid, gid), os.Chown(secret, uid, gid)); err != nil {
			return err
		}
	}
	return s.run("initdb", "--no-sync", "--auth=scram-sha-256", "--pwfile="+secret, "--username="+User, "--encoding=UTF8", "--locale=C", "--pgdata="+data)
}

func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

// command keeps temporary files apart: from a folder that they share, MariaDB's
// servers remove each other's when they start.
func (s *Server) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "TMPDIR="+s.dir)
	return cmd
}

func (s *Server) run(name string, args ...string) error {
	path, err := program(name)
	if err != nil {
		return err
	}
	cmd := s.command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// Up starts a server that is down, on the port that it had, and returns when it
// answers.
func (s *Server) Up() error {
	name, args := "postgres", []string{"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=100"}
	if s.Scheme == MariaDB {
		name, args = "mariadbd", []string{"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--port=" + strconv.Itoa(s.Port),
			"--bind-address=127.0.0.1", "--socket=" + filepath.Join(s.dir, "socket"), "--pid-file=" + filepath.Join(s.dir, "pid"), "--user=" + whoami(),
			"--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M", "--performance-schema=OFF", "--max-connections=100"}
	}
	path, err := program(name)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// It goes with whoever started it, even if that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGKILL}
	exited := make(chan struct{})
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { cmd.Wait(); close(exited) }()
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	limit := time.After(patience)
	for {
		err := s.Exec("", "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s ended: %s", name, text[max(0, len(text)-2000):])
		case <-limit:
			s.Kill()
			return fmt.Errorf("%s does not answer: %w", name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Down stops the server, as its own service would: what is under way is ended.
func (s *Server) Down() {
	stop := syscall.SIGTERM
	if s.Scheme == Postgres {
		stop = syscall.SIGINT
	}
	s.signal(stop)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.Kill()
	}
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() {
	if s.Scheme == Postgres {
		s.signal(syscall.SIGQUIT) // its children too: on SIGKILL they would go on
	} else {
		s.signal(syscall.SIGKILL)
	}
	<-s.exited
}

func (s *Server) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.cmd.Process.Signal(sig)
	}
}

// Close stops the server and removes its data.
func (s *Server) Close() {
	if s.cmd != nil {
		s.Down()
	}
	os.RemoveAll(s.dir)
}

// grant makes the user on MariaDB, which PostgreSQL has from the beginning.
func (s *Server) grant() error {
	for _, statement := range []string{
		fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", User, Password),
		fmt.Sprintf("GRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION", User),
	} {
		if err := s.Exec("", statement); err != nil {
			return err
		}
	}
	return nil
}

// Database makes an empty database on the server and returns its name.
func (s *Server) Database() (string, error) {
	s.mu.Lock()
	s.names++
	name := fmt.Sprintf("test%d", s.names)
	s.mu.Unlock()
	return name, s.Exec("", "CREATE DATABASE "+name)
}

// Fill opens connections to a database, as a user with our Password, until the
// server takes no more. Release ends them, and may be called again.
func (s *Server) Fill(database, user string) (release func(), err error) {
	var ends []func()
	release = sync.OnceFunc(func() {
		for _, end := range ends {
			end()
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connect := s.dialPostgres
	if s.Scheme == MariaDB {
		connect = s.dialMariaDB
	}
	for range 1000 {
		end, err := connect(ctx, database, user)
		if err != nil && len(ends) > 0 {
			return release, nil
		}
		if err != nil {
			return release, err
		}
		ends = append(ends, end)
	}
	return release, errors.New("the server takes any number of connections")
}

func (s *Server) dialPostgres(ctx context.Context, database, user string) (func(), error) {
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", s.Port, user, Password, database))
	if err != nil {
		return nil, err
	}
	return func() { conn.Close(context.Background()) }, nil
}

func (s *Server) dialMariaDB(ctx context.Context, database, user string) (func(), error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), database
	config.User, config.Passwd, config.Logger = user, Password, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return func() { conn.Close() }, nil
}

// Exec runs a statement on a database; empty is one that is always there.
func (s *Server) Exec(database, statement string) error {
	_, err := s.Query(database, statement)
	return err
}

// Query runs a statement, and returns the values of its rows as text.
func (s *Server) Query(database, statement string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if s.Scheme == MariaDB {
		return s.queryMariaDB(ctx, database, statement)
	}
	if database == "" {
		database = "postgres"
	}
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", s.Port, User, Password, database))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, statement).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		var values []string
		for _, value := range row {
			values = append(values, string(value))
		}
		rows = append(rows, values)
	}
	return rows, nil
}

func (s *Server) queryMariaDB(ctx context.Context, database, statement string) (all [][]string, err error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "unix", filepath.Join(s.dir, "socket"), database
	config.User, config.Logger = "root", &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if word, _, _ := strings.Cut(strings.ToUpper(statement), " "); word != "SELECT" && word != "SHOW" {
		_, err := db.ExecContext(ctx, statement)
		return nil, err
	}
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i, value := range values {
			row[i] = value.String
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
