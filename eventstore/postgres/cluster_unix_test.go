//go:build unix

package postgres

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ensemble/internal/servertest"
)

// cluster is a server of a test's own, which it may stop and start. It is made with the
// programs of the server that tests share.
type cluster struct {
	t    *testing.T
	bin  string
	dir  string
	port int
	cred *syscall.Credential // who runs it: not root
}

// newCluster makes a server and starts it.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := prepareCluster(t)
	c.run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D", c.dir)
	c.configure("wal_level = replica", "max_wal_senders = 4", "wal_keep_size = 64MB", "hot_standby = on")
	c.start()
	return c
}

// prepareCluster finds the programs, a folder and a port.
func prepareCluster(t *testing.T) *cluster {
	t.Helper()
	conn := connect(t, servertest.Postgres(t))
	defer hangUp(context.Background(), conn)
	c := &cluster{t: t}
	if err := conn.QueryRow(t.Context(), "select setting from pg_config where name = 'BINDIR'").Scan(&c.bin); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.bin, "initdb")); err != nil {
		t.Skipf("the server's programs are not here: %v", err)
	}
	parent, err := os.MkdirTemp("/tmp", "ensemble-pg-") // its folder has to be enterable for who runs it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	if os.Geteuid() == 0 {
		c.cred = &syscall.Credential{Uid: 65534, Gid: 65534}
		if u, err := user.Lookup("postgres"); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			c.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
		if err := os.Chown(parent, int(c.cred.Uid), int(c.cred.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	c.dir = filepath.Join(parent, "data")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(c.dir, "postmaster.pid")); err == nil {
			c.stop("immediate")
		}
	})
	return c
}

// run runs one of the server's programs.
func (c *cluster) run(program string, args ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir = filepath.Dir(c.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(c.dir + ".log")
		c.t.Fatalf("%s: %v\n%s\n%s", program, err, out, log)
	}
}

// configure appends to the configuration.
func (c *cluster) configure(lines ...string) {
	c.t.Helper()
	file, err := os.OpenFile(filepath.Join(c.dir, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	lines = append(lines, "listen_addresses = '127.0.0.1'", fmt.Sprint("port = ", c.port), "unix_socket_directories = ''", "shared_buffers = 32MB")
	if _, err := file.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) start() { c.run("pg_ctl", "-D", c.dir, "-l", c.dir+".log", "-w", "start") }

// stop stops the server; "immediate" is how it looks after a crash.
func (c *cluster) stop(mode string) { c.run("pg_ctl", "-D", c.dir, "-m", mode, "-w", "stop") }

// url returns where the server is.
func (c *cluster) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", c.port)
}

// standby makes another server that follows this one, which from then on waits for it
// with each commit.
func (c *cluster) standby() *cluster {
	c.t.Helper()
	s := prepareCluster(c.t)
	if _, err := os.Stat(filepath.Join(c.bin, "pg_basebackup")); err != nil {
		c.t.Skipf("the server came without the programs for a standby: %v", err)
	}
	s.run("pg_basebackup", "-D", s.dir, "-R", "-X", "stream", "-c", "fast", "-d",
		fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=second", c.port))
	s.configure()
	s.start()
	execute(c.t, c.url(), "alter system set synchronous_standby_names = 'second'", "select pg_reload_conf()")
	conn := connect(c.t, c.url())
	defer hangUp(context.Background(), conn)
	for synchronous := false; !synchronous; {
		err := conn.QueryRow(c.t.Context(), "select exists (select from pg_stat_replication where sync_state = 'sync')").Scan(&synchronous)
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return s
}
