package schedule

import (
	"crypto/sha256"
	"encoding/binary"
)

// Seed is the identity that the values of H are drawn from. The zero Seed is
// unknown: then H stands open, and only windows can be told.
type Seed struct {
	project, app, cron string
	known              bool
}

// NewSeed returns the identity of one cron of one app of one project. The same
// identity gives the same values on every machine and in every release. Names
// are compared as bytes: two Unicode spellings of one name are two names.
// Empty names are names too.
func NewSeed(project, app, cron string) Seed { return Seed{project, app, cron, true} }

// draw returns a number in [0, n) for one item of the list in one field. Each
// draws for itself, so that changing one field or item moves no other. Every
// part is preceded by its length, so that no two identities run together.
//
// The result decides when people's jobs run: it must never change.
func (s Seed) draw(field string, item, n int) int {
	var buf []byte
	for _, part := range [...]string{s.project, s.app, s.cron, field} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(part)))
		buf = append(buf, part...)
	}
	buf = binary.BigEndian.AppendUint64(buf, uint64(item))
	sum := sha256.Sum256(buf)
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(n))
}
