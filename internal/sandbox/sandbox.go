// Package sandbox is a fake of the platform: its token endpoint and the part
// of its API that a cron agent calls, with faults that can be scripted. The
// commands "demo" and "sandbox" run on it, and so do tests.
//
// It is no model of what the platform does inside. Nothing is backed up or
// deployed; an accepted operation becomes an activity that ends after a while.
// Paths and JSON follow the vendor's OpenAPI description and the traffic of
// its CLI. What the platform answers in these cases is not known, and a choice
// was made: an operation on an environment that is not active answers 400, on
// one with pending changes 409, an unknown source operation 400, a body that is
// not declared as JSON 415, a wrong bearer 401 with error="invalid_token";
// a list of activities without count has 10 entries; a variable that exists 409, and
// a change of variables is an activity at once; variables of the production
// environment are inherited by the others; the settings and capabilities that the
// vendor's tool asks for are nearly empty.
package sandbox

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// What an Options with nothing in it has.
const (
	DefaultProject = "abcdefgh1234567"
	DefaultToken   = "sandbox-token"
	DefaultUser    = "cron-bot"
)

// AccessTokenPrefix begins every access token that a Server issues, so that a
// test can look for leaked ones.
const AccessTokenPrefix = "sandbox-access-"

// Colleague and Platform are the names to put in Event.By for the other
// sources of activities: a person of the project who always exists and has no
// token, and the platform itself, which makes the automated backups.
const (
	Colleague = "colleague"
	Platform  = ""
)

// Role is what a user may do in the project.
type Role string

// Only an administrator of an environment's type may run operations there.
// NoMember may not even see the project, nor may any value not listed here.
const (
	Admin           Role = "" // of the project, hence of everything
	ProductionAdmin Role = "production:admin"
	Contributor     Role = "contributor"
	Viewer          Role = "viewer"
	NoMember        Role = "none"
)

func (r Role) sees() bool {
	return r == Admin || r == ProductionAdmin || r == Contributor || r == Viewer
}

func (r Role) operates(environmentType string) bool {
	return r == Admin || r == ProductionAdmin && environmentType == "production"
}

// User is somebody who may call the API.
type User struct {
	// Username is unique.
	Username string
	// ID is a UUID; empty means one made from Username, always the same.
	ID string
	// Token is the API token. Without one the user makes no requests.
	Token string
	Role  Role
}

// displayName is how descriptions of activities name the user.
func (u User) displayName() string {
	if u.Username == DefaultUser {
		return "Cron Bot"
	}
	return u.Username
}

// Environment is one environment of the project.
type Environment struct {
	// ID is the branch, "feature/new-menu".
	ID string
	// MachineName is "main-bvxea6i"; empty means a slug of ID with an ending.
	MachineName string
	// Type is production, staging or development, which empty means too.
	Type string
	// Status is active, which empty means too, inactive, paused, dirty or
	// deleting. Operations are available while it is active.
	Status string
	// Dirty means that changes are pending: operations are not available.
	Dirty bool
	// Staged means that activities wait for a deployment by hand. It is only
	// shown.
	Staged bool
	// Crons is the status of the platform's crons: running, which empty means
	// too, paused or sleeping.
	Crons string
}

// TokenError is how the token endpoint refuses a wrong API token.
type TokenError string

// The kinds that released clients know how to read.
const (
	TokenErrorClassic TokenError = ""        // 400 invalid_grant
	TokenErrorModern  TokenError = "modern"  // 401 request_unauthorized with error_hint
	TokenErrorMockAPI TokenError = "mockapi" // 400, as the vendor's own mock says it
	TokenErrorSSO     TokenError = "sso"     // 400 invalid_grant: SSO session expired
)

// Options say what a Server is like. The zero value is usable.
type Options struct {
	// Project is the only project there is; empty means DefaultProject.
	Project string
	// Token is the API token of DefaultUser; empty means DefaultToken.
	Token string
	// Role is the role of DefaultUser.
	Role Role
	// Users are further ones, beside DefaultUser and Colleague.
	Users []User
	// Environments replaces the usual three: "main" (production) and "staging",
	// both active, and "feature/new-menu", an inactive preview.
	Environments []Environment
	// SourceOperations are the names of those defined; nil means "update".
	SourceOperations []string
	// TokenError is how a wrong API token is refused.
	TokenError TokenError
	// TokenLifetime is how long an access token works by the server's clock;
	// zero means 15 minutes.
	TokenLifetime time.Duration
	// ActivityDuration is how long an activity takes by the server's clock, the
	// first fifth of it pending; zero means 10 seconds, negative no time.
	ActivityDuration time.Duration
	// RegionalURL is the host of the "self" links, which is another one than the
	// API's and must get no request. Empty means a name that does not exist.
	RegionalURL string
	// Address is where Start listens, loopback only; empty means 127.0.0.1:0.
	Address string
	// Now is the server's clock; nil means time.Now. It decides on dates,
	// expiry, progress and Fault.ActAfter, while the other delays of faults take
	// real time. It is called from many goroutines, and must not call the Server.
	Now func() time.Time
	// OnRequest, if not nil, is called once for each request, when it is known
	// what becomes of it and before the answer leaves. It is called from many
	// goroutines; it may call the Server, but not Close.
	OnRequest func(Request)
}

