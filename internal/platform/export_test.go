package platform

import "time"

// SetRandom decides how waits are drawn, so that a test can be repeated.
func (c *Client) SetRandom(random func(time.Duration) time.Duration) { c.random = random }
