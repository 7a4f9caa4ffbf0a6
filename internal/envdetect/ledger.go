package envdetect

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Database is a database of the project that the ledger may be in. Printed, it shows
// no password.
type Database struct {
	// Relationship is the app's name for it.
	Relationship string
	// Scheme is "pgsql", or "mysql" for MariaDB and MySQL.
	Scheme   string
	Host     string
	Port     int
	User     string
	Password string
	// Name is the database's own.
	Name string
}

// String is its address: without credentials.
func (d Database) String() string {
	return d.Scheme + "://" + net.JoinHostPort(d.Host, strconv.Itoa(d.Port)) + "/" + d.Name
}

// GoString is String.
func (d Database) GoString() string { return d.String() }

// fileLedger and autoLedger are the values of the setting that name no relationship:
// the file in the state directory, and the first database that there is.
const (
	fileLedger = "file"
	autoLedger = "auto"
)

// ledgerSchemes are those of databases that the ledger can be in, and their ports.
var ledgerSchemes = map[string]int{"pgsql": 5432, "mysql": 3306}

// LedgerError is what is wrong with the setting of the ledger, an *Error; nil if
// nothing is. Who cannot do without the ledger ends with it; who fires because the
// platform's cron says so does not.
func (e *Environment) LedgerError() error {
	if e.ledgerError == nil {
		return nil
	}
	return e.ledgerError
}

// detectLedger finds out where occurrences are claimed, and runs recorded: in the
// file that serves one container, or in a database of the project.
func (e *Environment) detectLedger(v variables, relationships map[string]json.RawMessage) {
	if e.ledgerError = e.chooseLedger(v, relationships); e.ledgerError != nil {
		e.LedgerProblem = e.ledgerError.Error()
	}
}

func (e *Environment) chooseLedger(v variables, relationships map[string]json.RawMessage) *Error {
	name, source, err := e.ledgerSetting(v)
	if err != nil {
		return err
	}
	e.LedgerOutput, err = e.ledgerOutput(v)
	if err != nil {
		return err
	}
	e.Ledger, e.Reasons["ledger"] = fileLedger, source
	if name == "" || name == fileLedger {
		return nil
	}
	e.Ledger = name
	if e.Phase == Build {
		return nil // it is reached at run time
	}
	databases, replicas, others := databasesIn(relationships)
	refuse := func(format string, args ...any) *Error {
		hint := "there is no PostgreSQL, MariaDB or MySQL among the relationships of the app; add one, or set it to file"
		if len(databases) > 0 {
			hint = "there is: " + strings.Join(slices.Sorted(maps.Keys(databases)), ", ")
		}
		return &Error{Variable: strings.TrimSuffix(source, " is set"), Problem: fmt.Sprintf(format, args...), Hint: hint}
	}
	if e.Phase == Local && relationships == nil {
		return refuse("%q: PLATFORM_RELATIONSHIPS is not set here, which tells how to reach a relationship", name)
	}
	if name == autoLedger {
		names := slices.Sorted(maps.Keys(databases))
		if len(names) == 0 {
			return refuse("auto: the app has no relationship to a database")
		}
		name = names[max(0, slices.IndexFunc(names, func(name string) bool { return !replicas[name] }))]
		e.Reasons["ledger"] = source + " to auto, and this is the first database"
	}
	database, ok := databases[name]
	switch {
	case ok:
		e.Ledger, e.Database, e.LedgerAddress = name, &database, database.String()
		return nil
	case others[name] != "":
		return refuse("the relationship %q is %s, and a ledger needs PostgreSQL, MariaDB or MySQL", name, others[name])
	}
	return refuse("the app has no relationship %q", name)
}

// ledgerSetting is what is set, and where. The app's own setting counts at run time
// only: elsewhere its database is not to be reached.
func (e *Environment) ledgerSetting(v variables) (name, source string, err *Error) {
	if name := v.get("CRONAGENT_LEDGER"); name != "" {
		return name, "CRONAGENT_LEDGER is set", nil
	}
	source = "PLATFORM_VARIABLES:cronagent:ledger is set"
	setting := e.setting("ledger")
	if e.Phase == Local || setting == nil {
		return "", "CRONAGENT_LEDGER is not set, nor variables.cronagent.ledger", nil
	}
	if err := json.Unmarshal(setting, &name); err != nil {
		return "", "", &Error{Variable: "PLATFORM_VARIABLES:cronagent:ledger", Problem: "is not a string", Hint: "set it to the name of a relationship, to auto or to file"}
	}
	return strings.TrimSpace(name), source, nil
}

