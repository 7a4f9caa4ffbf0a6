package envdetect

import (
	"fmt"
	"strings"

	"github.com/cronagent/cronagent/internal/nearest"
)

// Vendor is a company that sells the platform under a name of its own: it has
// endpoints, a command-line tool and variables of its own. The container's
// PLATFORM_* variables are the same for all of them.
type Vendor struct {
	// Name is the value of CRONAGENT_VENDOR: "platformsh", "upsun", "webpaas".
	Name string
	// Command is the name of the vendor's command-line tool.
	Command string
	// Prefix begins the names of the variables that the vendor's tool reads.
	Prefix string
	// APIURL and AuthURL are the bases of the API and of the token endpoint.
	APIURL, AuthURL string
	// ClientID is the public OAuth2 client, with an empty secret, for the
	// exchange of an API token.
	ClientID string
}

// MarshalText makes a vendor its name in JSON.
func (v Vendor) MarshalText() ([]byte, error) { return []byte(v.Name), nil }

// tokenVariable is the variable in which the vendor's users keep their API token.
// {Prefix}API_TOKEN is something else: a ready access token, deprecated.
func (v Vendor) tokenVariable() string { return v.Prefix + "TOKEN" }

// vendors is in the order in which token variables are tried. Endpoints and
// prefixes are those of the vendors' released tools. Upsun's gateway serves
// Platform.sh as well. The client id for OVH is the one of its own tool, since
// whether its server knows the documented "platform-api-user" is unknown.
var vendors = []Vendor{
	{"platformsh", "platform", "PLATFORMSH_CLI_", "https://api.upsun.com", "https://auth.upsun.com", "platform-api-user"},
	{"upsun", "upsun", "UPSUN_CLI_", "https://api.upsun.com", "https://auth.upsun.com", "platform-api-user"},
	{"webpaas", "webpaas", "OVHCLOUD_WEBPAAS_CLI_", "https://eu.api.webpaas.ovhcloud.com", "https://eu.auth.webpaas.ovhcloud.com", "ovh-eu-cli"},
}

// spellings are the other words by which people and builds name a vendor.
var spellings = map[string]string{
	"platform": "platformsh", "platform.sh": "platformsh",
	"ovh": "webpaas", "ovhcloud": "webpaas",
}

func vendorByName(name string) (Vendor, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	if known, ok := spellings[name]; ok {
		name = known
	}
	for _, v := range vendors {
		if v.Name == name {
			return v, true
		}
	}
	return Vendor{}, false
}

// VendorByCommand finds the vendor whose command-line tool has this name.
func VendorByCommand(command string) (Vendor, bool) {
	for _, v := range vendors {
		if v.Command == command {
			return v, true
		}
	}
	return Vendor{}, false
}

// VendorNames are the names that --vendor and CRONAGENT_VENDOR take.
func VendorNames() []string {
	names := make([]string, len(vendors))
	for i, v := range vendors {
		names[i] = v.Name
	}
	return names
}

// TokenVariables are the variables that may hold an API token, in the order in
// which they are tried when no vendor is named.
func TokenVariables() []string {
	names := make([]string, len(vendors))
	for i, v := range vendors {
		names[i] = v.tokenVariable()
	}
	return names
}

// choice is the vendor and token variable that were settled on, and why.
type choice struct {
	vendor        Vendor
	vendorReason  string
	tokenVariable string
	tokenReason   string
}

// chooseVendor settles the vendor first and its token second. Only when nothing
// names a vendor does a token choose one, and PLATFORMSH_CLI_TOKEN never does:
// OVH's documentation tells its users to set it too.
func chooseVendor(v variables, opts Options) (choice, error) {
	var c choice
	named := []struct{ source, value string }{
		{"--vendor", opts.Vendor},
		{"called as " + opts.CalledAs, ""},
		{"CRONAGENT_VENDOR", v.get("CRONAGENT_VENDOR")},
		{"PLATFORM_VENDOR", v.get("PLATFORM_VENDOR")},
	}
	if vendor, ok := VendorByCommand(opts.CalledAs); ok {
		named[1].value = vendor.Name
	}
	for _, n := range named {
		if n.value == "" {
			continue
		}
		vendor, ok := vendorByName(n.value)
		if !ok {
			return c, &Error{Variable: n.source, Problem: fmt.Sprintf("unknown vendor %q", n.value),
				Hint: nearest.Hint(n.value, VendorNames(), "set CRONAGENT_VENDOR to platformsh, upsun or webpaas")}
		}
		c.vendor, c.vendorReason = vendor, n.source
		break
	}

	tried := vendors
	if c.vendor.Name != "" {
		tried = append([]Vendor{c.vendor}, vendors...)
	}
	for _, vendor := range tried {
		name := vendor.tokenVariable()
		if v.get(name) == "" {
			continue
		}
		c.tokenVariable, c.tokenReason = name, name+" is set"
		if c.vendor.Name == "" && vendor.Name != "platformsh" {
			c.vendor, c.vendorReason = vendor, "the token is in "+name
		}
		break
	}
	if c.tokenVariable == "" {
		c.tokenReason = "none of " + strings.Join(TokenVariables(), ", ") + " is set"
	}
	if c.vendor.Name == "" {
		c.vendor, _ = vendorByName("upsun")
		c.vendorReason = "nothing names a vendor; Upsun's API serves Platform.sh too"
	}
	return c, nil
}
