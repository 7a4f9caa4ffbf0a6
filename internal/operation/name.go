package operation

import (
	"fmt"
	"slices"
	"strings"
)

// All returns the commands in the order of help.
func All() []*Operation { return table }

// Fireable returns those that fire and agent crons may call.
func Fireable() []*Operation {
	return slices.DeleteFunc(slices.Clone(table), func(o *Operation) bool { return !o.Fires })
}

// Lookup finds a command by its name or one of its aliases, as written:
// abbreviations are not understood, since a name that is read at night must
// mean one thing.
func Lookup(name string) (*Operation, bool) {
	for _, o := range table {
		if o.Name == name || slices.Contains(o.Aliases, name) {
			return o, true
		}
	}
	return nil, false
}

// AmbiguousError says that an abbreviation may mean several commands of the
// platform CLI.
type AmbiguousError struct {
	Name  string
	Names []string
}

func (e *AmbiguousError) Error() string {
	const most = 8
	if len(e.Names) > most {
		return fmt.Sprintf("command %q is ambiguous: it may be one of %d", e.Name, len(e.Names))
	}
	return fmt.Sprintf("command %q is ambiguous: it may be %s", e.Name, strings.Join(e.Names, ", "))
}

// AbbreviatedError says that a command that destroys something was abbreviated.
type AbbreviatedError struct{ Name, Whole string }

func (e *AbbreviatedError) Error() string {
	return fmt.Sprintf("command %q is %s, which takes no abbreviation", e.Name, e.Whole)
}

// Find finds a command as the platform CLI does: by its name, an alias, or an
// abbreviation of each part between colons that fits no other command of that CLI,
// whether or not we cover it. What Symfony's tool writes before the name, cloud:
// and env:, is understood. A command that destroys something is found by its whole
// name only.
//
// Nil without an error means that it is not one of ours. Errors are
// *AmbiguousError and *AbbreviatedError.
func Find(name string) (*Operation, error) {
	o, err := find(name)
	if o == nil && err == nil {
		for _, prefix := range []string{"cloud:", "env:"} {
			if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
				return Find(rest)
			}
		}
	}
	return o, err
}

func find(name string) (*Operation, error) {
	if o, ok := Lookup(name); ok {
		return o, nil
	}
	if name == "" || Elsewhere(name) {
		return nil, nil
	}
	var whole []string // the names of the commands that fit
	add := func(command, written string) {
		if fits(name, written) && !slices.Contains(whole, command) {
			whole = append(whole, command)
		}
	}
	for _, o := range table {
		add(o.Name, o.Name)
		for _, alias := range o.Aliases {
			if !forgotten[alias] {
				add(o.Name, alias)
			}
		}
	}
	for line := range strings.Lines(others) {
		command, aliases, _ := strings.Cut(strings.TrimSpace(line), " ")
		add(command, command)
		for _, alias := range strings.Fields(aliases) {
			add(command, alias)
		}
	}
	switch len(whole) {
	case 0:
		return nil, nil
	case 1:
		o, ok := Lookup(whole[0])
		if !ok {
			return nil, nil
		}
		if o.Effect == Destroys {
			return nil, &AbbreviatedError{Name: name, Whole: o.Name}
		}
		return o, nil
	}
	return nil, &AmbiguousError{Name: name, Names: whole}
}

// fits tells whether each part of an abbreviation begins one of the name.
func fits(short, name string) bool {
	a, b := strings.Split(short, ":"), strings.Split(name, ":")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] == "" || !strings.HasPrefix(b[i], a[i]) {
			return false
		}
	}
	return true
}

// elsewhere are the names and aliases that we do not cover.
func elsewhere() []string { return strings.Fields(others) }

// Elsewhere tells whether a name or alias is one that only the platform's own tool
// has.
func Elsewhere(name string) bool { return name != "" && slices.Contains(elsewhere(), name) }

// forgotten are aliases that the current CLI does not know any more. They are no
// longer abbreviated.
var forgotten = map[string]bool{
	"snapshot:create": true, "environment:backup": true, "snapshots": true, "snapshot:list": true,
	"snapshot:restore": true, "environment:restore": true, "environment:metadata": true, "project:metadata": true,
}

// Forgotten tells whether an alias is one that the platform CLI had up to version 4,
// and that version 5 answers with an error.
func Forgotten(name string) bool { return forgotten[name] }

// others are the commands of the platform CLI that we do not cover, each with its
// aliases: what they are decides what an abbreviation means. Those of both
// flavours, of version 5.11.1, the hidden ones too.
const others = `_complete
bot
clear-cache cc
completion
console web
decode
docs
help
list
multi
welcome
winky
api:curl
app:config-get
app:config-validate validate lint
app:list apps
auth:browser-login login
auth:logout logout
auth:token
auth:verify-phone-number
autoscaling:get autoscaling
autoscaling:set
blue-green:conclude
blue-green:deploy
blue-green:enable
certificate:add
certificate:delete
certificate:get
certificate:list certificates certs
commit:get
commit:list commits
db:dump
db:size
db:sql sql
domain:add
domain:delete
domain:get
domain:list domains
domain:update
environment:activate
environment:branch branch
environment:checkout checkout
environment:curl
environment:delete
environment:deploy deploy e:deploy env:deploy
environment:deploy:type
environment:drush drush
environment:http-access httpaccess
environment:init
environment:logs log
environment:merge merge
environment:push push
environment:relationships relationships rel
environment:scp scp
environment:set-remote
environment:ssh ssh
environment:url url
environment:xdebug xdebug
integration:activity:get
integration:activity:list integration:activities
integration:activity:log
integration:add
integration:delete
integration:get
integration:list integrations
integration:update
integration:validate
local:build build
local:clean clean
local:dir dir
local:drush-aliases drush-aliases
metrics:all metrics met
metrics:cpu cpu
metrics:disk-usage disk
metrics:memory mem memory
mount:download
mount:list mounts
mount:size
mount:upload
organization:billing:address
organization:billing:profile
organization:create
organization:curl
organization:delete
organization:info
organization:list orgs organizations
organization:subscription:list org:subs
organization:user:add
organization:user:delete
organization:user:get
organization:user:list org:users
organization:user:projects oups
organization:user:update
project:clear-build-cache
project:convert convert
project:create create
project:curl
project:delete
project:get get
project:init init ify
project:list projects pro
project:set-remote set-remote
project:variable:delete
project:variable:get project-variables pvget
project:variable:set pvset
repo:cat
repo:ls
repo:read read
resources:build:get build-resources:get build-resources
resources:build:set build-resources:set
resources:get resources res
resources:set
resources:size:list resources:sizes
route:get
route:list routes
self:config
service:list services
service:mongo:dump mongodump
service:mongo:export mongoexport
service:mongo:restore mongorestore
service:mongo:shell mongo
service:redis-cli redis
service:valkey-cli valkey
session:switch
ssh-cert:info
ssh-cert:load
ssh-key:add
ssh-key:delete
ssh-key:list ssh-keys
subscription:info
task:list tasks
task:run
team:create
team:delete
team:get
team:list teams
team:project:add
team:project:delete
team:project:list team:projects team:pro
team:update
team:user:add
team:user:delete
team:user:list team:users
tunnel:close
tunnel:info
tunnel:list tunnels
tunnel:open
tunnel:single
user:delete
user:get
user:list users
user:update
variable:disable
variable:enable
variable:set vset
version:list versions
worker:list workers
`
