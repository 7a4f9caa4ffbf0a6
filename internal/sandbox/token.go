package sandbox

import (
	"crypto/rand"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const tokenPath = "/oauth2/token"

// grant is an access token's owner and end.
type grant struct {
	user    User
	expires time.Time
}

// clients are the public client ids that released clients use; none of them
// has a secret.
var clients = [...]string{"platform-api-user", "platform-cli", "upsun-cli", "ovh-eu-cli"}

// exchange answers the token endpoint: an API token comes in as a form, an
// access token goes out. The client names itself by Basic or in the form.
func (s *Server) exchange(r *http.Request, body string, rec *Request, now time.Time) answer {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return oauthError(http.StatusBadRequest, "invalid_request", "The body must be application/x-www-form-urlencoded", "")
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "The form cannot be decoded", "")
	}
	id, secret, basic := r.BasicAuth()
	if basic {
		// RFC 6749, section 2.3.1: both halves are form-encoded before Basic.
		if id, err = url.QueryUnescape(id); err != nil {
			id = ""
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	rec.Client = id
	if !slices.Contains(clients[:], id) || secret != "" {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed", "")
	}
	if grantType := form.Get("grant_type"); grantType != "api_token" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported", "")
	}
	token := form.Get("api_token")
	i := slices.IndexFunc(s.users, func(u User) bool { return u.Token != "" && u.Token == token })
	if i < 0 {
		rec.Credentials = "wrong"
		if token == "" {
			rec.Credentials = "none"
		}
		return s.refusal()
	}
	rec.Credentials, rec.User = "right", s.users[i].Username
	access := AccessTokenPrefix + rand.Text()
	s.access[access] = grant{s.users[i], now.Add(s.opts.TokenLifetime)}
	return jsonAnswer(http.StatusOK, object{
		"access_token": access,
		"expires_in":   int(s.opts.TokenLifetime / time.Second),
		"token_type":   "bearer",
		"scope":        "",
	})
}

// refusal is the answer to a wrong API token.
func (s *Server) refusal() answer {
	switch s.opts.TokenError {
	case TokenErrorModern:
		return oauthError(http.StatusUnauthorized, "request_unauthorized",
			"The request could not be authorized", "Check that the API token is valid and was not revoked")
	case TokenErrorMockAPI:
		return jsonAnswer(http.StatusBadRequest, object{"error": "invalid API token"})
	case TokenErrorSSO:
		return oauthError(http.StatusBadRequest, "invalid_grant", "The SSO session has expired. Log in again.", "")
	}
	return oauthError(http.StatusBadRequest, "invalid_grant", "Invalid API token", "")
}

func oauthError(status int, code, description, hint string) answer {
	body := object{"error": code, "error_description": description}
	if hint != "" {
		body["error_hint"] = hint
	}
	a := jsonAnswer(status, body)
	if status == http.StatusUnauthorized {
		a.header = http.Header{"Www-Authenticate": {`Basic realm="sandbox"`}}
	}
	return a
}

// oauthProblem is an error of the token endpoint for a status that a fault
// wants, or for one below 400 something that is no token.
func oauthProblem(status int) answer {
	if status < 400 {
		return problem(status)
	}
	text := http.StatusText(status)
	return oauthError(status, strings.ToLower(strings.ReplaceAll(text, " ", "_")), text, "")
}

// bearer finds who the bearer token belongs to. The text is the reason of a
// refusal, empty if there is none.
func (s *Server) bearer(r *http.Request, rec *Request, now time.Time) (User, string) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return User{}, "The request has no access token"
	}
	rec.Credentials = "wrong"
	scheme, token, _ := strings.Cut(header, " ")
	g, known := s.access[token]
	switch {
	case !strings.EqualFold(scheme, "Bearer") || !known:
		return User{}, "The access token is not valid"
	case !now.Before(g.expires):
		return User{}, "The access token has expired"
	}
	rec.Credentials, rec.User = "right", g.user.Username
	return g.user, ""
}

// minSecret is how long a token must be to be looked for in texts: a short one
// would match by chance.
const minSecret = 8

var secretAccess = regexp.MustCompile(regexp.QuoteMeta(AccessTokenPrefix) + `[A-Z2-7]+`)
var secretField = regexp.MustCompile(`((?:^|[?&])(?:api_token|client_secret)=)[^&]+`)
var secretMember = regexp.MustCompile(`("(?:api_token|client_secret|access_token)"\s*:\s*)"(?:[^"\\]|\\.)*"`)

// mask takes everything secret out of a text: the fields that hold tokens, and
// every token that the Server knows wherever it stands.
func (s *Server) mask(text string) string {
	// The expressions are slow, and most texts have nothing for them.
	if lower := strings.ToLower(text); strings.Contains(lower, "token") || strings.Contains(lower, "secret") || strings.Contains(lower, "access") {
		text = secretField.ReplaceAllString(text, "${1}"+Mask)
		text = secretAccess.ReplaceAllString(text, Mask)
		text = secretMember.ReplaceAllString(text, `${1}"`+Mask+`"`)
	}
	secrets := make([]string, 0, len(s.users))
	for _, u := range s.users {
		secrets = append(secrets, u.Token, url.QueryEscape(u.Token), url.PathEscape(u.Token))
	}
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			text = strings.ReplaceAll(text, secret, Mask)
		}
	}
	return text
}

func (s *Server) maskHeader(h http.Header) http.Header {
	masked := http.Header{}
	for name, values := range h {
		for _, value := range values {
			switch name {
			case "Authorization", "Proxy-Authorization", "Cookie":
				value = Mask
			default:
				value = s.mask(value)
			}
			masked[name] = append(masked[name], value)
		}
	}
	return masked
}
