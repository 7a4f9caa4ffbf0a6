package database

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestClock(t *testing.T) {
	ours := time.Now()
	at := func(d time.Duration) time.Time { return ours.Add(d) }
	const far, ms = 90 * time.Second, time.Millisecond
	var c clock
	assert.WithinDuration(t, time.Now(), c.now(), time.Second, "before it was measured")

	// What it says was so at some moment between asked and answered.
	c.measure(at(far), at(0), at(10*ms))
	assert.Equal(t, at(far), c.at)
	assert.Equal(t, at(10*ms), c.measured)
	assert.WithinDuration(t, time.Now().Add(far), c.now(), time.Second)

	// An answer that fits what is known changes nothing: 20 ms later it is 20 ms later.
	c.measure(at(far+15*ms), at(15*ms), at(30*ms))
	assert.Equal(t, at(far+20*ms), c.at)
	// A quick one that does not fit corrects it, by as much as is certain.
	c.measure(at(far+50*ms), at(40*ms), at(41*ms))
	assert.Equal(t, at(far+50*ms), c.at)
	c.measure(at(far+40*ms), at(50*ms), at(52*ms))
	assert.Equal(t, at(far+42*ms), c.at)
	// A slow one says little.
	c.measure(at(far), at(52*ms), at(10_000*ms))
	assert.Equal(t, at(far+9948*ms), c.at)
	// Somebody has set the server's clock.
	c.measure(at(-far), at(10_001*ms), at(10_001*ms))
	assert.Equal(t, at(-far), c.at)
}
