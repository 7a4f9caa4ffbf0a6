package database

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVariablesOfPostgres: those that are set for psql and the app are not for us.
func TestVariablesOfPostgres(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "elsewhere", "PGPORT": "none", "PGUSER": "somebody", "PGPASSWORD": "theirs", "PGDATABASE": "another", "PGPASSFILE": "/none",
		"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/none", "PGSSLCERT": "/none", "PGSSLKEY": "/none", "PGSSLNEGOTIATION": "direct", "PGSSLCERTMODE": "require",
		"PGCONNECT_TIMEOUT": "soon", "PGTARGETSESSIONATTRS": "standby", "PGOPTIONS": "-c search_path=none", "PGAPPNAME": "theirs", "PGTZ": "Asia/Tokyo",
		"PGMINPROTOCOLVERSION": "9", "PGMAXPROTOCOLVERSION": "9", "PGCHANNELBINDING": "require", "PGREQUIREAUTH": "none",
	} {
		t.Setenv(name, value)
	}
	connector, err := postgresConnector(Config{Engine: Postgres, Host: "database.internal", Port: 5433, User: "main", Name: "main"})
	require.NoError(t, err)
	config := connector.(pgConnector).config
	assert.Equal(t, "database.internal", config.Host)
	assert.Equal(t, uint16(5433), config.Port)
	assert.Equal(t, "main", config.User)
	assert.Equal(t, "main", config.Database)
	assert.Empty(t, config.Password)
	assert.Nil(t, config.ValidateConnect)
	assert.Equal(t, dialLimit, config.ConnectTimeout)
	assert.Equal(t, "cronagent", config.RuntimeParams["application_name"])
	assert.NotContains(t, config.RuntimeParams, "options")
	require.NotNil(t, config.TLSConfig)
	assert.True(t, config.TLSConfig.InsecureSkipVerify)
	assert.Empty(t, config.TLSConfig.Certificates)
	require.Len(t, config.Fallbacks, 1)
	assert.Nil(t, config.Fallbacks[0].TLSConfig)
	assert.Equal(t, "database.internal", config.Fallbacks[0].Host)
	assert.Equal(t, "prefer", config.ChannelBinding)
	assert.Empty(t, config.RequireAuth)
}