// Server is the fake platform: an http.Handler, which can also listen itself.
// Make it with New. All methods may be called at any time from any goroutine.
// It remembers everything that happened for as long as it exists.
type Server struct {
	opts  Options
	users []User // never changes after New

	closing  chan struct{}  // closed by Close: whoever waits gives up
	handlers sync.WaitGroup // one for each running ServeHTTP
	serving  sync.WaitGroup // the goroutine that accepts connections

	mu           sync.Mutex // guards everything below
	closed       bool
	listener     *http.Server
	environments []Environment
	activities   []*activity
	access       map[string]grant
	faults       []*scripted
	later        []pending
	requests     []*Request
	accepted     []Accepted
	variables    []*variable
	invitations  []invitation
	permissions  map[string][]string // of users whose access was changed, by id
}

// New makes a Server that listens nowhere yet. One that is never started nor
// left with a request hanging needs no Close.
func New(opts Options) *Server {
	if opts.Project == "" {
		opts.Project = DefaultProject
	}
	if opts.Token == "" {
		opts.Token = DefaultToken
	}
	if opts.Environments == nil {
		opts.Environments = []Environment{
			{ID: "main", MachineName: "main-bvxea6i", Type: "production"},
			{ID: "staging", MachineName: "staging-y77w3ti", Type: "staging"},
			{ID: "feature/new-menu", MachineName: "feature-new-menu-hgi456q", Type: "development", Status: "inactive"},
		}
	}
	if opts.SourceOperations == nil {
		opts.SourceOperations = []string{"update"}
	}
	opts.SourceOperations = slices.Clone(opts.SourceOperations)
	if opts.TokenLifetime == 0 {
		opts.TokenLifetime = 15 * time.Minute
	}
	if opts.ActivityDuration == 0 {
		opts.ActivityDuration = 10 * time.Second
	}
	if opts.RegionalURL == "" {
		opts.RegionalURL = "https://eu-5.sandbox.invalid"
	}
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		opts:    opts,
		users:   []User{{Username: DefaultUser, Token: opts.Token, Role: opts.Role}, {Username: Colleague}},
		closing: make(chan struct{}),
		access:  map[string]grant{},

		permissions: map[string][]string{},
	}
	s.users = append(s.users, opts.Users...)
	for i := range s.users {
		if s.users[i].ID == "" {
			s.users[i].ID = userID(s.users[i].Username)
		}
	}
	for _, e := range opts.Environments {
		s.setEnvironment(e)
	}
	return s
}

// userID makes a UUID of a name, so that it is the same in every run.
func userID(name string) string {
	h := sha256.Sum256([]byte("sandbox user " + name))
	h[6] = h[6]&0x0f | 0x40
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// User returns the user of that name. The zero User means that there is none.
func (s *Server) User(username string) User {
	i := slices.IndexFunc(s.users, func(u User) bool { return u.Username == username })
	if i < 0 {
		return User{}
	}
	return s.users[i]
}

// SetEnvironment adds an environment, or replaces the one with that ID.
func (s *Server) SetEnvironment(e Environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setEnvironment(e)
}

// Request is one request that the Server received.
type Request struct {
	// Time is when it had arrived, by the server's clock.
	Time time.Time
	// Method, Path and Query are as they were sent, Path still escaped.
	Method, Path, Query string
	// Header is what came, with credentials replaced by Mask.
	Header http.Header
	// Body is what came, with API tokens replaced by Mask.
	Body string
	// Credentials is "right", "wrong" or "none": the bearer on the API, on the
	// token endpoint the API token.
	Credentials string
	// User is the name of whom right credentials belong to.
	User string
	// Client is the client id named to the token endpoint.
	Client string
	// Status is the status that was answered, 0 if none was or none has been yet.
	Status int
	// Dropped says that the connection ended without an answer, or during one,
	// be it by a fault or by the client.
	Dropped bool
	// Faulty says that a fault applied to it.
	Faulty bool
}

// Mask stands in Requests for everything secret.
const Mask = "[masked]"

// String is the request on one line, without credentials and body.
func (r Request) String() string {
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	end := "unanswered"
	switch {
	case r.Dropped && r.Status == 0:
		end = "dropped"
	case r.Dropped:
		end = fmt.Sprintf("%d dropped", r.Status)
	case r.Status != 0:
		end = strconv.Itoa(r.Status)
	}
	return r.Method + " " + target + " " + end
}

// Requests returns every request received so far, in the order of arrival.
// Those still being worked on are there too.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// Accepted is one operation that the platform took, whatever the client was
// told about it.
type Accepted struct {
	// Time is when it was acted on, by the server's clock.
	Time time.Time
	// Request is the index in Requests of the request that asked for it.
	Request int
	// User is the name of who asked.
	User string
	// Environment is the environment's id.
	Environment string
	// Operation is the last part of the path: "backup". For requests whose path
	// does not say what they do it is backup-delete, restore, variable-create,
	// variable-update, variable-delete, user-access or invite.
	Operation string
	// Body is what was sent.
	Body string
	// Activities are the ids of the activities made of it; see Activities.
	Activities []string
}

// Accepted returns every operation accepted so far, in the order of acting.
// Events of other sources (see Happen) are not among them.
func (s *Server) Accepted() []Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.opts.Now())
	return slices.Clone(s.accepted)
}

var _ io.Closer = (*Server)(nil)