// ledgerOutput tells whether a ledger in a database keeps what commands printed.
func (e *Environment) ledgerOutput(v variables) (bool, *Error) {
	text, name := v.get("CRONAGENT_LEDGER_OUTPUT"), "CRONAGENT_LEDGER_OUTPUT"
	if setting := e.setting("ledger_output"); text == "" && setting != nil && e.Phase != Local {
		text, name = strings.Trim(string(setting), `"`), "PLATFORM_VARIABLES:cronagent:ledger_output"
	}
	switch strings.ToLower(text) {
	case "1", "true", "yes", "on":
		return true, nil
	case "", "0", "false", "no", "off", "null":
		return false, nil
	}
	return false, &Error{Variable: name, Problem: "is neither true nor false"}
}

// setting is a setting of variables.cronagent: an environment's variable of that
// name, which the platform lets win, or the app's configuration. Nil: it is not set.
func (e *Environment) setting(name string) json.RawMessage {
	if value, ok := e.Variables["cronagent:"+name]; ok {
		return value
	}
	var namespaces, settings map[string]json.RawMessage
	if json.Unmarshal(e.application["variables"], &namespaces) != nil || json.Unmarshal(namespaces["cronagent"], &settings) != nil {
		return nil
	}
	return settings[name]
}

// databasesIn are the relationships that a ledger can be in, those of them that say
// of themselves that they are only replicas, and what the others are.
func databasesIn(relationships map[string]json.RawMessage) (databases map[string]Database, replicas map[string]bool, others map[string]string) {
	databases, replicas, others = map[string]Database{}, map[string]bool{}, map[string]string{}
	for name, definition := range relationships {
		var found *Database
		var best int
		for _, endpoint := range endpoints(definition) {
			d := Database{
				Relationship: name, Scheme: text(endpoint["scheme"]), Host: text(endpoint["host"]), Port: number(endpoint["port"]),
				User: text(endpoint["username"]), Password: text(endpoint["password"]), Name: text(endpoint["path"]),
			}
			port, fits := ledgerSchemes[d.Scheme]
			switch {
			case !fits && d.Scheme == "":
				others[name] = "none that has a scheme"
				continue
			case !fits:
				others[name] = "a " + d.Scheme
				continue
			case d.Host == "" || d.Name == "":
				others[name] = "a " + d.Scheme + " without host or path"
				continue
			}
			if d.Port == 0 {
				d.Port = port
			}
			// A ledger on a replica would not know what was claimed a moment ago.
			if master := master(endpoint["query"]); found == nil || master > best {
				found, best = &d, master
			}
		}
		if found != nil {
			databases[name], replicas[name] = *found, best < 0
		}
	}
	return databases, replicas, others
}

// endpoints are those of a relationship. What has another shape is passed over.
func endpoints(definition json.RawMessage) []map[string]json.RawMessage {
	var raw []json.RawMessage
	_ = json.Unmarshal(definition, &raw)
	var all []map[string]json.RawMessage
	for _, one := range raw {
		var endpoint map[string]json.RawMessage
		if json.Unmarshal(one, &endpoint) == nil {
			all = append(all, endpoint)
		}
	}
	return all
}

// text is a string in JSON; empty for null and everything else.
func text(value json.RawMessage) (s string) {
	_ = json.Unmarshal(value, &s)
	return s
}

// number is a number in JSON, or one in a string; 0 for everything else.
func number(value json.RawMessage) (n int) {
	if json.Unmarshal(value, &n) != nil {
		n, _ = strconv.Atoi(text(value))
	}
	if n < 0 || n > 65535 {
		return 0
	}
	return n
}

// master is 1 if the query of an endpoint says that it is the master, -1 if it says
// that it is not, and 0 if it does not tell: where there is nothing in it, it is an
// empty list.
func master(query json.RawMessage) int {
	var q struct {
		IsMaster *bool `json:"is_master"`
	}
	switch {
	case json.Unmarshal(query, &q) != nil || q.IsMaster == nil:
		return 0
	case *q.IsMaster:
		return 1
	}
	return -1
}
