package platform

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
)

// Reached is what an answer of the API tells, whatever it says.
type Reached struct {
	// Took is how long it took, connection and all.
	Took time.Duration
	// Ahead is by how much our clock is ahead of the server's, about a second more or
	// less; negative: it is behind. Dated is false if the server told no time.
	Ahead time.Duration
	Dated bool
}

// Reach asks the API for something without a token, to see whether it is there: that it
// refuses it is answer enough. It asks twice at the most. All errors are *Error.
func (c *Client) Reach(ctx context.Context) (Reached, error) {
	r := call{op: "reach the API", method: http.MethodGet, url: c.APIURL + mePath, limit: maxAnswer}
	for try := 0; ; try++ {
		began := time.Now()
		a, e := c.send(ctx, r)
		switch {
		case e != nil && e.Kind != Failed && e.Reason != BadCertificate:
			e.Kind, e.Reason = Unavailable, NoConnection // nothing was to be done
		case e != nil:
		case a.status < 300 || a.status >= 400 && a.status < 500 && a.status != http.StatusProxyAuthRequired:
			reached := Reached{Took: a.at.Sub(began)}
			if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
				// It is cut to the second, and was written before it came.
				reached.Ahead, reached.Dated = a.at.Sub(date.Add(time.Second/2)), true
			}
			return reached, nil
		default:
			e = c.refusal(r, a)
			e.Kind = Unavailable
		}
		if try > 0 || e.Kind == Failed || e.Reason == BadCertificate || !sleep(ctx, time.Second) {
			return Reached{}, e
		}
	}
}

// Offers tells, without firing anything, whether the platform would take a request
// now, as far as what it tells of the environment does: nil if so, else why not. Env is
// the target's, as Environment has read it. A request that no link stands for is taken
// to be offered.
func (c *Client) Offers(ctx context.Context, t Target, env Environment, r operation.Request) *Error {
	if _, offered := env.Links[r.Link]; offered || r.Link == "" || r.Already != "" && r.Already == env.Status {
		return nil
	}
	e := &Error{Kind: Forbidden, Reason: NotAvailable, Op: r.String() + " on " + env.ID, Status: http.StatusBadRequest}
	look := &reading{client: c, target: t, done: true, env: env}
	look.explain(ctx, r, e)
	e.Status = 0 // nobody has refused anything
	return e
}

// Deployment is how an environment was deployed, as far as the API tells.
type Deployment struct {
	Successful bool `json:"last_deployment_successful"`
	// At is when it was deployed last, as the API writes it.
	At    string `json:"last_deployment_at"`
	Crons Crons  `json:"crons"`
}

// Crons is how the platform's crons of an environment stand.
type Crons struct {
	Enabled bool `json:"enabled"`
	// Status is running, paused or sleeping.
	Status string `json:"status"`
}

// Sizing is how an environment's apps and workers are scaled, as far as the API tells.
type Sizing struct {
	// Webapps are the apps by their names, Workers their workers as APP--WORKER.
	Webapps map[string]Scale `json:"webapps"`
	Workers map[string]Scale `json:"workers"`
}

// Scale is how one of them is scaled.
type Scale struct {
	// Instances is how many containers of it there are; zero: it is not told.
	Instances int `json:"instance_count"`
}

// UnmarshalJSON forgives what it cannot read, as that of Deployment does.
func (s *Sizing) UnmarshalJSON(data []byte) error {
	type plain Sizing
	var raw plain
	if json.Unmarshal(data, &raw) == nil {
		*s = Sizing(raw)
	}
	return nil
}

// UnmarshalJSON forgives what it cannot read: it decides nothing, and the environment
// must stay readable.
func (d *Deployment) UnmarshalJSON(data []byte) error {
	type plain Deployment
	var raw plain
	if json.Unmarshal(data, &raw) == nil {
		*d = Deployment(raw)
	}
	return nil
}

// Settings are those of a project that crons have to do with. Path, names and units are
// those of the OpenAPI file in the vendor's SDK.
type Settings struct {
	// MinimumInterval and MaximumJitter are those of the platform's crons, in minutes;
	// nil: it does not tell.
	MinimumInterval *int `json:"cron_minimum_interval"`
	MaximumJitter   *int `json:"cron_maximum_jitter"`
	// Retention is how many backups are kept, by the type of environment.
	Retention map[string]Retention `json:"data_retention"`
}

// Retention is how many backups of an environment are kept; zero: it does not tell.
type Retention struct {
	// MaxBackups is how many there can be in all.
	MaxBackups int `json:"max_backups"`
	Default    struct {
		// Manual is how many of them are kept that the platform did not take by itself.
		Manual int `json:"manual_count"`
	} `json:"default_config"`
}

// Settings reads a project's settings (GET /projects/ID/settings), which not everybody
// may. All errors are *Error.
func (c *Client) Settings(ctx context.Context, project string) (Settings, error) {
	raw, err := c.Read(ctx, Target{Project: project}, operation.OfProject, "settings")
	var s Settings
	err = decode(err, raw, &s)
	return s, err
}

// Backup is one that there is.
type Backup struct {
	Created time.Time `json:"created_at"`
	// Automated says that the platform took it by itself.
	Automated bool `json:"automated"`
}

// Backups reads the backups of an environment. All errors are *Error.
func (c *Client) Backups(ctx context.Context, t Target) ([]Backup, error) {
	raw, err := c.Read(ctx, t, operation.OfEnvironment, "backups")
	var all []Backup
	err = decode(err, raw, &all)
	return all, err
}

// CronActivity is one time that the platform ran a cron.
type CronActivity struct {
	Activity
	// Cron is the cron's name, empty if the API does not tell it.
	Cron    string
	Created time.Time
}

// UnmarshalJSON reads what it can.
func (a *CronActivity) UnmarshalJSON(data []byte) error {
	var raw struct {
		Created    string `json:"created_at"`
		Parameters struct {
			Cron string `json:"cron"`
		} `json:"parameters"`
	}
	_ = json.Unmarshal(data, &raw)
	_ = json.Unmarshal(data, &a.Activity)
	a.Created, _ = time.Parse(time.RFC3339Nano, raw.Created)
	a.Cron = raw.Parameters.Cron
	return nil
}

// Newest is when an environment's newest activity of a type was made; zero if there is
// none that the API still knows, or if it does not tell.
func (c *Client) Newest(ctx context.Context, t Target, kind string) time.Time {
	all, err := c.activitiesOf(ctx, t, kind, 1)
	if err != nil || len(all) == 0 {
		return time.Time{}
	}
	return all[0].Created
}

// CronActivities are the last n times that the platform ran a cron of an environment, the
// newest first. All errors are *Error.
func (c *Client) CronActivities(ctx context.Context, t Target, n int) ([]CronActivity, error) {
	return c.activitiesOf(ctx, t, "environment.cron", n)
}

func (c *Client) activitiesOf(ctx context.Context, t Target, kind string, n int) ([]CronActivity, error) {
	query := url.Values{"type": {kind}, "count": {strconv.Itoa(n)}}
	raw, err := c.Read(ctx, t, operation.OfEnvironment, "activities?"+query.Encode())
	var all []CronActivity
	err = decode(err, raw, &all)
	return all, err
}

func decode(err error, raw json.RawMessage, into any) error {
	if err != nil {
		return err
	}
	if json.Unmarshal(raw, into) != nil {
		return &Error{Kind: Failed, Reason: NotFromAPI, Op: "read what the API tells", Detail: "the answer has an unexpected shape"}
	}
	return nil
}
