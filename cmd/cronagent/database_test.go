package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
)

type proxyKey struct{}

// TestDatabaseScripts types the commands in containers whose app has a database, with
// each kind of server. `database down` refuses connections, `database hangs` lets
// nothing pass, `database up` ends either, and `database restored` puts back what it
// was an hour ago. $once is a spec that was due some minutes ago, and will not be due
// again while a test runs.
func TestDatabaseScripts(t *testing.T) {
	for _, scheme := range []string{dbtest.Postgres, dbtest.MariaDB} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			server, err := dbtest.Start(scheme)
			require.NoError(t, err)
			t.Cleanup(server.Close)
			setup := func(env *testscript.Env) error {
				if err := container(env); err != nil {
					return err
				}
				name, err := server.Database()
				if err != nil {
					return err
				}
				proxy, err := server.Through()
				if err != nil {
					return err
				}
				env.Defer(proxy.Close)
				env.Values[proxyKey{}] = proxy
				env.Values[restoreKey{}] = func() error { return restored(server, name) }
				relationships, err := json.Marshal(map[string]any{
					"redis": []any{map[string]any{"scheme": "redis", "host": "redis.internal", "port": 6379, "username": nil, "password": nil, "query": []any{}}},
					"database": []any{map[string]any{
						"scheme": scheme, "host": "127.0.0.1", "port": proxy.Port, "path": name, "username": dbtest.User, "password": dbtest.Password,
						"query": map[string]any{"is_master": true},
					}},
				})
				once, _ := onceSpec(time.Now())
				env.Vars = append(env.Vars,
					"PLATFORM_RELATIONSHIPS="+base64.StdEncoding.EncodeToString(relationships),
					"CRONAGENT_LEDGER=database",
					"scheme="+scheme,
					"once="+once,
					fmt.Sprintf("address=127.0.0.1:%d", proxy.Port),
				)
				return err
			}
			testscript.RunT(searched{T: t, dir: "database", secrets: []string{dbtest.Password}}, scripts("database", setup))
		})
	}
}

type restoreKey struct{}

// restored turns the ledger back by an hour.
func restored(server *dbtest.Server, database string) error {
	crons, runs, hour := "cronagent.crons", "cronagent.runs", "interval '1 hour'"
	if server.Scheme == dbtest.MariaDB {
		crons, runs, hour = "cronagent_crons", "cronagent_runs", "interval 1 hour"
	}
	return errors.Join(
		server.Exec(database, "UPDATE "+crons+" SET watermark = watermark - "+hour+", last_run = ''"),
		server.Exec(database, "DELETE FROM "+runs))
}

func setDatabase(ts *testscript.TestScript, neg bool, args []string) {
	proxy, ok := ts.Value(proxyKey{}).(*dbtest.Proxy)
	if neg || !ok || len(args) != 1 {
		ts.Fatalf("usage: database up|down|hangs|restored")
	}
	switch args[0] {
	case "down":
		proxy.Down()
	case "hangs":
		proxy.Once(dbtest.Stall, "", 1)
	case "restored":
		ts.Check(ts.Value(restoreKey{}).(func() error)())
	case "up":
		proxy.End() // what was held on the way is lost
		proxy.Pass()
		ts.Check(proxy.Up())
	default:
		ts.Fatalf("unknown state %q", args[0])
	}
}
