// Package examples holds the example configuration, for the demonstration.
package examples

import _ "embed"

// AppYAML is .platform.app.yaml of this folder.
//
//go:embed .platform.app.yaml
var AppYAML []byte
