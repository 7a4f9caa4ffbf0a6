package appconfig

// What the tests compare with docs/configuration.md.
var (
	SettingKeys  = settingKeys
	PlatformKeys = platformKeys
	AgentKeys    = agentKeys
	CommandKeys  = commandKeys
	NotifyKeys   = notifyKeys
)
