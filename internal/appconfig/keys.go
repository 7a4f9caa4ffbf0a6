package appconfig

// The keys that may stand where. Readers refuse every other one, suggestions are made
// from these, and docs/configuration.md has a row for each.
var (
	settingKeys = []string{"timezone", "ledger", "ledger_output", "notify", "heartbeat", "crons"}
	// platformKeys are those that the platform's schema allows, agentKeys those and
	// ours: an entry that is moved from crons: to the agent keeps its meaning.
	platformKeys = []string{"spec", "commands", "cmd", "timeout", "shutdown_timeout"}
	agentKeys    = []string{"spec", "timezone", "fire", "commands", "cmd", "environment_types", "timeout", "shutdown_timeout",
		"overlap", "retries", "missed", "missed_within", "enabled", "env", "notify"}
	commandKeys = []string{"start", "stop"}
	notifyKeys  = []string{"mail", "webhook", "ping", "on"}
)
